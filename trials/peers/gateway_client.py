"""Run in the outsiders' environments: what programs that know nothing of us hear of the gateway.

gateway_client.py CLIENT URL ORDERS

CLIENT is one of `CLIENTS`, URL is the gateway's with `/v1`, ORDERS a list of JSON objects with
`model` and `ask`, and if wanted `tools` and `whole` (no stream). One line of JSON is written for
each. What is wrong is told by the name of the exception that the program would have to handle.
This file imports nothing of ours.
"""

import asyncio
import json
import sys
import time

SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}}
TOOL = {"name": "book", "description": "Books.", "parameters": SCHEMA}
STEPS = 3
WAIT_S = 40


def heard():
    return {
        "text": "",
        "pieces": 0,
        "calls": [],
        "ends": [],
        "tokens": 0,
        "ids": [],
        "headers": {},
        "error": "",
        "seconds": 0.0,
    }


def asked(order, messages):
    """The arguments of one request, as OpenAI's SDK takes them."""
    told = {"model": order["model"], "messages": messages}
    if order.get("tools"):
        told["tools"] = [{"type": "function", "function": TOOL}]
    if not order.get("whole"):
        told |= {"stream": True, "stream_options": {"include_usage": True}}
    return told


def ours(headers):
    return {name.lower(): value for name, value in headers.items() if "trunkline" in name.lower()}


class Step:
    """One response of OpenAI's SDK, put together from its chunks or taken whole."""

    def __init__(self, told):
        self.told, self.text, self.calls = told, "", {}

    def chunk(self, chunk):
        told = self.told
        if chunk.id not in told["ids"]:
            told["ids"].append(chunk.id)
        if chunk.usage:
            told["tokens"] = chunk.usage.completion_tokens
        for choice in chunk.choices:
            if choice.delta.content:
                self.text += choice.delta.content
                told["text"] += choice.delta.content
                told["pieces"] += 1
            for part in choice.delta.tool_calls or ():
                call = self.calls.setdefault(part.index, ["", "", ""])
                call[0] = part.id or call[0]
                call[1] = part.function.name or call[1]
                call[2] += part.function.arguments or ""
            if choice.finish_reason:
                told["ends"].append(choice.finish_reason)

    def whole(self, answer):
        told, message = self.told, answer.choices[0].message
        told["ids"].append(answer.id)
        told["ends"].append(answer.choices[0].finish_reason)
        told["tokens"] = answer.usage.completion_tokens if answer.usage else 0
        self.text = message.content or ""
        told["text"] += self.text
        for place, call in enumerate(message.tool_calls or ()):
            self.calls[place] = [call.id, call.function.name, call.function.arguments]

    def answered(self, messages):
        """Whether there were calls; they are answered in *messages*."""
        calls = [self.calls[place] for place in sorted(self.calls)]
        self.told["calls"] += [[it[0], it[1], json.loads(it[2])] for it in calls]
        if calls:
            made = [
                {"id": it[0], "type": "function", "function": {"name": it[1], "arguments": it[2]}}
                for it in calls
            ]
            messages.append({"role": "assistant", "content": self.text, "tool_calls": made})
            messages += [{"role": "tool", "tool_call_id": it[0], "content": "done"} for it in calls]
        return bool(calls)


def failed(told, error):
    status = getattr(error, "status_code", "")
    told["error"] = f"{type(error).__name__} {status}".strip()


def with_openai(url, order):
    import openai

    told, messages = heard(), [{"role": "user", "content": order["ask"]}]
    with openai.OpenAI(api_key="a-key", base_url=url, max_retries=0, timeout=WAIT_S) as client:
        try:
            for _ in range(STEPS):
                step = Step(told)
                raw = client.chat.completions.with_raw_response.create(**asked(order, messages))
                told["headers"] = ours(raw.headers)
                if order.get("whole"):
                    step.whole(raw.parse())
                else:
                    for chunk in raw.parse():
                        step.chunk(chunk)
                if not step.answered(messages):
                    break
        except openai.APIError as error:
            failed(told, error)
    return told


async def with_openai_async(url, order):
    import openai

    told, messages = heard(), [{"role": "user", "content": order["ask"]}]
    async with openai.AsyncOpenAI(
        api_key="a-key", base_url=url, max_retries=0, timeout=WAIT_S
    ) as client:
        try:
            for _ in range(STEPS):
                step, create = Step(told), client.chat.completions.with_raw_response.create
                raw = await create(**asked(order, messages))
                told["headers"] = ours(raw.headers)
                if order.get("whole"):
                    step.whole(raw.parse())
                else:
                    async for chunk in raw.parse():
                        step.chunk(chunk)
                if not step.answered(messages):
                    break
        except openai.APIError as error:
            failed(told, error)
    return told


