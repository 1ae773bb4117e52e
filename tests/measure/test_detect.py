"""A prober's alarms."""

import math

import numpy as np
import pytest

from trunkline.errors import InputError
from trunkline.measure.detect import Alarm, Baseline, Watch


def turns(rng: np.random.Generator, count: int) -> list[float]:
    """Healthy ones."""
    return [float(value) for value in rng.lognormal(-0.7, 0.5, count)]


def first_alarm(watch: Watch, values: list[float]) -> tuple[int, Alarm]:
    """Which turn raised it (from 1), and the alarm."""
    told = ((at, watch.feed(value)) for at, value in enumerate(values, 1))
    return next((at, alarm) for at, alarm in told if alarm)


@pytest.mark.parametrize(
    ("slower", "share", "what"), [(1.3, 1.0, "bulk"), (4.0, 0.08, "tail"), (math.inf, 0.1, "tail")]
)
def test_a_change_is_told_within_some_hundred_turns(slower: float, share: float, what: str) -> None:
    """All turns a third slower, some four times as slow, or some lost."""
    rng = np.random.default_rng(11)
    watch = Watch(Baseline.of(np.array(turns(rng, 5_000))))
    sick = [it * (slower if rng.random() < share else 1) for it in turns(rng, 2_000)]
    at, alarm = first_alarm(watch, sick)
    assert at < 400
    assert alarm.what == what
    assert 0 < alarm.ago <= at


def test_healthy_turns_seldom_alarm() -> None:
    """In 40,000, less than six do: one in 20,000 is expected."""
    rng = np.random.default_rng(5)
    watch = Watch(Baseline.of(np.array(turns(rng, 5_000))))
    assert sum(watch.feed(value) is not None for value in turns(rng, 40_000)) < 6


def test_one_turn_is_no_change() -> None:
    """However late, and one that took no time at all neither."""
    watch = Watch(Baseline.of(np.array(turns(np.random.default_rng(1), 500))))
    assert watch.feed(math.inf) is None
    assert watch.feed(0.0) is None


def test_a_sick_or_small_baseline_is_refused() -> None:
    """It would call sickness normal."""
    with pytest.raises(InputError, match="at least 200"):
        Baseline.of(np.ones(50))
    with pytest.raises(InputError, match="more than 5 %"):
        Baseline.of(np.where(np.arange(300) % 10 == 0, math.inf, 1.0))
