"""`Prompt.options`, which are fields of chat completions, for protocols that say them otherwise.

Source: OpenAI API reference "Create chat completion", November 2026. `InputError` names a field
whose value another protocol has no words for.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from trunkline.errors import InputError


class Choice(NamedTuple):
    """Which tools the model may call: *how*, and the one that it must (""; none in particular)."""

    how: Literal["auto", "none", "required"]
    name: str = ""


def tool_choice(options: Mapping[str, object]) -> Choice | None:
    """The wish `tool_choice`; None if there is none."""
    match options.get("tool_choice"):
        case None:
            return None
        case "auto" | "none" | "required" as how:
            return Choice(how)
        case {"type": "function", "function": {"name": str(name)}}:
            return Choice("required", name)
        case other:
            raise InputError(
                f"tool_choice: {other!r} cannot be said in this endpoint's protocol. "
                f"Give auto, none, required, or one function"
            )


def stops(options: Mapping[str, object]) -> list[str]:
    """The wish `stop`: texts before which an answer ends."""
    match options.get("stop"):
        case None:
            return []
        case str(one):
            return [one]
        case [*some] if all(isinstance(it, str) for it in some):
            return [str(it) for it in some]
        case other:
            raise InputError(f"stop: {other!r} is neither a text nor a list of texts")


def renamed(options: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    """Those wishes that *names* has, by the name that it gives them."""
    return {name: options[it] for it, name in names.items() if options.get(it) is not None}
