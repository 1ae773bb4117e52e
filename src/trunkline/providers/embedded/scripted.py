"""A receptionist made of rules and slots: it plays the language model where none is configured.

It is **not a language model**: it matches patterns and fills slots. But it keeps a model's
contract, so that all around it is exercised for real: stateless, it reads the whole request each
time (prompt, facts, tools, tool results, a half-spoken answer to go on with) and answers with text
or tool calls. Two styles word everything differently, so that a change of model can be heard.

Going on with an answer: the answer is planned anew from the same turns, and the sentences that
were already spoken, in either style, are left out. A sentence counts as spoken when it stands
there whole. A fragment at a seam is gone on with where it ends the message that is to be
continued; elsewhere it is dropped by the caller of a model, so it is said again.

Wart: the assistant's text is not read for meaning. After turns that another model led quite
differently, it goes by what the caller said and what the tools answered.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from trunkline.providers.embedded.chat import ChatReply
from trunkline.providers.embedded.scripted_dialogue import Dialogue, Turn
from trunkline.providers.embedded.scripted_facts import KNOWN_FACTS, content_items
from trunkline.providers.embedded.scripted_lines import (
    OPENERS,
    Item,
    Style,
    sentence_words,
)
from trunkline.providers.embedded.scripted_policy import Plan, plan
from trunkline.providers.embedded.scripted_words import DEFAULT_REASONS, MONTHS, understand
from trunkline.types import Message, Prompt, ToolCall, ToolSpec

__all__ = ["Item", "ScriptedReceptionist", "Style", "backup", "content_items", "primary"]

_FACT: Final = re.compile(r"^- ([a-z0-9_]+\.[a-z0-9_]+): (.+)$", re.MULTILINE)
_TODAY: Final = re.compile(rf"\b(\d{{1,2}}) ({'|'.join(MONTHS)}) (\d{{4}})\b", re.IGNORECASE)
_FRAGMENT: Final = re.compile(r"[^.!?]*$")
_ASKS_CONSENT: Final = re.compile(r"\brecord", re.IGNORECASE)


class ScriptedReceptionist:
    """The engine in one *style*; *seed* draws which short opener a turn begins with."""

    def __init__(self, style: Style, seed: int = 0) -> None:
        self.style, self.seed = style, seed

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """The answer to *prompt*; empty if all of it was spoken already."""
        system = "\n".join(m.content for m in prompt.messages if m.role == "system")
        facts = dict(_FACT.findall(system)) or KNOWN_FACTS
        turns, asked_consent, urged = _read(prompt.messages)
        if not turns:
            return ChatReply("")
        dialogue = Dialogue(_reasons(prompt.tools), _own_topics(facts), _today(system))
        dialogue.asked = "consent" if asked_consent else ""
        tools = frozenset(tool.name for tool in prompt.tools)
        made = Plan(())
        for turn in turns:
            dialogue.take(turn)
            made = plan(dialogue, facts, tools)
        texts = self._texts(made, turns[-1].spoken, len(turns), urged)
        if prompt.continue_final:
            texts = _behind(_FRAGMENT.findall(turns[-1].spoken)[0].lstrip(), texts)
        calls = tuple(
            ToolCall(f"call_{len(turns)}_{len(turns[-1].exchanges) + n}", name, json.dumps(given))
            for n, (name, given) in enumerate(made.calls)
        )
        return ChatReply(" ".join(texts), calls)

    def _texts(self, made: Plan, spoken: str, turn: int, urged: bool) -> list[str]:
        """The sentences of *made* that *spoken* does not hold."""
        said = sentence_words(spoken)
        items = [item for item in made.lines if not _holds(said, item)]
        if made.coda is not None and not _holds(said, made.coda) and (items or urged):
            items.append(made.coda)
        if urged and not items:
            items = list(
                made.lines[-1:]
            )  # the caller asks for more and there is none: say it again
        texts = [item.text(self.style) for item in items]
        if made.opens and not said.strip():
            opener = OPENERS[(self.seed + turn) % len(OPENERS)]
            texts.insert(0, opener[self.style == "backup"])
        return texts


def primary() -> ScriptedReceptionist:
    """The engine in its first wording."""
    return ScriptedReceptionist("primary")


def backup() -> ScriptedReceptionist:
    """The engine in its second wording, which shares no sentence with the first."""
    return ScriptedReceptionist("backup", seed=1)


def _behind(fragment: str, texts: list[str]) -> list[str]:
    """*texts* without *fragment*, if the first of them begins with it."""
    if fragment and texts and texts[0].startswith(fragment):
        texts[0] = texts[0].removeprefix(fragment)
    return texts


def _holds(said: str, item: Item) -> bool:
    return any(sentence_words(text) in said for text in (item.primary_text, item.backup_text))


def _read(messages: Sequence[Message]) -> tuple[list[Turn], bool, bool]:
    """The turns, whether the greeting asks for consent, and whether the caller urges to go on.

    A turn in brackets or of the system, after something was said, is the machine's request for
    the rest of an answer; a caller's "go on" means the same.
    """
    turns: list[Turn] = []
    calls: dict[str, ToolCall] = {}
    asks_consent = urged = False
    for message in messages:
        match message.role:
            case "user" if turns and message.content.lstrip().startswith("["):
                pass
            case "user" if turns and "go_on" in understand(message.content, ()).intents:
                urged = True
            case "user":
                turns.append(Turn(message.content))
                urged = False
            case "assistant":
                calls.update((call.id, call) for call in message.tool_calls)
                if turns:
                    turns[-1].spoken += f" {message.content}"
                else:
                    asks_consent = bool(_ASKS_CONSENT.search(message.content))
            case "tool":
                call = calls.get(message.tool_call_id or "")
                if turns and call is not None:
                    turns[-1].exchanges.append((call, _answer(message.content)))
            case _:
                pass  # the prompt was read; a later note of the system asks for the rest
    return turns, asks_consent, urged


def _answer(content: str) -> Mapping[str, object]:
    try:
        answer = json.loads(content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _reasons(tools: Sequence[ToolSpec]) -> Sequence[str]:
    """What can be booked, as the tools' schema names it."""
    for tool in tools:
        properties = tool.parameters.get("properties")
        reason = properties.get("reason") if isinstance(properties, Mapping) else None
        if isinstance(reason, Mapping) and isinstance(reason.get("enum"), list):
            return [str(name) for name in reason["enum"]]
    return DEFAULT_REASONS


def _own_topics(facts: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in facts))


def _today(prompt: str) -> datetime | None:
    match = _TODAY.search(prompt)
    if match is None:
        return None
    day, month, year = int(match[1]), MONTHS.index(match[2].lower()) + 1, int(match[3])
    return datetime(year, month, day)  # noqa: DTZ001  # a date
