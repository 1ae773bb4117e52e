"""Public incidents of other systems over real sockets: see docs/incidents.md.

One of each stage is played, with the same call unfaulted beside it; all of them are
`trunkline incidents --real-time`.
"""

import asyncio

import pytest

from trunkline.testing.incidents.files import folder, load_all
from trunkline.testing.incidents.wires import replay_real, wired

ONE_OF_EACH = ("tensorzero-6328", "omi-12459", "pipecat-5026")


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_an_incident_on_sockets(name: str) -> None:
    """It passes as in virtual time; a machine that is too busy to judge does not count."""
    (verdict,) = asyncio.run(replay_real(load_all(folder(), [name])))
    if verdict.disturbed:
        pytest.skip(f"this machine is too busy: {verdict.problems}")
    assert verdict.passed, verdict


def test_what_has_no_wire_is_not_pretended() -> None:
    """Only an outage of the records and refused prefills are left out."""
    left_out = {it.name for it in load_all(folder()) for call in it.calls if not wired(call)}
    assert left_out == {"vapi-2026-05-21", "litellm-27967"}
