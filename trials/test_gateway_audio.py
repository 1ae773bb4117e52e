"""Speech and transcriptions of the gateway, over real sockets, while their endpoints fail."""

import asyncio
import io
import json
import subprocess
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from trials.gateway_rig import trial
from trials.peers import environment
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.errors import EndpointError, Fault
from trunkline.gateway.audio_parts import RATE, AudioModel
from trunkline.gateway.door import Limits, Model
from trunkline.gateway.exchange import ChatModel
from trunkline.gateway.keys import Keys
from trunkline.gateway.metrics import Metrics
from trunkline.gateway.server import Gateway
from trunkline.telephony.door import Clients
from trunkline.telephony.leg import TwilioCarrier
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig
from trunkline.testing.simulated import Beat, SimLlm, SimStt, SimTts, tokens
from trunkline.types import STT, TTS, Delta, Prompt

TEXT = "We are open from nine to six. On Saturdays we are not."
SDK = Path(__file__).parent / "peers/gateway_more.py"
WORDS = len(TEXT.split())
GONE = EndpointError("a", Fault.UNAVAILABLE, "HTTP 503")


async def _no_calls(_: TwilioCarrier) -> None:
    """Nobody calls."""


@asynccontextmanager
async def rig(**models: Model) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """A gateway of these *models*: its address, and a client."""
    config = TelephonyConfig(port=0, clients=Clients("/v1/", 500, 256))
    port = TelephonyServer(config, _no_calls)
    gateway = Gateway(
        lambda: models,
        Keys({}),
        Router(RoutingPolicy()),
        Metrics("w0"),
        occupied=port.occupied,
        wall=time.time,
        limits=Limits(audio_bytes_max=3 << 20),
    )
    port.app.add_routes(gateway.routes())
    await port.start()
    try:
        address = f"http://127.0.0.1:{port.port}"
        async with aiohttp.ClientSession() as client:
            yield address, client
    finally:
        await port.close()


def voice(*stages: SimTts) -> AudioModel:
    """A model that speaks."""
    return AudioModel("v", TTS, stages)


def ears(*stages: SimStt) -> AudioModel:
    """A model that listens."""
    return AudioModel("e", STT, stages)


def asked(**more: object) -> dict[str, object]:
    """A request to speak."""
    return {"model": "v", "input": TEXT, "voice": "default", "response_format": "pcm"} | more


def recording(seconds: float = 2.0, rate: int = 44_100, form: str = "WAV") -> bytes:
    """A tone, as a file."""
    tone = 0.3 * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 200 / rate)
    file = io.BytesIO()
    soundfile.write(file, tone, rate, format=form)
    return file.getvalue()


def form(**fields: Any) -> aiohttp.FormData:
    """A request to write a recording down."""
    data = aiohttp.FormData()
    for name, value in ({"model": "e", "file": recording()} | fields).items():
        data.add_field(name, value, filename="a.wav" if name == "file" else None)
    return data


@pytest.mark.ci
@trial
async def test_a_text_is_spoken_through_a_failure() -> None:
    """One body, whole, whoever spoke; and it comes while it is spoken."""
    stages = SimTts("a", broken={"Saturdays": GONE}), SimTts("b")
    async with rig(v=voice(*stages)) as (address, client):
        async with client.post(f"{address}/v1/audio/speech", json=asked()) as response:
            pieces = [it async for it in response.content.iter_any()]
        pcm = b"".join(pieces)
        assert (response.status, response.content_type) == (200, "audio/pcm")
        assert response.headers["X-Trunkline-Endpoint"] == "a"
        assert len(pcm) / 2 / RATE == pytest.approx(WORDS / 2.6, rel=0.15)
        assert len(pieces) > 1
        text = await (await client.get(f"{address}/metrics")).text()
    assert 'route="speech",model="v",outcome="complete"} 1' in text
    assert 'failovers_total{worker="w0",from="a",to="b"' in text


@pytest.mark.ci
@trial
async def test_a_wav_can_be_read() -> None:
    """By a reader that knows nothing of its making."""
    async with rig(v=voice(SimTts("a"))) as (address, client):
        response = await client.post(
            f"{address}/v1/audio/speech", json=asked(response_format="wav")
        )
        with wave.open(io.BytesIO(await response.read())) as file:
            assert file.getframerate() == RATE


@pytest.mark.ci
@trial
async def test_a_text_that_nobody_can_finish_breaks_off() -> None:
    """Its body has no end; before the first sound it is a status."""
    refused = EndpointError("a", Fault.REFUSED, "HTTP 401")
    async with rig(v=voice(SimTts("a", broken={"Saturdays": refused}))) as (address, client):
        response = await client.post(f"{address}/v1/audio/speech", json=asked())
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    async with rig(v=voice(SimTts("a", broken={"We": refused}))) as (address, client):
        response = await client.post(f"{address}/v1/audio/speech", json=asked())
        body = await response.json()
    assert response.status == 503
    assert "a: refused" in body["error"]["message"]


