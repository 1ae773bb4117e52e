"""The same for synthesisers and recognisers: servers of their vendors' protocols, one pair a trial.

The audio tells its words (`tones`), so what a caller heard, or what was heard of a caller, is
counted and not guessed.
"""

import base64
import math
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import environments
from benchmarks.failover import run, tones
from benchmarks.failover.judge import Outcome, Trial, words
from benchmarks.failover.subject import Asked
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.testing.faults import FaultScript
from trunkline.testing.speech_server import SpeechServer

NAMES = (run.US, "livekit")
FIRST_S, PACE = 0.15, 3.0
"""Of the synthesisers: seconds to the first audio, and seconds of audio in one second."""
_HERE = Path(__file__).parent
BEFORE: Mapping[str, Mapping[str, object]] = {
    "none": {},
    "refuse": {},
    "500": {"kind": "status", "status": 500},
    "hang": {"kind": "hang"},
    "open and silent": {"kind": "headers_only"},
    "empty": {"kind": "empty"},
}
INSIDE: Mapping[str, Mapping[str, object]] = {
    "stall": {"kind": "stall"},
    "slow drip": {"kind": "drip", "gap_s": 1.0},
    "cut": {"kind": "cut"},
    "malformed": {"kind": "malformed"},
    "closed cleanly": {"kind": "truncate"},
}
FAULTS = {**BEFORE, **INSIDE}
MESSAGES = {"tts": (2, 14), "stt": (1, 11)}
"""A fault inside strikes after so many messages: pieces of 0.2 s of the first sentence, or
interim transcripts."""


def trials(stage: str, times: int, seed: int) -> list[Trial]:
    """Each fault so many *times*, in a random order, the same for every subject."""
    draw = random.Random(f"{stage}:{seed}")  # noqa: S311  # to be repeated by its seed
    kinds = [fault for fault in FAULTS for _ in range(times)]
    draw.shuffle(kinds)
    least, most = MESSAGES[stage]
    return [
        Trial(number, fault, draw.randint(least, most) if fault in INSIDE else 0)
        for number, fault in enumerate(kinds, 1)
    ]


def command(name: str, stage: str) -> list[str]:
    """How to start the subject of that *name*."""
    if name == run.US:
        return [sys.executable, "-m", "benchmarks.failover.trunkline_speech", stage]
    wanted = _HERE / "peers" / "livekit-plugins.txt"
    python = environments.python(wanted, f'make bench ARGS="failover --subjects {run.US}"')
    return [str(python), "-W", "ignore", "-m", "benchmarks.failover.livekit_speech", stage]


async def compare(name: str, stage: str, wanted: Sequence[Trial]) -> list[Outcome]:
    """All trials of one subject in one *stage*: `tts` or `stt`."""
    with tempfile.TemporaryDirectory() as folder:
        pcm = Path(folder) / "caller.pcm"
        pcm.write_bytes(tones.spoken(tones.CALLER).tobytes())
        async with AsyncExitStack() as stack:
            lines = []
            for it in [Trial(0, "none"), *wanted]:
                first, second = servers(stage, it)
                backup = await stack.enter_async_context(second)
                url = run.CLOSED
                if it.fault != "refuse":
                    url = (await stack.enter_async_context(first)).base_url
                told = Asked(it.number, url, backup.base_url, tones.REPLY, str(pcm))
                lines.append(told._asdict())
            answers = await run.ask(command(name, stage), lines)
    judge = {"tts": spoken, "stt": heard}[stage]
    return [judge(name, it, answers[it.number]) for it in wanted]


def servers(stage: str, trial: Trial) -> tuple[SpeechServer, SpeechServer]:
    """The sick one of *trial* and the healthy one."""
    script: dict[str, object] = dict(FAULTS[trial.fault])
    if trial.fault in INSIDE:
        script["after_tokens"] = trial.after_tokens
    faults = [FaultScript.parse(script)] if script else []
    if stage == "stt":
        return DeepgramServer(tones.Ears(), faults), DeepgramServer(tones.Ears())
    voices = tones.Voice("first", 0.0), tones.Voice("second", 0.0)
    return (
        ElevenLabsServer(voices[0], faults, first_s=FIRST_S, pace=PACE),
        CartesiaServer(voices[1], first_s=FIRST_S, pace=PACE),
    )


def spoken(name: str, trial: Trial, told: Mapping[str, Any]) -> Outcome:
    """What a caller heard. *next_s*: the first audio, from the beginning."""
    drain, gap_s = told["began"], 0.0
    sounds: dict[str, float] = {}
    for rate in {rate for _, rate, _ in told["audio"]}:
        pieces = [base64.b64decode(it[2]) for it in told["audio"] if it[1] == rate]
        for word, sound_s in tones.seconds(np.frombuffer(b"".join(pieces), np.int16), rate).items():
            sounds[word] = sounds.get(word, 0.0) + sound_s
    for at, rate, data in told["audio"]:
        gap_s = max(gap_s, at - drain)
        drain = max(at, drain) + len(base64.b64decode(data)) / 2 / rate
    said = " ".join(tones.words(sounds))
    first_s = told["audio"][0][0] - told["began"] if told["audio"] else math.inf
    return _judged(
        name,
        trial,
        told,
        tones.REPLY,
        said,
        first_s,
        gap_s,
        tones.audio_lost_s(tones.REPLY, sounds),
    )


def heard(name: str, trial: Trial, told: Mapping[str, Any]) -> Outcome:
    """What was heard of a caller. *next_s*: the last final transcript, from the end of speech."""
    late_s = math.inf
    if told["tokens"] and told["spoken"] is not None:
        late_s = max(told["tokens"][-1][0] - told["spoken"], 0.0)
    said = " ".join(text for _, text, _ in told["tokens"])
    return _judged(name, trial, told, tones.CALLER, said, late_s, late_s, 0.0)


def _judged(
    name: str,
    trial: Trial,
    told: Mapping[str, Any],
    whole: str,
    said: str,
    next_s: float,
    silence_s: float,
    audio_lost_s: float,
) -> Outcome:
    lost, again = words(whole, said)
    end = {"waits": "silent", "error": "error"}.get(told["how"], "short" if lost else "whole")
    return Outcome(
        name,
        trial.fault,
        trial.after_tokens,
        next_s,
        math.inf if lost else silence_s,
        lost,
        again,
        "whole" if end == "error" and not lost else end,
        (told["errors"] or [""])[0],
        audio_lost_s,
    )
