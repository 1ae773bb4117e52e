"""Runs in virtual time, over simulated models with planted defects."""

import asyncio
import math
from collections.abc import Callable, Iterable

import pytest

from trunkline.bench.figures import figures
from trunkline.bench.model import ModelSubject, Talk
from trunkline.bench.run import Order, run
from trunkline.bench.sentinel import Sentinel
from trunkline.bench.turns import Turn
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.measure.arrivals import steps
from trunkline.testing.simulated import FOREVER, Beat, SimLlm, tokens
from trunkline.types import Delta, Finish, Prompt, TextDelta

ANSWER = "We are open from nine to five."


def healthy(_: Prompt) -> Iterable[Beat[Delta]]:
    """0.2 s to the first word, 0.05 s to each next one."""
    return tokens(ANSWER, first_s=0.2, gap_s=0.05)


async def measured(
    *answers: Callable[[Prompt], Iterable[Beat[Delta]]], talk: Talk, order: Order
) -> list[Turn]:
    """All turns of a run over one model for each of *answers*: `m0`, `m1`, ..."""
    sentinel, turns = Sentinel(), list[Turn]()
    subjects = [
        ModelSubject(f"m{n}", SimLlm(f"m{n}", answer), talk, sentinel)
        for n, answer in enumerate(answers)
    ]
    await run(order, subjects, sentinel, turns.append)
    return turns


ONE = Talk(turns=1, patience_s=5.0)


async def test_what_a_model_did_is_what_is_told() -> None:
    """Time to first token from the intended time, the gaps, the speed; nothing spoiled."""
    turns = await measured(healthy, talk=Talk(turns=3), order=Order(steps([(2, 10)]), 2))
    assert all(turn.ttft_s == pytest.approx(0.2) for turn in turns)
    assert all(turn.gaps_s == pytest.approx((0.05,) * 6) for turn in turns)
    assert turns[0].tokens_per_s == pytest.approx(20)
    assert not any(turn.own or turn.fault for turn in turns)
    assert {turn.turn for turn in turns} == {0, 1, 2}


async def test_a_caller_thinks_between_an_answer_and_the_next_question() -> None:
    """The second turn is intended 1.5 s after the first ended, whenever that was."""
    talk = Talk(turns=2, think_s=1.5)
    turns = await measured(healthy, talk=talk, order=Order(steps([(0.1, 20)]), 1, cv=0))
    first, second = (next(it for it in turns if it.turn == n) for n in (0, 1))
    assert first.end_s is not None
    assert second.intended_s == pytest.approx(first.end_s + 1.5)


async def test_a_freeze_is_told_as_long_as_callers_waited() -> None:
    """Frozen for 2 s of every 20: p95 is 1.2 s and p99 1.8 s later, as arithmetic says, within 2 %.

    One that asks the next question only when the last one is answered would see a handful of
    late turns and tell a p95 of 0.2 s.
    """

    def freezing(_: Prompt) -> Iterable[Beat[Delta]]:
        at = asyncio.get_running_loop().time() % 20
        return tokens("Yes.", first_s=0.2 + max(0.0, 2.0 - at))

    order = Order(steps([(23.7, 40.0)]), 10, cv=0)
    found = figures("m0", await measured(freezing, talk=ONE, order=order))
    p50, p95, p99 = (it.value for it in found.estimates["ttft_s"])
    # One turn in ten meets the freeze and waits evenly from 0 to 2 s: p95 waits 1.0, p99 1.8 s.
    assert p50 == pytest.approx(0.2)
    assert p95 == pytest.approx(1.2, rel=0.02)
    assert p99 == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    ("beats", "fault"),
    [
        ([(FOREVER, TextDelta(""))], Fault.SILENT),
        ([(0.1, TextDelta("We")), (FOREVER, TextDelta(""))], Fault.STALLED),
        ([(0.1, TextDelta("We are"))], Fault.CUT),
        ([(0.1, Finish("stop"))], Fault.EMPTY),
        ([(0.1, EndpointError("m0", Fault.THROTTLED, "HTTP 429"))], Fault.THROTTLED),
    ],
    ids=["silent", "stalled", "cut", "empty", "throttled"],
)
async def test_a_turn_that_fails_counts_as_infinitely_late(
    beats: list[Beat[Delta]], fault: Fault
) -> None:
    """Whatever it did before; one in ten of them makes the p95 a failure and leaves the median."""
    asked = iter(range(10_000))

    def failing(prompt: Prompt) -> Iterable[Beat[Delta]]:
        return healthy(prompt) if next(asked) % 10 else beats

    turns = await measured(failing, talk=ONE, order=Order(steps([(2, 30)]), 12))
    failed = [turn for turn in turns if turn.fault]
    assert {turn.fault for turn in failed} == {fault}
    assert all(turn.ttft_s == math.inf and turn.tokens_per_s == 0 for turn in failed)
    p50, p95, _ = figures("m0", turns).estimates["ttft_s"]
    assert p50.value == pytest.approx(0.2)
    assert p95.value == math.inf


async def test_subjects_get_the_same_calls_in_an_order_that_changes() -> None:
    """In each block as many, at the same distances; neither always first."""
    order = Order(steps([(1, 20)]), 12)
    turns = await measured(healthy, healthy, talk=ONE, order=order)
    begun: dict[tuple[str, int], list[float]] = {}
    for turn in turns:
        begun.setdefault((turn.subject, turn.block), []).append(turn.intended_s)
    leads = set()
    for block in range(12):
        a, b = (sorted(begun[name, block]) for name in ("m0", "m1"))
        assert [it - a[0] for it in a] == pytest.approx([it - b[0] for it in b], abs=1e-4)
        leads.add(a[0] < b[0])
    assert leads == {True, False}


async def test_a_run_is_not_valid_where_we_spoiled_it() -> None:
    """1 % of turns is the limit; those turns are counted and not charged to the subject."""
    turns = await measured(healthy, talk=ONE, order=Order(steps([(5, 20)]), 10))
    assert figures("m0", turns).invalid == []
    spoiled = [
        Turn("m0", it.block, it.call, 0, it.intended_s, 0, own=("loop_lag",), fault="silent")
        for it in turns[: len(turns) // 50]
    ]
    found = figures("m0", turns + spoiled)
    assert "loop_lag" in found.invalid[0]
    assert found.faults == {}


async def test_orders_that_make_no_sense_are_refused() -> None:
    """No blocks, and two subjects of one name."""
    with pytest.raises(InputError, match="at least one"):
        Order(steps([(1, 1)]), 0)
    twice = [ModelSubject("a", SimLlm("a", healthy), ONE, Sentinel()) for _ in range(2)]
    with pytest.raises(InputError, match="same name"):
        await run(Order(steps([(1, 1)]), 1), twice, Sentinel(), lambda _: None)
