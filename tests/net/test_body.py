"""What the stage of bodies refuses before it opens a socket; trials have the rest, on sockets."""

from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import pytest

from trunkline.contracts import Context
from trunkline.errors import EgressRefused, InputError
from trunkline.net.body import BodyStage
from trunkline.net.gate import EgressDecision, Gate
from trunkline.providers.tts.openai import OpenAISpeech
from trunkline.testing.simulated import endpoint
from trunkline.types import TTS, CallId, DataClass, Endpoint, Phrase, Speech, Where, Zone


class NoNetwork:
    """A session that fails the test when it is used."""

    def post(self, *args: object, **kwargs: object) -> None:
        """Fail."""
        raise AssertionError("something was sent")


def stage(base_url: str, key: str | None, noted: list[EgressDecision]) -> BodyStage[Phrase, Speech]:
    """A stage without a network, in a zone that accepts nothing."""
    closed = Zone("z", "managed", "r", "eu", "p", "zero", baa=False, dpa=True, accepts=frozenset())
    there = Endpoint("voice", TTS, "openai", "m", closed, "a")
    return BodyStage(
        there,
        OpenAISpeech(endpoint("voice", TTS), {"voice": "anna"}),
        base_url=base_url,
        key=key,
        session=cast("aiohttp.ClientSession", NoNetwork()),
        gate=Gate(noted.append),
    )


async def untouched() -> AsyncIterator[Phrase]:
    """A source that fails the test when it is read."""
    raise AssertionError("the source was read")
    yield Phrase(0, "")


async def test_refused_egress_sends_nothing() -> None:
    """The gate is told host and port; not even the source is read."""
    noted: list[EgressDecision] = []
    context = Context(Where(CallId("c")), DataClass.SPEECH_TEXT)
    voice = stage("http://10.0.0.7:8880/v1", "a-key", noted)
    with pytest.raises(EgressRefused):
        await voice.open(untouched(), context).__aenter__()
    assert [decision.destination for decision in noted] == ["10.0.0.7:8880"]


@pytest.mark.parametrize(("base_url", "key"), [("ftp://x", "a-key"), ("http://x", "a key\n")])
def test_what_cannot_work_is_refused_without_showing_the_key(base_url: str, key: str) -> None:
    """An address, or a key with a line end."""
    with pytest.raises(InputError) as caught:
        stage(base_url, key, [])
    assert "a key" not in str(caught.value)
