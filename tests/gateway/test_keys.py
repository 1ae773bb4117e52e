"""Who may ask the gateway, and how much."""

import pytest

from trunkline.gateway.keys import Client, Keys
from trunkline.gateway.refusals import Refusal


def test_without_keys_whoever_is_there_may_ask() -> None:
    """The configuration allows that on this machine only."""
    assert Keys({}).client("").name == "anyone"


def test_a_client_is_known_by_its_key() -> None:
    """Whatever else the header says is nobody's."""
    keys = Keys({"k1": Client("app"), "k2": Client("bot", frozenset({"fast"}))})
    assert keys.client("Bearer k1").name == "app"
    assert keys.client("bearer  k2 ").name == "bot"
    assert [keys.client("Bearer k2").may_use(it) for it in ("fast", "slow")] == [True, False]
    for header in ("", "k1", "Bearer", "Bearer k3", "Basic k1", "Bearer k1 k1"):
        with pytest.raises(Refusal) as caught:
            keys.client(header)
        assert (caught.value.status, caught.value.closes) == (401, True)


def test_requests_a_minute_are_a_bucket() -> None:
    """A sixth at once, then one whenever one is earned; the refusal says when."""
    client = Client("app", None, 60.0, 100)
    for _ in range(10):
        client.begin(0.0)
    with pytest.raises(Refusal) as caught:
        client.begin(0.25)
    assert caught.value.status == 429
    assert caught.value.retry_after_s == pytest.approx(0.75)
    client.begin(1.0)
    with pytest.raises(Refusal):
        client.begin(1.5)
    for _ in range(10):
        client.begin(1000.0)  # no more than the burst was saved up
    with pytest.raises(Refusal):
        client.begin(1000.0)


def test_requests_at_once_are_counted() -> None:
    """One that ends makes room."""
    client = Client("app", at_once_max=1)
    client.begin(0.0)
    with pytest.raises(Refusal, match="running"):
        client.begin(0.0)
    client.finish()
    client.begin(0.0)
    assert client.running == 1