@pytest.mark.ci
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
@trial
async def test_a_recording_is_written_down(kind: str) -> None:
    """Whatever its rate and format, and whoever fails first."""
    stages = SimStt("a", [GONE] * 9), SimStt("b", ["When are you open?"] * 9)
    async with rig(e=ears(*stages)) as (address, client):
        data = form(file=recording(form=kind), response_format="verbose_json")
        response = await client.post(f"{address}/v1/audio/transcriptions", data=data)
        told = await response.json()
        assert (response.status, told["text"]) == (200, "When are you open?")
        assert told["duration"] == pytest.approx(2.0, abs=0.05)
        assert response.headers["X-Trunkline-Endpoint"] == "b"
        assert response.headers["X-Trunkline-Failover"] == "a>b;unavailable"
        heard = sum(len(frame.pcm) for frame in stages[1].heard[0]) / 2 / 8000
        assert heard == pytest.approx(2.0, abs=0.05)
        text = await client.post(
            f"{address}/v1/audio/transcriptions", data=form(response_format="text")
        )
        assert await text.text() == "When are you open?\n"


@pytest.mark.ci
@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"file": b""}, 400, "file"),
        ({"file": b"RIFF, but no more"}, 400, "file"),
        ({"file": io.BytesIO(bytes(4 << 20))}, 413, "body"),
        ({"model": "nobody"}, 404, "model"),
        ({"model": "v"}, 400, "model"),
        ({"response_format": "srt"}, 400, "response_format"),
        ({"prompt": "Doctor"}, 400, "prompt"),
        ({"language": "de"}, 400, "language"),
    ],
)
@trial
async def test_what_is_wrong_is_named(fields: dict[str, Any], status: int, param: str) -> None:
    """As for all other requests."""
    async with rig(e=ears(SimStt("a", ["Yes."])), v=voice(SimTts("b"))) as (address, client):
        response = await client.post(f"{address}/v1/audio/transcriptions", data=form(**fields))
        assert (response.status, (await response.json())["error"]["param"]) == (status, param)


@pytest.mark.ci
@trial
async def test_who_leaves_takes_the_request_along() -> None:
    """Who speaks is stopped at once."""
    async with rig(v=voice(SimTts("a", ttfb_s=30.0))) as (address, client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.post(f"{address}/v1/audio/speech", json=asked())
        await asyncio.sleep(0.2)
        text = await (await client.get(f"{address}/metrics")).text()
    assert 'route="speech",model="v",outcome="left"} 1' in text


@trial
async def test_the_official_sdk_understands_all_of_it() -> None:
    """Responses with and without a stream, speech and transcriptions, in an environment of its
    own, made on first use; an answer that two models have written is one to it."""
    cut = EndpointError("a", Fault.CUT, "gone")

    def rest(prompt: Prompt) -> list[Beat[Delta]]:
        said = prompt.messages[-1].content if prompt.continue_final else ""
        return list(tokens(TEXT.removeprefix(said)))

    def breaks(prompt: Prompt) -> list[Beat[Delta]]:
        return [*rest(prompt)[:4], (0.01, cut)]

    stages = SimLlm("a", breaks), SimLlm("b", rest)
    for stage in stages:
        stage.endpoint = replace(stage.endpoint, continuation="prefix")
    models: dict[str, Model] = {
        "fast": ChatModel("fast", stages),
        "say": AudioModel("say", TTS, (SimTts("v"),)),
        "listen": AudioModel("listen", STT, (SimStt("e", ["We are open."] * 9),)),
    }
    async with rig(**models) as (address, _):
        command = [str(environment.python("chat")), str(SDK), f"{address}/v1"]
        done = await asyncio.to_thread(
            subprocess.run, command, check=False, capture_output=True, text=True, timeout=50
        )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["types"][0] == "response.created"
    assert told["types"][-1] == "response.completed"
    assert {told[it] for it in ("deltas", "streamed", "whole", "helper")} == {TEXT}
    assert told["status"] == "completed"
    assert told["pcm"] / 2 / RATE == pytest.approx(7 / 2.6, rel=0.15)
    assert told["wav"] == told["pcm"] + 44
    assert told["mp3"] == "response_format"
    assert told["heard"] == "We are open."
    assert told["duration"] == pytest.approx(told["pcm"] / 2 / RATE, abs=0.1)
