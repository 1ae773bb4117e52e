"""Reading a configuration: what is taken, and what an operator is told about what is not."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trunkline.config.endpoints import STAGES
from trunkline.config.load import ConfigErrors, load, parse, schema
from trunkline.config.models import (
    Config,
    LastResortConfig,
    PolicyConfig,
    TurnConfig,
)
from trunkline.config.places import endpoint, zone
from trunkline.config.policies import (
    attempt_policy,
    call_policy,
    hearing_policy,
    last_resort_policy,
    synthesis_policy,
    turn_policy,
)
from trunkline.config.tree import TEXT_CHARS_MAX
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.call_words import CallPolicy
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.core.turns import TurnPolicy
from trunkline.errors import ConfigError, InputError
from trunkline.types import DataClass

EXAMPLE = Path(__file__).parents[2] / "trunkline.yaml"
GOOD = """\
version: 1
zones:
  here: {kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
    baa: false, dpa: false, accepts: [audio, prompt, speech_text]}
endpoints:
  mind: {stage: llm, api: openai, model: m, base_url: "http://127.0.0.1:1/v1",
    zone: here, failure_domain: a}
  ears: {stage: stt, api: pocketsphinx, model: en-us, zone: here, failure_domain: b}
  voice: {stage: tts, api: espeak, model: en-us, zone: here, failure_domain: b}
agents:
  clerk:
    routes: {stt: [ears], llm: [mind], tts: [voice]}
"""


def refusal(text: str) -> ConfigError:
    """The error that *text* gets."""
    with pytest.raises(ConfigError) as caught:
        parse(text, "phones.yaml")
    return caught.value


def changed(old: str, new: str) -> str:
    """The good file with one thing changed; it must have been there."""
    assert old in GOOD
    return GOOD.replace(old, new)


def test_the_example_at_the_root_is_a_good_configuration() -> None:
    """The file that ships loads, with every path beside it."""
    config = load(EXAMPLE)
    agent = config.agents["receptionist"]
    assert agent.routes == {"stt": ("ears",), "llm": ("primary", "backup"), "tts": ("voice",)}
    assert config.records.directory.parent == EXAMPLE.parent
    assert agent.folder.parent == EXAMPLE.parent
    assert agent.practice is None


def test_what_is_left_out_has_its_default() -> None:
    """A short file is a whole configuration."""
    config = parse(GOOD, "phones.yaml")
    assert (config.server.port, config.server.calls_max) == (8100, 50)
    assert config.agents["clerk"].consent.ask
    assert config.endpoints["mind"].continuation == "turn"


def test_default_paths_are_beside_the_file_too() -> None:
    """Who starts the worker from elsewhere finds the same records."""
    config = parse(GOOD, "/srv/phones/phones.yaml")
    assert config.agents["clerk"].folder == Path("/srv/phones/reception")
    assert config.records.directory == Path("/srv/phones/records")


def test_absolute_paths_stay_as_they_are() -> None:
    """Only relative paths are taken from beside the file."""
    config = parse(GOOD + "records: {directory: /srv/calls}\n", "phones.yaml")
    assert config.records.directory == Path("/srv/calls")


def test_an_endpoint_brings_its_zone() -> None:
    """The rest of the program gets frozen nouns, not configuration."""
    config = parse(GOOD, "phones.yaml")
    mind = endpoint(config, "mind")
    assert (mind.name, mind.stage, mind.failure_domain) == ("mind", "llm", "a")
    assert mind.zone == zone(config, "here")
    assert mind.zone.accepts == {DataClass.AUDIO, DataClass.PROMPT, DataClass.SPEECH_TEXT}


def test_a_turn_policy_keeps_the_defaults_it_is_not_told() -> None:
    """Only what the file says replaces the core's default."""
    config = parse(GOOD + "    turn: {hangover_s: 0.5}\n", "phones.yaml")
    assert turn_policy(config.agents["clerk"].turn) == TurnPolicy(hangover_s=0.5)