async def with_livekit(url, order):
    from livekit.agents import APIConnectOptions, APIError, function_tool
    from livekit.agents.llm import ChatContext, FunctionCall, FunctionCallOutput
    from livekit.plugins import openai

    @function_tool
    async def book(day: str) -> str:
        """Books."""
        return "done"

    told, chat = heard(), ChatContext.empty()
    chat.add_message(role="user", content=order["ask"])
    model = openai.LLM(model=order["model"], api_key="a-key", base_url=url)
    options = APIConnectOptions(max_retry=0, timeout=WAIT_S)
    try:
        for _ in range(STEPS):
            said, calls = "", []
            tools = [book] if order.get("tools") else []
            async with model.chat(chat_ctx=chat, tools=tools, conn_options=options) as stream:
                async for chunk in stream:
                    if chunk.id and chunk.id not in told["ids"]:
                        told["ids"].append(chunk.id)
                    if chunk.usage:
                        told["tokens"] = chunk.usage.completion_tokens
                    if chunk.delta and chunk.delta.content:
                        said += chunk.delta.content
                        told["pieces"] += 1
                    if chunk.delta:
                        calls += chunk.delta.tool_calls
            told["text"] += said
            told["calls"] += [[it.call_id, it.name, json.loads(it.arguments)] for it in calls]
            if not calls:
                break
            chat.add_message(role="assistant", content=said)
            for it in calls:
                chat.insert(FunctionCall(call_id=it.call_id, name=it.name, arguments=it.arguments))
                chat.insert(
                    FunctionCallOutput(
                        call_id=it.call_id, name=it.name, output="done", is_error=False
                    )
                )
    except APIError as error:
        told["text"] += said
        failed(told, error)
    finally:
        await model.aclose()
    return told


async def with_pipecat(url, order):
    from loguru import logger

    logger.remove()
    from pipecat.adapters.schemas.function_schema import FunctionSchema
    from pipecat.adapters.schemas.tools_schema import ToolsSchema
    from pipecat.frames.frames import LLMContextFrame, LLMFullResponseEndFrame, LLMTextFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.services.openai.llm import OpenAILLMService
    from pipecat.workers.runner import WorkerRunner

    told, over = heard(), asyncio.Event()

    class Application(FrameProcessor):
        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            if isinstance(frame, LLMTextFrame):
                told["text"] += frame.text
                told["pieces"] += 1
            elif isinstance(frame, LLMFullResponseEndFrame):
                over.set()
            await self.push_frame(frame, direction)

    service = OpenAILLMService(
        api_key="a-key",
        base_url=url,
        settings=OpenAILLMService.Settings(model=order["model"]),
    )
    called = asyncio.Event()

    async def book(params):
        told["calls"].append([params.tool_call_id, params.function_name, dict(params.arguments)])
        called.set()
        await params.result_callback("done")

    service.register_function("book", book)
    worker = PipelineWorker(
        Pipeline([service, Application()]),
        params=PipelineParams(enable_usage_metrics=False),
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

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        try:
            await started.wait()
            context = LLMContext([{"role": "user", "content": order["ask"]}])
            if order.get("tools"):
                schema = FunctionSchema("book", "Books.", SCHEMA["properties"], [])
                context = LLMContext(
                    [{"role": "user", "content": order["ask"]}], ToolsSchema([schema])
                )
            await worker.queue_frame(LLMContextFrame(context))
            await over.wait()
            if order.get("tools"):
                await called.wait()
            await asyncio.sleep(0.3)  # an error follows the end of the response
        finally:
            await worker.cancel()
    return told


CLIENTS = {
    "openai": with_openai,
    "openai_async": with_openai_async,
    "livekit": with_livekit,
    "pipecat": with_pipecat,
}


async def main():
    kind, url, orders = sys.argv[1:]
    for order in json.loads(orders):
        began = time.monotonic()
        async with asyncio.timeout(WAIT_S + 20):
            told = CLIENTS[kind](url, order)
            told = told if isinstance(told, dict) else await told
        told["seconds"] = time.monotonic() - began
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


asyncio.run(main())
