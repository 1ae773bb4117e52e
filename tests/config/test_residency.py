"""What a configuration's routes may do is decided when it is read, against what is known."""

import math
from collections.abc import Mapping

import pytest

from trunkline.config.borders import contradictions
from trunkline.config.load import parse
from trunkline.config.models import Config
from trunkline.config.places import claims, endpoint
from trunkline.config.providers import catalogue, problems, provider_at
from trunkline.config.residency import length_s
from trunkline.errors import ConfigError
from trunkline.types import DataClass

FILE = """\
version: 1
zones:
  here: {kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
    baa: false, dpa: false, accepts: [audio, prompt, speech_text]}
  eu: {kind: managed, region: eu, jurisdiction: EU, processor: Vendor, retention: none,
    baa: false, dpa: true, trains: false, accepts: [audio, prompt, speech_text]}
residency:
  home: [EU]
  classes:
    audio: {jurisdictions: [none, EU], kinds: [self_hosted, managed]}
    prompt: {jurisdictions: [none, EU], kinds: [self_hosted, managed], retention_max: 30d}
    speech_text: {jurisdictions: [none]}
endpoints:
  ears: {stage: stt, api: pocketsphinx, model: en-us, zone: here, failure_domain: w}
  model: {stage: llm, api: openai, model: m, base_url: "http://127.0.0.1:1/v1", zone: here,
    failure_domain: a}
  voice: {stage: tts, api: espeak, model: en-us, zone: here, failure_domain: w}
agents:
  clerk: {routes: {stt: [ears], llm: [model], tts: [voice]}}
"""
OURS = 'api: openai, model: m, base_url: "http://127.0.0.1:1/v1", zone: here'
EARS = "ears: {stage: stt, api: pocketsphinx, model: en-us, zone: here, failure_domain: w}"
DEEPGRAM = "ears: {stage: stt, api: deepgram, model: nova-3, zone: eu, failure_domain: d"
EU_HOST = ', base_url: "https://api.eu.deepgram.com/v1"'
OPT_OUT = ", options: {mip_opt_out: true}"


def config(*changes: tuple[str, str]) -> Config:
    """The file with changes."""
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text, "phones.yaml")


def refused(*changes: tuple[str, str]) -> ConfigError:
    """What is said of the file with changes."""
    with pytest.raises(ConfigError) as caught:
        config(*changes)
    return caught.value


def test_a_file_whose_routes_satisfy_the_policy_loads() -> None:
    """And each endpoint carries the policy that the gate will decide by."""
    loaded = endpoint(config(), "model")
    assert loaded.policy is not None
    assert loaded.policy.classes[DataClass.SPEECH_TEXT].kinds == {"self_hosted"}


def test_a_backup_beyond_the_border_is_refused_at_the_start() -> None:
    """At its place in the route, by the rule, with what is known of its address."""
    away = 'away: {stage: llm, api: openai, model: m, zone: eu, failure_domain: o, base_url: "H"}'
    error = refused(
        ("  voice:", f"  {away}\n  voice:"),
        ("llm: [model]", "llm: [model, away]"),
        ('"H"', '"https://api.openai.com/v1"'),
    )
    assert "agents.clerk.routes.llm[1]: 'away' may not be used: " in str(error)
    assert "residency.classes.prompt.jurisdictions lacks global" in str(error)
    assert "jurisdiction is EU, but api.openai.com is global" in str(error)
    kept = refused(
        ("  voice:", f"  {away}\n  voice:"),
        ("llm: [model]", "llm: [model, away]"),
        ('"H"', '"https://eu.api.openai.com/v1"'),
        ("retention_max: 30d", "retention_max: 24h"),
    )
    assert "retention_max is 1d, and zones.eu keeps it 30d" in str(kept)
    assert "retention is none, but OpenAI, LLC keeps it 30d" in str(kept)


def test_a_class_that_is_not_named_goes_nowhere() -> None:
    """Not even to the worker's own engines: deny by default."""
    assert "residency.classes lacks speech_text" in str(
        refused(("    speech_text: {jurisdictions: [none]}\n", ""))
    )


@pytest.mark.parametrize(
    ("rest", "rule"),
    [
        ("", "lacks global"),
        (EU_HOST, "api.eu.deepgram.com is global: set options.mip_opt_out: true"),
        (OPT_OUT, "lacks global"),
    ],
)
def test_deepgram_needs_both_its_european_address_and_the_opt_out(rest: str, rule: str) -> None:
    """Either alone is no residency, by its own pages."""
    assert rule in str(refused((EARS, DEEPGRAM + rest + "}")))
    good = config((EARS, DEEPGRAM + EU_HOST + OPT_OUT + "}"))
    assert contradictions(good) == {}


