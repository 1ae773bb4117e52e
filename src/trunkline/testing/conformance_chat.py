"""What every codec of a language model must do, as laws that take the codec; no socket is needed.

They take a `Recording`: a codec, a prompt, and the events that a provider was recorded to send.
What the stage must do that is made of it is in `conformance_chat_sockets`.

    @pytest.mark.parametrize("law", CHAT_LAWS, ids=lambda law: law.__name__)
    def test_laws(law): law(Recording(...))

A law that does not hold raises `Unlawful`, an `AssertionError`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from trunkline.contracts import Codec
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.testing.conformance import GARBAGE, Unlawful, hold
from trunkline.types import Delta, Finish, Message, Prompt, TextDelta, ToolCall, ToolSpec


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded answer: *events* are the data of its server-sent events, *deltas* what they mean.

    *complete*: how many events must have come for the answer to be known to be complete; nothing
    but ends of streams comes after them. *unknown*: an event that this protocol may bring some day.
    """

    codec: Callable[[], Codec[Prompt, Delta]]
    key: str
    events: Sequence[bytes]
    deltas: Sequence[Delta]
    complete: int
    unknown: bytes = b'{"type":"something.new","about":{"the":["future",null]}}'


TOOL = ToolSpec("book", "Books.", {"type": "object", "properties": {"day": {"type": "string"}}})
CALL = ToolCall("fc/1", "book", '{"day":"Thu"}')
HISTORY = Prompt(
    (
        Message("system", "Be brief."),
        Message("assistant", "Riverside Dental, how can I help?"),
        Message("user", "Thursday?"),
        Message("assistant", "Let me see.", (CALL,)),
        Message("tool", '{"ok":true}', tool_call_id="fc/1"),
        Message("assistant", "", (CALL,)),
        Message("tool", "no", tool_call_id="fc/1"),
    ),
    (TOOL,),
    max_tokens=99,
)
"""A call as it is: the agent greets, ids come again, a tool answers with a word."""
REFUSALS: Mapping[int, Fault] = {
    204: Fault.MALFORMED,
    302: Fault.REFUSED,
    400: Fault.REFUSED,
    401: Fault.REFUSED,
    403: Fault.REFUSED,
    404: Fault.REFUSED,
    408: Fault.UNAVAILABLE,
    413: Fault.REFUSED,
    429: Fault.THROTTLED,
    500: Fault.UNAVAILABLE,
    503: Fault.UNAVAILABLE,
    529: Fault.UNAVAILABLE,
}


def the_recorded_answer_is_understood(recording: Recording) -> None:
    """Every delta, in order, and `Finish` once and last, however late the stream ends."""
    decoder = recording.codec().decoder()
    deltas = [delta for event in recording.events for delta in decoder.feed(event)]
    deltas += decoder.end()
    hold(deltas == list(recording.deltas), f"it said {deltas}")
    hold(list(decoder.end()) == [], "it ends twice")
    again = [delta for event in recording.events for delta in decoder.feed(event)]
    hold(again == [], f"it goes on after its end: {again}")


def an_early_end_is_a_fault(recording: Recording) -> None:
    """Wherever in the answer the stream breaks off; what was said before stays said."""
    for cut in range(recording.complete):
        decoder = recording.codec().decoder()
        said = [delta for event in recording.events[:cut] for delta in decoder.feed(event)]
        hold(said == list(recording.deltas)[: len(said)], f"after {cut} events it said {said}")
        try:
            decoder.end()
        except EndpointError as error:
            hold(error.fault is Fault.CUT, f"an end after {cut} events is {error.fault}")
        else:
            raise Unlawful(f"it ended after {cut} events, and that is no fault")


def what_is_broken_is_malformed(recording: Recording) -> None:
    """Garbage is a Fault, or nothing: never an exception of a parser, never a word."""
    broken = [it.encode() if isinstance(it, str) else it for it in GARBAGE]
    for garbage in [*broken, *(event[:-2] for event in recording.events if len(event) > 20)]:
        decoder = recording.codec().decoder()
        try:
            said = decoder.feed(garbage)
        except EndpointError as error:
            hold(error.fault is Fault.MALFORMED, f"{garbage!r} is {error.fault}")
        else:
            hold(not said, f"{garbage!r} says {said}")


def what_is_unknown_is_ignored(recording: Recording) -> None:
    """An event, or a field, that the provider adds some day changes nothing."""
    decoder = recording.codec().decoder()
    deltas: list[Delta] = []
    for event in recording.events:
        deltas += decoder.feed(recording.unknown)
        if event.endswith(b"}"):
            event = event[:-1] + b',"something_new":{"deep":[1,null]}}'  # noqa: PLW2901  # the same, and more
        deltas += decoder.feed(event)
    deltas += decoder.end()
    hold(deltas == list(recording.deltas), f"it said {deltas}")


