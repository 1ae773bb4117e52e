"""What knowing more would be worth: the regime oracle and the clairvoyant.

The *regime oracle* is our own policy with the truth in place of its estimates: it knows at every
moment which law each endpoint follows, and draws from it like everybody else. What it does better
is the price of having to learn.

The *clairvoyant* asks every endpoint for everything and takes each sentence from whoever completes
it first. Nobody can do that: it is a bound, its requests are not counted.
"""

from collections.abc import Mapping, Sequence

from typing_extensions import override

from trunkline.core import attempt_words as words
from trunkline.core.decay import BINS, SLOW_S, Histogram, Law, bin_of
from trunkline.core.health import COSTS, FAULT_COST_S, Breaker, Expected, Health
from trunkline.core.phrases import Phrases
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.errors import Fault
from trunkline.testing.simulation.baselines import PATIENCE_S, Baseline, Habit
from trunkline.testing.simulation.draws import ATTEMPTS, Drawn, Draws, Trouble
from trunkline.testing.simulation.speech import Routes, Speech, course_of
from trunkline.testing.simulation.turn import Machine, Turn
from trunkline.types import Mono, StageName, ToolCall, ToolCallDelta

FIRST_SENTENCE_WORDS = 10
"""Of the usual answer; the truth about a sentence needs no more than this."""
SAMPLES_MAX = 20_000


class Truth(Health):
    """What is true of one endpoint now, in the shape of what others have to learn."""

    __slots__ = ("_draws", "_endpoint", "_known")

    def __init__(self, draws: Draws, endpoint: int) -> None:
        super().__init__(Expected())
        self._draws, self._endpoint = draws, endpoint
        self._known: dict[int, _Regime] = {}

    def _now(self, now: float) -> "_Regime":
        drawn = self._draws.of(self._endpoint, now)
        found = self._known.get(id(drawn))
        if found is None:
            found = self._known[id(drawn)] = _Regime(drawn)
        return found

    @override
    def score(self, now: float) -> float:
        return self._now(now).score_s

    @override
    def ttft(self, now: float) -> Law:
        return self._now(now).ttft

    @override
    def sentence_q95_s(self, now: float) -> float:
        return self._now(now).sentence_q95_s

    @override
    def gap_p999_s(self, now: float) -> float:
        return 0.3  # the words of all laws come steadily; a pause is a pause

    @override
    def admits(self, draw: float | None, now: float) -> bool:
        return self._now(now).faulty < 0.5 and self._now(now).slow < 0.5

    @override
    def breaker(self, now: float) -> Breaker:
        return Breaker.CLOSED if self.admits(None, now) else Breaker.OPEN

    @override
    def probe_due(self, now: float) -> float | None:
        return None


class _Regime:
    """The truth about the requests of one endpoint in one weather."""

    __slots__ = ("faulty", "score_s", "sentence_q95_s", "slow", "ttft")

    def __init__(self, drawn: Drawn) -> None:
        first = drawn.first_s[:SAMPLES_MAX]
        trouble = drawn.trouble[:SAMPLES_MAX]
        counts, said = [0.0] * BINS, [0.0] * BINS
        for seconds, kind, gap_s in zip(first, trouble, drawn.gap_s, strict=False):
            lost = kind in {Trouble.ERROR, Trouble.HANG}
            counts[bin_of(60.0 if kind == Trouble.HANG else seconds)] += 1.0 / len(first)
            whole_s = seconds + FIRST_SENTENCE_WORDS * gap_s
            said[bin_of(60.0 if lost else whole_s)] += 1.0 / len(first)
        harmful = {Trouble.ERROR, Trouble.HANG, Trouble.STALL, Trouble.CUT, Trouble.DRIP}
        self.faulty = sum(kind in harmful for kind in trouble) / len(trouble)
        self.slow = sum(seconds >= SLOW_S for seconds in first) / len(first)
        self.ttft: Law = tuple(counts)
        known = Histogram(self.ttft, n0=1.0, tau_s=1.0, costs=COSTS)
        self.score_s = known.cost(0.0) + FAULT_COST_S * self.faulty
        self.sentence_q95_s = Histogram(tuple(said), n0=1.0, tau_s=1.0).quantile(0.95, 0.0)


