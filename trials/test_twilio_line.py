"""Both ends of the Twilio line over real sockets, in real time: what is said and heard.

Who may call is in `test_twilio_line_admission`, how calls end in `test_twilio_line_endings`.
"""

import asyncio

import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray

from trials.twilio_line_rig import ASK, AUTH, echo, loud, serving, tone, webhook
from trunkline.contracts import Carrier, MarkPlayed, Media
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.script import AfterAgent, BargeIn, CallScript, HangUp, Speak, Step, Wait
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig


def report(name: str, late_s: NDArray[np.float64]) -> None:
    p50, p99, worst = np.percentile(late_s * 1_000, [50, 99, 100])
    print(
        f"{name}: {late_s.size} ticks, late p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {worst:.2f} ms"
    )


def test_an_echo_agent_is_heard_as_loud_as_the_caller() -> None:
    """A signed call through the webhook: what is said comes back whole, at once and on time."""

    async def main() -> CallResult:
        async with serving(echo, auth_token=AUTH) as server:
            return await place_call(webhook(server), ASK, auth_token=AUTH)

    result = asyncio.run(main())
    report("one call", result.late_s)
    caller, agent = loud(result.tape[:, 0]), loud(result.tape[:, 1])
    assert result.ended == "hang_up"
    assert caller.sum() == agent.sum() == 50
    behind = int(agent.argmax() - caller.argmax())
    print(f"echo: {behind * 20} ms behind the caller")
    assert 1 <= behind <= 5
    shift = behind * 160
    assert np.array_equal(result.tape[shift:, 1], result.tape[:-shift, 0])
    assert np.percentile(result.late_s, 99) < 0.020


def ten_marks() -> tuple[CallResult, list[tuple[str, float]]]:
    """Ten marks behind 100 ms each: the call, and when the agent saw which (s after it began)."""
    at: list[tuple[str, float]] = []

    async def agent(carrier: Carrier) -> None:
        begun = asyncio.get_running_loop().time()
        for number in range(10):
            carrier.play(tone(0.1))
            carrier.mark(f"mark {number}")
        async for event in carrier.events():
            if isinstance(event, MarkPlayed):
                at.append((event.name, asyncio.get_running_loop().time() - begun))
                if len(at) == 10:
                    await carrier.hangup("all said")

    async def main() -> CallResult:
        async with serving(agent) as server:
            script = CallScript((Step(Wait(10.0)),))
            return await place_call(f"ws://127.0.0.1:{server.port}/twilio/media", script)

    return asyncio.run(main()), at


@pytest.mark.ci
def test_marks_come_back_in_order_when_their_audio_has_been_played() -> None:
    """Ten marks behind 100 ms each come back 100 ms apart on the tape."""
    result, at = ten_marks()
    assert result.ended == "agent_closed"
    assert [name for name, _ in at] == [f"mark {n}" for n in range(10)]
    gaps = np.diff(result.times("mark"))
    assert gaps == pytest.approx([0.1] * 9)


def test_marks_come_back_on_time() -> None:
    """Each of ten marks reaches the agent when the audio before it has been played."""
    _, at = ten_marks()
    assert len(at) == 10
    errors = [abs(seen - 0.1 * (n + 1)) for n, (_, seen) in enumerate(at)]
    print(f"marks: at most {max(errors) * 1_000:.1f} ms from their due time at the agent")
    assert max(errors) < 0.060


def ten_seconds_cleared_after_one() -> tuple[CallResult, float, float, list[str]]:
    """The call; when its tape fell silent and when that was asked for (s of tape); the marks."""
    cleared: list[float] = []
    names: list[str] = []

    async def agent(carrier: Carrier) -> None:
        loop = asyncio.get_running_loop()
        carrier.play(tone(10.0))
        carrier.mark("never reached")
        heard = 0
        async for event in carrier.events():
            heard += isinstance(event, Media)
            if heard == 50 and not cleared:
                cleared.append(loop.time())
                carrier.clear()
            if isinstance(event, MarkPlayed):
                names.append(event.name)

    async def main() -> CallResult:
        async with serving(agent) as server:
            script = CallScript((Step(Wait(2.0)),))
            return await place_call(f"ws://127.0.0.1:{server.port}/twilio/media", script)

    result = asyncio.run(main())
    last = int(np.flatnonzero(loud(result.tape[:, 1]))[-1])
    return result, (last + 1) * 0.02, cleared[0] - result.mono0, names


def test_clear_silences_the_tape_within_one_frame() -> None:
    """Ten seconds are queued and cleared after one: the caller hears one frame more."""
    _, silent, asked, _ = ten_seconds_cleared_after_one()
    print(f"clear: asked for at {asked:.3f} s, last sound ended at {silent:.3f} s")
    assert silent - asked < 0.020 + 0.010  # the frame under way, and the way there


