"""The rebuilt network against the published one, which onnxruntime runs as it came."""

import numpy as np
import onnxruntime
import pytest

from trunkline.media import silero
from trunkline.media.vad import model_path
from trunkline.types import SAMPLE_RATE


@pytest.mark.parametrize("batch", [1, 7])
def test_the_rebuilt_network_says_what_the_published_one_says(batch: int) -> None:
    """Probabilities and states agree, window after window, for silence, noise and loud hum."""
    published = onnxruntime.InferenceSession(str(model_path()))
    rebuilt = onnxruntime.InferenceSession(silero.rebuild(model_path().read_bytes()))
    rng = np.random.default_rng(1)
    state = np.zeros((2, batch, silero.STATE // 2), np.float32)
    row = np.zeros((batch, silero.STATE), np.float32)
    hum = np.sin(np.arange(silero.INPUT) * 0.2)
    spread = []
    for number in range(40):
        noise = rng.normal(0, 0.1, (batch, silero.INPUT)) * (number % 5)
        audio = np.clip(noise + hum * (number % 3) / 2, -1, 1).astype(np.float32)
        given = {"input": audio, "state": state, "sr": np.array(SAMPLE_RATE, np.int64)}
        there, state = published.run(None, given)
        here, row = rebuilt.run(None, {"input": audio, "state": row})
        np.testing.assert_allclose(here, there, atol=1e-4)
        np.testing.assert_allclose(row, np.concatenate(state, axis=1), atol=1e-4)
        spread.append(float(there.max()))
    assert max(spread) > 2 * min(spread), "the audio has to move the network"


@pytest.mark.parametrize("model", [b"", b"\xff\xff", b"\x3a\x00", b"not a model at all"])
def test_another_file_is_told(model: bytes) -> None:
    """What is no such network is refused, also when it is cut within a number."""
    with pytest.raises(ValueError, match="not Silero's network"):
        silero.rebuild(model)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_is_told(share: float) -> None:
    """A download that broke off is refused, wherever it broke off."""
    whole = model_path().read_bytes()
    with pytest.raises(ValueError, match="not Silero's network"):
        silero.rebuild(whole[: int(len(whole) * share)])