def test_an_attempt_policy_takes_what_the_file_says() -> None:
    """Every knob of the core's machines is a key of the file, and the other way round."""
    config = parse(GOOD + "    policy: {hedge_after_s: 0.4, attempts_max: 3}\n", "phones.yaml")
    policy = attempt_policy(config.agents["clerk"].policy)
    assert policy == AttemptPolicy(hedge_after_s=0.4, attempts_max=3)
    assert {field.name for field in fields(AttemptPolicy)} == {*PolicyConfig.model_fields} - {
        "tts",
        "stt",
    }
    assert {field.name for field in fields(TurnPolicy)} == set(TurnConfig.model_fields)


def test_the_speech_policies_take_what_the_file_says_and_learn_the_rest() -> None:
    """What stands in the file is fixed."""
    text = GOOD + "    policy: {tts: {hedge_after_s: 0.4}, stt: {final_after_s: 0.9}}\n"
    policy = parse(text, "phones.yaml").agents["clerk"].policy
    spoken, heard = synthesis_policy(policy.tts), hearing_policy(policy.stt)
    assert spoken == SynthesisPolicy(hedge_after_s=0.4, fixed=frozenset({"hedge_after_s"}))
    assert heard == HearingPolicy(final_after_s=0.9, fixed=frozenset({"final_after_s"}))


def test_a_turn_is_kept_open_more_easily_than_it_is_opened() -> None:
    """Voices fade: the probability that keeps a turn open is not above the one that opens it."""
    error = refusal(GOOD + "    turn: {onset_probability: 0.3, stay_probability: 0.4}\n")
    assert "stay_probability" in str(error)
    assert error.line == 13


def test_half_a_sentence_is_given_no_less_time_than_a_whole_one() -> None:
    """Also where only one of the two pauses is told."""
    error = refusal(GOOD + "    turn: {hangover_s: 1.5}\n")
    assert "hangover_s 1.5 is above hangover_unsure_s 0.7" in str(error)
    assert error.line == 13
    error = refusal(GOOD + "    turn: {hangover_open_s: 0.6}\n")
    assert "hangover_unsure_s 0.7 is above hangover_open_s 0.6" in str(error)
    assert error.line == 13


def test_a_configuration_cannot_be_changed() -> None:
    """Frozen: a call never sees half a change."""
    with pytest.raises(ValidationError):
        parse(GOOD, "phones.yaml").version = 1


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("version: 1", "version: 2", 1, "Write 1"),
        ("version: 1", "verion: 1", 1, "Did you mean 'version'?"),
        ("baa: false", "baa: no", 4, "zones.here.baa: should be a valid boolean"),
        ("baa: false, ", "", 3, "'baa' is missing"),
        ("[audio,", "[audoi,", 4, "zones.here.accepts[0]"),
        ("kind: self_hosted", "kind: cloud", 3, "managed, self_hosted or customer_vpc"),
        (
            "zone: here, failure_domain: a",
            "zone: her, failure_domain: a",
            7,
            "Did you mean 'here'?",
        ),
        (", failure_domain: a", "", 6, "'failure_domain' is missing"),
        ("model: m,", "modle: m, model: m,", 6, "unknown key 'modle'. Did you mean 'model'?"),
        ("stage: llm", "stage: lmm", 6, "Did you mean 'llm'?"),
        ("http://127.0.0.1:1/v1", "http://me:pw@127.0.0.1", 6, "without user, query or fragment"),
        ("failure_domain: a", "failure_domain: a, key_env: lower", 7, "key_env: is not of the"),
        ("  mind:", "  Mind!:", 6, "'Mind!' is not a good name"),
        ("  voice:", "  ears:", 9, "'ears' stands twice in endpoints; the first is in line 8"),
        ("  voice:", "  7:", 9, "a key is text"),
        ("stt: [ears]", "stt: []", 12, "at least 1 item"),
        ("stt: [ears]", "stt: [eras]", 12, "no endpoint 'eras'. Did you mean 'ears'?"),
        ("stt: [ears]", "stt: [mind]", 12, "of stage 'llm', not 'stt'. Known here: ears"),
        ("stt: [ears]", "stt: [ears, ears]", 12, "stands twice in this route"),
        ("stt: [ears], ", "", 12, "no endpoint for stt"),
        ("stt: [ears]", "stt: [ears], sst: [ears]", 12, "there is no stage 'sst'"),
        ("accepts: [audio,", "accepts: [", 12, "does not accept 'audio', which stt sends"),
    ],
)
def test_one_wrong_thing_gets_one_error_at_its_line(
    old: str, new: str, line: int, says: str
) -> None:
    """The error tells the file, the line, what is wrong and how to mend it."""
    errors = [e for e in all_errors(refusal(changed(old, new))) if says in str(e)]
    assert len(errors) == 1
    assert errors[0].line == line
    assert str(errors[0]).startswith(f"phones.yaml:{line}: ")


