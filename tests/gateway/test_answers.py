"""Chat completions as a client reads them."""

import json

from trunkline.gateway.answers import Chunks, broken, comment, whole
from trunkline.gateway.refusals import Refusal
from trunkline.types import ToolCall, ToolCallDelta, Usage


def events(stream: bytes) -> list[dict[str, object]]:
    """The events of *stream*, without comments."""
    lines = stream.decode().split("\n\n")
    return [json.loads(it.removeprefix("data: ")) for it in lines if it.startswith("data: ")]


def test_a_stream_has_one_id_and_one_role() -> None:
    """Each token is an event of its own; signs are escaped."""
    chunks = Chunks("chatcmpl-1", "fast", 7, usage=False)
    told = events(chunks.text(["We\n", '"are"']) + chunks.text(["öpen"]) + chunks.finish("stop"))
    assert {it["id"] for it in told} == {"chatcmpl-1"}
    assert {it["object"] for it in told} == {"chat.completion.chunk"}
    choices = [it["choices"][0] for it in told]  # type: ignore[index]  # it is a list
    assert [it["delta"] for it in choices] == [
        {"role": "assistant", "content": ""},
        {"content": "We\n"},
        {"content": '"are"'},
        {"content": "öpen"},
        {},
    ]
    assert [it["finish_reason"] for it in choices] == [None] * 4 + ["stop"]


def test_token_counts_come_in_an_event_without_choices() -> None:
    """Where they were asked for; all other events say null then."""
    chunks = Chunks("chatcmpl-1", "fast", 7, usage=True)
    text, usage = events(chunks.text(["We"]) + chunks.usage(Usage(3, 4)))[1:]
    assert text["usage"] is None
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_a_tool_call_names_itself_once() -> None:
    """Its first part has id, type and name."""
    chunks = Chunks("chatcmpl-1", "fast", 7, usage=False)
    parts = chunks.tool(ToolCallDelta(0, "c1", "look", "")) + chunks.tool(
        ToolCallDelta(0, "", "", "{}")
    )
    first, second = (it["choices"][0]["delta"] for it in events(parts)[1:])  # type: ignore[index]  # it is a list
    assert first["tool_calls"] == [
        {"index": 0, "function": {"arguments": "", "name": "look"}, "id": "c1", "type": "function"}
    ]
    assert second["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]


def test_comments_and_errors_are_lines_of_their_own() -> None:
    """A comment is read past, an error is an event."""
    assert comment({"endpoint": "a"}) == b': trunkline {"endpoint":"a"}\n\n'
    assert events(broken(Refusal(503, "gone").body))[0]["error"]["type"] == "server_error"  # type: ignore[index]  # it is an object


def test_one_body_has_everything() -> None:
    """Text, tool calls, reason, and the counts if they are known."""
    call = ToolCall("c1", "look", "{}")
    body = json.loads(whole("id", "fast", 7, "", (call,), "tool_calls", Usage(1, 2)))
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": "{}"}
    assert body["usage"]["total_tokens"] == 3
    assert "usage" not in json.loads(whole("id", "fast", 7, "Yes", (), "stop", None))
