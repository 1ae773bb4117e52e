"""Run in the outsiders' environment: what their clients hear, as JSON on standard output.

speech_client.py CLIENT URL WHAT

CLIENT is one of `CLIENTS`, URL has the API's version; WHAT is a text to be spoken, or the name of a
file *.pcm to be heard, 16-bit mono at 8 kHz. This file imports nothing of ours.
"""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from livekit import rtc
from livekit.agents import stt
from livekit.plugins import cartesia, deepgram, elevenlabs

CHUNK = 1_600  # bytes, 100 ms


async def livekit_stt(url, pcm):
    heard = {"interim": [], "final": [], "words": []}
    async with aiohttp.ClientSession() as session:
        ears = deepgram.STT(
            api_key="a-key", base_url=f"{url}/listen", sample_rate=8_000, http_session=session
        )
        stream = ears.stream()

        async def push():
            for start in range(0, len(pcm), CHUNK):
                data = pcm[start : start + CHUNK]
                stream.push_frame(rtc.AudioFrame(data, 8_000, 1, len(data) // 2))
                await asyncio.sleep(0.01)
            stream.end_input()

        async with asyncio.TaskGroup() as group:
            group.create_task(push())
            async for event in stream:
                text = event.alternatives[0].text if event.alternatives else ""
                if event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT:
                    heard["interim"].append(text)
                elif event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                    heard["final"].append(text)
                    heard["words"] += [
                        [str(word), word.start_time, word.end_time]
                        for word in event.alternatives[0].words or ()
                    ]
        await stream.aclose()
    return heard


async def deepgram_sdk(url, pcm):
    ws = url.replace("http", "ws", 1).removesuffix("/v1")
    base = url.removesuffix("/v1")
    here = DeepgramClientEnvironment(base=base, production=ws, agent=ws, agent_rest=base)
    client = AsyncDeepgramClient(api_key="a-key", environment=here)
    heard = {"interim": [], "final": [], "words": [], "ended": ""}
    async with client.listen.v1.connect(
        model="nova-3", encoding="linear16", sample_rate=8_000, interim_results=True
    ) as socket:

        async def push():
            for start in range(0, len(pcm), CHUNK):
                await socket.send_media(pcm[start : start + CHUNK])
                await asyncio.sleep(0.01)
            await socket.send_close_stream()

        async with asyncio.TaskGroup() as group:
            group.create_task(push())
            async for message in socket:
                if message.type == "Results":
                    best = message.channel.alternatives[0]
                    heard["final" if message.is_final else "interim"].append(best.transcript)
                    if message.is_final:
                        heard["words"] += [
                            [word.punctuated_word, word.start, word.end] for word in best.words
                        ]
                else:
                    heard["ended"] = message.type
    return heard


async def livekit_tts(make, text):
    heard = {"samples": 0, "words": []}
    async with aiohttp.ClientSession() as session:
        voice = make(session)
        stream = voice.stream()
        stream.push_text(text)
        stream.end_input()
        async for event in stream:
            heard["samples"] += event.frame.samples_per_channel
            told = event.frame.userdata.get("lk.timed_transcripts", [])
            heard["words"] += [[str(word).strip(), word.start_time] for word in told]
        await stream.aclose()
        await voice.aclose()
    return heard


async def livekit_elevenlabs(url, text):
    def make(session):
        return elevenlabs.TTS(
            api_key="a-key",
            base_url=url,
            voice_id="anna",
            model="eleven_flash_v2_5",
            encoding="pcm_16000",
            http_session=session,
        )

    return await livekit_tts(make, text)


async def livekit_cartesia(url, text):
    def make(session):
        return cartesia.TTS(
            api_key="a-key", base_url=url, voice="anna", sample_rate=16_000, http_session=session
        )

    return await livekit_tts(make, text)


CLIENTS = {
    "livekit-stt": livekit_stt,
    "deepgram-sdk": deepgram_sdk,
    "livekit-elevenlabs": livekit_elevenlabs,
    "livekit-cartesia": livekit_cartesia,
}


async def main():
    kind, url, what = sys.argv[1:]
    given = Path(what).read_bytes() if what.endswith(".pcm") else what
    async with asyncio.timeout(60):
        print(json.dumps(await CLIENTS[kind](url, given)))


asyncio.run(main())
