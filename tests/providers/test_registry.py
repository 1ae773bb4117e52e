"""From configuration to running stages: which api serves, and what starts and ends when."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from typing_extensions import override

from trunkline.config.endpoints import EndpointConfig
from trunkline.config.load import ConfigErrors, parse
from trunkline.config.models import Config
from trunkline.contracts import Context
from trunkline.errors import ConfigError, EndpointError, Fault, InputError
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage, client_session
from trunkline.providers.opening import CLOSE_S, START_S, open_route_stages, route
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.providers.registry import GROUP, Apis, build, with_plugins
from trunkline.testing.virtual import run
from trunkline.types import (
    LLM,
    STT,
    TTS,
    Endpoint,
)

FILE = """\
version: 1
zones:
  here: {kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
    baa: false, dpa: false, accepts: [audio, prompt, speech_text]}
endpoints:
  spare: {stage: llm, api: openai, model: m, zone: here, failure_domain: c}
  mind: {stage: llm, api: openai, model: m, base_url: "http://127.0.0.1:1/v1",
    zone: here, failure_domain: a}
  ears: {stage: stt, api: fake, model: m, zone: here, failure_domain: b}
  voice: {stage: tts, api: fake, model: m, zone: here, failure_domain: b}
agents:
  clerk: {routes: {stt: [ears], llm: [mind], tts: [voice]}}
  night: {routes: {stt: [ears], llm: [mind], tts: [voice]}}
"""


class Engine:
    """A stage with a life that writes down what happens to it."""

    def __init__(
        self, endpoint: Endpoint, diary: list[str], start_s: float, close_s: float
    ) -> None:
        self.endpoint = endpoint
        self._diary, self._start_s, self._close_s = diary, start_s, close_s

    def open(
        self, source: object, context: Context, /
    ) -> AbstractAsyncContextManager[AsyncIterator[object]]:
        """Nobody opens it here."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start after a while."""
        self._diary.append(f"start {self.endpoint.name}")
        await asyncio.sleep(self._start_s)

    async def close(self) -> None:
        """Close after a while."""
        await asyncio.sleep(self._close_s)
        self._diary.append(f"close {self.endpoint.name}")


