"""One plugin of LiveKit Agents, loaded as configured, and what its errors mean here.

A plugin brings a vendor's client with it and opens connections of its own. So three things that
hold for our codecs do not hold here. *Where bytes go* is the plugin's to decide: the gate is asked
about the destination that the configuration names, which is declared, not enforced. *Bounds* are
its own: it takes whatever it is given (an utterance is cut off at 60 s by us). *Bugs* are its own:
an exception that is no `APIError` comes out as it is. Its retries are off (`max_retry=0`), for all
repeats belong to the one budget; so a request that fails has failed at once.

Source: `livekit-agents` 1.8.9 (`_exceptions.py`, `types.py`, `stt/stt.py`, `tts/tts.py`,
`utils/http_context.py`), read November 2026. It is not ours to install: the extra `livekit` has the
framework, the plugin comes from its vendor's package.

Options: `plugin` ("module:class"), `arguments` (of its constructor), `destination` ("host:port"
that it will speak with), `key_argument` (the argument that gets the key of `key_env`; `api_key`).
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any, TypeVar

import aiohttp

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.net.gate import Gate
from trunkline.providers.options import Options
from trunkline.providers.refusals import refusal
from trunkline.types import Endpoint

T = TypeVar("T")

_CLOSE_S = 1.0  # for a plugin's own farewell, which nobody waits for
_DETAIL_CHARS = 300


class Plugin:
    """The plugin of *endpoint*, a class of LiveKit's kind *kind* ("stt", "tts"); not yet made.

    `InputError` if the framework or the plugin is not installed, or does not take its arguments.
    *timeout_s* is what the plugin is told to wait for a connection.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: Mapping[str, object],
        *,
        kind: str,
        key: str | None,
        gate: Gate,
        timeout_s: float,
    ) -> None:
        self.endpoint, self._gate, self._key = endpoint, gate, key
        read = Options(endpoint.name, options)
        path = read.text("plugin", "")
        arguments = dict(read.mapping("arguments"))
        self._destination = read.text("destination", "")
        key_argument = read.text("key_argument", "api_key")
        read.done()
        self.agents = _module(endpoint.name, "livekit.agents", "pip install 'trunkline[livekit]'")
        self.rtc = _module(endpoint.name, "livekit.rtc", "pip install 'trunkline[livekit]'")
        base = getattr(getattr(self.agents, kind), kind.upper())
        self._class = _class(endpoint.name, path, base)
        if key is not None:
            arguments[key_argument] = key
        known = inspect.signature(self._class.__init__).parameters
        self._takes_session = "http_session" in known
        anything = any(it.kind is it.VAR_KEYWORD for it in known.values())
        if (unknown := sorted(arguments.keys() - known.keys())) and not anything:
            raise InputError(
                f"{endpoint.name}: {path} has no argument {unknown[0]!r}. "
                f"It knows {', '.join(sorted(known.keys() - {'self'}))}"
            )
        self._arguments = arguments
        self.connection = self.agents.APIConnectOptions(max_retry=0, timeout=timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._afterlives: set[asyncio.Task[None]] = set()
        self.made: Any = None

    async def start(self) -> None:
        """Make it; `InputError` if it refuses its arguments."""
        arguments = dict(self._arguments)
        if self._takes_session:
            # Its own, not ours: ours has no decompression and refuses in ways plugins do not know.
            self._session = arguments["http_session"] = aiohttp.ClientSession()
        try:
            self.made = self._class(**arguments)
        except (TypeError, ValueError) as error:
            said = self._redacted(f"{self._class.__name__}: {error}")
            raise InputError(
                f"{self.endpoint.name}: the plugin refuses its arguments: {said}. Mend arguments"
            ) from None

    async def close(self) -> None:
        """Free everything; idempotent."""
        if self._afterlives:
            await asyncio.wait(self._afterlives)
        if self.made is not None:
            await self.made.aclose()
            self.made = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def admitted(self, context: Context) -> AsyncIterator[None]:
        """Pass the gate, in a context in which the plugin finds an HTTP session."""
        if self.made is None:
            raise EndpointError(self.endpoint.name, Fault.UNREACHABLE, "the plugin is not started")
        self._gate.admit(self.endpoint, context, self._destination)
        async with AsyncExitStack() as stack:
            if not self._takes_session:
                await stack.enter_async_context(self.agents.utils.http_context.open())
            yield

    async def wait(self, doing: Awaitable[T], context: Context, *, spoke: bool) -> T:
        """Wait for the plugin: the one line where its errors become ours."""
        scope = asyncio.timeout_at(context.deadline)
        try:
            async with scope:
                return await doing
        except (self.agents.APIError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not scope.expired():
                raise
            failure = self._failure(error, spoke=spoke)
        raise failure

    def leave(self, stream: Any) -> None:
        """Close *stream*, without waiting for it."""
        task = asyncio.get_running_loop().create_task(self._part(stream))
        self._afterlives.add(task)
        task.add_done_callback(self._afterlives.discard)

    async def _part(self, stream: Any) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await stream.aclose()
        except (self.agents.APIError, TimeoutError, aiohttp.ClientError, OSError):
            pass  # it is being left anyway

    def _failure(self, error: Exception, *, spoke: bool) -> EndpointError:
        name, agents = self.endpoint.name, self.agents
        late = Fault.STALLED if spoke else Fault.SILENT
        if isinstance(error, TimeoutError):
            return EndpointError(name, late, f"{self._destination} said nothing more in time")
        said = self._redacted(f"{type(error).__name__}: {error}")
        status = _status(error)
        if status is not None:
            return refusal(name, status, {}, b"", said=said)
        if isinstance(error, agents.APITimeoutError):
            return EndpointError(name, late if spoke else Fault.UNREACHABLE, said)
        if isinstance(error, agents.APIStatusError):
            return EndpointError(name, Fault.CUT, said)  # -1: closed without a status
        if isinstance(error, agents.APIConnectionError):
            return EndpointError(name, Fault.CUT if spoke else Fault.UNREACHABLE, said)
        return EndpointError(name, Fault.UNAVAILABLE, said)

    def _redacted(self, said: str) -> str:
        said = said.replace(self._key, "[key]") if self._key else said
        return " ".join(said.split())[:_DETAIL_CHARS]


def _status(error: BaseException | None) -> int | None:
    """The HTTP status in *error*, or in what it was raised from: plugins differ in where it is."""
    while error is not None:
        for name in ("status_code", "status"):
            status = getattr(error, name, None)
            if isinstance(status, int) and 400 <= status <= 599:
                return status
        error = error.__cause__
    return None


def _module(endpoint: str, name: str, mend: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"{endpoint}: {name} cannot be imported: {error}. Run: {mend}") from error


def _class(endpoint: str, path: str, base: type) -> Any:
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise InputError(
            f"{endpoint}: option plugin is {path!r}. Name module and class, such as "
            '"livekit.plugins.deepgram:STT"'
        )
    package = module.replace(".", "-")
    found = getattr(_module(endpoint, module, f"pip install {package}"), name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(
            f"{endpoint}: {path} is not a class of livekit.agents.{base.__name__.lower()}."
            f"{base.__name__}. Name one"
        )
    return found
