"""A practice, a clock and tools for the tests of the receptionist."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from trunkline.agent.practice import RIVERSIDE_DENTAL, Practice, load_practice
from trunkline.agent.tools import ReceptionTools, open_tools
from trunkline.types import ToolCall, ToolResult

T = TypeVar("T")

SUNDAY = datetime(2026, 11, 22, 10, 0, tzinfo=ZoneInfo("America/Chicago"))
TUESDAY = "2026-11-24"


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, at: datetime = SUNDAY) -> None:
        self.at = at

    def __call__(self) -> datetime:
        """The time."""
        return self.at

    def advance(self, **amount: float) -> None:
        """Let *amount* (as of `timedelta`) pass."""
        self.at += timedelta(**amount)


async def inline(work: Callable[[], T]) -> T:
    """Run I/O in place: virtual time has no threads."""
    return work()


def riverside(**changes: object) -> Practice:
    """The practice of the demo, with *changes*."""
    practice = load_practice(RIVERSIDE_DENTAL)
    return practice.model_copy(update=changes)


def tools_in(folder: Path, clock: Clock | None = None) -> ReceptionTools:
    """The tools of Riverside Dental, with their files in *folder*."""
    return open_tools(riverside(), folder, clock or Clock(), inline)


async def ask(
    tools: ReceptionTools, name: str, key: str = "", /, **arguments: object
) -> ToolResult:
    """Call tool *name*; without *key* each call has its own."""
    text = json.dumps(arguments)
    return await tools.run(ToolCall("call_1", name, text), key or f"{name} {text}")


async def answer(
    tools: ReceptionTools, name: str, key: str = "", /, **arguments: object
) -> dict[str, object]:
    """What tool *name* answered."""
    content = json.loads((await ask(tools, name, key, **arguments)).content)
    assert isinstance(content, dict)
    return content


def starts(found: object) -> list[str]:
    """The starts of a list of slots."""
    assert isinstance(found, list)
    return [slot["start"] for slot in found]
