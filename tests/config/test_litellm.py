"""LiteLLM's configuration becomes ours; whatever is not carried over is said, with its line."""

from typing import Any

import pytest
import yaml

from trunkline.config.litellm import Imported, converted
from trunkline.config.load import parse
from trunkline.errors import ConfigError

FILE = """\
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-endpoint.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: "2024-06-01"
      rpm: 6
  - model_name: gpt-4o
    litellm_params:
      model: gpt-4o
      api_key: sk-literal
      temperature: 0.2
      max_tokens: 300
      extra_body: {service_tier: priority}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, temperature: 0.1}
    model_info: {mode: chat}
  - model_name: ours
    litellm_params: {model: hosted_vllm/llama-3, api_base: "http://127.0.0.1:8000/v1"}
router_settings:
  routing_strategy: least-busy
  fallbacks: [{gpt-4o: [claude]}]
litellm_settings:
  default_fallbacks: [ours]
"""
Made = dict[str, Any]


def made(text: str) -> tuple[Made, Imported]:
    """What is made of *text*, which must be good as it is."""
    imported = converted(text, "config.yaml")
    assert not imported.wrong
    parse(imported.text, "ours.yaml")
    return yaml.safe_load(imported.text), imported


def noted(imported: Imported, place: str) -> str:
    """The one note about *place*."""
    (note,) = [note for note in imported.notes if f" {place}: " in note]
    return note


def test_a_group_is_an_agent_whose_route_goes_on_with_its_fallbacks() -> None:
    """Deployments of one name first, in the order of the file; then the groups behind it."""
    ours, _ = made(FILE)
    routes = {name: agent["routes"]["llm"] for name, agent in ours["agents"].items()}
    assert routes == {
        "gpt-4o": ["gpt-4o", "gpt-4o-2", "claude"],
        "claude": ["claude", "ours"],
        "ours": ["ours"],
    }


def test_an_endpoint_is_where_and_how_litellm_reaches_it() -> None:
    """Azure's address has the deployment; a key is the name of its variable; vLLM continues."""
    ours, _ = made(FILE)
    azure, openai, claude, vllm = (
        ours["endpoints"][name] for name in ("gpt-4o", "gpt-4o-2", "claude", "ours")
    )
    home = "https://my-endpoint.openai.azure.com/openai/deployments/gpt-4o-eu"
    assert (azure["base_url"], azure["key_env"]) == (home, "AZURE_API_KEY_EU")
    assert azure["options"] == {"key_header": "api-key", "api_version": "2024-06-01"}
    assert openai["options"] == {
        "limit_field": "max_tokens",
        "extra": {"temperature": 0.2, "max_tokens": 300, "service_tier": "priority"},
    }
    assert (claude["api"], claude["key_env"]) == ("anthropic", "ANTHROPIC_API_KEY")
    assert (vllm["continuation"], vllm["key_env"]) == ("prefix", None)
    assert ours["zones"]["azure"]["accepts"] == ["prompt", "tool"]


def test_what_is_not_carried_over_is_said_by_line_and_reason() -> None:
    """Also what LiteLLM would have read of the environment, and what it does not have at all."""
    _, imported = made(FILE)
    rpm = "config.yaml:8: model_list[0].litellm_params.rpm: not carried over: endpoints that push"
    assert noted(imported, "model_list[0].litellm_params.rpm").startswith(rpm)
    assert "learns" in noted(imported, "router_settings.routing_strategy")
    assert "not known here" in noted(imported, "model_list[2].litellm_params.temperature")
    assert any(
        "config.yaml:17: no api_key: LiteLLM would read ANTHROPIC" in n for n in imported.notes
    )
    assert any("no speech" in note for note in imported.notes)


