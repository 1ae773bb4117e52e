"""Score the detector of personal data on a set of marked sentences.

    python scripts/pii_score.py SET [--misses] [--region GB] [--heard [--voice en-gb]]

SET is YAML (a list) or JSONL; each item one utterance of a caller, with what is personal in square
brackets and its kind behind it in parentheses, one of the values of `privacy.spans.Kind`:

    - say: "sure it's [sarah miller](name), my number is [five five five oh one two three](phone)"
      agent: "Could I have your name?"    # optional: what the agent said just before
      known: {name: [Sarah Miller]}       # optional: what the customer file has
    - say: "do you have anything on tuesday"

A marked span is *found* if at least 90 % of its letters and digits are covered, by whatever kind.
Structured recall: of all kinds but name, address and other. Precision: the share of what was found
as a structured kind that touches a marked span. Over-redaction: covered words that lie in no marked
span, of all words that lie in none. A card leaks if its digits are Luhn-valid and any word of them
is not covered. Times are of the processor, since the machine may be shared. --heard: each sentence
is said by flite, brought to 8 kHz and heard by pocketsphinx with its general model; the marks go
to the heard words that stand for the marked ones.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

import yaml
from stdnum import luhn

from trunkline.privacy.detect import Rules, SpeechDetector
from trunkline.privacy.numerals import atoms
from trunkline.privacy.slots import expected_kinds
from trunkline.privacy.spans import Kind, Span

MARK = re.compile(r"\[([^\]]*)\]\(([a-z_]+)\)")
WORD = re.compile(r"\S+")
COVERED_MIN = 0.9
FREE = frozenset((Kind.NAME, Kind.ADDRESS, Kind.OTHER))


@dataclass(frozen=True)
class Marked:
    """One sentence; *marks*: (start, end, kind) in *text*."""

    text: str
    marks: tuple[tuple[int, int, Kind], ...]
    agent: str = ""
    known: Mapping[Kind, Sequence[str]] = field(default_factory=dict)


def read(path: Path) -> list[Marked]:
    """The set at *path*."""
    text = path.read_text("utf-8")
    items = (
        [json.loads(line) for line in text.splitlines() if line.strip()]
        if path.suffix == ".jsonl"
        else yaml.safe_load(text)
    )
    return [_marked(item) for item in items]


def _marked(item: Mapping[str, object]) -> Marked:
    said, plain, marks, at = str(item["say"]), "", [], 0
    for match in MARK.finditer(said):
        plain += said[at : match.start()]
        marks.append((len(plain), len(plain) + len(match[1]), Kind(match[2])))
        plain += match[1]
        at = match.end()
    known = item.get("known") or {}
    if not isinstance(known, Mapping):
        sys.exit(f"known of {said!r} is no mapping of kind to values")
    return Marked(
        plain + said[at:],
        tuple(marks),
        str(item.get("agent") or ""),
        {Kind(kind): [str(it) for it in values] for kind, values in known.items()},
    )


@dataclass
class Tally:
    """What was counted."""

    found: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    wanted: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    hits: int = 0
    reported: int = 0
    clean: int = 0
    clean_covered: int = 0
    cards: int = 0
    leaked: int = 0
    times_ms: list[float] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def add(self, one: Marked, spans: Sequence[Span], took_ms: float) -> None:
        """Count one sentence."""
        self.times_ms.append(took_ms)
        covered = [False] * len(one.text)
        for span in spans:
            covered[span.start : span.end] = [True] * (span.end - span.start)
        for start, end, kind in one.marks:
            self._mark(one, covered, start, end, kind)
        for span in spans:
            if span.kind not in FREE:
                touches = any(span.start < end and start < span.end for start, end, _ in one.marks)
                self.reported += 1
                self.hits += touches
                if not touches:
                    self._note("FALSE", span.kind, one, span.start, span.end, span.rule)
        for word in WORD.finditer(one.text):
            if not any(word.start() < end and start < word.end() for start, end, _ in one.marks):
                self.clean += 1
                if any(covered[word.start() : word.end()]):
                    self.clean_covered += 1
                    rule = next(
                        s.rule for s in spans if s.start < word.end() and word.start() < s.end
                    )
                    self._note("OVER", None, one, word.start(), word.end(), rule)

    def _mark(self, one: Marked, covered: list[bool], start: int, end: int, kind: Kind) -> None:
        said = [i for i in range(start, end) if one.text[i].isalnum()]
        share = sum(covered[i] for i in said) / max(len(said), 1)
        self.wanted[kind] += 1
        self.found[kind] += share >= COVERED_MIN
        if share < COVERED_MIN:
            self._note("MISS", kind, one, start, end, f"{share:.0%} covered")
        digits = "".join(it.text for it in atoms(one.text[start:end]) if it.shape == "digits")
        if kind is Kind.CARD and 13 <= len(digits) <= 19 and luhn.is_valid(digits):
            self.cards += 1
            self.leaked += share < 1

    def _note(
        self, what: str, kind: Kind | None, one: Marked, start: int, end: int, why: str
    ) -> None:
        said = f"{one.text[:start]}>>{one.text[start:end]}<<{one.text[end:]}"
        self.misses.append(f"{what:5} {kind or '':13} {why:22} {said}")


def tally(items: Sequence[Marked], region: str) -> Tally:
    """The detector's figures on *items*, with the time of each, the agent's question included."""
    counted, plain = Tally(), SpeechDetector(Rules(region))
    for one in items:
        detector = SpeechDetector(Rules(region, known=one.known)) if one.known else plain
        detector.spans(one.text)  # once before, so that no cold cache is timed
        began = time.thread_time()
        spans = detector.spans(one.text, expected_kinds(one.agent))
        counted.add(one, spans, (time.thread_time() - began) * 1000)
    return counted


def report(counted: Tally, utterances: int) -> Iterator[str]:
    """The table."""
    yield f"{utterances} utterances, {sum(counted.wanted.values())} spans"
    for kind in sorted(counted.wanted):
        yield f"  {kind.value:14} {counted.found[kind]:4} of {counted.wanted[kind]:4}"
    hard = [kind for kind in counted.wanted if kind not in FREE]
    soft = [kind for kind in counted.wanted if kind in FREE]
    yield _share("structured recall", counted, hard, ">= 0.98")
    yield f"structured precision   {_ratio(counted.hits, counted.reported)}   (wanted >= 0.95)"
    yield f"Luhn-valid cards leaked {counted.leaked} of {counted.cards}   (wanted 0)"
    yield _share("names and addresses ", counted, soft, ">= 0.85")
    yield (
        f"over-redaction         {_ratio(counted.clean_covered, counted.clean)}   (wanted <= 0.08)"
    )
    cuts = statistics.quantiles(counted.times_ms, n=100, method="inclusive")
    yield f"p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms an utterance   (wanted p99 <= 2)"


def _share(name: str, counted: Tally, kinds: Sequence[Kind], wanted: str) -> str:
    found = sum(counted.found[kind] for kind in kinds)
    ratio = _ratio(found, sum(counted.wanted[kind] for kind in kinds))
    return f"{name}    {ratio}   (wanted {wanted})"


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f} ({part}/{whole})" if whole else "not estimable (0)"


def aligned(one: Marked, heard: str) -> Marked:
    """*one* as it was *heard*: marks go to the words that stand where marked ones stood."""
    said, words = list(WORD.finditer(one.text)), list(WORD.finditer(heard))
    kinds = [
        next((m for m in one.marks if m[0] < w.end() and w.start() < m[1]), None) for w in said
    ]
    match = SequenceMatcher(None, [_bare(w[0]) for w in said], [_bare(w[0]) for w in words], False)
    owner: dict[int, tuple[int, int, Kind]] = {}
    for _, i1, i2, j1, j2 in match.get_opcodes():
        for j in range(j1, j2):
            i = i1 + (j - j1) * (i2 - i1) // max(j2 - j1, 1)
            mark = kinds[i] if i1 < i2 else None
            if mark is not None:
                owner[j] = mark
    marks = []
    for mark in one.marks:
        held = [j for j, its in owner.items() if its == mark]
        if held:
            marks.append((words[min(held)].start(), words[max(held)].end(), mark[2]))
    return Marked(heard, tuple(marks), one.agent, one.known)


def _kept(said: str, heard: str) -> int:
    pairs = [_bare(word) for word in said.split()], [_bare(word) for word in heard.split()]
    return sum(it.size for it in SequenceMatcher(None, *pairs, False).get_matching_blocks())


def _bare(word: str) -> str:
    return re.sub(r"[^a-z0-9']", "", word.lower())


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_argument("set", type=Path)
    given.add_argument("--misses", action="store_true", help="show every fault")
    given.add_argument("--region", default="US")
    given.add_argument("--heard", action="store_true", help="after the recogniser")
    given.add_argument("--voice", default="rms")
    given.add_argument("--processes", type=int, default=1, help="of the recogniser")
    asked = given.parse_args()
    items = read(asked.set)
    if asked.heard:
        from pii_heard import heard  # noqa: PLC0415  # beside this file; needs the engines

        texts = [one.text for one in items]
        said = list(heard(texts, asked.voice, asked.processes))
        words = sum(len(text.split()) for text in texts)
        kept = sum(map(_kept, texts, said))
        sys.stdout.write(f"heard by the recogniser as said: {_ratio(kept, words)} of the words\n")
        items = [aligned(one, text) for one, text in zip(items, said, strict=True) if text]
    counted = tally(items, asked.region)
    lines = [*report(counted, len(items)), *(counted.misses if asked.misses else ())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
