"""Each incident that ships passes, and fails under a policy that knows no failover."""

import logging

import pytest

from trunkline.testing.incidents.files import folder, load_all
from trunkline.testing.incidents.replay import replay

READ = {it.name: it for it in load_all(folder()) if it.read}
HEARD = ("dead air", "words lost", "words repeated", "caller words", "turns dropped")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are the subject here: their log lines are not."""
    caplog.set_level(logging.CRITICAL, "trunkline.calls")


@pytest.mark.parametrize("name", READ)
def test_what_befell_others_does_not_befall_our_callers(name: str) -> None:
    """All that the file demands, in each of its calls."""
    told = {it.call: it.problems for it in replay(READ[name])}
    assert told == {call.name: () for call in READ[name].calls}


@pytest.mark.parametrize("name", READ)
def test_without_failover_it_does(name: str) -> None:
    """Each call then fails, by something that its caller hears: so the check can fail."""
    for verdict in replay(READ[name], crippled=True):
        assert [it for it in verdict.problems if it.startswith(HEARD)], verdict


def test_the_same_seed_gives_the_same_verdicts() -> None:
    """Twice the same figures; another seed is another call."""
    incident = READ["litellm-40404"]
    assert replay(incident, 3) == replay(incident, 3)
    assert {it.seed for it in replay(incident, 4)} == {4}
