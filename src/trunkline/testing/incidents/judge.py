"""What the caller of an incident's call heard, against the same call unfaulted, by both tapes.

A turn lasts from the end of the caller's line to their next one. Dead air that was added to it is
the longer wait for its first sound or, if that is more, all silence inside it beyond the longest
one of the unfaulted turn, summed (as in trials/test_survival.py). Words are read off the tape
(`tones`), not out of the journal; lines that stand outside of the answer (filler, apology) are
taken out first.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trunkline.telephony.line import CallEvent
from trunkline.testing.incidents import talk
from trunkline.testing.incidents.files import NAMES, Call
from trunkline.testing.incidents.staging import Played
from trunkline.testing.incidents.tones import AGENT_WORD, Pcm, words_of
from trunkline.testing.simulated import Note
from trunkline.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Message

_SOUND = 400
"""Of 32,768: what is quieter is no sound. Tones have eight times as much."""
DISTURBED = "this machine's clock"
LATE_S_MAX = 0.1
"""A line that stands still for longer breaks words, and is nobody's fault but this machine's."""
LINES = (talk.FILLER, talk.APOLOGY, talk.PARDON)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as it was heard: the wait, the silences inside (seconds), and the words."""

    v2v_s: float
    gaps_s: tuple[float, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happened in one call of an incident, and what was wrong with it (*problems*).

    *dead_air_added_s*: of the worst turn, infinite if it was never answered. *answered_by*: who
    completed the struck turns. *lines*: what was said beside the answers. *strikes*: how often a
    fault struck.
    """

    incident: str
    call: str
    seed: int
    dead_air_added_s: float
    words_lost: int
    words_repeated: int
    caller_words_lost: int
    turns_dropped: int
    answered_by: tuple[str, ...]
    lines: tuple[str, ...]
    tools: tuple[str, ...]
    ended: str
    strikes: int
    problems: tuple[str, ...]

    @property
    def disturbed(self) -> bool:
        """Whether the machine, and not our calls, may be to blame."""
        return any(it.startswith(DISTURBED) for it in self.problems)

    @property
    def passed(self) -> bool:
        """Whether all that must happen did."""
        return not self.problems

    def as_json(self) -> dict[str, object]:
        """Plain data; an infinite wait is null."""
        told = {name: getattr(self, name) for name in self.__slots__}
        finite = math.isfinite(self.dead_air_added_s)
        told["dead_air_added_s"] = round(self.dead_air_added_s, 3) if finite else None
        return told | {"passed": self.passed}


def judge(incident: str, call: Call, seed: int, clean: Played, struck: Played) -> Verdict:
    """*struck*, a run of *call* with its faults, against *clean*, the same without them."""
    before, after = turns(call, clean), turns(call, struck)
    lost = repeated = 0
    for was, now in zip(before, after, strict=True):
        lost += (Counter(was.words) - Counter(now.words)).total()
        repeated += (Counter(now.words) - Counter(was.words)).total()
    added = max(_added(was, now) for was, now in zip(before, after, strict=True))
    verdict = Verdict(
        incident,
        call.name,
        seed,
        added,
        lost,
        repeated,
        _caller_words_lost(call, struck),
        sum(not now.words for now in after),
        tuple(dict.fromkeys(_completed(struck))),
        _lines(struck),
        struck.tools,
        struck.ended,
        len(struck.strikes),
        (),
    )
    problems = (*_broken(call, verdict), *_always(call, clean, struck))
    return replace(verdict, problems=problems)


def turns(call: Call, played: Played) -> list[Turn]:
    """The greeting, then the turns of *call* as they were heard; one not reached is empty."""
    said = call.talk or talk.TALK
    ends = (_at(played.events, "step_end", f"turn {number}") for number in range(1, len(said) + 1))
    return [_turn(played, begins) for begins in (0.0, *ends)]


def _turn(played: Played, begins: float | None) -> Turn:
    if begins is None:
        return Turn(math.inf, (), ())
    later = [it.at_s for it in played.events if it.kind == "step_start" and it.at_s >= begins]
    ends = later[0] if later else len(played.agent) / SAMPLE_RATE
    heard = played.agent[round(begins * SAMPLE_RATE) : round(ends * SAMPLE_RATE)]
    words = _without_lines(played.vocabulary.heard(heard, AGENT_WORD))
    waited_s, gaps_s = _silences(heard)
    return Turn(waited_s, gaps_s, tuple(words))


def _at(events: Sequence[CallEvent], kind: str, label: str) -> float | None:
    return next((it.at_s for it in events if it.kind == kind and it.detail == label), None)


def _silences(pcm: Pcm) -> tuple[float, tuple[float, ...]]:
    """The wait for the first sound, and the silences before the last one, in seconds."""
    frames = pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    sounds = np.flatnonzero(np.abs(frames.astype(np.int32)).max(axis=1, initial=0) > _SOUND)
    if not len(sounds):
        return math.inf, ()
    gaps = np.diff(sounds) - 1
    return float(sounds[0]) * FRAME_S, tuple(float(gap) * FRAME_S for gap in gaps if gap)


def _added(was: Turn, now: Turn) -> float:
    if math.isinf(now.v2v_s):
        return math.inf
    longest_s = max(was.gaps_s, default=0.0)
    inside_s = sum(gap_s - longest_s for gap_s in now.gaps_s if gap_s > longest_s)
    return max(now.v2v_s - was.v2v_s, inside_s, 0.0)


def _places(words: Sequence[str], line: Sequence[str]) -> Iterator[int]:
    size = len(line)
    return (at for at in range(len(words) - size + 1) if list(words[at : at + size]) == list(line))


def _without_lines(words: list[str]) -> list[str]:
    for line in map(words_of, LINES):
        while (at := next(_places(words, line), None)) is not None:
            words = words[:at] + words[at + len(line) :]
    return words


def _lines(played: Played) -> tuple[str, ...]:
    words = played.vocabulary.heard(played.agent, AGENT_WORD)
    return tuple(line for line in LINES if any(True for _ in _places(words, words_of(line))))


def _caller_words_lost(call: Call, played: Played) -> int:
    """Words of the caller that came to no model, in the best hearing of each line."""
    prompts = [prompt for them in played.prompts.values() for prompt in them]
    told = {m.content for prompt in prompts for m in prompt.messages if m.role == "user"}
    lost = 0
    for turn in call.talk or talk.TALK:
        line = Counter(words_of(turn.caller))
        lost += min(((line - Counter(words_of(it))).total() for it in told), default=line.total())
    return lost


def _completed(played: Played) -> Iterator[str]:
    """The endpoint that completed each turn that was struck, in the stage that was struck."""
    for strike in played.strikes:
        stage = next(it for it, word in NAMES.items() if strike.endpoint.startswith(word))
        mine = _notes_of(played, strike.turn)
        if stage == "llm":
            wrote = [str(it.data["endpoint"]) for it in mine if it.type == "phrase.spoken"]
            wrote = [name for name in wrote if name]
        else:
            ends = [it.data for it in mine if it.type == "attempt.ended"]
            won = (it for it in ends if it["outcome"] == "won" and it["stage"] == stage)
            wrote = [str(it["endpoint"]) for it in won]
        yield wrote[-1] if wrote else "nobody"


def _notes_of(played: Played, turn: int) -> list[Note]:
    """What was journaled from the beginning of the caller's line of *turn* to the next."""
    begins = _at(played.events, "step_start", f"turn {turn}") or 0.0
    starts = (it.at_s for it in played.events if it.kind == "step_start" and it.at_s > begins)
    ends = next(starts, math.inf)
    return [it for it in played.notes if begins <= it.at - played.began < ends]


def _broken(call: Call, it: Verdict) -> Iterator[str]:
    """What the file demands and did not happen."""
    must = call.must
    if it.dead_air_added_s > must.dead_air_added_s:
        told = f"{it.dead_air_added_s:.2f} s" if math.isfinite(it.dead_air_added_s) else "no answer"
        yield f"dead air added: {told}, at most {must.dead_air_added_s:g} s"
    for name in ("words_lost", "words_repeated", "caller_words_lost", "turns_dropped"):
        if getattr(it, name) > getattr(must, name):
            what = name.replace("_", " ")
            yield f"{what}: {getattr(it, name)}, at most {getattr(must, name)}"
    if must.answered_by is not None and set(it.answered_by) != {must.answered_by}:
        yield f"answered by {', '.join(it.answered_by) or 'nobody'}, not {must.answered_by}"
    if must.hears is not None and must.hears not in it.lines:
        yield f"nobody said {must.hears!r}"
    ran = Counter(it.tools)
    for tool, times in must.tools.items():
        if ran[tool] != times:
            yield f"{tool} ran {ran[tool]} times, not {times}"
    ended = {"caller": "hang_up", "agent": "agent_closed"}[must.ended_by]
    if it.ended != ended:
        yield f"the call ended by {it.ended}, not {ended}"


def _always(call: Call, clean: Played, struck: Played) -> Iterator[str]:
    """What must hold in every call."""
    lasted_s = len(struck.agent) / SAMPLE_RATE
    outage = call.outage is not None and lasted_s > call.outage.from_s
    if not struck.strikes and not outage:
        yield "nothing went wrong: no fault struck"
    if clean.strikes or clean.ended != "hang_up" or not all(it.words for it in turns(call, clean)):
        yield "the call without faults did not go well: there is nothing to compare with"
    if any(it.kind == "ended" and "the call broke" in it.detail for it in struck.events):
        yield "a bug of ours broke the call: replay it in Python to see the trace"
    late_s = max(clean.late_s, struck.late_s)
    if late_s > LATE_S_MAX:
        yield f"{DISTURBED} was {late_s:.2f} s late: too busy to judge"
    if struck.leaks:
        yield f"{struck.leaks} streams were left open"
    more = Counter(struck.tools) - Counter(clean.tools)
    if more:
        yield f"tools ran too often: {', '.join(sorted(more))}"
    unheard = sorted(_unheard(struck))
    if unheard:
        yield f"the history has what nobody heard: {' '.join(unheard)}"


def _unheard(played: Played) -> Counter[str]:
    """Words that a later prompt gives to the agent although no tape has them."""
    heard = Counter(played.vocabulary.heard(played.agent, AGENT_WORD))
    worst: Counter[str] = Counter()
    for prompt in (prompt for them in played.prompts.values() for prompt in them):
        said = Counter(words_of(" ".join(_settled(prompt.messages))))
        if (said - heard).total() > worst.total():
            worst = said - heard
    return worst


def _settled(messages: Sequence[Message]) -> Iterator[str]:
    """What the agent said in turns that are over: before the caller's last line."""
    last = max((at for at, it in enumerate(messages) if it.role == "user"), default=0)
    if talk.is_note(messages[last]):
        earlier = (at for at, it in enumerate(messages[:last]) if it.role == "user")
        last = max(earlier, default=0)
    return (it.content for it in messages[:last] if it.role == "assistant")
