"""Turn-taking on rendered sounds, with the real voice activity and the real recogniser.

pytest trials/test_turntaking.py -s     # prints what it measured

Calls run in virtual time, so the figures do not depend on the machine; see `turntaking/rig.py` for
what that leaves out. There are two sets: the clips in the repository, which the tables of words
were written with in view, and the held-out ones (`turntaking/heldout.py`), rendered when flite,
espeak-ng and sox are here. Both are synthetic: what real callers do will be worse. The bounds hold
what was reached, not what is wished for.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trials.turntaking import heldout
from trials.turntaking.rig import HERE, Clip, ClipTts, Loop, Played, clips, play
from trunkline.calls.policies import Policies
from trunkline.core.turns import TurnPolicy

OVER_AGENT_S = 2.2
NO_GUESS = Policies(turns=TurnPolicy(speculate=False))
DELAYS_S = (0.02, 0.06, 0.1, 0.15, 0.2, 0.3)
LOSSES_DB = (25, 15)
ONE = TurnPolicy().hangover_s
FIXED = Policies(turns=TurnPolicy(hangover_unsure_s=ONE, hangover_open_s=ONE))
KINDS = ("cough", "noise", "backchannel", "interruption", "agent", "paused", "normal")
Calls = Sequence[tuple[Clip, Played]]


@pytest.fixture(scope="session", params=["kept", "held out"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the clips of a set are."""
    if request.param == "kept":
        return HERE
    if not all(map(shutil.which, ("flite", "espeak-ng", "sox"))):
        pytest.skip("the held-out set needs flite, espeak-ng and sox")
    rendered = tmp_path_factory.mktemp("heldout")
    heldout.render(rendered)
    print("\nheld out:")
    return rendered


def played(kind: str, folder: Path, **more: object) -> Calls:
    return [(clip, play(clip, **more)) for clip in clips(kind, folder)]  # type: ignore[arg-type]  # `play` names them


def share(of: Calls, is_so: Callable[[Played], bool]) -> float:
    return sum(is_so(call) for _, call in of) / len(of)


def went_on(call: Played) -> bool:
    return not call.count("barge_in")


def tell(what: str, of: Sequence[object], value: float) -> None:
    print(f"{what:<58} {value:6.1%} of {len(of)}")


def agents(folder: Path) -> list[ClipTts]:
    """A synthesiser for each voice in which there is all that the agent says there."""
    said = clips("agent", folder)
    voices = len(said) // len({clip["text"] for clip in said})
    return [ClipTts(said[number::voices]) for number in range(voices)]


@pytest.mark.ci
@pytest.mark.parametrize("kind", ["cough", "noise", "backchannel"])
def test_the_agent_goes_on_after_what_is_no_word_of_the_kept_clips(kind: str) -> None:
    """Coughs and noises are the voice activity's to tell, backchannels the recogniser's."""
    goes_on(kind, HERE, 0.9)


@pytest.mark.parametrize("kind", ["cough", "noise", "backchannel"])
def test_the_agent_goes_on_after_what_is_no_word(kind: str, folder: Path) -> None:
    """The same of both sets."""
    goes_on(kind, folder, 0.85)


def goes_on(kind: str, folder: Path, at_least: float) -> None:
    calls = played(kind, folder, over_agent_s=OVER_AGENT_S)
    for clip, call in calls:
        if not went_on(call):
            print(f"  stopped by {clip['file']} {clip.get('text', '')}: heard {call.texts()}")
    kept = share(calls, went_on)
    tell(f"{kind}: the agent goes on", calls, kept)
    tell(f"{kind}: not even held", calls, share(calls, lambda call: not call.count("reply.held")))
    assert kept >= at_least


@pytest.mark.parametrize("loss_db", LOSSES_DB)
def test_the_echo_of_the_agent_does_not_stop_it(loss_db: int, folder: Path) -> None:
    """At every delay, through mu-law; an echo that comes too late for any path does stop it."""
    voices, calls = agents(folder), []
    for number, delay_s in enumerate(DELAYS_S):
        for at, voice in enumerate(voices):
            loop = Loop.hybrid(delay_s, loss_db, seed=10 * number + at)
            calls.append(play(None, over_agent_s=OVER_AGENT_S, voice=voice, loop=loop))
    kept = sum(map(went_on, calls)) / len(calls)
    held = sum(bool(call.count("reply.held")) for call in calls) / len(calls)
    tell(f"echo at -{loss_db} dB: the agent goes on", calls, kept)
    tell(f"echo at -{loss_db} dB: held", calls, held)
    assert kept == 1.0
    late = Loop.hybrid(0.8, loss_db, seed=1)
    call = play(None, over_agent_s=OVER_AGENT_S, voice=voices[0], loop=late)
    assert call.count("reply.held"), "so faint that it proves nothing"


