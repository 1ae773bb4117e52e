"""How long to wait for a synthesiser and for a recogniser: the plan of a reply and an utterance.

What `core.routing.Router.plan` is for a step of a model, from the same estimators (`core.health`),
which hold of a speech endpoint:

               synthesiser                             recogniser
    FIRST      asked, to its first audio               speech over, to its final transcript
    SENTENCE   asked, to its first whole word          -
    GAP        between two pieces of audio             of the caller's speech between two interims

What the configuration fixes (`fixed` of the policies) is not learnt. Learnt values stay within
bounds: a sick endpoint must not teach the worker to wait for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trunkline.core.health import Expected
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.routing import Patience, Router
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.types import STT, TTS, Mono, StageName

SYNTHESISER = Expected(0.2, 0.4, 0.01, sentence_s=0.1, gap_p999_s=0.25)
RECOGNISER = Expected(0.2, 0.5, 0.01, sentence_s=0.05, gap_p999_s=0.6)
PRIORS: Mapping[StageName, Expected] = {STT: RECOGNISER, TTS: SYNTHESISER}
"""What is expected of one that was never measured: managed ones, over the network."""
SPEAKING = Patience(noticed=3, delays=range(3, 11))
HEARING = Patience(noticed=3, delays=range(4, 11))
"""When a second one is asked: 0.3 or 0.4 to 1.0 s. By then the model's time has passed already."""
GAP_FLOOR_S = 0.25, 0.6
RECOVERY_S = 0.25, 1.2
INTERIM_GAPS = 1.5  # a recogniser that thinks over a hard word is no dead one
INTERIM_S = 0.6, 1.5


def speaking(
    policy: SynthesisPolicy, router: Router, route: Sequence[str], now: Mono
) -> SynthesisPolicy:
    """*policy* with what was learnt of the synthesisers *route*, the first one to try in front."""
    first, backup = route[0], route[min(1, len(route) - 1)]
    learnt = replace(
        policy,
        hedge_after_s=router.hedge_delay(first, backup, now, SPEAKING)[0],
        gap_floor_s=_within(GAP_FLOOR_S, router.health(first).gap_p999_s(now)),
        recovery_q95_s=_within(RECOVERY_S, router.health(backup).sentence_q95_s(now)),
    )
    return replace(learnt, **{name: getattr(policy, name) for name in policy.fixed})


def hearing(
    policy: HearingPolicy, router: Router, route: Sequence[str], now: Mono
) -> HearingPolicy:
    """*policy* with what was learnt of the recognisers *route*, the first one to try in front."""
    first, backup = route[0], route[min(1, len(route) - 1)]
    learnt = replace(
        policy,
        interim_after_s=_within(INTERIM_S, INTERIM_GAPS * router.health(first).gap_p999_s(now)),
        final_after_s=router.hedge_delay(first, backup, now, HEARING)[0],
    )
    return replace(learnt, **{name: getattr(policy, name) for name in policy.fixed})


def _within(bounds: tuple[float, float], seconds: float) -> float:
    return min(max(seconds, bounds[0]), bounds[1])
