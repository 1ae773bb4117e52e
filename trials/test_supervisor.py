"""The parent of the workers, with workers that only say who they are."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import aiohttp
import pytest

from trunkline.console.working import listening, refusal
from trunkline.errors import InputError
from trunkline.ops.supervisor import Supervisor
from trunkline.telephony.twiml import twiml_refuse

BUSY = "All our lines are busy."


@dataclass
class Street:
    """A supervisor, and what it told. *how* is what the next workers are like."""

    how: str = "up"
    port: int = 0
    told: list[dict[str, object]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: Supervisor = field(init=False)

    async def spawn(self, name: str, channel: socket.socket) -> Process:
        fd = str(channel.fileno())
        args = ("-m", "trials.fake_worker", name, fd, self.how)
        return await asyncio.create_subprocess_exec(
            sys.executable, *args, pass_fds=[channel.fileno()]
        )

    async def knock(self) -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{self.port}/twilio/voice", data=b"a=1") as response,
        ):
            assert response.status == 200
            return await response.text()

    def tell(self, event: dict[str, object]) -> None:
        self.told.append(event)
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    def count(self, kind: str) -> int:
        return sum(it["type"] == kind for it in self.told)


@asynccontextmanager
async def street(workers: int = 2, how: str = "up") -> AsyncIterator[Street]:
    made = Street(how)
    listener = listening("127.0.0.1", 0)
    made.port = listener.getsockname()[1]
    made.supervisor = Supervisor(
        made.spawn,
        workers,
        listener,
        refusal=refusal(twiml_refuse(BUSY)),
        drain_s=5.0,
        rng=Random(1),  # noqa: S311  # a draw, not a secret
        tell=made.tell,
    )
    running = asyncio.ensure_future(made.supervisor.run())
    try:
        yield made
    finally:
        made.supervisor.drain()
        async with asyncio.timeout(10):
            await running
        listener.close()


@pytest.mark.ci
def test_connections_are_spread_and_dead_workers_are_started_again() -> None:
    """Each answer names its worker; one that is killed is back within a second."""

    async def main() -> None:
        async with street() as it:
            await it.until(lambda: it.count("ready") == 1)
            answers = [(await it.knock()).split() for _ in range(6)]
            assert {name for name, _, _ in answers} == {"w0", "w1"}
            assert {admits for _, _, admits in answers} == {"True"}
            pid = next(int(pid) for name, pid, _ in answers if name == "w0")
            os.kill(pid, signal.SIGKILL)
            await it.until(lambda: it.count("worker.down") == 1)
            assert (await it.knock()).startswith("w1")
            await it.until(lambda: it.count("worker.up") == 3)
            assert it.told[-1]["worker"] == "w2", "the dead one's log is left to be taken over"

    asyncio.run(main())


@pytest.mark.ci
def test_without_a_worker_a_sentence_is_the_answer() -> None:
    """Workers that crash at once are started again ever more slowly; the caller hears why."""

    async def main() -> None:
        async with street(how="crash") as it:
            await it.until(lambda: it.count("worker.down") >= 4)
            assert f"<Say>{BUSY}</Say><Hangup/>" in await it.knock()
            assert it.count("worker.up") == it.count("ready") == 0
            it.how = "up"
            await it.until(lambda: it.count("ready") == 1)
            assert "True" in await it.knock()

    asyncio.run(main())


@pytest.mark.ci
def test_a_worker_that_hangs_is_killed() -> None:
    """Stopped, it reports nothing: the other one is given all, and it is started again."""

    async def main() -> None:
        async with street() as it:
            await it.until(lambda: it.count("ready") == 1)
            names = {str(t["worker"]): t["pid"] for t in it.told if t["type"] == "worker.up"}
            pid = names["w0"]
            assert isinstance(pid, int)
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(1.3)
            assert {(await it.knock()).split()[0] for _ in range(4)} == {"w1"}
            await it.until(lambda: it.count("worker.up") == 3)
            assert next(t for t in it.told if t["type"] == "worker.down")["status"] == -9

    asyncio.run(main())


@pytest.mark.ci
def test_what_a_dead_worker_was_given_another_one_answers() -> None:
    """Its callers come back before its parent knows that it is gone."""

    async def main() -> None:
        async with street() as it:
            await it.until(lambda: it.count("ready") == 1)
            pids = [t["pid"] for t in it.told if t["type"] == "worker.up"]
            assert isinstance(pids[0], int)
            os.kill(pids[0], signal.SIGSTOP)  # it takes nothing, and its parent does not know yet
            knocks = [asyncio.ensure_future(it.knock()) for _ in range(6)]
            await asyncio.sleep(0.3)
            assert sum(knock.done() for knock in knocks) == 3
            os.kill(pids[0], signal.SIGKILL)
            answers = [(await knock).split()[1] for knock in knocks]
            assert answers == [str(pids[1])] * 6

    asyncio.run(main())


@pytest.mark.ci
def test_workers_are_renewed_unless_a_successor_does_not_come_up() -> None:
    """A configuration that is wrong now must not take the old workers away."""

    async def main() -> None:
        async with street() as it:
            await it.until(lambda: it.count("ready") == 1)
            it.how = "crash"
            it.supervisor.renew()
            await it.until(lambda: it.count("worker.down") == 1)
            assert {(await it.knock()).split()[0] for _ in range(4)} == {"w0", "w1"}
            it.how = "up"
            await asyncio.sleep(0.1)
            it.supervisor.renew()
            it.supervisor.renew()  # once is enough
            await it.until(lambda: it.count("worker.down") == 3)
            assert not {(await it.knock()).split()[0] for _ in range(4)} & {"w0", "w1"}
            assert it.count("worker.up") == 4

    asyncio.run(main())


@pytest.mark.ci
def test_a_taken_port_is_told() -> None:
    """With the setting that mends it."""
    listener = listening("127.0.0.1", 0)
    listener.listen()
    try:
        with pytest.raises(InputError, match=r"choose another server\.port"):
            listening("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.close()
