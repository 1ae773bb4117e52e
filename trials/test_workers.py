"""Many workers on one port: the death of one, a rolling restart, a drain; each under calls.

`TRUNKLINE_TRIAL_CALLS=50` sets how many calls are up at a time (3 if not set).
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from trials.workers_rig import CALLS, ITEMS, Told, house, items_heard, kill, script, silence_after
from trunkline.records.store import Store
from trunkline.telephony.caller import CallResult, place_call

RESUMED_S_MAX = 3.0


async def call(url: str, *clips: str) -> CallResult:
    return await place_call(url, await script(*clips), max_s=120.0)


def start(url: str, *clips: str) -> list["asyncio.Task[CallResult]"]:
    return [asyncio.ensure_future(call(url, *clips)) for _ in range(CALLS)]


def in_mid_answer(told: Told) -> bool:
    """Some words of the long answer's second sentence were heard."""
    data = told.get("data", {})
    assert isinstance(data, dict)
    name = str(data.get("name", "")).split(".")
    return (
        told["type"] == "playout.mark"
        and told["call"] in answers
        and name[1] == answers[told["call"]]
        and 10 < int(name[2]) < 25
    )


answers: dict[object, str] = {}
"""The phrase of each call that says the second item of the long answer."""


def note_answer(told: Told) -> None:
    data = told.get("data")
    second = {ITEMS[1].primary_text, ITEMS[1].backup_text}
    if told["type"] == "phrase.spoken" and isinstance(data, dict) and data["text"] in second:
        answers[told["call"]] = str(data["index"])


def once(items: dict[str, int]) -> bool:
    return set(items.values()) == {1}


async def judged(results: Sequence[CallResult]) -> None:
    for result in results:
        assert result.ended == "agent_closed", result.events[-3:]
        assert once(await items_heard(result)), await items_heard(result)


@pytest.mark.ci
def test_a_worker_that_is_killed_in_mid_answer_loses_no_call(tmp_path: Path) -> None:
    """Its calls go on elsewhere, from the sentence that was cut; the others notice nothing."""
    asyncio.run(_killed(tmp_path))


async def _killed(folder: Path) -> None:
    async with house(folder, 3) as serving:
        serving.watchers.append(note_answer)
        calls = start(serving.url, "consent_yes", "bring", "bye")
        hit = await serving.until(in_mid_answer)
        victim = serving.worker_of(hit["call"])
        lost = {it["call"] for it in serving.of("call.started") if it["worker"] == victim}
        killed = asyncio.get_running_loop().time()
        kill(serving.pid(victim))
        results = [await it for it in calls]
        resumed = {it["data"]["from"] for it in serving.of("call.resumed")}  # type: ignore[index]  # an object
        up = serving.of("worker.up")
    assert resumed == lost
    assert len(up) == 4, "the dead one was started again"
    await judged(results)
    gaps = [silence_after(it, killed - it.mono0) for it in results if len(it.times("stream")) == 2]
    assert len(gaps) == len(lost)
    print(f"{len(lost)} of {CALLS} calls resumed after {', '.join(f'{g:.2f}' for g in gaps)} s")
    assert max(gaps) <= RESUMED_S_MAX
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
        kill(serving.pid(serving.worker_of(hit["call"])))
        result = await calling
    assert result.ended == "agent_closed", result.events[-3:]
    calendar = (folder / "reception" / "appointments.ics").read_text("utf-8")
    assert calendar.count("BEGIN:VEVENT") == 1
    keys = Counter(
        str(event.data["key"])
        for stored in Store(folder / "records").list_calls()
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
        serving.watchers.append(note_answer)
        old = {it["worker"] for it in serving.of("worker.up")}
        calls = start(serving.url, "consent_yes", "bring", "bye")
        await serving.until(in_mid_answer)
        serving.process.send_signal(1)
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
        serving.watchers.append(note_answer)
        calls = start(serving.url, "consent_yes", "bring", "bye")
        await serving.until(in_mid_answer)
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
