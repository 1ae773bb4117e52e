"""The chat completions codec on recorded streams and on the ways in which streams break."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.llm import recordings as rec
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.llm.openai import OpenAIChat
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
TURN = Endpoint("fast", LLM, "openai", "gpt-x", ZONE, "a")
PREFIX = Endpoint("own", LLM, "openai", "llama", ZONE, "b", continuation="prefix")
EXACT = Endpoint("own", LLM, "openai", "llama", ZONE, "b", continuation="token_exact")


def decode(events: list[bytes], *, ended: bool = True) -> list[Delta]:
    """What a stream of *events* says."""
    decoder = OpenAIChat(TURN).decoder()
    deltas = [delta for event in events for delta in decoder.feed(event)]
    return [*deltas, *(decoder.end() if ended else ())]


def fault_of(events: list[bytes]) -> tuple[Fault, list[Delta]]:
    """How a stream fails, and what it said before."""
    decoder = OpenAIChat(TURN).decoder()
    said: list[Delta] = []
    try:
        for event in events:
            said.extend(decoder.feed(event))
        said.extend(decoder.end())
    except EndpointError as error:
        return error.fault, said
    raise AssertionError(f"no fault; it said {said}")


def body(prompt: Prompt, endpoint: Endpoint = TURN, **options: object) -> dict[str, object]:
    """The request body for *prompt*."""
    codec = OpenAIChat(endpoint, **options)  # type: ignore[arg-type]  # options of one test
    request = codec.encode(prompt)
    assert request.path == "chat/completions"
    assert "authorization" not in {name.lower() for name in request.headers}
    parsed: dict[str, object] = json.loads(request.body)
    return parsed


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (
            rec.OPENAI,
            [
                TextDelta("We"),
                TextDelta(" open"),
                TextDelta(" at eight."),
                Finish("stop", Usage(14, 3)),
            ],
        ),
        (
            rec.OPENAI_TOOL,
            [
                ToolCallDelta(0, "call_c91S", "book", ""),
                ToolCallDelta(0, "", "", '{"day":'),
                ToolCallDelta(0, "", "", '"Thu"}'),
                Finish("tool_calls", Usage(14, 3)),
            ],
        ),
        (
            rec.OPENAI_REFUSAL,
            [
                TextDelta("I cannot"),
                TextDelta(" do that."),
                Finish("content_filter", Usage(14, 3)),
            ],
        ),
        (rec.AZURE, [TextDelta("Yes."), Finish("stop")]),
        (rec.AZURE_FILTERED, [Finish("content_filter")]),
        (rec.VLLM, [TextDelta("Eight."), Finish("stop", Usage(14, 9))]),
        (rec.SGLANG, [TextDelta("Eight."), Finish("stop")]),
    ],
)
def test_recorded_streams(events: list[bytes], said: list[Delta]) -> None:
    """Each service's stream is its useful tokens and one Finish, with the usage if it told it."""
    assert decode(events) == said
    assert decode([e for e in events if e != rec.DONE]) == said, "a server may leave [DONE] out"


def test_finish_waits_for_the_usage() -> None:
    """Nothing is said at finish_reason: the usage is still to come."""
    assert decode(rec.OPENAI[:5], ended=False) == [TextDelta(t.text) for t in text(rec.OPENAI)]
    assert isinstance(decode(rec.OPENAI[:7], ended=False)[-1], Finish)


def text(events: list[bytes]) -> list[TextDelta]:
    """The text in *events*."""
    return [delta for delta in decode(events) if isinstance(delta, TextDelta)]


@pytest.mark.parametrize(
    "event",
    [
        rec.delta(b'"role":"assistant","content":""'),
        rec.delta(b'"role":"assistant","content":null,"tool_calls":null'),
        rec.delta(b'"reasoning":"hm"'),
        rec.delta(b'"reasoning_content":"hm"'),
        rec.delta(b'"tool_calls":[]'),
        rec.delta(b'"tool_calls":[{"index":0,"type":"function","function":{}}]'),
        rec.chunk(b'"choices":[]'),
        rec.chunk(b'"choices":null,"error":null'),
        rec.chunk(b'"choices":[{"index":1,"delta":{"content":"another choice"}}]'),
        rec.chunk(b'"choices":[{"index":0,"delta":null,"finish_reason":""}]'),
        b"{}",
        b"",
        b" ",
        rec.USAGE,
    ],
)
def test_what_is_no_useful_token(event: bytes) -> None:
    """Roles, reasoning, usage, empty and unknown things say nothing and end nothing."""
    assert decode([event], ended=False) == []
    assert fault_of([event])[0] is Fault.CUT


