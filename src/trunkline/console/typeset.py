"""Text with a width that is known before anybody draws it, and blocks of it that never overlap."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trunkline.console.picture import Said

WORDS_PX, LINE_PX = 12.0, 15.0
_LINE_PX_SHORT = 170.0  # a line may be this long even if the speech was shorter
_PAUSE_S = 0.9  # a longer pause starts a new paragraph, at its own place in time

# Advance widths of Helvetica (Adobe's AFM files), in 1/1000 em; Arial and Liberation have the same.
_ADVANCES: Mapping[int, str] = {
    191: "'", 222: "ijl", 260: "|", 278: " !,./:;I[\\]ft", 333: "()-`r", 355: '"', 389: "*",
    500: "Jckssvxyz", 556: "#$0123456789?L_abdeghnopqu", 584: "+<=>~", 611: "FTZ",
    667: "&ABEKPSVXY", 722: "CDHNRUw", 778: "GOQ", 833: "Mm", 889: "%", 944: "W", 1015: "@",
}  # fmt: skip
_WIDTHS = {sign: width / 1000 for width, signs in _ADVANCES.items() for sign in signs}


def text_px(text: str, size_px: float) -> float:
    """A width that *text* does not exceed in Helvetica and the fonts that stand in for it."""
    em = sum(
        _WIDTHS.get(sign, 1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.72)
        for sign in text
    )
    return em * size_px * 1.06


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    w: float
    h: float

    def meets(self, other: "Box") -> bool:
        """Whether the two share more than an edge."""
        return (
            self.x < other.x + other.w
            and other.x < self.x + self.w
            and self.y < other.y + other.h
            and other.y < self.y + self.h
        )


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What one voice said without a pause, by one *endpoint* ("" for the caller)."""

    box: Box
    lines: tuple[str, ...]
    endpoint: str


def words_of(spans: Iterable[Said]) -> Iterator[Said]:
    """Single words of *spans*; inside a span, time passes evenly from character to character."""
    for span in spans:
        words = span.text.split()
        total = sum(len(word) + 1 for word in words)
        at = 0
        for word in words:
            share = (span.end_s - span.start_s) / total
            start_s = span.start_s + at * share
            at += len(word) + 1
            yield replace(span, text=word, start_s=start_s, end_s=span.start_s + at * share)


def paragraphs(
    words: Sequence[Said], x0: float, right: float, top: float, px_s: float, start_s: float
) -> Iterator[Paragraph]:
    """Set *words* between *x0* (at *start_s*) and *right*, each paragraph under its own audio.

    One that needs more room than its speech lasted pushes the next one down.
    """
    placed: list[Box] = []
    for block in _blocks(words):
        words_px = text_px(" ".join(word.text for word in block), WORDS_PX)
        lasted_px = (block[-1].end_s - block[0].start_s) * px_s - 8
        room = min(max(lasted_px, min(words_px + 1, _LINE_PX_SHORT)), right - x0)
        x = x0 + (block[0].start_s - start_s) * px_s
        x = max(x0, min(x, right - room))
        lines = tuple(_wrap([word.text for word in block], room))
        width = max(text_px(line, WORDS_PX) for line in lines)
        box = Box(x, top, width, len(lines) * LINE_PX)
        while any(box.meets(other) for other in placed):  # ends below the lowest
            box = replace(box, y=box.y + LINE_PX)
        placed.append(box)
        yield Paragraph(box, lines, block[0].endpoint)


def _blocks(words: Sequence[Said]) -> Iterator[list[Said]]:
    """Words of one endpoint without a pause: where the voice changes hands, the text does too."""
    block: list[Said] = []
    for word in words:
        if block and (
            word.start_s - block[-1].end_s > _PAUSE_S or word.endpoint != block[-1].endpoint
        ):
            yield block
            block = []
        block.append(word)
    if block:
        yield block


def _wrap(words: Sequence[str], room: float) -> Iterator[str]:
    line = ""
    for word in words:
        longer = f"{line} {word}".strip()
        if line and text_px(longer, WORDS_PX) > room:
            yield line
            longer = word
        line = _shortened(longer, room)
    yield line


def _shortened(text: str, room: float) -> str:
    """*text*, cut with an ellipsis if it is one word that is wider than a line."""
    if text_px(text, WORDS_PX) <= room:
        return text
    text = text[:400]
    while text and text_px(text + "…", WORDS_PX) > room:
        text = text[:-1]
    return text + "…"
