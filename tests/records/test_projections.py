"""What a call's events say: transcript, attempts, recording."""

import numpy as np
import pytest

from trunkline.errors import RecordError
from trunkline.media import g711
from trunkline.records.events import problems
from trunkline.records.projections import Entry, Span, attempts, transcript
from trunkline.records.recording import recording, transcript_markdown
from trunkline.types import CallId, DataClass, Event, Mono, Sample, Usage, Wall, Where

C = CallId("call-1")


class Plot:
    """The events of a call, one after the other; each must be well-formed."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(
        self,
        type: str,
        data: dict[str, object] | None = None,
        *,
        at: int | None = None,
        where: tuple[int, ...] = (),
        zone: str = "",
        mono: float = 0.0,
    ) -> None:
        """One event at sample *at* with the address *where* (turn, step, attempt)."""
        data = data or {}
        assert problems(type, data) == []
        sample = None if at is None else Sample(at)
        self.events.append(
            Event(
                1,
                f"id-{len(self.events)}",
                Where(C, *where),
                type,
                Mono(mono),
                sample,
                Wall(0),
                DataClass.TELEMETRY,
                zone,
                data,
            )
        )


GREETING = "Hello, you speak to an AI."
ANSWER = "We open at nine. We close at five."


def conversation() -> Plot:
    """A greeting, a question, an answer that the caller interrupts, and the hang-up."""
    plot = Plot()
    plot.add("call.started", {"carrier": "wav", "agent": "receptionist"}, at=0)
    plot.add("reply.started", {"turn": 0}, at=100, where=(0,))
    plot.add("phrase.spoken", {"index": 0, "text": GREETING, "endpoint": ""}, where=(0,))
    plot.add("playout.queued", {"phrase": 0, "samples": 16000}, at=800, where=(0,))
    plot.add("playout.queued", {"phrase": 0, "samples": 8000}, at=8800, where=(0,))
    plot.add(
        "reply.ended",
        {"generated": "", "spoken": GREETING, "heard": GREETING, "interrupted": False},
        at=24800,
        where=(0,),
    )
    plot.add("utterance.started", at=30000, where=(1,))
    plot.add("transcript.interim", {"text": "when do"}, where=(1,))
    plot.add("utterance.ended", at=42000, where=(1,))
    plot.add("transcript.final", {"text": "when do you open", "endpoint": "stt-a"}, where=(1,))
    plot.add("reply.started", {"turn": 1}, at=43000, where=(1,))
    for index, text in enumerate(("We open at nine.", "We close at five.")):
        endpoint = ("llm-a", "llm-b")[index]
        plot.add("phrase.spoken", {"index": index, "text": text, "endpoint": endpoint}, where=(1,))
    plot.add("playout.queued", {"phrase": 0, "samples": 16000}, at=48000, where=(1,))
    plot.add("heard", {"text": "We open at nine.", "upto": 16}, at=64000, where=(1,))
    plot.add("barge_in", {"at": 66000}, at=66000, where=(1,))
    return plot


def test_a_transcript_says_what_was_said_and_heard() -> None:
    """Of the agent only what the caller heard; generated and spoken texts are kept apart."""
    plot = conversation()
    plot.add(
        "reply.ended",
        {
            "generated": ANSWER + " Goodbye.",
            "spoken": ANSWER,
            "heard": "We open at nine.",
            "interrupted": True,
        },
        where=(1,),
    )
    plot.add("call.ended", {"reason": "caller hung up"}, at=70000)
    said = transcript(plot.events)
    assert (said.call, said.agent, said.carrier, said.ended) == (
        C,
        "receptionist",
        "wav",
        "caller hung up",
    )
    assert said.entries == (
        Entry(
            "agent",
            0,
            GREETING,
            Sample(800),
            Sample(24800),
            spoken=GREETING,
            spans=(Span(0, len(GREETING), ""),),
        ),
        Entry("caller", 1, "when do you open", Sample(30000), Sample(42000), ("stt-a",)),
        Entry(
            "agent",
            1,
            "We open at nine.",
            Sample(48000),
            Sample(66000),
            ("llm-a", "llm-b"),
            ANSWER + " Goodbye.",
            ANSWER,
            interrupted=True,
            spans=(Span(0, 16, "llm-a"),),
        ),
    )


def test_what_was_heard_of_an_answer_says_who_wrote_it() -> None:
    """Also of the sentence in which the caller took the word."""
    plot = conversation()
    heard = "We open at nine. We close"
    data = {"generated": ANSWER, "spoken": ANSWER, "heard": heard, "interrupted": True}
    plot.add("reply.ended", data, where=(1,))
    entry = transcript(plot.events).entries[-1]
    assert [(entry.text[it.start : it.end], it.endpoint) for it in entry.spans] == [
        ("We open at nine.", "llm-a"),
        ("We close", "llm-b"),
    ]


def test_a_record_that_breaks_off_gives_what_was_heard_until_then() -> None:
    """After a crash the last reply is what its marks say, and counts as interrupted."""
    last = transcript(conversation().events).entries[-1]
    assert (last.text, last.spoken, last.interrupted) == ("We open at nine.", ANSWER, True)


def test_words_say_when_an_utterance_was() -> None:
    """Recognised words are nearer to the truth than the voice detector."""
    plot = Plot()
    plot.add("utterance.started", at=1000, where=(1,))
    plot.add(
        "transcript.final",
        {"text": "a b", "words": [["a", 1500, 2000], ["b", 2000, 2500]]},
        where=(1,),
    )
    (entry,) = transcript(plot.events).entries
    assert (entry.start, entry.end) == (1500, 2500)


def test_a_late_transcript_stands_where_it_was_said() -> None:
    """Entries are in the order of speech, not of computation."""
    plot = Plot()
    plot.add("utterance.started", at=1000, where=(1,))
    plot.add("utterance.ended", at=2000, where=(1,))
    plot.add("reply.started", {"turn": 1}, at=5000, where=(1,))
    plot.add("transcript.final", {"text": "late"}, where=(1,))
    assert [entry.speaker for entry in transcript(plot.events).entries] == ["caller", "agent"]


def test_unknown_events_change_nothing() -> None:
    """A record with events of a later release reads the same."""
    plot = conversation()
    spiced = [
        item
        for event in plot.events
        for item in (
            event,
            Event(
                1, "x", Where(C), "zz.top", Mono(0), None, Wall(0), DataClass.AUDIO, "", {"q": 1}
            ),
        )
    ]
    assert transcript(spiced) == transcript(plot.events)
    assert attempts(spiced) == []
    assert len(recording(spiced)) == 0


def test_the_transcript_for_people() -> None:
    """Times, speakers, and what of an interrupted reply nobody heard."""
    assert transcript_markdown(transcript(conversation().events)) == (
        "# Call call-1\n\n- Agent: receptionist\n- Carrier: wav\n\n"
        "**00:00.1 Agent:** Hello, you speak to an AI.\n\n"
        "**00:03.7 Caller:** when do you open\n\n"
        "**00:06.0 Agent (llm-a, then llm-b):** We open at nine. "
        "_(interrupted; not heard: We close at five.)_\n"
    )


def test_speech_is_no_markup() -> None:
    """Neither a caller nor a model writes HTML or Markdown into the page that somebody opens."""
    plot = Plot()
    plot.add("transcript.final", {"text": "<script>x</script> [a](b) & *c*\n# d"}, where=(1,))
    page = transcript_markdown(transcript(plot.events))
    assert (
        "\n**--:--.- Caller:** \\<script\\>x\\</script\\> \\[a\\](b) &amp; \\*c\\* \\# d\n" in page
    )


def test_every_attempt_is_accounted_for() -> None:
    """Winner and loser of a hedge, with request, tokens, fault, times and zone."""
    plot = Plot()
    first, second = (2, 0, 0), (2, 0, 1)
    plot.add(
        "attempt.started",
        {"endpoint": "a", "model": "m", "failure_domain": "cloud", "kind": "primary", "prefix": ""},
        where=first,
        zone="eu",
        mono=10.0,
    )
    plot.add("attempt.request", {"request": {"messages": []}}, where=first, mono=10.0)
    plot.add("attempt.started", {"endpoint": "b", "kind": "hedge"}, where=second, mono=10.5)
    plot.add("attempt.delta", {"n": 0, "text": "Hi"}, where=second, mono=10.75)
    plot.add("attempt.delta", {"n": 1, "tool": {"name": "book"}}, where=second, mono=11.0)
    plot.add(
        "attempt.ended",
        {"outcome": "failed", "fault": "silent", "detail": "deadline"},
        where=first,
        mono=11.5,
    )
    plot.add(
        "attempt.ended",
        {"outcome": "won", "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        where=second,
        mono=12.0,
    )
    lost, won = attempts(plot.events)
    assert (lost.endpoint, lost.zone, lost.model, lost.kind) == ("a", "eu", "m", "primary")
    assert (lost.outcome, lost.fault, lost.detail, lost.ttft_s) == (
        "failed",
        "silent",
        "deadline",
        None,
    )
    assert lost.request == {"messages": []}
    assert (won.outcome, won.usage, won.ttft_s, won.ended) == ("won", Usage(7, 2), 0.25, 12.0)
    assert won.deltas == [(10.75, "Hi"), (11.0, {"name": "book"})]


def test_stages_of_a_turn_are_told_apart() -> None:
    """An STT and an LLM attempt may share an address."""
    plot = Plot()
    for stage in ("stt", "llm"):
        data: dict[str, object] = {"endpoint": stage, "kind": "primary", "stage": stage}
        plot.add("attempt.started", data, where=(1, 0, 0))
    plot.add("attempt.ended", {"outcome": "won", "stage": "stt"}, where=(1, 0, 0))
    assert [(a.stage, a.outcome) for a in attempts(plot.events)] == [("stt", "won"), ("llm", "")]


def audio(channel: str, start: int, mulaw: bytes, samples: int | None = None) -> dict[str, object]:
    """The payload of a recorded segment."""
    length = len(mulaw) if samples is None else samples
    return {"channel": channel, "start": start, "samples": length, "mulaw": mulaw}


def test_a_recording_has_the_caller_left_and_the_agent_right() -> None:
    """Segments lie at their samples; between them is silence."""
    plot = Plot()
    plot.add("audio.segment", audio("caller", 100, b"\x22" * 50))
    plot.add("audio.segment", audio("agent", 200, b"\x33" * 100))
    stereo = recording(plot.events)
    assert stereo.shape == (300, 2)
    assert stereo.dtype == np.int16
    assert (stereo[100:150, 0] == g711.mulaw_decode(b"\x22")[0]).all()
    assert (stereo[200:300, 1] == g711.mulaw_decode(b"\x33")[0]).all()
    assert np.count_nonzero(stereo) == 150


@pytest.mark.parametrize(
    "data",
    [
        audio("caller", -1, b"\x22" * 5),
        audio("nobody", 0, b"\x22" * 5),
        audio("caller", 0, b"\x22" * 5, samples=6),
        audio("caller", 2**40, b"\x22" * 5),
        {"channel": "caller", "start": 0, "samples": 5},
    ],
)
def test_a_segment_that_contradicts_itself_is_an_error(data: dict[str, object]) -> None:
    """Damage is named, and never allocated."""
    plot = Plot()
    plot.add("audio.segment", data)
    with pytest.raises(RecordError, match="segment"):
        recording(plot.events)


def test_a_projection_names_the_event_that_it_cannot_read() -> None:
    """Of a thousand events the operator learns which one."""
    bad = Event(1, "id-9", Where(C), "heard", Mono(0), None, Wall(0), DataClass.AUDIO, "", {})
    plot = conversation()
    with pytest.raises(RecordError, match=r"event id-9 \(heard\): key 'text' is missing"):
        transcript([*plot.events, bad])
