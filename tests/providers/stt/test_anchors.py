"""Samples of an utterance, placed in the call."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.stt.anchors import Anchors
from trunkline.types import AudioFrame, Sample


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1_000)), min_size=1, max_size=20))
def test_every_sample_is_where_its_frame_was(frames: list[tuple[int, int]]) -> None:
    """Whatever the frames' lengths and the gaps between them."""
    anchors, at, places = Anchors(), 7, list[int]()
    for length, gap in frames:
        at += gap
        assert anchors.add(AudioFrame(bytes(2 * length), Sample(at))) == len(places) + length
        places += range(at, at + length)
        at += length
    for number, place in enumerate(places):
        assert anchors.span(number, number + 1) == (place, place + 1)
    assert anchors.span(0, len(places)) == (places[0], places[-1] + 1)
    assert anchors.span(0, 0) == (places[0], places[0] + 1), "a word without a length has a place"
