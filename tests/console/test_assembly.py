"""The parts of a worker are exchanged while it runs: what stays is kept, what goes is closed."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from trunkline.config.endpoints import EndpointConfig
from trunkline.config.load import parse
from trunkline.config.models import Config
from trunkline.console.assembly import RETIRE_S, SETTINGS_MAX, Assembly, refuse
from trunkline.core.health import Breaker
from trunkline.errors import ConfigError, EndpointError, Fault, InputError
from trunkline.net.gate import Gate
from trunkline.providers.opening import changed
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.providers.registry import Apis
from trunkline.testing.simulated import Beat, Hears, MemoryJournal, SimLlm, SimStt, SimTts, tokens
from trunkline.types import LLM, STT, TTS, Delta, Endpoint, Mono, Prompt

FILE = """\
version: 1
zones:
  here: {kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
    baa: false, dpa: false, accepts: [audio, prompt, speech_text]}
endpoints:
  one: {stage: llm, api: sim, model: m, zone: here, failure_domain: a, continuation: prefix}
  two: {stage: llm, api: sim, model: m, zone: here, failure_domain: b}
  ears: {stage: stt, api: sim, model: m, zone: here, failure_domain: a}
  voice: {stage: tts, api: sim, model: m, zone: here, failure_domain: c}
agents:
  clerk: {routes: {stt: [ears], llm: [one, two], tts: [voice]}}
