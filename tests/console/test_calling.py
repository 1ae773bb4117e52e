"""`trunkline call`: orders that cannot be carried out, what is kept of a call, how it is told."""

import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from rich.console import Console

from tests.console.sample import speech
from trunkline.console import calling
from trunkline.console.calling import CallOrder, Follow, call, show
from trunkline.errors import CarrierLost, InputError
from trunkline.media import wav
from trunkline.telephony.caller import CallResult
from trunkline.telephony.line import CallEvent, Ending
from trunkline.telephony.script import AfterAgent, CallScript, HangUp, Speak
from trunkline.types import Mono

URL = "http://127.0.0.1:1/twilio/voice"


def a_call(*agent: tuple[float, float], ended: Ending = "hang_up") -> CallResult:
    """Ten seconds: the caller speaks from 3 to 4 s, the agent during *agent*."""
    tape = np.stack([speech(10, (3, 4)), speech(10, *agent)], axis=1)
    events = (CallEvent(3.0, "step_start", "hello"), CallEvent(10.0, "ended", ended))
    return CallResult(tape, Mono(7.0), events, ended, "CA1", np.array([0.001, 0.002]))


class Line:
    """In place of the network: what was dialled, and what the call will have been."""

    def __init__(self, result: CallResult) -> None:
        self.result = result
        self.dialled: list[tuple[str, CallScript, str | None, float]] = []

    async def place(
        self,
        url: str,
        script: CallScript,
        *,
        auth_token: str | None,
        voice: object,
        max_s: float,
        progress: Callable[[CallEvent], None] | None,
    ) -> CallResult:
        """Like `place_call`."""
        self.dialled.append((url, script, auth_token, max_s))
        for event in self.result.events if progress else ():
            assert progress is not None
            progress(event)
        return self.result


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """A line on which the agent answers after half a second."""

    @asynccontextmanager
    async def voice(options: Mapping[str, object]) -> AsyncIterator[object]:
        async def speak(text: str) -> bytes:
            return speech(0.1 * len(text), (0, 0.1 * len(text))).tobytes()

        yield speak

    line = Line(a_call((0.5, 2), (4.5, 6)))
    monkeypatch.setattr(calling, "place_call", line.place)
    monkeypatch.setattr(calling, "embedded_voice", voice)
    return line


@pytest.mark.parametrize(
    "order",
    [
        CallOrder(URL),
        CallOrder(URL, say=["hi"], clips=[Path("a.wav")]),
        CallOrder(URL, say=["hi"], script=Path("call.yaml")),
    ],
)
async def test_the_caller_needs_exactly_one_thing_to_say(line: Line, order: CallOrder) -> None:
    """Nothing, and two kinds at once, are refused before anybody is called."""
    with pytest.raises(InputError, match="one of --say, --wav or --script"):
        await call(order)
    assert line.dialled == []


async def test_texts_are_spoken_in_turn_and_then_the_caller_hangs_up(
    line: Line, tmp_path: Path
) -> None:
    """Each when the agent is quiet."""
    order = CallOrder(URL, say=["hi", "bye"], out=tmp_path, auth_token="t", max_s=9.0)
    await call(order)
    ((url, script, token, max_s),) = line.dialled
    assert (url, token, max_s) == (URL, "t", 9.0)
    assert [step.label for step in script.steps] == ["hi", "bye", "hang up"]
    assert all(step.when == AfterAgent() for step in script.steps)
    first, _, last = (step.does for step in script.steps)
    assert isinstance(first, Speak)
    assert len(first.mulaw) == 1600  # 0.1 s a letter
    assert isinstance(last, HangUp)


async def test_clips_are_played_in_turn(line: Line, tmp_path: Path) -> None:
    """A stereo clip is mixed: a caller has one mouth."""
    clip = tmp_path / "hello.wav"
    wav.write_stereo(clip, np.full((800, 2), 1000, np.int16))
    await call(CallOrder(URL, clips=[clip, clip], out=tmp_path))
    ((_, script, _, _),) = line.dialled
    assert [step.label for step in script.steps] == ["hello", "hello", "hang up"]
    does = script.steps[0].does
    assert isinstance(does, Speak)
    assert len(does.mulaw) == 800


