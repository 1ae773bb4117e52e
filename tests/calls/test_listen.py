"""Whole calls in virtual time whose recognisers fail: nothing that the caller said is lost."""

from typing import Literal

import pytest

from tests.calls.scenes import APOLOGY, GREETING, HANGS_UP, HANGS_UP_LATE, Scene, loud, says
from trunkline.calls.policies import Policies
from trunkline.core.turns import TurnPolicy
from trunkline.errors import EndpointError, Fault
from trunkline.telephony.script import At, Speak, Step
from trunkline.testing.sick_ear import Deafness, SickStt
from trunkline.testing.simulated import Hears, SimStt, tokens

PARDON = "Could you say it again?"
SAID = "i would like to come on friday"
LIVE = Literal["silent", "die", "close"]


def scene(*ears: SimStt | SickStt, seconds: float = 1.8, again_at: float | None = None) -> Scene:
    """A caller who says *SAID* to the recognisers of a route, and once more at *again_at*."""
    steps = [says(seconds)]
    if again_at is not None:
        steps.append(Step(Speak(loud(seconds)), At(again_at)))
    # No guesses: they ask the model before the end, and hide when the words were there.
    policies = Policies(turns=TurnPolicy(speculate=False))
    return Scene(
        [*steps, HANGS_UP_LATE],
        [],
        lambda _: tokens("All right."),
        ears=ears,
        say_again=PARDON,
        policies=policies,
    )


def asked_s(played: Scene) -> float:
    """How long after the end of speech a model was asked."""
    started = played.journal.of("attempt.started")
    asked = [note.at for note in started if note.data["stage"] == "llm"]
    return asked[-1] - played.journal.of("utterance.ended")[-1].at


@pytest.mark.parametrize("kind", ["silent", "die", "close"])
@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0, 1.5, 9.0])
async def test_a_recogniser_that_fails_is_replaced_and_the_utterance_replayed(
    kind: LIVE, after_s: float
) -> None:
    """Whenever it fails: the model gets every word, at most a second later."""
    sick = SickStt("ears", SAID, Deafness(kind, after_s))
    spare = SickStt("spare ears", SAID)
    healthy = await scene(SickStt("ears", SAID)).play()
    played = await scene(sick, spare).play()

    assert played.llms[0].prompts[-1].messages[-1].content == SAID
    assert len(played.journal.of("transcript.final")) == 1
    assert spare.heard[0][: len(sick.heard[0])] == sick.heard[0]
    assert [note.data["to"] for note in played.journal.of("failover")] == ["spare ears"]
    assert asked_s(played) - asked_s(healthy) <= 1.0
    assert [ears.open_streams for ears in (sick, spare)] == [0, 0]


async def test_silence_while_the_caller_speaks_is_known_before_they_have_finished() -> None:
    """Of a recogniser that is known to give interims; its final comes from the spare one."""
    sick = SickStt("ears", SAID, Deafness("silent", times=9))
    played = await scene(sick, SickStt("spare ears", SAID), seconds=3.0).play()
    assert played.journal.of("attempt.suspected")[0].data["fault"] == "silent"
    first_known = played.journal.of("utterance.ended")[0].at
    assert played.journal.of("attempt.suspected")[0].at > first_known  # nothing was known of it

    learnt = SickStt("ears", SAID, Deafness("silent", after_s=1.0))
    played = await scene(learnt, SickStt("spare ears", SAID), seconds=3.0).play()
    assert played.journal.of("attempt.suspected")[0].data["fault"] == "stalled"
    ended = played.journal.of("utterance.ended")[0].at
    assert played.journal.of("attempt.suspected")[0].at < ended
    assert played.llms[0].prompts[-1].messages[-1].content == SAID


async def test_a_recogniser_that_declares_interims_is_joined_in_its_first_utterance() -> None:
    """No worker has seen one of it: while the caller speaks the spare one gets all, faster."""
    sick = SickStt("ears", SAID, Deafness("silent", times=9), declares=True)
    healthy = await scene(SickStt("ears", SAID), seconds=3.0).play()
    played = await scene(sick, SickStt("spare ears", SAID), seconds=3.0).play()
    suspected = played.journal.of("attempt.suspected")[0].at
    assert suspected < played.journal.of("utterance.ended")[0].at
    assert asked_s(played) - asked_s(healthy) <= 0.1


@pytest.mark.parametrize(
    ("seconds", "after_s", "later_s_max"),
    [(1.0, 0.0, 0.05), (1.8, 1.0, 0.05), (4.0, 9.0, 0.75), (0.5, 0.0, 0.75), (1.8, 2.0, 0.75)],
)
async def test_how_much_later_the_words_of_a_silent_recogniser_are_there(
    seconds: float, after_s: float, later_s_max: float
) -> None:
    """Not at all, if it owed an interim by the end of speech; else by the wait for a final."""
    healthy = await scene(SickStt("ears", SAID, declares=True), seconds=seconds).play()
    sick = SickStt("ears", SAID, Deafness("silent", after_s), declares=True)
    played = await scene(sick, SickStt("spare ears", SAID, declares=True), seconds=seconds).play()
    asked = [it.llms[0].prompts[-1].messages[-1].content for it in (healthy, played)]
    assert asked[0] == asked[1]
    assert asked_s(played) - asked_s(healthy) <= later_s_max


