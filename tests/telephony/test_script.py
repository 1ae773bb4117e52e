"""Scripts: what they say, and what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest

from trunkline.errors import InputError
from trunkline.media import wav
from trunkline.telephony.script import (
    AfterAgent,
    At,
    BargeIn,
    CallScript,
    HangUp,
    Press,
    Speak,
    Step,
    Wait,
    parse_script,
    read_script,
)
from trunkline.testing.virtual import run


async def voice(text: str) -> bytes:
    """As many samples as the text has characters."""
    return b"\x00\x10" * len(text)


def parse(data: object, folder: Path = Path()) -> CallScript:
    """A script with a voice at hand."""
    return run(parse_script(data, folder=folder, voice=voice))


def test_a_yaml_file_becomes_steps(tmp_path: Path) -> None:
    """Files, text, keys, waits and moments, with the script's own quiet time."""
    wav.write_mulaw(tmp_path / "hello.wav", np.zeros(800, np.int16))
    path = tmp_path / "call.yaml"
    path.write_text(
        """
        quiet_s: 0.9
        max_wait_s: 8
        steps:
          - {say: hello.wav, after_agent: true}
          - {wav: hello.wav, barge_in_after_s: 1}
          - {say: "one two", after_agent: true, quiet_s: 2}
          - {dtmf: "1#", at_s: 20}
          - {wait_s: 3}
        """
    )
    assert run(read_script(path, voice)) == CallScript(
        (
            Step(Speak(b"\xff" * 800), AfterAgent(0.9), "hello.wav"),
            Step(Speak(b"\xff" * 800), BargeIn(1.0), "hello.wav"),
            Step(Speak(b"\xaf" * 7), AfterAgent(2.0), "one two"),
            Step(Press("1#"), At(20.0), "press 1#"),
            Step(Wait(3.0), None, "wait 3 s"),
            Step(HangUp(), AfterAgent(0.9), "hang up"),
        ),
        8.0,
    )


def test_a_script_that_hangs_up_gets_no_further_step() -> None:
    """A bare list is a script as well; JSON is YAML."""
    script = parse([{"wait_s": 1}, {"hang_up": True}])
    assert [step.does for step in script.steps] == [Wait(1.0), HangUp()]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (3, "a list of steps"),
        ([], "1 to 500 steps"),
        ({"steps": [{"wait_s": 1}], "speed": 2}, "script: unknown field 'speed'"),
        ([{"wait_s": 1}, "hello"], "step 2: is not a mapping"),
        ([{"shout": "x"}], "step 1: unknown field 'shout'"),
        ([{"after_agent": True}], "step 1: has nothing to do"),
        ([{"say": "a", "dtmf": "1"}], "step 1: has dtmf and say"),
        ([{"say": "a", "at_s": 1, "after_agent": True}], "step 1: after_agent and at_s together"),
        ([{"say": "a", "quiet_s": 1}], "'quiet_s' says nothing without"),
        ([{"say": "a", "after_agent": False}], "'after_agent' can only be true"),
        ([{"hang_up": "yes"}], "'hang_up' can only be true"),
        ([{"say": ""}], "'say' has to be text"),
        ([{"dtmf": 1}], "'dtmf' has to be text in quotes"),
        ([{"dtmf": "1x"}], "other keys than"),
        ([{"wait_s": "3"}], "'wait_s' is '3'"),
        ([{"wait_s": -1}], "'wait_s' is -1"),
        ([{"wait_s": True}], "'wait_s' is True"),
        ([{"wait_s": float("nan")}], "'wait_s' is nan"),
        ([{"say": "a", "at_s": 4000}], "0 to 3600"),
        ([{"wav": "none.wav"}], "step 1: .*none.wav"),
        ([{"say": "a", "after_agent": True, "quiet_s": 15}], "step 1: quiet_s 15 is not below"),
    ],
)
def test_what_is_wrong_is_named_by_step_and_field(data: object, reason: str) -> None:
    """An operator can mend it without reading the source."""
    with pytest.raises(InputError, match=reason):
        parse(data)


def test_text_needs_a_voice_that_returns_samples() -> None:
    """No voice, or half a sample, is an error before the call."""

    async def broken(text: str) -> bytes:
        return b"\x00"

    with pytest.raises(InputError, match="there is no voice"):
        run(parse_script([{"say": "hello"}], folder=Path()))
    with pytest.raises(InputError, match="returned 1 bytes"):
        run(parse_script([{"say": "hello"}], folder=Path(), voice=broken))


def test_a_stereo_clip_is_refused(tmp_path: Path) -> None:
    """A caller has one mouth."""
    wav.write_stereo(tmp_path / "two.wav", np.zeros((800, 2), np.int16))
    with pytest.raises(InputError, match="is stereo"):
        parse([{"wav": "two.wav"}], tmp_path)


def test_a_file_that_is_no_script_is_named(tmp_path: Path) -> None:
    """Missing, not YAML, too long, or wrong inside: the path is in the message."""
    bad, long, wrong = (tmp_path / name for name in ("bad.yaml", "long.yaml", "wrong.yaml"))
    bad.write_text("steps: [")
    long.write_text("# " + "x" * 300_000)
    wrong.write_text("[{say: 1}]")
    for path, reason in (
        (tmp_path / "none.yaml", "cannot be read"),
        (bad, "neither YAML nor JSON"),
        (long, "at most"),
        (wrong, "wrong.yaml: script step 1"),
    ):
        with pytest.raises(InputError, match=reason):
            run(read_script(path))
