"""The file of turns survives what ends a run."""

import math
from pathlib import Path

import pytest

from trunkline.bench.turns import PACKED, RAW, Turn, TurnFile, read_turns
from trunkline.errors import InputError


def turn(call: int, fault: str = "") -> Turn:
    """One turn."""
    return Turn("m", 0, call, 0, 1.5, 1e9, 1.5, 1.75, 2.0, 3, 12, (0.1, 0.15), fault)


def test_a_run_that_ends_is_packed_and_read_back(tmp_path: Path) -> None:
    """All of it, and a second run does not write over it."""
    with TurnFile(tmp_path) as file:
        for call in range(50):
            file.add(turn(call))
    assert not (tmp_path / RAW).exists()
    assert (tmp_path / PACKED).exists()
    assert list(read_turns(tmp_path)) == [turn(call) for call in range(50)]
    with pytest.raises(InputError, match="another folder"), TurnFile(tmp_path):
        pass


def test_whatever_kills_a_run_leaves_its_turns(tmp_path: Path) -> None:
    """A bug in the middle, and a last line that the power cut in two."""
    file = TurnFile(tmp_path).__enter__()
    file.add(turn(1))
    file.add(turn(2))
    file.__exit__(RuntimeError, RuntimeError(), None)
    raw = tmp_path / RAW
    raw.write_bytes(raw.read_bytes()[:-9])
    assert list(read_turns(tmp_path)) == [turn(1)]


def test_what_is_no_run_is_said_with_its_line(tmp_path: Path) -> None:
    """A folder without turns, and a line that is none."""
    with pytest.raises(InputError, match="bench run"):
        list(read_turns(tmp_path))
    (tmp_path / RAW).write_text('{"subject": 1}\n')
    with pytest.raises(InputError, match=r"turns\.jsonl:1"):
        list(read_turns(tmp_path))


def test_a_turn_that_broke_off_has_no_time_to_first_token() -> None:
    """It had its first words; its caller got no answer all the same."""
    assert turn(1).ttft_s == 0.25
    assert turn(1).tokens_per_s == pytest.approx(2 / 0.25)
    assert turn(1, "cut").ttft_s == math.inf
