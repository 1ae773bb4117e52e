"""LiveKit Agents' `llm.FallbackAdapter` over two of its OpenAI clients, a new one for each trial.

As its documentation has it (docs.livekit.io, agents/models: fallback adapter, read November 2026):
the models in order, nothing else set, so `attempt_timeout` is 5 s and no attempt is retried. With
`--retry-on-chunk-sent`, its one option for answers that break off.
"""

import logging
import sys

from livekit.agents.llm import ChatContext, FallbackAdapter
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.plugins import openai

from benchmarks.failover import subject


async def run(asked: subject.Asked, heard: subject.Heard) -> None:
    models = [
        openai.LLM(model=name, api_key="none", base_url=url)
        for name, url in (("primary", asked.primary), ("backup", asked.backup))
    ]
    adapter = FallbackAdapter(list(models), retry_on_chunk_sent="--retry-on-chunk-sent" in sys.argv)
    chat = ChatContext.empty()
    chat.add_message(role="user", content=asked.text)
    heard.restart()
    try:
        # what an AgentSession passes on
        async with adapter.chat(chat_ctx=chat, conn_options=DEFAULT_API_CONNECT_OPTIONS) as stream:
            async for chunk in stream:
                if chunk.delta is not None and chunk.delta.content:
                    heard.token(chunk.delta.content)
        heard.end()
    finally:
        await adapter.aclose()
        for model in models:
            await model.aclose()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    subject.serve(run)
