"""One worker's calls in simulated time: a heap of what is due, and nothing else that waits.

A shard is a worker with its own estimates, budget and calls, and its own random numbers, so that
what it computes does not depend on which process runs it, nor on how many there are.
"""

import hashlib
import heapq
import math
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from trunkline.core.attempt_words import AttemptPolicy, Kind
from trunkline.core.decay import SLOW_S
from trunkline.core.tempo import Tempo
from trunkline.testing.fault_plan import FaultPlan, Struck
from trunkline.testing.faults import FaultKind, FaultScript
from trunkline.testing.laws import ARRIVALS_SHAPE, LAWS, Law
from trunkline.testing.simulation.answers import Answer, answers
from trunkline.testing.simulation.draws import ATTEMPTS, Draws, Floats, Trouble
from trunkline.testing.simulation.ears import Ear
from trunkline.testing.simulation.heard import VOICES
from trunkline.testing.simulation.policies import policy_named
from trunkline.testing.simulation.speech import Try, course_of
from trunkline.testing.simulation.turn import Policy, Turn
from trunkline.testing.simulation.worlds import World
from trunkline.types import STT, Mono

PROBE_EVERY_S = 1.0
"""How often a worker looks whether a probe is due, and how long one may take: `calls.probes`."""
PROBE_WAIT_S = SLOW_S
SPOKEN_SHARE, SPOKEN_MIN_S, SPOKEN_MAX_S = 0.5, 0.4, 4.0
"""How long the caller speaks, of the time since the reply before."""
SENTENCE_STRIDE = 97
"""The first audio of later sentences is drawn from other turns' lots, so far apart."""
WRONG_MAX = 20
"""Violations that a shard reports in words; all are counted."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one shard is to simulate. *calls* of *turns* turns begin within the world's horizon."""

    world: World
    faults: FaultPlan | None
    policy: str
    attempts: AttemptPolicy
    seed: int
    shard: int
    calls: int
    turns: int


@dataclass(slots=True)
class Tally:
    """What came out of one shard; arrays have one entry per turn that was judged.

    *asked_at_s* and *asked* are of all turns: when the first attempt was sent, and to whom.
    """

    shard: int
    digest: str
    turns: int
    call: Floats
    v2v_s: Floats
    dead_s: Floats
    broken: Floats
    asked_at_s: Floats
    asked: Floats
    requests: Counter[str] = field(default_factory=Counter)
    wrong_count: int = 0
    wrong: list[str] = field(default_factory=list)


class Due(Protocol):
    """What can be on the heap."""

    def advance(self, now: float) -> float:
        """It is due *now*; when it is next (infinity: no more)."""


