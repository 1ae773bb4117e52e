"""The gateway seen by a plain client, over real sockets, while its endpoints fail."""

import asyncio
import json
import logging
import time

import pytest

from trials.gateway_rig import ASKED, POLICY, rig, trial
from trunkline.core.lane import spoken_chars_per_s
from trunkline.core.seam import Hold
from trunkline.gateway.door import Limits
from trunkline.gateway.keys import Client
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import FixedModel, opening_hours, tokens
from trunkline.testing.faults import FaultScript

ANSWER = opening_hours().answer.text
CUT_AT = "".join(tokens(ANSWER)[:12])
BREAKS: dict[str, dict[str, object]] = {
    "stall": {"kind": "stall", "after_tokens": 12},
    "drip": {"kind": "drip", "after_tokens": 12, "gap_s": 1.5},
    "cut": {"kind": "cut", "after_tokens": 12},
    "truncate": {"kind": "truncate", "after_tokens": 12},
    "malformed": {"kind": "malformed", "after_tokens": 12},
    "error_inside": {"kind": "error_inside", "after_tokens": 12},
}
"""Faults behind words that the client has already."""
STARTS: dict[str, dict[str, object]] = {
    "refuse": {"kind": "refuse"},
    "status": {"kind": "status"},
    "throttled": {"kind": "status", "status": 429},
    "hang": {"kind": "hang"},
    "headers_only": {"kind": "headers_only"},
    "keepalives": {"kind": "keepalives", "gap_s": 0.05},
    "empty": {"kind": "empty"},
}
"""Faults before the first word."""


