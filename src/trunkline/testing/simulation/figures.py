"""What a simulation says, in figures: a failure counts as infinitely late, it is never dropped."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trunkline.testing.simulation.draws import Floats
from trunkline.testing.simulation.shard import Tally
from trunkline.testing.simulation.worlds import World

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
DEAD_S = (0.3, 1.0, 3.0)
BEYOND = 10
"""A percentile with fewer turns than this beyond it is not estimable."""
LEFT_SHARE = 0.1
LEFT_STEP_S, LEFT_WINDOW_S = 0.1, 1.0
LEFT_TURNS_MIN = 30
BEFORE_S = 120.0


@dataclass(frozen=True, slots=True)
class Left:
    """When 90 % of the traffic had left endpoints that fell sick at *from_s*; None: it did not, or
    too few turns tell."""

    endpoints: tuple[str, ...]
    from_s: float
    after_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one policy in one world.

    *v2v_s* by percentile (None: not estimable from so few turns; infinity: so many were never
    answered). *dead*: shares of calls with dead air of more than so many seconds, or a broken
    answer. *extra*: full requests beyond one a step, as a share of steps, by kind; *probes* alike.
    *speech_extra*: extra attempts on speech endpoints, as a share of utterances and replies.
    """

    policy: str
    calls: int
    turns: int
    v2v_s: Mapping[str, float | None]
    dead: Mapping[float, float]
    broken: float
    extra: Mapping[str, float]
    probes: float
    speech_extra: float
    left: tuple[Left, ...]
    violations: int
    wrong: tuple[str, ...]
    trace: str

    @property
    def extra_share(self) -> float:
        """All extra full requests, as a share of steps."""
        return sum(self.extra.values())

    def as_json(self) -> dict[str, object]:
        """Plain data; a time that is infinite is the text "never"."""

        def plain(seconds: float | None) -> object:
            if seconds is None:
                return None
            return round(seconds, 4) if math.isfinite(seconds) else "never"

        return {
            "policy": self.policy,
            "calls": self.calls,
            "turns": self.turns,
            "v2v_s": {name: plain(value) for name, value in self.v2v_s.items()},
            "calls_with_dead_air": {f">{s:g}s": round(x, 6) for s, x in self.dead.items()},
            "broken_answers": round(self.broken, 6),
            "extra_requests": {kind: round(share, 6) for kind, share in self.extra.items()},
            "extra_requests_total": round(self.extra_share, 6),
            "probes": round(self.probes, 6),
            "extra_speech_requests": round(self.speech_extra, 6),
            "left": [
                {"endpoints": list(it.endpoints), "sick_from_s": it.from_s, "after_s": it.after_s}
                for it in self.left
            ],
            "violations": self.violations,
            "wrong": list(self.wrong),
            "trace": self.trace,
        }


def figures(policy: str, world: World, tallies: Sequence[Tally]) -> Figures:
    """The figures of one policy from the tallies of its workers, of which there is at least one."""
    v2v_s = np.concatenate([it.v2v_s for it in tallies])
    dead_s = np.concatenate([it.dead_s for it in tallies])
    broken = np.concatenate([it.broken for it in tallies]) > 0
    call = np.concatenate([it.call for it in tallies])
    requests: Counter[str] = sum((it.requests for it in tallies), Counter())
    steps = max(requests.pop("primary", 0), 1)
    probes = requests.pop("probe", 0)
    speech, speech_extra = requests.pop("speech", 0), requests.pop("speech extra", 0)
    calls = len(np.unique(call))
    silent_s = np.where(broken, math.inf, dead_s)
    dead = {s: len(np.unique(call[silent_s > s])) / max(calls, 1) for s in DEAD_S}
    digest = hashlib.blake2b(digest_size=8)
    for it in tallies:
        digest.update(it.digest.encode())
    return Figures(
        policy,
        calls,
        len(v2v_s),
        {name: _quantile(v2v_s, share) for name, share in PERCENTILES.items()},
        dead,
        float(broken.mean()) if len(broken) else 0.0,
        {kind: requests[kind] / steps for kind in sorted(requests)},
        probes / steps,
        speech_extra / max(speech, 1),
        left(world, tallies),
        sum(it.wrong_count for it in tallies),
        tuple(what for it in tallies for what in it.wrong),
        digest.hexdigest(),
    )


def _quantile(values: Floats, share: float) -> float | None:
    if len(values) * min(share, 1 - share) < BEYOND:
        return None
    return float(np.quantile(values, share, method="higher"))


def left(world: World, tallies: Sequence[Tally]) -> tuple[Left, ...]:
    """For each onset of bad weather, when the traffic had left.

    The share of first attempts on the endpoints that fell sick then, in windows of 1 s, is compared
    with their share in the two minutes before.
    """
    at = np.concatenate([it.asked_at_s for it in tallies])
    asked = np.concatenate([it.asked for it in tallies])
    names = list(world.endpoints)
    found = []
    for from_s in sorted({weather.from_s for weather in world.weather}):
        sick = {
            name
            for name, endpoint in world.endpoints.items()
            for weather in world.weather
            if weather.from_s == from_s and weather.strikes(name, endpoint)
        }
        to_s = max(weather.to_s for weather in world.weather if weather.from_s == from_s)
        there = np.isin(asked, [names.index(name) for name in sick])
        before = (at >= from_s - BEFORE_S) & (at < from_s)
        usual = float(there[before].mean()) if before.any() else 0.0
        after_s = _left_after(at - from_s, there, usual, to_s - from_s) if usual else None
        found.append(Left(tuple(sorted(sick)), from_s, after_s))
    return tuple(found)


def _left_after(
    since_s: Floats, there: np.typing.NDArray[np.bool_], usual: float, lasts_s: float
) -> float | None:
    for step in range(int((lasts_s - LEFT_WINDOW_S) / LEFT_STEP_S)):
        start = step * LEFT_STEP_S
        window = (since_s >= start) & (since_s < start + LEFT_WINDOW_S)
        if window.sum() < LEFT_TURNS_MIN:
            continue
        if there[window].mean() <= LEFT_SHARE * usual:
            return round(start, 1)
    return None
