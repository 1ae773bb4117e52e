"""One request over several endpoints, on the real shell in virtual time."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from typing_extensions import override

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.health import Breaker
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.seam import Hold
from trunkline.errors import EgressRefused, EndpointError, Fault, InputError
from trunkline.gateway.exchange import ChatModel, Exchange
from trunkline.testing.simulated import FOREVER, Beat, SimLlm, tokens
from trunkline.types import (
    CallId,
    Delta,
    Finish,
    Message,
    Mono,
    Prompt,
    TextDelta,
    ToolCallDelta,
    Usage,
    Where,
)

PROMPT = Prompt((Message("user", "When are you open?"),), max_tokens=100)
ANSWER = "We are open from nine to six. On Saturdays we are not."
POLICY = AttemptPolicy(
    hedge_after_s=0.5, gap_floor_s=0.3, gap_floor_empty_s=0.5, recovery_q95_s=0.6
)
Script = Callable[[Prompt], Iterable[Beat[Delta]]]


@dataclass
class Reader:
    """What a client has got: its text, when each piece came, and parts of tool calls."""

    text: str = ""
    pieces: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    tools: list[ToolCallDelta] = field(default_factory=list)
    full: bool = False
    gone_after: float = 1e9
    flushed: int = 0

    def say(self, pieces: Sequence[str]) -> None:
        """More text."""
        self.text += "".join(pieces)
        self.pieces += pieces
        self.times.append(asyncio.get_running_loop().time())

    def tool(self, delta: ToolCallDelta) -> None:
        """A part of a tool call."""
        self.tools.append(delta)

    async def flush(self, _: Exchange) -> bool:
        """The client reads."""
        self.full = False
        self.flushed += 1
        return self.flushed < self.gone_after


def rest(prompt: Prompt) -> Iterable[Beat[Delta]]:
    """The answer, or what is left of it behind what was sent."""
    said = prompt.messages[-1].content if prompt.continue_final else ""
    return tokens(ANSWER.removeprefix(said.rstrip()))


def breaking(after: int, how: Beat[Delta]) -> Script:
    """The answer, with *how* behind so many tokens."""
    return lambda prompt: [*list(rest(prompt))[:after], how]


CUT = EndpointError("a", Fault.CUT, "gone")


async def asked(
    *scripts: Script,
    reader: Reader | None = None,
    hold: Hold = "none",
    prompt: Prompt = PROMPT,
    continuation: str = "prefix",
    policy: AttemptPolicy = POLICY,
) -> tuple[Reader, Exchange, list[SimLlm], Router]:
    """The exchange over one endpoint for each of *scripts*, at its end."""
    stages = [SimLlm("abc"[n], script) for n, script in enumerate(scripts)]
    for stage in stages:
        stage.endpoint = replace(stage.endpoint, continuation=continuation)  # type: ignore[arg-type]  # one of three
    router, reader = Router(RoutingPolicy()), reader or Reader()
    exchange = Exchange(
        ChatModel("fast", tuple(stages), hold, policy=policy),
        prompt,
        router=router,
        state=router.call(0.5),
        where=Where(CallId("gateway")),
        outbox=reader,
        clock=asyncio.get_running_loop().time,
    )
    await exchange.run(reader.flush)
    assert [stage.open_streams for stage in stages] == [0] * len(stages)
    return reader, exchange, stages, router


async def test_an_answer_is_passed_on_token_by_token() -> None:
    """At the moment each of them comes."""
    reader, exchange, _, _ = await asked(rest)
    assert reader.text == ANSWER
    assert len(reader.pieces) == len(ANSWER.split())
    assert reader.times[1] - reader.times[0] == pytest.approx(0.01)
    assert exchange.end is not None
    assert (exchange.end.reason, exchange.served_by, exchange.failovers) == ("stop", "a", [])


@pytest.mark.parametrize("after", range(1, 11))
@pytest.mark.parametrize("how", [(0.01, CUT), (FOREVER, CUT)], ids=["cut", "hangs"])
async def test_a_broken_answer_is_completed(how: Beat[Delta], after: int) -> None:
    """Wherever it breaks off: nothing is lost, nothing comes twice, and the change is told."""
    reader, exchange, stages, _ = await asked(breaking(after, how), rest)
    assert reader.text == ANSWER
    assert exchange.end is not None
    assert exchange.end.reason == "stop"
    assert exchange.served_by == "b"
    assert exchange.failovers[0].old == "a"
    assert stages[1].prompts[0].max_tokens == 100 - after


@pytest.mark.parametrize("after", [2, 4, 7, 9])
async def test_an_endpoint_that_writes_the_sentence_again_completes_it(after: int) -> None:
    """The words that were sent are dropped by alignment."""

    def again(prompt: Prompt) -> Iterable[Beat[Delta]]:
        assert "broke off" in prompt.messages[-1].content
        return tokens(ANSWER)

    reader, _, _, _ = await asked(breaking(after, (0.01, CUT)), again, continuation="turn")
    assert reader.text == ANSWER


async def test_no_endpoint_left_is_an_honest_end() -> None:
    """What was sent stays what was sent; the reason says that it is not all."""
    refused = EndpointError("b", Fault.UNAVAILABLE, "HTTP 503")
    reader, exchange, _, _ = await asked(
        breaking(3, (0.01, CUT)),
        lambda _: [(0.01, refused)],
        policy=replace(POLICY, attempts_max=2),
    )
    assert reader.text == "We are open "
    assert exchange.end is not None
    assert exchange.end.reason == "failed"
    assert {it.fault for it in exchange.tries} == {Fault.CUT, Fault.UNAVAILABLE}


async def test_usage_counts_what_every_endpoint_wrote() -> None:
    """The finishing endpoint tells its own; the tokens before it were counted here."""

    def ends(prompt: Prompt) -> Iterable[Beat[Delta]]:
        return [*list(rest(prompt))[:-1], (0.01, Finish("stop", Usage(30, 9)))]

    _, exchange, _, _ = await asked(breaking(3, (0.01, CUT)), ends)
    assert exchange.usage == Usage(30, 12)
    _, exchange, _, _ = await asked(rest)
    assert exchange.usage is None  # nobody told


async def test_a_second_endpoint_is_asked_when_the_first_is_late() -> None:
    """Whoever speaks first leads, the other is cancelled."""
    began = asyncio.get_running_loop().time()
    reader, exchange, _, _ = await asked(lambda _: [(FOREVER, CUT)], rest)
    assert reader.text == ANSWER
    assert reader.times[0] - began == pytest.approx(0.6)
    assert [it.kind.value for it in exchange.tries] == ["primary", "hedge"]


async def test_a_tool_call_comes_in_parts_and_breaks_honestly() -> None:
    """Nobody else is asked to write the rest of it."""
    parts: list[Beat[Delta]] = [
        (0.1, TextDelta("Let me see. ")),
        (0.1, ToolCallDelta(0, "id", "book", '{"at":')),
        (0.1, CUT),
    ]
    reader, exchange, stages, _ = await asked(lambda _: parts, rest)
    assert reader.text == "Let me see. "
    assert [it.arguments for it in reader.tools] == ['{"at":']
    assert exchange.end is not None
    assert exchange.end.reason == "failed"
    assert stages[1].prompts == []


async def test_a_client_that_leaves_takes_its_request_along() -> None:
    """The endpoints are told at once."""
    reader, exchange, _, _ = await asked(rest, reader=Reader(gone_after=2))
    assert exchange.left
    assert reader.text != ANSWER


async def test_a_client_may_leave_before_the_first_word() -> None:
    """Whoever waits for it is told, too."""
    loop, reader = asyncio.get_running_loop(), Reader()
    router, stage = Router(RoutingPolicy()), SimLlm("a", lambda _: [(FOREVER, CUT)])
    exchange = Exchange(
        ChatModel("fast", (stage,), policy=POLICY),
        PROMPT,
        router=router,
        state=router.call(0.5),
        where=Where(CallId("gateway")),
        outbox=reader,
        clock=loop.time,
    )
    began = loop.time()
    loop.call_later(0.05, exchange.leave)
    await exchange.run(reader.flush)
    assert loop.time() - began == pytest.approx(0.05)
    assert stage.open_streams == 0


async def test_an_endpoint_waits_for_a_client_that_does_not_read() -> None:
    """And goes on when it does."""

    class Slow(Reader):
        """Full with each piece."""

        @override
        def say(self, pieces: Sequence[str]) -> None:
            """More text."""
            super().say(pieces)
            self.full = True

        @override
        async def flush(self, exchange: Exchange) -> bool:
            """It takes a second to read."""
            await asyncio.sleep(1.0)
            return await super().flush(exchange)

    reader, exchange, _, _ = await asked(rest, reader=Slow())
    assert reader.text == ANSWER
    assert len(exchange.tries) == 1
    assert reader.times[-1] - reader.times[0] > 8.0


async def test_what_a_client_asks_wrongly_is_not_the_endpoint_s_fault() -> None:
    """Otherwise one bad request after another would eject an endpoint for all."""
    wrong = EndpointError("a", Fault.REFUSED, "HTTP 400 context_length_exceeded")
    _, exchange, _, router = await asked(lambda _: [(0.01, wrong)])
    assert exchange.end is not None
    assert exchange.end.reason == "failed"
    now = Mono(asyncio.get_running_loop().time())
    assert router.health("a").breaker(now) is Breaker.CLOSED


async def test_what_is_configured_wrongly_ejects() -> None:
    """An operator is told."""
    wrong = EndpointError("a", Fault.REFUSED, "HTTP 401 invalid_api_key")
    reader, _, _, router = await asked(lambda _: [(0.01, wrong)], rest)
    assert reader.text == ANSWER
    now = Mono(asyncio.get_running_loop().time())
    assert router.health("a").breaker(now) is Breaker.MISCONFIGURED


async def test_a_zone_that_does_not_take_prompts_gets_none() -> None:
    """The gate refuses, another endpoint answers."""
    reader, exchange, _, _ = await asked(
        lambda _: [(0.0, EgressRefused("a", "here", "prompt"))], rest
    )
    assert reader.text == ANSWER
    assert exchange.tries[0].fault is Fault.REFUSED


async def test_one_body_is_begun_again_by_another_endpoint() -> None:
    """Nothing was sent, so nothing has to fit."""
    reader, _, stages, _ = await asked(breaking(4, (0.01, CUT)), rest, hold="all")
    assert reader.text == ANSWER
    assert stages[1].prompts == [PROMPT]


async def test_who_was_asked_in_vain_is_told() -> None:
    """An answer that comes back to its first endpoint says who was tried between."""
    first = breaking(3, (0.01, CUT))
    gone = EndpointError("b", Fault.UNAVAILABLE, "HTTP 503")
    reader, exchange, _, _ = await asked(
        lambda prompt: (rest if prompt.continue_final else first)(prompt),
        lambda _: [(0.01, gone)],
    )
    assert reader.text == ANSWER
    (change,) = exchange.failovers
    assert str(change) == "a>b>a;cut"
    assert change.told["tried"] == ("b",)


async def test_words_that_do_not_join_on_are_a_fault_of_their_attempt() -> None:
    """So that the error names its endpoint; the service is not blamed for them."""
    other = "Our office is in the old town, opposite of the church, and it has two doors. " * 2
    _, exchange, _, router = await asked(
        breaking(3, (0.01, CUT)),
        lambda _: tokens(other),
        continuation="turn",
        policy=replace(POLICY, attempts_max=2),
    )
    assert [(it.name, it.fault) for it in exchange.tries] == [
        ("a", Fault.CUT),
        ("b", Fault.MALFORMED),
    ]
    assert "do not join on" in str(exchange.tries[1].error)
    assert router.health("b").breaker(Mono(asyncio.get_running_loop().time())) is Breaker.CLOSED


async def test_what_a_protocol_has_no_words_for_is_the_client_s_fault() -> None:
    """Another endpoint may have them; this one is well."""

    def speechless(_: Prompt) -> Iterable[Beat[Delta]]:
        raise InputError("tool_choice: it cannot be said")

    reader, exchange, _, router = await asked(speechless, rest)
    assert reader.text == ANSWER
    assert exchange.tries[0].fault is Fault.REFUSED
    assert router.health("a").breaker(Mono(asyncio.get_running_loop().time())) is Breaker.CLOSED
