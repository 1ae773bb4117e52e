"""Every codec of a language model keeps the laws that all of them share, on recorded streams."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.llm import recorded_anthropic, recorded_gemini, recorded_responses, recordings
from trunkline.contracts import Codec
from trunkline.errors import EndpointError, InputError
from trunkline.providers.llm.anthropic import AnthropicMessages
from trunkline.providers.llm.gemini import GeminiContent
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.providers.llm.openai_responses import OpenAIResponses
from trunkline.testing.conformance_chat import CHAT_LAWS, Recording
from trunkline.types import (
    LLM,
    Delta,
    Endpoint,
    Finish,
    Prompt,
    TextDelta,
    ToolCallDelta,
    Usage,
    Zone,
)

ZONE = Zone("z", "managed", "r", "eu", "p", "zero", baa=False, dpa=True, accepts=frozenset())
ENDPOINT = Endpoint("fast", LLM, "any", "gemini-3.7-flash", ZONE, "a")
KEY = "very-secret-1234567890"
Make = Callable[[], Codec[Prompt, Delta]]
SAID = (TextDelta("We open"), TextDelta(" at eight. ✅"))


def chat() -> Codec[Prompt, Delta]:
    """OpenAI's, and of all that speak it."""
    return OpenAIChat(ENDPOINT)


def anthropic() -> Codec[Prompt, Delta]:
    """Anthropic's."""
    return AnthropicMessages(ENDPOINT)


def gemini() -> Codec[Prompt, Delta]:
    """Google's."""
    return GeminiContent(ENDPOINT)


def responses() -> Codec[Prompt, Delta]:
    """OpenAI's newer one."""
    return OpenAIResponses(ENDPOINT)


def tool(*calls: tuple[str, ...]) -> list[Delta]:
    """Deltas of calls: id, name, and the pieces of the arguments."""
    deltas: list[Delta] = []
    for index, (call_id, name, *pieces) in enumerate(calls):
        deltas.append(ToolCallDelta(index, call_id, name, ""))
        deltas += [ToolCallDelta(index, "", "", piece) for piece in pieces]
    return deltas


OURS, THEIRS = Usage(334, 9), Usage(334, 48)
SEEN = Usage(7, 96)
RECORDED: Sequence[tuple[str, Make, Sequence[bytes], Sequence[Delta], int]] = [
    (
        "chat-text",
        chat,
        recordings.OPENAI,
        [
            TextDelta("We"),
            TextDelta(" open"),
            TextDelta(" at eight."),
            Finish("stop", Usage(14, 3)),
        ],
        5,
    ),
    (
        "chat-tool",
        chat,
        recordings.OPENAI_TOOL,
        [*tool(("call_c91S", "book", '{"day":', '"Thu"}')), Finish("tool_calls", Usage(14, 3))],
        4,
    ),
    (
        "anthropic-thinking",
        anthropic,
        recorded_anthropic.THINKING,
        [*SAID, Finish("stop", OURS)],
        11,
    ),
    (
        "anthropic-tool",
        anthropic,
        recorded_anthropic.TOOL,
        [
            TextDelta("Let me see."),
            *tool(("toolu_01QE", "book", '{"day":', ' "Thu"}'), ("toolu_02QE", "note", "{}")),
            Finish("tool_calls", THEIRS),
        ],
        13,
    ),
    (
        "anthropic-no-args",
        anthropic,
        recorded_anthropic.NO_ARGS,
        [*tool(("toolu_01QE", "hours", "{}")), Finish("tool_calls", THEIRS)],
        6,
    ),
    (
        "anthropic-refusal",
        anthropic,
        recorded_anthropic.REFUSAL,
        [Finish("content_filter", Usage(334, 5))],
        3,
    ),
    ("gemini-text", gemini, recorded_gemini.TEXT, [*SAID, Finish("stop", SEEN)], 3),
    ("gemini-thought", gemini, recorded_gemini.THOUGHT, [*SAID, Finish("stop", SEEN)], 4),
    (
        "gemini-tool",
        gemini,
        recorded_gemini.TOOL,
        [
            ToolCallDelta(0, "call_0", "book", '{"day":"Thu"}', "gemini-3.7-flash EpEgCo4g"),
            ToolCallDelta(1, "fc-2", "hours", "{}"),
            Finish("tool_calls", SEEN),
        ],
        3,
    ),
    (
        "gemini-filtered",
        gemini,
        recorded_gemini.FILTERED,
        [TextDelta("We"), Finish("content_filter", SEEN)],
        2,
    ),
    (
        "gemini-blocked",
        gemini,
        recorded_gemini.BLOCKED,
        [Finish("content_filter", Usage(9, 0))],
        1,
    ),
    (
        "responses-text",
        responses,
        recorded_responses.TEXT,
        [*SAID, Finish("stop", Usage(45, 25))],
        12,
    ),
    (
        "responses-tool",
        responses,
        recorded_responses.TOOL,
        [*tool(("call_2FQd", "book", '{"day":', '"Thu"}')), Finish("tool_calls", Usage(45, 25))],
        7,
    ),
    (
        "responses-refusal",
        responses,
        recorded_responses.REFUSAL,
        [TextDelta("I cannot do that."), Finish("content_filter", Usage(45, 25))],
        4,
    ),
]


@pytest.mark.parametrize("law", CHAT_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded[0])
def test_a_codec_keeps_the_law(
    law: Callable[[Recording], None],
    recorded: tuple[str, Make, Sequence[bytes], Sequence[Delta], int],
) -> None:
    """Each law holds for each codec on each recording."""
    _, codec, events, deltas, complete = recorded
    law(Recording(codec, KEY, events, deltas, complete))


EVENTS = sorted({event for _, _, events, _, _ in RECORDED for event in events})


@pytest.mark.parametrize("codec", [chat, anthropic, gemini, responses])
@given(st.lists(st.binary(max_size=40) | st.sampled_from(EVENTS), max_size=6))
def test_no_input_escapes_the_error_tree(codec: Make, events: list[bytes]) -> None:
    """Whatever arrives, also of another's protocol: deltas or EndpointError, and one Finish."""
    decoder, said = codec().decoder(), list[Delta]()
    try:
        for event in events:
            said += decoder.feed(event)
        said += decoder.end()
    except EndpointError:
        pass
    else:
        assert [isinstance(delta, Finish) for delta in said].index(True) == len(said) - 1


@pytest.mark.parametrize("make", [AnthropicMessages, GeminiContent, OpenAIResponses])
def test_exact_tokens_are_refused_at_construction(
    make: Callable[[Endpoint], Codec[Prompt, Delta]],
) -> None:
    """An endpoint that cannot do what its configuration says never takes a call."""
    exact = Endpoint("own", LLM, "any", "m", ZONE, "b", continuation="token_exact")
    with pytest.raises(InputError, match=r"own: .* continuation: turn"):
        make(exact)
