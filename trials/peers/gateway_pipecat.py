"""Pipecat's OpenAI service in a pipeline against the gateway: see `gateway_told`."""

import asyncio

from gateway_told import SCHEMA, heard, main
from loguru import logger
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import LLMContextFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

SETTLE_S = 0.3
"""An error follows the end of the response."""


class Application(FrameProcessor):
    """Where the answer arrives."""

    def __init__(self, told):
        super().__init__()
        self._told, self.over = told, asyncio.Event()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self._told["text"] += frame.text
            self._told["pieces"] += 1
        elif isinstance(frame, LLMFullResponseEndFrame):
            self.over.set()
        await self.push_frame(frame, direction)


def pipeline(service, application, told):
    """A worker of both, and the event that it has started."""
    worker = PipelineWorker(
        Pipeline([service, application]),
        params=PipelineParams(),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def begun(*_):
        started.set()

    @worker.event_handler("on_pipeline_error")
    async def broken(_, frame):
        told["error"] = str(getattr(frame, "error", frame))[:200]

    return worker, started


async def with_pipecat(url, order):
    told, called = heard(), asyncio.Event()
    settings = OpenAILLMService.Settings(model=order["model"])
    service = OpenAILLMService(api_key="a-key", base_url=url, settings=settings)

    async def book(params):
        told["calls"].append([params.tool_call_id, params.function_name, dict(params.arguments)])
        called.set()
        await params.result_callback("done")

    service.register_function("book", book)
    messages, tools = [{"role": "user", "content": order["ask"]}], []
    if order.get("tools"):
        tools = [ToolsSchema([FunctionSchema("book", "Books.", SCHEMA["properties"], [])])]
    application = Application(told)
    worker, started = pipeline(service, application, told)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        try:
            await started.wait()
            await worker.queue_frame(LLMContextFrame(LLMContext(messages, *tools)))
            await application.over.wait()
            if tools:
                await called.wait()
            await asyncio.sleep(SETTLE_S)
        finally:
            await worker.cancel()
    return told


if __name__ == "__main__":
    logger.remove()
    main({"pipecat": with_pipecat})
