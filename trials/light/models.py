"""The three models of the rig, as a package outside Trunkline would bring them: they cost nothing.

The recogniser tells two utterances apart by their length. The model writes a message for the
practice, then says twelve items in twice the speed of speech, and goes on behind whatever stands
there already; at last it says whether the conversation it was told is the one that took place.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import numpy as np

from trials.light import coded
from trunkline.config.endpoints import EndpointConfig
from trunkline.contracts import Context
from trunkline.core.going_on import QUESTION
from trunkline.media.g711 import mulaw_decode
from trunkline.providers.reaching import Resources
from trunkline.types import (
    AudioFrame,
    Delta,
    Endpoint,
    Finish,
    Message,
    Phrase,
    Prompt,
    Speech,
    TextDelta,
    ToolCallDelta,
    Transcript,
)

YES, AND_NOW = "yes please", "and was that all of it"
_WEEK: Final = "They are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."
_SHORT_S: Final = 2.6  # a yes with all that surrounds it is shorter, the other clip longer
_WORD_S: Final = 0.15
_PIECE_BYTES: Final = 3_200  # 200 ms


class Ears:
    """Hears `YES` or `AND_NOW`."""

    def __init__(self, config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> None:
        del config, resources
        self.endpoint = endpoint

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        del context
        yield self._hear(source)

    async def _hear(self, source: AsyncIterator[AudioFrame]) -> AsyncIterator[Transcript]:
        samples = 0
        async for frame in source:
            samples += len(frame.pcm) // 2
        yield Transcript(YES if samples < _SHORT_S * 8_000 else AND_NOW, final=True)


class Brain:
    """Thinks of items."""

    def __init__(self, config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> None:
        del config, resources
        self.endpoint = endpoint

    @asynccontextmanager
    async def open(self, source: Prompt, context: Context) -> AsyncIterator[AsyncIterator[Delta]]:
        yield self._answer(source.messages, context.where.call)

    async def _answer(self, messages: Sequence[Message], call: str) -> AsyncIterator[Delta]:
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        asked = [it for it in messages if it.role == "user"]
        done = [it for it in messages if it.role == "tool"]
        await asyncio.sleep(0.05)
        if asked[-1].content == QUESTION:  # a worker's probe: is a prefix gone on with?
            for delta in _words(_WEEK.removeprefix(begun)):
                yield delta
        elif asked[-1].content.endswith(AND_NOW):
            for delta in _words("" if begun else _verdict(messages)):
                yield delta
        elif not done:
            for delta in _words("" if begun else "One moment."):
                yield delta
            text = {"name": "A caller", "text": f"They called as {call}."}
            yield ToolCallDelta(0, "call_1", "take_message", json.dumps(text))
            yield Finish("tool_calls")
            return
        else:
            said = coded.items_in(begun)
            for number in range(said[-1] + 1 if said else 1, coded.ITEMS + 1):
                for delta in _words(coded.item(number)):
                    yield delta
                    await asyncio.sleep(_WORD_S)
        yield Finish("stop")


def _words(text: str) -> Iterator[Delta]:
    return (TextDelta(f"{word} ") for word in text.split())


def _verdict(messages: Sequence[Message]) -> str:
    """Whether the conversation is what took place: one yes, one message, every item once."""
    said = " ".join(it.content for it in messages if it.role == "assistant")
    users = [it.content for it in messages if it.role == "user"]
    calls = [call.name for it in messages for call in it.tool_calls]
    right = (
        coded.items_in(said) == [*range(1, coded.ITEMS + 1)]
        and users == [YES, AND_NOW]
        and calls == ["take_message"]
        and said.count("One moment.") == 1
        and "I am back" not in said
    )
    return "All was as it should be." if right else "Something was not."


class Mouth:
    """Speaks in codes."""

    def __init__(self, config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> None:
        del config, resources
        self.endpoint = endpoint

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        del context
        yield self._speak(source)

    async def _speak(self, source: AsyncIterator[Phrase]) -> AsyncIterator[Speech]:
        async for phrase in source:
            mulaw, words = coded.spoken(phrase.text)
            pcm = mulaw_decode(mulaw).astype(np.int16).tobytes()
            for cut in range(0, len(pcm), _PIECE_BYTES):
                end = cut + _PIECE_BYTES
                here = tuple(word for word in words if cut <= 2 * word.at < end)
                yield Speech(phrase.index, pcm[cut:end], here, last=end >= len(pcm))
