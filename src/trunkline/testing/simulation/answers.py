"""What simulated models say: answers of a few sentences, every word of which occurs once.

Because no word occurs twice, a sentence that is said twice, lost or out of place cannot be taken
for another one, and the gate against repeats has nothing to be lenient about.
"""

import json
from dataclasses import dataclass

import numpy as np

from trunkline.core.playout import WORDS_PER_S
from trunkline.testing.simulation.worlds import TalkConfig
from trunkline.types import ToolCallDelta

POOL = 256
"""Answers that a worker's calls share: texts cost time to make, and only their shape matters."""
WORDS_MAX = 30
_ONSETS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, word by word.

    *ends[k]* is the length of *text* once word *k* has come, *starts[i]* the number of the first
    word of sentence *i*; one more entry says how many words there are. *sounds_s[i]* is how long
    sentence *i* takes to be spoken. *committed* tells from the length of a committed text how many
    sentences it holds.
    """

    text: str
    sentences: tuple[str, ...]
    ends: tuple[int, ...]
    starts: tuple[int, ...]
    sounds_s: tuple[float, ...]
    committed: dict[int, int]
    tool: ToolCallDelta


def _word(number: int) -> str:
    """A word of its own for every *number* up to 4,899; every second one is shorter."""
    letters = []
    for _ in range(2 + number % 2):
        number, onset = divmod(number, len(_ONSETS))
        number, vowel = divmod(number, len(_VOWELS))
        letters.append(_ONSETS[onset] + _VOWELS[vowel])
    return "".join(letters)


def answer_of(lengths: list[int], number: int) -> Answer:
    """The answer number *number*, whose sentences have so many words (at least 2 each)."""
    # 101 and 4,900 have no factor in common: no word comes twice
    words = [_word((i * 101 + number) % 4_900) for i in range(sum(lengths))]
    starts, sentences, ends, at = [0], [], [], 0
    for length in lengths:
        spoken = words[starts[-1] : starts[-1] + length]
        sentence = " ".join([spoken[0].capitalize(), *spoken[1:]]) + "."
        for word in sentence.split(" "):
            at += len(word)
            ends.append(at)
            at += 1  # the space; it comes with the next word, as in tokens
        sentences.append(sentence)
        starts.append(starts[-1] + length)
    committed = {len(" ".join(sentences[:i])): i for i in range(len(sentences) + 1)}
    arguments = json.dumps({"slot": words[0], "number": number})
    return Answer(
        " ".join(sentences),
        tuple(sentences),
        tuple(ends),
        tuple(starts),
        tuple(length / WORDS_PER_S for length in lengths),
        committed,
        ToolCallDelta(0, "", "book", arguments),
    )


def answers(talk: TalkConfig, rng: np.random.Generator) -> list[Answer]:
    """A pool of them, with the world's numbers of sentences and words."""
    shares = np.array(talk.sentences_shares)
    counts = rng.choice(np.arange(1, len(shares) + 1), size=POOL, p=shares / shares.sum())
    pool = []
    for number, count in enumerate(counts):
        drawn = talk.words_median * np.exp(talk.words_sigma * rng.standard_normal(count))
        # longer ones would be cut at `core.phrases.LONG_CHARS`, which is tested elsewhere
        lengths = np.clip(np.rint(drawn), 2, WORDS_MAX).astype(int).tolist()
        pool.append(answer_of(lengths, number))
    return pool
