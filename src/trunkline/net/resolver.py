"""Names to addresses, and what was good last when the name service is slow or gone.

An answer is used for `FRESH_S`. Then it is asked for anew, but nobody waits longer than `SLOW_S`
for that: what was good last is used meanwhile, up to an age of `LAST_GOOD_S`. A caller's silence is
worth more than a fresh address, and a provider keeps its old ones for longer than name services
fail. A name that was never resolved is waited for; the connect deadline bounds that.
"""

import asyncio
import logging
import socket
from collections import OrderedDict
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from typing_extensions import override

log = logging.getLogger(__name__)

FRESH_S = 60.0
SLOW_S = 0.1
LAST_GOOD_S = 3_600.0
NAMES_MAX = 256
"""A configuration names a few dozen; the one used longest ago is forgotten."""
Key = tuple[str, int, socket.AddressFamily]


@dataclass(slots=True)
class _Known:
    addresses: list[ResolveResult]
    at: float
    told: bool = False  # that it is old, and why


class LastGoodResolver(AbstractResolver):
    """*inner* asks the name service: by default the system's, in a thread."""

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()
        self._known: OrderedDict[Key, _Known] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[list[ResolveResult]]] = {}

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of *host*; `OSError` if there are none, not even old ones."""
        key, now = (host, port, family), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is None or now > known.at + LAST_GOOD_S:
            return list(await asyncio.shield(self._ask(key)))
        self._known.move_to_end(key)
        if now > known.at + FRESH_S:
            known = await self._renewed(key, known)
        return list(known.addresses)

    @override
    async def close(self) -> None:
        """Ask no more."""
        self.cancel()
        await self._inner.close()

    def cancel(self) -> None:
        """Leave off asking, at once."""
        for task in list(self._asking.values()):
            task.cancel()

    async def _renewed(self, key: Key, known: _Known) -> _Known:
        """What is known of *key* after a moment in which it may have been renewed."""
        why: object = f"no answer within {SLOW_S:g} s"
        asking = self._ask(key)
        done, _ = await asyncio.wait({asking}, timeout=SLOW_S)
        if done and not asking.cancelled():
            if asking.exception() is None:
                return self._known[key]
            why = asking.exception()
        if not known.told:
            known.told = True
            log.warning("name %s: %s; its last good addresses are used", key[0], why)
        return known

    def _ask(self, key: Key) -> "asyncio.Task[list[ResolveResult]]":
        """The question for *key* that is under way: one at a time, however many wait."""
        if key not in self._asking:
            loop = asyncio.get_running_loop()
            self._asking[key] = task = loop.create_task(self._answer(key))
            task.add_done_callback(lambda it: self._asked(key, it))
        return self._asking[key]

    async def _answer(self, key: Key) -> list[ResolveResult]:
        host, port, family = key
        addresses = await self._inner.resolve(host, port, family)
        self._known[key] = _Known(addresses, asyncio.get_running_loop().time())
        self._known.move_to_end(key)
        while len(self._known) > NAMES_MAX:
            self._known.popitem(last=False)
        return addresses

    def _asked(self, key: Key, task: "asyncio.Task[list[ResolveResult]]") -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # seen: whoever waited has it, and perhaps nobody did
