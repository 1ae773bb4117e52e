"""What the scripted receptionist does next: the lines to say and the tools to call."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from trunkline.providers.embedded.scripted_dialogue import Dialogue
from trunkline.providers.embedded.scripted_facts import answer_items
from trunkline.providers.embedded.scripted_lines import Item, line, spoken_day, spoken_times
from trunkline.providers.embedded.scripted_words import WEEKDAYS

_STARTS_ITSELF = frozenset({"consented", "sorry", "pause", "bye"})
"""Lines that are short or final: no opener before them."""
_MANNERS = frozenset({"consented", "refused", "sorry", "unclear"})
"""Lines that serve no request."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One answer: *lines*, then *calls* (tool and arguments).

    *coda*: the question that ends it, said only after something else. *opens*: an opener fits.
    """

    lines: tuple[Item, ...]
    calls: tuple[tuple[str, Mapping[str, str]], ...] = ()
    coda: Item | None = None

    @property
    def opens(self) -> bool:
        """Whether a short opener goes before the lines."""
        return bool(self.lines) and self.lines[0].key not in _STARTS_ITSELF


def plan(dialogue: Dialogue, facts: Mapping[str, str], tools: Collection[str]) -> Plan:
    """The answer to the turn that *dialogue* took last; notes in it what the answer asks."""
    made = _plan(dialogue, facts, tools)
    if dialogue.mode not in ("repeat", "pause"):
        dialogue.before = made.lines
    return made


def _plan(dialogue: Dialogue, facts: Mapping[str, str], tools: Collection[str]) -> Plan:
    if dialogue.mode:
        return _out_of_turn(dialogue, tools)
    call = _next_call(dialogue)
    if call is not None:
        usable = call[0] in tools and not dialogue.down and call[0] not in dialogue.ran
        return Plan((), (call,)) if usable else _without_tool(dialogue, call[0])
    lines = [*dialogue.say, *answer_items(dialogue.heard.topics, facts)]
    prompt = _prompt(dialogue)
    if not prompt and _invites(dialogue, lines):
        prompt = [line("welcome")]
    if prompt:
        dialogue.asked = prompt[-1].key
        return Plan((*lines, *prompt))
    dialogue.asked = "anything_else"
    ending = line("anything_else")
    return Plan(tuple(lines), coda=ending) if lines else Plan((ending,))


def _out_of_turn(dialogue: Dialogue, tools: Collection[str]) -> Plan:
    """What is said without moving the task: its question stays open."""
    match dialogue.mode:
        case "bye":
            wanted = "end_call" in tools and "end_call" not in dialogue.ran
            return Plan((line("bye"),), (("end_call", {}),) if wanted else ())
        case "repeat":
            return Plan(dialogue.before)
        case "pause":
            return Plan((line("pause"),))
        case "consent_again":
            return Plan((line("sorry"), line("consent_again")))
        case mode:
            raise AssertionError(f"no such mode: {mode}")


def _invites(dialogue: Dialogue, lines: Collection[Item]) -> bool:
    """Whether the caller has yet to say what it is about."""
    served = any(item.key not in _MANNERS for item in lines)
    agreed = dialogue.asked == "anything_else" and dialogue.heard.yes
    return not served and (agreed or dialogue.asked in ("", "consent", "welcome"))


def _next_call(dialogue: Dialogue) -> tuple[str, Mapping[str, str]] | None:
    """The tool that the task needs now."""
    call: tuple[str, Mapping[str, str]] | None = None
    match dialogue.task:
        case "" if dialogue.replaces:
            call = "cancel_appointment", {"id": dialogue.replaces}
        case "book" if dialogue.reason and dialogue.day and dialogue.slots is None:
            wanted = {"reason": dialogue.reason, "part_of_day": dialogue.part}
            wanted["day"] = "" if dialogue.day == "any" else dialogue.day
            call = "find_slots", {key: value for key, value in wanted.items() if value}
        case "book" if dialogue.slot is not None and dialogue.name:
            booking = {
                "start": f"{dialogue.slot:%Y-%m-%dT%H:%M}",
                "name": dialogue.name,
                "reason": dialogue.reason,
            }
            call = "book_appointment", booking | _phone(dialogue)
        case "cancel" | "change" | "find" if dialogue.name and dialogue.found is None:
            call = "find_appointment", {"name": dialogue.name}
        case "cancel" if dialogue.found and dialogue.asked == "ask_cancel" and dialogue.heard.yes:
            call = "cancel_appointment", {"id": str(dialogue.found.get("id", ""))}
        case "message" if dialogue.name and dialogue.message:
            note = {"name": dialogue.name, "text": dialogue.message}
            call = "take_message", note | _phone(dialogue)
        case _:
            pass
    return call


def _phone(dialogue: Dialogue) -> dict[str, str]:
    return {"phone": dialogue.phone} if dialogue.phone else {}


def _without_tool(dialogue: Dialogue, tool: str) -> Plan:
    """The tool failed or is not there: say so, and take a message if that is still possible."""
    dialogue.finish()
    if tool == "take_message":
        dialogue.asked = "anything_else"
        return Plan((line("message_lost"),))
    dialogue.task = "message"
    prompt = _prompt(dialogue)
    dialogue.asked = prompt[-1].key
    return Plan((line("calendar_down"), *prompt))


def _prompt(dialogue: Dialogue) -> list[Item]:
    """The question that the task needs answered, with what it offers."""
    lines: list[Item] = []
    match dialogue.task:
        case "book" if not dialogue.reason:
            lines = [line("ask_reason")]
        case "book" if not dialogue.day or not dialogue.slots:
            lines = [line("ask_day")]
        case "book" if dialogue.slot is None:
            lines = [*_offer(dialogue), line("ask_slot")]
        case "book":
            lines = [line("ask_name")]
        case "cancel" | "change" | "find":
            lines = [line("ask_cancel" if dialogue.found else "ask_holder")]
        case "message":
            lines = [line("ask_message" if dialogue.name else "ask_caller")]
        case _:
            pass
    return lines


def _offer(dialogue: Dialogue) -> list[Item]:
    offered = dialogue.offered()
    first, times = offered[0], spoken_times(offered)
    if dialogue.dated:
        return [line("free_day", day=spoken_day(first)), line("free_times", times=times)]
    return [line("offer", weekday=WEEKDAYS[first.weekday()].title(), times=times)]
