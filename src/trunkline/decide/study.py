"""The decision: constraints, then costs in every drawn world, then one rule.

The default is managed. Leaving it for a stage needs a constraint that leaves nothing managed, or
that it is cheaper over the horizon, people included, in more than `SURE` of the worlds (by the
lower end of Wilson's 95 % interval, so that another seed does not turn a close call).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from trunkline.decide import latency, worth
from trunkline.decide.costs import VOLUME, Cost, Topology, cheapest, cost, load, volume_figure
from trunkline.decide.dimensions import DIMENSIONS, acceptability, score, weigh
from trunkline.decide.figures import Array, Catalogue, Draws
from trunkline.decide.needs import STAGES, Kind, Needs
from trunkline.decide.offers import Choice, Eliminated, Host, Offer, Offers, Option, judge
from trunkline.decide.runs import Measured
from trunkline.decide.worth import Bar, BreakEven, Curve, Setting, Worth, curves, tornado

SURE = 0.8
WORLDS = 2_000
BANDS = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Judged:
    """One topology that is allowed, with what was found of it."""

    cost: Cost
    cheaper: float
    saving_usd: float
    values: Mapping[str, Array]
    scores: Mapping[str, float]
    value: float
    first: float
    within_slo: float

    @property
    def name(self) -> str:
        """As `Topology.name`."""
        return self.cost.topology.name


@dataclass(frozen=True)
class Study:
    """Everything that the answer says. *picked* is None if the constraints leave nothing."""

    needs: Needs
    seed: int
    choice: Choice
    judged: Sequence[Judged]
    too_dear: Sequence[tuple[str, float]]
    baseline: Judged | None
    picked: Judged | None
    rival: Judged | None
    measured: Mapping[str, Measured]
    used: tuple[str, ...]
    lines: tuple[float, float, float]
    draws: Draws | None = None
    setting: Setting | None = None
    curves: Sequence[Curve] = ()
    break_even: Sequence[BreakEven] = ()
    tornado: Sequence[Bar] = ()
    know_all_usd: float = 0.0
    know: Sequence[Worth] = ()

    @property
    def forced(self) -> bool:
        """Whether a constraint, not a price, took a stage off managed."""
        return self.baseline is not None and bool(self.baseline.cost.topology.own)


def decide(
    needs: Needs,
    catalogue: Catalogue,
    offers: Offers,
    measured: Mapping[str, Measured],
    seed: int,
) -> Study:
    """Decide for *needs*; the same *seed*, the same study. `InputError`: unknown figures."""
    catalogue = catalogue.overlaid(needs.figures, needs.name)
    given = {it.capacity.id: it.capacity for it in measured.values()}
    given[VOLUME] = volume_figure(needs)
    draws = Draws(catalogue, seed, WORLDS, given)
    choice = _measured_out(needs, judge(needs, offers), measured)
    busy = load(needs, draws)
    lines = tuple(float(it) for it in np.quantile(busy.lines, BANDS))
    nothing = Study(needs, seed, choice, (), (), None, None, None, measured, (), _three(lines))
    if choice.closed:
        return nothing
    best = {
        (stage, kind): cheapest(needs, draws, options)
        for (stage, kind), options in choice.left.items()
        if options
    }
    bridge = {s: it for (s, _), it in best.items() if isinstance(it, Offer)}
    costs = [cost(needs, draws, busy, it, bridge) for it in _topologies(best)]
    ceiling = needs.slo.cost_per_minute_max_usd or math.inf
    least = [float(np.quantile(it.per_minute_usd, BANDS[0])) for it in costs]
    too_dear = [(it.topology.name, p) for it, p in zip(costs, least, strict=True) if p > ceiling]
    costs = [it for it, p in zip(costs, least, strict=True) if p <= ceiling]
    if not costs:
        return replace(nothing, too_dear=too_dear)
    judged = _judged(needs, draws, costs, seed)
    baseline, picked, rival = _rule(judged)
    used = tuple(sorted(set(draws.used) - {VOLUME}))
    return Study(
        needs, seed, choice, judged, too_dear, baseline, picked, rival, measured, used,
        _three(lines), draws=draws, setting=Setting(needs, catalogue, given, bridge, seed),
    )  # fmt: skip


def explain(study: Study) -> Study:
    """*study* with its curves, break-even volumes, tornado and worth of information."""
    if study.picked is None or study.baseline is None or study.setting is None:
        return study
    baseline, picked, rival = study.baseline, study.picked, study.rival or study.picked
    all_usd, know = worth.information([it.cost for it in study.judged], _drawn(study))
    drawn, crossings = curves(study.setting, _shown(baseline, picked, rival, study.judged))
    pair = picked.cost.topology, rival.cost.topology
    bars = tornado(study.setting, *pair, _drawn(study).unknowns())
    return replace(
        study, curves=drawn, break_even=crossings, tornado=bars, know_all_usd=all_usd, know=know
    )


def _drawn(study: Study) -> Draws:
    if study.draws is None:
        raise ValueError("a study with a pick has its draws")
    return study.draws


def _three(of: tuple[float, ...]) -> tuple[float, float, float]:
    low, mid, high = of
    return low, mid, high


def _measured_out(needs: Needs, choice: Choice, measured: Mapping[str, Measured]) -> Choice:
    """A server that was measured slower than a whole turn may be is out; a prior never is."""
    left, out = dict(choice.left), list(choice.eliminated)
    limit = needs.slo.turn_p99_s
    for stage, it in measured.items():
        if it.p99_s <= limit:
            continue
        for kind in ("self_hosted", "customer_vpc"):
            for option in left[stage, kind]:
                reason = f"measured p99 {it.p99_s:g} s alone is above slo.turn_p99_s {limit:g}"
                evidence = f"{it.served}; {it.capacity.source}"
                relax = f"slo.turn_p99_s: above {it.p99_s:g}"
                out.append(Eliminated(option.name, (stage,), kind, reason, evidence, relax))
            left[stage, kind] = ()
    return Choice(left, out)


def _topologies(best: Mapping[tuple[str, Kind], Option]) -> Sequence[Topology]:
    """Every mix of the kinds that are left, with the best option of each."""
    of_stage = [[it for (s, _), it in best.items() if s == stage] for stage in STAGES]
    return [Topology(dict(zip(STAGES, mix, strict=True))) for mix in product(*of_stage)]


def _default(costs: Sequence[Cost]) -> int:
    """As managed as it may be; among those the one that costs least."""
    return min(
        range(len(costs)),
        key=lambda at: (len(costs[at].topology.own), float(costs[at].total_usd.mean())),
    )


def _judged(needs: Needs, draws: Draws, costs: Sequence[Cost], seed: int) -> Sequence[Judged]:
    weights = [needs.weights.get(it, 0.0) for it in DIMENSIONS]
    waits: dict[tuple[str, ...], Array] = {}
    for it in costs:  # it depends on who runs a stage alone
        if it.topology.own not in waits:
            waits[it.topology.own] = latency.turn_p99_s(draws, it.topology, seed)
    values = [_values(needs, draws, it, waits[it.topology.own]) for it in costs]
    scores = np.array([[score(d, v[d]) for d in DIMENSIONS] for v in values])
    firsts = acceptability(scores, weights, seed)
    means = scores.mean(axis=2)
    total = weigh(means, weights)
    base = costs[_default(costs)].total_usd
    return [
        Judged(
            it,
            float(np.mean(it.total_usd < base)),
            float(np.mean(base - it.total_usd)),
            values[at],
            dict(zip(DIMENSIONS, (float(x) for x in means[at]), strict=True)),
            float(total[at]),
            float(firsts[at]),
            float(np.mean(values[at]["latency"] <= needs.slo.turn_p99_s)),
        )
        for at, it in enumerate(costs)
    ]


def _values(needs: Needs, draws: Draws, it: Cost, wait_s: Array) -> Mapping[str, Array]:
    """What each dimension's scale is read with, in its unit."""
    people = needs.people.mlops + needs.people.on_call + it.hired
    kinds = it.topology.kinds
    in_hand = sum(kind != "managed" for kind in kinds) / len(kinds)
    return {
        "cost": it.per_minute_usd,
        "latency": wait_s,
        "operations": it.pages / np.maximum(people, 1),
        "control": np.full(draws.count, in_hand),
        "speed": it.weeks,
    }


