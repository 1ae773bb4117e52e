"""What hedges and rescues may cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.budget import PRICED_EVERY, Budget, BudgetPolicy, Purse

POLICY = BudgetPolicy()


def test_the_bucket_starts_half_full_and_hedges_leave_a_quarter() -> None:
    """Ten of twenty; five for hedges; rescues take the rest."""
    budget = Budget(POLICY)
    assert budget.level == 10
    assert [budget.hedge() for _ in range(6)] == [True] * 5 + [False]
    assert [budget.rescue(owed=False) for _ in range(6)] == [True] * 5 + [False]
    assert (budget.hedges, budget.rescues) == (5, 5)


def test_a_call_may_always_buy_one_rescue() -> None:
    """And only the first is on the house."""
    budget = Budget(BudgetPolicy(burst=0.0))
    one, other = Purse(budget), Purse(budget)
    assert not one.hedge()
    assert [one.rescue(), one.rescue(), other.rescue(), other.rescue()] == [True, False] * 2
    assert budget.level == 0


def test_a_rescue_that_was_paid_for_is_a_call_s_first_too() -> None:
    """Whoever had one is owed none."""
    budget = Budget(BudgetPolicy(burst=2.0))
    purse = Purse(budget)
    assert purse.rescue()
    assert not purse.rescue()


def test_primaries_fill_the_bucket_up_to_its_brim() -> None:
    """0.045 each."""
    budget = Budget(POLICY)
    purse = Purse(budget)
    for _ in range(100):
        purse.primary()
    assert budget.level == pytest.approx(14.5)
    for _ in range(1000):
        purse.primary()
    assert budget.level == 20
    assert budget.primaries == 1100


def test_the_price_rises_while_more_is_spent_than_earned_and_falls_again() -> None:
    """Within its bounds."""
    budget = Budget(BudgetPolicy(burst=1e6))
    for _ in range(PRICED_EVERY):
        assert budget.hedge()
        budget.earn()
    assert budget.price_s > 0.5
    for _ in range(100):
        for _ in range(PRICED_EVERY):
            budget.hedge()
            budget.earn()
    assert budget.price_s == POLICY.price_max_s
    for _ in range(100 * PRICED_EVERY):
        budget.earn()
    assert budget.price_s == POLICY.price_min_s


@given(st.lists(st.sampled_from(["primary", "hedge", "rescue"]), max_size=300))
def test_extra_requests_never_exceed_what_was_saved_and_earned(history: list[str]) -> None:
    """Start, plus 4.5 % of the primaries, plus one that a call is owed."""
    budget = Budget(POLICY)
    purse = Purse(budget)
    for what in history:
        getattr(purse, what)()
    bought = budget.hedges + budget.rescues
    assert bought <= 10 + 0.045 * budget.primaries + 1 + 1e-9
    assert 0 <= budget.level <= POLICY.burst


STAGES = ("llm", "tts", "stt")


@given(
    st.lists(
        st.tuples(st.sampled_from(STAGES), st.sampled_from(["primary", "hedge", "rescue"])),
        max_size=300,
    )
)
def test_no_stage_buys_what_others_have_earned(history: list[tuple[str, str]]) -> None:
    """Each within 4.5 % of its own primaries; all together within that of all; one is owed."""
    budget = Budget(POLICY)
    purse = Purse(budget)
    purses = {stage: purse.of(stage) for stage in STAGES}
    primaries, bought = dict.fromkeys(STAGES, 0), dict.fromkeys(STAGES, 0)
    for stage, what in history:
        if getattr(purses[stage], what)() is None:
            primaries[stage] += 1
        else:
            bought[stage] = (
                budget.hedges
                + budget.rescues
                - sum(n for other, n in bought.items() if other != stage)
            )
    for stage in STAGES:
        assert bought[stage] <= 10 + 0.045 * primaries[stage] + 1 + 1e-9
    assert sum(bought.values()) <= 10 + 0.045 * budget.primaries + 1 + 1e-9
    assert purse.rescue() or sum(bought.values()) > 0


def test_a_thousand_spoken_replies_do_not_buy_one_request_to_a_model() -> None:
    """The bucket is full then, and the model's part of it is what it was."""
    budget = Budget(POLICY)
    speaking, thinking = (Purse(budget).of(stage) for stage in ("tts", "llm"))
    for _ in range(5):
        assert thinking.hedge()
    for _ in range(1000):
        speaking.primary()
    assert (budget.level, budget.left("tts"), budget.left("llm")) == (20, 20, 5)
    assert not thinking.hedge()
    assert speaking.hedge()


def test_a_call_is_owed_one_rescue_for_all_its_stages() -> None:
    """Whoever asks first has it."""
    purse = Purse(Budget(BudgetPolicy(burst=0.0)))
    assert purse.of("tts").rescue()
    assert not purse.of("llm").rescue()
    assert not purse.rescue()
