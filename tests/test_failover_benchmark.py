"""The failover benchmark judges what subjects tell: without peers, sockets or time."""

import json
import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks import plot
from benchmarks.failover import command, judge, run, speech, subject, table, tones
from benchmarks.failover.judge import Outcome, Trial
from benchmarks.failover.server import ANSWER, rest

WHOLE = "We are open today. Come at ten."
STALL = Trial(1, "stall", 3)
STRUCK = {"mono": 101.0, "token": 3}


def told(
    tokens: list[tuple[float, str, int]],
    how: str = "ended",
    *,
    ended: float = 110.0,
    said: list[tuple[float, str]] | None = None,
) -> Mapping[str, Any]:
    """What a subject writes, through the very class and JSON that it goes through."""
    heard = subject.Heard(subject.Asked(1, "", ""))
    heard.began, heard.tokens, heard.said = 100.0, tokens, said
    heard.ended = None if how == "waits" else ended
    heard.errors = ["APIError: gone"] if how == "error" else []
    line: Mapping[str, Any] = json.loads(json.dumps(heard.told()))
    assert line["how"] == how
    return line


def stream(*words: str, at: float = 100.1, gap: float = 0.1) -> list[tuple[float, str, int]]:
    """Tokens of the first attempt."""
    return [(at + number * gap, word, 0) for number, word in enumerate(words)]


BEFORE = stream("We", " are", " open")


def judged(line: Mapping[str, Any], trial: Trial = STALL) -> Outcome:
    """The outcome of a stall after three tokens, at second 101."""
    return judge.outcome("peer", trial, line, STRUCK, WHOLE)


def test_an_answer_that_goes_on_is_whole() -> None:
    """The next token is counted from the fault, and what was on its way before is no recovery."""
    late = [(101.002, " open", 0)]  # sent before the fault, read after it
    line = told([*BEFORE[:2], *late, *stream(" today.", " Come at ten.", at=103.0)])
    it = judged(line)
    assert (it.end, it.lost, it.again) == ("whole", 0, 0)
    assert it.next_s == pytest.approx(2.0)


def test_a_reply_that_ends_in_the_middle_has_lost_the_rest() -> None:
    """As short as if it were whole, or with an error: the caller never hears the rest."""
    for how, end in (("ended", "short"), ("error", "error")):
        it = judged(told(BEFORE, how))
        assert (it.end, it.lost, it.again) == (end, 4, 0)
        assert it.next_s == it.silence_s == math.inf


def test_whoever_is_still_waiting_is_silent() -> None:
    """What a stream has not finished is not spoken."""
    it = judged(told([], "waits"))
    assert (it.end, it.lost, it.silence_s) == ("silent", 7, math.inf)


def test_an_answer_from_the_beginning_says_words_twice() -> None:
    """Words that were said already are counted, not forgiven."""
    it = judged(told([*BEFORE, *stream(" We are open today.", " Come at ten.", at=102.0)]))
    assert (it.end, it.lost, it.again) == ("whole", 0, 3)
    assert it.next_s == pytest.approx(1.0)


def test_what_was_given_to_the_synthesiser_counts_where_it_is_told() -> None:
    """A subject that drops its fragment did not say it."""
    line = told(
        [*BEFORE, (101.5, " today.", 1)],
        said=[(101.5, "We are open today."), (101.6, "Come at ten.")],
    )
    it = judged(line)
    assert (it.lost, it.again, it.end) == (0, 0, "whole")
    assert it.next_s == pytest.approx(0.5)
    assert it.silence_s == pytest.approx(1.5 + judge.VOICE_S)


def test_silence_is_what_the_playing_audio_does_not_cover() -> None:
    """Late text is heard as silence only behind what is still being played."""
    clock = judge.Clock(0.0)
    clock.say(0.3, "x" * 30)  # two seconds of speech from 0.5 on
    clock.say(2.0, "x" * 15)  # in time
    assert clock.gap_s == pytest.approx(0.3 + judge.VOICE_S)
    clock.say(6.0, "late")
    assert clock.gap_s == pytest.approx(6.0 + judge.VOICE_S - 3.5)


