"""The stages of an incident's call without sockets: what a provider would send, struck by faults.

A model's answer is written by the local server's own code and read by the real codec; only the
socket between them is missing. Voice and recogniser sing and hear tones (`tones`); their messages
are struck as `testing.speech_server` strikes them: a piece of audio, or a transcript, is what a
token is for a model.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from trunkline.contracts import Context, Decoder
from trunkline.errors import EndpointError, Fault
from trunkline.net.sse import SseParser
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.testing.chat import ChatRequest, Completion, parse_request
from trunkline.testing.faults import Act, FaultKind, FaultScript, course, struck
from trunkline.testing.incidents.talk import TalkModel
from trunkline.testing.incidents.tones import CALLER_WORD, Vocabulary
from trunkline.testing.laws import TokenTiming
from trunkline.types import (
    SAMPLE_RATE,
    AudioFrame,
    Delta,
    Endpoint,
    Phrase,
    Prompt,
    Speech,
    Transcript,
)

FIRST_TOKEN_S = 0.35
TOKEN_GAP_S = 0.02
FIRST_AUDIO_S = 0.12
FINAL_S = 0.08
PIECE_S = 0.2
PACE = 10.0
"""Seconds of audio that a voice makes in one second."""
_GARBAGE = b'data: {"id":"chatcmpl-0","choices":[{"del\n\n'
_REFUSES_PREFILL = (
    b'{"error":{"message":"the conversation must end with a user message",'
    b'"type":"invalid_request_error","code":null}}'
)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault struck request *ordinal* of *endpoint*, in *turn* of the call (0: the greeting)."""

    endpoint: str
    kind: FaultKind
    ordinal: int
    turn: int


@dataclass
class Moment:
    """What the stages of one call share: the clock of the call, its turn, and what struck.

    Nothing strikes before `begin`: what a worker prepares is no call.
    """

    seed: int
    turn: int = 0
    strikes: list[Strike] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    _began: float = math.inf

    def begin(self) -> None:
        """The call begins."""
        self._began = asyncio.get_running_loop().time()

    @property
    def begun(self) -> bool:
        """Whether the call has begun."""
        return self._began < math.inf

    def strike(
        self, endpoint: str, faults: Sequence[FaultScript], text: str, turn: int | None = None
    ) -> FaultScript | None:
        """The fault of the next request to *endpoint*, about *text*."""
        at_s = asyncio.get_running_loop().time() - self._began
        if at_s < 0:
            return None
        ordinal = self.requests[endpoint] = self.requests.get(endpoint, 0) + 1
        here = self.turn if turn is None else turn
        turn = max(1, here)
        refused = (it for it in faults if it.kind is FaultKind.REFUSE)
        fault = next((it for it in refused if it.strikes(ordinal, "", turn=turn, at_s=at_s)), None)
        if fault is None:
            fault = struck(faults, ordinal, text, turn=turn, at_s=at_s, seed=self.seed)
        if fault is not None:
            self.strikes.append(Strike(endpoint, fault.kind, ordinal, here))
        return fault


