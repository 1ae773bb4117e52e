"""Voice activity: the real model, on speech, on silence and in batches."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trunkline.core.turns import Window
from trunkline.errors import InputError
from trunkline.media import g711, wav
from trunkline.media.vad import (
    HELD_SAMPLES_MAX,
    WINDOW_SAMPLES,
    VadPool,
    VadStream,
    model_path,
)

CLIP = Path(__file__).parent / "clips" / "flite_rms.wav"
"""2.4 s of CMU Flite's voice rms: "Hello, is there anything free?"."""
FRAME = 160


@pytest.fixture(scope="module")
def mulaw() -> bytes:
    """A second of silence, speech, a second of silence."""
    quiet: NDArray[np.int16] = np.zeros(8_000, np.int16)
    return g711.mulaw_encode(np.concatenate((quiet, wav.read(CLIP), quiet)))


def listen(pool: VadPool, stream: VadStream, mulaw: bytes) -> list[Window]:
    """What the pool says of *stream*, frame by frame of 20 ms, a tick after each."""
    windows: list[Window] = []
    for at in range(0, len(mulaw), FRAME):
        stream.feed(mulaw[at : at + FRAME])
        windows += [window for who, window in pool.tick() if who is stream]
    return windows


def test_speech_is_told_from_silence(mulaw: bytes) -> None:
    """Silence stays below 0.1, speech is above 0.5 nearly all the time, from 200 ms on."""
    pool = VadPool()
    with pool.join() as stream:
        windows = listen(pool, stream, mulaw)
    before = [w.probability for w in windows if w.end <= 8_000]
    speech = [w.probability for w in windows if 8_000 < w.end <= len(mulaw) - 8_000]
    after = [w.probability for w in windows if w.end > len(mulaw) - 4_000]
    assert max(before) < 0.1
    assert max(after) < 0.1
    assert np.mean(np.array(speech) > 0.5) > 0.85
    first = next(w.end for w in windows if w.probability > 0.5)
    assert 8_000 < first < 8_000 + 1_600


def test_windows_follow_each_other_without_a_gap(mulaw: bytes) -> None:
    """`end` counts the call's samples in steps of a window, whatever the size of a frame."""
    pool = VadPool()
    with pool.join() as stream:
        ends = [window.end for window in listen(pool, stream, mulaw)]
    assert ends == list(range(WINDOW_SAMPLES, len(mulaw) + 1, WINDOW_SAMPLES))


def test_a_batch_changes_nothing(mulaw: bytes) -> None:
    """A call among six others at other places of the audio gets the figures it gets alone."""
    alone, crowd = VadPool(), VadPool()
    with alone.join() as single:
        expected = listen(alone, single, mulaw)
    others = [crowd.join() for _ in range(6)]
    with crowd.join() as stream:
        windows: list[Window] = []
        for at in range(0, len(mulaw), FRAME):
            stream.feed(mulaw[at : at + FRAME])
            for shift, other in enumerate(others, start=1):
                other.feed(mulaw[at + shift * 1_700 : at + shift * 1_700 + FRAME])
            windows += [window for who, window in crowd.tick() if who is stream]
    assert [w.end for w in windows] == [w.end for w in expected]
    given = [w.probability for w in windows]
    assert given == pytest.approx([w.probability for w in expected], abs=1e-6)


def test_one_tick_catches_up(mulaw: bytes) -> None:
    """Half a second that arrived at once gives the same windows as in frames."""
    steady, pool = VadPool(), VadPool()
    with steady.join() as smooth, pool.join() as lumpy:
        expected = listen(steady, smooth, mulaw[:11_000])
        lumpy.feed(mulaw[:4_000])
        windows = [window for _, window in pool.tick()]
        lumpy.feed(mulaw[4_000:11_000])
        windows += [window for _, window in pool.tick()]
    assert [w.end for w in windows] == [w.end for w in expected]
    assert [w.probability for w in windows] == pytest.approx(
        [w.probability for w in expected], abs=1e-6
    )


def test_calls_that_began_at_different_ticks_have_their_windows_in_the_same_ticks() -> None:
    """Three ticks of eight have no window at all, and places still count the call's own samples."""
    pool, frame = VadPool(), b"\xff" * FRAME
    ticks: list[int] = []
    ends: dict[VadStream, int] = {}
    streams: list[VadStream] = []
    for number in range(40):
        if number < 8:
            streams.append(pool.join())
        for stream in streams:
            stream.feed(frame)
        judged = pool.tick()
        ticks.append(len(judged))
        ends |= {stream: window.end for stream, window in judged}
    assert ticks[8:] == [8 * (count // 8) for count in ticks[8:]]
    assert ticks[-8:].count(0) == 3
    assert len({ends[stream] for stream in streams}) == 8
    assert all((40 - n) * FRAME - WINDOW_SAMPLES < ends[s] for n, s in enumerate(streams))


@pytest.mark.parametrize("piece", [160, 5_000, 60_000])
def test_without_ticks_only_the_last_second_is_held(mulaw: bytes, piece: int) -> None:
    """A worker that stood still drops the oldest audio, says how much, and keeps its place."""
    pool = VadPool()
    audio = (mulaw * 2)[:60_000]
    with pool.join() as stream:
        for at in range(0, len(audio), piece):
            stream.feed(audio[at : at + piece])
        windows = [window for _, window in pool.tick()]
        assert stream.dropped_samples == len(audio) - HELD_SAMPLES_MAX
        assert len(windows) == HELD_SAMPLES_MAX // WINDOW_SAMPLES
        assert windows[0].end == len(audio) - HELD_SAMPLES_MAX + WINDOW_SAMPLES
        assert not pool.tick()
    with pool.join() as fresh:
        fresh.feed(audio[-HELD_SAMPLES_MAX:])
        expected = [window.probability for _, window in pool.tick()]
    # The context before the first window differs; soon after, it must be the very same audio.
    assert [w.probability for w in windows][8:] == pytest.approx(expected[8:], abs=0.1)


def test_a_call_that_left_is_not_judged(mulaw: bytes) -> None:
    """Leaving the context, or `close()` twice, takes the stream and its audio out of the pool."""
    pool = VadPool()
    with pool.join() as stream:
        stream.feed(mulaw[:1_000])
        assert len(pool) == 1
    stream.close()
    assert len(pool) == 0
    assert pool.tick() == []


def test_a_missing_package_says_how_to_install_it() -> None:
    """The operator gets the command, not an ImportError."""
    with pytest.raises(InputError, match=r"pip install --no-deps silero-vad==6\.2\.3"):
        model_path("no_such_package")


def test_a_package_without_the_model_is_told() -> None:
    """A package that has no such data file is named with the path that is missing."""
    with pytest.raises(InputError, match=r"without .*silero_vad\.onnx"):
        model_path("hypothesis")


def test_a_broken_model_is_told(tmp_path: Path) -> None:
    """A truncated download is the operator's to mend, not a crash of the runtime."""
    broken = tmp_path / "silero_vad.onnx"
    broken.write_bytes(model_path().read_bytes()[:100_000])
    with pytest.raises(InputError, match="is not the model"):
        VadPool(broken)
