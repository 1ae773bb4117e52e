"""What a trial came to: how long, how silent, which words. Pure.

The silence is what a caller would hear if every subject had the same synthesiser: sentences are
spoken as soon as they are whole, `VOICE_S` after they were given to it, at `CHARS_PER_S`.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trunkline.core.phrases import Phrases

VOICE_S = 0.2
CHARS_PER_S = 15.0
"""Assumed of the synthesiser: time to its first audio, and pace (`core.tempo` has its sources)."""
_WORD = re.compile(r"[\w'’]+")


class Clock:
    """When what was said is heard, after *began*; *gap_s*: the longest silence before or in it."""

    def __init__(self, began: float) -> None:
        self.drain, self.gap_s = began, 0.0

    def say(self, at: float, sentence: str) -> None:
        """A sentence is given to the synthesiser."""
        starts = max(at + VOICE_S, self.drain)
        self.gap_s = max(self.gap_s, starts - self.drain)
        self.drain = starts + len(sentence) / CHARS_PER_S


@dataclass(frozen=True, slots=True)
class Trial:
    """*number* 1, 2, ...; the fault and where in the answer it strikes (0: before it)."""

    number: int
    fault: str
    after_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trial of one subject; seconds.

    *next_s*: from the fault to the next useful token (`inf`: none came). *silence_s*: the longest
    that the caller hears (`inf`: the rest never comes). *lost*, *again*: words of the answer that
    were not said, that were said once more (or were never in it). *end*: `whole`, `short` (ended as
    if it were whole), `error` (the application was told), `silent` (not over within the wait).
    """

    subject: str
    fault: str
    after_tokens: int
    next_s: float
    silence_s: float
    lost: int
    again: int
    end: str
    error: str = ""
    audio_lost_s: float = 0.0


def outcome(
    subject: str,
    trial: Trial,
    told: Mapping[str, Any],
    struck: Mapping[str, Any] | None,
    whole: str,
) -> Outcome:
    """Judge what a subject *told* of *trial*; *struck*: when the server's fault took effect."""
    tokens = [(at, text, attempt) for at, text, attempt in told["tokens"] if text.strip()]
    began, sent = (told["began"], 0) if struck is None else (struck["mono"], struck["token"])
    # Tokens that were sent before the fault are no recovery, however late they are read.
    before = {id(it) for it in [it for it in tokens if it[2] == 0][:sent]}
    after = [at for at, *_ in (it for it in tokens if id(it) not in before) if at >= began]
    said = told["said"]
    if said is None:
        said = sentences(tokens, told["ended"] if told["how"] != "waits" else None)
    clock = Clock(told["began"])
    for at, sentence in said:
        clock.say(at, sentence)
    lost, again = words(whole, " ".join(text for _, text in said))
    end = {"waits": "silent", "error": "error"}.get(told["how"], "short" if lost else "whole")
    if end == "error" and not lost and not again:
        end = "whole"  # an error that nobody hears
    return Outcome(
        subject,
        trial.fault,
        trial.after_tokens,
        next_s=after[0] - began if after else math.inf,
        silence_s=math.inf if lost else clock.gap_s,
        lost=lost,
        again=again,
        end=end,
        error=(told["errors"] or [""])[0],
    )


def sentences(
    tokens: Sequence[tuple[float, str, int]], ended: float | None
) -> list[tuple[float, str]]:
    """When which sentence of a stream was whole; its last words when it *ended* (None: never)."""
    phrases, said = Phrases(), list[tuple[float, str]]()
    for at, text, _ in tokens:
        said += [(at, sentence) for sentence in phrases.feed(text)]
    if ended is not None and (rest := phrases.end()):
        said.append((ended, rest))
    return said


def words(whole: str, said: str) -> tuple[int, int]:
    """How many words of *whole* are missing in *said*, and how many *said* has beyond them."""
    wanted, got = (Counter(_WORD.findall(text.casefold())) for text in (whole, said))
    return (wanted - got).total(), (got - wanted).total()


@dataclass(frozen=True, slots=True)
class Row:
    """One subject under one fault: medians, and least and most of *trials* trials."""

    subject: str
    fault: str
    trials: int
    next_s: tuple[float, float, float]
    silence_s: tuple[float, float, float]
    lost: tuple[float, float, float]
    again: tuple[float, float, float]
    ends: Mapping[str, int]


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """The outcomes by fault and subject, in the order in which these come."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for it in outcomes:
        groups.setdefault((it.fault, it.subject), []).append(it)
    return [
        Row(
            subject,
            fault,
            len(group),
            _spread([it.next_s for it in group]),
            _spread([it.silence_s for it in group]),
            _spread([it.lost for it in group]),
            _spread([it.again for it in group]),
            Counter(it.end for it in group),
        )
        for (fault, subject), group in groups.items()
    ]


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The median (the higher one of two: half of infinity says nothing), the least, the most."""
    return statistics.median_high(values), min(values), max(values)
