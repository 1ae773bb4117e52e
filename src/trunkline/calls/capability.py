"""What a model can do is what it has shown: whether it goes on with a half-said answer.

An endpoint that is declared to continue a prefix is tried when the worker starts (`core.going_on`
says how). Until it has shown that it does, it is asked for the rest by a further turn, which every
model understands. One that did not answer is tried again every `AGAIN_S`; one that begins again, or
says what tells nothing, stays so for this worker, and an operator is told. It costs two requests.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from trunkline.calls.steps import AnyStage, LlmStage
from trunkline.contracts import Context
from trunkline.core.going_on import QUESTION, Goes, first_half, judged
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import (
    CallId,
    DataClass,
    Delta,
    Endpoint,
    Finish,
    Message,
    Prompt,
    TextDelta,
    ToolCallDelta,
    Usage,
    Where,
)

log = logging.getLogger(__name__)

PROVE_S = 5.0
"""All models together; a worker does not wait longer to take its first call."""
AGAIN_S = 60.0
"""Between two tries of models that did not answer."""
ANSWER_TOKENS = 80
WHERE = Where(CallId("capability"))
Tell = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said. *first_s*: seconds to its first useful token, *whole_s* to its end."""

    text: str = ""
    tools: tuple[str, ...] = ()
    first_s: float | None = None
    whole_s: float | None = None
    usage: Usage | None = None
    error: EndpointError | EgressRefused | None = None


async def ask(stage: LlmStage, prompt: Prompt, within_s: float) -> Reply:
    """Ask *stage*, and read to the end; its failure is in the reply."""
    reply, name = Reply(), stage.endpoint.name
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        async with (
            asyncio.timeout(within_s),
            stage.open(prompt, Context(WHERE, DataClass.PROMPT)) as deltas,
        ):
            async for delta in deltas:
                if reply.first_s is None and not isinstance(delta, Finish):
                    reply = replace(reply, first_s=clock() - began)
                match delta:
                    case TextDelta(text):
                        reply = replace(reply, text=reply.text + text)
                    case ToolCallDelta(name=tool) if tool:
                        reply = replace(reply, tools=(*reply.tools, tool))
                    case Finish(usage=usage):
                        return replace(reply, whole_s=clock() - began, usage=usage)
                    case _:
                        pass  # a further piece of a tool call
        error: EndpointError | EgressRefused = EndpointError(name, Fault.CUT, "no finish reason")
    except TimeoutError:
        error = EndpointError(name, Fault.SILENT, "no whole answer", deadline_s=within_s)
    except (EndpointError, EgressRefused) as failed:
        error = failed
    return replace(reply, error=error)


def question(*more: Message) -> Prompt:
    """The prompt of a probe; *more*: the half to go on with."""
    messages = (Message("user", QUESTION), *more)
    return Prompt(messages, max_tokens=ANSWER_TOKENS, temperature=0.0, continue_final=bool(more))


async def goes_on(stage: LlmStage, answer: str, within_s: float) -> tuple[Goes | None, Reply]:
    """Have *stage* go on with half of its *answer*; None if it did not answer (in time)."""
    half = first_half(answer)
    if not half:
        return Goes.UNCLEAR, Reply(answer)
    reply = await ask(stage, question(Message("assistant", half)), within_s)
    if reply.error is None:
        return judged(answer, half, reply.text), reply
    # A 400 is an answer, too: it knows the fields, or the prefix, and will not have them.
    refused = isinstance(reply.error, EndpointError) and reply.error.fault is Fault.REFUSED
    return Goes.AGAIN if refused else None, reply


