"""Render the sounds of the turn-taking trial. Design time only: needs flite and sox.

python trials/turntaking/make.py

A clip is an 8 kHz mu-law WAV on a line with a little noise; `clips.json` says of each what it is
and, for sentences, what is said and where the pause is. Noise is drawn from a fixed seed, so the
script makes the same files again with the same version of flite.
"""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

HERE = Path(__file__).parent
RATE = 8_000
VOICES = ("slt", "rms")
PAUSE_S = 0.6
SPEECH_PEAK = 0.4
LINE_NOISE = 0.0006  # of full scale: -64 dB
Audio = NDArray[np.float64]

BACKCHANNELS = {  # said with flite's phones where its spelling would be read out
    "mm hm": "m hh m",
    "uh huh": "ah hh ah",
    "yeah": "",
    "okay": "",
    "yes": "",
    "right": "",
    "i see": "",
    "yeah okay": "",
}
INTERRUPTIONS = ("wait", "stop please", "no that is wrong", "sorry what are your opening hours")
PAUSED = (
    "my name is | john smith",
    "hello i would like to | book an appointment please",
    "i would like to book a cleaning | tuesday morning",
    "i need to change | my appointment",
    "can i speak to | a person please",
    "i want an appointment for | a filling",
    "my name is mary jones and | i would like to book a cleaning",
    "how about | wednesday afternoon",
    "on monday | at nine thirty",
    "i think i have | a broken tooth",
    "what should i bring and | where can i park",
    "do you have anything on | friday",
)
NORMAL = (
    "my name is john smith",
    "hello i would like to book an appointment please",
    "i need to change my appointment",
    "can i speak to a person please",
    "what are your opening hours",
    "tuesday morning please",
    "half past nine works for me",
    "yes that is fine",
    "how much is a cleaning",
    "where can i park",
    "do you take walk ins",
    "no that is all thank you",
)
AGENT = (
    "We are open on Monday and Wednesday from eight to five.",
    "Please bring your insurance card and a photo identification.",
    "There is free parking behind the building.",
)


def flite(text: str, voice: str, phones: str = "", stretch: float = 1.0) -> Audio:
    """*text* as *voice* says it at 8 kHz, *stretch* times as long, without silence around it."""
    words = ["-p", phones] if phones else ["-t", text]
    speed = [] if stretch == 1.0 else ["--setf", f"duration_stretch={stretch}"]
    return spoken(["flite", "-voice", voice, *speed, *words, "-o"])


def spoken(command: Sequence[str]) -> Audio:
    """What *command* writes into the file that is its last argument, on a telephone's band."""
    with tempfile.TemporaryDirectory() as folder:
        wide, narrow = Path(folder, "wide.wav"), Path(folder, "narrow.wav")
        subprocess.run([*command, wide], check=True)
        subprocess.run(["sox", wide, "-r", str(RATE), narrow, "sinc", "200-3500"], check=True)
        audio, _ = soundfile.read(narrow)
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max())
    return peak(audio[loud[0] : loud[-1] + 1], SPEECH_PEAK)


def peak(audio: Audio, level: float) -> Audio:
    """*audio* with its highest sample at *level*."""
    return audio * (level / float(np.abs(audio).max()))


def band(rng: np.random.Generator, seconds: float, low_hz: float, high_hz: float) -> Audio:
    """Noise between two frequencies."""
    spectrum = np.fft.rfft(rng.standard_normal(round(seconds * RATE)))
    hz = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0
    return peak(np.fft.irfft(spectrum, round(seconds * RATE)), 1.0)


def decay(audio: Audio, seconds: float, attack_s: float = 0.005) -> Audio:
    """*audio* that rises at once and dies away with time constant *seconds*."""
    t = np.arange(len(audio)) / RATE
    return audio * np.minimum(1.0, t / attack_s) * np.exp(-t / seconds)


def silence(seconds: float) -> Audio:
    """Nothing."""
    return np.zeros(round(seconds * RATE))


