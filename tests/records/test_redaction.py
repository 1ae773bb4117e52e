"""The redacted copy of a call: nothing of the caller is left in text or audio, the rest is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.test_projections import Plot
from trunkline.media import g711
from trunkline.privacy.detect import Rules, SpeechDetector
from trunkline.privacy.redact import MARGIN_SAMPLES
from trunkline.privacy.spans import Kind
from trunkline.records.recording import transcript_markdown
from trunkline.records.redaction import redacted

SECONDS = 20
SECOND = 8000


def learner(known: Mapping[Kind, Sequence[str]], /) -> SpeechDetector:
    """The detector of this call."""
    return SpeechDetector(Rules(known=known))


def call(*, words: bool = True, recorded: bool = True) -> Plot:
    """The agent asks for the name, the caller says it, the agent repeats it and is interrupted."""
    plot = Plot()
    plot.add("call.started", {"carrier": "wav", "agent": "receptionist"}, at=0)
    says(plot, 0, "May I have your name?", 1 * SECOND)
    plot.add("utterance.started", at=5 * SECOND, where=(1,))
    plot.add("utterance.ended", at=8 * SECOND, where=(1,))
    said: dict[str, object] = {
        "text": "sure it's grace",
        "words": [
            ["sure", 5 * SECOND, 5 * SECOND + 3000],
            ["it's", 6 * SECOND, 6 * SECOND + 3000],
            ["grace", 7 * SECOND, 7 * SECOND + 4000],
        ],
    }
    plot.add("transcript.final", said if words else {"text": said["text"]}, where=(1,))
    says(plot, 1, "Thank you, Grace. Good day.", 10 * SECOND, heard="Thank you, Grace.")
    if recorded:
        for channel in ("caller", "agent"):
            pcm = np.full(SECONDS * SECOND, 4000, np.int16)
            plot.add(
                "audio.segment",
                {
                    "channel": channel,
                    "start": 0,
                    "samples": len(pcm),
                    "mulaw": g711.mulaw_encode(pcm),
                },
            )
    plot.add("call.ended", {"reason": "hangup"}, at=SECONDS * SECOND)
    return plot


def says(plot: Plot, turn: int, text: str, start: int, heard: str | None = None) -> None:
    """The agent says *text* from sample *start* on, a word a second, each with its mark."""
    heard = text if heard is None else heard
    plot.add("reply.started", {"turn": turn}, at=start, where=(turn,))
    plot.add("phrase.spoken", {"index": 0, "text": text}, where=(turn,))
    plot.add("playout.queued", {"phrase": 0, "samples": 1}, at=start, where=(turn,))
    end = -1
    for n, word in enumerate(heard.split(), 1):
        end += len(word) + 1
        plot.add("playout.mark", {"name": f"0.0.{end}"}, at=start + n * SECOND)
    plot.add(
        "reply.ended",
        {"generated": text, "spoken": text, "heard": heard, "interrupted": heard != text},
        at=start + len(heard.split()) * SECOND,
        where=(turn,),
    )


def loud(pcm: NDArray[np.int16], second: float) -> bool:
    """Whether anything is heard at *second*, on both channels or on none."""
    heard = pcm[int(second * SECOND)].astype(bool)
    assert heard[0] == heard[1]
    return bool(heard[0])


def test_a_name_is_gone_wherever_it_was_said() -> None:
    """A name that is a common word too is found with the agent because the caller said it."""
    copy = redacted(call().events, learner)
    text = transcript_markdown(copy.transcript).replace("\\", "")  # brackets are no markup there
    assert "grace" not in text.lower()
    assert "sure it's [name]" in text
    assert "Thank you, [name]." in text
    assert [(it.speaker, it.turn, it.kind, it.rule) for it in copy.redactions] == [
        ("caller", 1, Kind.NAME, "known.word/1"),
        ("agent", 1, Kind.NAME, "known.word/1"),
    ]


def test_only_its_moments_are_silent() -> None:
    """The caller's by the recogniser's times, the agent's by the marks of the playout."""
    pcm = redacted(call().events, learner).recording
    assert len(pcm) == SECONDS * SECOND
    assert [loud(pcm, at) for at in (5.2, 6.2, 7.2, 8.5)] == [True, True, False, True]
    assert [loud(pcm, at) for at in (10.5, 11.5, 12.5, 14)] == [True, True, False, True]


def test_without_times_all_that_the_caller_said_then_is_silent() -> None:
    """And nothing else."""
    copy = redacted(call(words=False).events, learner)
    assert [loud(copy.recording, at) for at in (4.5, 5.2, 6.2, 7.9, 8.5)] == [
        *(True, False, False, False, True)
    ]
    silenced = copy.redactions[0].silenced
    assert silenced is not None
    assert silenced.start == 5 * SECOND - MARGIN_SAMPLES


def test_a_call_without_a_recording_has_a_redacted_text() -> None:
    """No samples are named where there are none."""
    copy = redacted(call(recorded=False).events, learner)
    assert len(copy.recording) == 0
    assert [it.silenced for it in copy.redactions] == [None, None]


@pytest.mark.parametrize("name", ["x", "1.2", "a.b.c"])
def test_a_mark_that_says_nothing_leaves_the_whole_reply_silent(name: str) -> None:
    """Damaged marks hide no name."""
    plot = call()
    events = [
        replace(event, data={"name": name}) if event.type == "playout.mark" else event
        for event in plot.events
    ]
    pcm = redacted(events, learner).recording
    assert [loud(pcm, at) for at in (10.5, 11.5, 12.5)] == [False, False, False]
