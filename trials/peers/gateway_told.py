"""What the clients of the gateway in this folder have in common; each runs in its own environment.

A script is given the gateway's URL, with `/v1`, which of its clients is to ask, and a list of
orders in JSON: `model`, `ask`, and if wanted `tools` and `whole` (no stream). One line of JSON is
written for each. What is wrong is told by the name of the exception that a program gets.
These files import nothing of ours.
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


def failed(told, error):
    status = getattr(error, "status_code", "")
    told["error"] = f"{type(error).__name__} {status}".strip()


def main(clients):
    asyncio.run(_main(clients))


async def _main(clients):
    url, client, orders = sys.argv[1:]
    for order in json.loads(orders):
        began = time.monotonic()
        async with asyncio.timeout(WAIT_S + 20):
            told = clients[client](url, order)
            told = told if isinstance(told, dict) else await told
        told["seconds"] = time.monotonic() - began
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
