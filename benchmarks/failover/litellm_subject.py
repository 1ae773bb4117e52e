"""LiteLLM's `Router` with a fallback from one model group to the other, a new one for each trial.

As its documentation has it (docs.litellm.ai, router: retries, fallbacks, cooldowns, read November
2026): the groups and `fallbacks`, nothing else set: two retries and no timeout but the client's.
"""

import logging
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # before the import: it would fetch a list

import litellm  # see above
from litellm import Router  # see above

from benchmarks.failover import subject  # see above


async def run(asked: subject.Asked, heard: subject.Heard) -> None:
    router = Router(
        model_list=[
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{name}", "api_base": url, "api_key": "none"},
            }
            for name, url in (("primary", asked.primary), ("backup", asked.backup))
        ],
        fallbacks=[{"primary": ["backup"]}],
    )
    heard.restart()
    stream = await router.acompletion(
        model="primary", messages=[{"role": "user", "content": asked.text}], stream=True
    )
    async for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                heard.token(choice.delta.content)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    litellm.suppress_debug_info = True
    subject.serve(run)
