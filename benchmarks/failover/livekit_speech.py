"""LiveKit Agents' `tts.FallbackAdapter` and `stt.FallbackAdapter`, a new one for each trial.

As its documentation has it (docs.livekit.io, agents/models: fallback adapter, read November 2026):
its own plugins in order, nothing else set. ElevenLabs, then Cartesia; Deepgram, then another
Deepgram. They get an address of this machine, a made-up key, and raw audio.

livekit_speech.py tts|stt
"""

import asyncio
import logging
import sys
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.agents import stt, tts
from livekit.plugins import cartesia, deepgram, elevenlabs

from benchmarks.failover import subject

RATE = 16_000
HEARD_RATE = 8_000
_FRAME = 320  # bytes, 20 ms
_QUIET_S = 1.5
"""After a final transcript: is there another?"""


async def speak(asked: subject.Asked, heard: subject.Heard) -> None:
    async with aiohttp.ClientSession() as session:
        voices: list[tts.TTS] = [
            elevenlabs.TTS(
                api_key="none",
                base_url=asked.primary,
                voice_id="anna",
                model="eleven_flash_v2_5",
                encoding="pcm_16000",
                http_session=session,
            ),
            cartesia.TTS(
                api_key="none",
                base_url=asked.backup,
                voice="anna",
                sample_rate=RATE,
                http_session=session,
            ),
        ]
        adapter = tts.FallbackAdapter(voices)
        heard.restart()
        try:
            async with adapter.stream() as stream:
                stream.push_text(asked.text)
                stream.end_input()
                async for event in stream:
                    heard.sound(bytes(event.frame.data), event.frame.sample_rate)
            heard.end()
        finally:
            await adapter.aclose()
            for voice in voices:
                await voice.aclose()


async def listen(asked: subject.Asked, heard: subject.Heard) -> None:
    pcm = Path(asked.pcm).read_bytes()  # noqa: ASYNC240  # 100 kB, before anything is timed
    over = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        ears: list[stt.STT] = [
            deepgram.STT(
                api_key="none",
                base_url=f"{url}/listen",
                sample_rate=HEARD_RATE,
                http_session=session,
            )
            for url in (asked.primary, asked.backup)
        ]
        adapter = stt.FallbackAdapter(ears)
        stream = adapter.stream()
        heard.restart()

        async def read() -> None:
            async for event in stream:
                if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT and event.alternatives:
                    heard.token(event.alternatives[0].text)

        async def push() -> None:
            """The utterance at its own pace, then silence, as a line has it."""
            number = 0
            while not over.is_set():
                data = pcm[number * _FRAME : (number + 1) * _FRAME]
                if not data and heard.spoken is None:
                    heard.spoken = subject.now()
                    stream.flush()
                data = data.ljust(_FRAME, b"\0")
                stream.push_frame(rtc.AudioFrame(data, HEARD_RATE, 1, _FRAME // 2))
                number += 1
                if heard.spoken is not None and heard.tokens:
                    last = max(heard.tokens[-1][0], heard.spoken)
                    if subject.now() > last + _QUIET_S:
                        over.set()
                await asyncio.sleep(max(0.0, heard.began + number * 0.02 - subject.now()))

        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(read())
                group.create_task(push())
                await over.wait()
                heard.end()
                reading.cancel()
        finally:
            await stream.aclose()
            await adapter.aclose()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    subject.serve({"tts": speak, "stt": listen}[sys.argv[1]])
