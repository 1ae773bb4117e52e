"""Phrases become speech in pieces, with a mark for every word."""

import json
import struct
from collections.abc import AsyncIterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.embedded.engines import CONTEXT, FakeEngine, endpoint
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.embedded.espeak import CALLER_VOICE, EspeakTts, word_marks
from trunkline.providers.embedded.framing import Kind
from trunkline.types import Phrase, Speech, SpokenWord


def said(samples: int, events: list[tuple[int, int]]) -> bytes:
    """A result of the engine: *samples* numbered samples, and its word events."""
    words = json.dumps(events).encode()
    pcm = b"".join(struct.pack("<h", n % 30_000) for n in range(samples))
    return struct.pack(">I", len(words)) + words + pcm


async def phrases(*texts: str) -> AsyncIterator[Phrase]:
    """A reply of *texts*."""
    for index, text in enumerate(texts):
        yield Phrase(index, text)


async def speak(engine: FakeEngine, *texts: str) -> list[Speech]:
    """What the stage gives for *texts*."""
    stage = EspeakTts(endpoint(), {}, engine=engine)
    async with stage.open(phrases(*texts), CONTEXT) as speech:
        return [piece async for piece in speech]


async def test_a_phrase_comes_in_pieces_of_200_ms_with_its_words() -> None:
    """Pieces keep what waits for playout bounded in time; marks count from the phrase's start."""
    engine = FakeEngine(lambda _kind, _text: said(4_000, [(0, 0), (6, 2_000)]))
    pieces = await speak(engine, "Hello there.")
    assert [len(piece.pcm) // 2 for piece in pieces] == [1_600, 1_600, 800]
    assert [piece.last for piece in pieces] == [False, False, True]
    assert [piece.words for piece in pieces] == [
        (SpokenWord(0, 5, 0),),
        (SpokenWord(6, 12, 2_000),),
        (),
    ]
    assert b"".join(piece.pcm for piece in pieces) == said(4_000, [])[6:]


async def test_every_phrase_is_ended_also_one_without_a_word() -> None:
    """Punctuation alone is silence: its name is never read out, and the engine is not asked."""
    engine = FakeEngine(lambda _kind, _text: said(100, []))
    pieces = await speak(engine, "Yes.", " ... ", "No.")
    assert [(piece.phrase, len(piece.pcm), piece.last) for piece in pieces] == [
        (0, 200, True),
        (1, 0, True),
        (2, 200, True),
    ]
    assert engine.sent == [(Kind.TEXT, b"Yes."), (Kind.TEXT, b"No.")]


async def test_a_phrase_is_asked_for_only_when_it_is_wanted() -> None:
    """Nothing is synthesised ahead of a caller who may interrupt."""
    engine = FakeEngine(lambda _kind, _text: said(8_000, []))
    stage = EspeakTts(endpoint(), {}, engine=engine)
    async with stage.open(phrases("One.", "Two."), CONTEXT) as speech:
        await anext(speech)
        assert (engine.exchanges, engine.open) == (1, 0)
    assert engine.exchanges == 1


async def test_a_nul_does_not_cut_the_text_short() -> None:
    """The engine takes C strings; offsets stay what they were."""
    engine = FakeEngine(lambda _kind, _text: said(10, []))
    await speak(engine, "a\0b")
    assert engine.sent == [(Kind.TEXT, b"a b")]


async def test_a_phrase_beyond_the_bound_is_refused_not_spoken_for_minutes() -> None:
    """A phrase is a sentence."""
    engine = FakeEngine(lambda _kind, _text: said(10, []))
    with pytest.raises(EndpointError, match="2001 characters") as caught:
        await speak(engine, "a" * 2_001)
    assert caught.value.fault is Fault.REFUSED
    assert engine.exchanges == 0


async def test_an_engine_that_dies_is_the_fault_of_its_endpoint() -> None:
    """The failure passes through unchanged, and the exchange is over."""
    died = EndpointError("local", Fault.CUT, "its process ended")
    engine = FakeEngine(lambda _kind, _text: died)
    with pytest.raises(EndpointError, match="ended"):
        await speak(engine, "Hello.")
    assert engine.open == 0


async def test_the_engine_starts_and_ends_with_the_stage() -> None:
    """Nothing runs before it is wanted."""
    engine = FakeEngine(lambda _kind, _text: None)
    stage = EspeakTts(endpoint(), dict(CALLER_VOICE), engine=engine)
    assert (engine.started, stage.endpoint) == (0, endpoint())
    await stage.start()
    await stage.close()
    assert (engine.started, engine.closed) == (1, 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"speed": 1}, "unknown options speed. It knows loudness_dbfs, pitch, rate, voice"),
        ({"voice": ""}, "voice is ''. Use a text"),
        ({"voice": 3}, "voice is 3"),
        ({"rate": 79}, "Use a whole number from 80 to 450 .words a minute"),
        ({"rate": 150.5}, "rate is 150.5"),
        ({"pitch": True}, "pitch is True"),
        ({"loudness_dbfs": 0}, "from -40 to -12"),
        ({"loudness_dbfs": "-20"}, "loudness_dbfs is '-20'"),
        ({"loudness_dbfs": float("nan")}, "loudness_dbfs is nan"),
    ],
)
def test_options_are_checked_at_construction(options: Mapping[str, object], says: str) -> None:
    """A worker with a wrong option does not start."""
    with pytest.raises(InputError, match=says):
        EspeakTts(endpoint(), options, engine=FakeEngine(lambda _kind, _text: None))


def test_a_word_is_placed_by_its_first_event() -> None:
    """The engine reads "$120" as three words."""
    events = [(0, 100), (6, 900), (7, 1_500), (8, 3_000), (11, 4_000)]
    assert word_marks("Costs $120 now", events) == (
        SpokenWord(0, 5, 100),
        SpokenWord(6, 10, 900),
        SpokenWord(11, 14, 4_000),
    )


def test_a_word_without_an_event_lies_between_its_neighbours() -> None:
    """The engine at times reports a word at the place of the one before."""
    assert word_marks("déjà vu then", [(0, 0), (1, 400), (8, 1_600)]) == (
        SpokenWord(0, 4, 0),
        SpokenWord(5, 7, 1_000),
        SpokenWord(8, 12, 1_600),
    )


def test_without_events_there_are_no_marks() -> None:
    """Rather none than invented ones."""
    assert word_marks("hello there", []) == ()


@given(
    st.text("ab ", max_size=30),
    st.lists(st.tuples(st.integers(-2, 40), st.integers(0, 9_000)), max_size=12),
)
def test_marks_cover_words_and_never_run_backwards(
    text: str, events: list[tuple[int, int]]
) -> None:
    """Whatever the engine reports, heard text can be cut at a mark."""
    marks = word_marks(text, events)
    places = [mark.at for mark in marks]
    assert places == sorted(places)
    assert not marks or [text[mark.start : mark.end] for mark in marks] == text.split()
