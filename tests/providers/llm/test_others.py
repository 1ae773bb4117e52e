"""What is peculiar to Anthropic's, Google's and OpenAI's newer protocol, and to Azure."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.llm import recorded_anthropic as ant
from tests.providers.llm import recorded_gemini as gem
from tests.providers.llm import recorded_responses as res
from trunkline.contracts import Codec
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.llm.anthropic import AnthropicMessages
from trunkline.providers.llm.gemini import UNCHECKED, GeminiContent
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.providers.llm.openai_responses import OpenAIResponses
from trunkline.testing.conformance_chat import HISTORY
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
    Zone,
)

ZONE = Zone("z", "managed", "r", "eu", "p", "zero", baa=False, dpa=True, accepts=frozenset())
TURN = Endpoint("fast", LLM, "any", "gemini-3.7-flash", ZONE, "a")
PREFIX = replace(TURN, continuation="prefix")
HALF_SAID = Prompt(
    (Message("user", "When?"), Message("assistant", "We open at \n")), continue_final=True
)


def body(codec: Codec[Prompt, Delta], prompt: Prompt = HISTORY) -> Any:
    """The request body for *prompt*."""
    return json.loads(codec.encode(prompt).body)


def test_anthropic_is_asked_in_turns() -> None:
    """The greeting needs a user before it; results of tools come as the user's, ids never twice."""
    request = AnthropicMessages(TURN).encode(HISTORY)
    assert (request.path, request.headers["anthropic-version"]) == ("messages", "2023-06-01")
    schema = {"type": "object", "properties": {"day": {"type": "string"}}}
    assert json.loads(request.body) == {
        "model": "gemini-3.7-flash",
        "max_tokens": 99,
        "system": "Be brief.",
        "stream": True,
        "tools": [{"name": "book", "description": "Books.", "input_schema": schema}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "..."}]},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "Riverside Dental, how can I help?"}],
            },
            {"role": "user", "content": [{"type": "text", "text": "Thursday?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "fc_1", "name": "book", "input": {"day": "Thu"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "fc_1", "content": '{"ok":true}'}
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "fc_1_2", "name": "book", "input": {"day": "Thu"}}
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "fc_1_2", "content": "no"}],
            },
        ],
    }


