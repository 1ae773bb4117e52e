"""How long a synthesiser and a recogniser are waited for: learnt, bounded, unless it is fixed."""

import pytest

from trunkline.core.health import Measure
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.core.speech_plan import RECOGNISER, SYNTHESISER, hearing, speaking
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.types import Mono

T = Mono(100.0)
VOICES = ["voice", "spare"]
EARS = ["ears", "spare ears"]


def router() -> Router:
    """One that has measured nothing yet."""
    known = dict.fromkeys(VOICES, Known("", SYNTHESISER))
    return Router(RoutingPolicy(), known | dict.fromkeys(EARS, Known("", RECOGNISER)))


def learn(it: Router, endpoint: str, what: Measure, seconds: float, times: int = 400) -> None:
    """*endpoint* was measured *times* times, by now."""
    for _ in range(times):
        it.observe(endpoint, what, seconds, T)


def test_what_is_expected_of_a_new_synthesiser() -> None:
    """Near to what the policy holds by itself."""
    plan = speaking(SynthesisPolicy(), router(), VOICES, T)
    assert plan.hedge_after_s == pytest.approx(0.6)
    assert plan.gap_floor_s == pytest.approx(0.25, abs=0.02)
    assert 0.4 <= plan.recovery_q95_s <= 0.6
    assert plan.give_up_s == SynthesisPolicy().give_up_s


def test_a_fast_synthesiser_is_waited_for_less_and_a_slow_one_longer() -> None:
    """By its own time to first audio, within bounds; the backup's decides when to rescue."""
    fast, slow = router(), router()
    learn(fast, "voice", Measure.FIRST, 0.1)
    learn(fast, "spare", Measure.SENTENCE, 0.1)
    learn(slow, "voice", Measure.FIRST, 0.6)
    learn(slow, "voice", Measure.GAP, 0.5)
    learn(slow, "spare", Measure.SENTENCE, 5.0)
    quick = speaking(SynthesisPolicy(), fast, VOICES, T)
    patient = speaking(SynthesisPolicy(), slow, VOICES, T)
    assert quick.hedge_after_s == pytest.approx(0.6)
    assert 0.7 < patient.hedge_after_s <= 1.0
    assert quick.recovery_q95_s < 0.3
    assert patient.recovery_q95_s == 1.2
    assert 0.5 <= patient.gap_floor_s <= 0.6


def test_recognisers_are_learnt_too() -> None:
    """The final after the end of speech, and interims while the caller speaks."""
    fast, slow = router(), router()
    learn(fast, "ears", Measure.FIRST, 0.05)
    learn(fast, "ears", Measure.GAP, 0.1, times=100_000)
    learn(slow, "ears", Measure.FIRST, 0.7)
    learn(slow, "ears", Measure.GAP, 2.0)
    new = hearing(HearingPolicy(), router(), EARS, T)
    assert new.final_after_s == pytest.approx(0.7)
    assert new.interim_after_s == pytest.approx(0.9, abs=0.05)
    quick, patient = (hearing(HearingPolicy(), it, EARS, T) for it in (fast, slow))
    assert quick.interim_after_s == 0.6
    assert quick.final_after_s < patient.final_after_s <= 1.0
    assert patient.interim_after_s == 1.5


def test_what_is_fixed_is_not_learnt() -> None:
    """The configuration's word is final."""
    it = router()
    fixed = frozenset({"hedge_after_s", "recovery_q95_s", "give_up_s"})
    spoken = speaking(SynthesisPolicy(2.0, recovery_q95_s=3.0, fixed=fixed), it, ["voice"], T)
    assert (spoken.hedge_after_s, spoken.recovery_q95_s) == (2.0, 3.0)
    assert spoken.gap_floor_s == pytest.approx(0.25, abs=0.02)
    heard = hearing(
        HearingPolicy(final_after_s=2.0, fixed=frozenset({"final_after_s"})), it, EARS, T
    )
    assert heard.final_after_s == 2.0
