"""What all subjects of the density benchmark have in common, so that none is favoured.

A subject is a process of its own, in its own environment: this file uses the standard library only.
All answer the same callers with the same fakes: a model that says `ANSWER` with the same waits
between its words, a synthesiser that has `ANSWER_S` of audio ready in pieces of `PIECE_S`, a
recogniser that has its transcript when the caller has finished.

The caller's audio carries its own frame number, so that a subject tells which frame reached its
ear however it cuts, queues or drops what it was sent: the first four samples of a frame are the
digits of its number in base 16, lowest first, as the faintest positive codes of mu-law (0 to 120
of 32,768, which Silero takes for the silence that it nearly is).
"""

import json
import os
import resource
import sys
import threading
import time
from array import array
from pathlib import Path

FRAME_S = 0.02
FRAME_SAMPLES = 160
CYCLE_S = 6.0
"""Silence (the agent speaks), then a sentence, then silence again."""
CYCLE_FRAMES = round(CYCLE_S / FRAME_S)
SPEAKS_AT_S = 3.0
SPOKEN_S = 1.4
"""The caller has finished by then: what a recogniser that hears nothing else has to go by."""
PROMPT = "Be brief."
SAID = "Yes please."
ANSWER = "Tomorrow at ten would be free for you."
ANSWER_S = 3.08
FIRST_TOKEN_S, TOKEN_GAP_S = 0.05, 0.02
PIECE_S = 0.1
"""What streaming synthesisers send."""
NUMBERS = 16**4


def tokens() -> list[tuple[float, str]]:
    """The model's words, each after its wait in seconds."""
    words = ANSWER.split(" ")
    waits = [FIRST_TOKEN_S] + [TOKEN_GAP_S] * (len(words) - 1)
    return [(wait, f"{word} ") for wait, word in zip(waits, words, strict=True)]


def numbered(mulaw: bytes, number: int) -> bytes:
    """A frame of mu-law with its *number* in it, modulo `NUMBERS`."""
    digits = (0xFF - (number >> shift & 0xF) for shift in (0, 4, 8, 12))
    return bytes(digits) + mulaw[4:]


def number_of(pcm: bytes) -> int:
    """The number in a frame that was decoded to 16-bit samples, little-endian."""
    return pcm[0] >> 3 | pcm[2] >> 3 << 4 | pcm[4] >> 3 << 8 | pcm[6] >> 3 << 12


def has_spoken(number: int) -> bool:
    """Whether the recogniser has its transcript with this frame: once in each cycle."""
    return number % CYCLE_FRAMES == round((SPEAKS_AT_S + SPOKEN_S) / FRAME_S)


class Ears:
    """When which frame of which stream reached the ear: where a subject hands decoded audio on."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[array[int], array[float]]] = {}

    def heard(self, stream: str, number: int) -> None:
        """Frame *number* is here, now (`time.monotonic()`, the clock of the callers too)."""
        arrivals = self._streams.get(stream)
        if arrivals is None:
            arrivals = self._streams[stream] = array("q"), array("d")
        arrivals[0].append(number)
        arrivals[1].append(time.monotonic())

    def save(self, path: Path) -> None:
        """Write all that was heard; the loop may go on hearing meanwhile."""
        told = {}
        for name, (at, when) in list(self._streams.items()):
            times = list(when)  # first: each number was noted before its time
            told[name] = list(at)[: len(times)], times
        path.write_text(json.dumps(told))


def report(ears: Ears, folder: Path, port: int, path: str) -> None:
    """Tell the parent where to call, and from its `begin` to its `end` measure this process.

    A thread of its own, which waits in a read: a loop that is late must not measure itself late.
    The process ends with its parent.
    """
    rss_mb = _rss_mb()

    def measure() -> None:
        if not sys.stdin.readline():
            os._exit(1)
        cpu, begin = time.process_time(), time.monotonic()
        if not sys.stdin.readline():
            os._exit(1)
        cpu, end = time.process_time() - cpu, time.monotonic()
        cost = {
            "begin": begin,
            "end": end,
            "cpu_s": cpu,
            "rss_mb": _rss_mb(),
            "rss_idle_mb": rss_mb,
        }
        ears.save(folder / "arrivals.json")
        _tell("cost", cost)
        # The callers may not have heard of the end yet: a call that hangs up now would count as
        # lost. The parent kills, because hanging up each call is not what is measured.
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=measure, daemon=True).start()
    _tell("ready", {"port": port, "path": path})


def _tell(what: str, fields: dict[str, float] | dict[str, object]) -> None:
    sys.stdout.write(json.dumps({what: fields}) + "\n")
    sys.stdout.flush()


def _rss_mb() -> float:
    """Resident now (Linux, proc(5): statm), else at the peak."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