def test_a_vendors_address_is_nobodys_own_premises() -> None:
    """Whatever its zone calls itself: it would need no contract at all."""
    error = refused((OURS, OURS.replace("http://127.0.0.1:1", "https://eu.api.openai.com")))
    assert "zones.here.kind is self_hosted, but eu.api.openai.com is OpenAI, LLC's" in str(error)
    assert "zones.here.jurisdiction is none, but eu.api.openai.com is EU" in str(error)
    assert "residency.classes.prompt.dpa is needed" in str(
        refused(
            (OURS, OURS.replace("http://127.0.0.1:1", "https://eu.api.openai.com")),
            ("processor: you, retention: none", "processor: you, retention: 30d"),
        )
    )


def test_a_plugin_is_judged_by_the_address_that_it_declares() -> None:
    """Its arguments are where it opts out."""
    plugin = "ears: {stage: stt, api: livekit, model: nova-3, zone: eu, failure_domain: d, options:"
    there = plugin + ' {plugin: "p:STT", destination: "api.eu.deepgram.com:443", arguments: {A}}}'
    assert "mip_opt_out" in str(refused((EARS, there.replace("A", "model: nova-3"))))
    good = config((EARS, there.replace("A", "mip_opt_out: true")))
    assert claims(good, "ears").contradictions == ()


def test_a_contract_that_is_named_counts_and_one_that_is_not_does_not() -> None:
    """Evidence makes a claim count, except against an address that is surely elsewhere."""
    hosted = OURS.replace("zone: here", "zone: eu").replace("http://127.0.0.1:1", "https://H")
    named = ("trains: false", "trains: false, evidence: DPA of 3 May 2026")
    for host in ("api.openai.com", "api.anthropic.com"):
        assert config((OURS, hosted.replace("H", host)), named).zones["eu"].evidence
    with pytest.raises(ConfigError, match=r"us\.api\.openai\.com is US"):
        config((OURS, hosted.replace("H", "us.api.openai.com")), named)


def test_a_zone_that_does_not_say_whether_it_trains_does_as_its_provider() -> None:
    """A managed one of which nothing is known does."""
    silent = ("trains: false, ", "")
    eu = OURS.replace("zone: here", "zone: eu").replace("http://127.0.0.1:1", "https://H")
    config(silent, (OURS, eu.replace("H", "eu.api.openai.com")))
    assert "training is false" in str(refused(silent, (OURS, eu.replace("H", "example.com"))))
    config(silent, (EARS, DEEPGRAM + EU_HOST + OPT_OUT + "}"))
    opened = ("kinds: [self_hosted, managed]}", "kinds: [managed, self_hosted], training: true}")
    learns = config(
        silent,
        opened,
        ("[none, EU], kinds: [managed", "[none, EU, global], kinds: [managed"),
        ("training: true}", "training: true, retention_max: 1y, transfer_tools: [scc]}"),
        ("home: [EU]", "home: [EU, global]"),
        (
            "retention: none,\n    baa: false, dpa: true",
            "retention: 1y,\n    baa: false, dpa: true",
        ),
        (EARS, "ears: {stage: stt, api: x, model: m, zone: eu, failure_domain: d}"),
    )
    assert claims(learns, "ears").zone.trains


def test_the_carrier_has_the_audio_and_is_judged_too() -> None:
    """Its zone is named, is there, and may have it."""
    assert "no zone 'line'" in str(refused(("home: [EU]", "home: [EU]\n  carrier: line")))
    assert config(("home: [EU]", "home: [EU]\n  carrier: eu")).residency
    deaf = ("home: [EU]", "home: [EU]\n  carrier: eu"), ("dpa: true", "dpa: false")
    assert "'eu' may not have the audio: residency.classes.audio.dpa" in str(refused(*deaf))


def test_without_a_policy_a_claim_is_only_a_contradiction() -> None:
    """It loads; `trunkline check` says it."""
    start, end = FILE.index("residency:"), FILE.index("endpoints:")
    open_file = FILE[:start] + FILE[end:]
    loaded = parse(open_file.replace(EARS, DEEPGRAM + "}"), "phones.yaml")
    assert "api.deepgram.com is global" in contradictions(loaded)["ears"][0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("none", 0), ("24h", 86_400), ("30d", 2_592_000), ("1y", 31_536_000), ("a while", math.inf)],
)
def test_lengths(text: str, seconds: float) -> None:
    """What is no length is forever."""
    assert length_s(text) == seconds


def test_a_limit_that_is_no_length_is_refused() -> None:
    """It would limit nothing."""
    assert "retention_max" in str(refused(("retention_max: 30d", "retention_max: a while")))


def test_the_catalogue_knows_every_address_that_its_apis_speak_with() -> None:
    """And each entry says where it was read, and when."""
    assert not [it for name, entry in catalogue().items() for it in problems(name, entry)]
    assert len(catalogue()) == 10
    found = provider_at("our-resource.openai.azure.com")
    assert found is not None
    assert found[0] == "azure_openai"
    assert provider_at("openai.azure.com.example.com") is None
    apis: Mapping[str, str] = {api: h for it in catalogue().values() for api, h in it.apis.items()}
    assert apis["deepgram"] == "api.deepgram.com"
