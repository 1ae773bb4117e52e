"""The raw turns of a run, as a file that survives whatever ends the run.

One line of JSON a turn, each written with one system call at its end: after a crash at most the
last line is torn, and reading leaves that one out. A run that ends properly packs them
(`turns.jsonl.gz`). Times are seconds since the run began, by this machine's monotonic clock.
"""

import gzip
import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from trunkline.errors import InputError, RecordError

RAW, PACKED = "turns.jsonl", "turns.jsonl.gz"
LATE_SEND = "late_send"
OURS = ("loop_lag", LATE_SEND, "dns", "cpu", "overrun")
"""What on our own side may have spoiled a turn; such turns are not charged to the subject."""


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of one call. *intended_s*: when its caller wanted the answer to begin its way;
    *sent_s*: when we asked; *first_s*: the first useful token; *end_s*: the end.

    *gaps_s*: between one token and the next. *fault* "": it was answered whole; *detail* says more.
    *own*: which of `OURS`. *cold*: of its block's first call. *wall*: *intended_s* as Unix time.
    """

    subject: str
    block: int
    call: int
    turn: int
    intended_s: float
    wall: float
    sent_s: float | None = None
    first_s: float | None = None
    end_s: float | None = None
    tokens: int = 0
    chars: int = 0
    gaps_s: tuple[float, ...] = ()
    fault: str = ""
    detail: str = ""
    own: tuple[str, ...] = ()
    cold: bool = False

    @property
    def ttft_s(self) -> float:
        """From the intended time to the first token; infinite if the turn failed, then or later."""
        if self.fault or self.first_s is None:
            return math.inf
        return self.first_s - self.intended_s

    @property
    def send_lag_s(self) -> float | None:
        """How late we asked; None if we never did."""
        return None if self.sent_s is None else self.sent_s - self.intended_s

    @property
    def tokens_per_s(self) -> float:
        """After the first token; 0 if the turn failed, infinite if there was one token only."""
        if self.fault or self.first_s is None or self.end_s is None:
            return 0.0
        lasted_s = sum(self.gaps_s)
        return (self.tokens - 1) / lasted_s if lasted_s > 0 else math.inf


class TurnFile:
    """Appends turns to `turns.jsonl` of *folder*; a context manager, which packs it at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._encoder = msgspec.json.Encoder()
        self._fd = -1
        self.count = 0

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if (self._folder / RAW).exists() or (self._folder / PACKED).exists():
                raise InputError(
                    f"{self._folder} holds the turns of a run already. Give --out another folder"
                )
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._fd = os.open(self._folder / RAW, flags, 0o644)
        except OSError as error:
            raise RecordError(f"{self._folder}: turns cannot be written: {error}") from error
        return self

    def add(self, turn: Turn) -> None:
        """Write one turn; `RecordError` if the disk is full."""
        line = self._encoder.encode(turn) + b"\n"
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise RecordError(f"{self._folder / RAW}: {error}") from error
        if written != len(line):
            raise RecordError(f"{self._folder / RAW}: the disk took half a turn: is it full?")
        self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)
        if kind is not None:
            return  # what is there stays as it is: readable, and nothing more can go wrong
        raw, packed = self._folder / RAW, self._folder / PACKED
        unfinished = packed.with_suffix(".part")
        with raw.open("rb") as source, gzip.open(unfinished, "wb") as out:
            while piece := source.read(1 << 20):
                out.write(piece)
        unfinished.replace(packed)  # at no moment is there neither
        raw.unlink()


def read_turns(folder: Path) -> Iterator[Turn]:
    """The turns of the run in *folder*, packed or not; `InputError` if there are none.

    A torn last line is left out; any other that is no turn is an error.
    """
    packed, raw = folder / PACKED, folder / RAW
    path = packed if packed.exists() else raw
    decoder = msgspec.json.Decoder(Turn)
    try:
        with gzip.open(path, "rb") if path == packed else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise InputError(f"{path}:{number}: this is no turn: {error}") from error
    except OSError as error:
        raise InputError(
            f"{folder}: no run can be read there: {error}. Give the folder of a `bench run`"
        ) from error