class Proven:
    """*stage*, whose `continuation` is `turn` until `shown` says that it goes on.

    *by_turns* false: it cannot be asked by turns in the language of the calls, so what is declared
    holds; an operator is told all the same.
    """

    def __init__(self, stage: LlmStage, *, by_turns: bool = True) -> None:
        self.stage, self._declared = stage, stage.endpoint
        self._careful: Endpoint = replace(stage.endpoint, continuation="turn")
        if not by_turns:
            self._careful = self._declared
        self.shown: Goes | None = None
        self._told = False

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint, with what it has shown."""
        return self._declared if self.shown is Goes.ON else self._careful

    @property
    def batches(self) -> object:
        """The stage's own, if it has any: see `net.raw_sse`."""
        return getattr(self.stage, "batches", None)

    @property
    def honours(self) -> frozenset[str] | None:
        """The options that its stage knows how to say, None: all."""
        known: frozenset[str] | None = getattr(self.stage, "honours", frozenset())
        return known

    def open(
        self, source: Prompt, context: Context, /
    ) -> AbstractAsyncContextManager[AsyncIterator[Delta]]:
        """As the stage does."""
        return self.stage.open(source, context)

    async def prove(self, within_s: float) -> None:
        """Try it, unless it has shown enough before."""
        if self.shown is not None:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        first = await ask(self.stage, question(), within_s)
        name, declared = self._declared.name, self._declared.continuation
        if first.error is not None:
            self._unknown(first)
            return
        self.shown, reply = await goes_on(self.stage, first.text, max(until - loop.time(), 0.1))
        if self.shown is None:
            self._unknown(reply)
        elif self.shown is Goes.ON:
            log.info("endpoint %s continues a %s", name, declared)
        else:
            log.warning(
                "endpoint %s is declared continuation: %s, but %s: it is asked as continuation: "
                "%s. Write continuation: turn, or mend its server (%s)",
                name,
                declared,
                "begins again" if self.shown is Goes.AGAIN else "what it said does not show it",
                self.endpoint.continuation,
                reply.error or repr(reply.text[:80]),
            )

    def _unknown(self, reply: Reply) -> None:
        """Said once: it is tried again every minute."""
        if not self._told:
            what = "endpoint %s: not known yet whether it continues a %s: %s"
            log.warning(what, self._declared.name, self._declared.continuation, reply.error)
        self._told = True


def bare(stage: AnyStage) -> AnyStage:
    """The stage itself, if *stage* is one that has to prove something."""
    return stage.stage if isinstance(stage, Proven) else stage


class Capabilities:
    """The models of a worker that are declared to continue a prefix.

    *tell* gets an event for each that has shown something; *by_turns* as in `Proven`.
    """

    def __init__(self, tell: Tell | None = None, *, by_turns: bool = True) -> None:
        self._tell, self._by_turns = tell, by_turns
        self._models: dict[str, Proven] = {}

    def wrapped(self, stages: Mapping[str, LlmStage]) -> dict[str, LlmStage]:
        """*stages*, by name; those that are to be proven behind a `Proven`, the known one if the
        stage is the same."""
        return {name: self._wrapped(name, stage) for name, stage in stages.items()}

    async def prove(self, wrapped: Mapping[str, LlmStage]) -> None:
        """Try those of *wrapped* that have shown nothing yet, side by side, within `PROVE_S`."""
        async with asyncio.TaskGroup() as group:
            for name, model in wrapped.items():
                if isinstance(model, Proven) and model.shown is None:
                    group.create_task(self._prove(name, model))

    def keep(self, wrapped: Mapping[str, LlmStage]) -> None:
        """These are the worker's from now on."""
        self._models = {name: it for name, it in wrapped.items() if isinstance(it, Proven)}

    async def run(self) -> None:
        """Try again those that did not answer, until cancelled."""
        while True:
            await asyncio.sleep(AGAIN_S)
            await self.prove(self._models)

    def _wrapped(self, name: str, stage: LlmStage) -> LlmStage:
        if stage.endpoint.continuation == "turn":
            return stage
        known = self._models.get(name)
        if known is not None and known.stage is stage:
            return known
        return Proven(stage, by_turns=self._by_turns)

    async def _prove(self, name: str, model: Proven) -> None:
        await model.prove(PROVE_S)
        if self._tell is not None and model.shown is not None:
            shown = {"endpoint": name, "continuation": model.endpoint.continuation}
            self._tell({"type": "endpoint.capability", **shown, "shown": model.shown.value})