def _rule(judged: Sequence[Judged]) -> tuple[Judged, Judged, Judged | None]:
    """(the default, what is recommended, the strongest one that is not).

    Each further stage that one takes on has to pay for itself in the same way: against the best
    that takes on fewer, not against the default alone.
    """
    baseline = judged[_default([it.cost for it in judged])]
    picked = baseline
    for own in range(len(baseline.cost.topology.own) + 1, len(STAGES) + 1):
        surely = [
            it
            for it in judged
            if len(it.cost.topology.own) == own and _surely_cheaper(it.cost, picked.cost)
        ]
        picked = max(surely, key=lambda it: it.saving_usd, default=picked)
    others = [it for it in judged if it is not picked]
    if picked is not baseline:
        return baseline, picked, baseline
    return baseline, picked, max(others, key=lambda it: it.cheaper, default=None)


def _surely_cheaper(one: Cost, other: Cost) -> bool:
    share = float(np.mean(one.total_usd < other.total_usd))
    return wilson_low(share, one.total_usd.size) > SURE


def _shown(
    baseline: Judged, picked: Judged, rival: Judged, judged: Sequence[Judged]
) -> Sequence[Topology]:
    """The curves worth drawing, the default first: also each kind on its own."""
    wanted = [baseline, picked, rival]
    wanted += [it for it in judged if len(set(it.cost.topology.kinds)) == 1]
    names = dict.fromkeys(it.name for it in wanted)
    return [next(it.cost.topology for it in wanted if it.name == name) for name in names]


def wilson_low(share: float, count: int) -> float:
    """The lower end of the 95 % interval of *share* in *count* draws (Wilson 1927)."""
    z = 1.959964
    mid = share + z * z / (2 * count)
    off = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (mid - off) / (1 + z * z / count)


def host_of(topology: Topology, stage: str) -> Host | None:
    """The host of *stage*, if it runs on one."""
    option = topology.options[stage]
    return option if isinstance(option, Host) else None
