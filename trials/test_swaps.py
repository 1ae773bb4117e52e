"""Swapping a model, recogniser or synthesiser of the demo receptionist is a change of one line.

The configuration that ships, with one line replaced, for each api that a local server can serve; a
worker (`trunkline serve`) and a caller (`trunkline call`), each a process of its own, and the same
script: consent, a question, its long answer. What was swapped must have served; the question is
understood, and each item of the answer is on the caller's tape, whole and once. A call whose caller
was late by more than 100 ms measured the machine: it is placed again, and if none was in time, only
that the swapped one served and the question was understood is judged, and the trial is skipped.
Behind the servers of speech are the embedded engines, behind those of models the scripted
receptionist.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trials.calls import LATE_MS_MAX, QUESTION, SCRIPTS, blemishes, items_heard
from trials.embedded_rig import endpoint
from trials.speech_rig import eventually
from trunkline.console.demo import MARK, DemoOrder, DemoRun, configuration, free_ports
from trunkline.console.outcome import Evidence
from trunkline.console.spoken import embedded_voice
from trunkline.providers.embedded import scripted
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.providers.opening import Startable
from trunkline.records.store import Store
from trunkline.testing.anthropic_server import AnthropicServer
from trunkline.testing.aura_server import AuraServer
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.chat_server import ChatServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.testing.gemini_server import GeminiServer
from trunkline.testing.laws import law_named
from trunkline.testing.openai_realtime_server import OpenAIRealtimeServer
from trunkline.testing.openai_server import OpenAIServer
from trunkline.testing.openai_speech_server import OpenAISpeechServer
from trunkline.testing.openai_transcription_server import OpenAITranscriptionServer
from trunkline.testing.responses_server import ResponsesServer
from trunkline.testing.soniox_server import SonioxServer
from trunkline.types import STT, TTS

KEY = "TRIAL_KEY"
START_S = 60.0
CALL_S = 150.0
# As shipped: without it a worker takes the endpoint for a slow one, and asks the backup first.
EXPECTED = "expected: {ttft_p50_s: 0.1, ttft_p95_s: 0.3, slow_share: 0.02, sentence_s: 0.2}"
STOP_S = 10.0
TRIES_MAX = 3


@dataclass(frozen=True)
class Swap:
    """*line* replaces that of endpoint *name*; `{url}` is where the server listens.

    *server* is given what is behind it: a model, or one of our engines.
    """

    name: str
    line: str
    behind: Callable[[], Any]
    server: Callable[[Any], Any]

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Any]:
        """The server, its engine started: who is called first must not wait for it to load."""
        behind = self.behind()
        started = isinstance(behind, Startable)
        try:
            if started:
                await behind.start()
            async with self.server(behind) as server:
                yield server
        finally:
            if started:
                await behind.close()


def model(api: str, server: type[ChatServer]) -> Swap:
    line = f'{{stage: llm, api: {api}, model: a-model, base_url: "{{url}}", zone: here, '
    line += f"failure_domain: rack-a, key_env: {KEY}, {EXPECTED}}}"
    law = law_named("self_hosted_8b")
    return Swap("primary", line, scripted.primary, lambda behind: server(behind, law))


def ears(api: str, server: Callable[[Any], Any], options: str = "") -> Swap:
    line = f'{{stage: stt, api: {api}, model: a-model, base_url: "{{url}}", zone: here, '
    line += f"failure_domain: there, key_env: {KEY}{options}}}"
    return Swap("ears", line, lambda: PocketsphinxStt(endpoint(STT), {"decoders": 2}), server)


def voice(api: str, server: Callable[[Any], Any], options: str = "") -> Swap:
    line = f'{{stage: tts, api: {api}, model: a-model, base_url: "{{url}}", zone: here, '
    line += f"failure_domain: there, key_env: {KEY}{options}}}"
    return Swap("voice", line, lambda: EspeakTts(endpoint(TTS), {}), server)


ANNA = ", options: {voice: anna}"
SWAPS: Mapping[str, Swap] = {
    "llm.openai": model("openai", OpenAIServer),
    "llm.anthropic": model("anthropic", AnthropicServer),
    "llm.gemini": model("gemini", GeminiServer),
    "llm.openai_responses": model("openai_responses", ResponsesServer),
    "stt.deepgram": ears("deepgram", DeepgramServer),
    "stt.openai": ears("openai", OpenAITranscriptionServer),
    "stt.openai_realtime": ears("openai_realtime", OpenAIRealtimeServer),
    "stt.soniox": ears("soniox", SonioxServer),
    "tts.cartesia": voice("cartesia", CartesiaServer, ANNA),
    "tts.deepgram_aura": voice("deepgram_aura", AuraServer),
    "tts.elevenlabs": voice("elevenlabs", ElevenLabsServer, ANNA),
    "tts.openai": voice("openai", OpenAISpeechServer, ANNA),
}


@asynccontextmanager
async def process(*args: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m trunkline ...`; it ends with the context."""
    environ = {**os.environ, KEY: "a-made-up-key"}
    one = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "trunkline",
        *args,
        stdin=PIPE,
        stdout=PIPE,
        limit=1 << 20,
        env=environ,
    )
    try:
        yield one
    finally:
        if one.returncode is None:
            one.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await one.wait()
        except TimeoutError:
            one.kill()
            await one.wait()


