"""From configuration to a stage of a vendor's language model."""

import pytest

from tests.providers.test_registry import FILE, in_a_worker, refused
from trunkline.config.load import parse
from trunkline.config.providers import hosts
from trunkline.contracts import Context
from trunkline.errors import EgressRefused
from trunkline.net.gate import EgressDecision, Gate
from trunkline.providers.reaching import Resources
from trunkline.providers.registry import build
from trunkline.testing.virtual_loop import Refused
from trunkline.types import CallId, DataClass, Message, Prompt, Where


@pytest.mark.parametrize(
    ("api", "address"),
    [
        ("anthropic", "api.anthropic.com:443"),
        ("gemini", "generativelanguage.googleapis.com:443"),
        ("openai_responses", "api.openai.com:443"),
    ],
)
def test_a_language_model_of_a_vendor_is_reached_by_its_name_alone(api: str, address: str) -> None:
    """It knows its own address, and its options come from the file."""
    noted: list[EgressDecision] = []
    text = FILE.replace(
        "stage: llm, api: openai, model: m, zone: here, failure_domain: c",
        f"stage: llm, api: {api}, model: m, zone: here, failure_domain: c, "
        "options: {extra: {top_p: 0.9}}",
    )

    async def test(resources: Resources) -> None:
        noting = Resources(resources.session, Gate(noted.append), {})
        stage = build(parse(text, "phones.yaml"), "spare", noting)
        prompt = Prompt((Message("user", "hi"),))
        with pytest.raises(EgressRefused):
            await stage.open(prompt, Context(Where(CallId("c")), DataClass.RECORDING)).__aenter__()
        assert [decision.destination for decision in noted] == [address]

    in_a_worker(test)
    settings = parse(text, "phones.yaml").endpoints["spare"]
    assert hosts(settings) == [address.rpartition(":")[0]], "the catalogue thinks otherwise"
    for wrong, says in (
        (text.replace("extra:", "extar:"), "mean 'extra'?"),
        (text.replace("{top_p: 0.9}", "0.9"), "option extra is 0.9"),
        (
            text.replace("failure_domain: c,", "failure_domain: c, continuation: token_exact,"),
            "turn",
        ),
    ):
        said = refused(wrong, "spare")
        assert said.startswith("phones.yaml:6: endpoints.spare: ")
        assert says in said


def test_a_model_whose_zone_takes_pseudonyms_only_gets_nothing_else() -> None:
    """The bytes that would leave hold no name, and the gate is told what they are."""
    noted: list[EgressDecision] = []
    text = FILE.replace("audio, prompt, speech_text", "audio, pseudonymised, speech_text")

    async def test(resources: Resources) -> None:
        noting = Resources(resources.session, Gate(noted.append), {})
        stage = build(parse(text, "phones.yaml"), "mind", noting)
        prompt = Prompt((Message("user", "my name is sarah miller"),))
        context = Context(Where(CallId("c")), DataClass.PROMPT)
        with pytest.raises(Refused):  # by the test's loop: it was let out, and there is no network
            async with stage.open(prompt, context):
                pass

    in_a_worker(test)
    assert [(it.data_class, it.allowed) for it in noted] == [(DataClass.PSEUDONYMISED, True)]
