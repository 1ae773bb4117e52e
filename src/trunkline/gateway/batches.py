"""The deltas of a stage, those together that came over the network together."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from trunkline.calls.steps import LlmStage
from trunkline.contracts import Context
from trunkline.types import Delta, Prompt

Batched = AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]
_Batches = Callable[[Prompt, Context], Batched]


def opened(stage: LlmStage, prompt: Prompt, context: Context) -> Batched:
    """The deltas as they came together, if the stage can tell."""
    batches: _Batches | None = getattr(stage, "batches", None)
    return _singly(stage, prompt, context) if batches is None else batches(prompt, context)


@asynccontextmanager
async def _singly(
    stage: LlmStage, prompt: Prompt, context: Context
) -> AsyncIterator[AsyncIterator[Sequence[Delta]]]:
    async with stage.open(prompt, context) as deltas:
        yield _one_by_one(deltas)


async def _one_by_one(deltas: AsyncIterator[Delta]) -> AsyncIterator[Sequence[Delta]]:
    async for delta in deltas:
        yield (delta,)
