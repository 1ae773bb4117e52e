"""The command line: `trunkline demo | serve | call | check | config | bench | decide | ...`."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.text import Text

from trunkline.config.load import load, read_text, schema
from trunkline.console import calling, deciding, residency_command
from trunkline.console.bench_commands import bench_app
from trunkline.console.records_cli import records_app
from trunkline.errors import InputError, TrunklineError
from trunkline.telephony.line import CallEvent

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Phone calls with an AI voice agent that survive their providers.",
)
_errors = Console(stderr=True, highlight=False)

ConfigPath = Annotated[Path, typer.Argument(help="The configuration file.")]


def main() -> None:
    """Run a command; an error of ours is one line on stderr and exit status 2."""
    try:
        app()
    except TrunklineError as error:
        _fail(error)
    except BaseExceptionGroup as group:
        ours, others = group.split(TrunklineError)
        if ours is None or others is not None:
            raise
        _fail(ours)


def _line_teller() -> Callable[[Mapping[str, object]], None]:
    """Writes JSON lines to stdout until its reader is gone: who listens must not end a call."""
    told = True

    def tell(event: Mapping[str, object]) -> None:
        nonlocal told
        if not told:
            return
        try:
            sys.stdout.write(json.dumps(event, default=str) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            told = False
            # Python flushes stdout once more when it ends, and would fail then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return tell


@contextmanager
def _quiet(part: str = "trunkline") -> Iterator[None]:
    """Log nothing of *part* but what is critical."""
    logger = logging.getLogger(part)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _fail(error: BaseException) -> None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    _errors.print(Text("error ", "red").append(str(error), "default"), soft_wrap=True)
    sys.exit(2)


@app.command()
def demo(
    fault: Annotated[str, typer.Option(help="stall, cut, refuse, hang or none.")] = "stall",
    seed: Annotated[int, typer.Option(help="Draws the token at which the primary dies.")] = 1,
    out: Annotated[Path, typer.Option(help="Where the files go.")] = Path("out/demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    keep_open: Annotated[
        bool, typer.Option(help="Keep the agent answering afterwards, to call it yourself.")
    ] = False,
) -> None:
    """Place a phone call, break the primary model in it, and show what the caller heard."""
    from trunkline.console.playing import DemoOrder, play  # noqa: PLC0415  # loads the engines

    console = Console(stderr=as_json, highlight=False)
    outcome = asyncio.run(play(DemoOrder(fault, seed, out), console, keep_open=keep_open))
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_json()) + "\n")
    raise typer.Exit(0 if outcome.survived else 1)


@app.command()
def check(
    config: ConfigPath = Path("trunkline.yaml"),
    dial: Annotated[
        bool, typer.Option("--dial/--no-dial", help="Ask every endpoint, three times.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Validate a configuration, dial its endpoints, and show what it survives.

    The exit status is 1 if an endpoint does not do what it should, 2 if the file is wrong.
    """
    from trunkline.console import checking  # noqa: PLC0415  # loads the engines

    with _quiet():  # what goes wrong is the result here, and told there
        result = asyncio.run(checking.check(load(config), dial=dial))
    if as_json:
        sys.stdout.write(json.dumps(result.as_json()) + "\n")
    else:
        checking.show(result, config, Console(highlight=False))
    if not result.well:
        raise typer.Exit(1)


app.command()(deciding.decide)
app.add_typer(bench_app, name="bench")
config_app = typer.Typer(no_args_is_help=True, help="What a configuration may say; bring others'.")
app.add_typer(config_app, name="config")
app.command()(residency_command.residency)
import_app = typer.Typer(no_args_is_help=True, help="Make a configuration of another's.")
config_app.add_typer(import_app, name="import")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of a configuration, for editors."""
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")


@import_app.command("litellm")
def import_litellm(
    file: Annotated[Path, typer.Argument(help="LiteLLM's config.yaml.")],
) -> None:
    """Print a configuration made of LiteLLM's, and on stderr, by line, what is not carried over."""
    from trunkline.config import litellm  # noqa: PLC0415  # only here

    made = litellm.converted(read_text(file), file)
    for note in made.notes:
        _errors.print(Text(note), soft_wrap=True)
    sys.stdout.write(made.text)
    if made.wrong:
        raise typer.Exit(1)


app.add_typer(records_app, name="records")


