"""Events of chat completions that came together are what they are one by one."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import EndpointError
from trunkline.net.sse import SseParser
from trunkline.providers.llm.openai_stream import ChatDecoder
from trunkline.types import Delta


def chunk(delta: dict[str, object], **more: object) -> bytes:
    """One chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": None} | more
    return msgspec.json.encode({"id": "x", "choices": [choice]})


CALL = {"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}
EVENTS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "We"}),
    chunk({"content": " \n"}),
    chunk({"content": "are"}, index=1),
    chunk({"refusal": "No."}),
    chunk({"tool_calls": [CALL]}),
    chunk({}, finish_reason="stop"),
    chunk({}, finish_reason="error"),
    b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
    b'{"choices":[{"index":0,"delta":null}]}',
    b'{"error":{"message":"full","code":"overloaded"}}',
    b'{"choices":[]}',
    b'{},{"choices":[]}',
    b'{"choices": [{"del',
    b"\xff",
    b"",
    b"[DONE]",
]


def one_by_one(events: Sequence[bytes]) -> tuple[list[Delta], str]:
    """What comes of *events*, and the error that ends them."""
    decoder, deltas = ChatDecoder("there"), list[Delta]()
    try:
        for event in events:
            deltas += decoder.feed(event)
    except EndpointError as error:
        return deltas, str(error)
    return deltas, ""


def together(batches: Sequence[Sequence[bytes]]) -> tuple[list[Delta], str]:
    """The same, in *batches*."""
    decoder, deltas = ChatDecoder("there"), list[Delta]()
    try:
        for batch in batches:
            decoder.feed_all(batch, deltas)
    except EndpointError as error:
        return deltas, str(error)
    return deltas, ""


@given(st.lists(st.lists(st.sampled_from(EVENTS), max_size=8), max_size=4))
def test_together_is_one_by_one(batches: list[list[bytes]]) -> None:
    """Whatever they are, and also what is wrong with them."""
    assert together(batches) == one_by_one([event for batch in batches for event in batch])


@given(st.lists(st.sampled_from([b"a", b"{}", b""]), min_size=1, max_size=6), st.booleans())
def test_plain_events_are_parsed_as_all_others(events: list[bytes], comment: bool) -> None:
    """The short way through the parser leads to the same events."""
    stream = b"".join(b"data: %s\n\n" % it for it in events) + b": x\n\n" * comment
    parser, by_sign = SseParser("there"), SseParser("there")
    signs = [event for at in range(len(stream)) for event in by_sign.feed(stream[at : at + 1])]
    assert list(parser.feed(stream)) == signs