def fault(script: dict[str, object]) -> list[FaultScript]:
    """The fault as a script."""
    return [FaultScript.parse(script)]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong is the subject."""
    caplog.set_level(logging.CRITICAL)


@pytest.mark.ci
@pytest.mark.parametrize("name", [*BREAKS, *STARTS])
@trial
async def test_whatever_breaks_the_answer_is_whole(name: str) -> None:
    """One id, one role, one finish reason, one [DONE]; no word lost or said twice; all is told."""
    async with rig(fault({**BREAKS, **STARTS}[name]), []) as r:
        read = await r.stream(stream_options={"include_usage": True})
    assert (read.status, read.text, read.reasons) == (200, ANSWER, ["stop"])
    assert (len(read.ids), read.done, read.ended, read.error) == (1, 1, True, None)
    (told,) = read.comments
    assert told["endpoint"] == "b"
    assert [it["to"] for it in told["failovers"]] == ["b"]
    assert read.headers["X-Trunkline-Endpoint"] == ("a" if name in BREAKS else "b")
    assert read.events[-1]["usage"]["completion_tokens"] > 40


@pytest.mark.ci
@pytest.mark.parametrize("name", sorted(BREAKS.keys() - {"drip"}))  # which ends, in its time
@trial
async def test_where_nobody_is_left_the_end_is_an_error(name: str) -> None:
    """An error object, no finish reason, no [DONE], and a body that has no end."""
    async with rig(fault({**BREAKS[name], "after_tokens": 3})) as r:
        read = await r.stream()
    assert ANSWER.startswith(read.text)
    assert 0 < len(read.text) < len(ANSWER)  # it was asked again, and broke off again
    assert (read.reasons, read.done, read.ended) == ([], 0, False)
    assert read.error is not None
    assert read.error["code"] == "no_endpoint_left"


@pytest.mark.ci
@trial
async def test_before_the_first_word_a_failure_is_a_status() -> None:
    """503 with its reasons, 429 if all push back."""
    async with rig(fault(STARTS["status"]), fault(STARTS["refuse"])) as r:
        status, body, headers = await r.ask()
        read = await r.stream()
    assert (status, read.status) == (503, 503)
    assert "a: unavailable" in body["error"]["message"]
    assert headers["Retry-After"] == "1"
    async with rig(fault({"kind": "status", "status": 429, "retry_after_s": 7})) as r:
        status, body, headers = await r.ask()
        assert len(r.servers[0].requests) == 1  # nobody asks again before its time
    assert (status, headers["Retry-After"], body["error"]["type"]) == (429, "7", "rate_limit_error")


@pytest.mark.ci
@pytest.mark.parametrize("hold", ["none", "sentence"])
@trial
async def test_the_endpoint_that_does_not_continue_joins_on(hold: Hold) -> None:
    """A model that writes the answer again: by alignment, or behind a whole sentence."""
    async with rig(fault(BREAKS["cut"]), [], continuation="turn", hold=hold) as r:
        read = await r.stream()
    assert (read.text, read.reasons, read.done) == (ANSWER, ["stop"], 1)


@pytest.mark.ci
@trial
async def test_one_body_is_whole_too() -> None:
    """It is begun again elsewhere."""
    async with rig(fault(BREAKS["cut"]), []) as r:
        status, body, headers = await r.ask()
    assert (status, body["choices"][0]["message"]["content"]) == (200, ANSWER)
    assert headers["X-Trunkline-Failover"] == "a>b;cut"


@pytest.mark.ci
@trial
async def test_a_client_that_leaves_is_told_to_the_endpoint_at_once() -> None:
    """In the middle of an answer, and before its first word."""
    for script in (BREAKS["stall"], STARTS["hang"]):
        async with rig(fault(script)) as r, asyncio.TaskGroup() as group:
            task = group.create_task(r.stream())
            await asyncio.sleep(0.3)
            task.cancel()
            left = time.monotonic()
            await asyncio.sleep(0.2)
            record = r.servers[0].requests[0]
            assert record.ended.startswith("cancelled")
            assert record.ended_mono - left < 0.1
            assert 'outcome="left"' in (await r.get("/metrics"))[1]


@pytest.mark.ci
@trial
async def test_keys_and_limits() -> None:
    """Who may ask, what, how often and how much."""
    keys = {"k1": Client("app", None, 60.0, 10), "k2": Client("bot", frozenset({"slow"}))}
    async with rig([], law="instant", keys=keys, limits=Limits(10, 2048)) as r:
        assert (await r.ask())[0] == 401
        assert (await r.ask("k3"))[0] == 401
        status, body, _ = await r.ask("k2")
        assert (status, body["error"]["code"]) == (404, "model_not_found")
        status, body, _ = await r.ask("k1", messages=[{"role": "user", "content": "x" * 3000}])
        assert status == 413
        answers = [await r.ask("k1") for _ in range(11)]
        assert [status for status, _, _ in answers[:9]] == [200] * 9
        assert answers[-1][0] == 429
        assert int(answers[-1][2]["Retry-After"]) >= 1
        assert (await r.get("/v1/models"))[0] == 401
        assert (await r.get("/metrics"))[0] == 401


@pytest.mark.ci
@trial
async def test_what_there_is() -> None:
    """Models, health and metrics, as their readers expect them."""
    async with rig([], law="instant") as r:
        await r.stream()
        models = json.loads((await r.get("/v1/models"))[1])
        assert [it["id"] for it in models["data"]] == ["fast"]
        assert (await r.get("/v1/models/fast"))[0] == 200
        assert (await r.get("/v1/models/none"))[0] == 404
        assert await r.get("/health/ready") == (200, '{"models": {"fast": true}}')
        assert (await r.get("/health/live"))[0] == 200
        text = (await r.get("/metrics"))[1]
    assert 'requests_total{worker="w0",route="chat",model="fast",outcome="complete"} 1' in text


@pytest.mark.ci
@trial
async def test_requests_share_their_connections() -> None:
    """Nothing is paced that a key allows, and connections are used again."""
    async with rig([], law="instant") as r:
        for _ in range(300):
            read = await r.stream()
            assert read.text == ANSWER
        peers = {it.peer_port for it in r.servers[0].requests}
    assert len(peers) < 5


@pytest.mark.ci
@trial
async def test_a_client_that_does_not_read_holds_no_memory() -> None:
    """Its endpoint is held back: what waits for it is some sockets' buffers, not the answer."""
    long = FixedModel(ChatReply("word " * 60_000))
    async with rig([], law="instant", model=long) as r:
        host = r.base_url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host[0], int(host[2]), limit=1024)
        body = json.dumps(ASKED | {"stream": True, "max_tokens": 100_000}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await reader.read(100)
        sent, same = -1, 0
        while same < 5:
            await asyncio.sleep(0.3)
            same = same + 1 if r.servers[0].requests[0].tokens == sent else 0
            sent = r.servers[0].requests[0].tokens
        assert sent < 50_000
        writer.transport.abort()


@pytest.mark.parametrize("name", ["stall", "cut"])
@trial
async def test_the_next_word_comes_in_time(name: str) -> None:
    """Within the deadline, told by what was sent at the rate of speech, what the backup needs to
    its first token, and 50 ms."""
    async with rig(fault(BREAKS[name]), [], law="instant") as r:
        read = await r.stream()
    pieces = [it["choices"][0]["delta"].get("content") or "" for it in read.events]
    at = next(n for n in range(len(pieces)) if "".join(pieces[:n]).endswith(CUT_AT))
    read_out = read.times[0]
    for piece, moment in zip(pieces[:at], read.times[:at], strict=True):
        read_out = max(read_out, moment) + len(piece) / spoken_chars_per_s("en")
    last, after = read.times[at - 1], read.times[at]
    assert POLICY.gap_floor_s is not None
    assert POLICY.recovery_q95_s is not None
    due = (
        last if name == "cut" else max(last + POLICY.gap_floor_s, read_out - POLICY.recovery_q95_s)
    )
    assert after - due < 0.05
    assert read.text == ANSWER