class WireModel:
    """*model* behind the local server's bytes and the real codec, without a socket."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: TalkModel,
        moment: Moment,
        faults: Sequence[FaultScript] = (),
    ) -> None:
        self.endpoint, self.prompts = endpoint, list[Prompt]()
        self.open_streams = 0
        self._codec, self._model = OpenAIChat(endpoint), model
        self._moment, self._faults = moment, faults

    @asynccontextmanager
    async def open(self, source: Prompt, context: Context) -> AsyncIterator[AsyncIterator[Delta]]:
        """Encode the prompt, answer it as the server would, decode the answer."""
        del context
        request = parse_request(self._codec.encode(source).body)
        self.prompts.append(source)
        turn = min(request.turn, self._moment.turn or request.turn)
        fault = self._moment.strike(self.endpoint.name, self._faults, request.last_user, turn)
        self.open_streams += 1
        try:
            await self._admit(request, fault)
            yield self._decoded(request, fault)
        finally:
            self.open_streams -= 1

    async def _admit(self, request: ChatRequest, fault: FaultScript | None) -> None:
        """Raise what the answer's status, or the lack of one, means."""
        ends_in_answer = request.prompt.messages[-1].role == "assistant"
        if self._model.how.refuses_prefill and ends_in_answer:
            self._refuse(400, {}, _REFUSES_PREFILL)
        if fault is not None and fault.kind is FaultKind.REFUSE:
            raise EndpointError(self.endpoint.name, Fault.UNREACHABLE, "connection refused")
        if fault is not None and fault.kind is FaultKind.STATUS:
            again = fault.retry_after_s
            headers = {} if again is None else {"retry-after": f"{again:g}"}
            self._refuse(fault.status, headers, fault.body.encode())

    def _refuse(self, status: int, headers: dict[str, str], body: bytes) -> None:
        meant = self._codec.refusal(status, headers, body)
        if isinstance(meant, Exception):
            raise meant
        raise EndpointError(self.endpoint.name, Fault.REFUSED, "the filter's answer is not played")

    async def _decoded(
        self, request: ChatRequest, fault: FaultScript | None
    ) -> AsyncIterator[Delta]:
        decoder: Decoder[Delta] = self._codec.decoder()
        parser = SseParser(self.endpoint.name)
        completion = Completion(request, self._model.reply(request.prompt), 1)
        timing = TokenTiming(FIRST_TOKEN_S, TOKEN_GAP_S, 0.3, self._moment.seed)
        said = 0
        for step in course(fault, timing, len(completion.deltas)):
            await _wait(step.after_s)
            if step.act is Act.RESET:
                raise EndpointError(self.endpoint.name, Fault.CUT, "the connection was reset")
            for event in parser.feed(_bytes(step.act, completion, said, fault)):
                for delta in decoder.feed(event):
                    yield delta
            said += step.act is Act.TOKEN
        for delta in decoder.end():
            yield delta


def _bytes(act: Act, completion: Completion, said: int, fault: FaultScript | None) -> bytes:
    written = b""
    match act:
        case Act.ROLE:
            written = completion.role()
        case Act.TOKEN:
            written = completion.token(said)
        case Act.COMMENT:
            written = b": keep-alive\n\n"
        case Act.GARBAGE:
            written = _GARBAGE
        case Act.FINISH:
            written = completion.finish(said)
        case Act.FILTER:
            written = completion.finish(said, "content_filter")
        case Act.ERROR if fault is not None:
            written = f"data: {fault.body}\n\ndata: [DONE]\n\n".encode()
        case _:
            pass  # CLOSE: the end of the bytes ends the stream
    return written


class _Messages:
    """The messages of one request to a stage of speech, as its fault lets them pass."""

    def __init__(self, endpoint: str, fault: FaultScript | None) -> None:
        self._endpoint, self._fault = endpoint, fault
        self._sent, self._held = 0, False

    async def admit(self) -> None:
        """The handshake."""
        if self._fault is None:
            return
        match self._fault.kind:
            case FaultKind.REFUSE:
                raise EndpointError(self._endpoint, Fault.UNREACHABLE, "connection refused")
            case FaultKind.STATUS:
                fault = Fault.THROTTLED if self._fault.status == 429 else Fault.REFUSED
                fault = Fault.UNAVAILABLE if self._fault.status >= 500 else fault
                raise EndpointError(self._endpoint, fault, f"HTTP {self._fault.status}")
            case FaultKind.HANG:
                await _wait(math.inf if self._fault.hold_s is None else self._fault.hold_s)
            case _:
                pass  # it strikes later

    async def next(self) -> bool:
        """Before each message; False: it is swallowed."""
        fault = self._fault
        if fault is not None and fault.kind is FaultKind.EMPTY:
            return False
        if fault is not None and self._sent >= fault.after_tokens:
            await self._strike(fault)
        self._sent += 1
        return True

    async def finish(self) -> None:
        """Before the end."""
        if self._fault is not None and self._fault.kind not in {FaultKind.EMPTY, FaultKind.DRIP}:
            await self._strike(self._fault)

    async def _strike(self, fault: FaultScript) -> None:
        match fault.kind:
            case FaultKind.DRIP:
                await asyncio.sleep(fault.gap_s)
            case FaultKind.STALL | FaultKind.HEADERS_ONLY | FaultKind.KEEPALIVES:
                held, self._held = self._held, True
                await _wait(0.0 if held else math.inf if fault.hold_s is None else fault.hold_s)
            case FaultKind.CUT | FaultKind.TRUNCATE:
                raise EndpointError(self._endpoint, Fault.CUT, "the socket was closed")
            case FaultKind.MALFORMED:
                raise EndpointError(self._endpoint, Fault.MALFORMED, "not JSON")
            case FaultKind.ERROR_INSIDE:
                raise EndpointError(self._endpoint, Fault.UNAVAILABLE, "an error message")
            case _:
                pass


