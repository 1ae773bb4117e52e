"""One subject at a time on a core of its own, the upstream and its clients on the other."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.density import cores
from benchmarks.gateway import processes, subjects
from benchmarks.gateway.load import GIVE_UP_S, Order
from benchmarks.gateway.wire import INSTANT, PACED

READY_S = 120.0
"""Until a subject answers its first request; on a machine with other work it takes a while."""
STREAMS = 8
OWN_SHARE = 0.1
"""Of its own saturation, each subject is asked for its time to the first piece."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What each subject is put through in a round; seconds are of what is measured."""

    connections: Sequence[int]
    closed_s: float
    open_s: float
    rate: float
    paced_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement of one subject; times in milliseconds, None where nothing came.

    *kind*: `closed` with *level* connections, `own` and `common` with *level* requests a second,
    `paced` with *level* streams. *first*: from asking to the first piece. *piece*: its way from the
    upstream to the client. *late*: the client's own lateness in asking. *cpu_us*: of the subject,
    for each answer; *own_cpu_s*: of the upstream and the clients, in all. *idle*, *taken*: shares
    of the subject's core and of the other one.
    """

    subject: str
    round: int
    kind: str
    level: float
    wall_s: float
    finished: int
    failed: int
    errors: list[str]
    cpu_us: float | None
    own_cpu_s: float
    rss_mb: float
    first_ms: list[float | None]
    piece_ms: list[float | None]
    late_ms: list[float | None]
    idle: float
    taken: float
    own_idle: float
    own_taken: float

    @property
    def rate(self) -> float:
        """Whole answers a second."""
        return self.finished / self.wall_s


Told = Callable[[Measured], None]


class Bench:
    """The upstream and the clients, for as long as the block lasts."""

    def __init__(self, told: Told) -> None:
        self._told = told
        # The second core for the subject: the first one has the machine's own work, too.
        self._off, self._on = cores.two()

    def __enter__(self) -> "Bench":
        module = [sys.executable, "-m"]
        self._model = _process([*module, "benchmarks.gateway.upstream"], self._off)
        self._clients = _process([*module, "benchmarks.gateway.load"], self._off)
        self._upstream = int(_answer(self._model, "ready", READY_S)["port"])
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._clients, self._model):
            process.kill()
            process.wait()

    def round(self, number: int, name: str, plan: Plan) -> list[Measured]:
        """All measurements of the subject of that *name*."""
        with tempfile.TemporaryDirectory() as folder, self._started(name, Path(folder)) as it:
            measured = [
                self._measure(number, it, "closed", float(connections), plan.closed_s)
                for connections in plan.connections
            ]
            own = OWN_SHARE * max(one.rate for one in measured)
            if own:
                # A slow subject gets longer: of ten answers, little can be told.
                own_s = min(max(plan.open_s / 2, 50 / own), 5 * plan.open_s)
                measured.append(self._measure(number, it, "own", own, own_s))
            measured.append(self._measure(number, it, "common", plan.rate, plan.open_s))
            measured.append(self._measure(number, it, "paced", STREAMS, plan.paced_s))
        return measured

    @contextmanager
    def _started(self, name: str, folder: Path) -> Iterator["_Running"]:
        started = subjects.SUBJECTS[name](port := _free_port(), self._upstream, folder)
        if not started.command:
            yield _Running(name, started, self._upstream, [])
            return
        environment, log = subjects.environment(started), folder / "log.txt"
        with log.open("wb") as errors:
            output = subprocess.PIPE if started.announces else errors
            process = _process(started.command, self._on, environment, output, errors)
            try:
                if started.announces:
                    port = int(_answer(process, "ready", READY_S)["port"])
                _wait_for_answer(port, started, process, log)
                yield _Running(name, started, port, processes.tree(process.pid))
            finally:
                for pid in reversed(processes.tree(process.pid)):
                    with suppress(ProcessLookupError):
                        os.kill(pid, 9)
                process.wait()

    def _measure(
        self, number: int, it: "_Running", kind: str, level: float, seconds: float
    ) -> Measured:
        model = PACED if kind == "paced" else INSTANT
        order = Order(
            it.port,
            it.started.paths[model],
            it.started.models[model],
            dict(it.started.headers[model]),
            seconds,
            connections=int(level) if kind == "closed" else 0,
            rate=level if kind in {"own", "common"} else 0.0,
            streams=int(level) if kind == "paced" else 0,
            seed=number,
            pids=it.pids,
            own=[self._model.pid],
            core=self._on,
            own_core=self._off,
        )
        assert self._clients.stdin is not None
        self._clients.stdin.write(json.dumps(asdict(order)) + "\n")
        self._clients.stdin.flush()
        told = _answer(self._clients, "load", seconds + GIVE_UP_S + READY_S)
        measured = _joined(it.name, number, kind, level, told)
        self._told(measured)
        return measured


@dataclass(frozen=True, slots=True)
class _Running:
    name: str
    started: subjects.Started
    port: int
    pids: list[int]


def _joined(name: str, number: int, kind: str, level: float, told: Mapping[str, Any]) -> Measured:
    finished = told["finished"]
    return Measured(
        name,
        number,
        kind,
        level,
        wall_s=told["wall_s"],
        finished=finished,
        failed=told["failed"],
        errors=told["errors"],
        cpu_us=told["cpu_s"] / finished * 1e6 if finished else None,
        own_cpu_s=told["own_cpu_s"],
        rss_mb=told["rss_mb"],
        first_ms=quantiles_ms(told["first_s"]),
        piece_ms=quantiles_ms(told["piece_s"]),
        late_ms=quantiles_ms(told["late_s"]),
        idle=told["core"]["idle"],
        taken=told["core"]["others"] + told["core"]["stolen"],
        own_idle=told["own_core"]["idle"],
        own_taken=told["own_core"]["others"] + told["own_core"]["stolen"],
    )


def quantiles_ms(seconds: Sequence[float]) -> list[float | None]:
    """The median and the 99th percentile, as values that occurred; a percentile of few is none."""
    if not seconds:
        return [None, None]
    median, high = (float(np.quantile(seconds, it, method="higher")) for it in (0.5, 0.99))
    return [median * 1000, high * 1000 if len(seconds) >= 100 else None]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _wait_for_answer(
    port: int, started: subjects.Started, process: "subprocess.Popen[str]", log: Path
) -> None:
    """Until the subject has answered a request for a stream with status 200."""
    body = {"model": started.models[INSTANT], "messages": [{"role": "user", "content": "Hello?"}]}
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}{started.paths[INSTANT]}",
        json.dumps(body | {"stream": True}).encode(),
        {"Content-Type": "application/json", **started.headers[INSTANT]},
    )
    until, last = time.monotonic() + READY_S, ""
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(asked, timeout=READY_S) as answer:  # noqa: S310  # likewise
                answer.read()
                return
        except urllib.error.HTTPError as error:
            last = error.read().decode(errors="replace")
        except OSError as error:
            last = str(error)
        time.sleep(0.2)
    tail = log.read_text(errors="replace")[-2000:]
    raise SystemExit(f"gateway: {process.args!r} does not answer: {last}\n{tail}")


def _process(
    command: Sequence[str],
    core: int | None,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | int = subprocess.PIPE,
    errors: IO[bytes] | None = None,
) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        text=True,
        env=environment,
    )
    if core is not None:  # it has one thread yet, whose children inherit it
        os.sched_setaffinity(process.pid, [core])
    return process


def _answer(process: "subprocess.Popen[str]", what: str, within_s: float) -> dict[str, Any]:
    """The fields of the line `{what: fields}`; ends the benchmark if it does not come."""
    assert process.stdout is not None
    too_late = threading.Timer(within_s, process.kill)
    too_late.start()
    line = process.stdout.readline()
    too_late.cancel()
    fields = json.loads(line).get(what) if line.startswith("{") else None
    if not isinstance(fields, dict):
        raise SystemExit(f"gateway: {process.args!r} did not tell of {what!r}, but: {line!r}")
    return fields
