"""Whether the caller's line gives the agent's voice back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trunkline.media.echo import LAG_MAX, SPAN, Echo
from trunkline.media.g711 import mulaw_encode
from trunkline.types import FRAME_SAMPLES, SAMPLE_RATE, Sample

Audio = NDArray[np.float64]
WINDOW = 256
PATH = np.array([0.3, 1.0, -0.6, 0.25, 0.1])
ONE_PATH = PATH / np.sqrt(np.sum(PATH**2))


def voice(seed: int, seconds: float = 1.5) -> Audio:
    """Noise with the spectrum of speech, loud and soft by turns like syllables."""
    rng = np.random.default_rng(seed)
    size = round(seconds * SAMPLE_RATE)
    noise = np.convolve(rng.standard_normal(size), 0.9 ** np.arange(60), "same")
    syllables = np.repeat(rng.uniform(0.1, 1.0, size // 800 + 1), 800)[:size]
    audio: Audio = noise * syllables * 1500
    return audio


def code(audio: Audio) -> bytes:
    """*audio* as it is sent."""
    return mulaw_encode(audio.clip(-32_000, 32_000).astype(np.int16))


def given_back(agent: Audio, delay_s: float, loss_db: float) -> Audio:
    """*agent* by way of a line's echo path."""
    lag = round(delay_s * SAMPLE_RATE)
    echo = np.convolve(agent, ONE_PATH)[: len(agent) - lag] * 10 ** (-loss_db / 20)
    audio: Audio = np.concatenate([np.zeros(lag), echo])
    return audio


def judge(agent: Audio, heard: Audio, since_s: float = 0.5) -> tuple[Echo, list[bool]]:
    """The line of a call, in which the agent is silent where it is 0, and the verdicts on it."""
    echo, sent, coded = Echo(), code(agent), code(heard)
    found, at = [], 0
    for end in range(WINDOW, len(coded) + 1, WINDOW):
        while at < end:
            if agent[at : at + FRAME_SAMPLES].any():
                echo.sent(Sample(at), sent[at : at + FRAME_SAMPLES])
            at += FRAME_SAMPLES
        if end - WINDOW >= since_s * SAMPLE_RATE:
            found.append(echo.explains(coded[:end][-SPAN:], Sample(end), WINDOW))
    return echo, found


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.1, 0.3])
@pytest.mark.parametrize("loss_db", [10, 25, 35])
def test_what_the_line_gives_back_is_told_to_be_echo(delay_s: float, loss_db: float) -> None:
    """Through mu-law, both ways; the delay and the loss are measured by the way."""
    agent = voice(1)
    echo, found = judge(agent, given_back(agent, delay_s, loss_db))
    assert all(found)
    assert echo.path is not None
    assert abs(echo.path.lag + np.argmax(np.abs(echo.path.taps)) - delay_s * SAMPLE_RATE - 1) <= 1
    assert abs(echo.path.loss_db - loss_db) <= 1.5


def test_a_caller_is_no_echo() -> None:
    """However loud the agent is at the same time."""
    assert not any(judge(voice(1), voice(2))[1])


@pytest.mark.parametrize("loss_db", [15, 25])
def test_a_caller_who_speaks_over_an_echo_is_heard_at_once(loss_db: float) -> None:
    """The first whole window of theirs is no echo any more; before it, all were."""
    agent = voice(1)
    heard = given_back(agent, 0.12, loss_db)
    begins = SAMPLE_RATE
    heard[begins:] += voice(2)[begins:] * 0.5
    _, found = judge(agent, heard, since_s=0.512)
    before = begins // WINDOW - 16
    assert all(found[:before])
    assert not any(found[before + 1 :])


def test_the_tail_of_an_echo_is_echo() -> None:
    """The voice activity ends a little after a voice: the line's noise is then no caller."""
    agent = voice(1)
    agent[SAMPLE_RATE:] = 0
    heard = given_back(agent, 0.05, 15) + np.random.default_rng(3).standard_normal(len(agent)) * 8
    end = SAMPLE_RATE + round(0.05 * SAMPLE_RATE)
    assert all(judge(agent, heard[: end + 3 * WINDOW])[1])


def test_a_path_that_changes_is_found_anew() -> None:
    """A call that is forwarded has another line."""
    agent = voice(1, 4.0)
    heard = given_back(agent, 0.05, 20)
    heard[16_000:] = given_back(agent, 0.2, 15)[16_000:]
    _, found = judge(agent, heard)
    assert sum(not it for it in found) <= SPAN // WINDOW
    assert all(found[-20:])


def test_the_line_can_give_back_for_half_a_second() -> None:
    """Before anything was sent, and long after, nobody has to look."""
    echo = Echo()
    assert not echo.audible(Sample(0))
    echo.sent(Sample(8000), code(voice(1, 0.1)))
    assert echo.audible(Sample(9000))
    assert not echo.audible(Sample(8800 + LAG_MAX))


def test_silence_between_two_replies_keeps_its_length() -> None:
    """What was sent lies where the caller heard it, after any pause."""
    for quiet_s in (0.3, 2.0):
        agent = voice(1, 6.0)
        agent[SAMPLE_RATE : SAMPLE_RATE + round(quiet_s * SAMPLE_RATE)] = 0
        assert all(judge(agent, given_back(agent, 0.1, 20), since_s=4.0)[1])


def test_too_little_is_not_judged() -> None:
    """A path that is fitted to a moment would explain anything."""
    agent = voice(1)
    heard = code(given_back(agent, 0.0, 15))
    echo = Echo()
    echo.sent(Sample(0), code(agent[:480]))
    assert not echo.explains(heard[:400], Sample(400), WINDOW)
