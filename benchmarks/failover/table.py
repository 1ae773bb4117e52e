"""The rows as tables for a page: a fault a line, a subject a column."""

import math
from collections.abc import Mapping, Sequence

from benchmarks.failover.judge import Row

_TITLES = {
    "llm": "Models: the longest silence that a caller hears, and how the turn ends",
    "tts": "Synthesisers: the same, on ElevenLabs' and Cartesia's protocols",
    "stt": "Recognisers, on Deepgram's protocol: when the words are there, after the caller's last",
}
_NEXT = "Models: from the fault to the next useful token"


def ordered(rows: Sequence[Row], faults: Sequence[str]) -> list[Row]:
    """*rows* in the order of *faults*; subjects stay in theirs."""
    return sorted(rows, key=lambda row: faults.index(row.fault))


def markdown(stages: Mapping[str, Sequence[Row]], captions: Mapping[str, str]) -> str:
    """The tables of all stages, each with its caption."""
    parts = []
    for stage, rows in stages.items():
        parts.append(
            _table(_TITLES[stage], rows, {(it.fault, it.subject): cell(it) for it in rows})
        )
        if stage == "llm":
            waits = {(it.fault, it.subject): seconds(it.next_s) for it in rows}
            parts.append(_table(_NEXT, rows, waits))
        parts.append(f"{captions[stage]}\n")
    return "\n".join(parts)


def cell(row: Row) -> str:
    """Silence, words lost and repeated, and how many turns were not whole."""
    told = [] if row.silence_s[0] == math.inf else [seconds(row.silence_s)]
    told += [f"{row.lost[0]:g} words lost"] if row.lost[0] else []
    told += [f"{row.again[0]:g} words twice"] if row.again[0] else []
    broken = [
        f"{count}/{row.trials} {end}" for end, count in sorted(row.ends.items()) if end != "whole"
    ]
    return ", ".join([*told, *(f"**{it}**" for it in broken)])


def seconds(spread: tuple[float, float, float]) -> str:
    """The median and the range: `0.50 (0.46-0.61)`."""
    median, least, most = (f"{it:.2f}" if it < math.inf else "never" for it in spread)
    return median if least == median == most else f"{median} ({least}-{most})"


def _table(title: str, rows: Sequence[Row], cells: Mapping[tuple[str, str], str]) -> str:
    subjects = list(dict.fromkeys(row.subject for row in rows))
    lines = [f"**{title}**\n", f"| fault | {' | '.join(subjects)} |"]
    lines.append("|---" * (len(subjects) + 1) + "|")
    for fault in dict.fromkeys(row.fault for row in rows):
        told = " | ".join(cells.get((fault, subject), "") for subject in subjects)
        lines.append(f"| {fault} | {told} |")
    return "\n".join(lines) + "\n"
