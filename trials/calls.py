"""Calls for the trials of survival: placed a few at a time, judged from the caller's tape.

One call is what `trunkline demo` stages: two model servers, a worker and a caller, each a process,
over real sockets in real time. Rules of the campaign:

* At most `AT_ONCE` calls at a time, so that two cores keep the caller's clock.
* A call whose caller was late by more than `LATE_MS_MAX` measured the machine, not the product: it
  is placed again, and counted. Nothing else is ever discarded, above all no bad result.
* A call is placed once for all claims that need it.
* The tape is judged in a process of lower priority: it must not disturb the calls that are up.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trunkline.console.demo import CLIPS, TOPIC, DemoOrder, DemoRun, staged
from trunkline.console.outcome import Evidence, Outcome, outcome
from trunkline.console.spoken import embedded_voice
from trunkline.contracts import Context
from trunkline.errors import TrunklineError
from trunkline.media.match import Heard, heard
from trunkline.media.tape import HeardTurn, activity
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.providers.embedded.scripted import content_items
from trunkline.records.events import get
from trunkline.telephony.script import Voice
from trunkline.types import (
    TTS,
    CallId,
    DataClass,
    Endpoint,
    Event,
    Phrase,
    SpokenWord,
    Where,
    Zone,
)

AT_ONCE: Final = 3
LATE_MS_MAX: Final = 100.0
TRIES_MAX: Final = 5
START_S: Final = 1.0
"""Between the starts of two calls: five processes that load at once take both cores."""
SCRIPTS: Final = Path(__file__).parent / "scripts"
QUESTION: Final = "what should i bring and where can i park"
_SHIPPED_MOMENT: Final = "barge_in_after_s: 1.5"
_WAL_LOOKS: Final = {"consent.granted", "consent.refused", "reply.started"}

Channel = NDArray[np.int16]
Items = Mapping[str, tuple[Heard, Heard]]
"""By key of the content item: how its primary and its backup wording were heard."""


@dataclass(frozen=True, slots=True)
class Order:
    """One call. *barge_in_s* replaces the moment in the script."""

    fault: str = "none"
    seed: int = 1
    script: str = "short.yaml"
    barge_in_s: float | None = None

    @property
    def name(self) -> str:
        """For people, and for the folder."""
        moment = "" if self.barge_in_s is None else f"-{self.barge_in_s:g}s"
        return f"{Path(self.script).stem}-{self.fault}-{self.seed}{moment}"


@dataclass(frozen=True)
class Seen:
    """One call, judged. *wal*: the write-ahead log as it lay on disk while the call was up."""

    order: Order
    evidence: Evidence
    outcome: Outcome
    items: Items
    wal: tuple[bytes, ...]

    @property
    def run(self) -> DemoRun:
        """What was seen of it from outside."""
        return self.evidence.run

    @property
    def tape(self) -> Channel:
        """`[n, 2]`: caller left, agent right."""
        return self.evidence.tape

    @property
    def turns(self) -> list[HeardTurn]:
        """The turns that the caller began."""
        return [turn for turn in self.evidence.report.turns if turn.caller is not None]

    @property
    def answer(self) -> HeardTurn:
        """The turn of the question with the long answer: the second one."""
        return self.turns[1]

    @property
    def answer_number(self) -> int:
        """That turn in the journal; it has to have been understood."""
        finals = [e for e in self.evidence.of("transcript.final") if e.data["text"] == QUESTION]
        assert len(finals) == 1, f"{self.order.name}: the question was not understood, once"
        return finals[0].where.turn

    def of_answer(self, *types: str, stage: str = "llm") -> list[Event]:
        """The events of these types in the long answer; of attempts, those of *stage*."""
        turn = self.answer_number
        return [
            event
            for event in self.evidence.of(*types)
            if event.where.turn == turn and event.data.get("stage", stage) == stage
        ]

    def added_s(self, unfaulted: "Seen") -> float:
        """Silence in the long answer beyond the longest one that *unfaulted* has in it, summed."""
        return added_s(self.answer, unfaulted.answer)

    def queued_s(self) -> float:
        """Audio queued for the caller when the primary said its last token."""
        suspected = self.of_answer("attempt.suspected")
        if suspected:
            data = suspected[0].data
            return _number(data["queued_s"]) + _number(data["silent_s"])
        over = self.of_answer("failover")[0]
        # What was left at the failover, and what had been played since the strike. Where nothing
        # was left this is an upper bound, and the bound on dead air the stricter for it.
        struck = _number(self.run.strikes[0]["mono"])
        return over.mono - struck + _number(over.data["queued_s"])

    def clean(self) -> list[str]:
        """What was lost or repeated of the long answer; empty if nothing."""
        return blemishes(self.items)


def added_s(answer: HeardTurn, unfaulted: HeardTurn) -> float:
    """Silence inside *answer* beyond the longest one that *unfaulted* has inside, summed."""
    natural_s = max((s.length_s for s in unfaulted.silences), default=0.0)
    return sum(max(0.0, s.length_s - natural_s) for s in answer.silences)


def blemishes(items: Items) -> list[str]:
    """The items of which not exactly one wording was heard, whole, in order and once."""
    found = []
    for key, wordings in items.items():
        whole = sum(wording.once for wording in wordings)
        traces = sum(any(wording.parts) for wording in wordings)
        if (whole, traces) != (1, 1):
            found.append(f"{key}: {' and '.join(str(wording.parts) for wording in wordings)}")
    return found


async def items_heard(agent: Channel, voice: Voice) -> Items:
    """How each item of the long answer was heard, in both wordings; *voice*: the agent's."""
    found = {}
    for item in content_items(TOPIC):
        primary, backup = [
            heard(np.frombuffer(await voice(text), np.int16), agent)
            for text in (item.primary_text, item.backup_text)
        ]
        found[item.key] = primary, backup
    return found


