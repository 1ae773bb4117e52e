"""What an endpoint does when it is asked three times: how long it takes, and what it can do.

A model answers, goes on with half of its answer if it is declared to, and is offered a tool; a
synthesiser says three phrases; a recogniser hears one clip three times. Nothing of any caller is
sent. Every request has its deadline, and one that fails by its configuration is not repeated.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.calls.capability import Reply, ask, goes_on, question
from trunkline.calls.steps import AnyStage, LlmStage, SttStage, TtsStage
from trunkline.contracts import Context
from trunkline.core.going_on import Goes
from trunkline.errors import EgressRefused, EndpointError, Fault, InputError
from trunkline.types import (
    FRAME_S,
    FRAME_SAMPLES,
    LLM,
    STT,
    TTS,
    AudioFrame,
    CallId,
    DataClass,
    Message,
    Phrase,
    Prompt,
    Sample,
    StageName,
    ToolSpec,
    Where,
)

WITHIN_S = 8.0
"""For one request; whoever needs longer keeps every caller waiting."""
TIMES = 3
SPEED = 8.0
"""The clip is sent so many times faster than it was said, as a backup recogniser gets it."""
WHERE = Where(CallId("check"))
PHRASES = ("Okay.", "One moment, please.", "Would half past two on Thursday suit you?")
_SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
TOOL = ToolSpec("write_down", "Writes one word down.", _SCHEMA, safe=True)
TOOL_PROMPT = Prompt(
    (Message("user", "Use the tool write_down to write down the word: ready"),),
    (TOOL,),
    max_tokens=80,
    temperature=0.0,
)
HOPELESS = {Fault.UNREACHABLE, Fault.REFUSED}
"""Faults that the next request would have, too."""


@dataclass(slots=True)
class Examined:
    """*firsts_s*: seconds to the first token, audio, or final transcript, of those that came.

    *can*: what it showed, in words; *wrong*: what an operator has to mend; *asked*: requests.
    """

    asked: int = 0
    firsts_s: list[float] = field(default_factory=list)
    can: dict[str, str] = field(default_factory=dict)
    wrong: list[EndpointError | EgressRefused | InputError | str] = field(default_factory=list)

    def took(self, first_s: float | None, error: EndpointError | EgressRefused | None) -> bool:
        """Book a request; whether to go on asking."""
        self.asked += 1
        if first_s is not None and error is None:
            self.firsts_s.append(first_s)
        if error is None:
            return True
        self.wrong.append(error)
        hopeless = not isinstance(error, EndpointError) or error.fault in HOPELESS
        return not hopeless


async def examine(stage: AnyStage, clip: bytes) -> Examined:
    """Ask *stage* `TIMES` times; *clip*: speech for a recogniser, 16-bit mono at 8 kHz."""
    examiners: Mapping[StageName, Callable[[], Any]] = {
        LLM: lambda: _model(stage),
        TTS: lambda: _voice(stage),
        STT: lambda: _ears(stage, clip),
    }
    known = examiners.get(stage.endpoint.stage)
    if known is None:
        return Examined(can={"requests": "there are none for this stage"})
    examined: Examined = await known()
    return examined


async def _model(stage: LlmStage) -> Examined:
    found, declared = Examined(), stage.endpoint.continuation
    first = await ask(stage, question(), WITHIN_S)
    if not found.took(first.first_s, first.error):
        return found
    _tells_usage(found, first)
    if declared == "turn" or first.error is not None:
        found.can["continuation"] = "turn"
        second = await ask(stage, question(), WITHIN_S)
    else:
        shown, second = await goes_on(stage, first.text, WITHIN_S)
        found.can["continuation"] = declared if shown is Goes.ON else "turn"
        if shown is not Goes.ON and second.error is None:
            began = "begins again" if shown is Goes.AGAIN else "shows nothing of the kind"
            found.wrong.append(f"declared continuation: {declared}, but {began}: {second.text!r}")
    if not found.took(second.first_s, second.error):
        return found
    third = await ask(stage, TOOL_PROMPT, WITHIN_S)
    found.took(third.first_s, third.error)
    if third.error is None:
        found.can["tools"] = "called" if TOOL.name in third.tools else "taken, not called"
    return found


def _tells_usage(found: Examined, reply: Reply) -> None:
    if reply.error is None:
        found.can["usage"] = "told" if reply.usage is not None else "not told"


async def _voice(stage: TtsStage) -> Examined:
    found = Examined()
    for text in PHRASES:
        clock = asyncio.get_running_loop().time
        first_s, marks, error = None, 0, None
        began = clock()
        try:
            async with (
                asyncio.timeout(WITHIN_S),
                stage.open(_one(text), Context(WHERE, DataClass.SPEECH_TEXT)) as pieces,
            ):
                async for piece in pieces:
                    if first_s is None and piece.pcm:
                        first_s = clock() - began
                    marks += len(piece.words)
        except (TimeoutError, EndpointError, EgressRefused) as failed:
            error = _ours(stage, failed)
        if not found.took(first_s, error):
            break
        if error is None:
            found.can["word marks"] = "yes" if marks else "no"
            if first_s is None:
                found.wrong.append(f"no audio for {text!r}")
    return found


async def _ears(stage: SttStage, clip: bytes) -> Examined:
    found = Examined()
    for _ in range(TIMES):
        hearing = _Hearing(clip)
        error = None
        try:
            async with (
                asyncio.timeout(WITHIN_S + len(clip) / (2 * FRAME_SAMPLES) * FRAME_S / SPEED),
                stage.open(hearing.frames(), Context(WHERE, DataClass.AUDIO)) as transcripts,
            ):
                async for transcript in transcripts:
                    hearing.heard(transcript.text, final=transcript.final)
                    if transcript.words:
                        found.can["word times"] = "yes"
        except (TimeoutError, EndpointError, EgressRefused) as failed:
            error = _ours(stage, failed)
        if not found.took(hearing.final_s, error):
            break
        if error is None:
            found.can["interims"] = "yes" if hearing.interims else "no"
            found.can["heard"] = hearing.text
    return found


class _Hearing:
    """A clip on its way, and what came back."""

    def __init__(self, clip: bytes) -> None:
        self._clip, self._clock = clip, asyncio.get_running_loop().time
        self._sent_at = self._clock()
        self.final_s: float | None = None
        self.interims, self.text = 0, ""

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """The clip, faster than it was said."""
        step = 2 * FRAME_SAMPLES
        for start in range(0, len(self._clip) - step + 1, step):
            await asyncio.sleep(FRAME_S / SPEED)
            yield AudioFrame(self._clip[start : start + step], Sample(start // 2))
        self._sent_at = self._clock()

    def heard(self, text: str, *, final: bool) -> None:
        """A transcript came."""
        if final:
            self.final_s, self.text = self._clock() - self._sent_at, text
        else:
            self.interims += 1


async def _one(text: str) -> AsyncIterator[Phrase]:
    yield Phrase(0, text)


def _ours(
    stage: AnyStage, failed: TimeoutError | EndpointError | EgressRefused
) -> EndpointError | EgressRefused:
    if isinstance(failed, TimeoutError):
        name = stage.endpoint.name
        return EndpointError(name, Fault.SILENT, "not over in time", deadline_s=WITHIN_S)
    return failed
