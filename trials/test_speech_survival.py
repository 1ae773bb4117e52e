"""What a caller hears when a synthesiser or a recogniser fails: whole calls on real sockets.

`-m ci` places two calls of each stage; `make soak` so many of each fault as `SPEECH_TRIALS` says
(20; 59 of 59 or 92 of 93 show 95 % with 95 % confidence). The table is printed at the end.
"""

import asyncio
import math
import os
from collections.abc import Sequence
from typing import Final

import pytest

from trials.speech_calls import (
    BEFORE_AUDIO,
    DEAF,
    MID_ANSWER,
    SENTENCES,
    SHORT,
    Order,
    Seen,
    Studio,
    in_studio,
)
from trials.speech_voices import words_of
from trunkline.types import STT, TTS

RUNS: Final = int(os.environ.get("SPEECH_TRIALS", "20"))
QUEUED_MIN_S: Final = 0.8
ADDED_MAX_S: Final = 0.3
LATER_MAX_S: Final = 1.5
FLOOR_S, RECOVERY_S, MARGIN_S = 0.25, 0.6, 0.15
"""With less queued: the gap floor and q95(recovery) that `core.speech_plan` begins with."""


def complaints(studio: Studio, order: Order) -> list[str]:
    """What this call owes its caller; empty if nothing."""
    seen, healthy = studio.seen[order], studio.seen[order.healthy]
    answer = words_of(" ".join(SENTENCES) if order.stage == TTS else SHORT)
    told = [word for word, _ in seen.words]
    found = []
    if told != answer:
        lost = [word for word in answer if word not in told]
        twice = sorted({word for word in told if told.count(word) > 1})
        found.append(f"lost {lost}, repeated {twice}")
    if seen.transcripts != healthy.transcripts:
        found.append(f"heard {seen.transcripts} instead of {healthy.transcripts}")
    if seen.later_s(healthy) > LATER_MAX_S:
        found.append(f"the answer began {seen.later_s(healthy):.3f} s later")
    if order.fault in MID_ANSWER and told == answer:
        bound_s = ADDED_MAX_S
        if seen.queued_s < QUEUED_MIN_S:
            bound_s = max(bound_s, FLOOR_S + RECOVERY_S - seen.queued_s + MARGIN_S)
        if (added_s := seen.added_s(healthy)) > bound_s:
            found.append(f"{added_s:.3f} s of dead air with {seen.queued_s:.2f} s queued")
    return found


def check(studio: Studio, orders: Sequence[Order]) -> None:
    """All came about, and none has a complaint; the table is printed first."""
    print(table(studio, orders))
    found = {
        f"{order} at {studio.seen[order].moment}": complaints(studio, order)
        for order in orders
        if {order, order.healthy} <= studio.seen.keys()
    }
    assert studio.failed == {}
    assert {name: what for name, what in found.items() if what} == {}


def campaign(orders: Sequence[Order]) -> None:
    """Place them, each with its healthy twin, and check."""

    async def trial(studio: Studio) -> None:
        await studio.place([*(order.healthy for order in orders), *orders])
        await asyncio.to_thread(check, studio, orders)

    in_studio(trial)


@pytest.mark.ci
def test_one_call_of_each_stage() -> None:
    """A voice that dies in mid-sentence, and a recogniser that dies in mid-utterance."""
    campaign([Order(TTS, "die", 1), Order(STT, "die", 1)])


def test_synthesisers_that_fail_are_not_noticed() -> None:
    """No word lost or repeated; dead air within bounds, wherever a fault strikes."""
    seeds = range(1, RUNS + 1)
    campaign([Order(TTS, fault, n) for n in seeds for fault in (*BEFORE_AUDIO, *MID_ANSWER)])


def test_recognisers_that_fail_lose_no_word() -> None:
    """The same transcript as without the fault, and the answer at most 1.5 s later."""
    campaign([Order(STT, fault, seed) for seed in range(1, RUNS + 1) for fault in DEAF])


def test_a_planted_fault_of_the_words_is_found() -> None:
    """What is lost, repeated or late in what was heard is complained of: the checks can fail."""

    async def trial(studio: Studio) -> None:
        order = Order(TTS, "die", 1)
        await studio.place([order.healthy, order])
        seen = studio.seen[order]
        assert complaints(studio, order) == []
        gap = [(word, at + (number > 12)) for number, (word, at) in enumerate(seen.words)]
        for words, expected in (
            (seen.words[:9] + seen.words[10:], "lost"),
            (seen.words[:9] + seen.words[8:], "repeated"),
            (tuple(gap), "dead air"),
        ):
            studio.seen[order] = Seen(order, words, seen.v2v_s, seen.transcripts, 1, 2.0, "")
            assert any(expected in what for what in complaints(studio, order))

    in_studio(trial)


def table(studio: Studio, orders: Sequence[Order]) -> str:
    """The figures of *orders*, a line for each stage and fault."""
    lines = ["", f"{len(studio.discarded)} calls placed again, {len(studio.failed)} given up"]
    for stage, fault in dict.fromkeys((order.stage, order.fault) for order in orders):
        mine = [it for it in orders if (it.stage, it.fault) == (stage, fault) and it in studio.seen]
        pairs = [(studio.seen[it], studio.seen[it.healthy]) for it in mine]
        good = sum(not complaints(studio, order) for order in mine)
        queued = [pair for pair in pairs if pair[0].queued_s >= QUEUED_MIN_S]
        late = [one.later_s(other) for one, other in pairs]
        whole = [p for p in queued if len(p[0].words) == len(p[1].words)]
        columns = [
            f"{stage} {fault:12} {good} of {len(mine)} without a complaint",
            f"failed over {sum(one.failovers > 0 for one, _ in pairs)}",
            f"later max {max(late, default=math.nan):.2f} s",
        ]
        if fault in MID_ANSWER:
            added = [one.added_s(other) for one, other in whole]
            columns.append(f"{len(whole)} with 0.8 s queued: {figures(added)}")
        lines.append(";  ".join([*columns, bound(good, len(mine))]))
    return "\n".join(lines)


def figures(values_s: Sequence[float]) -> str:
    """Median and maximum."""
    if not values_s:
        return "none"
    return f"p50 {sorted(values_s)[len(values_s) // 2]:.3f} max {max(values_s):.3f} s added"


def bound(good: int, n: int) -> str:
    """The lower limit of the share of good calls, one-sided, 95 % (C. Clopper, E. Pearson 1934)."""
    if not n:
        return "no call"
    low, high = 0.0, good / n
    for _ in range(50):
        share = (low + high) / 2
        tail = sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(good, n + 1))
        low, high = (share, high) if tail < 0.05 else (low, share)
    return f"at least {low:.1%} with 95 % confidence"
