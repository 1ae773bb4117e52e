"""Where everything in the picture of a call stands, in pixels; nothing here draws.

A call is wrapped into rows of at most `ROW_S_MAX` seconds (`rows` says where). A row is a stack
of tracks, from the top: what happened (flags), the caller's waveform and words, the response times,
the agent's waveform and words, what each model did, the audio that was queued, and the time. A row
is as high as what it holds, and text never covers text.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from trunkline.console.picture import CallPicture, Said, waveform
from trunkline.console.rows import ROW_S_MAX, row_starts
from trunkline.console.typeset import LINE_PX, Box, Paragraph, paragraphs, text_px, words_of

ROW_S_MIN = 8.0
MARGIN, GUTTER = 26.0, 66.0
LABEL_PX, PILL_PX = 12.0, 22.0
SMALL_PX = 10.5
CALLER_HALF, AGENT_HALF = 15.0, 22.0
LANE_PX, QUEUE_PX, QUEUE_GAP = 13.0, 24.0, 12.0
BRACKET_PX = 14.0
_COLUMNS_MAX = 3000  # bars of both tracks and all rows: keeps the longest call's picture small
_PEAK_S_MIN = 0.2  # a lower peak of the queue needs no number
_HEARD = 0.03  # lower bars are left to the base line


@dataclass(frozen=True, slots=True)
class Pill:
    """The label of a moment, and the x of the line that hangs from it."""

    box: Box
    text: str
    kind: str
    endpoint: str
    line_x: float


@dataclass(frozen=True, slots=True)
class Bracket:
    """A measured stretch: a line with two ends, and its text if there is room (else "")."""

    kind: str
    x1: float
    x2: float
    y: float
    text: str
    text_x: float


@dataclass(frozen=True, slots=True)
class Bar:
    """What one attempt did: working from *x1*, silent from *silent_x* on, over at *x2*.

    *broke*: its end lies in this row and was not a good one.
    """

    endpoint: str
    x1: float
    silent_x: float
    x2: float
    y: float
    broke: bool


@dataclass(frozen=True, slots=True)
class Label:
    """A short text at a point."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row, placed; the y of waveforms is their middle, of the queue and the axis the base."""

    start_s: float
    end_s: float
    top: float
    bottom: float
    x_end: float
    caller_y: float
    agent_y: float
    lanes: Mapping[str, float]
    queue_y: float
    axis_y: float
    pills: tuple[Pill, ...]
    brackets: tuple[Bracket, ...]
    paragraphs: tuple[Paragraph, ...]
    bars: tuple[Bar, ...]
    caller_path: str
    agent_paths: Mapping[str, str]
    queue_path: str
    queue_peak: Label | None
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole timeline: *x0* is where every row's time begins, *px_s* pixels a second."""

    width: float
    height: float
    x0: float
    px_s: float
    row_s: float
    rows: tuple[Row, ...]


def place(picture: CallPicture, width: float, top: float = 0.0) -> Layout:
    """Place *picture* into *width* pixels, the first row at *top*."""
    placer = _Placer(picture, width)
    rows: list[Row] = []
    for start_s, end_s in pairwise(placer.cuts):
        rows.append(placer.row(start_s, end_s, top))
        top = rows[-1].bottom + 22
    return Layout(width, rows[-1].bottom + 10, placer.x0, placer.px_s, placer.row_s, tuple(rows))


