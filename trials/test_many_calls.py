"""Two workers under many calls at once: one dies, freezes, both are renewed, drained, overrun.

The models cost nothing and the speech says what it is (`trials.light`), so that a hundred calls fit
on two cores, and each 20 ms of each caller's tape is accounted for. `TRUNKLINE_TRIAL_CALLS` sets
how many calls are up at a time (100 if not set); the small ones are for every change.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from math import inf
from pathlib import Path
from random import Random
from statistics import median

import pytest

from trials.light import coded
from trials.light.rig import ONCE, Exchange, Taped, exchange, lines, seconds, strike
from trunkline.console.serving import RESUMES_MAX
from trunkline.ops.hanging import HANG_S

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
    last = [run for run in before if run.whole][-1:]
    twice = bool(last) and again == last[0].sentence
    if twice:
        ended = seconds(last[0].until) + call.began
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


def untouched(call: Taped, struck: float) -> tuple[float, bool]:
    """The longest silence in an answer of a call of the other worker; nothing is said twice."""
    return judge_untouched([call], struck), False


@dataclass
class Judged:
    """The calls of one worker: what was wrong with some, the seconds of those that were well."""

    whose: str
    seconds: list[float] = field(default_factory=list)
    twice: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge(self, verdict: Callable[[], tuple[float, bool]]) -> None:
        """One call more; all are judged before any fails the trial."""
        try:
            took_s, twice = verdict()
        except (AssertionError, ValueError, IndexError) as why:
            self.wrong.append(str(why) or repr(why))
        else:
            self.seconds.append(took_s)
            self.twice += twice

    def row(self) -> str:
        """Of the table."""
        due, of = len(self.seconds), len(self.seconds) + len(self.wrong)
        p50_s, max_s = (median(self.seconds), max(self.seconds)) if due else (inf, inf)
        return f"{self.whose:>22} {of:9} {due:7} {p50_s:7.2f} {max_s:7.2f} {self.twice:5}"


async def in_mid_answer(serving: Exchange, calls: int, folder: Path, how: signal.Signals) -> None:
    """Strike one of two workers while all *calls* hear the answer; judge every call."""
    async with lines(serving.url, calls, folder, spread_s=calls / 10) as placed:
        await placed.until(lambda it: it["hear"] == calls)
        victim = serving.workers()[0]
        struck = strike(victim, how)
        taped = await placed.taped()
    kept, lost = Judged("the other's"), Judged("its own")
    for call in taped:
        if len(call.streams) == 1:
            kept.judge(partial(untouched, call, struck))
        else:
            lost.judge(partial(judge_resumed, call, struck))
    print(f"{how.name}: of the worker {'calls':>9} {'as due':>7} {'p50 s':>7} {'max s':>7} twice")
    print(f"{kept.row()}\n{lost.row()}")
    print("seconds: the other's, the longest silence in an answer; its own, until it went on")
    assert [*kept.wrong, *lost.wrong] == []
    judge_tools(serving, taped)
    assert lost.seconds
    assert kept.seconds
    assert max(lost.seconds) <= RESUMED_S_MAX + (HANG_S if how is signal.SIGSTOP else 0)
    assert max(kept.seconds) <= 0.1


@pytest.mark.parametrize("calls", SIZES)
def test_a_killed_worker_costs_its_callers_a_moment_and_the_others_nothing(
    tmp_path: Path, calls: int
) -> None:
    """SIGKILL in mid-answer: the rest is heard once, no tool runs twice."""

    async def main() -> None:
        async with exchange(tmp_path, 2, calls_max=calls) as serving:
            await in_mid_answer(serving, calls, tmp_path, signal.SIGKILL)

    asyncio.run(main())


@pytest.mark.parametrize("calls", [FEW, pytest.param(MANY, id="many")])
def test_a_frozen_worker_is_killed_and_its_calls_go_on(tmp_path: Path, calls: int) -> None:
    """SIGSTOP in mid-answer: its parent takes `HANG_S` to be sure, for so long nobody speaks."""

    async def main() -> None:
        async with exchange(tmp_path, 2, calls_max=calls) as serving:
            await in_mid_answer(serving, calls, tmp_path, signal.SIGSTOP)

    asyncio.run(main())


def test_no_moment_is_a_bad_one_to_be_killed(tmp_path: Path) -> None:
    """Twenty kills, one every ten seconds, whatever the calls are at: greeting, question, tool.

    A call may break off up to three times, and ends as it would have; who has lost a worker for the
    fourth time hears a sentence.
    """
    asyncio.run(_killed_at_any_moment(tmp_path))


async def _killed_at_any_moment(folder: Path) -> None:
    drawn = Random(int(os.environ.get("TRUNKLINE_TRIAL_SEED", "1")))  # noqa: S311  # moments
    async with (
        exchange(folder, 3) as serving,
        lines(serving.url, 60, folder, spread_s=200.0) as placed,
    ):
        for _ in range(20):
            await asyncio.sleep(drawn.uniform(8.0, 12.0))
            strike(drawn.choice(serving.workers()))
        taped = await placed.taped()
        judge_tools(serving, taped)
    given_up = [it for it in taped if any("we were cut off" in note for note in it.notes)]
    resumed = Counter(len(it.streams) - 1 for it in taped)
    print(
        f"20 kills under {len(taped)} calls; calls by how often they went on: "
        f"{dict(sorted(resumed.items()))}; {len(given_up)} broke off once more and were told so"
    )
    assert all(len(it.streams) == 1 + RESUMES_MAX for it in given_up), "given up too early"
    for call in taped:
        if call in given_up:
            continue
        assert call.ended == "hung up", (call.call, call.ended, call.notes)
        assert call.heard(coded.RIGHT) >= 1, (call.call, call.notes)  # it may have been cut, too
        whole = [run.sentence for run in call.runs() if run.whole]
        once = [sentence for sentence, _ in groupby(whole)]
        assert once == [*range(1, coded.ITEMS + 1)], (call.call, whole, call.notes)
        assert len(whole) - len(once) <= len(call.streams) - 1, (call.call, whole)


@pytest.mark.parametrize("calls", [FEW, pytest.param(MANY // 2, id="many")])
def test_a_rolling_restart_moves_nobody(tmp_path: Path, calls: int) -> None:
    """SIGHUP while all hear the answer: both workers are new, and no caller hears of it."""
    asyncio.run(_renewed(tmp_path, calls))


async def _renewed(folder: Path, calls: int) -> None:
    async with exchange(folder, 2, calls_max=calls) as serving:
        async with lines(serving.url, calls, folder, spread_s=calls / 10) as placed:
            await placed.until(lambda it: it["hear"] == calls)
            old = serving.workers()
            asked = strike(serving.process.pid, signal.SIGHUP)
            taped = await placed.taped()
        async with asyncio.timeout(20):
            while set(serving.workers()) & set(old):  # noqa: ASYNC110  # no loop is told of it
                await asyncio.sleep(0.1)
        assert len(serving.workers()) == 2
        longest = judge_untouched(taped, asked)
        judge_tools(serving, taped)
    assert all(len(it.streams) == 1 for it in taped)
    print(f"renewed under {calls} calls: 0 lost, longest silence in an answer {longest:.2f} s")


@pytest.mark.parametrize("calls", [FEW, pytest.param(MANY // 2, id="many")])
def test_a_drain_serves_who_is_up_and_refuses_who_calls(tmp_path: Path, calls: int) -> None:
    """SIGTERM: every running call ends as it would have, the parent ends behind the last one."""
    asyncio.run(_drained(tmp_path, calls))


async def _drained(folder: Path, calls: int) -> None:
    async with exchange(folder, 2, calls_max=calls) as serving:
        async with lines(serving.url, calls, folder, spread_s=calls / 10) as placed:
            await placed.until(lambda it: it["hear"] == calls)
            asked = strike(serving.process.pid, signal.SIGTERM)
            await asyncio.sleep(0.5)
            async with lines(serving.url, 3, folder, 0.1, "once") as late:
                refused = await late.taped()
            taped = await placed.taped()
        async with asyncio.timeout(20):
            assert await serving.process.wait() == 0
        longest = judge_untouched(taped, asked)
        judge_tools(serving, taped)
    assert [it.streams for it in refused] == [[], [], []]
    assert all("All our lines are busy" in str(it.notes) for it in refused)
    print(f"drained under {calls} calls: 0 lost, 3 new ones heard a sentence; {longest:.2f} s")


def test_a_drain_ends_in_its_time(tmp_path: Path) -> None:
    """Who still talks when `server.drain_s` is over hears a sentence, and the parent ends."""

    async def main() -> None:
        async with (
            exchange(tmp_path, 2, drain_s=2.0) as serving,
            lines(serving.url, FEW, tmp_path, 0.6) as placed,
        ):
            await placed.until(lambda it: it["hear"] == FEW)
            asked = strike(serving.process.pid, signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await serving.process.wait() == 0
            took_s = asyncio.get_running_loop().time() - asked
            taped = await placed.taped()
        said = [note for it in taped for note in it.notes if "I have to end this call" in note]
        assert len(said) == FEW, [it.notes for it in taped]
        # Behind the drain carriers are given `REDIRECT_S` to ask what to tell their callers.
        print(f"drain of 2 s: ended after {took_s:.1f} s, {len(said)} callers were told")
        assert 2.0 <= took_s <= 12.0

    asyncio.run(main())


def test_more_calls_than_there_is_room_for_hear_a_sentence(tmp_path: Path) -> None:
    """Those that are up are served as if nobody else had called; nobody hears silence."""

    async def main() -> None:
        room = 4
        async with (
            exchange(tmp_path, 2, calls_max=room // 2) as serving,
            lines(serving.url, 3 * room, tmp_path, 3.0, "once") as placed,
        ):
            taped = await placed.taped()
        served = [it for it in taped if it.streams]
        refused = [it for it in taped if not it.streams]
        assert len(served) == room, [it.notes for it in taped]
        judge_untouched(served, 0.0)
        assert all("All our lines are busy" in str(it.notes) for it in refused)
        print(f"{len(served)} served, {len(refused)} refused with a sentence, 0 in silence")

    asyncio.run(main())