def cough(rng: np.random.Generator, bursts: int) -> Audio:
    """An explosion of breath, its breathy middle and a short voiced end; *bursts* times."""
    parts = []
    for _ in range(bursts):
        size = rng.uniform(0.8, 1.2)
        burst = decay(band(rng, 0.28 * size, 300, 3000), 0.07 * size)
        t = np.arange(round(0.12 * size * RATE)) / RATE
        voiced = decay(np.sign(np.sin(2 * np.pi * rng.uniform(110, 190) * t)), 0.05) * 0.25
        burst[-len(voiced) :] += voiced
        parts += [burst, silence(rng.uniform(0.05, 0.12))]
    return peak(np.concatenate(parts), rng.uniform(0.3, 0.6))


def keyboard(rng: np.random.Generator) -> Audio:
    """Twelve keys, each a click down and a softer one up."""
    parts = []
    for _ in range(12):
        click = decay(band(rng, 0.03, 1000, 3400), 0.005, 0.001)
        parts += [click, silence(rng.uniform(0.03, 0.06)), click * 0.4]
        parts += [silence(rng.uniform(0.03, 0.12))]
    return peak(np.concatenate(parts), rng.uniform(0.15, 0.35))


def door(rng: np.random.Generator) -> Audio:
    """A latch and a low thump that rattles."""
    thump = decay(band(rng, 0.6, 200, 500), 0.12)
    latch = decay(band(rng, 0.05, 800, 3000), 0.008, 0.001) * 0.6
    return peak(np.concatenate([latch, silence(0.08), thump]), rng.uniform(0.4, 0.7))


def knocks(rng: np.random.Generator) -> Audio:
    """Three knocks on wood."""
    knock = decay(band(rng, 0.15, 200, 1200), 0.025, 0.002)
    parts = [part for _ in range(3) for part in (knock, silence(rng.uniform(0.05, 0.12)))]
    return peak(np.concatenate(parts), rng.uniform(0.3, 0.6))


def with_pause(before: Audio, after: Audio) -> tuple[Audio, tuple[float, float]]:
    """A sentence with a pause in it, and the seconds at which the pause begins and ends."""
    began = len(before) / RATE
    audio = np.concatenate([before, silence(PAUSE_S), after])
    return audio, (round(began, 3), round(began + PAUSE_S, 3))


class Clips:
    """The files in *folder* and what they are."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.told: list[dict[str, object]] = []
        self.rng = np.random.default_rng(seed)
        self._folder = folder

    def add(self, kind: str, audio: Audio, **more: object) -> None:
        """Write one clip, with the line's noise under it."""
        name = f"{kind}_{sum(it['kind'] == kind for it in self.told):02}.wav"
        audio = audio + self.rng.standard_normal(len(audio)) * LINE_NOISE
        soundfile.write(self._folder / name, audio, RATE, subtype="ULAW")
        seconds = round(len(audio) / RATE, 3)
        self.told.append({"file": name, "kind": kind, "seconds": seconds, **more})

    def of_texts(self, kind: str, texts: Sequence[str]) -> None:
        """Each text in each voice."""
        for text in texts:
            for voice in VOICES:
                self.add(kind, flite(text, voice), voice=voice, text=text)

    def close(self) -> None:
        """Write what the files are."""
        lines = ",\n".join(json.dumps(it) for it in self.told)
        (self._folder / "clips.json").write_text(f"[\n{lines}\n]\n")


def main() -> None:
    """Write all clips."""
    clips = Clips(HERE, seed=20261122)
    for number in range(8):
        clips.add("cough", cough(clips.rng, 1 + number % 3))
    for make in (keyboard, door, knocks):
        for _ in range(4):
            clips.add("noise", make(clips.rng))
    clips.of_texts("agent", AGENT)
    for text, phones in BACKCHANNELS.items():
        for voice in VOICES:
            clips.add("backchannel", flite(text, voice, phones), voice=voice, text=text)
    clips.of_texts("interruption", INTERRUPTIONS)
    for text in PAUSED:
        for voice in VOICES:
            audio, pause_s = with_pause(*(flite(part, voice) for part in text.split("|")))
            clips.add("paused", audio, voice=voice, text=text, pause_s=pause_s)
    clips.of_texts("normal", NORMAL)
    clips.close()


if __name__ == "__main__":
    main()
