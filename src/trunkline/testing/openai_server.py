"""A local OpenAI-compatible server: a scripted model behind real HTTP, with modelled timing.

In a test:

    async with OpenAIServer(opening_hours(), law_named("instant")) as server:
        ... server.base_url ...

As a process, which can also freeze:

    python -m trunkline.testing.openai_server --model trunkline.testing.chat:opening_hours \
        --law self_hosted_8b --seed 1 --fault '{"kind": "freeze", "after_tokens": 20}'

Endpoints: `POST /v1/chat/completions`, `GET /v1/models`, `GET /health`; what else there is, and
what is real about it, is told in `chat_server`.
"""

import json
import sys
from collections.abc import Sequence
from typing import ClassVar

from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import ChatRequest, Completion, parse_request
from trunkline.testing.chat_server import ChatServer, FaultStruck, RequestRecord, command
from trunkline.testing.chat_wire import Wire

__all__ = ["FaultStruck", "OpenAIServer", "OpenAIWire", "RequestRecord"]


class OpenAIWire:
    """Chat completions, as vLLM serves them."""

    routes: Sequence[str] = ("/v1/chat/completions",)
    home = "/v1"
    comment = b": keep-alive\n\n"
    garbage = b'data: {"id":"chatcmpl-0","choices":[{"del\n\n'

    def parse(self, body: bytes, path: str, /) -> ChatRequest:
        """As `chat.parse_request` reads it."""
        del path
        return parse_request(body)

    def answer(self, request: ChatRequest, reply: ChatReply, ordinal: int, /) -> Completion:
        """Chunks."""
        return Completion(request, reply, ordinal)

    def error(self, message: str, status: int, /) -> str:
        """OpenAI's error object."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        error = {"message": message, "type": kind, "param": None, "code": None}
        return json.dumps({"error": error})

    def error_event(self, error: str, /) -> bytes:
        """The error as a chunk, and the end, as vLLM sends it."""
        return f"data: {error}\n\ndata: [DONE]\n\n".encode()


class OpenAIServer(ChatServer):
    """A `ChatServer` of OpenAI's chat completions."""

    wire: ClassVar[Wire] = OpenAIWire()


def main() -> int:
    """Run the server as a process."""
    return command(OpenAIServer, "trunkline.testing.openai_server")


if __name__ == "__main__":
    sys.exit(main())
