"""A chat completions request is read, or refused by the name of the field."""

import json
from typing import Any

import pytest

from trunkline.gateway.refusals import Refusal
from trunkline.gateway.requests import UNSUPPORTED, read_chat
from trunkline.types import Message, ToolCall, ToolSpec

ASKED = {"model": "fast", "messages": [{"role": "user", "content": "When?"}]}

IMAGE = {"type": "image_url"}


def refused(**more: Any) -> Refusal:
    """What is answered to a request with *more* fields."""
    with pytest.raises(Refusal) as caught:
        read_chat(json.dumps(ASKED | more).encode())
    return caught.value


def test_a_plain_request_leaves_everything_to_the_endpoint() -> None:
    """What is not asked for is not sent."""
    ask = read_chat(json.dumps(ASKED).encode())
    assert (ask.model, ask.stream, ask.usage) == ("fast", False, False)
    assert ask.prompt.messages == (Message("user", "When?"),)
    assert (ask.prompt.max_tokens, ask.prompt.temperature, ask.prompt.options) == (None, None, {})


def test_every_kind_of_message_is_understood() -> None:
    """As the SDK sends them, with what its own answers had."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    told = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "When "}, {"type": "text", "text": "?"}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call],
            "refusal": None,
            "audio": None,
        },
        {"role": "tool", "content": "9", "tool_call_id": "c1"},
        {"role": "assistant", "content": None, "refusal": "No.", "annotations": []},
    ]
    ask = read_chat(json.dumps(ASKED | {"messages": told}).encode())
    assert ask.prompt.messages == (
        Message("system", "Be brief."),
        Message("user", "When ?"),
        Message("assistant", "", (ToolCall("c1", "look", "{}"),)),
        Message("tool", "9", (), "c1"),
        Message("assistant", "No."),
    )


def test_known_fields_become_parts_of_the_prompt_and_others_its_options() -> None:
    """Nothing is dropped but what says nothing."""
    function = {"name": "look", "description": "Look", "parameters": {"type": "object"}}
    more = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 7,
        "temperature": 1,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
        "n": 1,
        "logprobs": False,
        "stop": ["\n"],
        "seed": 3,
        "user": None,
    }
    ask = read_chat(json.dumps(ASKED | more).encode())
    assert (ask.stream, ask.usage) == (True, True)
    assert (ask.prompt.max_tokens, ask.prompt.temperature) == (7, 1.0)
    assert ask.prompt.tools == (ToolSpec("look", "Look", {"type": "object"}),)
    assert ask.prompt.options == {"stop": ["\n"], "seed": 3}


def test_strict_tools_go_to_those_who_know_what_strict_is() -> None:
    """As they are, beside the plain ones."""
    tools = [{"type": "function", "function": {"name": "look", "strict": True}}]
    ask = read_chat(json.dumps(ASKED | {"tools": tools}).encode())
    assert ask.prompt.options == {"tools": tools}


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_what_cannot_be_honoured_is_refused_by_name(name: str) -> None:
    """With why, and never ignored."""
    refusal = refused(**{name: True})
    assert (refusal.status, refusal.param, refusal.code) == (400, name, "unsupported_parameter")
    assert UNSUPPORTED[name] in refusal.message


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "judge"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "colour": "red"}]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "9"}]}, "messages"),
        ({"n": 2}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(more: dict[str, Any], param: str) -> None:
    """A person reads the path of the field, and what to mend."""
    refusal = refused(**more)
    assert (refusal.status, refusal.param) == (400, param)
    assert json.loads(refusal.body)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "\xff"}'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """As a 400, not as a crash."""
    with pytest.raises(Refusal, match="body") as caught:
        read_chat(body)
    assert caught.value.status == 400