async def test_a_script_is_followed(line: Line, tmp_path: Path) -> None:
    """Its own steps, and texts in it get a voice."""
    path = tmp_path / "call.yaml"
    path.write_text("steps: [{wait_s: 1}, {say: 'good morning', after_agent: true}]")
    await call(CallOrder(URL, script=path, out=tmp_path))
    ((_, script, _, _),) = line.dialled
    assert [step.label for step in script.steps] == ["wait 1 s", "good morning", "hang up"]


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (CallOrder(URL, clips=[Path("nope.wav")]), "nope.wav: no such file"),
        (CallOrder(URL, script=Path("nope.yaml")), "nope.yaml cannot be read"),
    ],
)
async def test_a_file_that_is_not_there_is_named(line: Line, order: CallOrder, says: str) -> None:
    """Before anybody is called."""
    with pytest.raises(InputError, match=says):
        await call(order)
    assert line.dialled == []


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error goes on, and no half of a result is left."""

    async def place(*args: object, **options: object) -> CallResult:
        raise CarrierLost("nobody there")

    monkeypatch.setattr(calling, "place_call", place)
    with pytest.raises(CarrierLost):
        await call(CallOrder(URL, script=_hang_up(tmp_path), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def _hang_up(folder: Path) -> Path:
    path = folder / "call.yaml"
    path.write_text("steps: [{hang_up: true}]")
    return path


async def test_the_tape_and_the_figures_are_kept(line: Line, tmp_path: Path) -> None:
    """The returned report is what `call.json` holds; the tape is the caller's."""
    out = tmp_path / "deep" / "out"
    report = await call(CallOrder(URL, say=["hi"], out=out))
    assert json.loads((out / "call.json").read_text("utf-8")) == json.loads(json.dumps(report))
    assert np.array_equal(wav.read(out / "tape.wav"), line.result.tape)
    assert report["ended"] == "hang_up"
    assert report["mono0"] == 7.0
    assert report["v2v_p50_s"] == pytest.approx(0.5, abs=0.01)
    assert report["caller_late_ms_max"] == 2.0


async def test_a_reply_that_never_came_is_null_in_the_json(line: Line, tmp_path: Path) -> None:
    """Strict readers know no infinity; `unanswered` counts it."""
    line.result = a_call((0.5, 2))
    report = await call(CallOrder(URL, say=["hi"], out=tmp_path))
    text = (tmp_path / "call.json").read_text("utf-8")
    told = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert told["v2v_s"] == [None]
    assert told["v2v_p50_s"] is None
    assert report["unanswered"] == 1


async def shown(line: Line, folder: Path) -> str:
    """What a person sees after the call, in 80 columns."""
    console = Console(file=io.StringIO(), width=80)
    show(await call(CallOrder(URL, say=["hi"], out=folder)), folder, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_figures_are_told(line: Line, tmp_path: Path) -> None:
    """The opening and each turn, and where the files are."""
    text = await shown(line, tmp_path)
    rows = [row.split() for row in text.splitlines()]
    assert ["opening", "-", "0.00", "-"] in rows
    assert ["1", "4.00", "0.50", "0.00", "-"] in rows
    assert "V2V p50 0.50 s, dead air at most 0.00 s; the caller hung up." in text
    assert str(tmp_path / "tape.wav") in text


async def test_a_turn_without_an_answer_is_told(line: Line, tmp_path: Path) -> None:
    """No figure stands for it, and the sentence counts it."""
    line.result = a_call((0.5, 2), ended="agent_silent")
    text = await shown(line, tmp_path)
    told = "turns never answered: 1; the caller gave up: the agent stayed silent."
    assert told in " ".join(text.split())
    assert "V2V p50" not in text


def test_every_ending_has_words() -> None:
    """A new way to end must be told, too."""
    assert set(calling.ENDINGS) == set(get_args(Ending))
    assert set(calling.ENDINGS) > calling.FAILED


def test_a_call_can_be_followed() -> None:
    """Who speaks when; marks are not for people."""
    console = Console(file=io.StringIO(), width=80)
    follow = Follow(console)
    for event in (
        CallEvent(0.08, "agent_on"),
        CallEvent(0.5, "mark", "0.0.5"),
        CallEvent(2.0, "agent_off"),
        CallEvent(3.0, "step_start", "hello"),
        CallEvent(4.0, "warning", "the agent sent nonsense"),
        CallEvent(9.0, "step_start", "hang up"),
        CallEvent(9.0, "ended", "hang_up"),
    ):
        follow(event)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == (
        "  0.08  agent   speaks\n"
        "  2.00  agent   is silent\n"
        "  3.00  caller  hello\n"
        "  4.00  warning the agent sent nonsense\n"
        "  9.00          the caller hung up\n"
    )
