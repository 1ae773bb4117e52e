"""The command line: each option does something, and an error is one line and exit status 2."""

import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.console import Console
from typer.testing import CliRunner

from tests.console.command import Run
from tests.console.staged import OF_THE_OTHERS, Plot, staged, voice
from trunkline.config.models import Config
from trunkline.console import calling, cli, playing, serving, working
from trunkline.console.calling import CallOrder
from trunkline.console.demo import DemoOrder
from trunkline.console.outcome import Outcome, outcome
from trunkline.errors import CarrierLost, InputError
from trunkline.telephony.line import CallEvent
from trunkline.testing.virtual import run as in_virtual_time

SHIPPED = Path(__file__).parents[2] / "trunkline.yaml"
COMMANDS: Any = typer.main.get_command(cli.app)


@pytest.mark.parametrize("command", ["", *COMMANDS.commands])
def test_help_says_what_each_option_does(command: str) -> None:
    """Every command, argument and option has a sentence; none needs more than 80 columns."""
    shown = CliRunner().invoke(cli.app, [*command.split(), "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert max(map(len, shown.output.splitlines())) <= 80
    if command:
        assert COMMANDS.commands[command].help
        for it in COMMANDS.commands[command].params:
            assert it.help, it.name


def test_the_options_below_are_all_options() -> None:
    """An option that is added is missed here, and gets its test below."""
    assert {name: sorted(it.name for it in c.params) for name, c in COMMANDS.commands.items()} == {
        "demo": ["as_json", "fault", "keep_open", "out", "seed"],
        "check": ["as_json", "config", "dial"],
        "serve": ["agent", "config", "events", "workers"],
        "call": ["as_json", "auth_token_env", "out", "progress", "say", "script", "url", "wav"],
        **OF_THE_OTHERS,
    }


# -- serve ----------------------------------------------------------------------------------------


class Served:
    """In place of a worker: which agent it was, and whether it was watched."""

    port = 4711

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.stopped = 0

    def reload(self) -> None:
        """Nothing has changed."""

    @asynccontextmanager
    async def serving(
        self, config: Config, agent: str, tell: Callable[[dict[str, object]], None] | None
    ) -> AsyncIterator["Served"]:
        """Like `serving.serving`; the operator stops it at once."""
        self.agents.append(agent)
        if tell is not None:
            tell({"type": "call.started", "data": {}})
        signal.raise_signal(signal.SIGTERM)
        yield self
        self.stopped += 1


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """No worker is started."""
    served = Served()
    monkeypatch.setattr(serving, "serving", served.serving)
    return served


@pytest.mark.parametrize("args", [[], ["--agent", "receptionist"]])
def test_serve_answers_until_it_is_told_to_stop(run: Run, served: Served, args: list[str]) -> None:
    """The first agent, or the one that is named; SIGTERM ends it in order."""
    told = run("serve", SHIPPED, *args)
    assert told.status == 0
    assert (served.agents, served.stopped) == (["receptionist"], 1)
    assert "http://127.0.0.1:4711/twilio/voice" in told.out


def test_serve_tells_events_as_lines_of_json(run: Run, served: Served) -> None:
    """And nothing else: other programs read it."""
    lines = [json.loads(line) for line in run("serve", SHIPPED, "--events").out.splitlines()]
    assert [line["type"] for line in lines] == ["call.started", "ready"]
    assert lines[1]["port"] == 4711


@pytest.mark.parametrize("args", [[], ["--events"]])
def test_serve_hands_several_workers_to_a_parent(
    run: Run, served: Served, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    """Which tells where they answer, once all are up; one worker needs none."""
    asked: list[tuple[Path, str, int, bool]] = []

    async def supervise(_: Config, path: Path, *rest: Any, events: bool) -> None:
        agent, workers, tell = rest
        asked.append((path, agent, workers, events))
        tell({"type": "worker.up", "worker": "w0", "pid": 1})
        tell({"type": "ready", "port": 4712})

    monkeypatch.setattr(working, "supervise", supervise)
    told = run("serve", SHIPPED, "--workers", 3, *args)
    assert told.status == 0
    assert asked == [(SHIPPED, "receptionist", 3, bool(args))]
    assert served.agents == []
    if args:
        up, ready = (json.loads(line) for line in told.out.splitlines())
        assert (up["worker"], up["pid"], ready["port"]) == ("w0", 1, 4712)
    else:
        assert "3 workers" in told.out
        assert "http://127.0.0.1:4712/twilio/voice" in told.out


def test_an_agent_that_there_is_not_is_an_error(run: Run, served: Served) -> None:
    """With those that there are; nothing is started."""
    told = run("serve", SHIPPED, "--agent", "nobody")
    assert told.status == 2
    assert "no agent 'nobody'" in told.err
    assert "receptionist" in told.err
    assert served.agents == []


# -- call -----------------------------------------------------------------------------------------

REPORT: dict[str, object] = {
    "turns": [], "v2v_s": [], "v2v_p50_s": None, "dead_air_max_s": 0.0, "unanswered": 0,
    "ended": "hang_up",
}  # fmt: skip  # the shortest call
URL = "ws://127.0.0.1:1/"


class Called:
    """In place of a call: the orders that were given."""

    def __init__(self) -> None:
        self.orders: list[CallOrder] = []
        self.ended = "hang_up"

    async def call(
        self, order: CallOrder, progress: Callable[[CallEvent], None] | None
    ) -> dict[str, object]:
        """Like `calling.call`."""
        self.orders.append(order)
        if progress is not None:
            progress(CallEvent(0.5, "agent_on"))
        return {**REPORT, "ended": self.ended}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    """Nobody is called."""
    called = Called()
    monkeypatch.setattr(calling, "call", called.call)
    return called


@pytest.mark.parametrize(
    ("args", "order"),
    [
        (["--say", "hi", "--say", "bye"], CallOrder(URL, say=["hi", "bye"])),
        (
            ["--wav", "a.wav", "--wav", "b.wav"],
            CallOrder(URL, clips=[Path("a.wav"), Path("b.wav")]),
        ),
        (["--script", "call.yaml"], CallOrder(URL, script=Path("call.yaml"))),
        (["--say", "hi", "--out", "here"], CallOrder(URL, say=["hi"], out=Path("here"))),
        (
            ["--say", "hi", "--auth-token-env", "TRUNKLINE_TEST_TOKEN"],
            CallOrder(URL, say=["hi"], auth_token="s3cret"),
        ),
    ],
)
def test_call_orders_what_its_options_say(
    run: Run, called: Called, monkeypatch: pytest.MonkeyPatch, args: list[str], order: CallOrder
) -> None:
    """Each option is in the order."""
    monkeypatch.setenv("TRUNKLINE_TEST_TOKEN", "s3cret")
    assert run("call", URL, *args).status == 0
    (given,) = called.orders
    assert (given.url, list(given.say), list(given.clips)) == (
        order.url, list(order.say), list(order.clips),
    )  # fmt: skip  # two halves
    assert (given.script, given.out, given.auth_token) == (
        order.script, order.out, order.auth_token,
    )  # fmt: skip  # two halves


def test_call_can_be_followed_read_or_parsed(run: Run, called: Called) -> None:
    """By a person as it goes; with --json once; with --progress line by line."""
    seen = run("call", URL, "--say", "hi").out
    assert "agent   speaks" in seen
    assert "the caller hung up" in seen
    assert json.loads(run("call", URL, "--say", "hi", "--json").out) == REPORT
    line = run("call", URL, "--say", "hi", "--progress").out
    assert json.loads(line) == {"at_s": 0.5, "agent_on": ""}


@pytest.mark.parametrize(
    ("ended", "status"),
    [("hang_up", 0), ("agent_closed", 0), ("max_duration", 0), ("failed", 1), ("no_stream", 1),
     ("agent_silent", 1), ("agent_flooded", 1)],
)  # fmt: skip  # a table
def test_the_status_tells_whether_the_agent_held_the_call(
    run: Run, called: Called, ended: str, status: int
) -> None:
    """0 also for a call that the caller or the clock ended."""
    called.ended = ended
    assert run("call", URL, "--say", "hi").status == status


def test_a_token_that_is_not_there_is_an_error(
    run: Run, called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsigned, the call would be refused for a reason that nobody sees."""
    monkeypatch.delenv("TRUNKLINE_TEST_TOKEN", raising=False)
    told = run("call", URL, "--say", "hi", "--auth-token-env", "TRUNKLINE_TEST_TOKEN")
    assert told.status == 2
    assert "TRUNKLINE_TEST_TOKEN is not set" in told.err
    assert called.orders == []


@pytest.mark.parametrize("others", [0, 1])
def test_an_error_of_a_task_is_one_line_unless_a_bug_came_with_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Errors of ours may come in groups; what is not ours is shown whole."""

    async def call(*args: object) -> dict[str, object]:
        ours = ExceptionGroup("inner", [CarrierLost("the leg is gone")])
        raise ExceptionGroup("outer", [ours, *[ZeroDivisionError()] * others])

    monkeypatch.setattr(calling, "call", call)
    if others:
        with pytest.raises(ExceptionGroup, match="outer"):
            run("call", URL, "--say", "hi")
        return
    told = run("call", URL, "--say", "hi")
    assert (told.status, told.err) == (2, "error the leg is gone\n")


# -- demo -----------------------------------------------------------------------------------------


class Played:
    """In place of a demo: the orders, and one outcome for all."""

    def __init__(self, result: Outcome) -> None:
        self.result = result
        self.orders: list[tuple[DemoOrder, bool]] = []

    async def play(self, order: DemoOrder, console: Any, *, keep_open: bool) -> Outcome:
        """Like `playing.play`."""
        self.orders.append((order, keep_open))
        console.print("as it happens")
        return self.result


@pytest.fixture
def plot() -> Plot:
    """A call that survives; tests parametrise it."""
    return Plot()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plot: Plot) -> Played:
    """No process is started."""

    async def judged() -> Outcome:
        return await outcome(await staged(tmp_path, plot), voice)

    played = Played(in_virtual_time(judged()))
    monkeypatch.setattr(playing, "play", played.play)
    return played


def test_demo_orders_what_its_options_say(run: Run, played: Played) -> None:
    """Each option is in the order, and the defaults are those of the order."""
    assert run("demo").status == 0
    args = ["--fault", "cut", "--seed", "7", "--out", "here", "--keep-open"]
    assert run("demo", *args).status == 0
    assert played.orders == [(DemoOrder(), False), (DemoOrder("cut", 7, Path("here")), True)]


def test_demo_prints_its_outcome_as_json_alone(run: Run, played: Played) -> None:
    """What a person would watch goes to stderr."""
    told = run("demo", "--json")
    outcome = json.loads(told.out)
    assert outcome["survived"] is True
    for key in ("turns", "failovers", "items_lost", "items_repeated", "booking", "paths"):
        assert key in outcome
    assert outcome["dead_air_s"]["max"] == 0.0
    assert told.err == "as it happens\n"
    assert run("demo").out == "as it happens\n"


@pytest.mark.parametrize("plot", [Plot(books=False)])
def test_a_demo_that_did_not_survive_has_status_1(run: Run, played: Played) -> None:
    """For scripts."""
    assert run("demo").status == 1


def test_a_fault_that_there_is_not_is_an_error(run: Run, played: Played) -> None:
    """Before anything is started or said."""
    told = run("demo", "--fault", "fire")
    assert (told.status, told.out) == (2, "")
    assert "no fault 'fire'; choose from" in told.err
    assert played.orders == []


async def test_playing_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    """The first thing that it does, so that nothing has to be undone."""
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        await playing.play(DemoOrder(out=tmp_path), Console(quiet=True))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
