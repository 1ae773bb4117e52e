"""What came of a demo call, established from the caller's tape and the worker's journal.

The tape says what was heard and when: response times, silences, and each scripted content item, by
matching the synthesised waveform of its two wordings (never by recognition). The journal says why:
which endpoint, which fault, when. Both are put on the tape's time axis by the monotonic clock.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trunkline.agent.calendar import Calendar
from trunkline.agent.practice import RIVERSIDE_DENTAL, load_practice
from trunkline.console import plain
from trunkline.console.archiving import Place, opened
from trunkline.console.demo import TOPIC, DemoError, DemoRun
from trunkline.media import tape as tapes
from trunkline.media import wav
from trunkline.media.match import heard
from trunkline.providers.embedded.scripted import content_items
from trunkline.records.projections import transcript
from trunkline.records.recording import recording, transcript_markdown
from trunkline.records.store import JOURNAL
from trunkline.telephony.script import Voice
from trunkline.types import Event

RESPONSE_S = 1.5
"""A reply that begins later than this after the caller's last word is dead air until then."""
PAUSE_S = 0.3
"""An inner silence up to this is a pause between sentences, not dead air."""


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """One turn of the caller, counted from 1.

    *said*: the final transcript ("": none). *end_of_speech_s*: of the tape. *transcript_s*,
    *token_s*, *audio_s*: seconds from there to the final transcript, the model's first useful token
    and the first audio of the reply (V2V); null if it never came. *dead_air_s*: the longest silence
    where speech was due, beyond a natural pause. *endpoints*: whose words the reply was made of.
    """

    turn: int
    said: str
    end_of_speech_s: float
    transcript_s: float | None
    token_s: float | None
    audio_s: float | None
    dead_air_s: float
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailoverOutcome:
    """A change of endpoint at *at_s* of the tape, in *turn*.

    *fault*: how *from_endpoint* failed (`errors.Fault`). *kind*: `hedge` before any audio, `rescue`
    after. *silent_s*: how long it had owed a token. *queued_s*: speech that the caller still had to
    hear when *to_endpoint* took over.
    """

    at_s: float
    turn: int
    from_endpoint: str
    to_endpoint: str
    fault: str
    kind: str
    silent_s: float
    queued_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `trunkline demo --json` prints: these keys and `survived`, all times in seconds.

    `fault`: the one that was ordered. `struck_at_s`, `struck_token`: when (of the tape) and at
    which token of the answer it struck; null if it did not. `turns`: a list of `TurnOutcome`.
    `failovers`: a list of `FailoverOutcome`. `dead_air_s`: `max` and `total` of the silence where
    speech was due, from the tape. `v2v_p50_s`: median of `audio_s`; null if that is "never".
    `items`: how often each content item of the long answer was heard, by its key; `items_lost`
    were heard never, `items_repeated` more than once. `booking`: `start` (ISO), `name` and `reason`
    of the appointment that was made; null: none. `first_word_s`: from the start of the command to
    the agent's first word. `paths`: `tape` (what was heard: left caller, right agent), `recording`
    (the worker's own, from the consent on; missing without one), `transcript`, `report`, `picture`
    and `calendar`. `why_not`: reasons why the call counts as lost. `survived`: there are none.
    """

    fault: str
    struck_at_s: float | None
    struck_token: int | None
    turns: tuple[TurnOutcome, ...]
    failovers: tuple[FailoverOutcome, ...]
    dead_air_s: Mapping[str, float]
    v2v_p50_s: float | None
    items: Mapping[str, int]
    items_lost: int
    items_repeated: int
    booking: Mapping[str, str] | None
    first_word_s: float | None
    paths: Mapping[str, str]
    why_not: tuple[str, ...]

    @property
    def survived(self) -> bool:
        """Whether the caller got through: understood, answered, booked, nothing lost or twice."""
        return not self.why_not

    def as_json(self) -> dict[str, object]:
        """Plain data, without infinities."""
        return {
            **{key: plain.finite(value) for key, value in asdict(self).items()},
            "survived": self.survived,
        }


class Evidence:
    """The tape and the events of one call, on one time axis."""

    def __init__(self, run: DemoRun) -> None:
        self.run = run
        self.tape = wav.read(run.order.out / "tape.wav")
        self.mono0 = _number(run.caller["mono0"])
        with opened(Place(run.order.out / "records")) as store:
            calls = store.list_calls()
            if not calls:
                raise DemoError(f"the worker left no sealed call under {store.directory}")
            self.events: Sequence[Event] = calls[-1].events
            self.record = replace(calls[-1], archive=None)  # which is closed when we have read
        self.report = tapes.summary(
            self.tape, tapes.Limits(response_s=RESPONSE_S, pause_s=PAUSE_S, silence_s=0.15)
        )
        self.voiced = tapes.activity(self.agent)

    @property
    def agent(self) -> NDArray[np.int16]:
        """What was heard of the agent."""
        return self.tape[:, 1]

    def at(self, mono: float) -> float:
        """A monotonic time as seconds of the tape."""
        return mono - self.mono0

    def of(self, *types: str) -> list[Event]:
        """The events of these types, in order."""
        return [event for event in self.events if event.type in types]


async def outcome(evidence: Evidence, voice: Voice) -> Outcome:
    """Judge the call, and put `transcript.md` and `recording.wav` beside the tape.

    *voice*: the synthesiser that the agent spoke with.
    """
    run, out = evidence.run, evidence.run.order.out
    told = transcript_markdown(transcript(evidence.events))
    (out / "transcript.md").write_text(told, "utf-8")
    items = await _items(evidence, voice)
    turns = _turns(evidence)
    failovers = tuple(_failover(evidence, event) for event in evidence.of("failover"))
    strike = run.strikes[0] if run.strikes else None
    booking = _booking(out / "reception")
    report = evidence.report
    paths = {"report": "report.html", "picture": "call.svg", "tape": "tape.wav"}
    if any(event.type == "audio.segment" for event in evidence.events):
        wav.write_stereo(out / "recording.wav", recording(evidence.events))
        paths["recording"] = "recording.wav"
    paths |= {"transcript": "transcript.md", "calendar": "reception/appointments.ics"}
    paths["record"] = str((evidence.record.path / JOURNAL).relative_to(out))
    lost = sum(count == 0 for count in items.values())
    repeated = sum(count > 1 for count in items.values())
    return Outcome(
        fault=run.order.fault,
        struck_at_s=None if strike is None else round(evidence.at(_number(strike["mono"])), 3),
        struck_token=None if strike is None else int(_number(strike["token"])),
        turns=turns,
        failovers=failovers,
        dead_air_s={
            "max": round(float(report.dead_air_max_s), 3),
            "total": round(float(report.dead_air_total_s), 3),
        },
        v2v_p50_s=None if report.v2v_p50_s is None else round(report.v2v_p50_s, 3),
        items=items,
        items_lost=lost,
        items_repeated=repeated,
        booking=booking,
        first_word_s=run.first_word_s,
        paths={name: str(out / path) for name, path in paths.items()},
        why_not=tuple(_why_not(evidence, lost, repeated, booking, failovers)),
    )


def _why_not(
    evidence: Evidence,
    lost: int,
    repeated: int,
    booking: Mapping[str, str] | None,
    failovers: Sequence[FailoverOutcome],
) -> list[str]:
    run, report = evidence.run, evidence.report
    reasons = []
    if report.unanswered:
        reasons.append(f"{report.unanswered} of the caller's turns were never answered")
    if lost:
        reasons.append(f"{lost} items of the long answer were never heard")
    if repeated:
        reasons.append(f"{repeated} items of the long answer were heard twice")
    if booking is None:
        reasons.append("no appointment is in the calendar")
    if run.caller["ended"] != "agent_closed":
        reasons.append(f"the call ended by {run.caller['ended']}, not by the agent's goodbye")
    if run.order.fault != "none" and not run.strikes:
        reasons.append("the fault never struck: nothing was shown")
    elif run.order.fault != "none" and not failovers:
        reasons.append("the fault struck, and no other endpoint took over")
    return reasons


def _turns(evidence: Evidence) -> tuple[TurnOutcome, ...]:
    outcomes = []
    for number, turn in enumerate(t for t in evidence.report.turns if t.caller is not None):
        assert turn.caller is not None  # noqa: S101  # filtered above; narrows for mypy
        end_s = turn.caller.end_s
        until_s = math.inf if turn.reply is None else turn.reply.end_s
        here = [e for e in evidence.events if end_s - 0.1 <= evidence.at(e.mono) <= until_s]
        final = next((e for e in here if e.type == "transcript.final"), None)
        token = next((e for e in here if e.type == "attempt.delta"), None)
        spoken = dict.fromkeys(str(e.data["endpoint"]) for e in here if e.type == "phrase.spoken")
        heard_at = turn.v2v_s
        outcomes.append(
            TurnOutcome(
                turn=number + 1,
                said="" if final is None else str(final.data["text"]),
                end_of_speech_s=round(end_s, 3),
                transcript_s=_after(evidence, final, end_s),
                token_s=_after(evidence, token, end_s),
                audio_s=None if heard_at is None or math.isinf(heard_at) else round(heard_at, 3),
                dead_air_s=round(max((s.length_s for s in turn.dead_air), default=0.0), 3),
                endpoints=tuple(name for name in spoken if name),
            )
        )
    return tuple(outcomes)


def _after(evidence: Evidence, event: Event | None, since_s: float) -> float | None:
    return None if event is None else round(evidence.at(event.mono) - since_s, 3)


def _failover(evidence: Evidence, event: Event) -> FailoverOutcome:
    data = event.data
    return FailoverOutcome(
        at_s=round(evidence.at(event.mono), 3),
        turn=event.where.turn,
        from_endpoint=str(data["from"]),
        to_endpoint=str(data["to"]),
        fault=str(data["fault"]),
        kind=str(data["kind"]),
        silent_s=_number(data.get("silent_s", 0.0)),
        queued_s=_number(data.get("queued_s", 0.0)),
    )


async def _items(evidence: Evidence, voice: Voice) -> dict[str, int]:
    """How often each content item of the long answer was heard, in either wording."""
    counts = {}
    for item in content_items(TOPIC):
        texts = {item.primary_text, item.backup_text}
        clips = [np.frombuffer(await voice(text), np.int16) for text in sorted(texts)]
        counts[item.key] = sum(heard(clip, evidence.agent).count for clip in clips)
    return counts


def _booking(folder: Path) -> dict[str, str] | None:
    """The appointment that the call made."""
    practice = load_practice(RIVERSIDE_DENTAL)
    calendar = Calendar(folder / "appointments.ics", practice, lambda: datetime.now(UTC))
    found = calendar.appointments()
    if not found:
        return None
    made = found[-1]
    return {"start": made.start.isoformat(), "name": made.name, "reason": made.reason}


def _number(value: object) -> float:
    assert isinstance(value, int | float)  # noqa: S101  # our own events: narrows for mypy
    return float(value)