@app.command()
def serve(
    config: ConfigPath = Path("trunkline.yaml"),
    agent: Annotated[str, typer.Option(help="Which agent; by default the first one.")] = "",
    events: Annotated[
        bool, typer.Option(help="Print each event of each call as a line of JSON.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes behind the one port; SIGHUP renews them.")
    ] = 1,
) -> None:
    """Answer calls until SIGTERM or Ctrl-C; running calls may end."""
    from trunkline.console.serving import serving  # noqa: PLC0415  # loads the engines
    from trunkline.console.working import supervise  # noqa: PLC0415  # loads the engines

    # With --events every failure is an event; without, the operator reads it on stderr.
    logging.basicConfig(
        level=logging.ERROR if events else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    loaded = load(config)
    if agent and agent not in loaded.agents:
        known = ", ".join(loaded.agents)
        raise InputError(f"{config} has no agent {agent!r}. Give --agent one of: {known}")

    tell = _line_teller()

    def told(event: dict[str, object]) -> None:
        if events:
            tell({**event, "pid": event.get("pid", os.getpid())})
        elif event["type"] == "ready":
            url = f"http://{loaded.server.host}:{event['port']}/twilio/voice"
            line = Text(f"{workers} workers, answering as ").append(name, "bold")
            Console().print(line.append(f"; webhook {url}"), soft_wrap=True)

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with serving(loaded, name, tell if events else None) as running:
            loop.add_signal_handler(signal.SIGHUP, running.reload)
            url = f"http://{loaded.server.host}:{running.port}/twilio/voice"
            if events:
                tell({"type": "ready", "port": running.port, "pid": os.getpid()})
            else:
                told = Text("answering as ").append(name, "bold").append(f"; webhook {url}")
                Console().print(told, soft_wrap=True)
            await stop.wait()

    name = agent or next(iter(loaded.agents))
    if workers == 1:
        uvloop.run(run())
    else:
        asyncio.run(supervise(loaded, config, name, workers, told, events=events))


@app.command()
def call(
    url: Annotated[str, typer.Argument(help="Webhook (http, https) or stream (ws, wss) to call.")],
    say: Annotated[
        list[str] | None, typer.Option(help="Say this when the agent is quiet. Repeat for turns.")
    ] = None,
    wav: Annotated[
        list[Path] | None, typer.Option(help="Play this clip instead. Repeat for turns.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option(help="Follow a script (YAML or JSON) instead.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where tape.wav and call.json go.")] = Path("out/call"),
    auth_token_env: Annotated[
        str, typer.Option(help="Variable with the token that signs the webhook request.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    progress: Annotated[
        bool, typer.Option(help="Print events as JSON lines, as they come.")
    ] = False,
) -> None:
    """Place a real call over media streams and report V2V and dead air from the tape."""
    token = os.environ.get(auth_token_env) if auth_token_env else None
    if auth_token_env and not token:
        raise InputError(
            f"the environment variable {auth_token_env} is not set. Export the token that the "
            "server checks signatures with, or leave --auth-token-env out"
        )
    order = calling.CallOrder(url, say or (), wav or (), script, out, token)

    line = _line_teller()

    def tell(event: CallEvent) -> None:
        line({"at_s": event.at_s, event.kind: event.detail})

    follow = None if as_json else tell if progress else calling.Follow(console := Console())
    report = uvloop.run(calling.call(order, follow))
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    elif not progress:
        calling.show(report, out, console)
    if report["ended"] in calling.FAILED:
        raise typer.Exit(1)


@app.command()
def simulate(
    config: Annotated[
        str, typer.Argument(help="A world that ships, a world file, or a configuration.")
    ] = "healthy",
    calls: Annotated[int, typer.Option(help="How many calls.")] = 2_000,
    turns: Annotated[int, typer.Option(help="Turns of each call.")] = 6,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    load_: Annotated[
        float, typer.Option("--load", help="Turns per second that one worker takes.")
    ] = 7.0,
    policy: Annotated[
        str, typer.Option(help="Policies with commas between, or all.")
    ] = "error-only,adaptive,regime-oracle",
    faults: Annotated[Path | None, typer.Option(help="A fault script on top of it all.")] = None,
    processes: Annotated[
        int, typer.Option(min=0, max=256, help="Processes; 0: one a processor.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Simulate many calls and compare policies; Ctrl-C shows what there is so far."""
    from trunkline.console import simulating  # noqa: PLC0415  # loads numpy and the laws

    order = simulating.SimulateOrder(
        config, calls, turns, seed, load_, policy, faults, processes or None
    )
    outcome = simulating.simulate(order, Console(stderr=True))
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_json()) + "\n")
    else:
        simulating.show(outcome, Console(highlight=False))
    if not outcome.held or not outcome.whole:
        raise typer.Exit(1)


@app.command()
def incidents(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; all of the folder if it is not said.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Your own incidents, instead of those that ship.")
    ] = None,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="Over real sockets: some minutes.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same calls.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Replay public incidents of other systems and say what callers would hear here."""
    from trunkline.console import incidents as replaying  # noqa: PLC0415  # loads every stage

    # What goes wrong is the subject here: each fault would be an error of the operator's log.
    order = replaying.IncidentsOrder(tuple(names or ()), folder, real_time, seed)
    with _quiet("trunkline.calls"):
        outcome = replaying.run(order, Console(stderr=True))
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_json()) + "\n")
    else:
        replaying.show(outcome, Console(highlight=False))
    if not outcome.passed:
        raise typer.Exit(1)
