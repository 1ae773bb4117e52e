"""What the WebSocket stage refuses before it opens a socket; the trials have the rest."""

from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import pytest

from trunkline.contracts import Context
from trunkline.errors import EgressRefused, InputError
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.types import (
    STT,
    AudioFrame,
    CallId,
    DataClass,
    Endpoint,
    Sample,
    Transcript,
    Where,
    Zone,
)

CLOSED = Zone("z", "managed", "r", "eu", "p", "zero", baa=False, dpa=True, accepts=frozenset())
ENDPOINT = Endpoint("ears", STT, "deepgram", "nova-3", CLOSED, "a")


class NoNetwork:
    """A session that fails the test when it is used."""

    def ws_connect(self, *args: object, **kwargs: object) -> None:
        """Fail."""
        raise AssertionError("a connection was opened")


def stage(
    base_url: str = "https://api.example.com/v1",
    key: str = "secret-key",
    noted: list[EgressDecision] | None = None,
) -> WebSocketStage[AudioFrame, Transcript]:
    """A stage without a network."""
    return WebSocketStage(
        ENDPOINT,
        Deepgram(ENDPOINT, {}),
        base_url=base_url,
        key=key,
        session=cast("aiohttp.ClientSession", NoNetwork()),
        gate=Gate((noted if noted is not None else []).append),
    )


async def audio() -> AsyncIterator[AudioFrame]:
    """One frame."""
    yield AudioFrame(bytes(320), Sample(0))


@pytest.mark.parametrize("base_url", ["wss://api.example.com/v1", "https://a:b@example.com", ""])
def test_an_address_that_cannot_work(base_url: str) -> None:
    """Addresses are http or https, as in the rest of the configuration, and tell no secrets."""
    with pytest.raises(InputError, match="base URL") as caught:
        stage(base_url)
    assert "a:b" not in str(caught.value)


def test_the_key_does_not_show() -> None:
    """Not in the stage's representation, and a broken one not in the error."""
    assert "secret" not in repr(stage())
    with pytest.raises(InputError, match="key") as caught:
        stage(key="secret key")
    assert "secret" not in str(caught.value)


async def test_refused_egress_opens_nothing() -> None:
    """The gate is told host and port; its refusal comes before the network and the source."""
    noted: list[EgressDecision] = []
    context = Context(Where(CallId("c")), DataClass.AUDIO)
    with pytest.raises(EgressRefused):
        await stage(noted=noted).open(audio(), context).__aenter__()
    assert [d.destination for d in noted] == ["api.example.com:443"]


async def test_a_stage_that_was_never_used_starts_and_closes() -> None:
    """No connection is opened before a call needs one."""
    it = stage()
    await it.start()
    await it.close()
    await it.close()
