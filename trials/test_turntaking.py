"""Turn-taking on rendered sounds, with the real voice activity and the real recogniser.

pytest trials/test_turntaking.py -s     # prints what it measured

Calls run in virtual time, so the figures do not depend on the machine; see `turntaking/rig.py` for
what that leaves out. The clips are synthetic, and the tables of words were written with them in
view: what real callers do will be worse. The bounds hold what was reached, not what is wished for.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from trials.turntaking.rig import CLIPS, HERE, Played, clips, play
from trunkline.calls.policies import Policies
from trunkline.core.turns import TurnPolicy

OVER_AGENT_S = 2.2
NO_GUESS = Policies(turns=TurnPolicy(speculate=False))
FIXED = Policies(turns=TurnPolicy(hangover_open_s=TurnPolicy().hangover_s))


def played(kind: str, **more: Any) -> list[tuple[dict[str, Any], Played]]:
    return [(clip, play(clip, **more)) for clip in clips(kind)]


def share(of: Sequence[tuple[dict[str, Any], Played]], is_so: Callable[[Played], bool]) -> float:
    return sum(is_so(call) for _, call in of) / len(of)


def went_on(call: Played) -> bool:
    return not call.count("barge_in")


def tell(what: str, of: Sequence[Any], value: float) -> None:
    print(f"{what:<58} {value:6.1%} of {len(of)}")


@pytest.mark.ci
@pytest.mark.parametrize(
    ("kind", "at_least"), [("cough", 0.9), ("noise", 0.9), ("backchannel", 0.85)]
)
def test_the_agent_goes_on_after_what_is_no_word(kind: str, at_least: float) -> None:
    """Coughs and noises are the voice activity's to tell, backchannels the recogniser's."""
    calls = played(kind, over_agent_s=OVER_AGENT_S)
    for clip, call in calls:
        if not went_on(call):
            print(f"  stopped by {clip['file']} {clip.get('text', '')}: heard {call.texts()}")
    kept = share(calls, went_on)
    tell(f"{kind}: the agent goes on", calls, kept)
    tell(f"{kind}: not even held", calls, share(calls, lambda call: not call.count("reply.held")))
    assert kept >= at_least


def test_the_echo_of_the_agent_is_measured() -> None:
    """Nothing cancels it here: carriers do, and this says what happens where one does not."""
    calls = played("echo", over_agent_s=OVER_AGENT_S)
    tell("echo at -25 dB: the agent goes on", calls, share(calls, went_on))


def test_words_stop_the_agent() -> None:
    """Each of them, and it is silent within 250 ms."""
    calls = played("interruption", over_agent_s=OVER_AGENT_S)
    stopped = share(calls, lambda call: bool(call.count("barge_in")))
    tell("interruption: the agent stops", calls, stopped)
    silent = [call.at("reply.held")[0] - call.began for _, call in calls]
    print(f"interruption: held after {np.median(silent):.3f} s, at most {max(silent):.3f} s")
    assert stopped == 1.0
    assert max(silent) <= 0.25


@pytest.mark.parametrize("first_token_s", [0.1, 0.4])
def test_a_pause_in_a_sentence_is_not_answered(first_token_s: float) -> None:
    """Answered: the agent is audible before the caller has finished."""
    shares = {}
    for name, policies in (("fixed", FIXED), ("adaptive", Policies())):
        calls = played("paused", policies=policies, first_token_s=first_token_s)
        ended = sum(call.at("utterance.ended")[0] < call.ended for _, call in calls) / len(calls)
        early = share(calls, lambda call: call.agent_on(call.began, call.ended) is not None)
        said = f"{name} hangover, first token after {first_token_s} s: "
        tell(f"{said}turn ended", calls, ended)
        tell(f"{said}answered", calls, early)
        shares[name] = (ended, early)
    assert shares["adaptive"][0] < shares["fixed"][0]
    assert shares["adaptive"][1] <= shares["fixed"][1]


@pytest.mark.parametrize("first_token_s", [0.2, 0.5])
def test_a_guess_gains_time_and_wastes_some_tokens(first_token_s: float) -> None:
    """The switch on and off, over all sentences; the gain over those that are said in one go."""
    off = waits(NO_GUESS, first_token_s=first_token_s)
    on = waits(Policies(), first_token_s=first_token_s)
    gains = (off - on) * 1000
    print(
        f"first token after {first_token_s} s: V2V {off.mean():.3f} -> {on.mean():.3f} s;", end=" "
    )
    print(
        f"gain {gains.mean():.0f} ms on average, {np.median(gains):.0f} ms at the median,", end=" "
    )
    print(f"{gains.min():.0f} to {gains.max():.0f} ms")
    for kind in ("normal", "paused"):
        calls = [call for _, call in played(kind, first_token_s=first_token_s)]
        started = sum(call.count("speculation.started") for call in calls)
        wasted = sum(call.count("speculation.wasted") for call in calls)
        turns = sum(call.count("utterance.ended") for call in calls)
        print(f"  {kind}: {started} guesses in {turns} turns, {wasted} wasted")
    assert gains.mean() >= 0.0
    assert gains.min() >= -50.0


def waits(policies: Policies, **more: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """From the end of a sentence to the first audio of its answer, in seconds."""
    found = []
    for _, call in played("normal", policies=policies, **more):
        audible = call.agent_on(call.ended, call.ended + 5.0)
        assert audible is not None
        found.append(audible - call.ended)
    return np.array(found)


def test_normal_sentences_hardly_wait_longer() -> None:
    """What the longer pause after open words costs where the caller had finished."""
    fixed, adaptive = waits(FIXED), waits(Policies())
    later = adaptive - fixed
    print(
        f"V2V fixed {fixed.mean():.3f} s, adaptive {adaptive.mean():.3f} s (mean of {len(later)})"
    )
    print(f"V2V later than 0.1 s: {np.mean(later > 0.1):.1%}, by {later.max():.3f} s at most")
    assert later.mean() <= 0.1


def test_the_clips_are_small_and_all_there() -> None:
    """So that they can be in the repository."""
    sizes = {path.name: path.stat().st_size for path in HERE.glob("*.wav")}
    assert set(sizes) == {clip["file"] for clip in CLIPS}
    assert sum(sizes.values()) < 1_500_000
