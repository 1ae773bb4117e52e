"""Rows are cut in pauses: before a new turn if one is near, never inside a word without need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.sample import call
from trunkline.console.picture import CallPicture, Said, TurnFigures
from trunkline.console.rows import ROW_S_MAX, row_starts

EMPTY = np.zeros(0, np.int16)


def talk(duration_s: float, *said: tuple[str, float, float, str]) -> CallPicture:
    """A call in which only *said* happens: who, from, to, text."""
    spoken = [(who, Said(text, start_s, end_s)) for who, start_s, end_s, text in said]
    return call(
        duration_s=duration_s,
        caller=EMPTY,
        agent=EMPTY,
        caller_said=tuple(one for who, one in spoken if who == "caller"),
        agent_said=tuple(one for who, one in spoken if who == "agent"),
        moments=(),
        attempts=(),
        queue=(),
        turns=(),
    )


def test_a_call_that_fits_is_one_row() -> None:
    """There is nothing to cut."""
    assert row_starts(talk(ROW_S_MAX)) == [0.0]


def test_a_row_begins_with_the_callers_next_turn() -> None:
    """The pause before it is taken, though a cut at 20 s would fill the row."""
    picture = talk(
        34,
        ("agent", 0, 6, "Hello there."),
        ("caller", 8, 10, "good morning"),
        ("agent", 10.5, 14, "How can I help?"),
        ("caller", 16, 21, "i would like to come in on tuesday"),
        ("agent", 21.5, 32, "Of course."),
    )
    (_, second) = row_starts(picture)
    assert 14 < second < 16


def test_between_sentences_rather_than_inside_one() -> None:
    """A long answer is cut at the full stop, not at the comma or within a word."""
    picture = talk(
        30,
        ("agent", 0, 9, "We open at eight,"),
        ("agent", 9.1, 17.5, "and close at six."),
        ("agent", 17.7, 19.4, "On Saturdays,"),
        ("agent", 19.5, 30, "we close at noon."),
    )
    (_, second) = row_starts(picture)
    assert 17.5 < second < 17.7


def test_a_measured_wait_is_not_cut() -> None:
    """From the caller's last word to the first audio is one stretch, if it can be."""
    picture = talk(
        38, ("caller", 12, 15, "is anybody there"), ("agent", 19.5, 21, "Yes."),
        ("agent", 22, 36, "What can I do?"),
    )  # fmt: skip  # two lines are enough
    waiting = [at for at in row_starts(with_turn(picture)) if 15 < at < 19.5]
    assert waiting == []


def with_turn(picture: CallPicture) -> CallPicture:
    """*picture* with the response time from 15 s to 19.5 s."""
    figures = TurnFigures(15.0, None, None, 4.5, 0.0, ())
    return call(
        **{name: getattr(picture, name) for name in ("duration_s", "caller", "agent")},
        caller_said=picture.caller_said,
        agent_said=picture.agent_said,
        moments=(),
        attempts=(),
        queue=(),
        turns=(figures,),
    )


spans = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 30)), max_size=20).map(
    lambda raw: tuple(Said("word.", s, s + d) for s, d in sorted(raw))
)


@given(duration_s=st.floats(0.1, 120), caller=spans, agent=spans)
def test_every_call_is_cut_into_rows_that_fit(
    duration_s: float, caller: tuple[Said, ...], agent: tuple[Said, ...]
) -> None:
    """In order from 0, none longer than the limit, whoever talks over whom."""
    picture = call(duration_s=duration_s, caller_said=caller, agent_said=agent)
    starts = row_starts(picture)
    lengths = np.diff([*starts, duration_s])
    assert starts[0] == 0.0
    assert np.all(lengths > 0)
    assert np.all(lengths <= ROW_S_MAX)


def test_without_a_word_the_rows_are_even_enough() -> None:
    """Nothing to go by: full rows."""
    starts = row_starts(talk(100))
    assert len(starts) == pytest.approx(100 / ROW_S_MAX, abs=1)