class _Placer:
    def __init__(self, picture: CallPicture, width: float) -> None:
        self._picture = picture
        self._start_s = self._end_s = 0.0  # of the row that is being placed
        cuts = [*row_starts(picture), picture.duration_s]
        longest_s = max(end_s - start_s for start_s, end_s in pairwise(cuts))
        # A little more than the longest row: cuts move to the nearest bar.
        self.row_s = min(max(ROW_S_MIN, float(math.ceil(longest_s * 10 + 1)) / 10), ROW_S_MAX)
        self.x0, self._right = MARGIN + GUTTER, width - MARGIN
        room = self._right - self.x0
        # Whole pixels between bars keep them sharp and evenly spaced.
        self._pitch = max(3, math.ceil(2 * (len(cuts) - 1) * room / _COLUMNS_MAX))
        self._per_row = math.floor(room / self._pitch)
        self._right = self.x0 + self._per_row * self._pitch
        self.px_s = self._per_row * self._pitch / self.row_s
        self._queue_max_s = float(math.ceil(max((q for _, q in picture.queue), default=0.0)) or 1)
        self._column_s = self.row_s / self._per_row
        self.cuts = [round(at / self._column_s) * self._column_s for at in cuts[:-1]]
        self._last_s = self.cuts[-1]
        self.cuts.append(self._last_s + self.row_s)
        columns = round(self.cuts[-1] / self._column_s) + 1
        self._caller = waveform(picture.caller, columns, self._column_s)
        self._agent = waveform(picture.agent, columns, self._column_s)
        self._said = {
            "caller": list(words_of(picture.caller_said)),
            "agent": list(words_of(picture.agent_said)),
        }
        self._endpoints = tuple(dict.fromkeys(a.endpoint for a in picture.attempts))

    def row(self, start_s: float, end_s: float, top: float) -> Row:
        """Stack the tracks of the row from *start_s* to *end_s*, from *top* down."""
        self._start_s, self._end_s = start_s, end_s
        pills = tuple(self._pills(top))
        y = max((pill.box.y + PILL_PX + 8 for pill in pills), default=top)
        caller_y = y + CALLER_HALF
        said = tuple(self._paragraphs("caller", caller_y + CALLER_HALF + 4))
        y = _below(said, caller_y + CALLER_HALF + 4) + BRACKET_PX
        brackets = tuple(self._brackets(y, [pill.line_x for pill in pills]))
        agent_y = max((b.y for b in brackets), default=y) + 9 + AGENT_HALF
        answer = tuple(self._paragraphs("agent", agent_y + AGENT_HALF + 5))
        y = _below(answer, agent_y + AGENT_HALF + 5) + 10
        lanes = {name: y + n * LANE_PX for n, name in enumerate(self._endpoints)}
        y += len(lanes) * LANE_PX
        queue_y = y + (QUEUE_PX + QUEUE_GAP if self._picture.queue else 0)
        queue_path, peak = self._queue(queue_y)
        return Row(
            start_s=start_s,
            end_s=end_s,
            top=top,
            bottom=queue_y + 22,
            x_end=self._x(self._picture.duration_s),
            caller_y=caller_y,
            agent_y=agent_y,
            lanes=lanes,
            queue_y=queue_y,
            axis_y=queue_y + 6,
            pills=pills,
            brackets=brackets,
            paragraphs=said + answer,
            bars=tuple(self._bars(lanes)),
            caller_path=self._bars_of(self._caller, caller_y, CALLER_HALF, ()).get("", ""),
            agent_paths=self._bars_of(self._agent, agent_y, AGENT_HALF, self._picture.agent_said),
            queue_path=queue_path,
            queue_peak=peak,
            ticks=tuple(self._ticks()),
        )

    def _x(self, at_s: float) -> float:
        """The x of *at_s* in this row, kept inside it."""
        within = min(max(at_s, self._start_s), self._end_s) - self._start_s
        return round(self.x0 + within * self.px_s, 1)

    def _holds(self, at_s: float) -> bool:
        """Whether *at_s* belongs into this row; the last takes what overran the call, too."""
        begun = self._start_s <= at_s
        return begun and (at_s < self._end_s or self._start_s == self._last_s)

    def _pills(self, top: float) -> Iterator[Pill]:
        placed: list[Box] = []
        for moment in self._picture.moments:
            if not self._holds(moment.at_s):
                continue
            line_x = self._x(moment.at_s)
            text = fitting(moment.label, self._right - self.x0 - 40)
            width = text_px(text, LABEL_PX) * 1.06 + 32  # bold, and the sign before it
            x = line_x - 1 if line_x + width <= self._right else line_x + 1 - width
            box = Box(max(self.x0, x), top, width, PILL_PX)
            while any(replace(box, w=box.w + 8).meets(other) for other in placed):
                box = replace(box, y=box.y + PILL_PX + 4)  # ends below the lowest
            placed.append(box)
            yield Pill(box, text, moment.kind, moment.endpoint, line_x)

    def _paragraphs(self, voice: str, top: float) -> Iterator[Paragraph]:
        words = [word for word in self._said[voice] if self._holds(word.start_s)]
        return paragraphs(words, self.x0, self._right, top, self.px_s, self._start_s)

    def _brackets(self, y: float, stems: Sequence[float]) -> Iterator[Bracket]:
        """Those of the row from *y* down; no number stands on a stem or on another bracket."""
        taken: list[float] = []  # up to where each level is used; one that meets goes below
        for kind, begin_s, end_s, text in self._measured():
            if end_s < self._start_s or begin_s >= self._end_s:
                continue
            x1, x2 = self._x(begin_s), self._x(end_s)
            free = (n for n, used in enumerate(taken) if used + 6 <= x1)
            level = next(free, len(taken))
            taken += [self.x0 - 8] * (level == len(taken))
            width = text_px(text, SMALL_PX)
            text_x = None
            if self._holds(end_s):
                spots = (x2 + 5, x1 - 5 - width)
                clear = (x for x in spots if self._clear(x, x + width, taken[level], stems))
                text_x = next(clear, None)
            taken[level] = max(taken[level], x2, 0 if text_x is None else text_x + width)
            shown = "" if text_x is None else text
            yield Bracket(kind, x1, x2, y + level * BRACKET_PX, shown, text_x or x2)

    def _clear(self, x1: float, x2: float, used: float, stems: Sequence[float]) -> bool:
        inside = used + 6 <= x1 and x2 <= self._right
        return inside and not any(x1 - 2 <= stem <= x2 + 2 for stem in stems)

    def _measured(self) -> Sequence[tuple[str, float, float, str]]:
        """Stretches of time worth a number: responses, and takeovers after a freeze."""
        found = [
            ("response", t.end_of_speech_s, t.end_of_speech_s + t.audio_s, f"{t.audio_s:.2f} s")
            for t in self._picture.turns
            if t.audio_s is not None
        ]
        for first, then in pairwise(self._picture.moments):
            if (first.kind, then.kind) == ("freeze", "failover") and first.measured:
                took = f"{then.at_s - first.at_s:.2f} s from its last token to the takeover"
                found.append(("takeover", first.at_s, then.at_s, took))
        return sorted(found, key=lambda stretch: stretch[1])

    def _bars(self, lanes: Mapping[str, float]) -> Iterator[Bar]:
        for attempt in self._picture.attempts:
            if attempt.end_s < self._start_s or attempt.start_s >= self._end_s:
                continue
            silent_s = attempt.end_s if attempt.silent_s is None else attempt.silent_s
            x1, x2 = self._x(attempt.start_s), self._x(attempt.end_s)
            broke = attempt.silent_s is not None and self._holds(attempt.end_s)
            silent_x = min(max(self._x(silent_s), x1), x2)
            yield Bar(attempt.endpoint, x1, silent_x, x2, lanes[attempt.endpoint], broke)

    def _bars_of(
        self,
        wave: Sequence[np.typing.NDArray[np.float64]],
        middle: float,
        half: float,
        spans: Sequence[Said],
    ) -> Mapping[str, str]:
        """SVG paths of upright bars, one path per endpoint whose words they are."""
        first = round(self._start_s / self._column_s)
        count = min(round(self._end_s / self._column_s) - first, self._per_row)
        parts: dict[str, list[str]] = {}
        spans = [s for s in spans if s.start_s < self._end_s + 1 and s.end_s > self._start_s - 1]
        for n in range(count):
            low, high = (float(end[first + n]) for end in wave)
            if high - low < _HEARD:
                continue
            owner = _owner(spans, self._start_s + (n + 0.5) * self._column_s)
            x, y = self.x0 + n * self._pitch + 1, middle - high * half
            parts.setdefault(owner, []).append(f"M{x:.0f} {y:.0f}v{(high - low) * half:.1f}")
        return {name: "".join(path) for name, path in parts.items()}

    def _queue(self, base: float) -> tuple[str, Label | None]:
        """The area under Q(t) as an SVG path, and the row's peak."""
        end_s = min(self._picture.duration_s, self._end_s)
        at_s = np.arange(self._start_s, end_s, 2 / self.px_s)
        if not self._picture.queue or at_s.size < 3:
            return "", None
        times, depths = np.array(self._picture.queue, dtype=float).T
        depth = np.interp(at_s, times, depths, right=0.0)
        y = base - depth / self._queue_max_s * QUEUE_PX
        # A point on the line between its neighbours changes nothing: most of a linear drain goes.
        keep = np.concatenate(([True], np.abs(np.diff(y, 2)) > 0.05, [True]))
        points = zip(at_s[keep], y[keep], strict=True)
        line = "".join(f"L{self._x(float(t)):.0f} {v:.1f}" for t, v in points)
        top = int(depth.argmax())
        peak = Label(self._x(float(at_s[top])), float(y[top]), f"{depth[top]:.1f} s")
        path = f"M{self.x0:.0f} {base:.1f}{line}V{base:.1f}Z"
        return path, peak if depth[top] >= _PEAK_S_MIN else None

    def _ticks(self) -> Iterator[tuple[float, str]]:
        step = 2 if self.row_s > 10 else 1
        end_s = min(self._end_s, self._picture.duration_s)
        for at in range(math.ceil(self._start_s / step) * step, math.floor(end_s) + 1, step):
            yield self._x(at), f"{at // 60}:{at % 60:02d}"


def _below(blocks: Sequence[Paragraph], top: float) -> float:
    return max((block.box.y + block.box.h for block in blocks), default=top + LINE_PX / 3)


def _owner(spans: Sequence[Said], at_s: float) -> str:
    """Whose words the audio at *at_s* is; a voice begins before and ends after its words."""
    near = [span for span in spans if span.start_s - 0.15 <= at_s <= span.end_s + 0.3]
    within = [span for span in near if span.start_s <= at_s <= span.end_s]
    return (within or near or [Said("", 0, 0)])[0].endpoint


def fitting(text: str, room: float, size_px: float = LABEL_PX) -> str:
    """*text*, cut with an ellipsis to *room* pixels in bold type."""
    while len(text) > 1 and text_px(text, size_px) * 1.06 > room:
        text = text[:-2] + "…"
    return text
