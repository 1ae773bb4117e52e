"""The wait before a worker is started again."""

from random import Random

from trunkline.ops.backoff import Backoff, BackoffPolicy

POLICY = BackoffPolicy(first_s=1.0, longest_s=8.0, healthy_s=60.0)


def test_the_wait_doubles_up_to_its_bound() -> None:
    """With jitter: never less than half of it, never more than all."""
    backoff = Backoff(POLICY, Random(1))  # noqa: S311  # a draw, not a secret
    for full in (1.0, 2.0, 4.0, 8.0, *[8.0] * 2000):
        assert full / 2 <= backoff.after(0.1) <= full


def test_a_worker_that_lived_starts_the_count_anew() -> None:
    """A death a day is no crash loop."""
    backoff = Backoff(POLICY, Random(1))  # noqa: S311  # a draw, not a secret
    for _ in range(10):
        backoff.after(0.1)
    assert backoff.after(60.0) <= 1.0
    assert 1.0 <= backoff.after(0.1) <= 2.0


def test_workers_that_died_together_come_back_apart() -> None:
    """Each place draws its own jitter."""
    waits = {Backoff(POLICY, Random(seed)).after(0.1) for seed in range(20)}  # noqa: S311  # a draw
    assert len(waits) == 20
