"""Figures: what is counted, what is not estimable, and when traffic has left."""

import math
from collections import Counter

import numpy as np
import pytest

from trunkline.testing.simulation.figures import figures
from trunkline.testing.simulation.shard import Tally
from trunkline.testing.simulation.worlds import load_world

BROWNOUT = load_world("brownout")


def tally(v2v_s: list[float], *, broken: list[float] | None = None, shard: int = 0) -> Tally:
    """One worker whose calls have two turns each."""
    count = len(v2v_s)
    dead_s = np.array([max(0.0, it - 1.5) for it in v2v_s])
    return Tally(
        shard,
        f"trace-{shard}",
        count,
        np.array([i // 2 + shard * 1e7 for i in range(count)]),
        np.array(v2v_s),
        dead_s,
        np.array(broken or [0.0] * count),
        np.array([]),
        np.array([]),
        Counter({"primary": count, "hedge": count // 10, "probe": 1}),
    )


def test_a_broken_answer_counts_with_the_longest_silence() -> None:
    """Its call had dead air of any length, and in the V2V nothing is dropped."""
    found = figures("x", BROWNOUT, [tally([1.0] * 99 + [math.inf], broken=[0.0] * 99 + [1.0])])
    assert found.broken == 0.01
    assert set(found.dead.values()) == {0.02}
    assert found.v2v_s["p50"] == 1.0


def test_percentiles_with_too_little_behind_them_are_not_told() -> None:
    """Ten turns must lie beyond one."""
    found = figures("x", BROWNOUT, [tally([1.0] * 1000)])
    told = {name for name, seconds in found.v2v_s.items() if seconds is not None}
    assert told == {"p50", "p95", "p99"}
    assert found.as_json()["v2v_s"] == {"p50": 1.0, "p95": 1.0, "p99": 1.0, "p99.9": None}


def test_never_is_said_in_words() -> None:
    """JSON has no infinity."""
    found = figures("x", BROWNOUT, [tally([math.inf] * 100)])
    assert found.v2v_s["p50"] == math.inf
    assert found.as_json()["v2v_s"]["p50"] == "never"  # type: ignore[index]  # it is a mapping


def test_requests_are_shares_of_steps_with_probes_apart() -> None:
    """A probe is one token, and no extra full request."""
    found = figures("x", BROWNOUT, [tally([1.0] * 100), tally([1.0] * 100, shard=1)])
    assert found.extra == {"hedge": 0.1}
    assert found.probes == 0.01
    assert (found.calls, found.turns) == (100, 200)


def test_the_trace_depends_on_every_worker_and_their_order() -> None:
    """Two workers exchanged are another trace."""
    one, two = tally([1.0] * 20), tally([1.0] * 20, shard=1)
    traces = {figures("x", BROWNOUT, them).trace for them in ([one, two], [two, one], [one])}
    assert len(traces) == 3


@pytest.mark.parametrize("left_s", [2.0, None])
def test_when_traffic_has_left(left_s: float | None) -> None:
    """The first second in which a tenth of its usual share is left on the sick endpoint."""
    it = tally([1.0] * 20)
    at = np.arange(200.0, 880.0, 0.01)
    stays = math.inf if left_s is None else left_s
    it.asked_at_s, it.asked = at, np.where((at > 300.0 + stays), 1.0, 0.0)
    [left] = figures("x", BROWNOUT, [it]).left
    assert (left.endpoints, left.from_s) == (("a",), 300.0)
    assert left.after_s == (None if left_s is None else pytest.approx(left_s - 0.1, abs=0.11))