def decoders_share_nothing(recording: Recording) -> None:
    """Two answers of one codec, event by event in turn."""
    codec = recording.codec()
    pair = [codec.decoder(), codec.decoder()]
    said: list[list[Delta]] = [[], []]
    for event in recording.events:
        for mine, decoder in zip(said, pair, strict=True):
            mine.extend(decoder.feed(event))
    for mine, decoder in zip(said, pair, strict=True):
        mine.extend(decoder.end())
        hold(mine == list(recording.deltas), f"it said {mine}")


def a_status_is_a_fault(recording: Recording) -> None:
    """With the provider's words, cut short, and the time to stay away."""
    codec = recording.codec()
    for status, fault in REFUSALS.items():
        for body in (b"", b"\xff\xfe<html>" + b"x" * 9_000, b"[]", b"null", b'{"error":7}'):
            error = codec.refusal(status, {"retry-after": "3"}, body)
            if not isinstance(error, EndpointError):
                raise Unlawful(f"HTTP {status} with {body[:20]!r} is {error!r}")
            hold(error.fault is fault, f"HTTP {status} is {error.fault}")
            hold(str(status) in error.detail, f"HTTP {status} is told as {error.detail}")
            hold(len(error.detail) <= 300, "a page of HTML fills the journal")
            hold(error.retry_after_s == 3, f"HTTP {status} does not say when to come back")


def a_call_as_it_is_can_be_asked(recording: Recording) -> None:
    """Its request is JSON, streams, has the tools, and is the same each time."""
    codec = recording.codec()
    request = codec.encode(HISTORY)
    text = request.body.decode()
    hold(isinstance(json.loads(text), dict), "the body is no object")
    for word in ("Be brief.", "Riverside", "Thursday?", "Let me see.", "book", "Books.", "99"):
        hold(word in text, f"{word!r} is not in the request")
    hold(request == codec.encode(HISTORY), "asked again, it asks something else")
    headers = {name.lower(): value for name, value in request.headers.items()}
    hold(headers.get("content-type") == "application/json", f"its headers are {headers}")


def what_contradicts_itself_is_refused(recording: Recording) -> None:
    """It is our mistake, not the endpoint's: nothing is sent."""
    codec = recording.codec()
    user = Message("user", "hi")
    for prompt in (
        Prompt((user,), continue_final=True),
        Prompt((), continue_final=True),
        Prompt((user, Message("tool", "{}"))),
        Prompt((user,), (ToolSpec("t", "", {"type": object()}),)),
    ):
        try:
            codec.encode(prompt)
        except InputError:
            continue
        raise Unlawful(f"it asks {prompt}")


def the_key_is_shown_to_the_provider_alone(recording: Recording) -> None:
    """It is in the credentials, and nowhere else."""
    codec = recording.codec()
    shown = codec.credentials(recording.key)
    hold(any(recording.key in value for value in shown.values()), "nobody is shown the key")
    told = [repr(codec), repr(codec.encode(HISTORY)), repr(codec.decoder())]
    hold(not any(recording.key in it for it in told), f"the key shows in {told}")


def words_come_through_as_they_are(recording: Recording) -> None:
    """Any text of the caller, in any script, reaches the provider, and none breaks the body."""
    said = 'Zürich \u2028 "déjà\\vu" 你好 👩‍👩‍👧 \x00 </s> $(x) \ud7ff'
    request = recording.codec().encode(replace(HISTORY, messages=(Message("user", said),)))
    hold(said in _texts(json.loads(request.body)), "the caller's words are not in the request")


def _texts(tree: object) -> set[str]:
    if isinstance(tree, str):
        return {tree}
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return {text for child in children for text in _texts(child)}


def a_finish_tells_the_reason(recording: Recording) -> None:
    """In the words that all share."""
    finish = recording.deltas[-1]
    if not isinstance(finish, Finish):
        raise Unlawful("the recording has no end")
    known = {"stop", "tool_calls", "length", "content_filter"}
    hold(finish.reason in known, f"the reason is {finish.reason!r}")
    words = any(isinstance(delta, TextDelta) and delta.text.strip() for delta in recording.deltas)
    calls = any(not isinstance(delta, TextDelta | Finish) for delta in recording.deltas)
    hold(words or calls or finish.reason == "content_filter", "it said nothing, for no reason")


CHAT_LAWS: Sequence[Callable[[Recording], None]] = (
    the_recorded_answer_is_understood,
    an_early_end_is_a_fault,
    what_is_broken_is_malformed,
    what_is_unknown_is_ignored,
    decoders_share_nothing,
    a_status_is_a_fault,
    a_call_as_it_is_can_be_asked,
    what_contradicts_itself_is_refused,
    the_key_is_shown_to_the_provider_alone,
    words_come_through_as_they_are,
    a_finish_tells_the_reason,
)
