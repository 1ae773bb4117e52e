"""Pipecat's `LLMSwitcher` with its failover strategy over two of its OpenAI services.

As its documentation has it (docs.pipecat.ai, composite services: LLMSwitcher, read November 2026):
the services in order and `ServiceSwitcherStrategyFailover`, nothing else set. Its documentation
leaves what to do about the turn that failed to the application; here there is no such code, and the
reply is watched a moment longer in case anybody begins it anew.
"""

import asyncio

from loguru import logger
from pipecat.frames.frames import Frame, LLMContextFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.service_switcher import ServiceSwitcherStrategyFailover
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

from benchmarks.failover import subject


class Application(FrameProcessor):
    """Where the answer arrives."""

    def __init__(self, heard: subject.Heard) -> None:
        super().__init__()
        self._heard = heard
        self.over = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self._heard.token(frame.text)
            self._heard.ended = None
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._heard.end()
            self.over.set()
        await self.push_frame(frame, direction)


async def run(asked: subject.Asked, heard: subject.Heard) -> None:
    services = [
        OpenAILLMService(
            api_key="none", base_url=url, settings=OpenAILLMService.Settings(model=name)
        )
        for name, url in (("primary", asked.primary), ("backup", asked.backup))
    ]
    application = Application(heard)
    switcher = LLMSwitcher(list(services), ServiceSwitcherStrategyFailover)
    worker = PipelineWorker(
        Pipeline([switcher, application]),
        params=PipelineParams(),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def begun(*_: object) -> None:
        started.set()

    @worker.event_handler("on_pipeline_error")
    async def failed(_: object, frame: Frame) -> None:
        heard.errors.append(str(getattr(frame, "error", frame))[:200])

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        try:
            await started.wait()
            heard.restart()
            said = LLMContext([{"role": "user", "content": asked.text}])
            await worker.queue_frame(LLMContextFrame(said))
            await application.over.wait()
            await asyncio.sleep(subject.SETTLE_S)
        finally:
            await worker.cancel()


if __name__ == "__main__":
    logger.remove()
    subject.serve(run)
