"""OpenAI's Responses API: requests as they are read, answers as a client reads them."""

import json
from typing import Any

import pytest

from trunkline.gateway.answers import Head, Whole
from trunkline.gateway.refusals import Refusal
from trunkline.gateway.requests import Ask
from trunkline.gateway.response_requests import UNSUPPORTED, read_responses
from trunkline.gateway.responses import Events, body
from trunkline.providers.llm.openai_responses_stream import ResponsesDecoder
from trunkline.types import (
    Delta,
    Finish,
    Message,
    Prompt,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolSpec,
    Usage,
)

HEAD = Head("resp_1", "fast", 7)
ASK = Ask("fast", Prompt(()), stream=True, usage=True, given={"instructions": "Be kind."})


def read(**more: object) -> Ask:
    """The request with these fields."""
    return read_responses(json.dumps({"model": "fast", "input": "When?"} | more).encode())


def events(stream: bytes) -> list[dict[str, Any]]:
    """The events of *stream*; each is named twice, alike, and they are numbered."""
    told = []
    for block in stream.decode().split("\n\n"):
        if block.startswith("event: "):
            name, data = block.split("\n")
            told.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {told[-1]['type']}"
    assert [it["sequence_number"] for it in told] == list(range(len(told)))
    return told


def decoded(stream: bytes) -> list[Delta]:
    """What a codec of this protocol makes of *stream*."""
    decoder, deltas = ResponsesDecoder("a"), list[Delta]()
    for event in events(stream):
        deltas += decoder.feed(json.dumps(event).encode())
    return deltas


def test_a_text_is_opened_filled_and_closed() -> None:
    """In OpenAI's order, and the last event has all of it."""
    writer = Events(HEAD, ASK)
    stream = writer.text(["We ", "are"]) + writer.text([" öpen."])
    stream += writer.end("stop", Usage(3, 4), {"endpoint": "a"})
    assert b': trunkline {"endpoint":"a"}\n\n' in stream
    told = events(stream)
    assert [it["type"].removeprefix("response.") for it in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 3,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    answer = told[-1]["response"]
    assert answer["status"] == "completed"
    assert answer["instructions"] == "Be kind."
    assert answer["output"] == [told[-2]["item"]]
    assert answer["output"][0]["content"][0]["text"] == "We are öpen."
    assert answer["usage"]["total_tokens"] == 7
    assert decoded(stream) == [
        TextDelta("We "),
        TextDelta("are"),
        TextDelta(" öpen."),
        Finish("stop", Usage(3, 4)),
    ]


def test_calls_are_items_of_their_own() -> None:
    """Behind the text, each with its own place and id."""
    writer = Events(HEAD, ASK)
    stream = writer.text(["Let me see."])
    stream += writer.tool(ToolCallDelta(0, "c1", "look", "")) + writer.tool(
        ToolCallDelta(0, "", "", '{"at":1}')
    )
    stream += writer.tool(ToolCallDelta(1, "c2", "book", "{}"))
    stream += writer.end("tool_calls", None, {})
    items = events(stream)[-1]["response"]["output"]
    assert [it["type"] for it in items] == ["message", "function_call", "function_call"]
    assert [it.get("call_id") for it in items] == [None, "c1", "c2"]
    assert items[1]["arguments"] == '{"at":1}'
    assert len({it["id"] for it in items}) == 3
    calls = [it for it in decoded(stream) if isinstance(it, ToolCallDelta)]
    assert "".join(it.arguments for it in calls if it.index == calls[0].index) == '{"at":1}'
    assert [it.name for it in calls if it.name] == ["look", "book"]


@pytest.mark.parametrize(
    ("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_ended_is_incomplete(reason: str, why: str) -> None:
    """And says why."""
    writer = Events(HEAD, ASK)
    told = events(writer.text(["We "]) + writer.end(reason, None, {}))
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["incomplete_details"] == {"reason": why}
    assert told[-2]["item"]["status"] == "incomplete"


def test_an_answer_that_failed_says_so() -> None:
    """What was said stays, incomplete."""
    writer = Events(HEAD, ASK)
    last = events(writer.text(["We "]) + writer.broken(Refusal(503, "a: cut"), {}))[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "a: cut"}
    assert last["response"]["output"][0]["content"][0]["text"] == "We "


def test_one_body_has_everything() -> None:
    """Text and calls, as in the last event of a stream."""
    call = ToolCall("c1", "look", "{}")
    answer = json.loads(body(HEAD, ASK, Whole("Yes.", (call,), "tool_calls", Usage(1, 2))))
    assert [it["type"] for it in answer["output"]] == ["message", "function_call"]
    assert (answer["status"], answer["object"], answer["created_at"]) == (
        "completed",
        "response",
        7,
    )
    assert answer["usage"]["output_tokens"] == 2


def test_a_request_becomes_a_prompt() -> None:
    """Instructions, a conversation with calls and results, tools, limits."""
    ask = read(
        instructions="Be kind.",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "When?"}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "nine"},
            {"role": "developer", "content": "Be short."},
        ],
        tools=[{"type": "function", "name": "look", "parameters": {"type": "object"}}],
        max_output_tokens=50,
        temperature=0,
        stream=True,
        store=False,
    )
    assert ask.prompt == Prompt(
        (
            Message("system", "Be kind."),
            Message("user", "When?"),
            Message("assistant", "", (ToolCall("c1", "look", "{}"),)),
            Message("tool", "nine", tool_call_id="c1"),
            Message("system", "Be short."),
        ),
        (ToolSpec("look", "", {"type": "object"}),),
        50,
        0,
    )
    assert ask.stream
    assert ask.given["max_output_tokens"] == 50


def test_what_both_apis_know_becomes_an_option() -> None:
    """In the words of chat completions."""
    ask = read(
        tool_choice={"type": "function", "name": "look"},
        top_p=0.5,
        reasoning={"effort": "low"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
        tools=[{"type": "function", "name": "look", "parameters": {}, "strict": True}],
    )
    assert ask.prompt.options == {
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "top_p": 0.5,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "verbosity": "low",
        "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {}, "strict": True}}
        ],
    }


@pytest.mark.parametrize("name", [*UNSUPPORTED, "surprise"])
def test_what_cannot_be_honoured_is_refused_by_name(name: str) -> None:
    """Nothing is ignored."""
    with pytest.raises(Refusal) as refused:
        read(**{name: "something"})
    assert refused.value.param == name


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"input": []}, "input"),
        ({"input": [{"content": "x"}]}, "input"),
        ({"input": [{"type": "function_call"}]}, "input"),
        ({"input": [{"type": "function_call_output"}]}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], param: str) -> None:
    """So that a client can mend it."""
    with pytest.raises(Refusal) as refused:
        read(**fields)
    assert str(refused.value.param).startswith(param)
