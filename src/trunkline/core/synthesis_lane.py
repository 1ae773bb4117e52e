"""One attempt to speak a reply, as `core.synthesis` follows it: its audio, its pace."""

from dataclasses import dataclass, field

from trunkline.core.attempt_words import Kind
from trunkline.core.takes import Take
from trunkline.types import SAMPLE_RATE, Mono


@dataclass(slots=True)
class Lane:
    """*kind*: why it was launched."""

    candidate: int
    kind: Kind
    phrase: int
    start: int  # the first character of that phrase that it was asked for
    last: Mono  # its last useful audio, at first its launch
    running: bool = True
    late: bool = False
    slow: bool = False  # its words wait
    useful: bool = False
    flows_since: Mono | None = None  # audio flows: the start of the window that is judged
    made_s: float = 0.0  # its audio after that
    takes: dict[int, Take] = field(default_factory=dict)

    def hears(self, samples: int, window_s: float, now: Mono) -> None:
        """It produced audio that is not silent. A fast beginning must not hide a drip after it."""
        flowed_s = 0.0 if self.flows_since is None else now - self.flows_since
        self.made_s += samples / SAMPLE_RATE
        if self.flows_since is None or (flowed_s >= window_s and self.made_s >= flowed_s):
            self.flows_since, self.made_s = now, 0.0
        self.last, self.useful = now, True

    def idles(self, now: Mono) -> None:
        """Nothing is owed, or again something."""
        self.last, self.flows_since, self.made_s = now, None, 0.0
