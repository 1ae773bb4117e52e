"""Where the carriers' server listens, what it lets in, and what callers hear who are not served."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from trunkline.errors import InputError
from trunkline.telephony import leg
from trunkline.telephony.door import Clients


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephonyConfig:
    """*port* 0: any free one. *public_url*: how Twilio reaches us if a proxy stands between.

    *calls_max*: streams at once, those that have not started yet included; a worker falls behind
    for everybody if it takes more than it can carry. *transfer_to*: the number (E.164) that a
    caller who cannot be served is put through to, behind the sentence. *keep_alive* false: a
    webhook's connection is closed behind each response: whoever places them places each anew.
    *clients*: who else is served on this port.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    calls_max: int = 50
    start_s: float = leg.START_S
    idle_s: float = leg.IDLE_S
    busy_sentence: str = "All our lines are busy. Please call again in a few minutes."
    lost_sentence: str = "I am sorry, we were cut off. Please call again."
    closing_sentence: str = "I am sorry, I have to end this call now. Please call again."
    transfer_to: str = ""
    keep_alive: bool = True
    clients: Clients = field(default_factory=Clients)

    def __post_init__(self) -> None:
        url = self.public_url
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
                raise InputError(
                    f"telephony.public_url {url!r}: needs http(s)://host[:port][/path], no query"
                )
        if self.auth_token == "":
            raise InputError("telephony.auth_token is empty: set it, or leave it out for local use")
        if self.calls_max < 1 or self.start_s <= 0 or self.idle_s <= 0:
            raise InputError("telephony: calls_max, start_s and idle_s have to be above zero")