def test_gemini_is_asked_in_turns() -> None:
    """Results name the function; a call that another model made is marked as unchecked."""
    request = GeminiContent(TURN).encode(HISTORY)
    assert request.path == "models/gemini-3.7-flash:streamGenerateContent"
    assert request.query == (("alt", "sse"),)
    sent = json.loads(request.body)
    assert sent["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert sent["generationConfig"] == {"maxOutputTokens": 99, "temperature": 0.3}
    assert sent["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["type"] == "object"
    call = {"id": "fc_1", "name": "book", "args": {"day": "Thu"}}
    answer = {"id": "fc_1", "name": "book", "response": {"ok": True}}
    assert [it["role"] for it in sent["contents"]] == ["user", "model"] * 3 + ["user"]
    assert sent["contents"][3]["parts"] == [
        {"text": "Let me see."},
        {"functionCall": call, "thoughtSignature": UNCHECKED},
    ]
    assert sent["contents"][4]["parts"] == [{"functionResponse": answer}]
    assert sent["contents"][6]["parts"][0]["functionResponse"]["response"] == {"output": "no"}


def signatures(model: str, prompt: Prompt) -> list[str | None]:
    """What *model* gets to see beside each call of *prompt*."""
    sent = body(GeminiContent(replace(TURN, model=model)), prompt)
    parts = [part for turn in sent["contents"] for part in turn["parts"]]
    return [part.get("thoughtSignature") for part in parts if "functionCall" in part]


def test_a_signature_goes_back_to_the_model_that_wrote_it() -> None:
    """To another one it would be corrupted; earlier turns and older models are not checked."""
    decoder = GeminiContent(TURN).decoder()
    deltas = [delta for event in gem.TOOL for delta in decoder.feed(event)]
    calls = tuple(
        ToolCall(it.id, it.name, it.arguments, it.signature)
        for it in deltas
        if isinstance(it, ToolCallDelta)
    )
    step = [
        Message("user", "Thursday?"),
        Message("assistant", "", calls),
        *(Message("tool", "{}", tool_call_id=it.id) for it in calls),
    ]
    now = Prompt(tuple(step))
    assert signatures("gemini-3.7-flash", now) == ["EpEgCo4g", None]
    assert signatures("gemini-3.8-flash", now) == [UNCHECKED, None]
    assert signatures("gemini-2.5-flash", now) == [None, None]
    before = Prompt((*step, Message("assistant", "Done."), Message("user", "Thanks.")))
    assert signatures("gemini-3.7-flash", before) == ["EpEgCo4g", None]
    assert signatures("gemini-3.8-flash", before) == [None, None]


def test_responses_are_asked_with_items_and_without_being_kept() -> None:
    """Instructions, messages, calls and their outputs; nothing is stored, no tool is strict."""
    request = OpenAIResponses(TURN).encode(HISTORY)
    sent = json.loads(request.body)
    assert (request.path, sent["instructions"]) == ("responses", "Be brief.")
    assert (sent["store"], sent["stream"], sent["max_output_tokens"]) == (False, True, 99)
    assert (sent["tools"][0]["name"], sent["tools"][0]["strict"]) == ("book", False)
    made = {"type": "function_call", "name": "book", "arguments": '{"day":"Thu"}'}
    assert sent["input"] == [
        {"role": "assistant", "content": "Riverside Dental, how can I help?"},
        {"role": "user", "content": "Thursday?"},
        {"role": "assistant", "content": "Let me see."},
        {**made, "call_id": "fc_1"},
        {"type": "function_call_output", "call_id": "fc_1", "output": '{"ok":true}'},
        {**made, "call_id": "fc_1_2"},
        {"type": "function_call_output", "call_id": "fc_1_2", "output": "no"},
    ]
    probe = Prompt((Message("user", "Say: ok"),), max_tokens=1)
    assert body(OpenAIResponses(TURN), probe)["max_output_tokens"] == 16


def test_later_system_messages() -> None:
    """They join the one system text, or come from the developer, where they stand."""
    prompt = Prompt((*HISTORY.messages[:3], Message("system", "Hurry.")))
    assert body(AnthropicMessages(TURN), prompt)["system"] == "Be brief.\n\nHurry."
    last = body(OpenAIResponses(TURN), prompt)["input"][-1]
    assert last == {"role": "developer", "content": "Hurry."}


@pytest.mark.parametrize("make", [AnthropicMessages, GeminiContent])
def test_the_user_has_the_last_word_unless_a_prefix_is_continued(
    make: Callable[[Endpoint], Codec[Prompt, Delta]],
) -> None:
    """Both refuse a request that ends with the model's turn, but for models that continue it."""

    def last(endpoint: Endpoint, prompt: Prompt) -> tuple[str, str]:
        sent = body(make(endpoint), prompt)
        turn = (sent.get("messages") or sent.get("contents"))[-1]
        return turn["role"], (turn.get("content") or turn.get("parts"))[-1]["text"]

    assert last(PREFIX, HALF_SAID)[0] in {"assistant", "model"}
    assert last(PREFIX, HALF_SAID)[1] == "We open at", "after a space models lose the thread"
    spoke_twice = replace(HALF_SAID, continue_final=False)
    assert last(PREFIX, spoke_twice) == last(TURN, spoke_twice) == ("user", "...")


@pytest.mark.parametrize("make", [AnthropicMessages, GeminiContent, OpenAIResponses])
def test_a_prefix_is_not_sent_where_it_would_be_refused(
    make: Callable[[Endpoint], Codec[Prompt, Delta]],
) -> None:
    """It would cost the caller an attempt."""
    with pytest.raises(InputError, match="does not continue a prefix"):
        make(TURN).encode(HALF_SAID)


def test_arguments_that_are_no_object() -> None:
    """What a model wrote wrongly is shown to the next one, where the protocol wants an object."""
    calls = (ToolCall("a", "book", '{"day":'), ToolCall("b", "hours", ""))
    answers = (Message("tool", "", tool_call_id="a"), Message("tool", "", tool_call_id="b"))
    prompt = Prompt((Message("user", "hi"), Message("assistant", " ", calls), *answers))
    blocks = body(AnthropicMessages(TURN), prompt)["messages"][1]["content"]
    assert [it["input"] for it in blocks] == [{"unreadable": '{"day":'}, {}]
    assert body(OpenAIResponses(TURN), prompt)["input"][2]["arguments"] == "{}"


def test_extra_is_laid_over_the_body() -> None:
    """Field by field inside of mappings; None takes a field out."""
    quick = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}, "temperature": None}}
    sent = body(GeminiContent(TURN, extra=quick))
    assert sent["generationConfig"] == {
        "maxOutputTokens": 99,
        "thinkingConfig": {"thinkingBudget": 0},
    }


