"""Was this phrase heard, and how often? Template matching on a tape.

Theory of operation. A synthesised phrase is known sample by sample, and the way to the caller
changes it little: G.711 adds noise 37 dB below, a carrier may scale it, a resampler may shift it
by a fraction of a sample. So the normalised cross-correlation (cosine similarity) at the right
place is close to 1, whatever the level; other speech of the same voice stays well below.

A phrase need not arrive in one piece: a stall puts silence into it, a bad splice repeats or drops
a part. So `heard` cuts it into pieces that hold 0.4 s of sound and looks for each. A piece that is
not found whole, next to one that is, may have a hole inside: it is followed from the neighbour's
edge, 20 ms at a time, for as long as the tape agrees, and the rest of it is sought on the far side
of the hole.

Admitted warts. A loss of up to 60 ms of sound may pass unseen, and so may soft sound (13 dB below
the piece). A repetition is sure to be seen once it holds a whole piece, so from about two pieces
on. With noise less than 10 dB below the speech, pieces go missing that a listener would hear. Two
holes within one piece count as a loss. A phrase that contains the same audio twice cannot be told
from itself. Time stretching (a jitter buffer that speeds up) is not followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.types import SAMPLE_RATE

_QUIET: Final = 1e-3
"""-30 dB: audio so far below the template cannot be a rendition that anyone heard."""
_BLOCK: Final = SAMPLE_RATE // 50  # 20 ms: the step in which a broken piece is followed
_LOUD: Final = 0.05  # of a piece's mean power: softer blocks drown in line noise
_BLOCK_SCORE_MIN: Final = 0.5  # chance on 160 samples of other speech; a match has 0.9
_LOST_BLOCKS_MAX: Final = 3
_HALF_TAPS: Final = 8  # of the interpolator between samples
_FRACTIONS: Final = (-0.5, -0.25, 0.0, 0.25, 0.5)

Samples = NDArray[np.int16]
Signal = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Match:
    """The template begins at *start_s* of the channel; *score* is the cosine similarity."""

    start_s: float
    score: float


@dataclass(frozen=True, slots=True)
class Heard:
    """How a phrase was heard. *parts*: how often each of its pieces was, in the phrase's order.

    *in_order*: each piece was first heard after those that precede it. *start_s* and *end_s* span
    all of it (None: nothing was heard).
    """

    parts: tuple[int, ...]
    in_order: bool
    start_s: float | None
    end_s: float | None

    @property
    def count(self) -> int:
        """How often all of the phrase was heard."""
        return min(self.parts)

    @property
    def once(self) -> bool:
        """Everything exactly once, in order: nothing lost, repeated or shuffled."""
        return self.in_order and set(self.parts) == {1}


@dataclass(frozen=True, slots=True)
class _Found:
    """Piece number *piece* lies at samples *start:end* of the channel."""

    piece: int
    start: int
    end: int
    score: float


def find(template: Samples, channel: Samples, min_score: float = 0.85) -> list[Match]:
    """All places of *channel* `[n]` where *template* `[m]` is heard, in time order, no two of
    them overlapping. Raises `InputError` for a silent template.
    """
    return [
        Match(start / SAMPLE_RATE, score)
        for start, score in sorted(_peaks(_template(template), _signal(channel), min_score))
    ]


def heard(
    template: Samples, channel: Samples, *, min_score: float = 0.85, piece_s: float = 0.4
) -> Heard:
    """What of the phrase *template* `[m]` is heard in *channel* `[n]`, and how often.

    Raises `InputError` for a silent template.
    """
    phrase, signal = _template(template), _signal(channel)
    edges = _pieces(phrase, piece_s)
    found = _whole_pieces(phrase, edges, signal, min_score)
    found += _broken_pieces(phrase, edges, signal, found, min_score)
    # From the end to the start the same rule finds what lacks a neighbour before it.
    found += _mirrored(phrase, edges, signal, found, min_score)
    found.sort(key=lambda f: f.start)
    order = [f.piece for f in found]
    first_times = list(dict.fromkeys(order))
    return Heard(
        parts=tuple(order.count(piece) for piece in range(len(edges) - 1)),
        in_order=first_times == sorted(first_times),
        start_s=found[0].start / SAMPLE_RATE if found else None,
        end_s=max(f.end for f in found) / SAMPLE_RATE if found else None,
    )


def _signal(pcm: Samples) -> Signal:
    """Samples for the arithmetic, without the constant that a cheap line card adds."""
    if pcm.ndim != 1:
        raise InputError(f"matching needs one channel of shape [n], not {pcm.shape}")
    signal: Signal = pcm.astype(np.float64)
    return signal - np.mean(signal) if len(signal) else signal


def _template(pcm: Samples) -> Signal:
    signal = _signal(pcm)
    if not signal.any():
        raise InputError("cannot look for a silent template: give the audio of a spoken phrase")
    return signal


def _energies(channel: Signal, length: int) -> Signal:
    """The energy of every stretch of *length* samples."""
    total = np.concatenate(([0.0], np.cumsum(channel * channel)))
    return total[length:] - total[:-length]


def _correlation(template: Signal, channel: Signal) -> NDArray[np.float32]:
    """The inner product of *template* with every stretch of *channel* that holds it.

    Overlap-save in blocks: the memory stays bounded, whatever the length of the call. Single
    precision is exact to 1e-6 of the energies, and twice as fast.
    """
    size = max(1 << 15, 1 << (4 * len(template)).bit_length())
    step = size - len(template) + 1
    spectrum = np.conj(np.fft.rfft(template.astype(np.float32), size))
    single = channel.astype(np.float32)
    blocks = [
        np.fft.irfft(np.fft.rfft(single[at : at + size], size) * spectrum, size)[:step]
        for at in range(0, len(channel) - len(template) + 1, step)
    ]
    joined: NDArray[np.float32] = np.concatenate(blocks).astype(np.float32, copy=False)
    return joined[: len(channel) - len(template) + 1]


def _peaks(template: Signal, channel: Signal, min_score: float) -> list[tuple[int, float]]:
    """Start and score of the best non-overlapping matches, the best first."""
    energy = float(template @ template)
    if len(channel) < len(template):
        return []
    product = _correlation(template, channel)
    theirs = _energies(channel, len(template))
    scale = np.sqrt(energy * np.maximum(theirs, energy * _QUIET))
    score = product / scale
    # Between two samples the peak is higher than at either: take the candidates generously.
    rough = np.flatnonzero(
        (score >= min_score / 2)
        & (score >= np.concatenate((score[1:], [0])))
        & (score >= np.concatenate(([0], score[:-1])))
    )
    if not len(rough):
        return []
    fine = np.minimum(_between_samples(product, rough) / scale[rough], 1.0)
    peaks: list[tuple[int, float]] = []
    for i in np.argsort(-fine, kind="stable"):
        if fine[i] < min_score:
            break
        start = int(rough[i])
        if all(abs(start - other) >= len(template) for other, _ in peaks):
            peaks.append((start, float(fine[i])))
    return peaks


def _between_samples(product: NDArray[np.float32], at: NDArray[np.intp]) -> Signal:
    """The highest value within half a sample of each *at*: a correlation of sampled signals is
    itself a sampled signal, so a windowed sinc tells it in between.
    """
    kernels = _kernels()
    padded = np.pad(product.astype(np.float64), _HALF_TAPS)
    windows = sliding_window_view(padded, kernels.shape[1])
    best: Signal = (windows[at] @ kernels.T).max(axis=1)
    return best


def _kernels() -> Signal:
    """Windowed sincs `[fractions, taps]` that tell a signal's value between its samples."""
    offset = np.arange(-_HALF_TAPS, _HALF_TAPS + 1) - np.array(_FRACTIONS)[:, None]
    kernels: Signal = np.sinc(offset) * np.cos(np.pi / 2 * offset / (_HALF_TAPS + 1)) ** 2
    return kernels


