"""The command line, for the tests of its commands."""

import sys

import pytest

from tests.console.command import Ran, Run
from trunkline.console import cli


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `trunkline` with arguments, as the shell would."""

    def main(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["trunkline", *map(str, args)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        told = capsys.readouterr()
        assert exit.value.code is None or isinstance(exit.value.code, int)
        return Ran(exit.value.code or 0, told.out, told.err)

    return main
