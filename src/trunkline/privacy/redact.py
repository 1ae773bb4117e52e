"""Takes the personal spans out of a text and out of the audio in which they were said.

Audio fails closed: if it is not known when a span was said, all of its utterance is silenced.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.privacy.spans import Kind, Span
from trunkline.types import SAMPLE_RATE, Sample, Word

MARGIN_SAMPLES: Final = SAMPLE_RATE * 120 // 1000
"""On both sides of a word: recognisers put its borders some 50 ms off, and sounds run over them."""
_FADE_SAMPLES: Final = SAMPLE_RATE * 5 // 1000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples `start:end` of the call, not empty."""

    start: Sample
    end: Sample


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was taken out: never the value, only what kind, where, and by which rule and version.

    *start*, *end*: characters of what *speaker* said in *turn*, before anything was taken out;
    *silenced*: the samples of the call that are silent for it, None where nothing was recorded.
    """

    speaker: str
    turn: int
    kind: Kind
    start: int
    end: int
    rule: str
    silenced: Stretch | None = None


def redacted_text(text: str, spans: Sequence[Span]) -> str:
    """*text* with `[kind]` for each of *spans*, which are in order and do not overlap.

    Neighbours of one kind become one. Raises `InputError` for spans that are not such.
    """
    pieces: list[str] = []
    at = 0
    for span in spans:
        if not at <= span.start < span.end <= len(text):
            raise InputError(
                f"span {span.start}:{span.end} ({span.rule}) overlaps another one or lies outside "
                f"a text of {len(text)} characters"
            )
        between, mark = text[at : span.start], f"[{span.kind.value}]"
        if not (pieces and pieces[-1] == mark and not any(char.isalnum() for char in between)):
            pieces += [between, mark]
        at = span.end
    return "".join([*pieces, text[at:]])


def when_said(text: str, span: Span, words: Sequence[Word], whole: Stretch) -> Stretch:
    """When *span* of *text* was said, with a margin: by the times of its *words*, else *whole*."""
    places = _places(text, words)
    if places is None:
        return whole
    said = [
        word
        for (start, end), word in zip(places, words, strict=True)
        if start < span.end and span.start < end
    ]
    if not said:
        return whole
    start = min(word.start for word in said) - MARGIN_SAMPLES
    end = max(word.end for word in said) + MARGIN_SAMPLES
    return Stretch(Sample(max(start, 0)), Sample(end))


def _places(text: str, words: Sequence[Word]) -> list[tuple[int, int]] | None:
    """Where each word stands in *text*; None if they are not just its words, in its order.

    A word without a place, or a text that says more than its words, hides when a span was said.
    """
    low, at, found = text.lower(), 0, []
    for word in words:
        said = word.text.strip().lower()
        start = low.find(said, at)
        if not said or start < 0 or any(char.isalnum() for char in low[at:start]):
            return None
        at = start + len(said)
        found.append((start, at))
    if any(char.isalnum() for char in low[at:]):
        return None
    return found


def redacted_recording(pcm: NDArray[np.int16], stretches: Iterable[Stretch]) -> NDArray[np.int16]:
    """A copy of *pcm* (`[n]` or `[n, channels]`, sample 0 the call's first), *stretches* silent.

    All channels are silenced: on a speakerphone each side is heard on both. The 5 ms before and
    behind are faded, so that no click is heard.
    """
    gain = np.ones(len(pcm), np.float32)
    ramp = np.linspace(1, 0, _FADE_SAMPLES, dtype=np.float32)
    for it in stretches:
        start, end = max(it.start, 0), min(it.end, len(pcm))
        if start >= end:
            continue
        lead, tail = gain[max(start - _FADE_SAMPLES, 0) : start], gain[end : end + _FADE_SAMPLES]
        lead *= ramp[_FADE_SAMPLES - len(lead) :]
        tail *= ramp[::-1][: len(tail)]
        gain[start:end] = 0
    shaped = gain if pcm.ndim == 1 else gain[:, None]
    return np.asarray(np.rint(pcm * shaped), dtype=np.int16)
