"""Worked cases get the defensible answer, with its reasons, whatever the seed."""

from datetime import date

import pytest

from tests.decide.cases_of import CASES, expected, study
from trunkline.config.load import parse
from trunkline.console.checking import check
from trunkline.decide import offers
from trunkline.decide.study import explain
from trunkline.decide.topology import configuration
from trunkline.decide.words import answer

TODAY = date(2026, 11, 23)


def test_there_are_a_dozen_cases() -> None:
    """The tests below would hold for none."""
    assert len(CASES) >= 12
    assert {expected(name).picked for name in CASES} >= {None, "managed", "customer_vpc"}


@pytest.mark.parametrize("name", CASES)
def test_a_case_gets_its_answer_and_other_seeds_do_not_flip_it(name: str) -> None:
    """The topology, and whether a constraint forced it, are those of the case."""
    want = expected(name)
    for seed in (1, 2, 3, 5, 8):
        found = study(name, seed)
        picked = None if found.picked is None else found.picked.name
        assert (picked, found.forced) == (want.picked, want.forced), f"seed {seed}"


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_its_reasons_and_what_was_ruled_out(name: str) -> None:
    """Each with its evidence; the options are those that the case names."""
    want, found = expected(name), study(name)
    told = answer(found, TODAY)
    reasons = "\n".join(told.reasons)
    assert all(words in reasons for words in want.because)
    out = {it.option: it for it in found.choice.eliminated}
    assert set(want.out) <= set(out)
    assert all(it.reason and it.evidence and it.relax for it in out.values())
    if found.picked is None:
        assert told.changes
    else:
        assert len(told.reasons) == 3
        options = found.picked.cost.topology.options
        assert {stage: options[stage].name for stage in want.options} == want.options


@pytest.mark.parametrize("name", [it for it in CASES if expected(it).picked])
async def test_the_topology_of_a_case_is_a_configuration(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`trunkline check --no-dial` accepts it once its keys are there, and its law is the needs'."""
    found = study(name)
    config = parse(configuration(found, offers.shipped()), "topology.yaml")
    for endpoint in config.endpoints.values():
        assert endpoint.key_env is not None
        monkeypatch.setenv(endpoint.key_env, "a-key")
    assert (await check(config, dial=False)).well
    law = found.needs.law
    assert {zone.jurisdiction for zone in config.zones.values()} <= set(law.jurisdictions)
    assert not {zone.kind for zone in config.zones.values()} & set(law.forbidden)


def test_the_explanation_says_what_would_change_the_answer() -> None:
    """A close call has a break-even near by, a tornado, and something that is worth knowing."""
    found = explain(study("close-call"))
    near = next(it for it in found.break_even if it.topology.name.endswith("tts self_hosted"))
    low, mid, high = near.minutes
    assert 2e6 < low < mid < high < 3e7
    assert low < found.needs.traffic.minutes_per_month < high
    assert found.tornado[0].width >= found.tornado[-1].width > 0
    assert found.know_all_usd > 0
    assert all(0 < it.usd <= found.know_all_usd * 1.05 for it in found.know)
    assert any("volume:" in it for it in answer(found, TODAY).changes)
