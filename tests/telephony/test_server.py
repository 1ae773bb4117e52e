"""The server's configuration; what needs sockets is tried in trials."""

import pytest

from trunkline.contracts import Carrier
from trunkline.errors import InputError
from trunkline.telephony.server import TelephonyConfig, TelephonyServer


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
