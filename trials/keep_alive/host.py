"""The local servers of a trial in a process of its own, told on stdin what to be.

    {"open": {"address": ..., "seed": ..., "servers": [{"stage", "backup", "fault", "then"}, ...]}}
    {"close": true}

Each line is answered with one: `{"opened": {"urls": [...]}}`, `{"closed": {}}`. A fault is told of
just before it takes effect: `{"fault": {"token": ..., "mono": ...}}`. One with *then* does more:
`stop` stops this process with SIGSTOP; an address loses the way back to it from the network
namespace that this process runs in, so that whatever a server says from now on is lost, and every
acknowledgement, too. From its first fault on, a speech server fails all that it is asked.
"""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from trials.keep_alive.order import LOCAL, TTS_FIRST_S, Healthy, healthy
from trials.keep_alive.sounds import REPLY, Ears, Voice
from trunkline.core.going_on import QUESTION as PROBE
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import Law, TokenTiming
from trunkline.testing.openai_server import OpenAIServer
from trunkline.testing.process import announce, die_with_parent, freeze
from trunkline.testing.speech_server import SpeechServer
from trunkline.types import LLM, STT, Prompt

BACKUP_GAP_S = 0.008
WEEK = "They are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."


@dataclass(frozen=True, slots=True)
class Steady(Law):
    """Every request takes what the first one takes: a retry must not change the twin."""

    @override
    def timing(self, seed: int, ordinal: int) -> TokenTiming:
        """As for request number 1."""
        del ordinal
        return TokenTiming(self.ttft_median_s, self.gap_s, self.gap_sigma, seed)


class Model:
    """Says `REPLY`; goes on where the assistant's words at the end of a request break off.

    A worker that starts asks something else, to see whether it does: that is answered, too.
    """

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """What of the reply is still to be said."""
        last = prompt.messages[-1]
        said = last.content.strip() if last.role == "assistant" else ""
        asked = next(it.content for it in reversed(prompt.messages) if it.role == "user")
        return ChatReply((WEEK if asked == PROBE else REPLY).removeprefix(said))


def server(told: Mapping[str, Any], seed: int, address: str) -> OpenAIServer | SpeechServer:
    """The server that *told* asks for."""
    parts, backup = healthy(seed), bool(told["backup"])
    faults = [FaultScript.parse(told["fault"])] if told["fault"] else []
    if told["stage"] == LLM:
        first_s = parts.backup_first_token_s if backup else parts.first_token_s
        law = Steady("steady", first_s, 0.0, BACKUP_GAP_S if backup else parts.gap_s, 0.0, 0.2)
        made: OpenAIServer | SpeechServer = OpenAIServer(
            Model(), law, seed, faults, on_fault=lambda it: _strike(told, it.token, it.mono)
        )
    else:
        made = _speech(told, parts, faults)
    made.host = address
    if address != LOCAL and isinstance(made, SpeechServer):
        # A worker sends no key unencrypted, but to itself.
        made.refusal = lambda _: None  # type: ignore[method-assign, assignment]  # as a server without keys
    return made


def _speech(told: Mapping[str, Any], parts: Healthy, faults: list[FaultScript]) -> SpeechServer:
    backup = bool(told["backup"])
    if told["stage"] == STT:
        made: SpeechServer = DeepgramServer(Ears(parts.final_s), faults)
    else:
        first_s = parts.backup_voice_s if backup else TTS_FIRST_S
        voice, pace = Voice("voice", 0.0), 3.0 if backup else parts.pace
        kind = ElevenLabsServer if backup != parts.elevenlabs_first else CartesiaServer
        made = kind(voice, faults, first_s=first_s, pace=pace)

    def struck(message: int, mono: float) -> None:
        _strike(told, message, mono)
        if not told["then"]:
            made.faults = [replace(faults[0], match=None, after_tokens=0)]

    made.on_fault = lambda it: struck(it.message, it.mono)
    return made


def _strike(told: Mapping[str, Any], token: int, mono: float) -> None:
    announce("fault", token=token, mono=mono)
    if told["then"] == "stop":
        freeze()
    elif told["then"]:
        subprocess.run(["ip", "route", "add", "blackhole", told["then"]], check=False)


async def main() -> None:
    """Serve until stdin is closed."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # of who is cut off
    die_with_parent()
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with AsyncExitStack() as stack:
        while line := await lines.readline():
            told = json.loads(line)
            await stack.aclose()
            if opening := told.get("open"):
                how = opening["seed"], opening["address"]
                made = [server(it, *how) for it in opening["servers"]]
                for one in made:
                    await stack.enter_async_context(one)
                announce("opened", urls=[one.base_url for one in made])
            else:
                announce("closed")


if __name__ == "__main__":
    asyncio.run(main())
