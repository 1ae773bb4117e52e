"""LiveKit Agents' OpenAI plugin against the gateway: see `gateway_told`."""

import json

from gateway_told import STEPS, WAIT_S, failed, heard, main
from livekit.agents import APIConnectOptions, APIError, function_tool
from livekit.agents.llm import ChatContext, FunctionCall, FunctionCallOutput
from livekit.plugins import openai

OPTIONS = APIConnectOptions(max_retry=0, timeout=WAIT_S)


@function_tool
async def book(day: str) -> str:
    """Books."""
    return "done"


async def step(model, chat, tools, told):
    """One response; its calls, answered in *chat*."""
    said, calls = "", []
    async with model.chat(chat_ctx=chat, tools=tools, conn_options=OPTIONS) as stream:
        async for chunk in stream:
            if chunk.id and chunk.id not in told["ids"]:
                told["ids"].append(chunk.id)
            if chunk.usage:
                told["tokens"] = chunk.usage.completion_tokens
            if chunk.delta and chunk.delta.content:
                said += chunk.delta.content
                told["text"] += chunk.delta.content
                told["pieces"] += 1
            if chunk.delta:
                calls += chunk.delta.tool_calls
    chat.add_message(role="assistant", content=said)
    for it in calls:
        told["calls"].append([it.call_id, it.name, json.loads(it.arguments)])
        chat.insert(FunctionCall(call_id=it.call_id, name=it.name, arguments=it.arguments))
        answer = {"call_id": it.call_id, "name": it.name, "output": "done", "is_error": False}
        chat.insert(FunctionCallOutput(**answer))
    return calls


async def with_livekit(url, order):
    told, chat = heard(), ChatContext.empty()
    chat.add_message(role="user", content=order["ask"])
    model = openai.LLM(model=order["model"], api_key="a-key", base_url=url)
    tools = [book] if order.get("tools") else []
    try:
        for _ in range(STEPS):
            if not await step(model, chat, tools, told):
                break
    except APIError as error:
        failed(told, error)
    finally:
        await model.aclose()
    return told


if __name__ == "__main__":
    main({"livekit": with_livekit})
