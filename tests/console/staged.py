"""A demo call that never rang: its tape, journal and calendar, made to measure for each test.

15 s: a greeting, the caller's consent, the long answer (whose primary freezes at 6.0 s and whose
backup goes on at 6.5 s), the caller's goodbye, the agent's. All times are seconds of the tape.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tests.console.sample import speech
from tests.records.scene import CALL, open_records
from trunkline.agent.calendar import Appointment, Calendar
from trunkline.agent.practice import RIVERSIDE_DENTAL, load_practice
from trunkline.console.demo import TOPIC, DemoOrder, DemoRun
from trunkline.console.outcome import Evidence
from trunkline.media import wav
from trunkline.providers.embedded.scripted import content_items
from trunkline.records.journal import CallJournal
from trunkline.types import SAMPLE_RATE, Sample, Where

ITEMS = content_items(TOPIC)
ITEM_S = 0.8
ANSWER_S, FREEZE_S, FAILOVER_S = 5.5, 6.0, 6.5
LENGTH_S = 15.0
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


async def voice(text: str) -> bytes:
    """Each text has a sound of its own, the same every time."""
    noise = np.random.default_rng(zlib.crc32(text.encode()))
    return noise.integers(-9000, 9000, int(ITEM_S * SAMPLE_RATE)).astype(np.int16).tobytes()


OF_THE_OTHERS = {
    "residency": ["as_json", "config", "html", "records", "svg"],
    "config": [],
    "incidents": ["as_json", "folder", "names", "real_time", "seed"],
    "bench": [],
    "decide": ["as_json", "file", "needs", "report", "seed", "topology"],
    "records": [],
    "simulate": [
        "as_json",
        "calls",
        "config",
        "faults",
        "load_",
        "policy",
        "processes",
        "seed",
        "turns",
    ],
}
"""The options of commands whose own tests are elsewhere."""


@dataclass
class Plot:
    """What happens in the call; the default is one that survives.

    *said*: the wordings of the long answer, as (text, endpoint), without a pause between them.
    """

    fault: str = "stall"
    said: Sequence[tuple[str, str]] = field(
        default_factory=lambda: [
            (item.primary_text, "primary") if n < 2 else (item.backup_text, "backup")
            for n, item in enumerate(ITEMS)
        ]
    )
    strikes: bool = True
    failover: bool = True
    books: bool = True
    consents: bool = True
    answers_goodbye: bool = True
    ended: str = "agent_closed"
    hole_s: float = 0.0  # of silence after the second item


async def staged(folder: Path, plot: Plot) -> Evidence:
    """The evidence of *plot*, its files in *folder*."""
    wav.write_stereo(folder / "tape.wav", await _tape(plot))
    run = DemoRun(DemoOrder(plot.fault, out=folder), after_tokens=15)
    zero = asyncio.get_running_loop().time()
    run.caller = {"mono0": zero, "ended": plot.ended}
    if plot.strikes:
        run.strikes.append({"kind": "freeze", "token": 15, "mono": zero + FREEZE_S})
    async with _journal(folder / "records") as journal:
        for at_s, type, turn, data in _events(plot):
            await asyncio.sleep(max(0.0, zero + at_s - asyncio.get_running_loop().time()))
            sample = Sample(round(at_s * SAMPLE_RATE))
            journal.note(type, data, where=Where(CALL, turn, 0, 0), sample=sample)
            if type == "consent.granted":
                journal.audio("caller", sample, bytes(8000))
    if plot.books:
        practice = load_practice(RIVERSIDE_DENTAL)
        (folder / "reception").mkdir()
        calendar = Calendar(folder / "reception" / "appointments.ics", practice, lambda: NOW)
        start = datetime(2026, 11, 24, 9, 30, tzinfo=practice.zone)
        end = start + timedelta(minutes=30)
        calendar.book(Appointment("a-1", start, end, "Sarah Miller", "cleaning"))
    return Evidence(run)


@asynccontextmanager
async def _journal(directory: Path) -> AsyncIterator[CallJournal]:
    async with open_records(directory) as records:
        journal = records.journal(CALL)
        yield journal
        await journal.close("done")


async def _tape(plot: Plot) -> "np.typing.NDArray[np.int16]":
    tape = np.zeros((int(LENGTH_S * SAMPLE_RATE), 2), np.int16)
    tape[:, 0] = speech(LENGTH_S, (4, 5), (12, 13))
    goodbye = [(13.5, 14.5)] if plot.answers_goodbye else []
    tape[:, 1] = speech(LENGTH_S, (0.5, 2), *goodbye)
    at = int(ANSWER_S * SAMPLE_RATE)
    for number, (text, _) in enumerate(plot.said):
        at += int(plot.hole_s * SAMPLE_RATE) if number == 2 else 0
        clip = np.frombuffer(await voice(text), np.int16)
        tape[at : at + clip.size, 1] = clip
        at += clip.size
    return tape


Happening = tuple[float, str, int, Mapping[str, object]]


def _events(plot: Plot) -> Sequence[Happening]:
    """The journal, in the order of time."""
    found: list[Happening] = [
        (0.0, "call.started", -1, {"agent": "Dental", "carrier": "MZ1"}),
        (0.1, "reply.started", 0, {"turn": 0}),
        (0.1, "phrase.spoken", 0, {"index": 0, "text": "Hello there.", "endpoint": ""}),
        (1.2, "playout.mark", -1, {"name": "0.0.5"}),
        (2.0, "playout.mark", -1, {"name": "0.0.12"}),
        (5.2, "transcript.final", 1, _heard("that is fine", 4.0, 5.0)),
        (13.2, "transcript.final", 2, _heard("goodbye", 12.0, 13.0)),
        (13.3, "phrase.spoken", 2, {"index": 99, "text": "Bye.", "endpoint": "backup"}),
        (14.5, "playout.mark", -1, {"name": "0.99.4"}),
    ]
    if plot.consents:
        consent = {"text": "yes", "answer": "yes", "question": "may we?", "rule": "r"}
        found += [(0.3, "consent.asked", -1, {"text": "may we?"})]
        found += [(5.21, "consent.answered", -1, consent), (5.22, "consent.granted", -1, {})]
    attempt = {"stage": "llm", "endpoint": "primary", "kind": "primary"}
    found += [(5.3, "attempt.started", 1, attempt), (5.4, "attempt.delta", 1, {"n": 0})]
    failed = {"stage": "llm", "endpoint": "primary", "outcome": "failed", "fault": "stalled"}
    found += [(6.6, "attempt.ended", 1, failed if plot.failover else {**failed, "outcome": "won"})]
    if plot.failover:
        change = {"from": "primary", "to": "backup", "fault": "stalled", "kind": "rescue"}
        found += [(FAILOVER_S, "failover", 1, {**change, "silent_s": 0.5, "queued_s": 0.6})]
    for number, (text, endpoint) in enumerate(plot.said, 1):
        phrase = {"index": number, "text": text, "endpoint": endpoint}
        found += [(5.45 + number / 1000, "phrase.spoken", 1, phrase)]
        gone_s = plot.hole_s if number > 2 else 0.0
        over_s = ANSWER_S + number * ITEM_S + gone_s
        found += [(over_s, "playout.mark", -1, {"name": f"0.{number}.{len(text)}"})]
    return sorted(found, key=lambda happening: happening[0])


def _heard(text: str, start_s: float, end_s: float) -> Mapping[str, object]:
    words = text.split()
    step = (end_s - start_s) / len(words)
    at = [round((start_s + n * step) * SAMPLE_RATE) for n in range(len(words) + 1)]
    return {
        "text": text,
        "words": [[word, at[n], at[n + 1]] for n, word in enumerate(words)],
    }
