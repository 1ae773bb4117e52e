"""Whole calls in virtual time whose synthesisers fail: what the caller hears of them."""

import asyncio
import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.calls.scenes import APOLOGY, GREETING, HANGS_UP, HANGS_UP_LATE, Scene, calls_tool, says
from trunkline.core.health import Breaker
from trunkline.telephony.script import At, HangUp, Step
from trunkline.testing.sick_voice import WORD_SAMPLES, Sickness, SickTts
from trunkline.testing.simulated import Beat, tokens
from trunkline.types import Delta, Mono, Prompt

LONG = (
    "Of course. Please bring your insurance card with you. You also need a photo identification. "
    "There is free parking behind the house. Please come ten minutes early."
)
KINDS = ["die", "stall", "mute", "shorten", "close", "drip"]


def scene(voice: SickTts, spare: SickTts) -> Scene:
    """A caller who asks once and hears the long answer."""
    return Scene([says(), HANGS_UP], ["yes"], lambda _: tokens(LONG), tts=[voice, spare])


def voiced_s(played: Scene) -> float:
    """Seconds of the agent's voice on the caller's tape, all replies together."""
    agent = np.abs(played.line.call.tape()[:, 1].astype(int)) > 200
    return float(agent.sum()) / 8000


def speech_s(text: str) -> float:
    """How long a simulated voice speaks *text*."""
    return len(text.split()) * WORD_SAMPLES / 8000


@pytest.mark.parametrize(
    ("kind", "word"),
    # What ends politely within its last word cannot be told from a word.
    [it for it in itertools.product(KINDS, range(7)) if it not in {("shorten", 6), ("mute", 6)}],
)
async def test_a_voice_that_fails_in_mid_sentence_is_continued_at_the_next_word(
    kind: str, word: int
) -> None:
    """Nothing is lost, nothing repeated, no gap; the heard text is exact through the seam."""
    sick = Sickness(kind, word)  # type: ignore[arg-type]  # parametrised
    voice = SickTts("voice", {"insurance": sick})
    spare = SickTts("spare voice", ttfb_s=0.15)
    healthy = await scene(SickTts("voice"), SickTts("spare voice")).play()
    played = await scene(voice, spare).play()

    assert played.texts_heard() == [GREETING, LONG]
    assert max(played.silences(), default=0) <= max(healthy.silences()) + 0.3
    assert voiced_s(played) == pytest.approx(speech_s(f"{GREETING} {LONG}"), abs=0.1)
    assert not played.journal.of("phrase.lost")
    if kind != "drip":  # where enough was made before, a slow rest comes in time
        assert [note.data["to"] for note in played.journal.of("failover")] == ["spare voice"]
    assert [voice.open_streams, spare.open_streams] == [0, 0]


@pytest.mark.parametrize(
    ("kind", "word"),
    # A clean end after more than 60 % of the time that a text should take passes for its end.
    [*itertools.product(["die", "stall", "close"], range(1, 6)), ("shorten", 1), ("shorten", 2)],
)
async def test_without_word_marks_no_word_is_said_twice(kind: str, word: int) -> None:
    """The place is guessed from the time: at most the end of one word and the next are lost."""
    sick = Sickness(kind, word)  # type: ignore[arg-type]  # parametrised
    voice = SickTts("voice", {"insurance": sick}, marks=False)
    spare = SickTts("spare voice", ttfb_s=0.15)
    played = await scene(voice, spare).play()

    whole_s = speech_s(f"{GREETING} {LONG}")
    assert whole_s - 0.8 <= voiced_s(played) <= whole_s + 0.4
    assert played.texts_heard() == [GREETING, LONG]
    rest = next(text for text in spare.spoken if text)
    assert "Please bring your insurance card with you.".endswith(rest)


