"""What the HTTP stage refuses before it opens a socket; trials/test_openai_sse.py has the rest."""

from typing import cast

import aiohttp
import pytest

from trunkline.contracts import Context
from trunkline.errors import EgressRefused, InputError
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.http import SseStage
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.types import (
    LLM,
    CallId,
    DataClass,
    Delta,
    Endpoint,
    Message,
    Prompt,
    Where,
    Zone,
)

ZONE = Zone(
    "z", "managed", "r", "eu", "p", "zero", baa=False, dpa=True, accepts=frozenset(DataClass)
)
ENDPOINT = Endpoint("fast", LLM, "openai", "m", ZONE, "a")


class NoNetwork:
    """A session that fails the test when it is used."""

    def post(self, *args: object, **kwargs: object) -> None:
        """Fail."""
        raise AssertionError("something was sent")


def stage(
    base_url: str = "https://api.example.com/v1",
    key: str | None = "sk-secret",
    noted: list[EgressDecision] | None = None,
    endpoint: Endpoint = ENDPOINT,
) -> SseStage[Prompt, Delta]:
    """A stage without a network."""
    return SseStage(
        endpoint,
        OpenAIChat(endpoint),
        base_url=base_url,
        key=key,
        session=cast("aiohttp.ClientSession", NoNetwork()),
        gate=Gate((noted if noted is not None else []).append),
    )


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example.com/v1",
        "ftp://api.example.com",
        "https://",
        "https://user:pass@api.example.com/v1",
        "https://api.example.com/v1?key=secret",
        "https://api.example.com:port/v1",
    ],
)
def test_an_address_that_cannot_work_or_tells_secrets(base_url: str) -> None:
    """It is an InputError that does not repeat what might be a password."""
    with pytest.raises(InputError, match="base URL") as caught:
        stage(base_url)
    assert "pass" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "sk-secret\n", "sk secret", "sk-secrét", "sk-secret\x00"])
def test_a_key_that_cannot_work(key: str) -> None:
    """It is an InputError that does not show the key."""
    with pytest.raises(InputError, match="key") as caught:
        stage(key=key)
    assert "secr" not in str(caught.value)


def test_the_key_does_not_show() -> None:
    """Not in the stage's representation, which lands in logs."""
    assert "sk-secret" not in repr(stage())


@pytest.mark.parametrize(
    ("base_url", "destination"),
    [
        ("https://api.example.com/v1", "api.example.com:443"),
        ("http://10.0.0.7:8000", "10.0.0.7:8000"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
    ],
)
async def test_refused_egress_sends_nothing(base_url: str, destination: str) -> None:
    """The gate is told host and port, and its refusal comes before the network."""
    noted: list[EgressDecision] = []
    closed = Zone("z", "managed", "r", "eu", "p", "zero", baa=False, dpa=True, accepts=frozenset())
    endpoint = Endpoint("fast", LLM, "openai", "m", closed, "a")
    context = Context(Where(CallId("c")), DataClass.PROMPT)
    opening = stage(base_url, noted=noted, endpoint=endpoint).open(
        Prompt((Message("user", "hello"),)), context
    )
    with pytest.raises(EgressRefused):
        await opening.__aenter__()
    assert [d.destination for d in noted] == [destination]
