"""The order in which a step tries its endpoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.routing import Router, RoutingPolicy
from trunkline.errors import Fault
from trunkline.types import Mono

ROUTE = ["a", "b", "c"]
POLICY = RoutingPolicy(cooldown_s=10.0, cooldown_max_s=35.0)


def order(router: Router, at: float, last: str | None = None) -> str:
    """The order at second *at*, as one word."""
    return "".join(router.order(ROUTE, last, Mono(at)))


def test_the_configured_order_is_the_preference() -> None:
    """Nothing is known: as configured; a call stays where it was served."""
    router = Router(POLICY)
    assert order(router, 0.0) == "abc"
    assert order(router, 0.0, last="c") == "cab"
    assert order(router, 0.0, last="gone") == "abc"


def test_an_endpoint_that_failed_goes_to_the_back_until_its_cool_down_is_over() -> None:
    """To the second, and even if it served this call last."""
    router = Router(POLICY)
    router.failed("a", Fault.CUT, Mono(100.0))
    assert order(router, 109.9, last="a") == "bca"
    assert order(router, 110.0) == "abc"


def test_no_endpoint_is_ever_left_out() -> None:
    """All are sick: the one that is well again first is tried first."""
    router = Router(POLICY)
    for second, name in enumerate("bac"):
        router.failed(name, Fault.SILENT, Mono(100.0 + second))
    assert order(router, 105.0, last="c") == "bac"


@pytest.mark.parametrize(
    ("faults", "pause_s"),
    [
        ([Fault.CUT], 10.0),
        ([Fault.CUT] * 2, 20.0),
        ([Fault.CUT] * 3, 35.0),  # 40, capped
        ([Fault.CUT] * 2000, 35.0),
        ([Fault.THROTTLED] * 3, 10.0),
        ([Fault.CUT, Fault.CUT, Fault.THROTTLED], 10.0),
        ([Fault.THROTTLED, Fault.CUT], 20.0),
    ],
)
def test_the_cool_down_doubles_with_every_failure_in_a_row(
    faults: list[Fault], pause_s: float
) -> None:
    """Up to a cap; pushback counts once."""
    router = Router(POLICY)
    for fault in faults:
        router.failed("a", fault, Mono(0.0))
    assert order(router, pause_s - 0.1) == "bca"
    assert order(router, pause_s) == "abc"


def test_an_endpoint_that_served_is_well_again() -> None:
    """Its failures are forgotten with it."""
    router = Router(POLICY)
    router.failed("a", Fault.CUT, Mono(0.0))
    router.failed("a", Fault.CUT, Mono(0.0))
    router.served("a")
    router.served("never seen")
    assert order(router, 0.0) == "abc"
    router.failed("a", Fault.CUT, Mono(0.0))
    assert order(router, 10.0) == "abc"


@given(
    history=st.lists(
        st.tuples(st.sampled_from(ROUTE), st.sampled_from([None, *Fault]), st.floats(0, 50)),
        max_size=20,
    ),
    last=st.sampled_from([None, *ROUTE]),
)
def test_whatever_happened_all_are_tried_and_the_well_come_first(
    history: list[tuple[str, Fault | None, float]], last: str | None
) -> None:
    """A permutation of the route; nobody well stands behind anybody sick; all recover."""
    router, now, sick_until = Router(POLICY), 0.0, dict.fromkeys(ROUTE, 0.0)
    for name, fault, pause_s in history:
        now += pause_s
        if fault is None:
            router.served(name)
            sick_until[name] = now
        else:
            router.failed(name, fault, Mono(now))
            sick_until[name] = now + POLICY.cooldown_max_s
    found = router.order(ROUTE, last, Mono(now))
    assert sorted(found) == ROUTE
    sick = [name for name, fault, _ in history[-1:] if fault is not None]
    for name in sick:
        behind = found[found.index(name) + 1 :]
        assert not [other for other in behind if sick_until[other] <= now]
    assert router.order(ROUTE, None, Mono(now + POLICY.cooldown_max_s)) == ROUTE
