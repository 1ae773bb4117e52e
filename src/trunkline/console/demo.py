"""`trunkline demo`: a real phone call whose primary model dies in the middle of a sentence.

Five processes of this machine: two model servers, the worker, the caller, and this one, which
starts them, breaks the primary, and reads the caller's tape. The call's audio goes over the media
stream protocol of a telephony carrier; recognition, synthesis and HTTP are real; only the models
are scripted (see `providers.embedded.scripted`), with modelled token timing.
"""

import asyncio
import json
import logging
import random
import shutil
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import aiohttp

from trunkline.errors import InputError, TrunklineError
from trunkline.providers.embedded.scripted import content_items
from trunkline.records.store import Store
from trunkline.testing.chat import tokens

FAULTS = ("stall", "cut", "refuse", "hang", "none")
TOPIC = "visit"
QUESTION = "what should i bring"
"""The caller's question whose answer is struck, as the recogniser hears it."""
START_S = 30.0
CALL_S = 240.0
STOP_S = 8.0
DRAIN_S = 45.0
"""For a worker that is told to stop: it lets its calls go on for a while."""
LINE_BYTES_MAX = 1 << 20
CLIPS = Path(str(resources.files("trunkline.console"))) / "clips"

MARK = "# Written by `trunkline demo`, which deletes this folder when it is run again.\n"

log = logging.getLogger(__name__)

Tell = Callable[[dict[str, object]], None]


class DemoError(TrunklineError):
    """A part of the demo did not start or did not end."""


@dataclass(frozen=True, slots=True)
class DemoOrder:
    """What to break, and where the files go. *seed* draws the token at which the primary dies.

    Raises `InputError` for a fault that there is not.
    """

    fault: str = "stall"
    seed: int = 1
    out: Path = Path("out/demo")
    script: Path = CLIPS / "demo.yaml"

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise InputError(f"there is no fault {self.fault!r}; choose from {', '.join(FAULTS)}")


@dataclass(slots=True)
class DemoRun:
    """What was seen of one call: the worker's events, the faults, the caller's report."""

    order: DemoOrder
    after_tokens: int
    events: list[dict[str, object]] = field(default_factory=list)
    strikes: list[dict[str, object]] = field(default_factory=list)
    caller: dict[str, object] = field(default_factory=dict)
    first_word_s: float | None = None
    url: str = ""


@asynccontextmanager
async def staged(order: DemoOrder, tell: Tell) -> AsyncIterator[DemoRun]:
    """Place the call and give what was seen of it; the agent answers until the context is left.

    *tell* gets every event as it happens: worker's, caller's, faults. Raises `DemoError` if a part
    does not start or end, `InputError` if the folder holds other files.
    """
    started = time.monotonic()
    fresh_folder(order.out)
    run = DemoRun(order, strike_token(order.seed))
    async with AsyncExitStack() as stack:

        def struck(fault: dict[str, object]) -> None:
            run.strikes.append(fault)
            tell({"type": "fault", "mono": fault["mono"], "data": fault})

        # All three start side by side: a new user waits for the slowest, not for their sum.
        ports = free_ports(2)
        config = order.out / "trunkline.yaml"
        config.write_text(MARK + configuration(ports), "utf-8")
        worker = await stack.enter_async_context(
            _child("worker", ["-m", "trunkline", "serve", str(config), "--events"])
        )
        primary = await stack.enter_async_context(_model_server("primary", ports[0], run))
        backup = await stack.enter_async_context(_model_server("backup", ports[1], run))
        for server in (primary, backup):
            await stack.enter_async_context(server.watched(struck))
        ready = await _first_line(worker, "worker")
        while ready.get("type") != "ready":  # what models have shown comes first
            ready = await _first_line(worker, "worker")

        def noted(event: dict[str, object]) -> None:
            run.events.append(event)
            tell(event)

        reading = asyncio.ensure_future(_read(worker, noted))
        refusal = _Refusal(primary, order.fault)

        def seen(event: dict[str, object]) -> None:
            if run.first_word_s is None and "agent_on" in event:
                run.first_word_s = time.monotonic() - started
            refusal.see(event)
            tell({"type": "caller", "mono": time.monotonic(), "data": event})

        run.url = f"http://127.0.0.1:{ready['port']}/twilio/voice"
        await _place(order, run.url, seen)
        if refusal.task is not None:
            await refusal.task
        run.caller = json.loads((order.out / "call.json").read_text("utf-8"))
        await _sealed(run)
        primary.process.send_signal(signal.SIGCONT)
        yield run
        worker.terminate()
        # Waited for here: a signal to a child that is gone would take its exit status away.
        try:
            async with asyncio.timeout(DRAIN_S):
                await reading
                await worker.wait()
        except TimeoutError:
            raise DemoError(f"the worker did not end within {DRAIN_S:.0f} s") from None


async def _sealed(run: DemoRun) -> None:
    """The worker seals the record of the call when the leg is gone: wait for it."""
    store = Store(run.order.out / "records")
    for _ in range(int(STOP_S / 0.05)):
        if any(store.has(str(event.get("call"))) for event in run.events[-1:]):
            return
        await asyncio.sleep(0.05)
    raise DemoError(f"the worker did not seal the call under {store.directory} in {STOP_S:.0f} s")


async def _place(order: DemoOrder, url: str, seen: Tell) -> None:
    where = ["--script", str(order.script), "--out", str(order.out), "--progress"]
    async with _child("caller", ["-m", "trunkline", "call", url, *where]) as caller:
        try:
            async with asyncio.timeout(CALL_S):
                await _read(caller, seen)
                await caller.wait()
        except TimeoutError:
            raise DemoError(f"the call did not end within {CALL_S:.0f} s") from None