def fakes(diary: list[str], *, start_s: float = 0.0, close_s: float = 0.0) -> Apis:
    """The built-in apis and `fake` ones; *start_s* and *close_s* are the voice's."""

    def ears(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
        return Engine(endpoint, diary, 0, 0)

    def voice(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
        return Engine(endpoint, diary, start_s, close_s)

    return {**with_plugins([]), (STT, "fake"): ears, (TTS, "fake"): voice}


def in_a_worker(test: Callable[[Resources], Coroutine[Any, Any, None]], **environ: str) -> None:
    """Run *test* in virtual time with the resources of a worker."""

    async def main() -> None:
        async with client_session() as session:
            await test(Resources(session, Gate(lambda _: None), environ))

    run(main())


def refused(text: str, name: str, **environ: str) -> str:
    """What building endpoint *name* of *text* is refused with."""
    said: list[str] = []

    async def test(resources: Resources) -> None:
        with pytest.raises(ConfigError) as caught:
            build(parse(text, "phones.yaml"), name, resources, fakes([]))
        said.append(str(caught.value))

    in_a_worker(test, **environ)
    return said[0]


def file() -> Config:
    """The configuration of most tests."""
    return parse(FILE, "phones.yaml")


def test_every_endpoint_in_use_is_started_once_and_closed_in_reverse() -> None:
    """Two agents share the engines; an endpoint that no route names is not even built."""
    diary: list[str] = []

    async def test(resources: Resources) -> None:
        async with open_route_stages(file(), resources, fakes(diary)) as stages:
            assert list(stages) == ["mind", "ears", "voice"]
            assert diary == ["start ears", "start voice"]
            routes = route(file(), "night", stages)
            assert routes == {
                STT: (stages["ears"],),
                LLM: (stages["mind"],),
                TTS: (stages["voice"],),
            }
        assert diary[2:] == ["close voice", "close ears"]

    in_a_worker(test)


def test_an_openai_endpoint_is_a_stage_over_http() -> None:
    """The built-in api is reached by its name; the stage knows its endpoint."""

    async def test(resources: Resources) -> None:
        stage = build(file(), "mind", resources)
        assert isinstance(stage, SseStage)
        assert (stage.endpoint.name, stage.endpoint.zone.name) == ("mind", "here")

    in_a_worker(test)


def test_an_unknown_api_is_told_the_known_ones_of_its_stage() -> None:
    """The error points to the line and does not offer a recogniser for a model."""
    text = FILE.replace("voice: {stage: tts, api: fake", "voice: {stage: tts, api: espaek")
    said = refused(text, "voice")
    assert said.startswith("phones.yaml:10: endpoints.voice.api: there is no api 'espaek' for tts.")
    assert "Did you mean 'espeak'?" in said
    assert (
        "Known for tts: cartesia, deepgram_aura, elevenlabs, espeak, fake, livekit, openai" in said
    )
    assert "pocketsphinx" not in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (', base_url: "http://127.0.0.1:1/v1"', "", "base_url is missing"),
        ("failure_domain: a", "failure_domain: a, key_env: MIND_KEY", "MIND_KEY (key_env) is not"),
        ("failure_domain: a", "failure_domain: a, options: {extr: {}}", "mean 'extra'?"),
        ("failure_domain: a", "failure_domain: a, options: {connect_s: 1}", "unknown options"),
        ("failure_domain: a", "failure_domain: a, options: {key_header: key}", "api-key"),
        ("failure_domain: a", "failure_domain: a, options: {limit_field: max}", "max_tokens"),
        ("failure_domain: a", "failure_domain: a, options: {api_version: 1}", "Use a text"),
    ],
)
def test_what_an_openai_endpoint_cannot_work_with_is_refused(old: str, new: str, says: str) -> None:
    """What the api finds wrong comes with the line of the endpoint; no option is ignored."""
    assert old in FILE
    said = refused(FILE.replace(old, new), "mind")
    assert said.startswith("phones.yaml:7: endpoints.mind: ")
    assert says in said


def test_a_key_that_is_set_but_broken_is_refused_without_showing_it() -> None:
    """A line break in a key is found at the start, not by the first caller."""
    text = FILE.replace("failure_domain: a", "failure_domain: a, key_env: MIND_KEY")
    said = refused(text, "mind", MIND_KEY="sk-1234\n")
    assert "phones.yaml:7" in said
    assert "sk-1234" not in said


def test_a_key_comes_from_the_named_variable_alone() -> None:
    """With the variable set the endpoint is built."""
    text = FILE.replace("failure_domain: a", "failure_domain: a, key_env: MIND_KEY")

    async def test(resources: Resources) -> None:
        stage = build(parse(text, "phones.yaml"), "mind", resources)
        assert "sk-1234" not in repr(stage)

    in_a_worker(test, MIND_KEY="sk-1234")


@pytest.mark.parametrize(("stage", "api"), [("stt", "pocketsphinx"), ("tts", "espeak")])
@pytest.mark.parametrize(
    "extra",
    [
        "base_url: http://127.0.0.1:1",
        "key_env: SOME_KEY",
        'replicas: ["http://127.0.0.1:1", "http://127.0.0.1:2"]',
        "connect: {deadline_s: 1}",
        "tls: {ca_file: ca.pem}",
    ],
)
def test_an_embedded_engine_takes_no_address_and_no_key(stage: str, api: str, extra: str) -> None:
    """What would be ignored is refused."""
    text = FILE.replace(f"stage: {stage}, api: fake", f"stage: {stage}, api: {api}, {extra}")
    name = {"stt": "ears", "tts": "voice"}[stage]
    assert f"has no {extra.partition(':')[0]}" in refused(text, name)