def test_no_secret_is_repeated() -> None:
    """A literal key is replaced by the name of a variable that is to hold it."""
    text = FILE + "general_settings: {master_key: sk-master}\nenvironment_variables: {K: sk-env}\n"
    _, imported = made(text)
    everything = imported.text + "\n".join(imported.notes)
    assert not any(secret in everything for secret in ("sk-literal", "sk-master", "sk-env"))
    assert "export it as OPENAI_API_KEY" in noted(imported, "model_list[1].litellm_params.api_key")
    low = FILE.replace("os.environ/AZURE_API_KEY_EU", "os.environ/azure_key")
    assert "in capitals" in noted(made(low)[1], "model_list[0].litellm_params.api_key")


PLACES = [
    (),
    ("model_list", 0),
    ("model_list", 0, "litellm_params"),
    ("model_list", 2, "model_info"),
    ("router_settings",),
    ("litellm_settings",),
]


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("value", ["1", "[a, {b: c}]", "{}", "null"])
def test_nothing_is_dropped_in_silence(place: tuple[str | int, ...], value: str) -> None:
    """A key that this importer has never heard of is named, wherever it stands."""
    tree = yaml.safe_load(FILE)
    here = tree
    for key in place:
        here = here[key]
    here["novelty"] = yaml.safe_load(value)
    notes = converted(yaml.safe_dump(tree), "config.yaml").notes
    assert any("novelty" in note for note in notes)


@pytest.mark.parametrize(
    ("deployment", "reason"),
    [
        ("{model_name: x, litellm_params: {model: bedrock/y}}", "protocol is not known"),
        ("{model_name: x, litellm_params: {model: mystery}}", "protocol is not known"),
        ("{model_name: x, litellm_params: {model: openai/*}}", "wildcard"),
        ("{model_name: x, litellm_params: {model: azure/y}}", "address"),
        ("{model_name: x, litellm_params: {model: openai/y, api_base: os.environ/B}}", "address"),
        ("{model_name: x}", "no litellm_params.model"),
        ("text", "no litellm_params.model"),
        (
            "{model_name: x, litellm_params: {model: openai/y}, model_info: {mode: embedding}}",
            "mode embedding",
        ),
    ],
)
def test_a_deployment_that_cannot_be_an_endpoint_is_left_out_and_named(
    deployment: str, reason: str
) -> None:
    """So are the fallbacks onto its group."""
    text = FILE.replace("router_settings", f"  - {deployment}\nrouter_settings")
    text = text.replace("[claude]", "[claude, x]")
    ours, imported = made(text)
    assert len(ours["endpoints"]) == 6
    assert reason in noted(imported, "model_list[4]")
    assert "no endpoint" in noted(imported, "router_settings.fallbacks[0].gpt-4o[1]")


def test_a_fallback_of_a_group_that_is_none_is_named() -> None:
    """It leads nowhere."""
    _, imported = made(FILE.replace("{gpt-4o: [claude]}", "{nobody: [claude]}"))
    assert "no endpoint was made" in noted(imported, "router_settings.fallbacks[0].nobody")


def test_a_route_that_is_too_long_says_who_is_left_out() -> None:
    """A route has eight endpoints at most."""
    more = "  - {model_name: many, litellm_params: {model: openai/m}}\n" * 10
    ours, imported = made(FILE.replace("router_settings", f"{more}router_settings"))
    assert len(ours["agents"]["many"]["routes"]["llm"]) == 8
    assert any("at most 8: without many-9, many-10" in note for note in imported.notes)


def test_what_would_not_be_taken_is_said_with_the_result() -> None:
    """A key over an unencrypted line: the file is made, and the reason why it is not good yet."""
    imported = converted(
        "model_list: [{model_name: Ü, litellm_params: {model: openai/m, api_key: os.environ/K,"
        ' custom_llm_provider: openai, api_base: "http://far.example/v1"}}]',
        "config.yaml",
    )
    assert imported.wrong
    assert "travel unencrypted" in imported.notes[-1]


@pytest.mark.parametrize(
    "text", ["- a", "models: []", "model_list: {}", "a: 1\na: 2\nmodel_list: []"]
)
def test_another_kind_of_file_is_refused(text: str) -> None:
    """Before anything is made of it."""
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        converted(text, "config.yaml")
