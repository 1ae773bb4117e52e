"""What the local servers of speech refuse to be told."""

import pytest

from trunkline.errors import InputError
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.faults import FaultScript
from trunkline.testing.simulated import SimStt


@pytest.mark.parametrize("fault", [{"kind": "hang", "on_turn": 2}, {"kind": "freeze"}])
def test_a_fault_that_a_speech_server_cannot_play_is_refused(fault: dict[str, object]) -> None:
    """It knows no turns, and shares its process with whoever started it."""
    with pytest.raises(InputError, match=r"on_turn|freeze"):
        DeepgramServer(SimStt("ears", ["hello"]), [FaultScript.parse(fault)])
