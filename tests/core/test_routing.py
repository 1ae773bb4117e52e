"""The plan of a step: which endpoints, in which order, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.budget import BudgetPolicy
from trunkline.core.health import Breaker, Expected, Measure
from trunkline.core.routing import (
    CO_SLOW_OTHER,
    LATE_S,
    CallState,
    Known,
    Router,
    RoutingPolicy,
)
from trunkline.errors import Fault
from trunkline.types import Mono

ROUTE = ["a", "b", "c"]
FAST = Expected(ttft_p50_s=0.5, ttft_p95_s=0.8, slow_share=0.02)
SLOWER = Expected(ttft_p50_s=0.6, ttft_p95_s=0.9, slow_share=0.02)
KNOWN = {"a": Known("x", FAST), "b": Known("x", SLOWER), "c": Known("y", SLOWER)}
T = Mono(1000.0)


class Desk:
    """A router and one call on it."""

    def __init__(self, known: dict[str, Known] | None = None, draw: float = 0.3) -> None:
        self.router = Router(RoutingPolicy(), KNOWN if known is None else known)
        self.call = self.router.call(draw)

    def order(self, at: float = T, last: str | None = None, call: CallState | None = None) -> str:
        """The order at *at*, as one word; those that are not well in capitals."""
        names, well = self.router.order(ROUTE, last, call or self.call, Mono(at))
        return "".join(names[:well]) + "".join(names[well:]).upper()

    def breaks(self, name: str, at: float = T) -> Breaker | None:
        """*name* fails until that changes something."""
        return [self.router.failed(name, Fault.CUT, Mono(at)) for _ in range(3)][-1]


def test_the_configured_order_is_a_preference() -> None:
    """Where all are alike it holds; one that is much better comes first all the same."""
    alike = {name: Known(name, FAST) for name in ROUTE}
    assert Desk(alike).order() == "abc"
    better = alike | {"a": Known("a", Expected(1.0, 1.5, 0.1))}
    assert Desk(better).order() == "bca"
    assert Desk({}).order() == "abc"


def test_the_backup_of_an_endpoint_does_not_share_its_failure_domain() -> None:
    """Somewhat slower and elsewhere is better than fast and sick together."""
    assert Desk().order() == "acb"


def test_the_neighbours_of_an_open_endpoint_back_nobody_up() -> None:
    """Its failure domain may be sick: sooner the one that is well again. It is so at once."""
    desk = Desk()
    plan = desk.router.plan(ROUTE, None, desk.call, T)
    assert plan.candidates == ("a", "c", "b")
    desk.breaks("a")
    assert desk.order() == "cbA"
    assert desk.router.plan(ROUTE, None, desk.call, T).candidates == ("c", "c", "b", "a")
    elsewhere = Desk({name: Known(name, it.expected) for name, it in KNOWN.items()})
    elsewhere.breaks("a")
    assert elsewhere.router.plan(ROUTE, None, elsewhere.call, T).candidates == ("b", "c", "a")


def test_one_that_is_much_worse_backs_nobody_up() -> None:
    """Nor does one that failed this call twice: its first is asked again."""
    desk = Desk()
    for name in "bc":
        for _ in range(2):
            desk.call.failed(name, Fault.CUT)
    assert desk.router.plan(ROUTE, None, desk.call, T).candidates == ("a", "a", "c", "b")
    one = Router(RoutingPolicy(), KNOWN)
    assert one.plan(["a"], None, one.call(0.3), T).candidates == ("a",)


def test_who_is_slow_together_is_learnt_from_pairs() -> None:
    """Prior 0.3 in one failure domain, 0.01 else; a few hundred hedges say otherwise."""
    desk = Desk()
    assert desk.router.co_slow("a", "b") == pytest.approx(0.3)
    assert desk.router.co_slow("a", "c") == pytest.approx(0.01)
    for _ in range(300):
        desk.router.paired("a", "b", slow=False)
        desk.router.paired("a", "c", slow=True)
    assert desk.router.co_slow("a", "b") < 0.02
    assert desk.router.co_slow("a", "c") > 0.95
    assert desk.order() == "abc"


def test_a_call_stays_where_it_was_served() -> None:
    """Up to 1.15 times the best score, not beyond."""
    close = {name: Known(name, FAST) for name in ROUTE}
    close["b"] = Known("b", Expected(0.45, 0.72, 0.015))
    assert Desk(close).order() == "abc"
    assert Desk(close).order(last="b") == "bac"
    assert Desk(close).order(last="gone") == "abc"
    far = {"a": Known("", FAST), "b": Known("", Expected())}
    assert Desk(far).order(last="b").startswith("a")


@pytest.mark.parametrize(
    ("faults", "first"),
    [
        ([Fault.CUT], "b"),
        ([Fault.SILENT], "b"),
        ([Fault.THROTTLED, Fault.EMPTY], "a"),
        ([Fault.CUT] * 99, "b"),
    ],
)
def test_a_call_remembers_who_failed_it(faults: list[Fault], first: str) -> None:
    """For another call nothing has changed."""
    desk = Desk()
    for fault in faults:
        desk.call.failed("a", fault)
    assert desk.order()[0] == first
    assert desk.order(call=desk.router.call(0.3))[0] == "a"
    assert desk.call.sourness("a") <= 27


def test_those_that_are_not_well_stand_behind() -> None:
    """Pushed back, then open, then misconfigured; none is left out."""
    desk = Desk()
    assert desk.breaks("a") is Breaker.OPEN
    assert desk.order() == "cbA"
    assert desk.router.failed("c", Fault.THROTTLED, T, 5.0) is None
    assert desk.order() == "bCA"
    assert desk.router.failed("b", Fault.REFUSED, T) is Breaker.MISCONFIGURED
    assert desk.order() == "CAB"
    assert desk.order(T + 6) == "cAB"


def test_a_half_open_endpoint_gets_new_calls_by_their_draw_and_keeps_its_own() -> None:
    """Calls that are elsewhere stay there until it is closed."""
    desk = Desk()
    desk.breaks("a")
    assert [desk.router.probed("a", 0.4, T) for _ in range(3)][-1] is Breaker.HALF_OPEN
    assert desk.router.probed("a", None, T) is None
    few, many = desk.router.call(0.01), desk.router.call(0.5)
    assert desk.order(T + 60, call=few)  # closed by then
    half = Desk()
    half.breaks("a")
    for _ in range(3):
        half.router.probed("a", 0.4, T)
    assert half.order(call=few)[-1] != "A"
    assert half.order(call=many)[-1] == "A"
    assert half.order(call=few, last="c")[-1] == "A"
    assert half.order(call=many, last="a")[-1] != "A"


def test_a_healthy_first_is_hedged_late_and_its_backup_is_known() -> None:
    """Beyond the body of the law, within the grid; the q95 of the backup and of the voice."""
    desk = Desk()
    plan = desk.router.plan(ROUTE, None, desk.call, T)
    assert plan.candidates == ("a", "c", "b")
    assert 0.8 <= plan.escalate_after_s <= 1.4
    assert plan.hedge_after_s in (plan.escalate_after_s, LATE_S)
    assert 1.0 < plan.recovery_q95_s < 2.1
    assert 0.4 < plan.gap_floor_s < 0.7
    assert plan.gap_floor_s < plan.gap_floor_empty_s <= 1.0


def test_the_dearer_a_request_the_later_it_is_hedged() -> None:
    """Lambda is the price."""
    delays = []
    for price_s in (0.05, 0.15, 1.0):
        desk = Desk()
        desk.router.budget.price_s = price_s
        delays.append(desk.router.hedge_delay("a", "c", T)[0])
    assert delays == sorted(delays)
    assert delays[0] < delays[-1]


def test_a_fast_endpoint_is_hedged_as_early_as_any_may_be() -> None:
    """Where its body is long over, there is nothing to wait for."""
    fast = {"a": Known("", Expected(0.1, 0.2, 0.02)), "b": Known("", Expected(0.1, 0.2, 0.02))}
    assert Desk(fast).router.hedge_delay("a", "b", T)[0] == pytest.approx(0.6)


def test_a_delay_at_which_too_many_would_hedge_is_not_considered() -> None:
    """A wide body: the hedge is put off until the budget can pay for all that are left."""
    wide = {name: Known(name, Expected(0.54, 1.5, 0.02)) for name in ROUTE}
    delay_s, share = Desk(wide).router.hedge_delay("a", "b", T)
    assert delay_s > 1.3
    assert share == 1.0


def test_what_the_budget_cannot_pay_is_drawn() -> None:
    """A slow endpoint: once the savings are spent, a share of the steps hedges at d*."""
    slow = {name: Known(name, Expected(1.0, 2.2, 0.1)) for name in ROUTE}
    desk = Desk(slow)
    delay_s, share = desk.router.hedge_delay("a", "b", T)
    assert delay_s < LATE_S
    assert 0.04 < share < 0.9
    rich = [desk.router.plan(ROUTE, None, desk.call, T).hedge_after_s for _ in range(100)]
    assert set(rich) == {delay_s}
    assert desk.router.budget.hedge()
    poor = [desk.router.plan(ROUTE, None, desk.call, T).hedge_after_s for _ in range(1000)]
    assert poor.count(delay_s) / 1000 == pytest.approx(share, abs=0.02)
    assert set(poor) == {delay_s, LATE_S}


def test_a_pair_s_delay_is_not_computed_with_every_step() -> None:
    """Only every three seconds."""
    desk = Desk()
    before = desk.router.hedge_delay("a", "c", T)
    for _ in range(500):
        desk.router.observe("a", Measure.FIRST, 1.0, T)
    assert desk.router.hedge_delay("a", "c", Mono(T + 2.9)) == before
    assert desk.router.hedge_delay("a", "c", Mono(T + 3)) != before


def test_the_configuration_overrides_what_is_learnt() -> None:
    """Each of the four, and with the delay the draw."""
    desk = Desk()
    told = AttemptPolicy(
        hedge_after_s=0.9, gap_floor_s=0.2, gap_floor_empty_s=0.3, recovery_q95_s=0.4
    )
    plan = desk.router.plan(ROUTE, None, desk.call, T, told)
    assert plan[1:] == (0.9, 0.9, LATE_S, 0.4, 0.2, 0.3)


def test_one_that_is_alone_is_its_own_backup() -> None:
    """A second request to it is better than none; beside sick ones it stands twice."""
    desk = Desk()
    assert desk.router.plan(["a"], None, desk.call, T).candidates == ("a",)
    assert desk.router.co_slow("a", "a") == pytest.approx(0.3)
    desk.breaks("b")
    desk.breaks("c")
    assert desk.router.plan(ROUTE, None, desk.call, T).candidates[:2] == ("a", "a")


def test_if_none_is_well_the_two_least_bad_are_raced() -> None:
    """The panic rule: the last one is never ejected."""
    desk = Desk()
    for name in ROUTE:
        desk.breaks(name)
    plan = desk.router.plan(ROUTE, None, desk.call, T)
    assert sorted(plan.candidates) == ROUTE
    assert plan.hedge_after_s == 0.0
    assert plan.escalate_after_s > 0


def test_callers_leave_a_sick_endpoint_within_seconds() -> None:
    """At 7 turns a second: brown-out (slow, then served) after 60 s of health."""
    desk, now = Desk(), float(T)
    for _ in range(420):
        now += 1 / 7
        desk.router.observe("a", Measure.FIRST, 0.5, Mono(now))
        desk.router.served("a", Mono(now))
    began = now
    while desk.order(now, call=desk.router.call(0.5))[0] == "a":
        now += 1 / 7
        desk.router.observe("a", Measure.SLOW, 1.2, Mono(now + 1.2))
        assert now - began < 3.5
    assert desk.router.health("a").score(now + 1.2) > 0.5


def test_the_voice_s_own_delay_is_part_of_a_recovery() -> None:
    """Learnt, and read anew every three seconds."""
    desk = Desk()
    before = desk.router.plan(ROUTE, None, desk.call, T).recovery_q95_s
    for _ in range(200):
        desk.router.voiced(1.0, T)
    assert desk.router.plan(ROUTE, None, desk.call, T).recovery_q95_s == before
    later = desk.router.plan(ROUTE, None, desk.call, Mono(T + 3)).recovery_q95_s
    assert later > before + 0.4


def test_probes_go_to_whoever_waits_longest() -> None:
    """One at a time, each at its own constant rate, and only to those that are asked for."""
    desk = Desk()
    assert desk.router.probe_due(ROUTE, T) is None
    desk.breaks("b", T)
    desk.breaks("a", T + 1)
    later = Mono(T + 17)
    assert desk.router.probe_due(["c"], later) is None
    assert [desk.router.probe_due(ROUTE, later) for _ in range(3)] == ["b", "a", None]


def test_measurements_that_change_the_state_say_so() -> None:
    """Who journals it need not look."""
    desk = Desk()
    told = [desk.router.observe("a", Measure.SLOW, 1.2, T) for _ in range(3)]
    assert told == [None, None, Breaker.OPEN]
    assert Router(RoutingPolicy(BudgetPolicy(burst=4.0))).budget.level == 2


@given(
    history=st.lists(
        st.tuples(
            st.sampled_from(ROUTE), st.sampled_from([*Measure, *Fault, None]), st.floats(0, 9)
        ),
        max_size=40,
    ),
    last=st.sampled_from([None, *ROUTE]),
    draw=st.floats(0, 0.999),
)
def test_whatever_happened_there_is_a_plan(
    history: list[tuple[str, Measure | Fault | None, float]], last: str | None, draw: float
) -> None:
    """All of the route are in it, its delays are positive and bounded, and all recover."""
    desk, now = Desk(draw=draw), float(T)
    for name, what, pause_s in history:
        now += pause_s
        if isinstance(what, Measure):
            desk.router.observe(name, what, pause_s, Mono(now))
        elif isinstance(what, Fault):
            desk.router.failed(name, what, Mono(now))
            desk.call.failed(name, what)
        else:
            desk.router.served(name, Mono(now))
        plan = desk.router.plan(ROUTE, last, desk.call, Mono(now))
        assert set(plan.candidates) == set(ROUTE)
        assert 0 <= plan.hedge_after_s <= LATE_S
        assert 0.5 < plan.escalate_after_s <= LATE_S
        assert 0.25 <= plan.gap_floor_s <= plan.gap_floor_empty_s <= 1.0
        assert 0 < plan.recovery_q95_s < 60


def test_a_new_configuration_keeps_what_was_learnt_of_endpoints_that_stay() -> None:
    """One that is another under the same name begins anew, and one that is gone is forgotten."""
    known = {name: Known("d") for name in ("stays", "other", "gone")}
    router = Router(RoutingPolicy(), known)
    now = Mono(100.0)
    for name in known:
        for _ in range(3):
            router.failed(name, Fault.CUT, now)
    state = router.call(0.5)
    router.plan(list(known), None, state, now)
    router.paired("stays", "other", slow=True)
    router.paired("stays", "stays too", slow=True)
    router.health("stays too")
    learnt = router.co_slow("stays", "stays too")
    router.renew({"stays": Known("e"), "other": Known("d"), "stays too": Known("e")}, {"other"})
    assert router.health("stays").breaker(now) is Breaker.OPEN
    assert router.health("other").breaker(now) is Breaker.CLOSED
    assert router.co_slow("stays", "stays too") == learnt
    assert router.co_slow("stays", "other") == CO_SLOW_OTHER
    assert router.plan(["stays", "other"], "gone", state, now).candidates[0] == "other"
