"""How an agent behaves in time: one policy for each machine of a call."""

from dataclasses import dataclass, field

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.call_words import CallPolicy
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.last_resort import LastResortPolicy
from trunkline.core.playout import PlayoutPolicy
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.core.turns import TurnPolicy


@dataclass(frozen=True, slots=True)
class Policies:
    """How an agent behaves in time."""

    attempts: AttemptPolicy = field(default_factory=AttemptPolicy)
    turns: TurnPolicy = field(default_factory=TurnPolicy)
    playout: PlayoutPolicy = field(default_factory=PlayoutPolicy)
    call: CallPolicy = field(default_factory=CallPolicy)
    synthesis: SynthesisPolicy = field(default_factory=SynthesisPolicy)
    hearing: HearingPolicy = field(default_factory=HearingPolicy)
    last_resort: LastResortPolicy = field(default_factory=LastResortPolicy)
