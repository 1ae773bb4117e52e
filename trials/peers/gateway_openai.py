"""The official `openai` SDK against the gateway, sync and async: see `gateway_told`."""

import json

import openai
from gateway_told import STEPS, TOOL, WAIT_S, failed, heard, main


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


def with_openai(url, order):
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


if __name__ == "__main__":
    main({"openai": with_openai, "openai_async": with_openai_async})
