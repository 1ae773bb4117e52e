"""The agent's audio on its way to the carrier: packets, and marks in their places."""

from trunkline.calls.voice import Voice
from trunkline.core.playout import PACKET_FRAMES, Playout, PlayoutPolicy
from trunkline.types import FRAME_S, FRAME_SAMPLES, Mono, SpokenWord

LEAD_FRAMES = 6
WORDS = (SpokenWord(0, 4, 0), SpokenWord(5, 13, 3 * FRAME_SAMPLES))


class Tape:
    """A carrier that notes what it is sent: samples of audio, names of marks."""

    def __init__(self) -> None:
        self.sent: list[int | str] = []

    def play(self, mulaw: bytes, /) -> None:
        """As `Carrier`."""
        self.sent.append(len(mulaw))

    def mark(self, name: str, /) -> None:
        """As `Carrier`."""
        self.sent.append(name)


def speaking(frames: int, words: tuple[SpokenWord, ...] = ()) -> tuple[Voice, Tape]:
    """A voice with one phrase of so many frames, nothing sent."""
    tape = Tape()
    playout = Playout(PlayoutPolicy(lead_s=LEAD_FRAMES * FRAME_S))
    voice = Voice(tape, playout, lambda mulaw, when: None)  # type: ignore[arg-type]  # no leg here
    phrase = voice.expect("Good morning.")
    voice.queue(phrase, bytes(2 * FRAME_SAMPLES * frames), words, complete=True)
    return voice, tape


def test_a_mark_stands_where_its_word_ends() -> None:
    """A packet ends where a mark belongs: not a frame later, or too much would count as heard."""
    voice, tape = speaking(LEAD_FRAMES, WORDS)
    voice.tick(Mono(0.0))
    assert tape.sent == [3 * FRAME_SAMPLES, "0.0.4", 3 * FRAME_SAMPLES, "0.0.13"]


def test_frames_go_out_in_packets() -> None:
    """The lead is one message, then every other tick brings a packet, and the last what is left."""
    voice, tape = speaking(LEAD_FRAMES + PACKET_FRAMES + 1)
    for tick in range(5):
        voice.tick(Mono(tick * FRAME_S))
    audio = [sent for sent in tape.sent if isinstance(sent, int)]
    assert audio == [LEAD_FRAMES * FRAME_SAMPLES, PACKET_FRAMES * FRAME_SAMPLES, FRAME_SAMPLES]
