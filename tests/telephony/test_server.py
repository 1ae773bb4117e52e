"""The server's configuration; what needs sockets is tried in trials."""

import pytest

from trunkline.contracts import Carrier
from trunkline.errors import InputError
from trunkline.telephony.server import TelephonyServer, is_loopback
from trunkline.telephony.settings import TelephonyConfig


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"public_url": "example.com"}, "needs http"),
        ({"public_url": "wss://example.com"}, "needs http"),
        ({"public_url": "https://example.com/?a=1"}, "no query"),
        ({"auth_token": ""}, "auth_token is empty"),
        ({"calls_max": 0}, "above zero"),
        ({"idle_s": 0.0}, "above zero"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    settings: dict[str, object], reason: str
) -> None:
    """An empty token above all: it would sign everything."""
    with pytest.raises(InputError, match=reason):
        TelephonyConfig(**settings)  # type: ignore[arg-type]  # wrong on purpose


def test_the_token_is_not_printed() -> None:
    """A configuration ends in logs."""
    assert "secret" not in repr(TelephonyConfig(auth_token="secret"))


def test_a_server_that_was_not_started_has_no_port() -> None:
    """The error says what is missing."""

    async def on_call(carrier: Carrier) -> None:
        """Never called."""

    with pytest.raises(InputError, match="before start"):
        _ = TelephonyServer(TelephonyConfig(), on_call).port


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.0.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104  # the very host that has to be warned of
        ("::", False),
        ("", False),
        ("192.168.1.7", False),
        ("localhost.example.com", False),
        ("agent.example.com", False),
    ],
)
def test_only_this_machine_can_reach_a_loopback_address(host: str, local: bool) -> None:
    """Without a token every other address is warned of."""
    assert is_loopback(host) is local
