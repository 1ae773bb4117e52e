"""Run in the outsiders' environment: what the vendors' SDKs hear, as JSON on standard output.

audio_client.py CLIENT URL WHAT

CLIENT is one of `CLIENTS`, URL has the API's version; WHAT is a text to be spoken, or the name of a
file *.pcm to be heard, 16-bit mono at 8 kHz. This file imports nothing of ours.
"""

import asyncio
import base64
import io
import json
import sys
import wave
from pathlib import Path

import openai
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Text
from soniox import AsyncSonioxClient
from soniox.types import RealtimeSTTConfig

CHUNK = 1_600  # bytes, 100 ms
RATE = 8_000


def client(url):
    ws = url.replace("http", "ws", 1)
    return openai.AsyncOpenAI(api_key="a-key", base_url=url, websocket_base_url=ws, max_retries=0)


def wav(pcm):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm)
    return ("speech.wav", file.getvalue(), "audio/wav")


async def openai_speech(url, text):
    told = {"samples": 0, "pieces": 0, "error": ""}
    try:
        async with client(url).audio.speech.with_streaming_response.create(
            input=text, model="kokoro", voice="anna", response_format="pcm"
        ) as response:
            async for piece in response.iter_bytes():
                told["samples"] += len(piece) / 2
                told["pieces"] += 1
    except openai.APIStatusError as error:
        told["error"] = f"{type(error).__name__} {error.status_code}"
    return told


async def openai_file(url, pcm):
    heard = await client(url).audio.transcriptions.create(
        file=wav(pcm),
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    return {"final": heard.text, "words": [[it.word, it.start, it.end] for it in heard.words]}


async def openai_events(url, pcm):
    told = {"interim": [], "final": ""}
    stream = await client(url).audio.transcriptions.create(
        file=wav(pcm), model="gpt-4o-transcribe", stream=True
    )
    async for event in stream:
        if event.type == "transcript.text.delta":
            told["interim"].append(event.delta)
        elif event.type == "transcript.text.done":
            told["final"] = event.text
    return told


async def openai_realtime(url, pcm):
    told = {"interim": [], "final": "", "events": []}
    audio = {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "transcription": {"model": "gpt-live-transcribe"},
        "turn_detection": None,
    }
    async with client(url).realtime.connect(extra_query={"intent": "transcription"}) as socket:
        await socket.session.update(session={"type": "transcription", "audio": {"input": audio}})
        # Each sample three times: 24 kHz, which is all the protocol has for linear audio.
        high = b"".join(pcm[at : at + 2] * 3 for at in range(0, len(pcm), 2))
        for start in range(0, len(high), 3 * CHUNK):
            data = base64.b64encode(high[start : start + 3 * CHUNK]).decode()
            await socket.input_audio_buffer.append(audio=data)
        await socket.input_audio_buffer.commit()
        async for event in socket:
            told["events"].append(event.type)
            if event.type.endswith("transcription.delta"):
                told["interim"].append(event.delta)
            elif event.type.endswith("transcription.completed"):
                told["final"] = event.transcript
                break
    return told


async def soniox(url, pcm):
    told = {"interim": [], "final": "", "finished": False}
    there = AsyncSonioxClient(
        api_key="a-key", websocket_base_url=url.replace("http", "ws", 1) + "/transcribe-websocket"
    )
    config = RealtimeSTTConfig(
        model="stt-rt-v5", audio_format="pcm_s16le", sample_rate=RATE, num_channels=1
    )
    async with there.realtime.stt.connect(config=config) as session:
        for start in range(0, len(pcm), CHUNK):
            await session.send_byte_chunk(pcm[start : start + CHUNK])
        await session.finish()
        async for event in session.receive_events():
            told["finished"] |= event.finished
            told["final"] += "".join(it.text for it in event.tokens if it.is_final)
            told["interim"].append("".join(it.text for it in event.tokens if not it.is_final))
    return told


async def deepgram_speak(url, text):
    ws, base = url.replace("http", "ws", 1).removesuffix("/v1"), url.removesuffix("/v1")
    here = DeepgramClientEnvironment(base=base, production=ws, agent=ws, agent_rest=base)
    told = {"samples": 0, "pieces": 0, "events": []}
    there = AsyncDeepgramClient(api_key="a-key", environment=here)
    async with there.speak.v1.connect(
        model="aura-2-thalia-en", encoding="linear16", sample_rate="24000"
    ) as socket:
        await socket.send_text(SpeakV1Text(text=text))
        await socket.send_flush()
        async for message in socket:
            if isinstance(message, bytes):
                told["samples"] += len(message) / 2
                told["pieces"] += 1
                continue
            told["events"].append(message.type)
            if message.type == "Flushed":
                break
    return told


CLIENTS = {
    "openai-speech": openai_speech,
    "openai-file": openai_file,
    "openai-events": openai_events,
    "openai-realtime": openai_realtime,
    "soniox": soniox,
    "deepgram-speak": deepgram_speak,
}


async def main():
    kind, url, what = sys.argv[1:]
    given = Path(what).read_bytes() if what.endswith(".pcm") else what
    async with asyncio.timeout(60):
        print(json.dumps(await CLIENTS[kind](url, given)))


asyncio.run(main())