def fresh_folder(folder: Path) -> None:
    """Make *folder* empty; only files of an earlier demo go, anything else is not ours to delete.

    Raises `InputError` if it is a file or holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name another with --out")
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
        raise InputError(f"{folder} holds other files: name another folder with --out")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _is_ours(folder: Path) -> bool:
    """A demo leaves `call.json`; one that did not get that far, its configuration and records."""
    if (folder / "call.json").is_file():
        return True
    config = folder / "trunkline.yaml"
    return config.is_file() and config.read_text("utf-8", "replace").startswith(MARK)


def strike_token(seed: int) -> int:
    """A random token of the long answer, after its first sentence and before its end."""
    items = content_items(TOPIC)
    first = len(tokens("Of course, sure.")) + 2  # the longest opener, and a start on what follows
    whole = len(tokens(" ".join(item.primary_text for item in items)))
    return random.Random(seed).randrange(first, whole)  # noqa: S311  # a draw, not a secret


# -- the parts ------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    port: int
    process: Process

    @asynccontextmanager
    async def watched(self, struck: Tell) -> AsyncIterator[None]:
        """Wait until it listens, then tell of its faults."""
        ready = await _first_line(self.process, self.name)
        if "ready" not in ready:
            raise DemoError(f"{self.name} said {ready} instead of being ready")
        reading = asyncio.ensure_future(_read(self.process, lambda line: _strike(line, struck)))
        try:
            yield
        finally:
            reading.cancel()


@asynccontextmanager
async def _model_server(name: str, port: int, run: DemoRun) -> AsyncIterator[_Server]:
    """One model server. The primary carries the fault; both draw their timing from the seed."""
    order = run.order
    module = "trunkline.testing.openai_server"
    law = "self_hosted_8b" if name == "primary" else "self_hosted_8b_busy"
    model = f"trunkline.providers.embedded.scripted:{name}"
    args = ["-m", module, "--model", model, "--port", str(port), "--law", law]
    args += ["--seed", str(order.seed)]
    fault = fault_script(order.fault, run.after_tokens) if name == "primary" else None
    if fault is not None:
        args += ["--fault", json.dumps(fault)]
    async with _child(name, args) as process:
        yield _Server(name, port, process)


def fault_script(name: str, after_tokens: int) -> dict[str, object] | None:
    """The fault as the model server knows it; a refusal is armed later (`_Refusal`)."""
    match name:
        case "stall":
            return {"kind": "freeze", "match": QUESTION, "after_tokens": after_tokens}
        case "cut":
            return {"kind": "cut", "match": QUESTION, "after_tokens": after_tokens}
        case "hang":
            return {"kind": "hang", "match": QUESTION}
        case _:
            return None


def _strike(line: dict[str, object], struck: Tell) -> None:
    fault = line.get("fault")
    if isinstance(fault, dict):
        struck(fault)


class _Refusal:
    """Makes the primary refuse connections once the caller has begun to ask the long question.

    A listener that is closed sees no request, so this fault cannot be tied to one beforehand.
    """

    def __init__(self, primary: _Server, fault: str) -> None:
        self._url = f"http://127.0.0.1:{primary.port}/_control/fault"
        self._wanted = fault == "refuse"
        self.task: asyncio.Task[None] | None = None

    def see(self, event: dict[str, object]) -> None:
        """An event of the caller's."""
        if self._wanted and "bring" in str(event.get("step_start", "")):
            self._wanted = False
            self.task = asyncio.ensure_future(self._arm())

    async def _arm(self) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self._url, json={"kind": "refuse"}) as response,
        ):
            if response.status != 200:
                raise DemoError(f"the primary would not be armed: {await response.text()}")


@asynccontextmanager
async def _child(name: str, args: Sequence[str]) -> AsyncIterator[Process]:
    """A child process of this one; it is ended with the context, however frozen it is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *args, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES_MAX
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            log.warning("%s did not end within %.0f s and was killed", name, STOP_S)
            process.kill()
            await process.wait()


async def _first_line(process: Process, name: str) -> dict[str, object]:
    assert process.stdout is not None  # noqa: S101  # it was asked for
    try:
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline()
    except TimeoutError:
        raise DemoError(f"{name} did not start within {START_S:.0f} s") from None
    if not line:
        raise DemoError(f"{name} ended at once with status {await process.wait()}; see above")
    return _parsed(line)


async def _read(process: Process, tell: Tell) -> None:
    assert process.stdout is not None  # noqa: S101  # it was asked for
    async for line in process.stdout:
        tell(_parsed(line))


def _parsed(line: bytes) -> dict[str, object]:
    try:
        parsed: dict[str, object] = json.loads(line)
    except ValueError:
        raise DemoError(f"a part of the demo printed {line!r} instead of JSON") from None
    return parsed


def configuration(ports: Sequence[int], shipped: str | None = None) -> str:
    """The configuration that ships, with the model servers at *ports* and files beside it.

    *shipped*: another text than that of `config/example.yaml`. Raises `DemoError` if it has not
    exactly one place for each.
    """
    if shipped is None:
        shipped = (resources.files("trunkline.config") / "example.yaml").read_text("utf-8")
    for theirs, ours in (
        ("127.0.0.1:8101", f"127.0.0.1:{ports[0]}"),
        ("127.0.0.1:8102", f"127.0.0.1:{ports[1]}"),
        ("port: 8100", "port: 0"),
        ("drain_s: 300", "drain_s: 30"),
    ):
        if shipped.count(theirs) != 1:
            raise DemoError(f"config/example.yaml has {theirs!r} {shipped.count(theirs)} times")
        shipped = shipped.replace(theirs, ours)
    return shipped