async def test_a_voice_that_says_nothing_is_hedged_before_the_caller_wonders() -> None:
    """The greeting comes from the spare voice, a little later, and so does all the rest."""
    voice = SickTts("voice", {"": Sickness("stall", times=99)})
    spare = SickTts("spare voice")
    played = await scene(voice, spare).play()

    assert played.texts_heard() == [GREETING, LONG]
    assert [note.data["fault"] for note in played.journal.of("failover")] == ["silent"]
    began = played.journal.of("attempt.started")
    assert began[1].at - began[0].at == pytest.approx(0.6)
    assert len(voice.spoken) == 1  # the next reply does not try it first


async def test_a_voice_that_is_refused_is_not_asked_again() -> None:
    """It is a matter of configuration."""
    voice = SickTts("voice", {"": Sickness("refuse", times=99)})
    played = await scene(voice, SickTts("spare voice")).play()

    assert played.texts_heard() == [GREETING, LONG]
    assert [note.data["fault"] for note in played.journal.of("failover")] == ["refused"]


async def test_one_voice_alone_is_asked_again() -> None:
    """A connection that broke is no reason to fall silent."""
    voice = SickTts("voice", {"insurance": Sickness("die", 3)})
    played = await Scene([says(), HANGS_UP], ["yes"], lambda _: tokens(LONG), tts=[voice]).play()

    assert played.texts_heard() == [GREETING, LONG]
    assert voice.spoken[4] == "insurance card with you."


async def test_when_every_voice_fails_the_caller_hears_the_spare_line_and_then_the_end() -> None:
    """In the voice that they know; the second time in a row the call is over."""
    steps = [says(), says(), says()]
    sick = {"insurance": Sickness("die", 2, times=99), "with": Sickness("die", times=99)}
    sick |= {"card": Sickness("die", times=99), "Once": Sickness("die", times=99)}

    def answer(prompt: Prompt) -> list[Beat[Delta]]:
        return tokens("Once more." if prompt.messages[-1].content == "again" else LONG)

    voices = [SickTts("voice", sick), SickTts("spare voice", sick)]
    played = await Scene(steps, ["yes", "again"], answer, tts=voices, prepared=True).play()

    heard = f"Of course. Please bring your insurance {APOLOGY}"
    assert played.texts_heard() == [GREETING, heard, APOLOGY]
    assert [note.data["text"] for note in played.journal.of("phrase.lost")] == [
        "card with you.",
        "You also need a photo identification.",
        "There is free parking behind the house.",
        "Please come ten minutes early.",
        "Once more.",
    ]
    assert played.llms[0].prompts[-1].messages[-2].content == heard
    assert played.journal.of("call.gave_up")[0].data == {"lost": "voice", "way": "apology"}
    assert played.line.call.ended == "agent_closed"


async def test_without_a_spare_line_the_call_ends_all_the_same() -> None:
    """It could not be rendered when the worker started."""
    dead = SickTts("voice", {"": Sickness("die", times=99)})
    played = await Scene(
        [Step(HangUp(), At(9.0))], [], lambda _: tokens(LONG), tts=[dead], prepared=True
    ).play()

    assert played.texts_heard() == [""]
    assert len(played.journal.of("phrase.lost")) == 2


@pytest.mark.parametrize("word", [2, 5])
async def test_the_caller_may_interrupt_at_the_seam(word: int) -> None:
    """What was heard is exact to the word, whoever said it; the model is told just that."""
    voice = SickTts("voice", {"insurance": Sickness("die", 4)})
    steps = [says(), says(after_s=1.0 + 0.385 * word), HANGS_UP]
    played = await Scene(
        steps,
        ["yes", "wait please"],
        lambda p: tokens("Sure." if "wait" in p.messages[-1].content else LONG),
        tts=[voice, SickTts("spare voice")],
    ).play()

    heard = played.texts_heard()[1]
    said = LONG.split()[: len(heard.split())]
    assert heard == " ".join(said)
    assert len(said) == word + 2
    assert played.llms[0].prompts[-1].messages[-2].content == heard


