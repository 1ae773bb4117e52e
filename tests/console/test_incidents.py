"""`trunkline incidents`: replayed, told as a table or as data, and 1 if a call failed."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.testing.incidents.test_files import GOOD
from trunkline.console.cli import app
from trunkline.console.incidents import IncidentsOrder, Outcome, run, show
from trunkline.errors import InputError

UNREAD = GOOD[: GOOD.index("calls:")] + "read: false\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with one incident that passes, one that cannot, and one that was not found."""
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "hard.yaml").write_text(GOOD.replace("model-2", "model-1"))
    (tmp_path / "lost.yaml").write_text(UNREAD)
    return tmp_path


def shown(outcome: Outcome, *, terminal: bool) -> str:
    """What a person reads."""
    out = io.StringIO()
    show(outcome, Console(file=out, width=160, force_terminal=terminal, highlight=False))
    return out.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_the_table(own: Path, *, terminal: bool) -> None:
    """A row a call, what was wrong below with its seed, and what was not replayed."""
    outcome = run(IncidentsOrder(folder=own), Console(file=io.StringIO()))
    text = shown(outcome, terminal=terminal)
    assert "hard one, seed 1: answered by model-2, not model-1" in text
    assert "not found, not replayed: lost" in text
    assert "2 calls, 1 failed" in text
    assert "FAILED" in text
    assert not outcome.passed


def test_the_command(own: Path) -> None:
    """The exit status tells whether all passed; the data has what happened there and here."""
    asked = ["incidents", "good", "--folder", str(own), "--seed", "7", "--json"]
    good = CliRunner().invoke(app, asked)
    assert good.exit_code == 0, good.output
    (call,) = json.loads(good.stdout)["calls"]
    assert (call["heard_there"], call["words_lost"], call["passed"]) == ("silence", 0, True)
    assert call["seed"] == 7
    bad = CliRunner().invoke(app, ["incidents", "hard", "--folder", str(own)])
    assert bad.exit_code == 1
    assert "FAILED" in bad.stdout


def test_an_unknown_name_is_refused(own: Path) -> None:
    """With those that there are."""
    with pytest.raises(InputError, match="good, hard, lost"):
        run(IncidentsOrder(("nope",), own), Console(file=io.StringIO()))
