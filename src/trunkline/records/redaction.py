"""The redacted copy of a stored call: transcript, recording, and the list of what was taken out.

A projection like the others: the sealed journal stays as it is, and the copy is made from it. It is
made twice over: what the first pass finds to be somebody's name is looked for everywhere in the
second, so that the agent's "thank you, Sarah" is covered by the caller's "my name is Sarah".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from trunkline.privacy.redact import (
    MARGIN_SAMPLES,
    Redaction,
    Stretch,
    redacted_recording,
    redacted_text,
    when_said,
)
from trunkline.privacy.slots import expected_kinds
from trunkline.privacy.spans import Detector, Kind, Span
from trunkline.privacy.utterance import Utterance
from trunkline.privacy.vocabulary import Vocabulary
from trunkline.records.events import get, get_or
from trunkline.records.projections import Entry, Transcript, transcript
from trunkline.records.recording import recording
from trunkline.types import Event, Sample, Word

_FOREVER: Final = Sample(1 << 62)
_MARK_PARTS: Final = 3


class Learner(Protocol):
    """Makes the detector of one call from what is *known* of its caller: kind -> values."""

    def __call__(self, known: Mapping[Kind, Sequence[str]], /) -> Detector:
        """A detector that finds *known* too."""
        ...


@dataclass(frozen=True)
class Redacted:
    """The copy. *recording*: as `records.recording`, silenced; empty if nothing was recorded."""

    transcript: Transcript
    recording: NDArray[np.int16]
    redactions: tuple[Redaction, ...]


def redacted(events: Sequence[Event], learner: Learner) -> Redacted:
    """The redacted copy of the call of *events*; `RecordError` for events that are damaged."""
    whole, times = transcript(events), _Times(events)
    first = learner({})
    known: dict[Kind, list[str]] = defaultdict(list)
    for entry, asked in _asked(whole.entries):
        for span in first.spans(entry.text, asked):
            if span.kind is Kind.NAME:
                known[Kind.NAME] += _telling(entry.text[span.start : span.end])
    detector = learner(known)
    entries, made = [], []
    for entry, asked in _asked(whole.entries):
        covered, found = _redacted(entry, asked, detector, times)
        entries.append(covered)
        made += found
    pcm = recording(events)
    silenced = [it.silenced for it in made if it.silenced is not None]
    if not len(pcm):
        made = [replace(it, silenced=None) for it in made]
    return Redacted(
        replace(whole, entries=tuple(entries)), redacted_recording(pcm, silenced), tuple(made)
    )


def _telling(name: str) -> Iterator[str]:
    """The words of *name* to look for elsewhere: not what a caller said beside a name."""
    vocabulary = Vocabulary()
    for atom in Utterance(name).atoms:
        if not vocabulary.common(atom.text) or vocabulary.ambiguous(atom.text):
            yield atom.text


def _asked(entries: Iterable[Entry]) -> Iterator[tuple[Entry, frozenset[Kind]]]:
    """Each entry with what the agent had asked for just before; nothing for the agent's own."""
    asked: frozenset[Kind] = frozenset()
    for entry in entries:
        if entry.speaker == "agent":
            # A reply of which nothing was heard asked for nothing.
            asked = expected_kinds(entry.text) if entry.text else asked
            yield entry, frozenset()
        else:
            yield entry, asked


def _redacted(
    entry: Entry, asked: frozenset[Kind], detector: Detector, times: "_Times"
) -> tuple[Entry, list[Redaction]]:
    """*entry* without what is personal, nor who wrote which words: offsets are others now."""
    spans = list(detector.spans(entry.text, asked))
    unheard = entry.spoken.removeprefix(entry.text) if entry.spoken != entry.text else ""
    text = redacted_text(entry.text, spans)
    covered = replace(
        entry,
        text=text,
        spoken=text + redacted_text(unheard, detector.spans(unheard)),
        generated=redacted_text(entry.generated, detector.spans(entry.generated)),
        spans=(),
    )
    return covered, [
        Redaction(
            entry.speaker,
            entry.turn,
            span.kind,
            span.start,
            span.end,
            span.rule,
            times.when(entry, span),
        )
        for span in spans
    ]


class _Times:
    """When the words of a call were said: the recogniser's times, and the marks of the playout."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._words: dict[tuple[int, str], list[Word]] = {}
        self._phrases: dict[int, dict[int, str]] = defaultdict(dict)  # turn -> index -> text
        self._marks: dict[int, list[tuple[int, int, Sample]]] = defaultdict(list)
        turn = 0
        for event in events:
            match event.type:
                case "transcript.final":
                    words: list[list[object]] = get_or(event, "words", list, [])
                    self._words[event.where.turn, get(event, "text", str)] = _words(words)
                case "reply.started":
                    turn = get(event, "turn", int)
                case "phrase.spoken":
                    self._phrases[turn][get(event, "index", int)] = get(event, "text", str)
                case "playout.mark" if event.sample is not None:
                    self._mark(turn, get(event, "name", str), event.sample)
                case _:
                    pass

    def _mark(self, turn: int, name: str, at: Sample) -> None:
        parts = name.split(".")
        if len(parts) == _MARK_PARTS and all(part.isdigit() for part in parts):
            self._marks[turn].append((int(parts[1]), int(parts[2]), at))

    def when(self, entry: Entry, span: Span) -> Stretch:
        """When *span* of *entry* was said; all of the entry where that is not known."""
        start = Sample(0) if entry.start is None else entry.start
        end = _FOREVER if entry.end is None else entry.end
        whole = Stretch(
            Sample(max(start - MARGIN_SAMPLES, 0)), Sample(max(end, start + 1) + MARGIN_SAMPLES)
        )
        if entry.speaker == "caller":
            words = self._words.get((entry.turn, entry.text), [])
            return when_said(entry.text, span, words, whole)
        return self._played(entry, span, whole)

    def _played(self, entry: Entry, span: Span, whole: Stretch) -> Stretch:
        """From the last mark before *span* to the first behind it: a mark ends a word."""
        at, starts = 0, {}
        for index, text in sorted(self._phrases.get(entry.turn, {}).items()):
            starts[index] = at
            at += len(text) + 1
        joined = " ".join(text for _, text in sorted(self._phrases.get(entry.turn, {}).items()))
        if not joined.startswith(entry.text):
            return whole
        start, end = whole.start, whole.end
        for phrase, chars, sample in self._marks.get(entry.turn, ()):
            place = starts.get(phrase, at) + chars
            if place <= span.start:
                start = max(start, Sample(sample - MARGIN_SAMPLES))
            elif place >= span.end:
                end = min(end, Sample(sample + MARGIN_SAMPLES))
        return Stretch(start, end) if start < end else whole


def _words(listed: Iterable[Sequence[object]]) -> list[Word]:
    """The words of a final transcript; none if one of them has no time."""
    found = []
    for it in listed:
        match it:
            case [str(text), int(start), int(end)] if 0 <= start < end:
                found.append(Word(text, Sample(start), Sample(end)))
            case _:
                return []
    return found
