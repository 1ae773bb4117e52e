"""The picture's layout: what stands where and when, and that nothing covers anything."""

import re
from dataclasses import replace
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.console.sample import call, drawn, speech, texts
from trunkline.console.layout import Layout, Row, place
from trunkline.console.picture import (
    Attempted,
    CallPicture,
    Moment,
    Said,
    TurnFigures,
    waveform,
)
from trunkline.console.report import render_svg
from trunkline.console.rows import ROW_S_MAX
from trunkline.console.typeset import Box, text_px
from trunkline.errors import InputError


def row_at(placed: Layout, at_s: float) -> Row:
    """The row that shows *at_s*."""
    return [row for row in placed.rows if row.start_s <= at_s][-1]


def x_at(placed: Layout, at_s: float) -> float:
    """Where *at_s* stands in its row."""
    return placed.x0 + (at_s - row_at(placed, at_s).start_s) * placed.px_s


def test_the_freeze_and_the_takeover_stand_at_their_times() -> None:
    """Their lines hang where the time axis has them, in the row of their time."""
    placed = place(call(), 1000)
    row = row_at(placed, 24)
    freeze, failover = row.pills
    assert freeze.line_x == pytest.approx(x_at(placed, 24), abs=0.1)
    assert failover.line_x - freeze.line_x == pytest.approx(0.6 * placed.px_s, abs=0.2)
    assert all(other.pills == () for other in placed.rows if other != row)
    (takeover,) = [b for b in row.brackets if b.kind == "takeover"]
    assert (takeover.x1, takeover.x2) == (freeze.line_x, failover.line_x)


def test_the_response_time_can_be_read_where_the_model_freezes() -> None:
    """The decisive place: the number stands clear of the freeze's line and bracket."""
    moments = (
        Moment("freeze", 20.3, "primary frozen", "primary"),
        Moment("failover", 22.9, "backup goes on", "backup"),
    )
    figures = TurnFigures(19.53, 0.1, 0.2, 0.47, 0.0, ("primary",))
    for shift in (-0.2, 0.0, 0.1, 0.3):
        turn = replace(figures, audio_s=0.47 + shift)
        asked = (Said("what now", 17.5, 19.5),)
        picture = call(moments=moments, turns=(turn,), caller_said=asked)
        row = row_at(place(picture, 1000), 20.3)
        response, takeover = row.brackets
        assert response.text == f"{0.47 + shift:.2f} s"
        ends = response.text_x, response.text_x + text_px(response.text, 10.5)
        assert not any(ends[0] <= pill.line_x <= ends[1] for pill in row.pills)
        assert takeover.text == "2.60 s from its last token to the takeover"
        if takeover.y == response.y:
            assert max(response.x2, ends[1]) < takeover.x1


def test_audio_has_the_colour_of_the_endpoint_whose_words_it_is() -> None:
    """The bars change hands where the words do, not where the failover was decided."""
    placed = place(call(), 1000)
    row = row_at(placed, 24)

    def seconds(endpoint: str) -> tuple[float, float]:
        xs = [int(x) for x in re.findall(r"M(\d+)", row.agent_paths[endpoint])]
        at_s = [row.start_s + (x - placed.x0) / placed.px_s for x in (min(xs), max(xs))]
        return at_s[0], at_s[1]

    assert seconds("primary") == pytest.approx((20, 25), abs=0.1)
    assert seconds("backup") == pytest.approx((25, 30), abs=0.1)
    assert set(placed.rows[0].agent_paths) == {""}


def test_a_silent_attempt_shows_since_when_and_that_it_broke() -> None:
    """Working until 24.0 s, owing a token until 24.6 s; the backup's bar is whole."""
    placed = place(call(attempts=(Attempted("primary", 8.0, 24.6, silent_s=24.0),)), 1000)
    first, last = placed.rows[0].bars[0], row_at(placed, 24).bars[0]
    assert last.x1 == placed.x0  # it began in the row before
    assert last.silent_x == pytest.approx(x_at(placed, 24.0), abs=0.1)
    assert last.x2 == pytest.approx(x_at(placed, 24.6), abs=0.1)
    assert (first.broke, last.broke) == (False, True)
    (backup,) = row_at(place(call(), 1000), 24).bars[1:]
    assert (backup.broke, backup.silent_x) == (False, backup.x2)


def test_silence_draws_nothing() -> None:
    """A dead line is a line, not a band of noise."""
    low, high = waveform(speech(4, (1, 2)), columns=4, column_s=1.0)
    assert list(high > 0.9) == [False, True, False, False]
    assert list(low) == pytest.approx([0, -1, 0, 0], abs=0.1)
    quiet = call(caller=speech(36), agent=speech(36))
    assert all(not row.caller_path and not row.agent_paths for row in place(quiet, 1000).rows)


