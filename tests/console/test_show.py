"""The picture of a call and its figures in the terminal: made from evidence, fit for 80 columns."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.console.staged import FAILOVER_S, FREEZE_S, ITEM_S, ITEMS, Plot, staged, voice
from trunkline.console import show
from trunkline.console.outcome import Outcome, outcome
from trunkline.console.report import render_svg


async def shown(folder: Path, plot: Plot, width: int = 80) -> str:
    """What the terminal shows of *plot*."""
    return printed(await outcome(await staged(folder, plot), voice), width)


def printed(result: Outcome, width: int = 80) -> str:
    """What the terminal shows of *result*."""
    console = Console(file=io.StringIO(), width=width)
    show.table(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_words_stand_where_they_were_heard(tmp_path: Path) -> None:
    """Not when they were generated: the last item was written at 5.4 s and heard at 9.5 s."""
    picture = show.draw(evidence := await staged(tmp_path, Plot()), await outcome(evidence, voice))
    told = [said for said in picture.agent_said if said.text == ITEMS[-1].backup_text]
    (last,) = told
    assert last.endpoint == "backup"
    assert (last.start_s, last.end_s) == pytest.approx((5.5 + 5 * ITEM_S, 10.3), abs=0.02)
    assert [said.text for said in picture.agent_said[:2]] == ["Hello", "there."]
    assert picture.agent_said[0].start_s == pytest.approx(0.5, abs=0.01)
    assert picture.agent_said[1].start_s == pytest.approx(1.2, abs=0.01)


async def test_the_callers_words_stand_where_they_were_said(tmp_path: Path) -> None:
    """By the recogniser's times."""
    evidence = await staged(tmp_path, Plot())
    picture = show.draw(evidence, await outcome(evidence, voice))
    first = picture.caller_said[:3]
    assert [said.text for said in first] == ["that", "is", "fine"]
    assert [said.start_s for said in first] == pytest.approx([4.0, 4.33, 4.67], abs=0.01)


async def test_after_a_pause_a_sentence_begins_with_its_audio(tmp_path: Path) -> None:
    """The mark before it came when the last sentence was over: the silence belongs to nobody."""
    evidence = await staged(tmp_path, Plot(hole_s=1.0))
    picture = show.draw(evidence, await outcome(evidence, voice))
    (third,) = [said for said in picture.agent_said if said.text == ITEMS[2].backup_text]
    assert third.start_s == pytest.approx(5.5 + 2 * ITEM_S + 1.0, abs=0.02)


async def test_a_sentence_that_was_not_heard_is_not_shown(tmp_path: Path) -> None:
    """No mark, no words."""
    evidence = await staged(tmp_path, Plot())
    heard = {"playout.mark"}
    evidence.events = [e for e in evidence.events if e.type not in heard]
    assert show.draw(evidence, await outcome(evidence, voice)).agent_said == ()


async def test_the_freeze_the_takeover_and_the_attempts_are_drawn(tmp_path: Path) -> None:
    """Their moments and labels; the attempt owed a token from its last one on."""
    evidence = await staged(tmp_path, Plot())
    picture = show.draw(evidence, await outcome(evidence, voice))
    freeze, failover = picture.moments
    assert (freeze.kind, freeze.label) == ("freeze", "primary frozen (SIGSTOP)")
    assert (failover.kind, failover.label) == ("failover", "backup goes on")
    assert (freeze.at_s, failover.at_s) == pytest.approx((FREEZE_S, FAILOVER_S))
    (attempt,) = picture.attempts
    assert attempt.silent_s == pytest.approx(5.4)
    assert (attempt.start_s, attempt.end_s) == pytest.approx((5.3, 6.6))


@pytest.mark.parametrize(
    ("changes", "title", "subtitle"),
    [
        (
            {},
            "one frozen model",
            "At 6.0 s the primary model falls silent at token 15 of its answer. The c",
        ),
        (
            {"fault": "refuse", "struck_token": 0},
            "one model that refuses",
            "stops answering. The c",
        ),
        ({"items_lost": 1}, "one frozen model", "The answer does not reach the caller"),
        ({"fault": "none", "struck_at_s": None}, "One phone call", "Nothing was broken"),
    ],
)
async def test_the_title_says_what_was_broken_and_what_came_of_it(
    tmp_path: Path, changes: dict[str, object], title: str, subtitle: str
) -> None:
    """It does not praise a call that lost something."""
    evidence = await staged(tmp_path, Plot())
    result = replace(await outcome(evidence, voice), **changes)  # type: ignore[arg-type]  # mixed
    picture = show.draw(evidence, result)
    assert title in picture.title
    assert subtitle in picture.subtitle


async def test_a_refusal_has_no_time_to_take_over(tmp_path: Path) -> None:
    """Nobody asked the server when it began to refuse: the seconds until then prove nothing."""
    evidence = await staged(tmp_path, Plot())
    evidence.run.strikes[0]["kind"] = "refuse"
    svg = render_svg(show.draw(evidence, await outcome(evidence, voice)))
    assert "from its last token to the takeover" not in svg
    assert "primary refuses connections" in svg


async def test_the_files_of_the_report_are_beside_it(tmp_path: Path) -> None:
    """Links relative to the page, each said to be something; the page does not list itself."""
    evidence = await staged(tmp_path, Plot())
    result = await outcome(evidence, voice)
    show.write(evidence, result, tmp_path)
    picture = show.draw(evidence, result)
    assert {"tape.wav", "recording.wav", "call.svg"} <= {file.path for file in picture.files}
    assert all((tmp_path / file.path).exists() and file.about for file in picture.files)
    assert "report.html" not in {file.path for file in picture.files}
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert (tmp_path / "call.svg").read_text("utf-8").startswith("<svg")


@pytest.mark.parametrize("width", [80, 140])
async def test_the_figures_fit_the_terminal(tmp_path: Path, width: int) -> None:
    """No line but a path is longer than the terminal, and no word or heading is cut."""
    text = await shown(tmp_path, Plot(), width)
    lines = [line.rstrip() for line in text.splitlines() if str(tmp_path) not in line]
    assert max(len(line) for line in lines) <= width
    assert "…" not in text
    assert "caller said" in text
    assert "that is fine" in text
    assert "6 items, 0 lost, 0 repeated" in text
    assert "Tue 24 Nov 09:30, Sarah Miller, cleaning" in text
    assert "The call survived." in text
    assert str(tmp_path / "report.html") in text


async def test_a_lost_call_says_why(tmp_path: Path) -> None:
    """Each reason, and no word of survival."""
    text = await shown(tmp_path, Plot(books=False, said=()))
    assert "6 items of the long answer were never heard" in text
    assert "no appointment is in the calendar" in text
    assert "booked       nothing" in text
    assert "The call survived" not in text


async def test_a_takeover_before_any_audio_is_told_without_idle_figures(tmp_path: Path) -> None:
    """A refused connection was not silent, and nothing was queued."""
    result = await outcome(await staged(tmp_path, Plot()), voice)
    early = replace(result.failovers[0], kind="failover", silent_s=0.0, queued_s=0.0)
    assert "before anything was heard" in printed(replace(result, failovers=(early,)), 200)
    assert "0.60 s of speech still to be heard" in printed(result, 200)
