"""What all subjects of the failover benchmark have in common, so that none is favoured.

A subject is a process of its own, in its own environment: this file uses the standard library only.
It is given trials as lines of JSON on standard input, several at once, and answers each with one
line: what reached the application, when, by the clock that all processes of a machine share.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

WAIT_S = 35.0
"""No caller waits that long: whoever has not finished by then counts as silent."""
SETTLE_S = 0.8
"""How long a reply that was ended is watched: would anybody still begin it anew?"""


class Asked(NamedTuple):
    """One trial: *text* is the caller's, or the agent's to be spoken; *pcm* a file to be heard."""

    trial: int
    primary: str
    backup: str
    text: str = ""
    pcm: str = ""


class Heard:
    """What a trial brought. *tokens*: when, what, and of which attempt (0: the first one).

    *said*: what was given to a synthesiser and when, where that is not just the tokens. *audio*:
    when, at what rate, which samples. *spoken*: when the caller had finished. *began*, *ended*: the
    trial, by the application.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.began = time.monotonic()
        self.tokens: list[tuple[float, str, int]] = []
        self.said: list[tuple[float, str]] | None = None
        self.ended: float | None = None
        self.spoken: float | None = None
        self.audio: list[tuple[float, int, str]] = []
        self.errors: list[str] = []

    def restart(self) -> None:
        """All is set up: what counts begins now."""
        self.began = time.monotonic()

    def token(self, text: str, attempt: int = 0) -> None:
        """Text reached the application, now."""
        self.tokens.append((time.monotonic(), text, attempt))

    def sound(self, pcm: bytes, rate: int) -> None:
        """16-bit audio reached the application, now."""
        self.audio.append((time.monotonic(), rate, base64.b64encode(pcm).decode()))

    def end(self) -> None:
        """The application was told that this is all, now."""
        self.ended = self.ended or time.monotonic()

    def told(self) -> dict[str, object]:
        """As the parent reads it; `waits`: it had not come to an end."""
        how = "waits" if self.ended is None else "error" if self.errors else "ended"
        return {
            "trial": self.asked.trial,
            "began": self.began,
            "ended": self.ended or time.monotonic(),
            "how": how,
            "tokens": self.tokens,
            "said": self.said,
            "audio": self.audio,
            "spoken": self.spoken,
            "errors": self.errors[:3],
        }


def now() -> float:
    """Seconds, by the clock of all these figures."""
    return time.monotonic()


Run = Callable[[Asked, Heard], Awaitable[None]]


def serve(run: Run, *, wait_s: float = WAIT_S) -> None:
    """Run the trials that come, until standard input is closed."""
    asyncio.run(_serve(run, wait_s))


async def _serve(run: Run, wait_s: float) -> None:
    _tell({"ready": {}})
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            group.create_task(_trial(group, run, Asked(**json.loads(line)), wait_s))


async def _trial(group: asyncio.TaskGroup, run: Run, asked: Asked, wait_s: float) -> None:
    """One trial, told as soon as its time is up: what a peer needs to clean up is not counted."""
    heard = Heard(asked)
    task = group.create_task(_caught(run, asked, heard))
    while not task.done() and (left_s := heard.began + wait_s - time.monotonic()) > 0:
        await asyncio.wait({task}, timeout=left_s)  # again: setting up does not count
    _tell({"told": heard.told()})
    task.cancel()


async def _caught(run: Run, asked: Asked, heard: Heard) -> None:
    try:
        await run(asked, heard)
    except Exception as error:  # noqa: BLE001  # whatever a peer raises is its result
        heard.errors.append(f"{type(error).__name__}: {error}"[:200])
    heard.end()


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
