"""Run in the outsiders' environment: our stage around LiveKit's plugins, against our local servers.

livekit_stage.py CASE FAULT

CASE is one of `CASES`, FAULT a fault script as JSON, or null. What the stage says is written as
JSON on standard output. Here Trunkline is imported: it is what is tried, with others' code inside.
"""

import asyncio
import json
import sys

from trials.speech_rig import HEARD, KEY, LINES, audio, collect, context, phrases
from trunkline.config.load import parse
from trunkline.errors import EndpointError, TrunklineError
from trunkline.net.gate import Gate
from trunkline.net.remote import client_session
from trunkline.providers.registry import Resources, build
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.faults import FaultScript
from trunkline.testing.openai_speech_server import OpenAISpeechServer
from trunkline.testing.openai_transcription_server import OpenAITranscriptionServer
from trunkline.testing.simulated import SimStt, SimTts
from trunkline.types import DataClass

FILE = """\
version: 1
zones:
  there: {kind: managed, region: r, jurisdiction: us, processor: p, retention: none,
    baa: false, dpa: true, accepts: [audio, prompt, speech_text]}
endpoints:
  speech: {stage: STAGE, api: livekit, model: m, zone: there, failure_domain: a, key_env: KEY,
    options: {plugin: "PLUGIN", destination: "127.0.0.1:PORT", connect_s: 1, arguments: ARGUMENTS}}
  ears: {stage: stt, api: pocketsphinx, model: m, zone: there, failure_domain: b}
  mind: {stage: llm, api: openai, model: m, zone: there, failure_domain: b}
  voice: {stage: tts, api: espeak, model: m, zone: there, failure_domain: b}
agents:
  clerk: {routes: {stt: [ears], llm: [mind], tts: [voice]}}
"""


def ears():
    return SimStt("ears", [HEARD] * 9)


def voice():
    return SimTts("hum", ttfb_s=0.0)


CASES = {
    "deepgram-stt": (
        "stt",
        "livekit.plugins.deepgram:STT",
        lambda faults: DeepgramServer(ears(), faults),
        lambda server: {"base_url": f"{server.base_url}/listen", "sample_rate": 8_000},
    ),
    "openai-stt": (
        "stt",
        "livekit.plugins.openai:STT",
        lambda faults: OpenAITranscriptionServer(ears(), faults),
        lambda server: {"base_url": server.base_url, "model": "whisper", "use_realtime": False},
    ),
    "cartesia-tts": (
        "tts",
        "livekit.plugins.cartesia:TTS",
        lambda faults: CartesiaServer(voice(), faults),
        lambda server: {"base_url": server.base_url, "voice": "anna", "sample_rate": 16_000},
    ),
    "openai-tts": (
        "tts",
        "livekit.plugins.openai:TTS",
        lambda faults: OpenAISpeechServer(voice(), faults),
        lambda server: {"base_url": server.base_url, "voice": "anna", "response_format": "pcm"},
    ),
}


async def play(case, fault):
    stage_name, plugin, make, arguments = CASES[case]
    told = {"fault": "", "detail": "", "egress": [], "requests": 0}
    async with make([FaultScript.parse(fault)] if fault else []) as server, client_session() as s:
        text = FILE.replace("STAGE", stage_name).replace("PLUGIN", plugin)
        text = text.replace("PORT", str(server.port))
        text = text.replace("ARGUMENTS", json.dumps(arguments(server)))
        gate = Gate(lambda it: told["egress"].append(it.destination))
        stage = build(parse(text, "phones.yaml"), "speech", Resources(s, gate, {"KEY": KEY}))
        await stage.start()
        heard = []
        try:
            if stage_name == "stt":
                await collect(stage, audio(), context(4.0), heard)
            else:
                asked = context(4.0, DataClass.SPEECH_TEXT)
                await collect(stage, phrases(*LINES[:2]), asked, heard)
        except EndpointError as error:
            told["fault"], told["detail"] = error.fault.value, str(error)
        finally:
            await stage.close()
        told["requests"] = len(server.requests)
        told["port"] = server.port
    if stage_name == "stt":
        told["interim"] = [it.text for it in heard if not it.final]
        told["final"] = [it.text for it in heard if it.final]
        told["words"] = [it.text for it in heard[-1].words] if heard else []
    else:
        told["samples"] = [sum(len(it.pcm) // 2 for it in heard if it.phrase == n) for n in (0, 1)]
        told["last"] = [it.phrase for it in heard if it.last]
        told["words"] = [LINES[it.phrase][w.start : w.end] for it in heard for w in it.words]
    return told


def refused():
    """What a configuration that cannot work is refused with."""
    said = []
    for plugin, arguments in (
        ("livekit.plugins.deepgram:STT", {"modle": "x"}),
        ("livekit.plugins.deepgram:TTS", {}),
        ("livekit.plugins.nobody:STT", {}),
        ("deepgram", {}),
    ):
        text = FILE.replace("STAGE", "stt").replace("PLUGIN", plugin).replace("PORT", "1")
        config = parse(text.replace("ARGUMENTS", json.dumps(arguments)), "phones.yaml")
        try:
            build(config, "speech", Resources(None, Gate(print), {"KEY": KEY}))
        except TrunklineError as error:
            said.append(str(error))
    return said


async def main():
    case, fault = sys.argv[1:]
    async with asyncio.timeout(40):
        told = refused() if case == "refused" else await play(case, json.loads(fault))
        print(json.dumps(told))


asyncio.run(main())
