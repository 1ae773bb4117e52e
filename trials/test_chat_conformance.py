"""The laws of a language model's adapter, over real sockets, for each protocol that we speak."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from trials.openai_rig import KEY, ZONE, context
from trunkline.contracts import Codec, Context
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage
from trunkline.net.remote import client_session
from trunkline.providers.llm.anthropic import AnthropicMessages
from trunkline.providers.llm.gemini import GeminiContent
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.providers.llm.openai_responses import OpenAIResponses
from trunkline.testing.anthropic_server import AnthropicServer, PrefillServer
from trunkline.testing.chat import opening_hours
from trunkline.testing.chat_server import ChatServer
from trunkline.testing.conformance_chat_sockets import CHAT_SOCKET_LAWS, ChatAdapter
from trunkline.testing.gemini_server import GeminiServer
from trunkline.testing.laws import law_named
from trunkline.testing.openai_server import OpenAIServer
from trunkline.testing.responses_server import ResponsesServer
from trunkline.types import LLM, Delta, Endpoint, Message, Prompt, TextDelta

TURN = Endpoint("there", LLM, "any", "gemini-3.7-flash", ZONE, "a")
PREFIX = Endpoint("there", LLM, "any", "claude-sonnet-4-5", ZONE, "a", "prefix")
Kind = tuple[Callable[[Endpoint], Codec[Prompt, Delta]], type[ChatServer]]
KINDS: dict[str, Kind] = {
    "openai": (OpenAIChat, OpenAIServer),
    "anthropic": (AnthropicMessages, AnthropicServer),
    "gemini": (GeminiContent, GeminiServer),
    "openai_responses": (OpenAIResponses, ResponsesServer),
}
SLOW = {"each_fault_is_told_as_what_it_is"}  # it waits, for long


def stage_at(
    session: aiohttp.ClientSession, codec: Codec[Prompt, Delta], base_url: str
) -> SseStage[Prompt, Delta]:
    gate = Gate(lambda _: None)
    return SseStage(TURN, codec, base_url=base_url, key=KEY, session=session, gate=gate)


@pytest.mark.parametrize("api", KINDS)
@pytest.mark.parametrize(
    "law",
    [
        pytest.param(law, id=law.__name__, marks=[] if law.__name__ in SLOW else pytest.mark.ci)
        for law in CHAT_SOCKET_LAWS
    ],
)
def test_an_adapter_keeps_the_law(law: Callable[[ChatAdapter], Awaitable[None]], api: str) -> None:
    """Each law holds for each adapter."""
    make, server = KINDS[api]

    async def main() -> None:
        async with asyncio.timeout(60), client_session() as session:
            await law(ChatAdapter(server, lambda url: stage_at(session, make(TURN), url), KEY))

    asyncio.run(main())


class Batched:
    """A stage as the gateway uses it: over its own connections, outputs as they come together."""

    def __init__(self, stage: SseStage[Prompt, Delta]) -> None:
        self.endpoint, self._stage = stage.endpoint, stage

    @asynccontextmanager
    async def open(
        self, source: Prompt, context: Context, /
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        """Each output of `batches`."""
        async with self._stage.batches(source, context) as batches:
            yield (delta async for batch in batches for delta in batch)


@pytest.mark.parametrize("api", KINDS)
@pytest.mark.parametrize(
    "law",
    [
        pytest.param(law, id=law.__name__, marks=[] if law.__name__ in SLOW else pytest.mark.ci)
        for law in CHAT_SOCKET_LAWS
    ],
)
def test_an_adapter_keeps_the_law_for_the_gateway(
    law: Callable[[ChatAdapter], Awaitable[None]], api: str
) -> None:
    """Each law holds on the connections of `net.raw`, too."""
    make, server = KINDS[api]

    async def main() -> None:
        async with asyncio.timeout(60), client_session() as session:
            await law(
                ChatAdapter(server, lambda url: Batched(stage_at(session, make(TURN), url)), KEY)
            )

    asyncio.run(main())


@pytest.mark.ci
def test_a_prefix_is_continued_by_a_model_that_does() -> None:
    """Anthropic's, before Claude 4.6: what comes is the rest of the half-said answer."""
    said = "Of course. We are open"
    half = (Message("user", "When?"), Message("assistant", f"{said} "))
    prompt = Prompt(half, continue_final=True)

    async def main() -> str:
        async with (
            client_session() as session,
            PrefillServer(opening_hours(), law_named("instant")) as server,
            stage_at(session, AnthropicMessages(PREFIX), server.base_url).open(
                prompt, context()
            ) as deltas,
        ):
            return "".join([it.text async for it in deltas if isinstance(it, TextDelta)])

    assert said + asyncio.run(main()) == opening_hours().answer.text