server: {port: 8100}
"""
VOICE = "stage: tts, api: sim, model: m"
ANSWER = "The days are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."


class Voice(SimTts):
    """A synthesiser with a life, of which the diary tells."""

    def __init__(self, endpoint: Endpoint, diary: list[str]) -> None:
        super().__init__(endpoint.name)
        self.endpoint, self._diary = endpoint, diary

    async def start(self) -> None:
        """Start, if the model is one that can."""
        self._diary.append(f"start {self.endpoint.name} {self.endpoint.model}")
        if self.endpoint.model == "broken":
            raise EndpointError(self.endpoint.name, Fault.SILENT, "did not start in time")

    async def close(self) -> None:
        """End."""
        self._diary.append(f"close {self.endpoint.name} {self.endpoint.model}")


class House:
    """An assembly of simulated endpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.diary: list[str] = []
        self.models: list[SimLlm] = []

    def config(self, *changes: tuple[str, str]) -> Config:
        """The file with changes; each must have been possible."""
        text = FILE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return parse(text, self.folder / "trunkline.yaml")

    def apis(self) -> Apis:
        """Simulated ones."""

        def model(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
            def answer(prompt: Prompt) -> Iterable[Beat[Delta]]:
                begun = prompt.messages[-1].content if prompt.continue_final else ""
                return tokens(ANSWER.removeprefix(begun).strip())

            made = SimLlm(endpoint.name, answer)
            made.endpoint = endpoint
            self.models.append(made)
            return made

        def voice(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
            return Voice(endpoint, self.diary)

        def ears(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
            made = SimStt(endpoint.name, [Hears("")])
            made.endpoint = endpoint
            return made

        return {(LLM, "sim"): model, (TTS, "sim"): voice, (STT, "sim"): ears}

    async def opened(self, resources: Resources) -> Assembly:
        """With all endpoints of the file."""
        parts = Assembly(self.config(), "clerk", resources, None, self.apis())
        await parts.open(lambda _: MemoryJournal())
        return parts


@pytest.fixture
def house(tmp_path: Path) -> House:
    """With a folder of its own."""
    return House(tmp_path)


def resources(session: object = None) -> Resources:
    """Nothing is sent here."""
    return Resources(session, Gate(lambda _: None), {})  # type: ignore[arg-type]  # not used


async def passes(parts: Assembly, seconds: float) -> None:
    """Let the assembly look after its endpoints for so long."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(parts.run())
        await asyncio.sleep(seconds)
        running.cancel()


async def test_what_stays_is_kept_and_what_is_new_is_started_before_it_is_used(
    house: House,
) -> None:
    """The same stage, breaker and capability; a new voice has its lines before the first call."""
    parts = await house.opened(resources())
    before = dict(parts.stages)
    assert before["one"].endpoint.continuation == "prefix"
    now = Mono(asyncio.get_running_loop().time())
    for _ in range(3):
        parts.worker.router.failed("two", Fault.CUT, now)
    await parts.change(
        house.config(
            (
                "agents:",
                "  spare: {stage: tts, api: sim, model: n, zone: here, "
                "failure_domain: d, expected: {ttft_p50_s: 0.1, ttft_p95_s: 0.3}}\nagents:",
            ),
            ("tts: [voice]", "tts: [voice, spare]"),
            ("llm: [one, two]", "llm: [two, one]"),
        )
    )
    assert {name: parts.stages[name] is stage for name, stage in before.items()} == dict.fromkeys(
        before, True
    )
    assert len(house.models) == 2
    assert [len(model.prompts) for model in house.models] == [2, 0], "nothing is tried again"
    assert parts.worker.router.health("two").breaker(now) is Breaker.OPEN
    assert house.diary == ["start voice m", "start spare n"]
    names = [stage.endpoint.name for stage in parts.worker.settings.newest.routes[LLM]]
    assert names == ["two", "one"]
    assert {name for name, _ in parts.worker.voices.lines} == {"voice", "spare"}
    await parts.close()


async def test_what_goes_is_closed_when_no_turn_has_it_any_more(house: House) -> None:
    """A running turn keeps its endpoints, however long it takes."""
    parts = await house.opened(resources())
    turn = parts.worker.settings.take()
    await parts.change(house.config((VOICE, VOICE.replace("model: m", "model: n"))))
    await passes(parts, 10 * RETIRE_S)
    assert house.diary == ["start voice m", "start voice n"]
    parts.worker.settings.give_back(turn)
    await passes(parts, 2 * RETIRE_S)
    assert house.diary[2:] == ["close voice m"]
    await parts.close()
    assert house.diary[3:] == ["close voice n"]


async def test_a_change_that_fails_changes_nothing_and_leaves_nothing(house: House) -> None:
    """Calls go on with what there was; what had been begun is closed."""
    parts = await house.opened(resources())
    newest = parts.worker.settings.newest
    with pytest.raises(EndpointError, match="did not start"):
        await parts.change(house.config((VOICE, VOICE.replace("model: m", "model: broken"))))
    assert parts.worker.settings.newest is newest
    assert house.diary == ["start voice m", "start voice broken", "close voice broken"]
    with pytest.raises(ConfigError, match="no api 'sym'"):
        await parts.change(house.config((VOICE, VOICE.replace("api: sim", "api: sym"))))
    await passes(parts, 2 * RETIRE_S)
    assert len(house.diary) == 3
    await parts.close()


async def test_changes_do_not_pile_up(house: House) -> None:
    """Each holds the endpoints of some turn: a file that changes all the time is refused."""
    parts = await house.opened(resources())
    for number in range(SETTINGS_MAX):
        parts.worker.settings.take()
        await parts.change(house.config(("agents:", f"# {number}\nagents:")))
    with pytest.raises(InputError, match="still have 8 earlier"):
        await parts.change(house.config())
    await parts.close()


async def test_a_language_in_which_a_new_model_cannot_go_on_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the start."""
    parts = await house.opened(resources())
    monkeypatch.setattr("trunkline.console.assembly.can_go_on", lambda _: False)
    with pytest.raises(ConfigError, match="to go on with a broken answer"):
        await parts.change(house.config())
    await parts.close()


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("port: 8100", "port: 8200", "server.port"),
        ("server: {port: 8100}", "server: {calls_max: 9, port: 8100}", "server.calls_max"),
        ("server:", "records: {directory: elsewhere}\nserver:", "records.directory"),
        ("clerk: {", "clerk: {folder: other, ", "agents.clerk.folder"),
        ("clerk: {", "clerk: {practice: other.yaml, ", "agents.clerk.practice"),
        ("  clerk:", "  night:", "agents"),
    ],
)
def test_what_belongs_to_the_process_is_refused_with_its_place(
    house: House, old: str, new: str, where: str
) -> None:
    """And how to have it all the same."""
    with pytest.raises(ConfigError, match="start the worker anew") as caught:
        refuse(house.config(), house.config((old, new)), "clerk")
    assert f": {where}: " in str(caught.value)


def test_everything_that_is_refused_is_told_at_once(house: House) -> None:
    """An operator mends a file in one go."""
    both = house.config(("port: 8100", "port: 8200, drain_s: 1"))
    with pytest.raises(ConfigError) as caught:
        refuse(house.config(), both, "clerk")
    assert str(caught.value).count("start the worker anew") == 2


def test_what_may_change_is_not_refused(house: House) -> None:
    """Zones, endpoints, routes, policies, another agent."""
    new = house.config(
        ("region: local", "region: elsewhere"),
        (
            "  two:",
            "  six: {stage: llm, api: sim, model: m, zone: here, failure_domain: z}\n  two:",
        ),
        ("llm: [one, two]", "llm: [six]"),
        ("clerk: {", "clerk: {policy: {give_up_s: 5}, turn: {settle_s: 1.2}, "),
        ("routes: ", "consent: {ask: false}, routes: "),
        ("server:", "  night: {routes: {stt: [ears], llm: [one], tts: [voice]}}\nserver:"),
    )
    refuse(house.config(), new, "clerk")


def test_a_new_policy_makes_every_endpoint_another(tmp_path: Path) -> None:
    """Each carries the policy that the gate decides by; it may change while a worker runs."""
    house = House(tmp_path)
    policy = """residency:
  home: [EU]
  classes:
    audio: {jurisdictions: [none]}
    prompt: {jurisdictions: [none]}
    speech_text: {jurisdictions: [none]}
"""
    old, new = house.config(), house.config(("endpoints:", policy + "endpoints:"))
    refuse(old, new, "clerk")
    assert changed(old, new) == {"one", "two", "ears", "voice"}
    with pytest.raises(ConfigError, match="'ears' may not be used"):
        house.config(
            (
                "endpoints:",
                policy.replace("    audio: {jurisdictions: [none]}\n", "") + "endpoints:",
            )
        )
