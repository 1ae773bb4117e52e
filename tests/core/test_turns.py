"""When the caller speaks and when the caller has finished."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.endpointing import Ending
from trunkline.core.turns import (
    EndOfSpeech,
    Hint,
    Lasts,
    LikelyOver,
    Onset,
    Told,
    TurnPolicy,
    Turns,
    Window,
)
from trunkline.types import SAMPLE_RATE, Mono, Sample

WINDOW = 256
POLICY = TurnPolicy(
    onset_probability=0.5,
    stay_probability=0.35,
    onset_windows=3,
    hangover_s=5 * WINDOW / SAMPLE_RATE,
    hangover_unsure_s=6 * WINDOW / SAMPLE_RATE,
    hangover_open_s=8 * WINDOW / SAMPLE_RATE,
    utterance_max_s=20 * WINDOW / SAMPLE_RATE,
    backchannel_max_s=9 * WINDOW / SAMPLE_RATE,
    settle_s=2 * WINDOW / SAMPLE_RATE,
    stable_s=3 * WINDOW / SAMPLE_RATE,
)
HINTS = {"?": Hint(Ending.OPEN), "&": Hint(Ending.UNSURE), "!": Hint(Ending.OVER)}
LEVELS = {"#": 0.9, "+": 0.5, "~": 0.4, "-": 0.35, "_": 0.34, ".": 0.0}


def hear(windows: str, turns: Turns | None = None) -> list[tuple[str, float]]:
    """What comes of *windows*, one character each, and hints; positions in windows."""
    machine = turns or Turns(POLICY)
    found: list[tuple[str, float]] = []
    i = -1
    for level in windows:
        if level in HINTS:
            assert not machine.feed(HINTS[level], Mono(0.0))
            continue
        i += 1
        window = Window(LEVELS[level], Sample(i * WINDOW), Sample((i + 1) * WINDOW))
        for fact in machine.feed(window, Mono(0.0)):
            match fact:
                case Onset(at):
                    found.append(("onset", at / WINDOW))
                case Lasts(at):
                    found.append(("lasts", at / WINDOW))
                case LikelyOver(at):
                    found.append(("likely", i + 1))
                case EndOfSpeech(at, known_at):
                    found += [("end", at / WINDOW), ("known", known_at / WINDOW)]
    return found


@pytest.mark.parametrize(
    ("windows", "found"),
    [
        ("", []),
        ("......", []),
        ("##.##.##.", []),  # clicks
        ("..###", [("onset", 2)]),  # known after three windows, dated back to the first
        ("..+++", [("onset", 2)]),
        ("..~~~~", []),  # what keeps an utterance open does not open one
        ("###.....", [("onset", 0), ("end", 3), ("known", 8)]),
        ("###....", [("onset", 0)]),
        ("###____#....", [("onset", 0)]),  # a pause inside a sentence
        ("###----.....", [("onset", 0), ("end", 7), ("known", 12)]),
        ("###_____", [("onset", 0), ("end", 3), ("known", 8)]),
        ("###?.......", [("onset", 0)]),  # half a sentence
        ("###?........", [("onset", 0), ("end", 3), ("known", 11)]),
        ("###?..!...", [("onset", 0), ("end", 3), ("known", 8)]),  # the words go on
        ("###&.....", [("onset", 0), ("likely", 6)]),  # it may be over
        ("###&......", [("onset", 0), ("likely", 6), ("end", 3), ("known", 9)]),
        ("###..?......", [("onset", 0), ("end", 3), ("known", 11)]),
        ("###?......!.", [("onset", 0), ("end", 3), ("known", 10)]),
        (  # a hint that comes too late is none for the next utterance
            "###.....?###.....",
            [("onset", 0), ("end", 3), ("known", 8), ("onset", 8), ("end", 11), ("known", 16)],
        ),
        ("###!#.", [("onset", 0)]),
        ("###!#..", [("onset", 0), ("likely", 6)]),  # two silent, three since the words
        (  # once a pause
            "###!#..!.#.!.&.....",
            [("onset", 0), ("likely", 6), ("likely", 13), ("end", 8), ("known", 14)],
        ),
        (  # and twice an utterance
            "###!...#!...#!......",
            [
                ("onset", 0),
                ("likely", 6),
                ("likely", 10),
                ("lasts", 11),
                ("end", 11),
                ("known", 16),
            ],
        ),
        ("###.!....", [("onset", 0), ("likely", 7), ("end", 3), ("known", 8)]),
        ("###..!....", [("onset", 0), ("end", 3), ("known", 8)]),  # its end came first
        ("###?#....", [("onset", 0)]),  # open
        ("#!##.....", [("onset", 0), ("end", 3), ("known", 8)]),  # words of before
        ("#########", [("onset", 0)]),
        ("#########....#", [("onset", 0), ("lasts", 14)]),  # silence may still end it
        ("##########", [("onset", 0), ("lasts", 10)]),
        ("#" * 20, [("onset", 0), ("lasts", 10), ("end", 20), ("known", 20)]),
        ("#" * 22, [("onset", 0), ("lasts", 10), ("end", 20), ("known", 20)]),
        ("#" * 23, [("onset", 0), ("lasts", 10), ("end", 20), ("known", 20), ("onset", 20)]),
        ("###.....##.###", [("onset", 0), ("end", 3), ("known", 8), ("onset", 11)]),
    ],
)
def test_onsets_and_ends(windows: str, found: list[tuple[str, float]]) -> None:
    """Hysteresis, hangover and the bound of an utterance, to the window."""
    assert hear(windows) == found


def test_who_does_not_speculate_is_told_nothing_before_the_end() -> None:
    """The switch."""
    turns = Turns(replace(POLICY, speculate=False))
    assert hear("###!#.....", turns) == [("onset", 0), ("end", 4), ("known", 9)]


def test_it_knows_whether_somebody_speaks_and_waits_for_no_clock() -> None:
    """Silence arrives as windows."""
    for windows, speaking in [("", False), ("##", False), ("###", True), ("###.....", False)]:
        turns = Turns(POLICY)
        hear(windows, turns)
        assert turns.speaking is speaking
        assert turns.deadline() is None


@given(st.lists(st.floats(0, 1), max_size=120), st.lists(st.integers(1, 900), min_size=120))
def test_utterances_alternate_and_are_bounded(
    probabilities: Sequence[float], lengths: Sequence[int]
) -> None:
    """Onset, end, onset ...: in order, none longer than the bound and the window that shows it."""
    turns, at = Turns(POLICY), 0
    facts: list[Told] = []
    for probability, length in zip(probabilities, lengths, strict=False):
        fresh = turns.feed(Window(probability, Sample(at), Sample(at + length)), Mono(0.0))
        at += length
        assert len(fresh) <= 1
        facts += fresh
        assert turns.speaking == bool(facts and not isinstance(facts[-1], EndOfSpeech))
    changes = [fact for fact in facts if isinstance(fact, Onset | EndOfSpeech)]
    for before, after in pairwise(changes):
        match before, after:
            case Onset(began), EndOfSpeech(ended, known_at):
                assert began < ended <= known_at <= at
                assert (known_at - began) / SAMPLE_RATE < POLICY.utterance_max_s + 900 / SAMPLE_RATE
            case EndOfSpeech(ended, known_at), Onset(began):
                assert ended <= known_at <= began
            case _:
                raise AssertionError(f"{before} is followed by {after}")


def test_a_window_is_worth_a_look_where_it_would_open_an_utterance() -> None:
    """Not before, not while one is open, and not if it is no speech anyway."""
    turns = Turns(POLICY)
    speech, murmur = (Window(p, Sample(0), Sample(WINDOW)) for p in (0.5, 0.4))
    assert not turns.would_begin(speech)
    hear("##", turns)
    assert turns.would_begin(speech)
    assert not turns.would_begin(murmur)
    hear("#", turns)
    assert not turns.would_begin(speech)


def test_what_was_no_speech_after_all_does_not_count() -> None:
    """An onset is in the making until as many windows as it takes are left, and begins there."""
    turns = Turns(POLICY)
    hear("##", turns)
    assert [window.start for window in turns.run] == [0, WINDOW]
    turns.forget(1)
    third, fourth = (Window(1.0, Sample(n * WINDOW), Sample((n + 1) * WINDOW)) for n in (2, 3))
    assert turns.feed(third, Mono(0.0)) == ()
    assert turns.feed(fourth, Mono(0.0)) == (Onset(Sample(WINDOW)),)
    assert not turns.run
