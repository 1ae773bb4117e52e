"""What a call with a fault comes to beside its twin: from the caller's tape.

Two things are not from the tape: when the fault took effect (its server says so, on the same clock)
and which word the second endpoint went on with (the worker's event), for that cannot be heard.

* *Queued* Q: from the fault to the end of the last word that was said before it, on the tape.
* *Added*: how much later each word began after the one before it than in the twin, summed.
  What is less than a frame is the grid of the tape.
* *Later*: how much longer the caller waited for the first word than in the twin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from trials.keep_alive.order import RECOVERY_S, Order
from trials.keep_alive.rig import Placed
from trials.keep_alive.sounds import REPLY, WORDS, Telling, telling
from trunkline.core.speech_plan import PRIORS
from trunkline.types import FRAME_S, LLM, SAMPLE_RATE, STT, TTS

QUEUED_MIN_S: Final = 0.8
ADDED_MAX_S: Final = 0.3
LATER_MAX_S: Final = 1.5
MARGIN_S: Final = 0.15


@dataclass(frozen=True, slots=True)
class Heard:
    """One call as its caller has it; *asked_s*: the end of the question. Seconds of the tape."""

    order: Order
    asked_s: float
    told: Telling
    transcripts: tuple[str, ...]
    struck_s: float | None
    seam: int | None
    """The number of the word that another endpoint went on with; None: nobody did."""
    gap_floor_s: float
    late_s: float
    dropped: str
    """Why the turn counts as dropped, "" if it does not."""

    @property
    def first_s(self) -> float:
        """From the end of the question to the first word of the reply."""
        return self.told.onsets_s[0] - self.asked_s


def heard(placed: Placed) -> Heard:
    """Judge the tape of *placed*."""
    asked_s = placed.result.times("step_end", "asks")
    begun = asked_s[0] if asked_s else math.inf
    agent = placed.result.tape[:, 1].copy()
    agent[: round(min(begun, 1e6) * SAMPLE_RATE)] = 0
    mono0 = placed.result.mono0
    struck = [it["mono"] - mono0 for it in placed.struck]
    lines = [event["data"].get("line") for event in placed.of("reply.started")]
    wrong = [str(line) for line in lines if line not in {None, "greeting"}]
    if any(event["data"]["lost"] for event in placed.of("reply.ended")):
        wrong.append("a reply that was not said to its end")
    if placed.result.ended != "hang_up":
        wrong.append(f"the call ended by {placed.result.ended}")
    return Heard(
        placed.order,
        begun,
        telling(agent),
        tuple(event["data"]["text"] for event in placed.of("transcript.final")),
        min(struck, default=None),
        _seam(placed),
        _gap_floor_s(placed),
        placed.late_s,
        ", ".join(wrong),
    )


def _seam(placed: Placed) -> int | None:
    if placed.order.stage == LLM:
        return _seam_of_texts(placed)
    overs = [event["data"] for event in placed.of("failover")]
    overs = [data for data in overs if data["stage"] == placed.order.stage]
    if not overs:
        return None
    data = overs[0]
    if placed.order.stage == STT:
        return 0
    said = {it["data"]["index"]: it["data"]["text"] for it in placed.of("phrase.spoken")}
    phrase = said[data["phrase"]]
    if phrase not in REPLY:
        return None  # not of the answer
    return _words_in(REPLY[: REPLY.index(phrase) + data["committed_chars"]])


def _seam_of_texts(placed: Placed) -> int | None:
    before = 0
    for event in placed.of("phrase.spoken"):
        phrase = event["data"]
        if phrase["endpoint"] == f"{LLM}-backup":
            return before
        before += _words_in(phrase["text"]) * (phrase["text"] in REPLY)
    return None


def _words_in(text: str) -> int:
    return len(text.split())


def _gap_floor_s(placed: Placed) -> float:
    planned = placed.of("step.planned")
    if placed.order.stage != LLM or not planned:
        return PRIORS[TTS].gap_p999_s
    return float(planned[-1]["data"]["gap_floor_s"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """One trial: which bound held for it and whether it was kept.

    *queued_s*: None if the fault struck before any word of the reply was certain to be heard.
    """

    order: Order
    queued_s: float | None
    added_s: float
    later_s: float
    bound_s: float
    lost: Sequence[str]
    repeated: Sequence[str]
    dropped: str
    misheard: str
    struck: bool

    @property
    def complaints(self) -> list[str]:
        """What this trial owes its caller; empty if nothing."""
        found = [] if self.struck else ["the fault did not strike: nothing was tried"]
        if self.queued_s is None and self.later_s > self.bound_s:
            found.append(f"the reply began {self.later_s:.3f} s later, bound {self.bound_s:.3f} s")
        if self.queued_s is not None and self.added_s > self.bound_s:
            found.append(
                f"{self.added_s:.3f} s of dead air with {self.queued_s:.2f} s queued, "
                f"bound {self.bound_s:.3f} s"
            )
        if self.lost:
            found.append(f"lost: {' '.join(self.lost)}")
        if self.repeated:
            found.append(f"repeated: {' '.join(self.repeated)}")
        if self.dropped:
            found.append(f"turn dropped: {self.dropped}")
        if self.misheard:
            found.append(self.misheard)
        return found

    @property
    def row(self) -> str:
        """The trial in one line."""
        queued = "before audio" if self.queued_s is None else f"Q {self.queued_s:5.2f} s"
        return (
            f"{self.order!s:34} {queued:12} added {self.added_s:6.3f} later {self.later_s:6.3f} "
            f"bound {self.bound_s:5.3f}: {'; '.join(self.complaints) or 'kept'}"
        )


def verdict(it: Heard, twin: Heard) -> Verdict:
    """*it* beside its *twin*."""
    queued_s = _queued_s(it)
    if queued_s is None:
        bound_s = LATER_MAX_S
    elif queued_s >= QUEUED_MIN_S:
        bound_s = ADDED_MAX_S
    else:
        bound_s = max(it.gap_floor_s + RECOVERY_S - queued_s + MARGIN_S, MARGIN_S)
    misheard = ""
    if it.transcripts != twin.transcripts:
        misheard = f"heard {it.transcripts}, without the fault {twin.transcripts}"
    return Verdict(
        it.order,
        queued_s,
        added_s(it, twin),
        it.first_s - twin.first_s,
        bound_s,
        it.told.lost,
        it.told.repeated,
        it.dropped,
        misheard,
        it.struck_s is not None,
    )


def _queued_s(it: Heard) -> float | None:
    """Q; with no seam, all that was still to come of the reply was there."""
    if it.order.stage == STT or it.struck_s is None:
        return None
    last = (len(WORDS) if it.seam is None else it.seam) - 1
    if last < 0:
        return None
    return it.told.ends_s[last] - it.struck_s


def added_s(it: Heard, twin: Heard) -> float:
    """Silence between the words beyond that of the twin, summed; infinite if words are missing."""
    if it.told.lost:
        return math.inf
    pairs = zip(pairwise(it.told.onsets_s), pairwise(twin.told.onsets_s), strict=True)
    more = [(b - a) - (d - c) for (a, b), (c, d) in pairs]
    return float(sum(longer for longer in more if longer > FRAME_S))


def sound(twin: Heard) -> list[str]:
    """What is wrong with a call that nothing befell."""
    wrong = [*twin.told.lost, *twin.told.repeated, twin.dropped]
    return [what for what in wrong if what]