class ToneVoice:
    """A synthesiser that sings its phrases; each phrase is a request.

    *first_s*: seconds to its first audio; *pace*: seconds of audio in one second.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        vocabulary: Vocabulary,
        moment: Moment,
        faults: Sequence[FaultScript] = (),
        *,
        first_s: float = FIRST_AUDIO_S,
        pace: float = PACE,
    ) -> None:
        self.endpoint, self.open_streams = endpoint, 0
        self._vocabulary, self._moment, self._faults = vocabulary, moment, faults
        self._first_s, self._pace = first_s, pace

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        """Sing each phrase as it comes."""
        del context
        self.open_streams += 1
        try:
            yield self._sing(source)
        finally:
            self.open_streams -= 1

    async def _sing(self, source: AsyncIterator[Phrase]) -> AsyncIterator[Speech]:
        name = self.endpoint.name
        async for phrase in source:
            messages = _Messages(name, self._moment.strike(name, self._faults, phrase.text))
            await messages.admit()
            whole = self._vocabulary.speech(phrase)
            await asyncio.sleep(self._first_s)
            samples, size = len(whole.pcm) // 2, round(PIECE_S * SAMPLE_RATE)
            for start in range(0, samples, size):
                stop = min(start + size, samples)
                if await messages.next():
                    marks = tuple(word for word in whole.words if start <= word.at < stop)
                    yield Speech(phrase.index, whole.pcm[2 * start : 2 * stop], marks)
                await asyncio.sleep(PIECE_S / self._pace)
            await messages.finish()
            yield Speech(phrase.index, b"", last=True)


class ToneEar:
    """A recogniser that hears tones: what it is not given it does not hear. An interim a word."""

    def __init__(
        self,
        endpoint: Endpoint,
        vocabulary: Vocabulary,
        moment: Moment,
        faults: Sequence[FaultScript] = (),
    ) -> None:
        self.endpoint, self.open_streams = endpoint, 0
        self._vocabulary, self._moment, self._faults = vocabulary, moment, faults

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        """Hear one utterance."""
        del context
        self.open_streams += 1
        try:
            name = self.endpoint.name
            messages = _Messages(name, self._moment.strike(name, self._faults, ""))
            await messages.admit()
            yield self._hear(source, messages)
        finally:
            self.open_streams -= 1

    async def _hear(
        self, source: AsyncIterator[AudioFrame], messages: _Messages
    ) -> AsyncIterator[Transcript]:
        pcm, told, looked = bytearray(), 0, 0
        async for frame in source:
            pcm += frame.pcm
            if len(pcm) - looked < CALLER_WORD:  # half a word of 16-bit samples
                continue
            looked = len(pcm)
            words = self._words(pcm)
            if len(words) > told:
                told = len(words)
                if await messages.next():
                    yield Transcript(" ".join(words), final=False)
        await asyncio.sleep(FINAL_S)
        if await messages.next():
            yield Transcript(" ".join(self._words(pcm)), final=True)
        await messages.finish()
        # A provider that swallowed its own results says that it is done all the same.
        yield Transcript("", final=True)

    def _words(self, pcm: bytearray) -> list[str]:
        return self._vocabulary.heard(np.frombuffer(bytes(pcm), np.int16), CALLER_WORD)


async def _wait(seconds: float) -> None:
    if seconds == math.inf:
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(seconds)