def test_the_queue_is_drawn_to_scale() -> None:
    """Q is 3 s at its peak at 20 s, and the peak says so."""
    placed = place(call(), 1000)
    peak = row_at(placed, 20).queue_peak
    assert peak is not None
    assert peak.text == "3.0 s"
    assert peak.x == pytest.approx(x_at(placed, 20), abs=2)
    assert all(row.queue_path == "" for row in place(call(queue=()), 1000).rows)


def boxes_in(row: Row) -> list[Box]:
    """The boxes of all running text and all flags of a row."""
    return [*(said.box for said in row.paragraphs), *(pill.box for pill in row.pills)]


def boxes_meet(picture: CallPicture, width: float) -> list[tuple[object, object]]:
    """Pairs of texts in the picture that cover each other."""
    met: list[tuple[object, object]] = []
    for row in place(picture, width).rows:
        boxes = boxes_in(row)
        met += [(a, b) for a, b in combinations(boxes, 2) if a.meets(b)]
        told = [Box(b.text_x, b.y - 5, text_px(b.text, 10.5), 10) for b in row.brackets if b.text]
        lines = [Box(b.x1, b.y - 1, b.x2 - b.x1, 2) for b in row.brackets]
        met += [(a, b) for a, b in combinations(told, 2) if a.meets(b)]
        met += [(a, b) for a in told for b in lines if a.meets(b)]
        met += [(a, p) for a in told for p in row.pills if a.x <= p.line_x <= a.x + a.w]
    return met


times = st.floats(0, 39, allow_nan=False)
words = st.text(st.characters(codec="utf-8"), max_size=120)
sayings = st.lists(
    st.tuples(times, st.floats(0, 6), words, st.sampled_from(["", "a", "b"])), max_size=12
).map(lambda raw: tuple(Said(t, s, s + d, e) for s, d, t, e in sorted(raw, key=lambda r: r[0])))


@settings(deadline=None, max_examples=60)
@given(
    caller=sayings,
    agent=sayings,
    at=st.lists(times, max_size=8).map(sorted),
    width=st.integers(480, 1400),
)
def test_text_never_covers_text_and_stays_in_its_picture(
    caller: tuple[Said, ...], agent: tuple[Said, ...], at: list[float], width: int
) -> None:
    """Whatever is said and happens, however fast and long, it can be read."""
    moments = tuple(
        Moment("freeze" if n % 2 else "failover", t, f"event {n} " * (n + 1), "a")
        for n, t in enumerate(at)
    )
    turns = tuple(TurnFigures(t, None, None, 0.4, 0, ()) for t in at)
    picture = call(
        duration_s=40.0, caller_said=caller, agent_said=agent, moments=moments, turns=turns
    )
    assert boxes_meet(picture, width) == []
    for row in place(picture, width).rows:
        for box in boxes_in(row):
            assert box.x >= 0
            assert box.x + box.w <= width
    ElementTree.fromstring(render_svg(picture, width))  # noqa: S314  # our own output


@pytest.mark.parametrize("duration_s", [0.02, 8.0, 19.99, 20.0, 20.01, 40.2, 61.0])
def test_every_length_of_call_has_its_rows(duration_s: float) -> None:
    """The rows cover the call, and none is empty."""
    placed = place(call(duration_s=duration_s), 900)
    assert placed.rows[-1].start_s < duration_s <= placed.rows[-1].start_s + placed.row_s
    assert placed.row_s <= ROW_S_MAX


def test_words_that_overrun_the_call_are_shown_at_its_end() -> None:
    """A transcript that ends a little late loses nothing."""
    late = call(caller_said=(Said("Bye now", 36.1, 36.5),))
    assert "Bye now" in texts(drawn(late))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"duration_s": 0.0}, "duration_s"),
        ({"duration_s": float("nan")}, "duration_s"),
        ({"caller": np.zeros(8)}, "caller is float64"),
        ({"agent": np.zeros((2, 8), np.int16)}, "agent is int16"),
        ({"caller_said": (Said("b", 2, 3), Said("a", 1, 2))}, "caller_said is not in the order"),
        ({"agent_said": (Said("a", 2, 1),)}, "ends before it starts"),
        ({"agent_said": (Said("a", 2, float("inf")),)}, "ends before it starts"),
        ({"queue": ((1.0, 1.0), (0.5, 1.0))}, "queue is not in the order"),
        ({"moments": (Moment("freeze", -1, "", ""),)}, "moments has a time before"),
        ({"attempts": (Attempted("a", 2, float("nan")),)}, "ends before it starts"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes: dict[str, Any], says: str) -> None:
    """A picture that would lie is not drawn."""
    with pytest.raises(InputError, match=re.escape(says)):
        call(**changes)
