"""LiveKit's plugins as stages of ours: what they say of our local servers, and how they fail.

Plugin and stage run in an environment of their own (`trials/peers`), which is made on first use.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from trials.peers import environment
from trials.speech_rig import HEARD, KEY, LINES
from trunkline.core.playout import WORDS_PER_S
from trunkline.types import SAMPLE_RATE

SCRIPT = Path(__file__).parent / "peers" / "livekit_stage.py"
ROOT = Path(__file__).parents[1]


def play(case: str, fault: object = None) -> Any:
    """What a case says under *fault*; and never the key."""
    python = environment.python("livekit")
    environ = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": os.environ.get("PATH", "")}
    ran = subprocess.run(
        [python, SCRIPT, case, json.dumps(fault)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
    assert KEY not in ran.stdout
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize(("case", "interims"), [("deepgram-stt", True), ("openai-stt", False)])
def test_a_plugin_hears_the_caller(case: str, interims: bool) -> None:
    """The final text once, interims where the plugin streams, one request, past the gate."""
    told = play(case)
    assert told["final"] == [HEARD.final]
    assert bool(told["interim"]) is interims
    assert told["requests"] == 1
    assert told["egress"] == [f"127.0.0.1:{told['port']}"]


@pytest.mark.parametrize(("case", "marked"), [("cartesia-tts", True), ("openai-tts", False)])
def test_a_plugin_speaks(case: str, marked: bool) -> None:
    """Each phrase whole, as long as it is, its words marked where the plugin knows them."""
    told = play(case)
    assert told["last"] == [0, 1]
    for samples, line in zip(told["samples"], LINES[:2], strict=True):
        wanted = len(line.split()) * int(SAMPLE_RATE / WORDS_PER_S)
        assert samples == pytest.approx(wanted, abs=400)
    assert told["words"] == (LINES[0].split() + LINES[1].split() if marked else [])


FAULTS: dict[str, tuple[dict[str, object], set[str]]] = {
    "status_401": ({"kind": "status", "status": 401, "body": f"bad {KEY}"}, {"refused"}),
    "status_429": ({"kind": "status", "status": 429}, {"throttled"}),
    "status_500": ({"kind": "status"}, {"unavailable"}),
    "refuse": ({"kind": "refuse"}, {"unreachable"}),
    "hang": ({"kind": "hang"}, {"unreachable", "silent"}),
    "headers_only": ({"kind": "headers_only"}, {"silent", "unreachable"}),
    "cut": ({"kind": "cut", "after_tokens": 2}, {"cut", "unreachable"}),
}


@pytest.mark.parametrize("case", ["deepgram-stt", "cartesia-tts", "openai-tts"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_plugins_faults_are_ours(case: str, name: str) -> None:
    """Told as what they are, after one request: its own retries are off."""
    script, expected = FAULTS[name]
    told = play(case, script)
    assert told["fault"] in expected, told["detail"]
    assert told["requests"] <= 1


def test_what_cannot_work_is_refused_before_a_call() -> None:
    """With the line of the endpoint: an argument, a class, a module, a path that are not there."""
    argument, kind, module, path = play("refused")
    for said in (argument, kind, module, path):
        assert said.startswith("phones.yaml:6: endpoints.speech: ")
    assert "has no argument 'modle'" in argument
    assert "not a class of livekit.agents.stt.STT" in kind
    assert "pip install livekit-plugins-nobody" in module
    assert 'such as "livekit.plugins.deepgram:STT"' in path
