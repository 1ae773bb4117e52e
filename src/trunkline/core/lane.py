"""One attempt of a step, as `core.attempts` follows it: its sentences, its tools, its pace."""

import math
from dataclasses import dataclass, field

from trunkline.core.attempt_words import Kind
from trunkline.core.decay import LOW_S, SLOW_S
from trunkline.core.phrases import Phrases
from trunkline.core.splice import RepeatGate
from trunkline.types import Mono, ToolCall, ToolCallDelta

SPEECH_CHARS_PER_S = {"zh": 5.0, "ja": 7.0, "ko": 6.0}
"""Characters that a voice says in a second; 14 (2.6 words) where the language is not here."""
_ALPHABETIC_CHARS_PER_S = 14.0
DRIP_FACTOR = 1.5
"""Text must come this much faster than it is spoken, or the voice will catch up with it."""
DRIP_CHECK_S = 0.5
"""Not judged before: a first token and a pause are no rate."""
SENTENCE_CHARS = 60
"""A sentence of speech is about so long (eleven words)."""
_REST_CHARS_MIN = 10
NEVER = Mono(math.inf)


def spoken_chars_per_s(language: str) -> float:
    """How fast a voice says text in *language*."""
    short = language.partition("-")[0].lower()
    return SPEECH_CHARS_PER_S.get(short, _ALPHABETIC_CHARS_PER_S)


def drip_chars_per_s(language: str) -> float:
    """An attempt in *language* that writes less in a second is too slow to be spoken."""
    return DRIP_FACTOR * spoken_chars_per_s(language)


@dataclass(slots=True)
class Lane:
    """An attempt. *last*: its last useful token, at first its launch; *chars*: how much is there
    of the sentence under way, *paced* of them since *since*, from where its pace is judged."""

    candidate: int
    kind: Kind
    gate: RepeatGate
    launched: Mono
    last: Mono
    running: bool = True
    useful: bool = False
    suspected: bool = False
    dripping: bool = False  # tokens do not clear the suspicion, only a sentence does
    slow: bool = False  # booked as slow
    shunned: bool = False  # its endpoint would refuse again
    first: Mono = NEVER
    sentences: int = 0  # that said something new
    repeats: int = 0
    small_gaps: int = 0
    since: Mono = NEVER
    chars: int = 0
    paced: int = 0
    on_pace: bool = False  # it was judged once, and found fast enough
    phrases: Phrases = field(default_factory=Phrases)
    tools: dict[int, ToolCallDelta] = field(default_factory=dict)

    @property
    def slow_at(self) -> Mono:
        """When it is to be booked as slow."""
        waits = self.running and not self.useful and not self.slow
        return Mono(self.launched + SLOW_S) if waits else NEVER

    @property
    def tool_chars(self) -> int:
        """The length of all arguments so far, and one for each call."""
        return sum(len(part.arguments) + 1 for part in self.tools.values())

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """What it proposes, in the order of the index."""
        parts = (self.tools[index] for index in sorted(self.tools))
        return tuple(ToolCall(it.id, it.name, it.arguments, it.signature) for it in parts)

    def alive(self, chars: int, now: Mono, chars_per_s: float) -> float:
        """*chars* more came; the silence before them if it is worth booking, else 0."""
        gap_s = now - self.last if self.useful else 0.0
        if not self.useful:
            self.first = now
        elapsed_s = now - self.since
        if elapsed_s >= DRIP_CHECK_S and self.paced >= chars_per_s * elapsed_s:
            self.paced, self.on_pace = 0, True  # what was fast once does not excuse it for ever
        if not self.paced or (self.suspected and not self.dripping):
            self.since, self.paced = now, 0  # a pause, or a stall, counts as one, not as its pace
        self.chars += chars
        self.paced += chars
        self.last, self.useful, self.suspected = now, True, self.dripping
        if gap_s >= LOW_S:
            return gap_s
        self.small_gaps += 1
        return 0.0

    def add_tool_part(self, delta: ToolCallDelta) -> bool:
        """Put the pieces of a tool call together; whether this one added anything."""
        before = self.tools.get(delta.index)
        part = before or ToolCallDelta(delta.index, "", "", "")
        part = ToolCallDelta(
            delta.index,
            part.id or delta.id,
            part.name or delta.name,
            part.arguments + delta.arguments,
            part.signature or delta.signature,
        )
        self.tools[delta.index] = part
        return part != before

    def sentence_over(self, now: Mono, *, new: bool) -> None:
        """It completed a sentence; *new*: one that the caller has not heard."""
        self.since = now
        self.chars = self.paced = len(self.phrases.rest)
        if new:
            self.sentences += 1
            self.suspected = self.dripping = False
        else:
            self.repeats += 1

    def drips_at(
        self, drain: Mono | None, recovery_s: float, floor_s: float, chars_per_s: float
    ) -> Mono:
        """When its pace calls for another attempt, if nothing more comes until then.

        Its rate is too low from a moment on that is known in advance, and so is the moment from
        which the end of its sentence, at that rate, lies behind *drain*, the drain time; or, where
        nothing is queued (None), behind what a backup needs, *recovery_s*. It is judged after
        `DRIP_CHECK_S` at first, after *floor_s* later: a shorter silence is no evidence.
        """
        if not self.paced or self.dripping:
            return NEVER
        check_s = max(DRIP_CHECK_S, floor_s) if self.on_pace else DRIP_CHECK_S
        slow = self.since + max(check_s, self.paced / chars_per_s)
        rest = max(SENTENCE_CHARS - self.chars, _REST_CHARS_MIN) / self.paced
        if drain is None:
            return Mono(max(slow, self.since + recovery_s / rest))
        behind = (drain + rest * self.since) / (1 + rest)
        return Mono(max(slow, drain - recovery_s, behind))

    def rate(self, now: Mono) -> float:
        """Characters a second, as it is judged."""
        return self.paced / max(now - self.since, 1e-9)
