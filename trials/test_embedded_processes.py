"""The processes of the embedded engines: crashes, restarts, orphans, and errors of the operator."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trials.embedded_rig import endpoint, timed
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.embedded.child import Child
from trunkline.providers.embedded.child_pool import ChildPool
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.providers.embedded.framing import Kind
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.types import STT, TTS

ESPEAK = "trunkline.providers.embedded.espeak_child"
VOICE = {"voice": "en-us", "rate": 160, "pitch": 50, "loudness_dbfs": -20.0}


def alive(pid: int) -> bool:
    """Whether process *pid* runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(pid: int) -> None:
    """Wait until process *pid* has ended, 5 s at most."""
    async with asyncio.timeout(5):
        while alive(pid):  # noqa: ASYNC110  # another process's child: there is no event for it
            await asyncio.sleep(0.01)


@pytest.mark.ci
def test_a_crash_is_told_and_the_next_use_has_a_new_process() -> None:
    """The first restart is free; a process that keeps dying is left alone for a while."""

    async def test() -> None:
        child = Child("local", ESPEAK, VOICE)
        await child.start()
        first = child.pid
        assert first is not None
        async with child.exchange() as exchange:
            os.kill(first, signal.SIGSEGV)
            await gone(first)
            exchange.send(Kind.TEXT, b"hello")
            with pytest.raises(EndpointError) as caught:
                await exchange.receive()
        assert caught.value.fault is Fault.CUT
        assert "status -11" in caught.value.detail
        async with child.exchange() as exchange:
            assert child.pid not in {None, first}
            exchange.send(Kind.TEXT, b"hello")
            assert len(await exchange.receive()) > 4_000
        await child.close()
        assert child.pid is None

    timed(test)


def test_a_process_that_cannot_start_backs_off_and_shows_its_stderr() -> None:
    """The operator sees the reason; the router is told when to come back."""

    async def test() -> None:
        child = Child("local", "trunkline.providers.embedded.no_such_module", {})
        for _ in range(2):
            with pytest.raises(EndpointError, match="no_such_module") as caught:
                await child.start()
            assert caught.value.fault is Fault.CUT
        with pytest.raises(EndpointError, match="failed 2 times") as caught:
            await child.start()
        assert caught.value.fault is Fault.UNAVAILABLE
        assert caught.value.retry_after_s is not None
        assert 0 < caught.value.retry_after_s <= 0.5

    timed(test)


def test_an_abandoned_exchange_does_not_answer_the_next_one() -> None:
    """A caller barges in while a long phrase is made: the next phrase is the next phrase."""

    async def test() -> None:
        pool = ChildPool("local", [Child("local", ESPEAK, VOICE)], waiting=4, wait_s=5.0)
        async with pool.exchange() as exchange:
            exchange.send(Kind.TEXT, b"hello")
            hello = await exchange.receive()
        async with pool.exchange() as exchange:
            exchange.send(Kind.TEXT, b"a very long story " * 90)
        async with pool.exchange() as exchange:
            exchange.send(Kind.TEXT, b"hello")
            assert await exchange.receive() == hello
        await pool.close()

    timed(test)


def test_what_the_engine_refuses_is_an_error_of_the_operator(tmp_path: Path) -> None:
    """A wrong voice and an unknown word are told at the start, with what to do."""

    async def test() -> None:
        with pytest.raises(InputError, match=r"no voice 'nobody'. Try en-us"):
            await EspeakTts(endpoint(TTS), {"voice": "nobody"}).start()
        path = tmp_path / "phrases.yaml"
        path.write_text("{rules: [{say: zzyx}]}")
        options = {"phrases": str(path), "cache_dir": str(tmp_path / "cache")}
        with pytest.raises(InputError, match="no pronunciation for zzyx"):
            await PocketsphinxStt(endpoint(STT), options).start()

    timed(test)


def test_no_process_outlives_its_worker() -> None:
    """Killed without a chance to clean up, in a busy moment or an idle one."""
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert worker.stdout is not None
    pids = [int(pid) for pid in worker.stdout.readline().split()]
    assert len(pids) == 1
    assert all(alive(pid) for pid in pids)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    for pid in pids:
        asyncio.run(gone(pid))


_WORKER = f"""
import asyncio
from trunkline.providers.embedded.child import Child

async def main():
    child = Child("local", {ESPEAK!r}, {VOICE!r})
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