async def test_a_cough_over_the_seam_costs_no_word() -> None:
    """The voice is held and goes on with the word that was cut, in the other voice."""
    voice = SickTts("voice", {"insurance": Sickness("stall", 4)})
    played = await Scene(
        [says(), says(0.3, after_s=2.0), HANGS_UP],
        ["yes", ""],
        lambda _: tokens(LONG),
        tts=[voice, SickTts("spare voice")],
    ).play()

    assert played.texts_heard() == [GREETING, LONG]
    assert played.journal.of("reply.resumed")


@pytest.mark.parametrize(("amplitude", "heard"), [(8000, 4000), (1500, 4000), (300, 845)])
async def test_the_backup_is_as_loud_as_the_voice_before(amplitude: int, heard: int) -> None:
    """Within 9 dB: more is no difference of voices."""
    voice = SickTts("voice", {"insurance": Sickness("die", 3)})
    spare = SickTts("spare voice", amplitude=amplitude)
    played = await scene(voice, spare).play()

    agent = np.abs(played.line.call.tape()[:, 1].astype(int))
    last = agent[agent > 200][-8000:]
    assert float(np.median(last)) == pytest.approx(heard, rel=0.05)


async def test_a_stream_that_is_closed_between_two_phrases_is_opened_anew() -> None:
    """That is how some protocols work: no failure, no failover."""

    def looks_up(prompt: Prompt) -> list[Beat[Delta]]:
        if prompt.messages[-1].role == "tool":
            return tokens("Here it is.")
        return calls_tool("book", "One moment.")

    voice = SickTts("voice", {"moment": Sickness("part")})
    played = await Scene([says(), HANGS_UP_LATE], ["yes"], looks_up, tts=[voice], tool_s=2.0).play()

    assert played.texts_heard() == [GREETING, "One moment. Here it is."]
    ended = played.journal.of("attempt.ended")
    assert {note.data["outcome"] for note in ended if note.data["stage"] == "tts"} == {"won"}
    assert not played.journal.of("failover")


async def test_a_healthy_twin_goes_before_a_sick_endpoint_of_the_same_voice() -> None:
    """Likeness counts among those that are well."""

    async def heir(*sick: str) -> object:
        voice = SickTts("voice", {"insurance": Sickness("die", 3)})
        same, twin = SickTts("same voice"), SickTts("twin")
        voice.endpoint = replace(voice.endpoint, voice="anna")
        same.endpoint = replace(same.endpoint, voice="anna")
        twin.endpoint = replace(twin.endpoint, twin_of="voice")
        played = await Scene(
            [says(), HANGS_UP],
            ["yes"],
            lambda _: tokens(LONG),
            tts=[voice, same, twin],
            sick=sick,
        ).play()
        assert played.texts_heard() == [GREETING, LONG]
        return played.journal.of("failover")[0].data["to"]

    assert await heir() == "same voice"
    assert await heir("same voice") == "twin"


async def test_a_voice_that_is_silent_in_call_after_call_gets_no_more_callers() -> None:
    """The breaker hears of it; the next call begins with the spare voice at once."""
    voice = SickTts("voice", {"": Sickness("stall", times=99)})
    played = await scene(voice, SickTts("spare voice")).play()
    health, now = played.router.health("voice"), Mono(asyncio.get_running_loop().time())
    assert health.score(now) > played.router.health("spare voice").score(now)
    dead = SickTts("voice", {"": Sickness("die", times=99)})
    played = await Scene([says(), HANGS_UP], ["yes"], lambda _: tokens(LONG), tts=[dead]).play()
    now = Mono(asyncio.get_running_loop().time())
    assert played.router.health("voice").breaker(now) is Breaker.OPEN


async def test_a_budget_that_is_spent_costs_no_caller_a_word() -> None:
    """The late voice is replaced instead of joined."""
    voice = SickTts("voice", {"insurance": Sickness("stall", 3)})
    played = await Scene(
        [says(), HANGS_UP],
        ["yes"],
        lambda _: tokens(LONG),
        tts=[voice, SickTts("spare voice")],
        spent=True,
    ).play()
    assert played.texts_heard() == [GREETING, LONG]
    assert [note.data["to"] for note in played.journal.of("failover")] == ["spare voice"]
