"""`trunkline serve --workers N`: the parent that supervises, and the worker that it starts.

python -m trunkline.console.working CONFIG AGENT NAME FD TEXT_FD [--events]    starts one worker

The parent does. TEXT_FD has the text to start by, which CONFIG need not have any more: see
`reloading.LastGood`.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import uvloop

from trunkline.config.load import parse
from trunkline.config.models import Config
from trunkline.console.reloading import LastGood
from trunkline.console.serving import telephony, working
from trunkline.errors import InputError, TrunklineError
from trunkline.ops.channel import REPORT_S, Channel, Message, load_message
from trunkline.ops.meter import Meter
from trunkline.ops.supervisor import Supervisor
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.twiml import twiml_refuse

LINE_BYTES_MAX: Final = 1 << 20

Tell = Callable[[dict[str, object]], None]


async def supervise(
    config: Config, path: Path, agent: str, workers: int, tell: Tell, *, events: bool
) -> None:
    """Serve *agent* with *workers* processes until SIGTERM or Ctrl-C; SIGHUP renews them.

    *tell* gets what happens to workers and, with *events*, each event of each call. Raises
    `InputError` if the address cannot be had.
    """
    server = config.server
    settings = telephony(config)  # an error in it is told here, not by every worker
    listener = listening(server.host, server.port)
    good = LastGood(str(path))

    async def spawn(name: str, channel: socket.socket) -> Process:
        with good.file() as text:
            fds = [channel.fileno(), text.fileno()]
            args = ["-m", "trunkline.console.working", str(path), agent, name, *map(str, fds)]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *args,
                *(["--events"] if events else []),
                pass_fds=fds,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=PIPE if events else None,
                limit=LINE_BYTES_MAX,
            )
        if events:
            readers.add(task := asyncio.ensure_future(_forward(process, tell)))
            task.add_done_callback(readers.discard)
        return process

    readers: set[asyncio.Task[None]] = set()
    supervisor = Supervisor(
        spawn,
        workers,
        listener,
        refusal=refusal(twiml_refuse(settings.busy_sentence, settings.transfer_to)),
        drain_s=server.drain_s,
        rng=Random(),  # noqa: S311  # jitter, not a secret
        tell=tell,
        taken=good.taken,
    )

    def renew() -> None:
        good.read()
        supervisor.renew()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.drain)
    loop.add_signal_handler(signal.SIGHUP, renew)
    try:
        await supervisor.run()
    finally:
        listener.close()
        for task in list(readers):
            await task


async def _forward(process: Process, tell: Tell) -> None:
    """One writer for all: lines of several processes in one pipe would mix."""
    assert process.stdout is not None  # noqa: S101  # it was asked for
    async for line in process.stdout:
        tell(json.loads(line))


def listening(host: str, port: int) -> socket.socket:
    """A bound socket; `InputError` if the address cannot be had."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as taken:
        listener.close()
        raise InputError(
            f"cannot listen on {host}:{port}: {taken.strerror}; choose another server.port, or "
            "stop what is using it"
        ) from taken
    return listener


def refusal(twiml: str) -> bytes:
    """The HTTP response with *twiml* for a carrier whom no worker can answer."""
    body = twiml.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


# -- the worker -----------------------------------------------------------------------------------


async def work(config: Config, agent: str, name: str, end: socket.socket, *, events: bool) -> None:
    """Be worker *name* until the parent says to drain, or is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Ctrl-C and a terminal that closes reach the whole group; the parent decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def tell(event: dict[str, object]) -> None:
        sys.stdout.write(json.dumps({**event, "worker": name}, default=str) + "\n")
        sys.stdout.flush()

    def reloaded(digest: str) -> None:
        channel.send({"config": digest})

    async with asyncio.TaskGroup() as group:
        adopting: set[asyncio.Task[None]] = set()

        def told(message: Message, connection: socket.socket | None) -> None:
            if connection is not None:
                channel.send({"took": True})
                admits = bool(message["give"])
                adopting.add(task := group.create_task(_adopt(server, connection, admits)))
                task.add_done_callback(adopting.discard)
            elif "drain" in message:
                stop.set()

        told_of = tell if events else None
        async with working(
            config, agent, told_of, name, listen=False, reloaded=reloaded
        ) as running:
            server = running.server
            channel = Channel(end, told, stop.set)
            meter = Meter(server, running.worker)
            channel.send(load_message("up", meter.load()))
            reporting = group.create_task(_report(channel, meter))
            await stop.wait()
        reporting.cancel()
        channel.close()


async def _adopt(server: TelephonyServer, connection: socket.socket, admits: bool) -> None:
    try:
        await server.adopt(connection, admits=admits)
    except (InputError, OSError):  # closed meanwhile, by us or by its peer
        connection.close()


async def _report(channel: Channel, meter: Meter) -> None:
    while True:
        await asyncio.sleep(REPORT_S)
        channel.send(load_message("load", meter.load()))


def main() -> None:
    """Run one worker; an error of ours is one line, and the parent tries again."""
    path, agent, name, fd, text_fd, *more = sys.argv[1:]
    end = socket.socket(fileno=int(fd))
    os.set_inheritable(end.fileno(), False)  # engines are children: they must not hold it open
    status = 0
    try:
        with open(int(text_fd), encoding="utf-8") as file:  # it has no path
            config = parse(file.read(), path)
        uvloop.run(work(config, agent, name, end, events="--events" in more))
    except* TrunklineError as group:
        sys.stderr.write(f"{name}: {group.exceptions[0]}\n")
        status = 2  # to exit in here would make a group of the exit
    sys.exit(status)


if __name__ == "__main__":
    main()
