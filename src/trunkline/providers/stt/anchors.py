"""Which sample of the call each sample of an utterance is, as a recogniser counts it.

Frames that were lost or never sent leave gaps, so one anchor for the whole would drift.
"""

from trunkline.types import AudioFrame, Sample


class Anchors:
    """Note each frame that a recogniser gets; ask where its words are in the call."""

    def __init__(self) -> None:
        self.heard = 0
        """Samples of the utterance so far."""
        self._anchors: list[tuple[int, int]] = []  # (sample of the utterance, sample of the call)

    def add(self, frame: AudioFrame) -> int:
        """Note *frame*; the samples of the utterance so far."""
        if not self._anchors or self._of_call(self.heard) != frame.at:
            self._anchors.append((self.heard, frame.at))
        self.heard += len(frame.pcm) // 2
        return self.heard

    def span(self, start: int, end: int) -> tuple[Sample, Sample]:
        """Samples *start* to *end* of the utterance, in the call. Frames were noted before."""
        # A gap may follow the word: its end is its last sample, and one.
        return Sample(self._of_call(start)), Sample(self._of_call(max(start, end - 1)) + 1)

    def _of_call(self, sample: int) -> int:
        heard, at = next(
            anchor for anchor in reversed(self._anchors) if anchor[0] <= max(0, sample)
        )
        return at + sample - heard
