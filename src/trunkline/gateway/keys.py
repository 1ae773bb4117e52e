"""Who may ask, and how much: API keys with limits per key. Pure: time is given."""

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trunkline.gateway.refusals import Refusal

BURST_SHARE = 6
"""So much of a minute's requests may come at once: those of ten seconds."""


@dataclass(slots=True)
class Client:
    """One key's limits and what is used of them. *models* None: all."""

    name: str
    models: frozenset[str] | None = None
    requests_per_min: float = math.inf
    at_once_max: int = 10_000
    running: int = field(default=0, init=False)
    _level: float = field(default=math.nan, init=False)
    _at: float = field(default=0.0, init=False)

    def may_use(self, model: str) -> bool:
        """Whether *model* is one of its models."""
        return self.models is None or model in self.models

    def begin(self, now: float) -> None:
        """A request begins at *now*; `Refusal` (429) if it is one too many."""
        if self.running >= self.at_once_max:
            message = f"{self.running} requests of this key are running, as many as it may have"
            raise Refusal(429, message, "too_many_at_once", retry_after_s=1.0)
        if self.requests_per_min < math.inf:
            self._take(now)
        self.running += 1

    def finish(self) -> None:
        """A request that began is over."""
        self.running -= 1

    def _take(self, now: float) -> None:
        burst, per_s = max(1.0, self.requests_per_min / BURST_SHARE), self.requests_per_min / 60
        level = burst if math.isnan(self._level) else self._level + (now - self._at) * per_s
        self._level, self._at = min(burst, level), now
        if self._level < 1:
            wait_s = (1 - self._level) / per_s
            message = f"this key may send {self.requests_per_min:g} requests a minute"
            raise Refusal(429, message, "rate_limit_exceeded", retry_after_s=wait_s)
        self._level -= 1


class Keys:
    """The clients by their keys. Without any, whoever reaches the gateway is one client."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """*clients*: by key."""
        self._clients: Sequence[tuple[bytes, Client]] = [
            (_digest(key), client) for key, client in clients.items()
        ]
        self._anyone = Client("anyone")

    def client(self, authorization: str) -> Client:
        """Whose key the header *authorization* bears; `Refusal` (401) if nobody's.

        All keys are compared, each in constant time, by their digests.
        """
        if not self._clients:
            return self._anyone
        scheme, _, key = authorization.partition(" ")
        given, found = _digest(key.strip()), None
        for digest, client in self._clients:
            if hmac.compare_digest(digest, given):
                found = client
        if found is None or scheme.lower() != "bearer":
            message = "the API key is missing or unknown. Send Authorization: Bearer <key>"
            raise Refusal(
                401,
                message,
                "invalid_api_key",
                closes=True,
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
