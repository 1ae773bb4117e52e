"""Who is killed for saying nothing."""

from trunkline.ops.hanging import HANG_S, STARVED_S, silence_max_s, waited_s


def test_a_worker_that_waits_for_a_core_is_given_more_time() -> None:
    """One that was stopped, or that loops, does not wait."""
    assert silence_max_s(3.1, 0.2) == HANG_S
    assert silence_max_s(3.1, 2.0) == STARVED_S


def test_a_process_that_is_gone_waits_for_nothing() -> None:
    """As on a system that does not tell."""
    assert waited_s(2**30) == 0.0
