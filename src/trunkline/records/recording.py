"""The recording and the written transcript: projections that end in a file for people."""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trunkline.errors import RecordError
from trunkline.media import g711
from trunkline.records.events import get
from trunkline.records.projections import Entry, Transcript
from trunkline.types import SAMPLE_RATE, Event, Sample

RECORDING_SAMPLES_MAX: Final = 12 * 3600 * SAMPLE_RATE
"""A segment behind this is damage, not a call: half a day in memory is 1.4 GB."""
_CHANNELS: Final = {"caller": 0, "agent": 1}
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~])")


def recording(events: Iterable[Event]) -> NDArray[np.int16]:
    """What was recorded, as `[n, 2]` int16 at 8 kHz: caller left, agent right.

    Sample 0 is the call's first; where nothing was recorded (before consent, above all) there is
    silence. Empty if nothing was recorded at all, or the recording was erased.
    """
    segments = [it for it in events if it.type == "audio.segment" and "erased" not in it.data]
    end = max((get(s, "start", int) + get(s, "samples", int) for s in segments), default=0)
    if end > RECORDING_SAMPLES_MAX:
        raise RecordError(
            f"a recorded segment ends at sample {end}: no call is longer than "
            f"{RECORDING_SAMPLES_MAX} samples"
        )
    stereo = np.zeros((end, 2), dtype=np.int16)
    for segment in segments:
        channel = _CHANNELS.get(get(segment, "channel", str))
        start, pcm = get(segment, "start", int), g711.mulaw_decode(get(segment, "mulaw", bytes))
        if channel is None or start < 0 or len(pcm) != get(segment, "samples", int):
            raise RecordError(f"event {segment.id} (audio.segment) contradicts itself")
        stereo[start : start + len(pcm), channel] = pcm
    return stereo


def transcript_markdown(transcript: Transcript) -> str:
    """*transcript* for people: who said what, when, and what of a reply nobody heard."""
    facts = [
        f"- {name}: {_plain(value)}"
        for name, value in (
            ("Agent", transcript.agent),
            ("Carrier", transcript.carrier),
            ("Ended", transcript.ended),
        )
        if value
    ]
    lines = [f"# Call {transcript.call}", "", *facts, *([""] if facts else [])]
    for entry in transcript.entries:
        lines += [_line(entry), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _line(entry: Entry) -> str:
    text = _plain(entry.text) or "_(nothing)_"
    writers = [_plain(name) for name in entry.endpoints if entry.speaker == "agent"]
    by = f" ({', then '.join(writers)})" if writers else ""
    line = f"**{_clock(entry.start)} {entry.speaker.capitalize()}{by}:** {text}"
    if not entry.interrupted:
        return line
    unheard = entry.spoken.removeprefix(entry.text).strip()
    return f"{line} _(interrupted{f'; not heard: {_plain(unheard)}' if unheard else ''})_"


def _clock(sample: Sample | None) -> str:
    if sample is None:
        return "--:--.-"
    tenths = sample * 10 // SAMPLE_RATE
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _plain(text: str) -> str:
    # Words of a caller or a model must not become markup, or HTML, in somebody's browser.
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("&", "&amp;")