@pytest.mark.parametrize(
    ("events", "fault", "words"),
    [
        (rec.OPENAI[:4], Fault.CUT, 3),
        ([*rec.OPENAI[:4], rec.DONE], Fault.CUT, 3),
        ([], Fault.CUT, 0),
        ([rec.OPENAI[0], rec.OPENAI[4], rec.USAGE, rec.DONE], Fault.EMPTY, 0),
        ([rec.delta(b"", b'"length"')], Fault.EMPTY, 0),
        ([rec.delta(b'"content":" \\n"'), rec.OPENAI[4], rec.DONE], Fault.EMPTY, 1),
        ([*rec.OPENAI[:3], rec.OPENAI[3][:-2]], Fault.MALFORMED, 2),
        ([b'{"choices":"no list"}'], Fault.MALFORMED, 0),
        ([b'{"choices":[{"delta":{"content":5}}]}'], Fault.MALFORMED, 0),
        ([rec.delta(b'"content":"\xff"')], Fault.MALFORMED, 0),
        ([b"<html>"], Fault.MALFORMED, 0),
        (rec.VLLM_ERROR, Fault.UNAVAILABLE, 0),
        (rec.OPENROUTER, Fault.UNAVAILABLE, 1),
        ([b'{"error":"overloaded"}'], Fault.UNAVAILABLE, 0),
        ([b'{"error":{"message":"slow down","code":429}}'], Fault.THROTTLED, 0),
        ([b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'], Fault.THROTTLED, 0),
        ([rec.OPENAI[1], rec.delta(b"", b'"abort"')], Fault.UNAVAILABLE, 1),
    ],
)
def test_broken_streams(events: list[bytes], fault: Fault, words: int) -> None:
    """Each way to break is its own Fault, and what was said before it stays said."""
    found, said = fault_of(events)
    assert found is fault
    assert len(said) == words


def test_a_content_filter_inside_the_stream_is_an_answer() -> None:
    """An error whose code says content_filter ends the answer; it is not rescued elsewhere."""
    error = b'{"error":{"message":"filtered","code":"content_filter"}}'
    assert decode([rec.OPENAI[1], error, rec.DONE]) == [TextDelta("We"), Finish("content_filter")]


def test_tool_calls_side_by_side() -> None:
    """Two calls keep their indices; ids and names that are repeated are told once."""
    first = b'{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}'
    second = b'{"index":1,"id":"b","function":{"name":"g","arguments":"2"}}'
    again = b'{"index":0,"id":"a","function":{"name":"f","arguments":"3"}}'
    events = [
        rec.delta(b'"tool_calls":[' + first + b"," + second + b"]"),
        rec.delta(b'"tool_calls":[' + again + b"]", b'"tool_calls"'),
    ]
    assert decode(events) == [
        ToolCallDelta(0, "a", "f", "1"),
        ToolCallDelta(1, "b", "g", "2"),
        ToolCallDelta(0, "", "", "3"),
        Finish("tool_calls"),
    ]


def test_two_calls_under_one_index_are_malformed() -> None:
    """Their arguments would mix into one call that nobody asked for."""
    events = [
        rec.delta(b'"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}}]'),
        rec.delta(b'"tool_calls":[{"index":0,"id":"b","function":{"name":"g"}}]'),
    ]
    assert fault_of(events)[0] is Fault.MALFORMED


@given(st.binary(max_size=60) | st.sampled_from(rec.OPENAI + rec.OPENAI_TOOL + rec.AZURE))
def test_no_input_escapes_the_error_tree(event: bytes) -> None:
    """Whatever arrives, the decoder answers or raises EndpointError, and never finishes twice."""
    decoder = OpenAIChat(TURN).decoder()
    finished = 0
    for step in (event, rec.OPENAI[1], rec.OPENAI[4], rec.DONE, event, rec.DONE):
        try:
            finished += sum(isinstance(d, Finish) for d in decoder.feed(step))
        except EndpointError:
            return
    assert [*decoder.end()] == []
    assert finished == 1


def test_the_request() -> None:
    """Messages, tools and limits in the provider's words."""
    call = ToolCall("call_1", "book", '{"day":"Thu"}')
    nested = MappingProxyType({"day": MappingProxyType({"type": "string"})})
    prompt = Prompt(
        (
            Message("system", "Be brief."),
            Message("user", "Thursday?"),
            Message("assistant", "", (call,)),
            Message("tool", '{"ok":true}', tool_call_id="call_1"),
        ),
        (ToolSpec("book", "Books.", MappingProxyType({"type": "object", "properties": nested})),),
        max_tokens=99,
        temperature=0.2,
    )
    assert body(prompt) == {
        "model": "gpt-x",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Thursday?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "book", "arguments": '{"day":"Thu"}'},
                    }
                ],
            },
            {"role": "tool", "content": '{"ok":true}', "tool_call_id": "call_1"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 99,
        "temperature": 0.2,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "book",
                    "description": "Books.",
                    "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
                },
            }
        ],
    }