def _pieces(phrase: Signal, piece_s: float) -> list[int]:
    """The edges of pieces that each hold about *piece_s* of sound, however much silence: a piece
    that is mostly a pause would be like many others.
    """
    loud = np.repeat(_loud(phrase), _BLOCK)[: len(phrase)]
    sound = np.cumsum(loud)
    total = int(sound[-1]) if len(sound) else 0
    count = max(1, round(total / (piece_s * SAMPLE_RATE)))
    cuts = [int(np.searchsorted(sound, i * total / count)) for i in range(1, count)]
    return [0, *cuts, len(phrase)]


def _blocks(signal: Signal) -> Signal:
    """*signal* in rows of 20 ms, the last one filled up with silence."""
    return np.pad(signal, (0, -len(signal) % _BLOCK)).reshape(-1, _BLOCK)


def _loud(signal: Signal) -> NDArray[np.bool_]:
    """Which blocks of *signal* are loud enough to be recognised."""
    power = np.sum(_blocks(signal) ** 2, axis=1)
    loud: NDArray[np.bool_] = power > _LOUD * np.mean(power)
    return loud


def _agrees(piece: Signal, heard: Signal) -> NDArray[np.bool_]:
    """Block by block, whether *heard* (of the same length) is *piece*; soft blocks always agree.

    Between two samples of the tape the hiss of an "s" is at right angles to itself, so each block
    may be shifted by a fraction of a sample.
    """
    theirs = _blocks(heard)
    mine = np.stack([_blocks(np.convolve(piece, kernel, "same")) for kernel in _kernels()])
    power = np.sum(mine**2, axis=2)
    scale = np.sqrt(power * np.maximum(np.sum(theirs**2, axis=1), power * _QUIET)) + 1e-9
    score = np.max(np.sum(mine * theirs, axis=2) / scale, axis=0)
    agrees: NDArray[np.bool_] = (score >= _BLOCK_SCORE_MIN) | ~_loud(piece)
    return agrees


