"""The trials: which stage fails, how, and at which moment. All of it is drawn from the seed.

What a seed draws for the healthy parts (how fast the model writes, how fast the voices speak, how
soon the backups answer) is the same whatever fails: so a call with a fault and its *twin*, the call
with the same seed and no fault, differ by the fault only.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from trials.keep_alive.sounds import QUESTION, REPLY, SENTENCES, WORD_S
from trunkline.testing.chat import tokens
from trunkline.types import LLM, STT, TTS, StageName

BEFORE: Final[Mapping[str, Mapping[str, object]]] = {
    "refuse": {"kind": "refuse"},
    "429": {"kind": "status", "status": 429},
    "500": {"kind": "status", "status": 500},
    "401": {"kind": "status", "status": 401},
    "hang": {"kind": "hang"},
    "headers only": {"kind": "headers_only"},
    "keep-alives only": {"kind": "keepalives", "gap_s": 0.3},
}
"""Faults of a model that strike when it is asked."""
INSIDE: Final[Mapping[str, Mapping[str, object]]] = {
    "stall": {"kind": "stall"},
    "slow drip": {"kind": "drip"},
    "cut": {"kind": "cut"},
    "malformed": {"kind": "malformed"},
    "truncated": {"kind": "truncate"},
    "SIGSTOP": {"kind": "stall", "hold_s": 0.0},
    "black hole": {"kind": "stall", "hold_s": 0.0},
}
"""Faults that strike at any moment of an answer; of the last two, see `host`."""
HARD: Final = ("SIGSTOP", "black hole")
NAMED: Final = (
    *((LLM, fault) for fault in (*BEFORE, *INSIDE) if fault not in HARD),
    *((STT, fault) for fault in ("silent", "dies")),
    *((TTS, fault) for fault in ("dies", "silent")),
)
CASES: Final = (
    *NAMED,
    *((stage, fault) for fault in HARD for stage in (LLM, STT, TTS)),
    *((TTS, fault) for fault in ("slow drip", "malformed", "truncated")),
    *((STT, fault) for fault in ("refuse", "429", "500", "401", "hang", "malformed", "truncated")),
)
_SPEECH: Final[Mapping[str, Mapping[str, object]]] = {
    "silent": {"kind": "stall"},
    "dies": {"kind": "cut"},
}
RECOVERY_S: Final = 0.4
"""p95 of a backup's recovery: from being asked to the first audio of what it goes on with."""
LOCAL: Final = "127.0.0.1"
TTS_FIRST_S: Final = 0.1
"""Of the first synthesiser, and of the backup's where it is no synthesiser that fails."""
PIECE_S: Final = 0.2
"""Of audio in a message of the local synthesisers."""
INTERIMS: Final = len(QUESTION.split())


@dataclass(frozen=True, slots=True)
class Order:
    """One trial; *fault* "": the twin, of any stage."""

    stage: StageName
    fault: str
    seed: int

    @property
    def twin(self) -> "Order":
        """The same call without the fault."""
        return Order(LLM, "", self.seed)

    @override
    def __str__(self) -> str:
        return f"{self.stage} {self.fault or 'healthy'}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Healthy:
    """What the parts are like that do not fail; seconds, and *pace* in seconds of audio a second.

    The first sentence of the backup model and the first audio of a voice take `RECOVERY_S` together
    at the 95th percentile; so does the backup voice alone, with its first word.
    """

    first_token_s: float
    gap_s: float
    pace: float
    backup_first_token_s: float
    backup_voice_s: float
    final_s: float
    elevenlabs_first: bool


def healthy(seed: int) -> Healthy:
    """The parts of the calls with this *seed*."""
    draw = random.Random(f"healthy {seed}")  # noqa: S311  # a draw, not a secret
    return Healthy(
        first_token_s=_lognormal(draw, 0.15, 0.25),
        gap_s=math.exp(draw.uniform(math.log(0.015), math.log(0.14))),
        pace=draw.uniform(2.0, 6.0),
        backup_first_token_s=_lognormal(draw, 0.125, 0.25),
        backup_voice_s=_lognormal(draw, 0.21, 0.25),
        final_s=draw.uniform(0.05, 0.2),
        elevenlabs_first=draw.random() < 0.5,
    )


def _lognormal(draw: random.Random, median: float, sigma: float) -> float:
    return median * math.exp(draw.gauss(0.0, sigma))


def script(order: Order) -> dict[str, object]:
    """The fault of *order* as a `FaultScript` in a mapping: empty for a twin."""
    if not order.fault:
        return {}
    draw = random.Random(f"{order.stage} {order.fault} {order.seed}")  # noqa: S311  # as above
    raw = BEFORE.get(order.fault) or _SPEECH.get(order.fault) or INSIDE[order.fault]
    made: dict[str, object] = dict(raw)
    if order.fault == "slow drip":
        made["gap_s"] = round(draw.uniform(0.7, 1.5), 2)
    if order.stage == LLM:
        # Of the call, and not of what the worker asks when it starts: two requests.
        made |= {"on_request": 3} if order.fault == "refuse" else {"match": QUESTION}
    if order.fault in BEFORE:
        return made
    if order.stage == LLM:
        # One that takes the last word only would be no test.
        return {**made, "after_tokens": draw.randrange(len(tokens(REPLY)) - 2)}
    if order.stage == STT:
        first = 1 if order.fault == "dies" else 0
        silent = order.fault == "silent"
        return {**made, "after_tokens": 0 if silent else draw.randrange(first, INTERIMS)}
    sentence = draw.choice(SENTENCES)
    pieces = len(sentence.split()) * WORD_S / PIECE_S
    first = 1 if order.fault == "dies" else 0
    each = 1 if healthy(order.seed).elevenlabs_first else 2  # Cartesia tells of words by itself
    after = draw.randrange(first, max(2, int(pieces))) * each
    return {**made, "after_tokens": after, "match": sentence}
