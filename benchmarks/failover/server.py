"""One of the two model servers: `trunkline.testing.openai_server` with the benchmark's answer.

python -m benchmarks.failover.server FAULTS SEED: *FAULTS* is a file with a list of fault scripts.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import Law
from trunkline.testing.openai_server import OpenAIServer
from trunkline.testing.process import announce, until_orphaned
from trunkline.types import Prompt

ANSWER = (
    "Of course, I can help you with that. Our practice is open from eight to six on weekdays, and "
    "from nine to one on Saturdays. The next free appointment with Doctor Miller would be this "
    "Thursday at half past two. Please bring your insurance card, together with any letters that "
    "another dentist gave you before. There is free parking behind the building, next door to the "
    "pharmacy. Shall I book that time for you now?"
)
LAW = Law("benchmark", 0.15, 0.25, 0.015, 0.1, 0.2)
"""First tokens after 0.15 s (median), 15 ms a token: a first sentence within 0.4 s in 95 of 100."""


class Answers:
    """Says `ANSWER`; goes on where the assistant's words at the end of a request break off.

    Whether or not the request says `continue_final_message`: whoever asks a model to go on is to
    find one that can.
    """

    def reply(self, prompt: Prompt, /) -> ChatReply:
        last = prompt.messages[-1]
        said = last.content if last.role == "assistant" else ""
        return ChatReply(rest(said))


def rest(said: str) -> str:
    """What of `ANSWER` follows *said*, whatever the spaces between its words; all, if it is new."""
    words = r"\s*".join(re.escape(word) for word in said.split())
    found = re.match(words, ANSWER)
    return ANSWER[found.end() :] if found else ANSWER


async def main(faults: Sequence[FaultScript]) -> None:
    server = OpenAIServer(
        Answers(),
        LAW,
        int(sys.argv[2]),
        faults,
        on_fault=lambda struck: announce("fault", **asdict(struck)),
    )
    async with server:
        announce("ready", port=server.port, pid=os.getpid())
        await until_orphaned()


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(main([FaultScript.parse(raw) for raw in told]))
