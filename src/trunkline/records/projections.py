"""Projections: what a call's events say, as folds over them and nothing else.

`read_call` verifies; `transcript`, `attempts` and `consent_record` are here, `recording` is in
`records/recording.py`. A projection ignores types and keys that it does not know, and a journal
that ends early gives what it holds.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from trunkline.errors import RecordError
from trunkline.records import envelope as wire
from trunkline.records import framing
from trunkline.records.consent import Consent, ConsentGuard
from trunkline.records.disk import our_errors
from trunkline.records.events import get, get_or
from trunkline.records.sealing import CallSecret
from trunkline.types import CallId, Event, Mono, Sample, Usage, Where

JOURNAL_MAGIC: Final = b"TLKJ"


def read_call(path: Path, secret: CallSecret | None = None) -> list[Event]:
    """The events of the sealed journal at *path*, verified: frames, chain, closing event.

    *secret* opens its payloads. Raises `RecordError`: missing, foreign, damaged (with the byte
    offset), chain broken, cut off, or sealed with another secret.
    """
    if not path.is_file():
        raise RecordError(f"{path}: no such journal")
    with our_errors(f"cannot read {path}"):
        data = path.read_bytes()
    framing.check_header(data, JOURNAL_MAGIC, str(path))
    frames = framing.Frames(data)
    reader = Reader(secret)
    for offset, record in frames:
        try:
            reader.feed(record)
        except RecordError as error:
            raise RecordError(f"{path}: record at offset {offset}: {error}") from error
    if frames.stop.kind != "end":
        raise RecordError(f"{path}: damaged at offset {frames.stop.offset}: {frames.stop.detail}")
    if not reader.closed:
        raise RecordError(f"{path}: cut off after {len(reader.events)} events: no closing event")
    return reader.events


class Reader:
    """Turns the records of one call back into `events`, verifying the chain."""

    def __init__(self, secret: CallSecret | None = None) -> None:
        self.events: list[Event] = []
        self._secret = secret
        self._chain = wire.Chain()
        self._blobs: dict[str, bytes] = {}

    @property
    def closed(self) -> bool:
        """Whether the journal ends as it should."""
        return self._chain.closed

    def feed(self, record: bytes) -> None:
        """Take the next record; `RecordError` if it does not belong there."""
        envelope = self._chain.feed(record)
        if envelope is None:
            _, _, content = wire.split(record)
            self._blobs[wire.digest(content)] = content
            return
        blob = None if envelope.ref is None else self._blobs.pop(envelope.ref.sha256, None)
        self.events.append(wire.to_event(envelope, blob, self._secret))
        if self.closed and get(self.events[-1], "events", int) != len(self.events):
            raise RecordError("the closing event counts another number of events")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start:end` of an entry's text were written by *endpoint* ("": a fixed line)."""

    start: int
    end: int
    endpoint: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one side said. *text*: for the agent what was heard; samples of the call's audio.

    *spans*: who wrote what of the agent's text, in its order.
    """

    speaker: Literal["caller", "agent"]
    turn: int
    text: str
    start: Sample | None
    end: Sample | None
    endpoints: tuple[str, ...] = ()
    generated: str = ""
    spoken: str = ""
    interrupted: bool = False
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said and heard in a call, in the order in which it was said."""

    call: CallId
    agent: str
    carrier: str
    ended: str
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class _Reply:
    """A reply while its events are read."""

    turn: int
    start: Sample | None
    end: Sample | None = None
    audible: bool = False
    heard: str = ""
    phrases: dict[int, tuple[str, str]] = field(default_factory=dict)  # text, endpoint
    endpoints: dict[str, None] = field(default_factory=dict)

    def entry(self, ended: Event | None) -> Entry:
        phrases = [phrase for _, phrase in sorted(self.phrases.items())]
        spoken = " ".join(text for text, _ in phrases)
        heard = self.heard if ended is None else get(ended, "heard", str)
        return Entry(
            "agent",
            self.turn,
            heard,
            self.start,
            self.end,
            tuple(self.endpoints),
            "" if ended is None else get(ended, "generated", str),
            spoken if ended is None else get(ended, "spoken", str),
            ended is None or get(ended, "interrupted", bool),
            tuple(_spans(phrases, len(heard))),
        )


def _spans(phrases: Iterable[tuple[str, str]], heard_chars: int) -> Iterator[Span]:
    """What was heard is the beginning of what was spoken: phrases, with a space between."""
    start = 0
    for text, endpoint in phrases:
        end = min(start + len(text), heard_chars)
        if end > start:
            yield Span(start, end, endpoint)
        start += len(text) + 1