class RegimeRouter(Router):
    """The router, with `Truth` in place of estimates."""

    def __init__(self, policy: RoutingPolicy, known: Mapping[str, Known], draws: Draws) -> None:
        super().__init__(policy, known)
        self._truth: Mapping[str, Health] = {
            name: Truth(draws, number) for number, name in enumerate(known)
        }

    @override
    def health(self, endpoint: str) -> Health:
        return self._truth[endpoint]


class Everything:
    """The machine of the clairvoyant: every endpoint is asked, each sentence is its first one's."""

    def __init__(self, candidates: int) -> None:
        self._running: set[int] = set()
        self._phrases: dict[int, Phrases] = {}
        self._said: dict[int, int] = {}
        self._tools: dict[int, list[ToolCallDelta]] = {}
        self._candidates, self._spoken = candidates, 0
        self._settled = False

    def feed(self, fact: words.Fact, now: Mono) -> Sequence[words.Act]:
        """Take a fact; *now* changes nothing for who sees all times."""
        del now
        acts: Sequence[words.Act] = ()
        match fact:
            case _ if self._settled:
                pass
            case words.Begin():
                acts = self._launch()
            case words.Text(lane, text):
                acts = self._say(lane, self._phrases[lane].feed(text))
            case words.ToolPart(lane, delta):
                self._tools.setdefault(lane, []).append(delta)
            case words.Ended(lane, reason):
                rest = self._phrases[lane].end()
                said = [] if rest is None else self._say(lane, [rest])
                acts = [*said, *self._settle(lane, reason)]
            case words.Failed(lane):
                self._running.discard(lane)
                acts = () if self._running else self._launch()
            case _:
                pass
        return acts

    def deadline(self) -> Mono | None:
        """Nothing is ever too late for who knows the future; but a stage may be dead for good."""
        return None

    def _launch(self) -> list[words.Act]:
        first = len(self._phrases)
        if first >= 3 * self._candidates:
            return self._settle(None, "failed")
        acts: list[words.Act] = []
        for number in range(first, first + self._candidates):
            self._running.add(number)
            self._phrases[number], self._said[number] = Phrases(), 0
            acts.append(words.Launch(number, number - first, words.Kind.PRIMARY, ""))
        return acts

    def _say(self, lane: int, sentences: Sequence[str]) -> list[words.Act]:
        acts: list[words.Act] = []
        for sentence in sentences:
            self._said[lane] += 1
            if self._said[lane] > self._spoken:
                self._spoken += 1
                acts.append(words.Say(lane, sentence))
        return acts

    def _settle(self, lane: int | None, reason: str) -> list[words.Act]:
        self._settled = True
        calls: tuple[ToolCall, ...] = ()
        if lane is not None and (parts := self._tools.get(lane)):
            calls = (ToolCall(parts[0].id, parts[0].name, "".join(it.arguments for it in parts)),)
        others = [words.Cancel(it, "complete") for it in sorted(self._running) if it != lane]
        return [*others, words.Settle(lane, reason, calls)]


class Foresight(Speech):
    """Speech by whoever will be first, and is seen to go on."""

    def __init__(self, routes: Routes, draws: Draws) -> None:
        super().__init__(routes, PATIENCE_S)
        self._draws = draws

    @override
    def order(self, stage: StageName, call: int, lot: int, now: Mono) -> Sequence[int]:
        def rank(endpoint: int) -> tuple[bool, float]:
            course = course_of(self._draws.of(endpoint, now), lot * ATTEMPTS)
            return not course.plain, course.first_s

        return sorted(self.routes[stage], key=rank)


class Clairvoyant(Baseline):
    """A worker that sees what every endpoint would have said, and when."""

    def __init__(self, models: Sequence[int], speech: Speech) -> None:
        super().__init__(Habit(), models, speech)

    @override
    def begin(self, turn: Turn, now: Mono) -> tuple[Machine, Sequence[int]]:
        return Everything(len(self._models)), self._models

    @override
    def failed(self, turn: Turn, lane: object, fault: Fault, now: Mono) -> None:
        return None