def all_errors(error: ConfigError) -> tuple[ConfigError, ...]:
    """The single errors in *error*."""
    return error.errors if isinstance(error, ConfigErrors) else (error,)


def test_all_errors_of_a_file_are_told_at_once_in_their_order() -> None:
    """Wrong types, duplicates and dangling names come in one report, by line."""
    text = (
        changed("baa: false", "baa: 3").replace("[ears]", "[eyes]").replace("  voice:", "  ears:")
    )
    error = refusal(text + "server: {port: 99999}\nsevrer: {}\n")
    assert isinstance(error, ConfigErrors)
    lines = [each.line for each in error.errors]
    assert lines == sorted(lines, key=lambda line: line or 0)
    assert {4, 9, 12, 13, 14} <= set(lines)
    assert str(error).count("phones.yaml:") == len(error.errors)
    assert error.line == 4


@pytest.mark.parametrize(
    "line",
    ["api_key: sk-12345", "key: sk-12345", "key_env: sk-12345", "options: {Auth-Token: sk-12345}"],
)
def test_a_literal_key_is_refused_and_never_repeated(line: str) -> None:
    """Keys do not stand in the file, and the error that says so does not leak them."""
    error = refusal(changed("failure_domain: a", f"failure_domain: a, {line}"))
    assert "key_env" in str(error)
    assert "sk-12345" not in str(error)
    assert len(all_errors(error)) == 1


def test_environment_is_not_interpolated() -> None:
    """Configuration is what the file says; only a key comes from the environment."""
    assert "not expanded" in str(refusal(changed("model: m", 'model: "${MODEL}"')))


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("http://localhost:80/v1", True),
        ("https://models.example/v1", True),
        ("http://[::1]:9/v1", True),
        ("http://models.example/v1", False),
        ("http://localhost.evil.example/v1", False),
    ],
)
def test_a_key_never_travels_in_clear(url: str, fine: bool) -> None:
    """A key over http is refused unless it stays on this machine."""
    text = changed("http://127.0.0.1:1/v1", url).replace("domain: a", "domain: a, key_env: KEY")
    if fine:
        assert parse(text, "phones.yaml").endpoints["mind"].base_url == url
    else:
        assert "unencrypted" in str(refusal(text))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("- 1", 1, "not a mapping"),
        ("a: 1\nb: [", 2, "not YAML"),
        ("a: 1\nb: &x 1", 2, "anchors"),
        ("a: *x", 1, "anchors"),
        ("a: !!python/object:os.system x", 1, "tags"),
        ("a: 1\n--- \nb: 1", 2, "not YAML"),
        ("[" * 3000, 1, "nested"),
        ("a: 1\nb: \x07", 2, "not allowed"),
    ],
)
def test_text_that_is_no_configuration_is_refused_with_its_line(
    text: str, line: int, says: str
) -> None:
    """Whatever is given, the answer is ours: a line and a mend."""
    error = refusal(text)
    assert error.line == line
    assert says in str(error)


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    """A wrong path to a huge file does not cost the worker its memory."""
    assert "right file" in str(refusal("#" * (TEXT_CHARS_MAX + 1)))


@pytest.mark.parametrize("text", ["no", "on", "0x10", "12:30", ".inf", "1e999", "2026-11-22"])
def test_only_plain_numbers_and_constants_are_special(text: str) -> None:
    """Other YAML surprises are text, and text they stay."""
    config = parse(changed("model: m", f"model: {text}"), "phones.yaml")
    assert config.endpoints["mind"].model == text


def test_options_are_passed_on_as_they_are() -> None:
    """What an api makes of its options is the api's business."""
    options = "options: {rate: 1.5e-1, deep: [1, null, true, 'x']}"
    config = parse(
        changed(
            "model: en-us, zone: here, failure_domain: b}\nagents",
            f"model: v, zone: here, failure_domain: b, {options}}}\nagents",
        ),
        "p.yaml",
    )
    assert config.endpoints["voice"].options == {"rate": 0.15, "deep": [1, None, True, "x"]}


