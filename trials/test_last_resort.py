"""A worker as it is served, with no model left: the caller is put through, or leaves a message.

The first answer fails, and the caller is asked to say it again; the second one is the last.

Real sockets, the embedded recogniser and voice, the records on disk. Both models' addresses refuse
connections, as those of a provider that is down; the caller is `trunkline call`'s.
"""

import asyncio
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from trunkline.config.load import load
from trunkline.console.archiving import Place, opened
from trunkline.console.demo import configuration, free_ports
from trunkline.console.serving import serving
from trunkline.media import wav
from trunkline.media.g711 import mulaw_encode
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.script import AfterAgent, CallScript, HangUp, Press, Speak, Step
from trunkline.types import Event

NUMBER = "+12025550100"
CLIPS = Path(str(files("trunkline").joinpath("console/clips")))
SILENCE_S_MAX = 6.0
"""Of the agent, while a line is due: both models are tried twice before they are given up."""


def says(clip: str, quiet_s: float = 0.8) -> Step:
    samples = wav.read(CLIPS / f"{clip}.wav")
    return Step(Speak(mulaw_encode(samples)), AfterAgent(quiet_s), clip)


async def called(folder: Path, transfer_to: str, *steps: Step) -> tuple[CallResult, list[Event]]:
    """One call to a worker whose models are gone, and its sealed journal."""
    shipped = (files("trunkline.config") / "example.yaml").read_text("utf-8")
    assert shipped.count("transfer_to: null      #") == 1
    shipped = shipped.replace("transfer_to: null      #", f"transfer_to: {transfer_to}      #")
    (folder / "trunkline.yaml").write_text(configuration(free_ports(2), shipped), "utf-8")
    async with serving(load(folder / "trunkline.yaml"), "receptionist") as server:
        url = f"http://127.0.0.1:{server.port}/twilio/voice"
        script = CallScript((says("consent_no"), *steps), max_wait_s=40.0)
        result = await place_call(url, script, max_s=90.0)
    with opened(Place(folder / "records")) as store:
        (call,) = store.list_calls()
        return result, call.events


def data(events: list[Event], kind: str) -> list[dict[str, object]]:
    return [dict(event.data) for event in events if event.type == kind]


def longest_wait_s(result: CallResult) -> float:
    """Of the caller for the agent, behind what they said."""
    loud = np.flatnonzero(np.abs(result.tape[:, 1].astype(int)) > 100) / 8_000
    said = np.flatnonzero(np.abs(result.tape[:, 0].astype(int)) > 100) / 8_000
    after = loud[loud > said[said < loud[-1]].max()]
    return float(after[0] - said[said < after[0]].max())


@pytest.mark.ci
def test_who_cannot_be_answered_is_put_through(tmp_path: Path) -> None:
    """They are told so, the carrier dials the number, and the records say both."""
    steps = says("person"), Step(HangUp(), AfterAgent(20.0))
    result, events = asyncio.run(called(tmp_path, f'"{NUMBER}"', *steps))
    assert result.ended == "transferred"
    assert [it.detail for it in result.events if it.kind == "transfer"] == [NUMBER]
    assert data(events, "call.gave_up")[-1] == {"lost": "model", "way": "transfer"}
    assert data(events, "call.transferred") == [{"to": NUMBER, "said": True}]
    assert "putting you through" in str(data(events, "reply.ended")[-1]["heard"])
    said = float(np.flatnonzero(np.abs(result.tape[:, 1].astype(int)) > 100)[-1]) / 8_000
    print(f"from the last word to the dialling: {result.times('transfer')[0] - said:.2f} s")
    print(f"from the caller's last word to the line: {longest_wait_s(result):.2f} s")
    assert longest_wait_s(result) < SILENCE_S_MAX


@pytest.mark.ci
def test_who_cannot_be_put_through_leaves_a_message(tmp_path: Path) -> None:
    """Words and a number; without consent to it nothing is recorded."""
    keys = Step(Press("2025550111#"), None)
    late = Step(HangUp(), AfterAgent(20.0))
    steps = says("person"), says("message", quiet_s=0.3), keys, late
    result, events = asyncio.run(called(tmp_path, "null", *steps))
    assert result.ended == "agent_closed"
    assert data(events, "call.gave_up")[-1] == {"lost": "model", "way": "message"}
    (message,) = (tmp_path / "reception/messages.jsonl").read_text("utf-8").splitlines()
    kept = json.loads(message)
    assert kept["phone"] == "2025550111"
    heard = data(events, "transcript.final")[-1]["text"]
    assert heard
    assert kept["text"].startswith(heard)
    assert "your message is kept" in str(data(events, "reply.ended")[-1]["heard"])
    assert not data(events, "audio.segment"), "there was no consent"
    assert longest_wait_s(result) < SILENCE_S_MAX