class _Scribe:
    """Folds events into entries."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.facts: dict[str, str] = {}
        self._utterance: dict[int, tuple[Sample | None, Sample | None]] = {}
        self._reply: _Reply | None = None

    def feed(self, event: Event) -> None:
        match event.type:
            case "call.started":
                self.facts |= {k: get(event, k, str) for k in ("agent", "carrier")}
            case "call.ended":
                self.facts["ended"] = get(event, "reason", str)
            case "utterance.started":
                self._utterance[event.where.turn] = (event.sample, None)
            case "utterance.ended":
                start, _ = self._utterance.get(event.where.turn, (None, None))
                self._utterance[event.where.turn] = (start, event.sample)
            case "transcript.final":
                self._heard_caller(event)
            case "reply.started":
                self.finish()
                self._reply = _Reply(get(event, "turn", int), event.sample)
            case "reply.ended":
                self.finish(event)
            case _:
                if self._reply is not None:
                    self._reply_event(self._reply, event)

    def finish(self, ended: Event | None = None) -> None:
        """The reply is over; without *ended*, because the record breaks off."""
        if self._reply is not None:
            if ended is not None and ended.sample is not None:
                self._reply.end = ended.sample
            self.entries.append(self._reply.entry(ended))
        self._reply = None

    def _heard_caller(self, event: Event) -> None:
        start, end = self._utterance.get(event.where.turn, (None, None))
        words = get_or(event, "words", list, [])
        if words:
            start, end = words[0][1], words[-1][2]
        endpoint = get_or(event, "endpoint", str, "")
        self.entries.append(
            Entry(
                "caller",
                event.where.turn,
                get(event, "text", str),
                start,
                event.sample if end is None else end,
                (endpoint,) if endpoint else (),
            )
        )

    @staticmethod
    def _reply_event(reply: _Reply, event: Event) -> None:
        match event.type:
            case "phrase.spoken":
                endpoint = get_or(event, "endpoint", str, "")
                reply.phrases[get(event, "index", int)] = get(event, "text", str), endpoint
                if endpoint:
                    reply.endpoints[endpoint] = None
            case "playout.queued" if not reply.audible:
                # The reply was decided before; this is when the caller began to hear it.
                reply.audible = True
                reply.start = reply.start if event.sample is None else event.sample
            case "heard":
                reply.heard = get(event, "text", str)
                reply.end = reply.end if event.sample is None else event.sample
            case "playout.mark" | "barge_in":
                reply.end = reply.end if event.sample is None else event.sample
            case _:
                pass


def transcript(events: Iterable[Event]) -> Transcript:
    """What was said and heard; of the agent only what the caller heard, with the rest apart."""
    scribe, call = _Scribe(), CallId("")
    for event in events:
        call = event.where.call
        scribe.feed(event)
    scribe.finish()
    spoken = sorted(scribe.entries, key=lambda entry: -1 if entry.start is None else entry.start)
    return Transcript(
        call,
        scribe.facts.get("agent", ""),
        scribe.facts.get("carrier", ""),
        scribe.facts.get("ended", ""),
        tuple(spoken),
    )


@dataclass(slots=True)
class Attempt:
    """One attempt of a stage. Times are monotonic seconds of the worker; None: never."""

    where: Where
    stage: str
    endpoint: str
    zone: str
    model: str
    failure_domain: str
    kind: str
    prefix: str
    started: Mono
    request: object = None
    deltas: list[tuple[Mono, str | Mapping[str, object]]] = field(default_factory=list)
    ended: Mono | None = None
    outcome: str = ""
    fault: str = ""
    detail: str = ""
    usage: Usage | None = None

    @property
    def ttft_s(self) -> float | None:
        """Seconds from the start to the first useful token; None if there was none."""
        return self.deltas[0][0] - self.started if self.deltas else None


def attempts(events: Iterable[Event]) -> list[Attempt]:
    """Every attempt in order of its start, losers and hedges included."""
    found: dict[tuple[Where, str], Attempt] = {}
    for event in events:
        if not event.type.startswith("attempt."):
            continue
        key = (event.where, get_or(event, "stage", str, "llm"))
        if event.type == "attempt.started":
            found[key] = Attempt(
                *key,
                endpoint=get(event, "endpoint", str),
                zone=event.zone,
                model=get_or(event, "model", str, ""),
                failure_domain=get_or(event, "failure_domain", str, ""),
                kind=get(event, "kind", str),
                prefix=get_or(event, "prefix", str, ""),
                started=event.mono,
            )
        elif key in found:
            _attempt_event(found[key], event)
    return list(found.values())


def _attempt_event(attempt: Attempt, event: Event) -> None:
    match event.type:
        case "attempt.request":
            attempt.request = event.data.get("request")
        case "attempt.delta":
            tool: dict[str, object] = get_or(event, "tool", dict, {})
            attempt.deltas.append((event.mono, tool or get_or(event, "text", str, "")))
        case "attempt.ended":
            attempt.ended = event.mono
            attempt.outcome = get(event, "outcome", str)
            attempt.fault = get_or(event, "fault", str, "")
            attempt.detail = get_or(event, "detail", str, "")
            usage: dict[str, int] = get_or(event, "usage", dict, {})
            if usage:
                attempt.usage = Usage(
                    usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
                )
        case _:
            pass


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """How consent stands and what it rests on; *unlawful*: ids of events that changed nothing."""

    state: Consent
    question: str = ""
    answer: str = ""
    rule: str = ""
    asked: tuple[Sample | None, ...] = ()
    granted_from: Sample | None = None
    unlawful: tuple[str, ...] = ()


def consent_record(events: Iterable[Event]) -> ConsentRecord:
    """The consent to record: by the same machine that let the audio through, or did not."""
    guard = ConsentGuard()
    question = answer = rule = ""
    asked: list[Sample | None] = []
    unlawful: list[str] = []
    granted_from: Sample | None = None
    for event in events:
        if not event.type.startswith("consent."):
            continue
        if not guard.feed(event.type, event.data, event.sample or Sample(0)):
            unlawful.append(event.id)
        elif event.type == "consent.asked":
            question = get(event, "text", str)
            asked.append(event.sample)
        elif event.type == "consent.answered":
            answer, rule = get(event, "text", str), get_or(event, "rule", str, "")
        elif event.type == "consent.granted":
            granted_from = event.sample
    return ConsentRecord(
        guard.state, question, answer, rule, tuple(asked), granted_from, tuple(unlawful)
    )