def test_a_missing_file_is_an_error_with_a_mend(tmp_path: Path) -> None:
    """No traceback of the operating system reaches the operator."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"version: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.yaml")


def test_a_later_error_still_knows_its_line() -> None:
    """Who finds a fault after reading (an unknown api, a missing key) points into the file."""
    config = parse(GOOD, "phones.yaml")
    error = config.error(("endpoints", "ears", "api"), "unknown", "Use another")
    assert str(error) == "phones.yaml:8: endpoints.ears.api: unknown. Use another"
    assert config.error(("endpoints", "ears", "options", "x"), "", "").line == 8


def test_the_schema_describes_every_key() -> None:
    """An editor can tell what to write everywhere, and that nothing else may stand there."""
    described = schema()
    json.dumps(described)
    assert described["additionalProperties"] is False
    for model in [described, *described["$defs"].values()]:
        if "properties" in model:
            assert model["additionalProperties"] is False
            for name, field in model["properties"].items():
                assert field.get("description"), name


def test_every_stage_of_a_route_sends_some_data_class() -> None:
    """The one list of stages says what each gives to its endpoint."""
    assert set(STAGES) >= {"stt", "llm", "tts"}


@given(st.text(max_size=200) | st.integers(0, len(GOOD)).map(lambda n: GOOD[:n] + "{" + GOOD[n:]))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    """Nothing that a file can hold gets past the error tree."""
    try:
        outcome: Config | str = parse(text, "phones.yaml")
    except InputError as error:
        outcome = str(error)
    assert isinstance(outcome, Config) or outcome.startswith("phones.yaml")


def test_a_public_worker_must_verify_its_callers() -> None:
    """Without the carrier's token anybody who finds the address could spend the owner's money."""
    public = "server: {public_url: 'https://voice.example.com'"
    with pytest.raises(ConfigError, match=r"server\.public_url: anybody could call"):
        parse(f"{GOOD}{public}}}\n", "phones.yaml")
    config = parse(f"{GOOD}{public}, twilio_auth_token_env: TWILIO_TOKEN}}\n", "phones.yaml")
    assert config.server.public_url == "https://voice.example.com"


SPARE = "\n  spare: {stage: tts, api: espeak, model: en, zone: here, failure_domain: c, "


@pytest.mark.parametrize(
    ("name", "keys", "error"),
    [
        ("spare", "voice: anna, twin_of: voice", None),
        ("spare", "twin_of: voise", "there is no other tts endpoint 'voise'. Did you mean 'voice'"),
        ("spare", "twin_of: spare", "there is no other tts endpoint 'spare'"),
        ("spare", "twin_of: ears", "there is no other tts endpoint 'ears'"),
        ("ears", "voice: anna", "only a tts endpoint has a voice. Delete it"),
        ("ears", "twin_of: voice", "only a tts endpoint has a voice. Delete it"),
    ],
)
def test_a_voice_may_have_a_twin(name: str, keys: str, error: str | None) -> None:
    """Another synthesiser of the file; nobody else has a voice."""
    text = GOOD.replace("\nagents", f"{SPARE}{keys}}}\nagents")
    if name != "spare":
        text = GOOD.replace("api: pocketsphinx,", f"api: pocketsphinx, {keys},")
        assert text != GOOD
    if error is None:
        found = endpoint(parse(text, "phones.yaml"), "spare")
        assert (found.voice, found.twin_of) == ("anna", "voice")
        return
    with pytest.raises(ConfigError, match=re.escape(error)):
        parse(text, "phones.yaml")


def test_a_last_resort_falls_back_to_the_servers_number() -> None:
    """An agent's own comes first; left out, a message is taken and two failures are the last."""
    said = LastResortConfig.model_validate({"transfer_to": "+12025550100", "after_failures": 3})
    assert last_resort_policy(said, "+12025550199").transfer_to == "+12025550100"
    assert call_policy(said).failures_max == 3
    left_out = LastResortConfig()
    assert last_resort_policy(left_out, "+12025550199").transfer_to == "+12025550199"
    policy = last_resort_policy(left_out, None)
    assert (policy.transfer_to, policy.message, call_policy(left_out)) == ("", True, CallPolicy())
