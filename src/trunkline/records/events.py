"""The events of a call: every type, its payload's keys, and how a projection reads them.

A type or key that is not in the table is kept and ignored, so anyone may add some; what is in the
table must have its required keys with these types (`problems` says what is wrong; the tests of
whole calls run it over each). Samples (`Sample`) and seconds of the call are in the envelope, as
is the zone; `where` names turn, step and attempt. Texts are as said, never normalised.

Stage of an attempt: `stage` is `llm` unless it says otherwise, so STT and TTS attempts need it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Final, TypeVar, cast

from trunkline.errors import RecordError
from trunkline.types import Event

T = TypeVar("T")
Shape = type | UnionType

_NUMBER: Final = int | float


@dataclass(frozen=True, slots=True)
class Kind:
    """An event type: what it says, its required keys and its optional ones with their types."""

    says: str
    needs: Mapping[str, Shape] = field(default_factory=dict)
    may: Mapping[str, Shape] = field(default_factory=dict)


_ATTEMPT: Final[Mapping[str, Shape]] = {"stage": str}

KINDS: Final[Mapping[str, Kind]] = {
    # The call. `journal.*` are written by the journal itself.
    "journal.opened": Kind(
        "the first event; kc, vc: which keys seal payloads and recording, by a hash of each",
        {"sample_rate": int},
        {"kc": str, "vc": str},
    ),
    "journal.closed": Kind(
        "the last event: nothing is missing; `recovered`: written by a later process, because "
        "the worker died, with what it found wrong",
        {"reason": str, "events": int},
        {"recovered": bool, "found": str},
    ),
    "call.started": Kind(
        "the leg is up",
        {"carrier": str, "agent": str},
        {"carrier_call": str, "language": str, "version": str},
    ),
    "call.resumed": Kind(
        "another worker goes on with call `from`; says: what is said first, beginning with `line`; "
        "state: the call as it broke off; resumes: how often it did",
        {"from": str, "resumes": int, "line": str, "says": str, "state": dict},
        {"served": dict},
    ),
    "call.ended": Kind(
        "who or what ended it; broken: the line was lost, the caller may still be there",
        {"reason": str},
        {"broken": bool},
    ),
    "call.transferred": Kind("the leg was handed on", {"to": str}),
    "dtmf": Kind("a digit; calls note `keys.pressed` instead", {"digit": str}),
    "keys.pressed": Kind("so many keys, never which: they may be a card's", {"count": int}),
    # Consent: see `records/consent.py`; `judge` makes the last three.
    "consent.asked": Kind("the question as it was put", {"text": str}),
    "consent.answered": Kind(
        "what the caller said to it and what that means by rule set `rule`",
        {"text": str, "answer": str},
        {"question": str, "rule": str},
    ),
    "consent.granted": Kind("recording begins at the envelope's sample", {}, {"rule": str}),
    "consent.refused": Kind("no recording", {}, {"rule": str}),
    "consent.withdrawn": Kind("recording ends", {}, {"text": str}),
    "audio.segment": Kind(
        "recorded audio, by reference; read back it has `mulaw` (bytes), or was `erased`",
        {"channel": str, "start": int, "samples": int},
        {"mulaw": bytes, "erased": bool},
    ),
    # The caller's turn.
    "utterance.started": Kind("the caller began to speak (envelope's sample)"),
    "utterance.ended": Kind("the caller stopped speaking (envelope's sample)"),
    "transcript.interim": Kind("what is heard so far", {"text": str}, {"endpoint": str}),
    "transcript.final": Kind(
        "what was heard; words as [text, start sample, end sample]",
        {"text": str},
        {"words": list, "endpoint": str},
    ),
    "utterance.lost": Kind(
        "no recogniser could tell what the caller said, who spoke for so long",
        {"voiced_s": _NUMBER},
    ),
    # The agent's reply. Three texts: generated (by the model), spoken (given to TTS), heard.
    "reply.started": Kind(
        "a reply was decided; line: which of the persona's it begins with",
        {"turn": int},
        {"line": str},
    ),
    "phrase.spoken": Kind(
        "a phrase was given to TTS; endpoint: who wrote it, empty for a fixed line",
        {"index": int, "text": str},
        {"endpoint": str},
    ),
    "tts.started": Kind("audio of a phrase begins to come", {"phrase": int}, {"endpoint": str}),
    "tts.ended": Kind("all audio of a phrase is there", {"phrase": int}, {"samples": int}),
    "playout.queued": Kind(
        "audio was queued; the envelope's sample is when the caller will hear it",
        {"phrase": int, "samples": int},
    ),
    "playout.mark": Kind(
        "the carrier played up to a mark",
        {"name": str},
        {"phrase": int, "word_end_char": int},
    ),
    "heard": Kind(
        "all that the caller has heard of this reply; upto: its end in the spoken text",
        {"text": str, "upto": int},
    ),
    "reply.held": Kind("the caller made a sound: the agent falls silent and waits what it is"),
    "reply.resumed": Kind("it was nothing: the agent goes on with the first word not heard"),
    "speculation.started": Kind("a model was asked before the caller's turn had surely ended"),
    "speculation.confirmed": Kind("the caller had said just that: the reply may be heard"),
    "speculation.wasted": Kind("the caller said something else: the reply ends unheard"),
    "barge_in": Kind("the caller took the word from the agent", {}, {"at": int}),
    "reply.ended": Kind(
        "the reply is over, said or interrupted; `lost`: no voice could say all of it",
        {"generated": str, "spoken": str, "heard": str, "interrupted": bool},
        {"lost": bool},
    ),
    "step.started": Kind("a model step began (envelope's step)"),
    "step.settled": Kind("a model step is over", {"reason": str}),
    # Attempts: losers and hedges too.
    "attempt.started": Kind(
        "kind: primary, hedge or rescue; prefix: what it continues",
        {"endpoint": str, "kind": str},
        {**_ATTEMPT, "model": str, "failure_domain": str, "prefix": str},
    ),
    "attempt.request": Kind(
        "the request as sent, without keys", {"request": dict | list | str}, _ATTEMPT
    ),
    "attempt.delta": Kind(
        "one useful token as received; n counts them from 0",
        {"n": int},
        {**_ATTEMPT, "text": str, "tool": dict},
    ),
    "attempt.ended": Kind(
        "outcome: won, lost, failed, cancelled; usage as {prompt_tokens, completion_tokens}",
        {"outcome": str},
        {
            **_ATTEMPT,
            "fault": str | None,
            "detail": str | None,
            "usage": dict | None,
            "finish": str | None,
            "cost": _NUMBER | None,
        },
    ),
    "attempt.suspected": Kind(
        "it fell silent, or it is slower than it is spoken, and another was launched beside it",
        {"endpoint": str, "fault": str, "silent_s": _NUMBER, "queued_s": _NUMBER},
        {"chars_per_s": _NUMBER | None},
    ),
    "step.planned": Kind(
        "which endpoints a model step tries in which order, and by which delays (`core.routing`)",
        {"candidates": list, "hedge_after_s": _NUMBER, "recovery_q95_s": _NUMBER},
        {"gap_floor_s": _NUMBER, "gap_floor_empty_s": _NUMBER, "late_s": _NUMBER},
    ),
    "filler.said": Kind(
        "an answer was long in coming; the line is no part of it, nor of the heard text",
        {"text": str, "endpoint": str, "waited_s": _NUMBER},
    ),
    "endpoint.state": Kind(
        "who may be sent to an endpoint changed, for all calls of the worker: open (probes only), "
        "half_open, misconfigured (nobody, until a person has mended it: page)",
        {"endpoint": str, "state": str},
        {"why": str, "page": bool},
    ),
    "phrase.lost": Kind("no synthesiser of the route could say it", {"index": int, "text": str}),
    "failover": Kind(
        "the reply went on elsewhere; queued_s: audio that the caller still had to hear",
        {"from": str, "to": str, "fault": str},
        {**_ATTEMPT, "kind": str, "committed_chars": int, "queued_s": _NUMBER, "phrase": int},
    ),
    "fault.injected": Kind("a drill: this endpoint was made to fail", {"endpoint": str}),
    # The world.
    "tool.intent": Kind(
        "durable before the tool runs; id: the model's own",
        {"key": str, "name": str, "arguments": str | dict},
        {"id": str},
    ),
    "tool.done": Kind("what it answered", {"key": str, "content": str}, {"then": str}),
    "egress": Kind(
        "bytes left, or were refused; rule: what decided it",
        {"endpoint": str, "destination": str, "data_class": str, "allowed": bool},
        {"rule": str, "bytes": int},
    ),
}


def problems(type: str, data: Mapping[str, object]) -> list[str]:
    """What is wrong with the payload of an event; an unknown type or key is never wrong."""
    kind = KINDS.get(type)
    if kind is None:
        return []
    found = [f"{type}: key {key!r} is missing" for key in kind.needs if key not in data]
    for key, shape in {**kind.needs, **kind.may}.items():
        if key in data and not _is(data[key], shape):
            found.append(f"{type}: key {key!r} is {_name(data[key])}, not {shape}")
    return found


def get(event: Event, key: str, shape: type[T]) -> T:
    """Key *key* of the payload; `RecordError` if it is missing or of another type."""
    if key not in event.data:
        raise RecordError(f"event {event.id} ({event.type}): key {key!r} is missing")
    return get_or(event, key, shape, cast("T", None))


def get_or(event: Event, key: str, shape: type[T], default: T) -> T:
    """Like `get`, but *default* if the key is missing or null."""
    value = event.data.get(key)
    if value is None:
        return default
    if not _is(value, shape):
        raise RecordError(
            f"event {event.id} ({event.type}): key {key!r} is {_name(value)}, not {shape.__name__}"
        )
    return cast("T", value)


def _is(value: object, shape: Any) -> bool:
    # JSON has one kind of number; a bool is an int only to Python.
    if isinstance(value, bool):
        return isinstance(True, shape) and shape is not int and shape != _NUMBER
    if isinstance(value, int) and shape is float:
        return True
    return isinstance(list(value) if isinstance(value, tuple) else value, shape)


def _name(value: object) -> str:
    return type(value).__name__
