"""Consent: nothing of a call is kept before a clear yes to a question that was put."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.scene import CALL, QUESTION, ask, open_records, speak
from trunkline.records.answers import RULES, Answer
from trunkline.records.consent import Consent, ConsentGuard, judge
from trunkline.records.projections import consent_record
from trunkline.records.recording import recording
from trunkline.types import Sample, Where

steps = st.one_of(
    st.sampled_from(["asked", "granted", "refused", "withdrawn", "nonsense"]).map(
        lambda step: (f"consent.{step}", dict[str, object]())
    ),
    st.sampled_from([*get_args(Answer), "", None]).map(
        lambda answer: ("consent.answered", {"answer": answer})
    ),
)


@given(st.lists(steps, max_size=12))
def test_no_path_to_a_recording_avoids_the_question_and_the_yes(
    plot: list[tuple[str, dict[str, object]]],
) -> None:
    """Whatever is journaled: granted means asked, then answered yes, and no no since or before."""
    guard = ConsentGuard()
    for at, (type, data) in enumerate(plot):
        guard.feed(type, data, Sample(at))
        assert (guard.open_from is None) == (guard.state is not Consent.GRANTED)
    if guard.state is Consent.GRANTED:
        assert guard.open_from is not None
        names = [type for type, _ in plot[: guard.open_from + 1]]
        assert names[-1] == "consent.granted"
        before = names.index("consent.asked")
        answers = [
            data["answer"]
            for type, data in plot[before : guard.open_from]
            if type == "consent.answered"
        ]
        assert answers[-1] == "yes"
        since_asked = [type for type, _ in plot[before:]]
        assert "consent.refused" not in since_asked
        assert "consent.withdrawn" not in since_asked


@given(st.lists(steps, max_size=8))
def test_a_no_is_final(plot: list[tuple[str, dict[str, object]]]) -> None:
    """Nobody is asked until they give in."""
    guard = ConsentGuard()
    guard.feed("consent.asked", {}, Sample(0))
    guard.feed("consent.refused", {}, Sample(1))
    for type, data in plot:
        guard.feed(type, data, Sample(2))
    assert guard.state is Consent.REFUSED


def test_an_answer_to_an_earlier_question_does_not_count() -> None:
    """A yes that came before the question was put again is not the answer to it."""
    guard = ConsentGuard()
    guard.feed("consent.asked", {}, Sample(0))
    guard.feed("consent.answered", {"answer": "yes"}, Sample(1))
    guard.feed("consent.asked", {}, Sample(2))
    assert not guard.feed("consent.granted", {}, Sample(3))
    assert guard.open_from is None


@pytest.mark.parametrize(
    ("utterance", "then"),
    [("yes", ["consent.granted"]), ("no", ["consent.refused"]), ("what", [])],
)
def test_a_verdict_quotes_what_it_rests_on(utterance: str, then: list[str]) -> None:
    """Utterance, question and the version of the rules are journaled; unclear decides nothing."""
    verdict = judge(QUESTION, utterance)
    type, data = verdict.events[0]
    assert type == "consent.answered"
    assert data == {
        "text": utterance,
        "answer": verdict.answer,
        "question": QUESTION,
        "rule": RULES,
    }
    assert [type for type, _ in verdict.events[1:]] == then


async def test_nothing_is_recorded_before_consent(tmp_path: Path) -> None:
    """Audio of both sides before the yes is nowhere on the disk; after it, all of it is."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        for channel in ("caller", "agent"):
            speak(journal, channel, 0, 2.0, 0x11)
        ask(journal, "yes of course", at=16000)
        for channel in ("caller", "agent"):
            speak(journal, channel, 16000, 2.5, 0x22)
        await journal.close("done")
        call = records.store.open_call(CALL)
    raw = (call.path / "journal.tlj").read_bytes()
    assert bytes([0x11]) * 160 not in raw
    stereo = recording(call.events)
    assert len(stereo) == 36000
    assert not stereo[:16000].any()
    assert np.count_nonzero(stereo[16000:]) == 2 * 20000
    kept = consent_record(call.events)
    assert (kept.state, kept.question, kept.answer, kept.rule, kept.granted_from) == (
        Consent.GRANTED,
        QUESTION,
        "yes of course",
        RULES,
        16000,
    )


@pytest.mark.parametrize("utterance", ["no", "what", "yes but not my name", ""])
async def test_without_a_clear_yes_nothing_is_recorded(tmp_path: Path, utterance: str) -> None:
    """Refusal, silence and conditions leave no audio."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        ask(journal, utterance, at=8000)
        speak(journal, "caller", 8000, 3.0, 0x22)
        await journal.close("done")
        call = records.store.open_call(CALL)
    assert "audio.segment" not in [event.type for event in call.events]
    assert bytes([0x22]) * 160 not in (call.path / "journal.tlj").read_bytes()


async def test_a_replay_from_before_the_yes_is_cut_at_it(tmp_path: Path) -> None:
    """A frame that straddles the yes keeps only what lies behind it."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        ask(journal, "yes", at=8000)
        journal.audio("caller", Sample(7000), bytes([0x22]) * 900)
        journal.audio("caller", Sample(7900), bytes([0x22]) * 160)
        await journal.close("done")
        stereo = recording(records.store.open_call(CALL).events)
    assert np.flatnonzero(stereo[:, 0]).tolist() == list(range(8000, 8060))


async def test_withdrawal_drops_what_is_not_yet_written(tmp_path: Path) -> None:
    """From the withdrawal on nothing reaches the disk, not even the second in hand."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        ask(journal, "yes", at=0)
        speak(journal, "caller", 0, 1.0, 0x22)
        speak(journal, "caller", 8000, 0.5, 0x33)
        journal.note("consent.withdrawn", {"text": "stop recording"}, where=Where(CALL))
        speak(journal, "caller", 12000, 2.0, 0x33)
        await journal.close("done")
        call = records.store.open_call(CALL)
    assert len(recording(call.events)) == 8000
    assert consent_record(call.events).state is Consent.WITHDRAWN


async def test_a_grant_out_of_nowhere_opens_nothing_and_shows(tmp_path: Path) -> None:
    """A shell that forgets to ask records nothing, and the record names the unlawful event."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        journal.note("consent.granted", {}, where=Where(CALL), sample=Sample(0))
        speak(journal, "caller", 0, 2.0, 0x22)
        await journal.close("done")
        call = records.store.open_call(CALL)
    assert len(recording(call.events)) == 0
    kept = consent_record(call.events)
    assert kept.state is Consent.UNASKED
    assert kept.unlawful == (call.events[1].id,)


async def test_a_grant_without_a_sample_counts_from_the_latest_known(tmp_path: Path) -> None:
    """The record says from where on audio is lawful, also if the shell did not."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        speak(journal, "caller", 0, 1.0, 0x22)
        for type, data in (("consent.asked", {"text": QUESTION}), *judge(QUESTION, "yes").events):
            journal.note(type, data, where=Where(CALL))
        journal.audio("caller", Sample(7900), bytes([0x22]) * 160)
        await journal.close("done")
        call = records.store.open_call(CALL)
    assert consent_record(call.events).granted_from == 8000
    assert np.flatnonzero(recording(call.events)[:, 0]).tolist() == list(range(8000, 8060))
