"""What became of each tool call with side effects: proposed before it, done after it.

A key that is proposed but not done met a crash: nobody knows whether the effect happened, so the
caller of this module looks at the effect itself before it does anything.
"""

import json
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.agent import durable
from trunkline.errors import RecordError

ENTRIES_MAX: Final = 10_000
"""Keys kept; past it the older half of the done ones goes. A repeat comes within a call."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key; *content* is the tool's answer once it is done, None before."""

    tool: str
    content: str | None


class Ledger:
    """The JSON lines at *path*. Hold `lock()` around every use: workers share the file."""

    def __init__(self, path: Path, entries_max: int = ENTRIES_MAX) -> None:
        self._path, self._entries_max = path, entries_max
        self._entries: dict[str, Entry] = {}
        self._inode, self._offset = -1, 0

    def lock(self) -> AbstractContextManager[None]:
        """The lock of the ledger, against threads and processes."""
        return durable.locked(self._path)

    def find(self, key: str) -> Entry | None:
        """What is known of *key*; reads only what was appended since the last look."""
        self._refresh()
        return self._entries.get(key)

    def propose(self, key: str, tool: str) -> None:
        """Note durably that *tool* is about to run under *key*."""
        self._refresh()
        if len(self._entries) >= self._entries_max:
            self._compact()
        self._append(key, Entry(tool, None))

    def done(self, key: str, tool: str, content: str) -> None:
        """Note durably what *tool* answered under *key*."""
        self._append(key, Entry(tool, content))

    def _append(self, key: str, entry: Entry) -> None:
        durable.append(self._path, _line(key, entry))

    def _refresh(self) -> None:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return
        if stat.st_ino != self._inode or stat.st_size < self._offset:
            self._entries, self._inode, self._offset = {}, stat.st_ino, 0
        data = durable.read_lines(self._path, self._offset)
        for line in data.splitlines():
            try:
                fields = json.loads(line)
                entry = Entry(fields["tool"], fields.get("content"))
                self._entries.pop(fields["key"], None)  # so that the order is that of the last word
                self._entries[fields["key"]] = entry
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise RecordError(
                    f"{self._path} holds a line that is not a ledger entry: move the file away "
                    "while no call is running; a new one is made"
                ) from error
        self._offset += len(data)

    def _compact(self) -> None:
        entries = list(self._entries.items())
        recent = len(entries) // 2
        kept = [e for e in entries[:recent] if e[1].content is None] + entries[recent:]
        durable.replace(self._path, b"".join(_line(key, entry) + b"\n" for key, entry in kept))
        self._inode = -1  # replaced: read it again


def _line(key: str, entry: Entry) -> bytes:
    state = "proposed" if entry.content is None else "done"
    fields = {"key": key, "state": state, "tool": entry.tool}
    if entry.content is not None:
        fields["content"] = entry.content
    return json.dumps(fields, ensure_ascii=False).encode()
