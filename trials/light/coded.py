"""Speech that says what it is: every 20 ms carry the number of their sentence and their own.

So the caller's tape tells exactly what was heard, what was lost, and what came twice. The codes
are mu-law bytes that survive decoding and encoding; what they sound like nobody hears.
"""

import os
import re
from typing import Final

from trunkline.types import FRAME_SAMPLES, SpokenWord

ITEMS: Final = int(os.environ.get("TRUNKLINE_TRIAL_ITEMS", "12"))
"""Sentences of the long answer, numbered from 1: at least 6, at most 200. A hundred calls, which
begin one after the other, hear it all at once only if it is longer."""
WORD_FRAMES: Final = 15
"""0.3 s a word: some 25 s for twelve items."""
RESUMES, SAY_AGAIN, MOMENT, RIGHT, WRONG, STILL_THERE, QUESTION, OTHER = range(201, 209)
"""Sentences that are no item."""
SILENT: Final = -1

_BASE: Final = 0x90  # of a digit's byte: far from the two zeros of mu-law
_FILL: Final = bytes([0xA5]) * FRAME_SAMPLES
_MAGIC: Final = bytes([0x9F, 0x9E, 0x9F, 0x9D])
_KNOWN: Final = {
    "One moment please, I am back.": RESUMES,
    "Could you say that again?": SAY_AGAIN,
    "One moment.": MOMENT,
    "All was as it should be.": RIGHT,
    "Something was not.": WRONG,
    "Are you still there?": STILL_THERE,
}


def item(number: int) -> str:
    """The sentence of an item."""
    return f"Item {number} of the list is here."


def items_in(text: str) -> list[int]:
    """The items in *text*, in order."""
    return [int(number) for number in re.findall(r"Item (\d+) of the list is here\.", text)]


def sentence(text: str) -> int:
    """The number of the sentence *text*."""
    if found := items_in(text):
        return found[0]
    return _KNOWN.get(text, QUESTION if text.endswith("?") else OTHER)


def frames(text: str) -> int:
    """How many frames *text* takes."""
    return len(text.split()) * WORD_FRAMES


def spoken(text: str) -> tuple[bytes, tuple[SpokenWord, ...]]:
    """*text* as mu-law audio, and where its words begin."""
    number, words, start = sentence(text), [], 0
    for place, word in enumerate(text.split()):
        begins = text.index(word, start)
        start = begins + len(word)
        words.append(SpokenWord(begins, start, place * WORD_FRAMES * FRAME_SAMPLES))
    return b"".join(_frame(number, n) for n in range(frames(text))), tuple(words)


def _frame(number: int, n: int) -> bytes:
    head = _MAGIC + bytes(_BASE + digit for digit in (number >> 4, number & 15, n >> 4, n & 15))
    return head + _FILL[len(head) :]


def heard(frame: bytes) -> int:
    """What *frame* says: sentence * 1000 + frame, `SILENT`, or an error if it is torn."""
    if frame[:4] != _MAGIC:
        if frame.strip(b"\xff"):
            raise AssertionError(f"a frame that nobody made: {frame[:16].hex()}")
        return SILENT
    a, b, c, d = (byte - _BASE for byte in frame[4:8])
    return (a * 16 + b) * 1000 + c * 16 + d
