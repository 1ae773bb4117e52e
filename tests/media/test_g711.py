"""G.711, value by value."""

import hashlib
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from trunkline.media import g711

CODES = bytes(range(256))
EVERY: NDArray[np.int16] = np.arange(65_536, dtype=np.uint16).view(np.int16)

# SHA-256 of what CPython 3.11's audioop gives for EVERY and CODES: holds where audioop is gone.
DIGESTS = {
    "lin2ulaw": "617fa4850d68d3906597e949f7625fb2fc46db479e29707f33159b3d131721cb",
    "lin2alaw": "f77c76aa923ee25617453f87514828a12896227f82ff383bf3bb53d6ac7c2a0f",
    "ulaw2lin": "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827",
    "alaw2lin": "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174",
}


def ours() -> dict[str, bytes]:
    """Our four tables, in the order and form of the reference."""
    return {
        "lin2ulaw": g711.mulaw_encode(EVERY),
        "lin2alaw": g711.alaw_encode(EVERY),
        "ulaw2lin": g711.mulaw_decode(CODES).astype("<i2").tobytes(),
        "alaw2lin": g711.alaw_decode(CODES).astype("<i2").tobytes(),
    }


@pytest.mark.parametrize("table", DIGESTS)
def test_every_value_is_that_of_the_reference(table: str) -> None:
    """All 65,536 samples and all 256 codes, against the committed digest of audioop's answer."""
    assert hashlib.sha256(ours()[table]).hexdigest() == DIGESTS[table]


@pytest.mark.parametrize("table", DIGESTS)
def test_the_digests_are_audioops(table: str) -> None:
    """Where audioop still exists, it gives the same bytes as we do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="left the standard library in 3.13")
    given = EVERY.astype("<i2").tobytes() if table.startswith("lin2") else CODES
    assert getattr(audioop, table)(given, 2) == ours()[table]


def test_the_corners_that_the_recommendation_prints() -> None:
    """Silence, full scale and the codes at the ends, as G.711 has them."""
    assert g711.mulaw_encode(np.array([0, 32_767, -32_768], np.int16)) == bytes([0xFF, 0x80, 0x00])
    assert g711.alaw_encode(np.array([0, 32_767, -32_768], np.int16)) == bytes([0xD5, 0xAA, 0x2A])
    assert g711.mulaw_decode(bytes([0x80, 0x00, 0xFF, 0x7F])).tolist() == [32_124, -32_124, 0, 0]
    assert g711.alaw_decode(bytes([0xAA, 0x2A, 0xD5, 0x55])).tolist() == [32_256, -32_256, 8, -8]


def test_a_decoded_code_encodes_to_itself() -> None:
    """Passing through our ears twice loses no more than once (mu-law's two zeros become one)."""
    assert g711.alaw_encode(g711.alaw_decode(CODES)) == CODES
    assert g711.mulaw_encode(g711.mulaw_decode(CODES)) == CODES.replace(b"\x7f", b"\xff")


def test_samples_of_another_width_are_refused() -> None:
    """32-bit samples would come out as noise at full scale: they are a bug of the caller."""
    with pytest.raises(TypeError, match="int16 samples, not int32"):
        g711.mulaw_encode(np.zeros(160, np.int32))


def test_strided_samples_are_taken_in_order() -> None:
    """One channel of an interleaved tape is encoded as if it were a copy."""
    stereo = EVERY.reshape(-1, 2)
    assert g711.mulaw_encode(stereo[:, 1]) == g711.mulaw_encode(stereo[:, 1].copy())
