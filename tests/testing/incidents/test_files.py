"""Incident files: the ones that ship are good, and wrong ones are refused with their line."""

from pathlib import Path

import pytest

from trunkline.errors import ConfigError, InputError
from trunkline.testing.faults import FaultKind
from trunkline.testing.incidents.files import folder, load, load_all, parse

GOOD = """\
version: 1
title: It stopped
project: somebody/something
link: https://example.org/1
date: "2026-09-01"
stage: llm
signature: it stands still
heard_there: silence
calls:
  - name: one
    faults:
      - {on: {endpoint: model-1}, on_turn: 1, what: stall, after_tokens: 3}
    must: {dead_air_added_s: 1.0, answered_by: model-2}
"""
ASKED_FOR = """
pipecat-5305 pipecat-5601 pipecat-5804 pipecat-5842 pipecat-1795 pipecat-5026 livekit-6171
livekit-5660 livekit-6916 livekit-2897 livekit-6009 litellm-40404 litellm-31067 litellm-27967
tensorzero-6328 portkey-1797 bifrost-7034 bifrost-5395 bifrost-6472 omi-12459 vapi-2024-10-18
vapi-2026-05-21
"""


def test_those_that_ship() -> None:
    """At least 24 were read, each has calls; the ones that could not be found say so."""
    incidents = load_all(folder())
    assert sum(it.read for it in incidents) >= 24
    assert all(bool(it.calls) == it.read for it in incidents)
    assert set(ASKED_FOR.split()) <= {it.name for it in incidents}
    assert {it.name for it in incidents if not it.read} == {"livekit-2897", "livekit-6916"}


def test_every_stage_fails_somewhere() -> None:
    """Models, recognisers, voices and records."""
    assert {it.stage for it in load_all(folder())} == {"stt", "llm", "tts", "records"}


def test_what_a_file_says() -> None:
    """Its name is the file's; an endpoint gets the faults that are about it, and no others."""
    incident = parse(GOOD, Path("some-1.yaml"))
    (call,) = incident.calls
    assert (incident.name, incident.day.year) == ("some-1", 2026)
    assert [it.kind for it in call.faults_of("model-1", "llm")] == [FaultKind.STALL]
    assert call.faults_of("model-2", "llm") == []
    assert call.names("tts") == ["voice-1", "voice-2"]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("heard_there", "heard", r"x.yaml:8: .*unknown key 'heard'"),
        ("dead_air_added_s: 1.0, ", "", r"x.yaml:13: .*'dead_air_added_s' is missing"),
        ("answered_by: model-2", "answered_by: model-3", r"no endpoint 'model-3'"),
        ("endpoint: model-1", "endpoint: model-9", r"x.yaml:12: .*no endpoint 'model-9'"),
        ("on: {endpoint: model-1}", "on: {}", r"strikes an endpoint or a stage"),
        ("on_turn: 1", "on_call: 1", r"no on_call"),
        ("on_turn: 1", "share: 0.5", r"no lottery"),
        ("what: stall", "what: cut, hold_s: 2", r"has no option 'hold_s'"),
        ("model-1}, on_turn: 1, what: stall", "ear-1}, what: freeze", r"not for a stage of speech"),
        ("faults:\n      - {on", "outage: {from_s: 9, to_s: 3}\n    faults:\n      - {on", r"to_s"),
        ("version: 1", "version: 1\nread: false", r"one that was not has none"),
        ('"2026-09-01"', '"yesterday"', r"date: is not of the right form"),
        ("https:", "ftp:", r"link: is not of the right form"),
    ],
)
def test_what_is_wrong_with_a_file(was: str, now: str, told: str) -> None:
    """Each mistake is refused where it stands."""
    assert GOOD.replace(was, now) != GOOD
    with pytest.raises(ConfigError, match=told):
        parse(GOOD.replace(was, now), Path("x.yaml"))


def test_a_call_in_which_nothing_goes_wrong() -> None:
    """It would prove nothing."""
    start, end = GOOD.index("    faults:"), GOOD.index("    must:")
    with pytest.raises(ConfigError, match="nothing goes wrong in it"):
        parse(GOOD[:start] + GOOD[end:], Path("x.yaml"))


def test_a_folder(tmp_path: Path) -> None:
    """An empty one, an unknown name and a file that is no text are told."""
    with pytest.raises(InputError, match="holds no incidents"):
        load_all(tmp_path)
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert [it.name for it in load_all(tmp_path, ["mine"])] == ["mine"]
    with pytest.raises(InputError, match=r"no incident 'yours' .*Choose from: mine"):
        load_all(tmp_path, ["yours"])
    (tmp_path / "mine.yaml").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "mine.yaml")
