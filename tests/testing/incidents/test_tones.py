"""Words as tones: what is on a tape is read, what is cut or noise is not."""

import numpy as np
import pytest

from trunkline.errors import InputError
from trunkline.media.g711 import mulaw_decode, mulaw_encode
from trunkline.testing.incidents.tones import (
    AGENT_WORD,
    CALLER_WORD,
    WORDS_MAX,
    Pcm,
    Vocabulary,
    words_of,
)
from trunkline.types import Phrase

LINE = "We are open from eight to six on weekdays, weekdays only."


def on_the_phone(pcm: Pcm) -> Pcm:
    """*pcm* after G.711."""
    return mulaw_decode(mulaw_encode(pcm))


@pytest.mark.parametrize("samples", [AGENT_WORD, CALLER_WORD])
@pytest.mark.parametrize("gain", [0.3, 1.0])
def test_words_survive_the_line(samples: int, gain: float) -> None:
    """Every word is read in its order, a repeated one twice, also from a quiet voice."""
    vocabulary = Vocabulary()
    pcm = (vocabulary.sung(LINE, samples) * gain).astype(np.int16)
    assert vocabulary.heard(on_the_phone(pcm), samples) == words_of(LINE)


def test_all_pairs_of_tones_are_told_apart() -> None:
    """As many words as there are pairs; one more is an error that says what to do."""
    vocabulary = Vocabulary()
    line = " ".join(f"w{number}" for number in range(WORDS_MAX))
    pcm = on_the_phone(vocabulary.sung(line, CALLER_WORD))
    assert vocabulary.heard(pcm, CALLER_WORD) == words_of(line)
    with pytest.raises(InputError, match="shorten the talk"):
        vocabulary.tone("another", CALLER_WORD)


@pytest.mark.parametrize(("part", "heard"), [(0.4, 1), (0.9, 2)])
def test_a_word_that_was_cut_off_and_said_again(part: float, heard: int) -> None:
    """A piece of a word is no word; nearly all of it, and then the word again, is a repetition."""
    vocabulary = Vocabulary()
    word = vocabulary.tone("open", AGENT_WORD)
    tape = on_the_phone(np.concatenate((word[: round(part * AGENT_WORD)], word)))
    assert vocabulary.heard(tape, AGENT_WORD) == ["open"] * heard


def test_noise_and_silence_have_no_words() -> None:
    """Neither is mistaken for speech, and a scrap of audio is no error."""
    vocabulary = Vocabulary()
    vocabulary.tone("open", AGENT_WORD)
    noise = np.random.default_rng(1).integers(-3000, 3000, 80_000).astype(np.int16)
    assert vocabulary.heard(noise, AGENT_WORD) == []
    assert vocabulary.heard(np.zeros(8_000, np.int16), AGENT_WORD) == []
    assert vocabulary.heard(noise[:100], AGENT_WORD) == []


def test_marks_stand_where_words_begin() -> None:
    """A phrase as speech: each mark's characters are a word, at the sample where it is sung."""
    vocabulary = Vocabulary()
    speech = vocabulary.speech(Phrase(3, "Please come, then."))
    words = ["Please come, then."[mark.start : mark.end] for mark in speech.words]
    assert words == ["Please", "come,", "then."]
    assert [mark.at for mark in speech.words] == [0, AGENT_WORD, 2 * AGENT_WORD]
    assert len(speech.pcm) == 2 * 3 * AGENT_WORD