def test_options_of_other_servers() -> None:
    """The old name of the limit, a field more and a field less."""
    sent = body(
        Prompt((Message("user", "hi"),)),
        limit_field="max_tokens",
        extra={"temperature": None, "reasoning_effort": "minimal"},
    )
    assert sent["max_tokens"] == 400
    assert sent["reasoning_effort"] == "minimal"
    assert not {"temperature", "max_completion_tokens", "tools"} & sent.keys()


HALF_SAID = Prompt(
    (Message("user", "When?"), Message("assistant", "We open at \n")), continue_final=True
)


@pytest.mark.parametrize("endpoint", [PREFIX, EXACT])
def test_a_prefix_is_continued(endpoint: Endpoint) -> None:
    """vLLM and SGLang go on with the last message, which ends in no space."""
    sent = body(HALF_SAID, endpoint)
    assert sent["continue_final_message"] is True
    assert sent["add_generation_prompt"] is False
    assert sent["messages"] == [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "We open at"},
    ]


def test_elsewhere_the_messages_go_as_they_are() -> None:
    """An endpoint that cannot continue a prefix is not sent fields that it would refuse."""
    sent = body(HALF_SAID, TURN)
    assert not {"continue_final_message", "add_generation_prompt"} & sent.keys()
    assert sent["messages"] == [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "We open at \n"},
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt((Message("user", "hi"),), continue_final=True),
        Prompt((), continue_final=True),
        Prompt((Message("tool", "{}"),)),
        Prompt((Message("user", "hi"),), (ToolSpec("t", "", {"type": object()}),)),
    ],
)
def test_prompts_that_contradict_themselves(prompt: Prompt) -> None:
    """They are our mistake, not the endpoint's."""
    with pytest.raises(InputError):
        body(prompt, PREFIX)


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (429, b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}', Fault.THROTTLED),
        (429, b"", Fault.THROTTLED),
        (429, b'{"error":{"message":"pay","code":"insufficient_quota"}}', Fault.REFUSED),
        (500, b"<html>Bad Gateway</html>", Fault.UNAVAILABLE),
        (503, b'{"error":"overloaded"}', Fault.UNAVAILABLE),
        (529, b"\xff\xfe", Fault.UNAVAILABLE),
        (408, b"", Fault.UNAVAILABLE),
        (400, b'{"object":"error","message":"no such field","code":400}', Fault.REFUSED),
        (401, b'{"error":{"message":"who are you?","code":null}}', Fault.REFUSED),
        (404, b"[]", Fault.REFUSED),
        (307, b"", Fault.REFUSED),
        (204, b"", Fault.MALFORMED),
    ],
)
def test_refusals(status: int, said: bytes, fault: Fault) -> None:
    """A status is a Fault whose detail quotes the provider."""
    error = OpenAIChat(TURN).refusal(status, {"Retry-After": "3"}, said)
    assert isinstance(error, EndpointError)
    assert error.fault is fault
    assert error.retry_after_s == 3
    assert f"HTTP {status}" in error.detail
    for words in ("slow down", "pay", "overloaded", "no such field", "who are you?"):
        assert (words.encode() in said) == (words in error.detail)


def test_a_long_refusal_is_cut() -> None:
    """A page of HTML does not fill the journal."""
    error = OpenAIChat(TURN).refusal(500, {}, b"x" * 100_000)
    assert isinstance(error, EndpointError)
    assert len(error.detail) <= 300


def test_a_prompt_that_a_content_filter_refuses_has_its_answer() -> None:
    """Azure and OpenAI filter before they answer, by status: no other endpoint is asked."""
    said = (
        b'{"error":{"message":"The response was filtered","type":null,"param":"prompt",'
        b'"code":"content_filter","status":400,"innererror":{"code":'
        b'"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}'
    )
    assert OpenAIChat(TURN).refusal(400, {}, said) == (Finish("content_filter"),)
    flagged = (
        b'{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating '
        b'our usage policy.","type":"invalid_request_error","code":"invalid_prompt"}}'
    )
    assert OpenAIChat(TURN).refusal(400, {}, flagged) == (Finish("content_filter"),)
    broken = OpenAIChat(TURN).refusal(400, {}, flagged.replace(b"flagged", b"not JSON"))
    assert isinstance(broken, EndpointError)
    other = OpenAIChat(TURN).refusal(500, {}, said)
    assert isinstance(other, EndpointError)
