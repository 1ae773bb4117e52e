"""What turns go by: endpoints and policies, which may be replaced while calls are up.

A turn keeps what it began with: a reply until it is over, whatever steps it takes, an utterance
until it is transcribed. The next one goes by what is then the newest. `in_use` tells which older
settings some turn still has, so that their endpoints are closed when nobody needs them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from trunkline.calls.policies import Policies
from trunkline.calls.steps import Desk, Routes


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """The endpoints of a turn, and how they are used."""

    routes: Routes
    policies: Policies


class Settings:
    """A worker's: the newest setting, and how many turns have which."""

    def __init__(self, newest: Setting) -> None:
        self.newest = newest
        self._held: Counter[Setting] = Counter()

    @property
    def in_use(self) -> Sequence[Setting]:
        """The newest, and all that a turn has."""
        return list({self.newest: None} | dict.fromkeys(self._held))

    def take(self) -> Setting:
        """The newest, for a turn that begins; `give_back` ends its use."""
        self._held[self.newest] += 1
        return self.newest

    def give_back(self, setting: Setting) -> None:
        """A turn that had taken *setting* is over."""
        self._held[setting] -= 1
        if not self._held[setting]:
            del self._held[setting]


class TurnSettings:
    """One call's: each turn gets the call's desk, with the routes that are its own."""

    def __init__(self, settings: Settings, desk: Desk) -> None:
        self._settings, self._desk = settings, desk
        self._reply: Setting | None = None

    @contextmanager
    def utterance(self) -> Iterator[tuple[Desk, Policies]]:
        """For as long as an utterance is listened to."""
        setting = self._settings.take()
        try:
            yield replace(self._desk, routes=setting.routes), setting.policies
        finally:
            self._settings.give_back(setting)

    def reply(self) -> tuple[Desk, Policies]:
        """For the reply that is under way; the first time, of the one that begins."""
        if self._reply is None:
            self._reply = self._settings.take()
        return replace(self._desk, routes=self._reply.routes), self._reply.policies

    def reply_over(self) -> None:
        """The next reply goes by what is then the newest; idempotent."""
        if self._reply is not None:
            self._settings.give_back(self._reply)
            self._reply = None
