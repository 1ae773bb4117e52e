"""An engine process that sends garbage, floods or half frames: a fault, and no memory is spent."""

import asyncio
import time
from pathlib import Path
from typing import Final

import pytest

from trunkline.errors import EndpointError, Fault
from trunkline.providers.embedded.child import Child
from trunkline.providers.embedded.framing import Kind

GROWN_BYTES_MAX: Final = 32 * 2**20


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


async def asked(do: str) -> tuple[EndpointError | None, bytes, int]:
    """One exchange with a rogue: its fault or its payload, and how much memory it cost."""
    child = Child("local", "trials.rogue_child", {"do": do})
    before = _rss_bytes()
    try:
        async with asyncio.timeout(20), child.exchange() as exchange:
            exchange.send(Kind.TEXT, b"hello")
            payload = await exchange.receive()
    except EndpointError as error:
        return error, b"", _rss_bytes() - before
    finally:
        await child.close()
        assert child.pid is None
    return None, payload, _rss_bytes() - before


@pytest.mark.parametrize(
    ("do", "faults"),
    [
        ("garbage_first", {Fault.MALFORMED, Fault.CUT}),
        ("garbage", {Fault.MALFORMED}),
        ("endless_garbage", {Fault.MALFORMED}),
        ("endless_results", {Fault.STALLED}),
        ("half_a_frame", {Fault.CUT}),
        ("wrong_kind", {Fault.MALFORMED}),
        ("not_utf8", {Fault.UNAVAILABLE}),
        ("stderr_flood", {Fault.CUT}),
    ],
)
def test_an_engine_that_breaks_the_protocol_is_a_fault(
    do: str, faults: set[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is gone, the memory is bounded, the error names the endpoint."""
    root = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{root / 'src'}:{root}")
    began = time.monotonic()
    error, payload, grown = asyncio.run(asked(do))
    print(f"{do:16} {time.monotonic() - began:5.2f} s, {grown / 2**20:+.1f} MB: {error}")
    assert error is not None, payload[:40]
    assert error.fault in faults
    assert grown < GROWN_BYTES_MAX