def test_words_stop_the_agent_over_its_echo_too(folder: Path) -> None:
    """Nearly each of them, and it is silent within 300 ms."""
    voices = agents(folder)
    for echo in (False, True):
        calls = []
        for number, clip in enumerate(clips("interruption", folder)):
            delay_s = DELAYS_S[number % len(DELAYS_S)]
            loop = Loop.hybrid(delay_s, LOSSES_DB[number % 2], number) if echo else None
            voice = voices[number % len(voices)]
            calls.append((clip, play(clip, over_agent_s=OVER_AGENT_S, voice=voice, loop=loop)))
        stopped = share(calls, lambda call: bool(call.count("barge_in")))
        what = f"interruption{' over echo' if echo else ''}"
        tell(f"{what}: the agent stops", calls, stopped)
        silent = [min(it - call.began for it in call.at("reply.held")) for _, call in calls]
        print(f"{what}: held after {np.median(silent):.3f} s, at most {max(silent):.3f} s")
        assert stopped >= 0.95
        assert min(silent) > 0.0
        assert max(silent) <= 0.3


@pytest.mark.parametrize("first_token_s", [0.1, 0.4])
def test_a_pause_in_a_sentence_is_not_answered(first_token_s: float, folder: Path) -> None:
    """Answered: the agent is audible before the caller has finished."""
    shares = {}
    for name, policies in (("fixed", FIXED), ("adaptive", Policies())):
        calls = played("paused", folder, policies=policies, first_token_s=first_token_s)
        ended = sum(call.at("utterance.ended")[0] < call.ended for _, call in calls) / len(calls)
        early = share(calls, lambda call: call.agent_on(call.began, call.ended) is not None)
        said = f"{name} hangover, first token after {first_token_s} s: "
        tell(f"{said}turn ended", calls, ended)
        tell(f"{said}answered", calls, early)
        shares[name] = (ended, early)
    assert shares["adaptive"][0] < shares["fixed"][0]
    assert shares["adaptive"][1] <= 0.02


@pytest.mark.parametrize("first_token_s", [0.1, 0.4])
def test_a_guess_gains_time_and_wastes_some_tokens(first_token_s: float, folder: Path) -> None:
    """The switch on and off, over all sentences; the gain over those that are said in one go."""
    off = waits(NO_GUESS, folder, first_token_s)
    on = waits(Policies(), folder, first_token_s)
    gains = (off - on) * 1000
    print(
        f"first token after {first_token_s} s: V2V {np.median(off):.3f} -> {np.median(on):.3f} s"
        f" at the median (90 %: {np.percentile(on, 90):.3f} s); gain {gains.mean():.0f} ms on"
        f" average, {gains.min():.0f} to {gains.max():.0f} ms"
    )
    for kind in ("normal", "paused"):
        calls = [call for _, call in played(kind, folder, first_token_s=first_token_s)]
        started = sum(call.count("speculation.started") for call in calls)
        wasted = sum(call.count("speculation.wasted") for call in calls)
        turns = sum(call.count("utterance.ended") for call in calls)
        print(f"  {kind}: {started} guesses in {turns} turns, {wasted} wasted")
    assert gains.mean() >= 0.0
    assert np.median(on) <= first_token_s + 0.55


def waits(policies: Policies, folder: Path, first_token_s: float) -> NDArray[np.float64]:
    """From the end of a sentence to the first audio of its answer, in seconds."""
    found = []
    for _, call in played("normal", folder, policies=policies, first_token_s=first_token_s):
        audible = call.agent_on(call.ended, call.ended + 5.0)
        assert audible is not None
        found.append(audible - call.ended)
    return np.array(found)


def test_the_clips_are_small_and_all_there() -> None:
    """So that they can be in the repository."""
    told = {clip["file"] for kind in KINDS for clip in clips(kind)}
    sizes = {path.name: path.stat().st_size for path in HERE.glob("*.wav")}
    assert set(sizes) == told
    assert sum(sizes.values()) < 1_500_000
