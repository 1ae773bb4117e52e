"""A call whose only backup is beyond the border: it apologises rather than crosses."""

import logging
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.calls.scenes import APOLOGY, HANGS_UP, Scene, says
from trunkline.calls.steps import in_log
from trunkline.contracts import Context
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.net.gate import EgressDecision, Gate
from trunkline.testing.simulated import HERE, Beat, endpoint, tokens
from trunkline.types import (
    LLM,
    CallId,
    ClassPolicy,
    DataClass,
    Delta,
    Prompt,
    ResidencyPolicy,
    TextDelta,
    Where,
)

AT_HOME = ClassPolicy(frozenset({"EU"}), frozenset({"managed"}), 0.0)
POLICY = ResidencyPolicy(frozenset({"EU"}), {DataClass.PROMPT: AT_HOME})
ABROAD = replace(
    endpoint("backup", LLM),
    zone=replace(HERE, name="us", kind="managed", jurisdiction="US"),
    policy=POLICY,
)
QUOTED = "no good: 'my name is Marla Quist'"


async def test_a_failover_never_crosses_a_forbidden_border() -> None:
    """The gate refuses, nothing of the backup is heard, and the caller gets the apology."""
    decided: list[EgressDecision] = []
    gate = Gate(decided.append)

    def backup(_: Prompt) -> Iterable[Beat[Delta]]:
        context = Context(Where(CallId("c")), DataClass.PROMPT)
        gate.admit(ABROAD, context, "us.example.com:443")
        return tokens("Hello from abroad.")

    def primary(_: Prompt) -> Iterable[Beat[Delta]]:
        return [(0.1, EndpointError("primary", Fault.UNAVAILABLE, "down"))]

    scene = await Scene([says(), HANGS_UP], ["yes"], primary, backup).play()
    assert scene.texts_heard()[-1] == APOLOGY
    assert not any("abroad" in text for text in scene.texts_heard())
    assert decided
    assert {(it.allowed, it.rule) for it in decided} == {
        (False, "residency.classes.prompt.jurisdictions lacks US")
    }
    refused = [
        it.data for it in scene.journal.of("attempt.ended") if it.data["endpoint"] == "backup"
    ]
    assert "residency.classes.prompt.jurisdictions lacks US" in str(refused[0]["detail"])


async def test_what_is_refused_is_not_asked_again_in_every_turn() -> None:
    """It is the configuration that is wrong, so nobody waits for it a second time."""
    refusal = EgressRefused("primary", "us", "prompt", "a rule")

    def primary(_: Prompt) -> Iterable[Beat[Delta]]:
        raise refusal

    scene = await Scene(
        [says(), says(), HANGS_UP], ["yes", "and"], primary, lambda _: tokens("Backup.")
    ).play()
    assert scene.texts_heard()[1:] == ["Backup.", "Backup."]
    assert len(scene.llms[0].prompts) == 1


@pytest.mark.parametrize("open_house", [True, False])
def test_the_words_of_a_provider_are_logged_only_where_no_policy_is(open_house: bool) -> None:
    """They may be a caller's, quoted."""
    asked = endpoint("m", LLM) if open_house else replace(endpoint("m", LLM), policy=POLICY)
    told = in_log(asked, EndpointError("m", Fault.REFUSED, QUOTED))
    assert ("Marla" in told) is open_house
    assert "refused" in told
    assert "a rule" in in_log(asked, EgressRefused("m", "us", "prompt", "a rule"))


async def test_the_log_of_a_call_has_nothing_that_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever goes wrong in it, unless a provider quotes it and there is no policy."""

    def model(_: Prompt) -> Iterable[Beat[Delta]]:
        return [
            (0.1, TextDelta("Quite secret, ")),
            (0.1, EndpointError("primary", Fault.CUT, "gone")),
        ]

    with caplog.at_level(logging.DEBUG):
        scene = await Scene([says(), HANGS_UP], ["Marla Quist"], model, model).play()
    assert any("Marla" in str(it.data) for it in scene.journal.of("transcript.final"))
    assert caplog.text
    assert "Marla" not in caplog.text
    assert "secret" not in caplog.text