@pytest.mark.ci
def test_clear_drops_what_waits_and_returns_its_marks() -> None:
    """From where the clear came in, the tape is silent; the mark behind it comes back there."""
    result, silent, _, names = ten_seconds_cleared_after_one()
    assert silent <= result.times("clear")[0] + 0.020 + 1e-9  # the frame that it came in
    assert result.times("mark", "never reached") == result.times("clear")
    assert names == ["never reached"]


def test_twenty_calls_at_once_keep_their_pace() -> None:
    """Twenty echoed calls share one loop with their server, and none loses a frame."""

    async def main() -> list[CallResult]:
        async with serving(echo, auth_token=AUTH) as server, asyncio.TaskGroup() as group:
            calls = [
                group.create_task(place_call(webhook(server), ASK, auth_token=AUTH))
                for _ in range(20)
            ]
        return [call.result() for call in calls]

    results = asyncio.run(main())
    late = np.concatenate([result.late_s for result in results])
    report("twenty calls", late)
    assert [int(loud(result.tape[:, 1]).sum()) for result in results] == [50] * 20
    assert np.percentile(late, 99) < 0.040


@pytest.mark.ci
def test_calls_on_a_busy_machine_lose_no_frame_and_send_none_early() -> None:
    """Five echoed calls that dial and hang up at leisure: a late tick is made up for."""
    script = CallScript((Step(Wait(1.5)), Step(Speak(tone(1.0))), Step(Wait(1.5))))

    async def main() -> list[CallResult]:
        async with serving(echo, auth_token=AUTH) as server, asyncio.TaskGroup() as group:
            calls = [
                group.create_task(place_call(webhook(server), script, auth_token=AUTH))
                for _ in range(5)
            ]
        return [call.result() for call in calls]

    for result in asyncio.run(main()):
        assert result.ended == "hang_up"
        assert int(loud(result.tape[:, 0]).sum()) == 50
        assert int(loud(result.tape[:, 1]).sum()) == 50
        assert len(result.tape) == 160 * 200
        assert result.late_s.min() > -1e-3


def test_the_caller_barges_in_and_waits_for_answers() -> None:
    """A scripted caller interrupts a long greeting one second in, and answers the next line."""

    async def agent(carrier: Carrier) -> None:
        carrier.play(tone(5.0))
        speech = 0
        async for event in carrier.events():
            if isinstance(event, Media) and event.mulaw != b"\xff" * 160:
                speech += 1
                if speech == 5:
                    carrier.clear()
                if speech in (25, 50):
                    carrier.play(tone(0.6))

    async def main() -> CallResult:
        script = CallScript(
            (
                Step(Speak(tone(0.5)), BargeIn(1.0), "barge in"),
                Step(Speak(tone(0.5)), AfterAgent(0.5), "answer"),
                Step(HangUp(), AfterAgent(0.5)),
            )
        )
        async with serving(agent) as server:
            return await place_call(webhook(server), script)

    result = asyncio.run(main())
    onset = result.times("agent_on")[0]
    assert result.times("step_start", "barge in")[0] - onset == pytest.approx(1.0, abs=0.021)
    assert result.ended == "hang_up"
    assert result.times("step_start", "answer")[0] > result.times("step_end", "barge in")[0] + 1.0


def test_after_the_stream_the_next_verbs_run_on_the_same_tape() -> None:
    """An agent hangs up, the document sends the call on, and a second agent is heard."""
    said: list[str] = []

    async def agent(carrier: Carrier) -> None:
        carrier.play(tone(0.5))
        carrier.mark("said")
        async for event in carrier.events():
            if isinstance(event, MarkPlayed):
                await carrier.hangup("over to my colleague")

    async def main() -> CallResult:
        server = TelephonyServer(TelephonyConfig(port=0), agent)

        async def first(request: web.Request) -> web.Response:
            stream = f"ws://{request.host}/twilio/media"
            return web.Response(
                text=f'<Response><Connect><Stream url="{stream}"/></Connect><Say>hold on</Say>'
                '<Pause length="1"/><Redirect>/twilio/voice</Redirect></Response>'
            )

        server.app.add_routes([web.post("/first", first)])
        await server.start()
        try:
            return await place_call(
                f"http://127.0.0.1:{server.port}/first",
                CallScript((Step(Wait(20.0)),)),
                progress=lambda event: said.append(event.kind),
            )
        finally:
            await server.close()

    result = asyncio.run(main())
    assert result.ended == "agent_closed"
    kinds = [event.kind for event in result.events]
    assert said == kinds
    wanted = ["stream", "mark", "say", "stream", "mark", "ended"]
    assert [kind for kind in kinds if kind in wanted] == wanted
    begun = result.times("stream")
    assert begun[1] - begun[0] == pytest.approx(1.5, abs=0.15)
    assert int(loud(result.tape[:, 1]).sum()) == 50