def _whole_pieces(
    phrase: Signal, edges: Sequence[int], channel: Signal, min_score: float
) -> list[_Found]:
    """Where each piece is heard whole. Where two claim the same audio, the better one has it."""
    claims: list[_Found] = []
    for number, (begin, end) in enumerate(pairwise(edges)):
        piece = phrase[begin:end]
        for start, score in _peaks(piece, channel, min_score):
            lost = ~_agrees(piece, channel[start : start + len(piece)])
            if lost.sum() <= _LOST_BLOCKS_MAX:
                claims.append(_Found(number, start, start + len(piece), score))
    kept: list[_Found] = []
    for claim in sorted(claims, key=lambda c: -c.score):
        half = (claim.end - claim.start) // 2
        if all(min(claim.end, k.end) - max(claim.start, k.start) < half for k in kept):
            kept.append(claim)
    return kept


def _broken_pieces(
    phrase: Signal,
    edges: Sequence[int],
    channel: Signal,
    found: Sequence[_Found],
    min_score: float,
) -> list[_Found]:
    """Pieces with a hole inside, each after a neighbour that was found."""
    more: list[_Found] = []
    ordered = sorted(found, key=lambda f: f.start)
    for i, known in enumerate(ordered):
        limit = ordered[i + 1].start if i + 1 < len(ordered) else len(channel)
        start = known.end
        for number in range(known.piece + 1, len(edges) - 1):
            piece = phrase[edges[number] : edges[number + 1]]
            end = _follow(piece, channel, start, limit, min_score)
            if end is None:
                break
            more.append(_Found(number, start, end, min_score))
            start = end
    return more


def _follow(piece: Signal, channel: Signal, start: int, limit: int, min_score: float) -> int | None:
    """Where *piece* ends if it begins at *start* and goes on, after at most one hole, before
    *limit*; None if too much of it is missing.
    """
    theirs = channel[start : min(limit, start + len(piece))]
    agrees = _agrees(piece, np.pad(theirs, (0, len(piece) - len(theirs))))
    if np.sum(~agrees) <= _LOST_BLOCKS_MAX:
        return start + len(theirs)
    # The block that broke off straddles the edge of the hole, and is a part of what may be lost.
    at = int(np.argmin(agrees)) * _BLOCK
    rest = piece[at + _BLOCK :]
    far = channel[start + at : limit]
    for place, _ in sorted(_peaks(rest, far, min_score)):
        lost = ~_agrees(rest, far[place : place + len(rest)])
        if lost.sum() < _LOST_BLOCKS_MAX:
            return start + at + place + len(rest)
    return None


def _mirrored(
    phrase: Signal,
    edges: Sequence[int],
    channel: Signal,
    found: Sequence[_Found],
    min_score: float,
) -> list[_Found]:
    """`_broken_pieces` with time running backwards, for pieces that were not found forwards."""
    last, length = len(edges) - 2, len(channel)

    def turned(f: _Found) -> _Found:
        return _Found(last - f.piece, length - f.end, length - f.start, f.score)

    more = _broken_pieces(
        phrase[::-1],
        [len(phrase) - edge for edge in reversed(edges)],
        channel[::-1],
        [turned(f) for f in found],
        min_score,
    )
    return [turned(f) for f in more]