def test_the_server_goes_on_where_the_words_break_off() -> None:
    """However the words are spaced; a text that it never said is answered afresh."""
    cut = ANSWER.index(" from eight")
    assert rest(ANSWER[:cut]) == rest("  ".join(ANSWER[:cut].split())) == ANSWER[cut:]
    assert rest("Good morning!") == rest("") == ANSWER


def test_trials_are_the_same_for_every_subject() -> None:
    """Moments are drawn by the seed; faults before the first token have none."""
    for trials in (run.trials, lambda n, seed: speech.trials("tts", n, seed)):
        assert trials(3, 7) == trials(3, 7) != trials(3, 8)
        assert len({it.number for it in trials(3, 7)}) == len(trials(3, 7))
        inside = {it.fault for it in trials(3, 7) if it.after_tokens}
        assert inside <= {*run.INSIDE, *speech.INSIDE}
        assert {"stall", "cut", "slow drip"} <= inside


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_audio_tells_its_words(rate: int) -> None:
    """Of each word half is enough; the rest is missing by the second, a second time is counted."""
    pcm = tones.spoken(tones.REPLY)
    word = round(tones.WORD_S * 8_000)
    cut = np.concatenate([pcm[: word * 5], pcm[word * 4 : word * 5], pcm[word * 6 :]]) // 4
    heard = tones.seconds(np.repeat(cut, rate // 8_000), rate)
    assert judge.words(tones.REPLY, " ".join(tones.words(heard))) == (1, 1)
    missing_s = tones.audio_lost_s(tones.REPLY, heard)
    assert missing_s == pytest.approx(tones.WORD_S - tones.PAUSE_S, abs=0.25)


def outcome(name: str, silence_s: float, again: int = 0, end: str = "whole") -> Outcome:
    """One trial that came out so."""
    lost = 5 if silence_s == math.inf else 0
    return Outcome(name, "cut", 3, silence_s, silence_s, lost, again, end)


ROWS = judge.rows(
    [outcome("ours", it) for it in (0.5, 0.4, 0.6)]
    + [outcome("peer", it, end="error") for it in (math.inf, math.inf)]
    + [outcome("peer", 2.0, again=4)]
)


def test_the_table_has_medians_ranges_and_dropped_turns() -> None:
    """A median that never came is not a number; how many turns broke is said."""
    assert [table.cell(row) for row in ROWS] == [
        "0.50 (0.40-0.60)",
        "5 words lost, **2/3 error**",
    ]
    made = table.markdown({"llm": ROWS}, {"llm": "a machine"})
    assert "| cut | 0.50 (0.40-0.60) | 5 words lost, **2/3 error** |" in made
    assert "| cut | 0.50 (0.40-0.60) | never (2.00-never) |" in made
    assert made.endswith("a machine\n")


def test_the_picture_is_well_formed_and_has_everybody() -> None:
    """One point for each fault and subject; one that never came is at the right."""
    drawn = plot.failover({"llm": ROWS, "stt": ROWS}, {"llm": "<here> & now", "stt": ""})
    root = ElementTree.fromstring(drawn)  # noqa: S314  # we drew it ourselves
    points = [it for it in root.iter() if it.tag.endswith("circle")]
    texts = ["".join(it.itertext()) for it in root.iter() if it.tag.endswith("text")]
    assert len(points) == 4
    assert {"ours", "peer", "cut"} <= set(texts)
    assert float(points[1].attrib["cx"]) > float(points[0].attrib["cx"]) + 100


def test_a_subject_that_was_measured_again_replaces_itself_only() -> None:
    """Other trials replace the stage, the same ones the subject."""

    def stage(name: str, trials: int) -> dict[str, Any]:
        it = {"subject": name, "trials": trials}
        return {"seed": 1, "trials": trials, "load_after": {name: 1.0}, "outcomes": [it]}

    old = {"llm": stage("livekit", 4), "stt": stage("livekit", 4)}
    both = command.merged(old, {"llm": stage("trunkline", 4)})
    assert [it["subject"] for it in both["llm"]["outcomes"]] == ["trunkline", "livekit"]
    assert command.merged(both, {"llm": stage("livekit", 4)}) == both
    assert command.merged(both, {"llm": stage("livekit", 5)})["llm"] == stage("livekit", 5)
    assert both["stt"] == old["stt"]