async def drained(one: asyncio.subprocess.Process) -> None:
    assert one.stdout is not None
    async for _ in one.stdout:
        pass


def swapped(text: str, swap: Swap, url: str) -> str:
    """*text* with the line of the endpoint replaced, and no other."""
    lines = text.splitlines(keepends=True)
    (at,) = [n for n, line in enumerate(lines) if line.startswith(f"  {swap.name}: ")]
    lines[at] = f"  {swap.name}: {swap.line.replace('{url}', url)}\n"
    return "".join(lines)


@asynccontextmanager
async def serving(text: str, out: Path) -> AsyncIterator[int]:
    """A worker with the configuration *text*; the port on which it answers."""
    config = out / "trunkline.yaml"
    config.write_text(MARK + text, "utf-8")
    async with process("serve", str(config), "--events") as worker:
        assert worker.stdout is not None
        async with asyncio.timeout(START_S):
            ready = json.loads(await worker.stdout.readline())
        reading = asyncio.ensure_future(drained(worker))
        try:
            yield int(ready["port"])
        finally:
            reading.cancel()


async def place(swap: Swap, out: Path) -> tuple[Evidence, Any]:
    """One call with *swap*; what was seen of it, and the server that served."""
    async with AsyncExitStack() as stack:
        law = law_named("self_hosted_8b")
        others = [
            await stack.enter_async_context(OpenAIServer(make(), law))
            for make in (scripted.primary, scripted.backup)
        ]
        server = await stack.enter_async_context(swap.served())
        shipped = configuration([other.port for other in others])
        text = swapped(shipped, swap, server.base_url)
        port = await stack.enter_async_context(serving(text, out))
        url = f"http://127.0.0.1:{port}/twilio/voice"
        where = ["--script", str(SCRIPTS / "short.yaml"), "--out", str(out), "--progress"]
        async with asyncio.timeout(CALL_S), process("call", url, *where) as caller:
            await drained(caller)
            assert await caller.wait() == 0
        store = Store(out / "records")
        await eventually(lambda: bool(store.list_calls()), STOP_S)  # sealed when the leg is gone
        run = DemoRun(DemoOrder(fault="none", out=out, script=SCRIPTS / "short.yaml"), 0)
        run.caller = json.loads((out / "call.json").read_text("utf-8"))
        return Evidence(run), server


def in_time(evidence: Evidence) -> bool:
    """Whether the call measured us, and not the machine."""
    late_ms = evidence.run.caller["caller_late_ms_max"]
    print(f"the caller was late by {late_ms} ms at most")
    return isinstance(late_ms, float) and late_ms <= LATE_MS_MAX


async def judge(evidence: Evidence) -> None:
    """What a call must be whose caller was in time."""
    assert not evidence.of("utterance.lost")
    ended = evidence.of("attempt.ended")
    assert [e.data for e in ended if e.data["outcome"] == "failed"] == []
    heard = " ".join(str(e.data["heard"]) for e in evidence.of("reply.ended"))
    items = scripted.content_items("visit")
    assert all(it.primary_text in heard or it.backup_text in heard for it in items), heard
    async with embedded_voice({}) as voice:
        assert blemishes(await items_heard(evidence.agent, voice)) == []


@pytest.mark.parametrize("name", SWAPS)
def test_one_line_is_all_it_takes(name: str, tmp_path: Path) -> None:
    """The same script passes with every stage swapped; the swapped one has served."""
    swap = SWAPS[name]

    async def main() -> None:
        for attempt in range(TRIES_MAX):
            out = tmp_path / str(attempt)
            out.mkdir()
            evidence, server = await place(swap, out)
            finals = [e.data["text"] for e in evidence.of("transcript.final")]
            assert QUESTION in finals, finals
            assert [record.ended for record in server.requests].count("finished") >= 2
            if in_time(evidence):
                await judge(evidence)
                return
        pytest.skip(
            "the caller's clock was late: only that it was served and understood was judged"
        )

    asyncio.run(main())


@pytest.mark.ci
def test_a_worker_starts_with_a_voice_that_is_reached_over_a_network(tmp_path: Path) -> None:
    """It renders the lines for all calls before there is a call that the gate could note."""
    swap = SWAPS["tts.openai"]

    async def main() -> None:
        async with swap.served() as server:
            text = swapped(configuration(free_ports(2)), swap, server.base_url)
            async with serving(text, tmp_path) as port:
                assert port > 0
            assert [record.ended for record in server.requests].count("finished") > 0

    asyncio.run(main())