@pytest.mark.parametrize("kind", ["silent", "die", "close"])
@pytest.mark.parametrize("after_s", [0.0, 1.0, 2.0, 9.0])
async def test_a_third_recogniser_helps_when_the_second_is_slow(kind: LIVE, after_s: float) -> None:
    """Whether the first one fails in the utterance, or behind its end: no word is lost."""
    sick = SickStt("ears", SAID, Deafness(kind, after_s), declares=True)
    slow = SickStt("slow ears", SAID, Deafness("late", late_s=8.0))
    third = SickStt("third ears", SAID)
    healthy = await scene(SickStt("ears", SAID)).play()
    played = await scene(sick, slow, third).play()
    assert played.llms[0].prompts[-1].messages[-1].content == SAID
    finals = played.journal.of("transcript.final")
    assert [note.data["endpoint"] for note in finals] == ["third ears"]
    assert asked_s(played) - asked_s(healthy) <= 1.9
    assert [ears.open_streams for ears in (sick, slow, third)] == [0, 0, 0]


async def test_a_recogniser_that_dies_between_two_utterances_loses_neither() -> None:
    """The second one finds it refusing, and all of it goes to the spare one."""
    gone = EndpointError("ears", Fault.UNREACHABLE, "gone")
    spare = SickStt("spare ears", SAID)
    played = await scene(SimStt("ears", ["yes please", gone]), spare, again_at=8.0).play()
    said = [note.data["text"] for note in played.journal.of("transcript.final")]
    assert said == ["yes please", SAID]


async def test_a_late_final_that_is_first_all_the_same_wins() -> None:
    """The first recogniser is kept while the second works through the utterance."""
    late = SickStt("ears", SAID, Deafness("late", late_s=0.8))
    spare = SickStt("spare ears", SAID, Deafness("late", late_s=5.0))
    played = await scene(late, spare).play()

    finals = played.journal.of("transcript.final")
    assert [note.data["endpoint"] for note in finals] == ["ears"]
    assert played.llms[0].prompts[-1].messages[-1].content == SAID


async def test_a_first_empty_final_against_speech_loses_no_word() -> None:
    """Of a recogniser that nobody has reason to doubt yet; it is blamed, so others are spared."""
    sick = SickStt("ears", SAID, Deafness("empty", times=9))
    spare = SickStt("spare ears", SAID)
    healthy = await scene(SickStt("ears", SAID)).play()
    played = await scene(sick, spare, again_at=8.0).play()

    asked = [prompt.messages[-1].content for prompt in played.llms[0].prompts]
    assert asked == [SAID, SAID]
    faults = [note.data["fault"] for note in played.journal.of("failover")]
    assert faults[0] == "empty"
    assert asked_s(played) - asked_s(healthy) <= 0.1


async def test_a_final_far_too_short_for_so_much_speech_gets_another_opinion() -> None:
    """One syllable of three seconds."""
    sick = SimStt("ears", ["i"])
    played = await scene(sick, SickStt("spare ears", SAID), seconds=3.0).play()
    assert played.llms[0].prompts[-1].messages[-1].content == SAID


async def test_a_cough_costs_one_request() -> None:
    """However empty its final is."""
    ears = [SickStt(name, SAID, Deafness("empty", times=9)) for name in ("ears", "spare ears")]
    await scene(*ears, seconds=0.2).play()
    assert [len(it.heard) for it in ears] == [1, 0]


async def test_a_second_opinion_that_is_empty_too_is_noise() -> None:
    """Nobody is asked to say it again, and one other is asked, not more."""
    both = [SickStt(name, SAID, Deafness("empty", times=9)) for name in ("ears", "spare ears")]
    played = await scene(*both, again_at=8.0).play()

    assert played.texts_heard() == [GREETING]
    assert not played.journal.of("utterance.lost", "failover")
    assert [len(it.heard) for it in both] == [2, 2]


async def test_a_caller_whom_nobody_hears_is_told_so_at_once() -> None:
    """The first time to say it again; the second time in a row the call ends with the apology."""
    dead = [SickStt(name, SAID, Deafness("die", times=9)) for name in ("ears", "spare ears")]
    played = await scene(*dead, again_at=12.0).play()

    assert played.texts_heard() == [GREETING, PARDON, APOLOGY]
    assert len(played.journal.of("utterance.lost")) == 2
    told = played.journal.of("phrase.spoken")[2].at
    assert told - played.journal.of("utterance.ended")[0].at < 0.1
    assert played.line.call.ended == "agent_closed"


async def test_who_was_heard_in_between_is_asked_again() -> None:
    """The count is of failures in a row."""
    reset = EndpointError("ears", Fault.CUT, "reset")
    flaky = SimStt("ears", [reset, reset, "yes", reset, reset])
    steps = [says(), says(), says(), HANGS_UP]
    played = await Scene(
        steps, [], lambda _: tokens("All right."), ears=[flaky], say_again=PARDON
    ).play()

    assert played.texts_heard() == [GREETING, PARDON, "All right.", PARDON]


async def test_interims_of_the_spare_recogniser_stop_the_agent_too() -> None:
    """A barge-in does not wait for the recogniser that is silent."""
    words = Hears("stop that", [(0.7, "stop that"), (1.0, "stop that")])
    steps = [says(), says(1.0, after_s=1.0), HANGS_UP]
    long = "This is a long answer of many words. It goes on and on. And then it goes on again."
    ears = [
        SimStt("ears", ["yes", EndpointError("ears", Fault.REFUSED, "no")]),
        SimStt("spare ears", [words]),
    ]
    played = await Scene(steps, [], lambda _: tokens(long), ears=ears, say_again=PARDON).play()

    assert played.journal.of("barge_in")