def test_all_endpoints_that_cannot_be_built_are_told_at_once_and_none_is_started() -> None:
    """A wrong file costs nothing: the errors come before the first engine starts."""
    diary: list[str] = []
    text = FILE.replace("stage: stt, api: fake", "stage: stt, api: nothing")
    text = text.replace(', base_url: "http://127.0.0.1:1/v1"', "")

    async def test(resources: Resources) -> None:
        with pytest.raises(ConfigErrors) as caught:
            async with open_route_stages(parse(text, "p.yaml"), resources, fakes(diary)):
                pytest.fail("nothing may be opened")
        assert [error.line for error in caught.value.errors] == [7, 9]
        assert diary == []

    in_a_worker(test)


def test_an_engine_that_does_not_start_is_an_error_and_the_others_are_closed() -> None:
    """A start has a deadline; what it left behind is closed like the rest."""
    diary: list[str] = []

    async def test(resources: Resources) -> None:
        with pytest.raises(EndpointError) as caught:
            async with open_route_stages(file(), resources, fakes(diary, start_s=1e6)):
                pytest.fail("it must not open")
        assert (caught.value.endpoint, caught.value.fault) == ("voice", Fault.SILENT)
        assert caught.value.deadline_s == START_S
        assert diary == ["start ears", "start voice", "close voice", "close ears"]

    in_a_worker(test)


def test_what_an_engine_finds_wrong_when_it_starts_has_its_line_too() -> None:
    """An engine knows its voices only when it runs; the operator is told where to mend."""
    diary: list[str] = []

    class Mute(Engine):
        @override
        async def start(self) -> None:
            raise InputError("voice: there is no voice 'tenor'. Use 'en-us'")

    def voice(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
        return Mute(endpoint, diary, 0, 0)

    async def test(resources: Resources) -> None:
        apis = {**fakes(diary), (TTS, "fake"): voice}
        with pytest.raises(ConfigError) as caught:
            async with open_route_stages(file(), resources, apis):
                pytest.fail("it must not open")
        said = "phones.yaml:10: endpoints.voice: there is no voice 'tenor'. Use 'en-us'"
        assert str(caught.value) == said
        assert diary == ["start ears", "close voice", "close ears"]

    in_a_worker(test)


def test_an_engine_that_does_not_end_does_not_keep_the_others() -> None:
    """An end has a deadline, too, and says who missed it."""
    diary: list[str] = []

    async def test(resources: Resources) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(EndpointError, match=r"voice: silent .* did not end in time"):
            async with open_route_stages(file(), resources, fakes(diary, close_s=1e6)):
                pass
        assert loop.time() - began == pytest.approx(CLOSE_S)
        assert diary == ["start ears", "start voice", "close ears"]

    in_a_worker(test)


def plugin(name: str, value: str) -> EntryPoint:
    """An entry point as an installed package would bring it."""
    return EntryPoint(name=name, value=value, group=GROUP)


def acme(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    """A factory that another package brings."""
    return Engine(endpoint, [], 0, 0)


def test_another_package_can_bring_an_api() -> None:
    """An entry point is all it takes."""
    text = FILE.replace("stage: llm, api: openai", "stage: llm, api: acme")

    async def test(resources: Resources) -> None:
        apis = with_plugins([plugin("llm.acme", f"{__name__}:acme")])
        stage = build(parse(text, "phones.yaml"), "mind", resources, apis)
        assert isinstance(stage, Engine)

    in_a_worker(test)


def test_a_package_that_does_not_load_is_an_error_at_the_endpoint_that_uses_it() -> None:
    """Only who uses a broken plugin hears of it, with the line."""
    text = FILE.replace("stage: llm, api: openai", "stage: llm, api: acme")

    async def test(resources: Resources) -> None:
        apis = with_plugins([plugin("llm.acme", "trunkline_acme_is_not_installed:chat")])
        with pytest.raises(ConfigError, match=r"phones.yaml:7: .* does not load"):
            build(parse(text, "phones.yaml"), "mind", resources, apis)

    in_a_worker(test)


@pytest.mark.parametrize("name", ["llm.openai", "openai", "llm.", ".openai"])
def test_a_plugin_cannot_take_a_name_that_is_taken_or_is_none(name: str) -> None:
    """Which package serves a call is never a matter of chance."""
    with pytest.raises(InputError, match="entry point"):
        with_plugins([plugin(name, "acme:chat")])