class Shard:
    """The worker: give it an order and `run` it."""

    def __init__(self, order: Order) -> None:
        world, talk = order.world, order.world.talk
        rng = np.random.default_rng(np.random.SeedSequence([order.seed, order.shard]))
        total = order.calls * order.turns
        self.order, self.world = order, world
        self._names = list(world.endpoints)
        self.draws = Draws(world, total, rng)
        self.answers: Sequence[Answer] = answers(talk, rng)
        self.transport_s = talk.transport_s
        self.voice_s: list[float] = _times(LAWS[talk.voice], total * VOICES, rng)
        self.ear_s = _times(LAWS[talk.ear], total, rng)
        self.caller_s = (talk.caller_s * np.exp(0.4 * rng.standard_normal(total))).tolist()
        self._answer: list[int] = rng.integers(len(self.answers), size=total).tolist()
        self._tool = (rng.random(total) < talk.tool_share).tolist()
        self._repeats: list[bool] = (rng.random(total) < talk.repeat_share).tolist()
        self._chance = rng.random(total).tolist()
        gaps = rng.gamma(ARRIVALS_SHAPE, size=order.calls + 1)
        self.arrivals = (np.cumsum(gaps)[:-1] / gaps.sum() * world.horizon_s).tolist()
        self.call_draws: list[float] = rng.random(1024).tolist()
        self.policy: Policy = policy_named(
            order.policy, world, order.attempts, self.draws, self.call_draws
        )
        self.speech, self.tempos = self.policy.speech, dict[int, Tempo]()
        self._hears = STT in self.speech.routes
        self._tried: dict[int, dict[int, int]] = {}  # by turn and speech endpoint: how often
        self._struck = [
            Struck(
                order.faults or FaultPlan(version=1, faults=()), name, it.stage, it.failure_domain
            )
            for name, it in world.endpoints.items()
        ]
        self._heap: list[tuple[float, int, Due]] = []
        self._pushed = 0
        self._probe_lot = 0
        self._rows: list[tuple[int, float, float, bool]] = []
        self._asked: list[tuple[float, int]] = []
        self._requests: Counter[str] = Counter()
        self._hash = hashlib.blake2b(digest_size=16)
        self._wrong: list[str] = []
        self._wrong_count = self._turns = self._open = 0

    def run(self) -> Tally:
        """Simulate until every call has ended."""
        for call, at in enumerate(self.arrivals):
            self._begin_turn(call, 0, at)
        self._open = self.order.calls
        probing = _Probing(self)
        self._push(0.0, probing)
        heap = self._heap
        while self._open:
            now, _, due = heapq.heappop(heap)
            again = due.advance(now)
            if again < math.inf:
                self._push(again, due)
            elif isinstance(due, Turn):
                self._end_turn(due)
        if len(heap) > 1 + len(self._names) * 64:
            self._violation(f"{len(heap)} things are still to come after the last call")
        return self._tally()

    # -- what turns ask --------------------------------------------------------------------------

    def strike(self, turn: Turn, endpoint: int, now: float) -> FaultScript | None:
        """The fault that befalls a request, if any."""
        struck = self._struck[endpoint]
        if not struck:
            return None
        return struck.strike(turn.call + 1, turn.number + 1, now, self._chance[turn.lot])

    def attempt(self, lot: int, endpoint: int, kind: Kind, now: float) -> Try:
        """An attempt on a speech endpoint, in the turn that has number *lot*."""
        tried = self._tried.setdefault(lot, {})
        before = tried.get(endpoint, 0)
        tried[endpoint] = before + 1
        place = lot * ATTEMPTS + before % ATTEMPTS
        course = course_of(self.draws.of(endpoint, now), place)
        call, number = divmod(lot, self.order.turns)
        struck = self._struck[endpoint]
        if struck and (script := struck.strike(call + 1, number + 1, now, self._chance[lot])):
            course.suffer(script)
        if kind is Kind.PRIMARY:
            self._asked.append((now, endpoint))
        if self.world.judge_from_s <= now < self.world.judge_to_s:
            self._requests["speech" if kind is Kind.PRIMARY else "speech extra"] += 1
        self._hash.update(struct.pack("<iid", lot, endpoint, now))
        return Try(endpoint, kind, now, course)

    def voiced(self, seconds: float, now: Mono) -> None:
        """A sentence was said with nothing ahead of it, and got its first audio so much later."""
        self.policy.voiced(seconds, now)

    def begins_s(self, it: Try, lot: int, sentence: int) -> float:
        """Seconds to the first audio of sentence number *sentence* of an attempt."""
        if not sentence:
            return it.course.first_s
        first_s = self.draws.of(it.endpoint, it.asked).first_s
        return first_s[(lot * ATTEMPTS + sentence * SENTENCE_STRIDE) % len(first_s)]

    def repeats(self, turn: Turn) -> bool:
        """Whether a rescuer in this turn begins with the last sentence that was heard."""
        return self._repeats[turn.lot]

    def repeats_in(self, lot: int) -> bool:
        """The same of the turn that has this number among all turns of the worker."""
        return self._repeats[lot]

    def answer(self, lot: int) -> Answer:
        """What any model says in the turn that has this number among all turns of the worker."""
        return self.answers[self._answer[lot]]

    # -- turns -----------------------------------------------------------------------------------

    def _begin_turn(self, call: int, number: int, began: float) -> None:
        lot = call * self.order.turns + number
        answer = self.answer(lot)
        turn = Turn(self, call, number, lot, answer, tool=self._tool[lot])
        if not self._hears:
            turn.heard.began = began
            self._push(began + self.ear_s[lot], turn)
            return
        spoken_s = max(min(SPOKEN_MAX_S, SPOKEN_SHARE * self.caller_s[lot]), SPOKEN_MIN_S)
        turn.heard.began = max(began, spoken_s)
        starts = turn.heard.began - spoken_s
        turn.ear = Ear(self, call, lot, starts, turn.heard.began)
        self._push(starts, _Listening(self, turn, turn.ear))

    def heard(self, turn: Turn, ear: Ear) -> None:
        """The caller's words are known, or never will be."""
        if ear.lost:
            turn.unheard(ear.heard_at)
            self._end_turn(turn)
        else:
            self._push(max(turn.heard.began + self.ear_s[turn.lot], ear.heard_at), turn)

    def _end_turn(self, turn: Turn) -> None:
        self._turns += 1
        if not turn.done:
            turn.judge.note("the turn never ended")
        dead_s = turn.dead_s
        turn.judge.bounded(dead_s, self.policy.dead_max_s)
        if turn.judge.wrong:
            for what in turn.judge.wrong:
                self._violation(f"call {turn.call} turn {turn.number}: {what}")
        asked_at = turn.heard.began + self.ear_s[turn.lot]
        self._asked.append((asked_at, turn.primary))
        self._tried.pop(turn.lot, None)
        heard = turn.heard
        row = (turn.call, turn.number, heard.v2v_s, heard.gap_s, heard.drain, turn.primary)
        self._hash.update(struct.pack("<iidddi", *row) + bytes(map(_CODE.__getitem__, turn.extra)))
        world = self.world
        if world.judge_from_s <= heard.began < world.judge_to_s:
            answered = turn.said or not turn.broken
            v2v_s = heard.v2v_s if answered else math.inf  # a failure is infinitely late
            self._rows.append((turn.call, v2v_s, dead_s, turn.broken))
            self._requests["primary"] += turn.step + 1
            for kind in turn.extra:
                self._requests[kind.value] += 1
        if turn.number + 1 < self.order.turns:
            began = heard.drain + self.caller_s[turn.lot]
            self._begin_turn(turn.call, turn.number + 1, began)
        else:
            self._open -= 1
            self.policy.over(turn.call)

    def _push(self, at: float, due: Due) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, due))

    def _violation(self, what: str) -> None:
        self._wrong_count += 1
        if len(self._wrong) < WRONG_MAX:
            self._wrong.append(f"seed {self.order.seed} worker {self.order.shard} {what}")

    # -- probes ----------------------------------------------------------------------------------

    def probe(self, now: float) -> None:
        """Send the probes that are due."""
        for endpoint in self.policy.probes(Mono(now)):
            if self.world.judge_from_s <= now < self.world.judge_to_s:
                self._requests["probe"] += 1
            seconds = self._probed(endpoint, now)
            wait_s = PROBE_WAIT_S if seconds is None else seconds
            self._push(now + wait_s, _Answered(self, endpoint, seconds))

    def _probed(self, endpoint: int, now: float) -> float | None:
        """Seconds to the first token of a probe, or None if it does not come in time."""
        self._probe_lot += 1
        drawn = self.draws.of(endpoint, now)
        lot = -(self._probe_lot * ATTEMPTS % len(drawn.first_s)) - 1
        script = None
        if self._struck[endpoint]:
            script = self._struck[endpoint].strike(0, 0, now, self._chance[lot // ATTEMPTS])
        broken = drawn.trouble[lot] in {Trouble.ERROR, Trouble.HANG}
        hit = script is not None and script.kind in _BEFORE_TOKENS
        seconds = drawn.first_s[lot]
        return None if broken or hit or seconds > PROBE_WAIT_S else seconds

    # -- the end ---------------------------------------------------------------------------------

    def _tally(self) -> Tally:
        rows = np.array(self._rows, dtype=np.float64).reshape(-1, 4)
        asked = np.array(self._asked, dtype=np.float64).reshape(-1, 2)
        return Tally(
            self.order.shard,
            self._hash.hexdigest(),
            self._turns,
            rows[:, 0] + self.order.shard * 1e7,  # calls of two workers are two calls
            rows[:, 1],
            rows[:, 2],
            rows[:, 3],
            asked[:, 0],
            asked[:, 1],
            self._requests,
            self._wrong_count,
            self._wrong,
        )


_CODE = {kind: number for number, kind in enumerate(Kind)}
_BEFORE_TOKENS = {
    FaultKind.REFUSE,
    FaultKind.STATUS,
    FaultKind.HANG,
    FaultKind.HEADERS_ONLY,
    FaultKind.KEEPALIVES,
    FaultKind.EMPTY,
}


@dataclass(frozen=True, slots=True)
class _Probing:
    """Looks for probes that are due, for ever."""

    shard: Shard

    def advance(self, now: float) -> float:
        """Send them."""
        self.shard.probe(now)
        return now + PROBE_EVERY_S


@dataclass(slots=True)
class _Listening:
    """The caller of *turn* speaks, and somebody listens."""

    shard: Shard
    turn: Turn
    ear: Ear
    begun: bool = False

    def advance(self, now: float) -> float:
        """Something is due for the ear; in the end the turn begins."""
        again = self.ear.advance(now) if self.begun else self.ear.begin()
        self.begun = True
        if not self.ear.plain and not self.ear.done:
            return again
        self.shard.heard(self.turn, self.ear)
        return math.inf


@dataclass(frozen=True, slots=True)
class _Answered:
    """The answer to a probe, or that there was none."""

    shard: Shard
    endpoint: int
    seconds: float | None

    def advance(self, now: float) -> float:
        """It is here."""
        self.shard.policy.probed(self.endpoint, self.seconds, Mono(now))
        return math.inf


def _times(law: Law, count: int, rng: np.random.Generator) -> list[float]:
    """So many draws of a law without tokens."""
    drawn = law.ttft_median_s * np.exp(law.ttft_sigma * rng.standard_normal(count))
    if law.tail is not None:
        late = law.tail.scale_s * (1.0 - rng.random(count)) ** (-1.0 / law.tail.shape)
        drawn = np.where(rng.random(count) < law.tail.share, late, drawn)
    return drawn.tolist()  # type: ignore[no-any-return]  # numpy does not know of what
