"""The same calls in real time over real sockets: local servers that fail, real codecs before them.

Models stand behind `OpenAIServer`, recognisers behind `DeepgramServer`, voices behind
`ElevenLabsServer`; caller, shell and line are those of virtual time, on the real clock. What has no
wire is not played here: an outage of the records, and a model that refuses prefills (`wired`).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from typing_extensions import override

from trunkline.calls.steps import AnyStage
from trunkline.contracts import Context
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage, client_session
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.providers.tts.elevenlabs import ElevenLabs
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.testing.faults import FaultScript
from trunkline.testing.incidents import talk
from trunkline.testing.incidents.files import Call, Incident
from trunkline.testing.incidents.judge import Verdict, judge
from trunkline.testing.incidents.stages import (
    FIRST_AUDIO_S,
    FIRST_TOKEN_S,
    PACE,
    TOKEN_GAP_S,
    Moment,
    Strike,
    ToneEar,
    ToneVoice,
)
from trunkline.testing.incidents.staging import Played, Set, endpoint, play
from trunkline.testing.incidents.tones import Vocabulary
from trunkline.testing.laws import Law
from trunkline.testing.openai_server import FaultStruck, OpenAIServer
from trunkline.testing.speech_server import SpeechServer
from trunkline.types import LLM, STT, TTS, Delta, Endpoint, Prompt, StageName

AT_ONCE = 4
"""Calls at a time: more would measure this machine."""
TRIES = 3
"""How often a call is played that the machine disturbed."""
_LAW = Law("talk", FIRST_TOKEN_S, 0.0, TOKEN_GAP_S, 0.0, 0.3)
_KEY = "local-key"


def wired(call: Call) -> bool:
    """Whether all that happens in *call* can happen on a wire."""
    timed = any(it.from_s is not None or it.to_s is not None for it in call.faults)
    return call.outage is None and not call.backup.refuses_prefill and not timed


async def replay_real(incidents: Sequence[Incident], seed: int = 1) -> list[Verdict]:
    """The calls of *incidents* that have a wire, in real time, each beside the same unfaulted.

    A call that this machine disturbed is played again, fewer at a time.
    """
    calls = [(it.name, call) for it in incidents for call in it.calls if wired(call)]
    verdicts: dict[tuple[str, str], Verdict] = {}
    for attempt in range(TRIES):
        found = await _round(calls, seed, max(2, AT_ONCE >> attempt))
        verdicts |= {(it.incident, it.call): it for it in found}
        calls = [(name, it) for name, it in calls if verdicts[name, it.name].disturbed]
    return list(verdicts.values())


async def _round(calls: Sequence[tuple[str, Call]], seed: int, at_once: int) -> list[Verdict]:
    room = asyncio.Semaphore(at_once)

    async def played(call: Call, *, faulty: bool) -> Played:
        async with room, _stage(call, seed, faulty=faulty) as stage:
            return await play(call, stage)

    async with asyncio.TaskGroup() as group:
        pairs = [
            (
                group.create_task(played(call, faulty=False)),
                group.create_task(played(call, faulty=True)),
            )
            for _, call in calls
        ]
    # Judged when all is over: to read a tape takes long enough to hold up a pacer.
    return [
        judge(name, call, seed, clean.result(), struck.result())
        for (name, call), (clean, struck) in zip(calls, pairs, strict=True)
    ]


class _AskedOverHttp:
    """A model on a wire that remembers what it was asked."""

    def __init__(self, stage: SseStage[Prompt, Delta]) -> None:
        self.endpoint, self.prompts = stage.endpoint, list[Prompt]()
        self._stage = stage

    @asynccontextmanager
    async def open(self, source: Prompt, context: Context) -> AsyncIterator[AsyncIterator[Delta]]:
        """Ask."""
        self.prompts.append(source)
        async with self._stage.open(source, context) as deltas:
            yield deltas


class _Watched(SpeechServer):
    """A speech server whose faults know the turns of the call, and strike from its beginning on."""

    name: str
    moment: Moment
    before: int | None = None

    @override
    def _fault(
        self, text: str, fits: Callable[[FaultScript], bool], ahead: int = 0
    ) -> FaultScript | None:
        if not self.moment.begun:
            return None
        if self.before is None:
            self.before = self._count + ahead - 1
        ordinal, turn = self._count + ahead - self.before, self.moment.turn
        for fault in self._faults:
            if fits(fault) and fault.strikes(ordinal, text, turn=max(1, turn)):
                self.moment.strikes.append(Strike(self.name, fault.kind, ordinal, turn))
                return fault
        return None


class _Ears(_Watched, DeepgramServer):
    """Deepgram's words for tones."""


class _Voice(_Watched, ElevenLabsServer):
    """Tones in ElevenLabs' messages."""


@asynccontextmanager
async def _stage(call: Call, seed: int, *, faulty: bool) -> AsyncIterator[Set]:
    """The stages of *call* with a server behind each endpoint."""
    moment, vocabulary = Moment(seed), Vocabulary()
    gate = Gate(lambda _: None)
    models: list[_AskedOverHttp] = []
    speech: dict[StageName, list[AnyStage]] = {STT: [], TTS: []}

    def faults(name: str, stage: str) -> list[FaultScript]:
        return call.faults_of(name, stage) if faulty else []

    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(client_session())
        for number, name in enumerate(call.names("llm")):
            at = endpoint(call, name, LLM)
            said = talk.TalkModel(call.talk or talk.TALK, call.backup)
            server = OpenAIServer(
                said if number else said.as_primary(),
                _LAW,
                seed,
                faults(name, "llm"),
                on_fault=_told(name, moment),
            )
            await stack.enter_async_context(server)
            stage = SseStage(
                at, OpenAIChat(at), base_url=server.base_url, key=_KEY, session=session, gate=gate
            )
            models.append(_AskedOverHttp(stage))
        for kind in (STT, TTS):
            for name in call.names("stt" if kind == STT else "tts"):
                at = endpoint(call, name, kind)
                speaking = _speech_server(at, vocabulary, seed)
                speaking.name, speaking.moment = name, moment
                speaking.faults = faults(name, kind)
                await stack.enter_async_context(speaking)
                codec = Deepgram(at, {}) if kind == STT else ElevenLabs(at, {"voice": "anna"})
                remote: WebSocketStage[object, object] = WebSocketStage(
                    at,
                    codec,  # type: ignore[arg-type]  # either's shapes: a route holds any stage
                    base_url=speaking.base_url,
                    key=_KEY,
                    session=session,
                    gate=gate,
                )
                stack.push_async_callback(remote.close)
                speech[kind].append(remote)
        yield Set({**speech, LLM: models}, moment, vocabulary, models)


def _told(name: str, moment: Moment) -> Callable[[FaultStruck], None]:
    def struck(it: FaultStruck) -> None:
        moment.strikes.append(Strike(name, it.kind, it.request, moment.turn))

    return struck


def _speech_server(at: Endpoint, vocabulary: Vocabulary, seed: int) -> _Watched:
    unstruck = Moment(seed)  # what is wrong is wrong at the server's socket, not behind it
    if at.stage == STT:
        return _Ears(ToneEar(at, vocabulary, unstruck))
    singer = ToneVoice(at, vocabulary, unstruck, first_s=0.0, pace=math.inf)
    return _Voice(singer, first_s=FIRST_AUDIO_S, pace=PACE)
