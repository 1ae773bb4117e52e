"""Workers on one port with the embedded engines: the death of one, a rolling restart, a drain."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from trials.archives import records
from trials.workers_rig import CALLS, ITEMS, House, Told, house, items_heard, resumed_after, script
from trunkline.ops.hanging import HANG_S
from trunkline.telephony.caller import CallResult, place_call

RESUMED_S_MAX = 3.0
TELLING = ("stream", "say", "warning", "ended")


async def call(url: str, *clips: str, quiet_s: float = 2.5) -> CallResult:
    return await place_call(url, await script(*clips, quiet_s=quiet_s), max_s=120.0)


def start(url: str, *clips: str, quiet_s: float = 2.5) -> list["asyncio.Task[CallResult]"]:
    return [asyncio.ensure_future(call(url, *clips, quiet_s=quiet_s)) for _ in range(CALLS)]


def in_mid_answer(serving: House) -> Callable[[Told], bool]:
    """When some words of the long answer's second sentence were heard, in any call."""
    saying: dict[object, str] = {}  # call -> the phrase with that sentence
    second = {ITEMS[1].primary_text, ITEMS[1].backup_text}

    def holds(told: Told) -> bool:
        data = told.get("data")
        if not isinstance(data, dict):
            return False
        if told["type"] == "phrase.spoken" and data["text"] in second:
            saying[told["call"]] = str(data["index"])
        if told["type"] != "playout.mark" or told["call"] not in saying:
            return False
        _, phrase, chars = str(data["name"]).split(".")
        return phrase == saying[told["call"]] and 10 < int(chars) < 25

    return holds


def once(items: dict[str, int]) -> bool:
    return set(items.values()) == {1}


async def judged(results: Sequence[CallResult]) -> None:
    for result in results:
        assert result.ended == "agent_closed", result.events[-3:]
        assert once(await items_heard(result)), await items_heard(result)


@pytest.mark.parametrize(
    ("how", "after_s_max"),
    [(signal.SIGKILL, RESUMED_S_MAX), (signal.SIGSTOP, HANG_S + RESUMED_S_MAX)],
    ids=["killed", "frozen"],
)
def test_a_worker_that_dies_in_mid_answer_loses_no_call(
    tmp_path: Path, how: signal.Signals, after_s_max: float
) -> None:
    """Its calls go on elsewhere, from the sentence that was cut; the others notice nothing.

    One that freezes is killed by its parent, which takes `HANG_S` to be sure.
    """
    asyncio.run(_dies(tmp_path, how, after_s_max))


async def _dies(folder: Path, how: signal.Signals, after_s_max: float) -> None:
    async with house(folder, 3) as serving:
        # Who is not patient takes the silence for the end of the answer, and says goodbye.
        calls = start(serving.url, "consent_yes", "bring", "bye", quiet_s=after_s_max + 0.5)
        hit = await serving.until(in_mid_answer(serving))
        victim = serving.worker_of(hit["call"])
        lost = {it["call"] for it in serving.of("call.started") if it["worker"] == victim}
        killed = asyncio.get_running_loop().time()
        os.kill(serving.pid(victim), how)
        results = [await it for it in calls]
        resumed = {it["data"]["from"] for it in serving.of("call.resumed")}  # type: ignore[index]  # an object
        up = serving.of("worker.up")
    told = [(it.ended, [e for e in it.events if e.kind in TELLING]) for it in results]
    assert resumed == lost, told
    assert len(up) == 4, "the dead one was started again"
    await judged(results)
    gaps = [resumed_after(it, killed - it.mono0) for it in results if len(it.times("stream")) == 2]
    assert len(gaps) == len(lost)
    print(f"{len(lost)} of {CALLS} calls resumed after {', '.join(f'{g:.2f}' for g in gaps)} s")
    assert max(gaps) <= after_s_max
    untouched = [it for it in results if len(it.times("stream")) == 1]
    assert len(untouched) == CALLS - len(lost)
    assert not [w for it in untouched for w in it.times("warning")]


def test_a_tool_runs_once_when_its_worker_is_killed(tmp_path: Path) -> None:
    """Killed with the intent on disk: the appointment is booked, and only once."""
    asyncio.run(_killed_at_tool(tmp_path))


async def _killed_at_tool(folder: Path) -> None:
    def books(told: Told) -> bool:
        return told["type"] == "tool.intent" and "book_appointment" in json.dumps(told["data"])

    async with house(folder, 2) as serving:
        clips = ("consent_yes", "book", "when", "time", "name", "bye")
        calling = asyncio.ensure_future(call(serving.url, *clips))
        hit = await serving.until(books)
        os.kill(serving.pid(serving.worker_of(hit["call"])), signal.SIGKILL)
        result = await calling
    assert result.ended == "agent_closed", result.events[-3:]
    calendar = (folder / "reception" / "appointments.ics").read_text("utf-8")
    assert calendar.count("BEGIN:VEVENT") == 1
    with records(folder) as store:
        keys = Counter(
            str(event.data["key"])
            for stored in store.list_calls()
            for event in stored.events
            if event.type == "tool.done"
        )
    assert keys
    assert set(keys.values()) == {1}


def test_a_rolling_restart_loses_no_call(tmp_path: Path) -> None:
    """SIGHUP under calls: successors take what is new, the old ones end with their calls."""
    asyncio.run(_renewed(tmp_path))


async def _renewed(folder: Path) -> None:
    async with house(folder, 2) as serving:
        old = {it["worker"] for it in serving.of("worker.up")}
        calls = start(serving.url, "consent_yes", "bring", "bye")
        await serving.until(in_mid_answer(serving))
        serving.process.send_signal(signal.SIGHUP)
        await serving.until(lambda it: it["type"] == "renewed")
        later = asyncio.ensure_future(call(serving.url, "consent_yes", "bring", "bye"))
        results = [await it for it in (*calls, later)]
        await asyncio.sleep(4.0)
        gone = {it["worker"] for it in serving.of("worker.down")}
        up = {it["worker"] for it in serving.of("worker.up")} - gone
        first = serving.of("call.started")[: len(calls)]
        last = serving.of("call.started")[-1]
    assert {it["worker"] for it in first} <= old
    assert last["worker"] not in old
    assert gone == old
    assert len(up) == 2
    await judged(results)
    assert all(len(it.times("stream")) == 1 for it in results), "nobody was moved"


def test_a_drain_lets_calls_end_and_takes_no_new_ones(tmp_path: Path) -> None:
    """SIGTERM: who is up is served to the goodbye, who calls now hears a sentence."""
    asyncio.run(_drained(tmp_path))


async def _drained(folder: Path) -> None:
    async with house(folder, 2) as serving:
        calls = start(serving.url, "consent_yes", "bring", "bye")
        await serving.until(in_mid_answer(serving))
        serving.process.terminate()
        await asyncio.sleep(0.3)
        refused = await place_call(serving.url, await script("consent_yes"), max_s=20.0)
        results = [await it for it in calls]
        async with asyncio.timeout(15):
            status = await serving.process.wait()
    assert status == 0
    assert refused.ended == "no_stream"
    assert next(e.detail for e in refused.events if e.kind == "say").startswith("All our")
    await judged(results)