@pytest.mark.parametrize("model", ["", "gemini?key=", "a/b/c", "../files", "gemini 3"])
def test_a_model_that_cannot_stand_in_an_address(model: str) -> None:
    """It is refused when the worker starts."""
    with pytest.raises(InputError, match="no name"):
        GeminiContent(replace(TURN, model=model))


def test_azure() -> None:
    """The key in its own header, the version in the query."""
    codec = OpenAIChat(TURN, key_header="api-key", api_version="2024-10-21")
    assert codec.credentials("secret") == {"api-key": "secret"}
    assert codec.encode(HISTORY).query == (("api-version", "2024-10-21"),)
    assert OpenAIChat(TURN).encode(HISTORY).query == ()


def ends(codec: Codec[Prompt, Delta], events: Sequence[bytes]) -> Fault | str:
    """How a stream ends: with a fault, or a reason."""
    decoder, said = codec.decoder(), list[Delta]()
    try:
        for event in events:
            said += decoder.feed(event)
        said += decoder.end()
    except EndpointError as error:
        return error.fault
    assert isinstance(said[-1], Finish)
    return said[-1].reason


ANT_TEXT = [*ant.THINKING[:8]]
FILTER = b"Output blocked by content filtering policy"
ANT_ERROR = b'{"type":"error","error":{"type":"%s","message":"%s"}}'


@pytest.mark.parametrize(
    ("make", "events", "end"),
    [
        (AnthropicMessages, [*ANT_TEXT, ant.OVERLOADED], Fault.UNAVAILABLE),
        (AnthropicMessages, [ANT_ERROR % (b"rate_limit_error", b"slow")], Fault.THROTTLED),
        (AnthropicMessages, [ANT_ERROR % (b"authentication_error", b"who?")], Fault.REFUSED),
        (AnthropicMessages, [ANT_ERROR % (b"new_error", b"?")], Fault.UNAVAILABLE),
        (AnthropicMessages, [ANT_ERROR % (b"invalid_request_error", FILTER)], "content_filter"),
        (AnthropicMessages, [*ANT_TEXT, ant.reason(b"max_tokens")], "length"),
        (AnthropicMessages, [*ANT_TEXT, ant.reason(b"stop_sequence")], "stop"),
        (AnthropicMessages, [ant.start(), ant.reason(b"end_turn"), ant.END], Fault.EMPTY),
        (AnthropicMessages, [ant.TOOL[4], ant.TOOL[4]], Fault.MALFORMED),
        (GeminiContent, [gem.TEXT[0], gem.OVERLOADED], Fault.UNAVAILABLE),
        (GeminiContent, [gem.QUOTA], Fault.THROTTLED),
        (GeminiContent, [b'{"error":{"code":403,"message":"no"}}'], Fault.REFUSED),
        (GeminiContent, [gem.parts(b'{"text": "a"}', b"MAX_TOKENS")], "length"),
        (GeminiContent, [gem.parts(b'{"text": "a"}', b"RECITATION")], "content_filter"),
        (GeminiContent, [gem.parts(b'{"text": "a"}', b"OTHER")], Fault.UNAVAILABLE),
        (GeminiContent, [gem.parts(b"", b"MALFORMED_FUNCTION_CALL")], Fault.MALFORMED),
        (GeminiContent, [gem.parts(b"", b"MISSING_THOUGHT_SIGNATURE")], Fault.REFUSED),
        (GeminiContent, [gem.END], Fault.EMPTY),
        (OpenAIResponses, res.QUOTA, Fault.REFUSED),
        (OpenAIResponses, res.FAILED, Fault.THROTTLED),
        (OpenAIResponses, [*res.TEXT[:7], res.ERROR], Fault.UNAVAILABLE),
        (OpenAIResponses, [res.failed(b"invalid_prompt", b"flagged")], "content_filter"),
        (OpenAIResponses, [*res.TEXT[:7], res.incomplete(b"max_output_tokens")], "length"),
        (OpenAIResponses, [*res.TEXT[:7], res.incomplete(b"steered")], Fault.UNAVAILABLE),
        (OpenAIResponses, [res.incomplete(b"content_filter")], "content_filter"),
        (OpenAIResponses, [res.CREATED, res.COMPLETED], Fault.EMPTY),
    ],
)
def test_how_streams_end(
    make: Callable[[Endpoint], Codec[Prompt, Delta]], events: Sequence[bytes], end: Fault | str
) -> None:
    """Errors inside of streams, and every reason to stop, as what they are."""
    assert ends(make(TURN), events) == end


