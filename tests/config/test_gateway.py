"""The part of a configuration that says what other programs may ask."""

import re
from pathlib import Path

import pytest

from tests.config.test_load import GOOD, refusal
from trunkline.config.load import parse
from trunkline.config.models import Config
from trunkline.console.gatewaying import clients, keys
from trunkline.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "gateway.md"
WITH = (
    GOOD
    + """\
gateway:
  models:
    fast: {llm: [mind]}
  keys:
    app: {key_env: APP_KEY, models: [fast]}
"""
)


def changed(old: str, new: str) -> str:
    """The good file with one thing of its gateway changed."""
    assert old in WITH
    return WITH.replace(old, new)


def config(text: str) -> Config:
    """*text* as it is read."""
    return parse(text, "phones.yaml")


def test_the_page_shows_a_gateway_that_loads() -> None:
    """A reader may copy it."""
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    shown = shown.replace("primary, backup", "mind")
    gateway = config(GOOD + shown).gateway
    assert gateway is not None
    assert gateway.models["careful"].hold == "sentence"
    assert gateway.keys["my-bot"].models == ("fast",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{llm: [mind]}", "{hold: none}", "give exactly one of llm, stt and tts"),
        ("{llm: [mind]}", "{llm: [mnid]}", "there is no endpoint 'mnid'"),
        ("{llm: [mind]}", "{llm: [ears]}", "'ears' is of stage 'stt'"),
        ("models: [fast]", "models: [slow]", "there is no model 'slow'"),
        ("key_env: APP_KEY", "key: sk-1", "a literal secret"),
        ("  keys:\n", "  at_once_max: 0\n  keys:\n", "at_once_max"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, told: str) -> None:
    """Before the first request."""
    error = refusal(changed(old, new))
    assert told in str(error)
    assert error.line is not None


@pytest.mark.parametrize(("host", "bad"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)])  # noqa: S104  # that is what is tested
def test_without_keys_only_this_machine_may_ask(host: str, bad: bool) -> None:
    """Whoever reaches the port could use the models."""
    text = GOOD + f'gateway: {{models: {{fast: {{llm: [mind]}}}}}}\nserver: {{host: "{host}"}}\n'
    if bad:
        assert "anybody" in str(refusal(text))
    else:
        assert config(text).gateway is not None


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not set, or is another client's, is an error at the start."""
    gateway = config(WITH).gateway
    monkeypatch.delenv("APP_KEY", raising=False)
    with pytest.raises(InputError, match="APP_KEY"):
        keys(gateway)
    monkeypatch.setenv("APP_KEY", "k1")
    assert keys(gateway).client("Bearer k1").may_use("fast")
    twice = config(WITH + "    bot: {key_env: APP_KEY}\n").gateway
    with pytest.raises(InputError, match="same key"):
        keys(twice)


def test_the_door_makes_room_for_clients() -> None:
    """If there is a gateway."""
    assert (clients(None).path, clients(config(WITH).gateway).path) == ("", "/v1/")
