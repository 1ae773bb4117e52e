"""Fields of chat completions in the words of other protocols."""

import json
from dataclasses import replace
from typing import Any

import pytest

from trunkline.errors import InputError
from trunkline.providers.llm.anthropic import AnthropicMessages
from trunkline.providers.llm.gemini import GeminiContent
from trunkline.providers.llm.openai_responses import OpenAIResponses
from trunkline.testing.simulated import endpoint
from trunkline.types import LLM, Message, Prompt, ToolSpec

TOOL = ToolSpec("look", "", {"type": "object"})
PROMPT = Prompt((Message("user", "When?"),), (TOOL,))
NAMED = {"type": "function", "function": {"name": "look"}}
CODECS = (AnthropicMessages, GeminiContent, OpenAIResponses)


def said(codec: Any, **options: object) -> dict[str, Any]:
    """The body of a request with these wishes."""
    assert codec.honours.issuperset(options)
    made = codec(replace(endpoint("a", LLM), continuation="turn"))
    body: dict[str, Any] = json.loads(made.encode(replace(PROMPT, options=options)).body)
    return body


def test_without_wishes_nothing_is_said() -> None:
    """The service's own defaults hold."""
    told = [said(codec) for codec in CODECS]
    assert not {"tool_choice", "stop_sequences", "toolConfig", "top_p"}.intersection(*told)


@pytest.mark.parametrize(
    ("wish", "anthropic", "gemini", "responses"),
    [
        ("auto", {"type": "auto"}, {"mode": "AUTO"}, "auto"),
        ("none", {"type": "none"}, {"mode": "NONE"}, "none"),
        ("required", {"type": "any"}, {"mode": "ANY"}, "required"),
        (
            NAMED,
            {"type": "tool", "name": "look"},
            {"mode": "ANY", "allowedFunctionNames": ["look"]},
            {"type": "function", "name": "look"},
        ),
    ],
)
def test_the_choice_of_tools(
    wish: object, anthropic: object, gemini: object, responses: object
) -> None:
    """Each protocol has its own words for it."""
    assert said(AnthropicMessages, tool_choice=wish)["tool_choice"] == anthropic
    told = said(GeminiContent, tool_choice=wish)["toolConfig"]
    assert told == {"functionCallingConfig": gemini}
    assert said(OpenAIResponses, tool_choice=wish)["tool_choice"] == responses


def test_one_call_at_a_time() -> None:
    """Anthropic says it beside the choice."""
    told = said(AnthropicMessages, parallel_tool_calls=False)["tool_choice"]
    assert told == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in said(AnthropicMessages, parallel_tool_calls=True)
    assert said(OpenAIResponses, parallel_tool_calls=False)["parallel_tool_calls"] is False


@pytest.mark.parametrize("wish", ["END", ["END"]])
def test_where_an_answer_ends(wish: object) -> None:
    """One text, or several."""
    assert said(AnthropicMessages, stop=wish)["stop_sequences"] == ["END"]
    assert said(GeminiContent, stop=wish)["generationConfig"]["stopSequences"] == ["END"]


def test_numbers_are_passed_on() -> None:
    """Under the names that the protocols give them."""
    told = said(GeminiContent, top_p=0.5, seed=7, presence_penalty=1.0)["generationConfig"]
    assert (told["topP"], told["seed"], told["presencePenalty"]) == (0.5, 7, 1.0)
    told = said(OpenAIResponses, top_p=0.5, reasoning_effort="low")
    assert (told["top_p"], told["reasoning"]) == (0.5, {"effort": "low"})


@pytest.mark.parametrize("codec", CODECS)
def test_what_has_no_words_is_an_error(codec: Any) -> None:
    """That names the field."""
    with pytest.raises(InputError, match="tool_choice"):
        said(codec, tool_choice={"type": "allowed_tools"})
    if "stop" in codec.honours:
        with pytest.raises(InputError, match="stop"):
            said(codec, stop=[1])