@dataclass(frozen=True, slots=True)
class Rendering:
    """A sentence as the agent's synthesiser speaks it: samples, and where its words begin."""

    pcm: Channel
    words: tuple[SpokenWord, ...]


async def renderings(texts: Sequence[str]) -> list[Rendering]:
    """*texts* in the agent's voice."""
    everything = frozenset(DataClass)
    here = Zone("here", "self_hosted", "local", "none", "you", "none", False, False, everything)
    tts = EspeakTts(Endpoint("voice", TTS, "espeak", "en-us", here, "worker"), {})
    context = Context(Where(CallId("none")), DataClass.SPEECH_TEXT)

    async def phrases() -> AsyncGenerator[Phrase, None]:
        for index, text in enumerate(texts):
            yield Phrase(index, text)

    pcm = [b"" for _ in texts]
    words: list[tuple[SpokenWord, ...]] = [() for _ in texts]
    try:
        async with aclosing(phrases()) as source, tts.open(source, context) as pieces:
            async for piece in pieces:
                pcm[piece.phrase] += piece.pcm
                words[piece.phrase] += piece.words
    finally:
        await tts.close()
    return [
        Rendering(np.frombuffer(sound, np.int16), marks)
        for sound, marks in zip(pcm, words, strict=True)
    ]


def agent_stops_after_s(seen: Seen, interruption: HeardTurn) -> float:
    """From the caller's onset to the end of the last agent audio while the caller speaks."""
    assert interruption.caller is not None
    onset_s, end_s = interruption.caller.start_s, interruption.caller.end_s
    ends = [
        min(span.end_s, end_s)
        for span in activity(seen.evidence.agent)
        if span.start_s < end_s and span.end_s > onset_s
    ]
    return max(ends, default=onset_s) - onset_s


def policy(seen: Seen) -> tuple[float, float]:
    """The gap floor and the 95th percentile of recovery that the call was run with, in seconds."""
    plan = seen.of_answer("step.planned")[-1]
    return get(plan, "gap_floor_s", float), get(plan, "recovery_q95_s", float)


@dataclass
class Campaign:
    """The calls of a session, each placed once; *discarded* counts those that were placed again."""

    folder: Path
    seen: dict[Order, Seen] = field(default_factory=dict)
    failed: dict[Order, str] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)

    def see(self, orders: Iterable[Order]) -> list[Seen]:
        """Place those of *orders* that were not placed yet; every call that came about."""
        wanted = list(dict.fromkeys(orders))
        asyncio.run(self._place([o for o in wanted if o not in self.seen | self.failed]))
        return [self.seen[order] for order in wanted if order in self.seen]

    async def _place(self, orders: Sequence[Order]) -> None:
        slots = asyncio.Semaphore(AT_ONCE)
        starts = asyncio.Lock()
        spawn = get_context("spawn")
        with ProcessPoolExecutor(1, spawn, initializer=os.nice, initargs=(10,)) as judges:
            async with asyncio.TaskGroup() as group:
                for order in orders:
                    group.create_task(self._one(order, slots, starts, judges))

    async def _one(
        self, order: Order, slots: asyncio.Semaphore, starts: asyncio.Lock, judges: Executor
    ) -> None:
        for number in range(TRIES_MAX):
            folder = self.folder / f"{order.name}.{number}"
            try:
                async with slots:
                    async with starts:
                        await asyncio.sleep(START_S)
                    run, wal = await _called(order, folder)
            except TrunklineError as error:
                self.failed[order] = str(error)
                return
            late_ms = _number(run.caller["caller_late_ms_max"])
            if late_ms <= LATE_MS_MAX:
                loop = asyncio.get_running_loop()
                self.seen[order] = await loop.run_in_executor(judges, _judged, order, run, wal)
                print(f"{order.name}: placed, caller late by {late_ms:.0f} ms", flush=True)
                return
            self.discarded.append(f"{order.name}: the caller was late by {late_ms:.0f} ms")
        self.failed[order] = f"the caller's clock was late in {TRIES_MAX} of {TRIES_MAX} calls"


async def _called(order: Order, folder: Path) -> tuple[DemoRun, tuple[bytes, ...]]:
    wal: list[bytes] = []

    def tell(event: dict[str, object]) -> None:
        if event["type"] in _WAL_LOOKS:
            wal.append(b"".join(map(Path.read_bytes, files(folder / "records" / "wal"))))

    demo = DemoOrder(order.fault, order.seed, folder, _script(order, folder))
    async with staged(demo, tell) as run:
        pass
    return run, tuple(wal)


def _script(order: Order, folder: Path) -> Path:
    """The script of *order*; one with a moment of its own is written beside *folder*."""
    shipped = SCRIPTS / order.script
    if order.barge_in_s is None:
        return shipped
    text = shipped.read_text("utf-8")
    assert text.count(_SHIPPED_MOMENT) == 1
    text = text.replace(_SHIPPED_MOMENT, f"barge_in_after_s: {order.barge_in_s:g}")
    ours = folder.with_suffix(".yaml")
    ours.write_text(text.replace("../../src/trunkline/console/clips", str(CLIPS)), "utf-8")
    return ours


def _judged(order: Order, run: DemoRun, wal: tuple[bytes, ...]) -> Seen:
    evidence = Evidence(run)

    async def both() -> tuple[Outcome, Items]:
        async with embedded_voice({}) as voice:
            return await outcome(evidence, voice), await items_heard(evidence.agent, voice)

    came, items = asyncio.run(both())
    return Seen(order, evidence, came, items, wal)


def files(folder: Path) -> list[Path]:
    """All files in *folder* and below."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
