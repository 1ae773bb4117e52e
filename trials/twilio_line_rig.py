"""A telephony server on a free port, an agent that echoes, and what callers say to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from trunkline.contracts import Carrier, Media
from trunkline.media.g711 import mulaw_encode
from trunkline.telephony.script import CallScript, Speak, Step, Wait
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig

AUTH = "a made-up auth token"
OnCall = Callable[[Carrier], Awaitable[None]]


def tone(seconds: float, hertz: float = 440.0) -> bytes:
    """A sine in mu-law."""
    n = np.arange(round(8_000 * seconds))
    return mulaw_encode((8_000 * np.sin(2 * np.pi * hertz * n / 8_000)).astype(np.int16))


def loud(side: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which 20 ms frames of one side of a tape are audible."""
    frames = side[: len(side) // 160 * 160].reshape(-1, 160).astype(float)
    return np.asarray(np.sqrt((frames**2).mean(axis=1)) > 1_000)


@asynccontextmanager
async def serving(on_call: OnCall, **settings: object) -> AsyncIterator[TelephonyServer]:
    """A server on a free port."""
    server = TelephonyServer(TelephonyConfig(port=0, **settings), on_call)  # type: ignore[arg-type]  # a trial's settings
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def webhook(server: TelephonyServer) -> str:
    return f"http://127.0.0.1:{server.port}/twilio/voice"


async def echo(carrier: Carrier) -> None:
    """Send the caller's audio back."""
    async for event in carrier.events():
        if isinstance(event, Media):
            carrier.play(event.mulaw)


# The pause: what is said while the stream is still being dialled reaches nobody.
ASK = CallScript((Step(Wait(0.3)), Step(Speak(tone(1.0)), label="tone"), Step(Wait(0.5))))
