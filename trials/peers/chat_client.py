"""Run in the outsiders' environment: what the vendors' SDKs hear, as JSON on standard output.

chat_client.py CLIENT URL PROMPT

CLIENT is one of `CLIENTS`, URL is that of the server, without the API's version. The model is told
of a tool, and its calls are answered until it speaks. This file imports nothing of ours, and of the
SDKs the one that is asked for: all three take 2.5 s of a core, which on a busy machine were 15 s.
"""

import asyncio
import json
import sys

SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}}
STEPS = 3


def heard():
    return {"text": "", "pieces": 0, "calls": [], "end": "", "tokens": 0, "error": ""}


async def with_anthropic(url, prompt):
    import anthropic  # noqa: PLC0415  # see above

    client = anthropic.AsyncAnthropic(api_key="a-key", base_url=url, max_retries=0)
    told, messages = heard(), [{"role": "user", "content": prompt}]
    tools = [{"name": "book", "description": "Books.", "input_schema": SCHEMA}]
    try:
        for _ in range(STEPS):
            async with client.messages.stream(
                model="claude-sonnet-5", max_tokens=400, messages=messages, tools=tools
            ) as stream:
                async for text in stream.text_stream:
                    told["text"] += text
                    told["pieces"] += 1
                message = await stream.get_final_message()
            told["end"], told["tokens"] = message.stop_reason, message.usage.output_tokens
            calls = [block for block in message.content if block.type == "tool_use"]
            told["calls"] += [[it.id, it.name, it.input] for it in calls]
            if not calls:
                break
            messages.append({"role": "assistant", "content": message.content})
            results = [
                {"type": "tool_result", "tool_use_id": it.id, "content": "done"} for it in calls
            ]
            messages.append({"role": "user", "content": results})
    except anthropic.APIStatusError as error:
        told["error"] = f"{type(error).__name__} {error.status_code}"
    return told


async def with_gemini(url, prompt):
    from google import genai  # noqa: PLC0415  # see above
    from google.genai import errors, types  # noqa: PLC0415  # see above

    client = genai.Client(api_key="a-key", http_options={"base_url": url})
    declared = types.FunctionDeclaration(
        name="book", description="Books.", parameters_json_schema=SCHEMA
    )
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling={"disable": True},
    )
    told, chat = heard(), client.aio.chats.create(model="gemini-3.7-flash", config=config)
    message = prompt
    try:
        for _ in range(STEPS):
            calls = []
            async for chunk in await chat.send_message_stream(message):
                for part in chunk.candidates[0].content.parts or ():
                    if part.function_call:
                        calls.append(part.function_call)
                    elif part.text:
                        told["text"] += part.text
                        told["pieces"] += 1
                told["tokens"] = chunk.usage_metadata.candidates_token_count
                if chunk.candidates[0].finish_reason:
                    told["end"] = chunk.candidates[0].finish_reason.value
            told["calls"] += [[it.id, it.name, it.args] for it in calls]
            if not calls:
                break
            message = [
                types.Part(
                    function_response=types.FunctionResponse(
                        id=it.id, name=it.name, response={"output": "done"}
                    )
                )
                for it in calls
            ]
    except errors.APIError as error:
        told["error"] = f"{type(error).__name__} {error.code}"
    return told


async def with_openai(url, prompt):
    import openai  # noqa: PLC0415  # see above

    client = openai.AsyncOpenAI(api_key="a-key", base_url=f"{url}/v1", max_retries=0)
    told, items = heard(), [{"role": "user", "content": prompt}]
    tool = {"type": "function", "name": "book", "description": "Books.", "parameters": SCHEMA}
    try:
        for _ in range(STEPS):
            async with client.responses.stream(
                model="gpt-5.1", input=items, tools=[{**tool, "strict": False}], store=False
            ) as stream:
                async for event in stream:
                    if event.type == "response.output_text.delta":
                        told["text"] += event.delta
                        told["pieces"] += 1
                response = await stream.get_final_response()
            told["end"], told["tokens"] = response.status, response.usage.output_tokens
            calls = [item for item in response.output if item.type == "function_call"]
            told["calls"] += [[it.call_id, it.name, json.loads(it.arguments)] for it in calls]
            if not calls:
                break
            items += [
                {
                    "type": "function_call",
                    "call_id": it.call_id,
                    "name": it.name,
                    "arguments": it.arguments,
                }
                for it in calls
            ]
            items += [
                {"type": "function_call_output", "call_id": it.call_id, "output": "done"}
                for it in calls
            ]
    except openai.APIStatusError as error:
        told["error"] = f"{type(error).__name__} {error.status_code}"
    except openai.APIError as error:
        told["error"] = type(error).__name__
    return told


CLIENTS = {"anthropic": with_anthropic, "gemini": with_gemini, "openai_responses": with_openai}


async def main():
    kind, url, prompt = sys.argv[1:]
    async with asyncio.timeout(60):
        print(json.dumps(await CLIENTS[kind](url, prompt)))


asyncio.run(main())