def test_arguments_that_come_whole() -> None:
    """Some servers of the protocol send no pieces: the whole counts, but only once."""
    decoder = OpenAIResponses(TURN).decoder()
    whole = [res.TOOL[0], *res.TOOL[4:]]
    deltas = [delta for event in whole for delta in decoder.feed(event)]
    calls = [it for it in deltas if isinstance(it, ToolCallDelta)]
    assert "".join(it.arguments for it in calls) == '{"day":"Thu"}'
    assert [it.id for it in calls if it.id] == ["call_2FQd"]


def test_text_that_a_block_begins_with() -> None:
    """It is said, too."""
    decoder = AnthropicMessages(TURN).decoder()
    assert decoder.feed(ant.block(0, b'"type":"text","text":"We"')) == (TextDelta("We"),)


@pytest.mark.parametrize(
    ("make", "status", "said", "meant"),
    [
        (AnthropicMessages, 529, ant.OVERLOADED, Fault.UNAVAILABLE),
        (AnthropicMessages, 400, ANT_ERROR % (b"invalid_request_error", FILTER), "content_filter"),
        (
            AnthropicMessages,
            429,
            b'{"type":"error","error":{"type":"rate_limit_error","message":"spent",'
            b'"details":{"error_code":"enforced_spend_limit_reached"}}}',
            Fault.REFUSED,
        ),
        (AnthropicMessages, 429, ANT_ERROR % (b"rate_limit_error", b"slow"), Fault.THROTTLED),
        (OpenAIResponses, 429, b'{"error":{"code":"insufficient_quota"}}', Fault.REFUSED),
        (OpenAIResponses, 400, b'{"error":{"code":"invalid_prompt"}}', "content_filter"),
        (GeminiContent, 429, gem.QUOTA, Fault.THROTTLED),
    ],
)
def test_refusals(
    make: Callable[[Endpoint], Codec[Prompt, Delta]], status: int, said: bytes, meant: Fault | str
) -> None:
    """Where the body tells more than the status."""
    told = make(TURN).refusal(status, {}, said)
    if isinstance(meant, Fault):
        assert isinstance(told, EndpointError)
        assert told.fault is meant
    else:
        assert told == (Finish(meant),)


def test_gemini_says_in_the_body_when_to_come_back() -> None:
    """A header, if there is one, knows better."""
    codec = GeminiContent(TURN)
    waits = [codec.refusal(429, headers, gem.QUOTA) for headers in ({}, {"retry-after": "2"})]
    assert [it.retry_after_s for it in waits if isinstance(it, EndpointError)] == [34.4, 2.0]
