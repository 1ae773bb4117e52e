"""Two workers under many calls at once: one dies, freezes, both are renewed, drained, overrun.

The models cost nothing and the speech says what it is (`trials.light`), so that a hundred calls fit
on two cores, and each 20 ms of each caller's tape is accounted for. `TRUNKLINE_TRIAL_CALLS` sets
how many calls are up at a time (100 if not set); the small ones are for every change.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from trials.light import coded
from trials.light.rig import ONCE, Exchange, Taped, exchange, lines, seconds, strike
from trunkline.ops.supervisor import HANG_S

MANY = int(os.environ.get("TRUNKLINE_TRIAL_CALLS", "100"))
FEW = 6
SIZES = [pytest.param(FEW, marks=pytest.mark.ci, id="few"), pytest.param(MANY, id="many")]
RESUMED_S_MAX = 3.0
LATE_MARK_S = 0.15
"""A sentence whose end was heard so shortly before the worker died may be said twice."""


def judge_untouched(calls: Sequence[Taped], since: float) -> float:
    """Each frame was heard once and in order; the longest silence in an answer after *since*."""
    longest = 0
    for call in calls:
        assert call.ended == "hung up", (call.call, call.ended, call.notes)
        assert call.frames() == ONCE, (call.call, call.notes)
        assert call.heard(coded.RESUMES) == 0
        assert call.heard(coded.RIGHT) == 1, call.notes
        struck = (since - call.began) / 0.02
        longest = max([longest, *(n for at, n in call.silences() if at + n >= struck)])
    return seconds(longest)


def judge_resumed(call: Taped, struck: float) -> tuple[float, bool]:
    """How long until the caller heard that the call goes on; whether a sentence was said twice."""
    assert call.ended == "hung up", (call.call, call.ended, call.notes)
    assert len(call.streams) == 2, (call.call, call.notes)
    runs = call.runs()
    (line,) = [n for n, run in enumerate(runs) if run.sentence == coded.RESUMES and not run.first]
    before = [run for run in runs[:line] if run.sentence <= coded.ITEMS]
    behind = [run for run in runs[line + 1 :] if run.sentence <= coded.ITEMS]
    cut, whole = before[-1], [run.sentence for run in before if run.whole]
    assert whole == [*range(1, len(whole) + 1)], "lost or repeated before it broke off"
    assert [run.sentence for run in behind if not run.whole] == []
    again = behind[0].sentence
    assert [run.sentence for run in behind] == [*range(again, coded.ITEMS + 1)], call.notes
    twice = cut.whole and again == cut.sentence
    if twice:
        ended = seconds(cut.until) + call.began
        assert struck - ended <= LATE_MARK_S, f"heard {struck - ended:.2f} s before, said again"
    else:
        assert again == cut.sentence + cut.whole, (call.call, cut, again)
    assert call.heard(coded.RIGHT) == 1, "another conversation"
    return seconds(runs[line].at) + call.began - struck, twice


def judge_tools(serving: Exchange, calls: Sequence[Taped]) -> None:
    """Each call's message was written once, and each answer noted once."""
    written = (serving.folder / "reception" / "messages.jsonl").read_text().splitlines()
    assert len(written) == len(calls), f"{len(written)} messages of {len(calls)} calls"
    for call, events in serving.journals().items():
        done = Counter(str(it.data["key"]) for it in events if it.type == "tool.done")
        assert sorted(done.values()) == [1], (call, done)


async def in_mid_answer(serving: Exchange, calls: int, folder: Path, how: signal.Signals) -> None:
    """Strike one of two workers while all *calls* hear the answer; judge every call."""
    async with lines(serving.url, calls, folder, spread_s=calls / 10) as placed:
        await placed.until(lambda it: it["hear"] == calls)
        victim = serving.workers()[0]
        struck = strike(victim, how)
        taped = await placed.taped()
    lost = [it for it in taped if len(it.streams) != 1]
    kept = [it for it in taped if len(it.streams) == 1]
    longest = judge_untouched(kept, struck)
    judged = [judge_resumed(it, struck) for it in lost]
    judge_tools(serving, taped)
    waits = sorted(wait for wait, _ in judged)
    print(
        f"{how.name}: {len(kept)} calls of the other worker untouched, longest silence in their "
        f"answers {longest:.2f} s; {len(lost)} of its own resumed after {waits[0]:.2f} to "
        f"{waits[-1]:.2f} s, {sum(twice for _, twice in judged)} with a sentence said twice"
    )
    assert lost
    assert kept
    assert waits[-1] <= RESUMED_S_MAX + (HANG_S if how is signal.SIGSTOP else 0)
    assert longest <= 0.1


@pytest.mark.parametrize("calls", SIZES)
def test_a_killed_worker_costs_its_callers_a_moment_and_the_others_nothing(
    tmp_path: Path, calls: int
) -> None:
    """SIGKILL in mid-answer: the rest is heard once, no tool runs twice."""

    async def main() -> None:
        async with exchange(tmp_path, 2, calls_max=calls) as serving:
            await in_mid_answer(serving, calls, tmp_path, signal.SIGKILL)

    asyncio.run(main())
