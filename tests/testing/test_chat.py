"""The scripted model's wire format: read by our own codec, it is what the model said."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError
from trunkline.net.sse import SseParser
from trunkline.providers.embedded.chat import ChatReply
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.testing.chat import (
    ChatRequest,
    Completion,
    FixedModel,
    opening_hours,
    parse_request,
    tokens,
)
from trunkline.types import (
    LLM,
    Delta,
    Endpoint,
    Finish,
    Message,
    Prompt,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolSpec,
    Usage,
    Zone,
)

ZONE = Zone("z", "managed", "r", "eu", "p", "zero", baa=False, dpa=True, accepts=frozenset())
PREFIX = Endpoint("own", LLM, "openai", "llama", ZONE, "b", continuation="prefix")
PROMPT = Prompt((Message("system", "Be brief."), Message("user", "When are you open?")))


def asked(prompt: Prompt = PROMPT) -> ChatRequest:
    """The request for *prompt* as our codec writes it and the server reads it."""
    return parse_request(OpenAIChat(PREFIX).encode(prompt).body)


def streamed(completion: Completion, said: int | None = None) -> list[Delta]:
    """What our codec reads of a whole stream."""
    said = len(completion.deltas) if said is None else said
    decoder, parser = OpenAIChat(PREFIX).decoder(), SseParser("own")
    wire = [completion.role(), *map(completion.token, range(said)), completion.finish(said)]
    return [d for event in parser.feed(b"".join(wire)) for d in decoder.feed(event)]


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    """Not a character is lost, added or moved, and none is empty."""
    assert "".join(tokens(text)) == text
    assert all(tokens(text))


def test_tokens_per_word() -> None:
    """English comes out at about 1.35 tokens a word, as in real tokenizers."""
    text = (
        opening_hours().answer.text
        + " You can reach us by telephone on weekdays. For an emergency, please come in at once;"
        " otherwise the receptionist will find you an appointment. Bring your insurance card."
    )
    assert len(tokens(text)) / len(text.split()) == pytest.approx(1.35, abs=0.05)
    assert tokens("Dr. Nakamura's appointment") == [
        "Dr",
        ".",
        " Nakamu",
        "ra",
        "'",
        "s",
        " appoin",
        "tment",
    ]


@given(st.text(min_size=1).filter(str.strip), st.booleans())
def test_text_survives_the_wire(text: str, stream: bool) -> None:
    """Whatever the model says arrives exactly, in both forms of the answer."""
    completion = Completion(asked(), ChatReply(text), 1)
    deltas = streamed(completion)
    assert "".join(d.text for d in deltas if isinstance(d, TextDelta)) == text
    assert deltas[-1] == Finish("stop", Usage(8, len(tokens(text))))
    whole = json.loads(completion.whole(len(completion.deltas)))
    assert whole["choices"][0]["message"]["content"] == text


def test_tool_calls_are_split() -> None:
    """Id and name come first, the arguments in several pieces, two calls one after the other."""
    calls = (ToolCall("a", "book", '{"day": "Thu"}'), ToolCall("b", "note", "{}"))
    completion = Completion(asked(), ChatReply("One moment.", calls), 1)
    deltas = [d for d in streamed(completion) if isinstance(d, ToolCallDelta)]
    for index, call in enumerate(calls):
        mine = [d for d in deltas if d.index == index]
        assert (mine[0].id, mine[0].name, mine[0].arguments) == (call.id, call.name, "")
        assert "".join(d.arguments for d in mine) == call.arguments
    assert len([d for d in deltas if d.index == 0]) > 3
    assert all(a.index <= b.index for a, b in pairwise(deltas))
    assert streamed(completion)[-1] == Finish("tool_calls", Usage(8, len(completion.deltas)))
    message = json.loads(completion.whole(1))["choices"][0]["message"]
    assert [c["function"]["name"] for c in message["tool_calls"]] == ["book", "note"]


def test_the_limit_of_tokens() -> None:
    """A reply that is too long is cut at the limit and says so."""
    request = asked(Prompt(PROMPT.messages, max_tokens=5))
    deltas = streamed(Completion(request, opening_hours().answer, 1))
    assert len(deltas) == 6
    assert deltas[-1] == Finish("length", Usage(8, 5))


def test_usage_only_if_asked_for() -> None:
    """Without `include_usage` there is no usage chunk."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    completion = Completion(parse_request(json.dumps(body).encode()), ChatReply("Yes."), 1)
    assert streamed(completion)[-1] == Finish("stop")


def test_the_request_survives_the_wire() -> None:
    """The model sees the prompt that was sent."""
    prompt = Prompt(
        (
            Message("user", "Thursday?"),
            Message("assistant", "", (ToolCall("c", "book", "{}"),)),
            Message("tool", "done", tool_call_id="c"),
            Message("user", "Thanks."),
            Message("assistant", "You are"),
        ),
        (ToolSpec("book", "Books.", {"type": "object"}),),
        continue_final=True,
    )
    request = asked(prompt)
    assert request.prompt == prompt
    assert request.last_user == "Thanks."
    assert (request.model, request.stream, request.include_usage) == ("llama", True, True)


def test_content_parts_and_developer() -> None:
    """The other ways to write text and instructions mean the same."""
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"text": "lo"}]},
        ],
    }
    request = parse_request(json.dumps(body).encode())
    assert request.prompt.messages == (Message("system", "Be brief."), Message("user", "Hello"))
    assert not request.stream


def test_a_fixed_model_continues() -> None:
    """It goes on where the words in the request break off."""
    prompt = Prompt(
        (Message("user", "When?"), Message("assistant", "We open")), continue_final=True
    )
    assert FixedModel(ChatReply("We open at eight.")).reply(prompt).text == " at eight."


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not a chat completion"),
        (b"[]", "not a chat completion"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "empty"),
        (b'{"model":"m","messages":[{"role":"robot"}]}', "role"),
        (
            b'{"model":"m","messages":[{"role":"assistant"}],"continue_final_message":true}',
            "add_generation_prompt",
        ),
        (
            b'{"model":"m","messages":[{"role":"user"}],"continue_final_message":true,'
            b'"add_generation_prompt":false}',
            "assistant",
        ),
    ],
)
def test_wrong_requests(body: bytes, says: str) -> None:
    """They are refused as a real server refuses them."""
    with pytest.raises(InputError, match=says):
        parse_request(body)
