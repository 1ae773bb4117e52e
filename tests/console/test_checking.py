"""Dialing tells what endpoints do; the report tells what to mend and what may be lost."""

import io
from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.console import Console

from trunkline.calls.examine import Examined
from trunkline.config.endpoints import EndpointConfig
from trunkline.config.load import parse
from trunkline.config.models import Config
from trunkline.console.checking import Checked, check, losses, mend, show
from trunkline.errors import EgressRefused, EndpointError, Fault, InputError
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.providers.registry import Apis
from trunkline.testing.simulated import Beat, Hears, SimLlm, SimStt, SimTts, tokens
from trunkline.types import LLM, STT, TTS, Delta, Endpoint, Prompt

FILE = """\
version: 1
zones:
  here: {kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
    baa: false, dpa: false, accepts: [audio, prompt, speech_text]}
endpoints:
  one: {stage: llm, api: sim, model: m, zone: here, failure_domain: a, continuation: prefix}
  two: {stage: llm, api: sim, model: sick, zone: here, failure_domain: b}
  ears: {stage: stt, api: sim, model: m, zone: here, failure_domain: a}
  voice: {stage: tts, api: sim, model: m, zone: here, failure_domain: c}
  late: {stage: tts, api: sim, model: late, zone: here, failure_domain: d}
agents:
  clerk: {routes: {stt: [ears], llm: [one, two], tts: [voice]}}
"""
ANSWER = "The days are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."


def model(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    """A model that goes on, unless its name is sick: then its key is refused."""

    def answer(prompt: Prompt) -> Iterable[Beat[Delta]]:
        if config.model == "sick":
            return [(0.1, EndpointError(endpoint.name, Fault.REFUSED, "HTTP 401 no such key"))]
        begun = prompt.messages[-1].content if prompt.continue_final else ""
        return tokens(ANSWER.removeprefix(begun).strip(), first_s=0.25)

    made = SimLlm(endpoint.name, answer)
    made.endpoint = endpoint
    return made


class Late(SimTts):
    """An engine that lacks its voice."""

    async def start(self) -> None:
        """Find out."""
        raise InputError("late: there is no voice 'tenor'. Use another")

    async def close(self) -> None:
        """Nothing was begun."""


def voice(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    """A synthesiser."""
    made = Late(endpoint.name) if config.model == "late" else SimTts(endpoint.name, ttfb_s=0.1)
    made.endpoint = endpoint
    return made


def ears(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    """A recogniser."""
    made = SimStt(endpoint.name, [Hears("what are your hours")] * 3)
    made.endpoint = endpoint
    return made


APIS: Apis = {(LLM, "sim"): model, (TTS, "sim"): voice, (STT, "sim"): ears}


def config() -> Config:
    """Two models, of which one is sick; a voice that does not start."""
    return parse(FILE, "phones.yaml")


def shown(result: Checked) -> str:
    """The report as text."""
    out = io.StringIO()
    show(result, "phones.yaml", Console(file=out, width=200, highlight=False))
    return out.getvalue()


async def test_dialing_asks_every_endpoint_whether_a_route_names_it_or_not() -> None:
    """What answers is measured; what does not says why."""
    result = await check(config(), dial=True, apis=APIS)
    assert result.dialed is not None
    assert {name: len(it.firsts_s) for name, it in result.dialed.items()} == {
        "one": 3, "two": 0, "ears": 3, "voice": 3, "late": 0,
    }  # fmt: skip  # one thing
    assert result.dialed["one"].firsts_s == pytest.approx([0.25] * 3)
    assert not result.well
    report = shown(result)
    assert "0.250 (0.250-0.250)" in report
    assert "continuation: prefix" in report
    assert "heard: what are your hours" in report
    assert "no voice 'tenor'" in report
    assert "two: refused: HTTP 401 no such key. It wants a key: name the variable" in report
    assert "phones.yaml: valid, but not all is well" in report


async def test_an_endpoint_that_does_not_answer_is_no_backup() -> None:
    """A route is only as good as what answers: the loss of `a` leaves nobody."""
    told = {it.failure_domain: it.left[LLM] for it in losses(config(), "clerk")}
    assert told == {"a": ["two"], "b": ["one"], "c": ["one", "two"]}
    result = await check(config(), dial=True, apis=APIS)
    told = {it.failure_domain: it.left[LLM] for it in result.losses}
    assert told == {"a": [], "b": ["one"], "c": ["one"]}
    assert "clerk: stt, llm does not survive the loss of a" in shown(result)
    assert [it.survives for it in result.losses] == [False, True, False]


async def test_without_dialing_nothing_is_asked() -> None:
    """The file is right, and that is all that is said."""
    result = await check(config(), dial=False, apis=APIS)
    assert (result.dialed, result.well, result.egress) == (None, True, ())
    report = shown(result)
    assert "first (s)" not in report
    assert report.endswith("phones.yaml: valid\n")


async def test_the_result_is_data_too() -> None:
    """All that the report says."""
    told = (await check(config(), dial=True, apis=APIS)).as_json()
    endpoints = told["endpoints"]
    assert isinstance(endpoints, dict)
    assert endpoints["one"]["firsts_s"] == [0.25] * 3
    assert endpoints["two"]["wrong"][0]["mend"].startswith("It wants a key")
    assert (told["well"], told["dialed"]) == (False, True)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (EndpointError("x", Fault.UNREACHABLE, "ClientConnectorDNSError: far"), "not resolve"),
        (
            EndpointError("x", Fault.UNREACHABLE, "ClientConnectorCertificateError: self-signed"),
            "not trusted",
        ),
        (EndpointError("x", Fault.UNREACHABLE, "ClientConnectorSSLError: wrong version"), "https"),
        (EndpointError("x", Fault.UNREACHABLE, "connection refused"), "Nobody answers"),
        (EndpointError("x", Fault.REFUSED, "HTTP 403 no"), "key in X_KEY"),
        (EndpointError("x", Fault.REFUSED, "HTTP 404 no"), "no such model"),
        (EndpointError("x", Fault.REFUSED, "HTTP 422 no"), "options"),
        (EndpointError("x", Fault.THROTTLED, "slow down"), "quota"),
        (EndpointError("x", Fault.SILENT, "nothing"), "its load"),
        (EndpointError("x", Fault.MALFORMED, "nonsense"), ""),
        (EgressRefused("x", "here", "prompt"), ""),
        ("declared continuation: prefix, but begins again: 'One'", "continuation: turn"),
        ("no audio for 'Okay.'", ""),
    ],
)
def test_what_is_wrong_comes_with_how_to_mend_it(error: EndpointError | str, says: str) -> None:
    """Unless it says so itself."""
    settings = config().endpoints["one"].model_copy(update={"key_env": "X_KEY"})
    told = mend(settings, error)
    assert says in told
    assert bool(told) == bool(says)


def test_a_fault_that_came_three_times_is_said_once() -> None:
    """With everything well apart from that."""
    wrong = EndpointError("one", Fault.SILENT, "no whole answer", deadline_s=8.0)
    dialed = {name: Examined() for name in config().endpoints}
    dialed["one"] = Examined(asked=3, wrong=[wrong, wrong, wrong])
    report = shown(Checked(config(), dialed, ()))
    assert report.count("no whole answer") == 1
    well = replace(Checked(config(), dialed, ()), dialed={n: Examined() for n in dialed})
    assert "and everybody answers" in shown(well)
