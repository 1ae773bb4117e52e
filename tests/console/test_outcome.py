"""What came of a call, told from its tape and journal: every reason why it can count as lost."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from tests.console.staged import ANSWER_S, FAILOVER_S, FREEZE_S, ITEMS, Plot, staged, voice
from trunkline.console import listing, reading
from trunkline.console.outcome import Outcome, outcome
from trunkline.errors import InputError
from trunkline.records.store import Store

ALL = list(Plot().said)


async def judged(folder: Path, plot: Plot) -> Outcome:
    """The outcome of *plot*."""
    return await outcome(await staged(folder, plot), voice)


async def test_a_call_that_was_rescued_survived(tmp_path: Path) -> None:
    """Everything was heard once, and the appointment is in the calendar."""
    result = await judged(tmp_path, Plot())
    assert (result.why_not, result.survived) == ((), True)
    assert result.items == {item.key: 1 for item in ITEMS}
    assert (result.items_lost, result.items_repeated) == (0, 0)
    assert result.dead_air_s == {"max": 0.0, "total": 0.0}
    assert result.booking is not None
    assert result.booking["name"] == "Sarah Miller"
    assert result.booking["start"].startswith("2026-11-24T09:30")


@pytest.mark.parametrize(
    ("plot", "reason"),
    [
        (Plot(answers_goodbye=False), "1 of the caller's turns were never answered"),
        (Plot(said=ALL[:2] + ALL[4:]), "2 items of the long answer were never heard"),
        (Plot(said=[*ALL, ALL[3]]), "1 items of the long answer were heard twice"),
        (
            Plot(said=[*ALL[:3], (ITEMS[1].backup_text, "backup"), *ALL[3:]]),
            "1 items of the long answer were heard twice",  # in the backup's words
        ),
        (Plot(books=False), "no appointment is in the calendar"),
        (Plot(ended="hang_up"), "the call ended by hang_up, not by the agent's goodbye"),
        (Plot(strikes=False), "the fault never struck: nothing was shown"),
        (Plot(failover=False), "the fault struck, and no other endpoint took over"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_way_to_lose_a_call_is_named(tmp_path: Path, plot: Plot, reason: str) -> None:
    """One thing is wrong, and exactly that is said."""
    result = await judged(tmp_path, plot)
    assert result.why_not == (reason,)
    assert not result.survived


async def test_without_a_fault_nothing_has_to_strike(tmp_path: Path) -> None:
    """`--fault none` is a plain call."""
    result = await judged(tmp_path, Plot(fault="none", strikes=False, failover=False))
    assert result.survived
    assert (result.struck_at_s, result.struck_token, result.failovers) == (None, None, ())


async def test_times_are_on_the_axis_of_the_tape(tmp_path: Path) -> None:
    """The journal's clock is put on the tape's: to the millisecond, whenever the call was."""
    result = await judged(tmp_path, Plot())
    (failover,) = result.failovers
    assert (result.struck_at_s, failover.at_s) == (FREEZE_S, FAILOVER_S)
    assert (failover.from_endpoint, failover.to_endpoint) == ("primary", "backup")
    assert (failover.kind, failover.fault) == ("rescue", "stalled")
    first, last = result.turns
    assert (first.said, last.said) == ("that is fine", "goodbye")
    assert first.end_of_speech_s == pytest.approx(5.0, abs=0.01)
    assert first.transcript_s == pytest.approx(0.2, abs=0.01)
    assert first.token_s == pytest.approx(0.4, abs=0.01)
    assert first.audio_s == pytest.approx(ANSWER_S - 5.0, abs=0.01)
    assert first.endpoints == ("primary", "backup")
    assert last.token_s is None


async def test_a_hole_in_the_answer_is_dead_air(tmp_path: Path) -> None:
    """What is beyond a natural pause of 0.3 s counts, in its turn and for the call."""
    result = await judged(tmp_path, Plot(hole_s=1.0))
    assert result.dead_air_s["max"] == pytest.approx(0.7, abs=0.03)
    assert result.turns[0].dead_air_s == pytest.approx(0.7, abs=0.03)
    assert result.turns[1].dead_air_s == 0.0


async def test_the_files_are_there_and_named(tmp_path: Path) -> None:
    """What the outcome lists exists (the report and the picture are drawn after it)."""
    result = await judged(tmp_path, Plot())
    assert set(result.paths) == {
        "report", "picture", "tape", "recording", "transcript", "calendar", "record",
    }  # fmt: skip  # a list of words
    for name in ("tape", "recording", "transcript", "calendar", "record"):
        assert Path(result.paths[name]).stat().st_size > 0
    assert "goodbye" in (tmp_path / "transcript.md").read_text("utf-8")


async def test_without_consent_there_is_no_recording(tmp_path: Path) -> None:
    """None is made, and none is listed."""
    result = await judged(tmp_path, Plot(consents=False))
    assert "recording" not in result.paths
    assert not (tmp_path / "recording.wav").exists()


async def test_the_json_has_every_key_that_is_documented_and_no_infinity(tmp_path: Path) -> None:
    """A median of "never" is null, and strict readers can read it."""
    plot = Plot(answers_goodbye=False, said=())
    told = (await judged(tmp_path, plot)).as_json()
    assert json.loads(json.dumps(told, allow_nan=False)) is not None
    assert told["v2v_p50_s"] is None
    assert set(told) == {"survived", *(field.name for field in fields(Outcome))}
    assert Outcome.__doc__ is not None
    assert [key for key in told if f"`{key}`" not in Outcome.__doc__] == []


async def test_a_record_can_be_read_without_the_demo(tmp_path: Path) -> None:
    """`trunkline records` names the calls, and shows what one of them proves."""
    await judged(tmp_path, Plot())
    store = Store(tmp_path / "records")
    (row,) = listing.rows(store, listing.Wanted())
    call = row.call
    told = reading.shown(store, "last")
    assert told == reading.shown(store, call)
    assert "Consent: granted" in told
    assert "Failover in turn" in told
    assert "chain verified" in told
    assert "Recording: there is one" in told
    written = reading.shown(store, "last", tmp_path / "to")
    assert written.endswith(f"Recording: {tmp_path / 'to' / 'recording.wav'}")
    assert (tmp_path / "to" / "transcript.md").read_text("utf-8") in written
    with pytest.raises(InputError, match="no sealed call"):
        reading.shown(Store(tmp_path / "elsewhere"), "last")
