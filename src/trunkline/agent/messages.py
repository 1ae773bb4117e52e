"""Messages that callers leave, one JSON object a line, for people to read and programs to fetch."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from trunkline.agent import durable
from trunkline.errors import RecordError


@dataclass(frozen=True, slots=True)
class CallerMessage:
    """One message; *at* is ISO 8601 with its offset, *id* unique."""

    id: str
    at: str
    name: str
    text: str
    phone: str = ""


class Messages:
    """The messages in the file at *path*; *now* is the clock (aware). Methods block on the disk."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._path, self._now = path, now

    def all(self) -> list[CallerMessage]:
        """Every message, oldest first; `RecordError` names a line that is not one."""
        found = []
        for number, line in enumerate(durable.read_lines(self._path).splitlines(), start=1):
            try:
                found.append(CallerMessage(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise RecordError(
                    f"{self._path}:{number} is not a message: mend the line or remove it"
                ) from error
        return found

    def get(self, id: str) -> CallerMessage | None:
        """The message with *id*."""
        return next((message for message in self.all() if message.id == id), None)

    def take(self, id: str, name: str, text: str, phone: str = "") -> CallerMessage:
        """Append a message durably. It is not looked up first: see `get`."""
        at = self._now().isoformat(timespec="seconds")
        message = CallerMessage(id, at, name, text, phone)
        with durable.locked(self._path):
            durable.append(self._path, json.dumps(asdict(message), ensure_ascii=False).encode())
        return message
