"""A model that sees only pseudonyms: what it gets, and what comes back of it."""

import json
import re
from collections.abc import Callable, Iterable, Sequence

import pytest

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault
from trunkline.privacy.spans import Kind, Span
from trunkline.providers.pseudonyms import CALLS_MAX, PseudonymousLlm, Vaults
from trunkline.testing.simulated import Beat, SimLlm
from trunkline.types import (
    CallId,
    DataClass,
    Delta,
    Finish,
    Message,
    Prompt,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Where,
)

CALL = CallId("a-call")
SECRETS = {"sarah": Kind.NAME, "miller": Kind.NAME, "555 0123": Kind.PHONE, "zork": Kind.NAME}


class Known:
    """Finds the words of `SECRETS`; "zork" only where a name was asked for."""

    def spans(self, text: str, expected: frozenset[Kind] = frozenset(), /) -> Sequence[Span]:
        """What is personal in *text*."""
        found = [
            Span(it.start(), it.end(), kind, word, "test")
            for word, kind in SECRETS.items()
            if word != "zork" or Kind.NAME in expected
            for it in re.finditer(word, text, re.IGNORECASE)
        ]
        return sorted(found, key=lambda span: span.start)


def expect(agent: str) -> frozenset[Kind]:
    """What the agent asks for."""
    return frozenset({Kind.NAME}) if "your name" in agent else frozenset()


class Model:
    """A model that keeps what it was sent, and answers what *answer* makes of it."""

    def __init__(self, answer: Callable[[Prompt], Iterable[Delta]]) -> None:
        self.sent: list[Prompt] = []
        self._answer = answer
        vaults = Vaults(Known(), expect, bytes)
        self.stage = PseudonymousLlm(SimLlm("managed", self._beats), vaults)

    def _beats(self, prompt: Prompt) -> list[Beat[Delta]]:
        self.sent.append(prompt)
        return [(0.01, delta) for delta in [*self._answer(prompt), Finish("stop")]]

    async def ask(self, *messages: Message, call: CallId = CALL) -> list[Delta]:
        """The answer, whole."""
        prompt = Prompt((Message("system", "Sarah runs this practice."), *messages))
        async with self.stage.open(prompt, Context(Where(call), DataClass.PROMPT)) as deltas:
            return [delta async for delta in deltas]


def text(deltas: Iterable[Delta]) -> str:
    """What was said."""
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def letters(told: str) -> list[Delta]:
    """*told*, letter by letter."""
    return [TextDelta(letter) for letter in told]


async def test_the_model_sees_pseudonyms_and_the_caller_hears_names() -> None:
    """What it says of them comes back; the business's own words go as they are."""
    model = Model(lambda prompt: letters(f"I wrote down: {prompt.messages[-1].content}."))
    said = "I am Sarah Miller, call 555 0123"
    assert text(await model.ask(Message("user", said))) == f"I wrote down: {said}."
    (sent,) = model.sent
    assert sent.messages[0].content == "Sarah runs this practice."
    assert not re.search("sarah|miller|555", sent.messages[1].content, re.IGNORECASE)


async def test_every_turn_of_a_call_has_the_same_pseudonyms() -> None:
    """So a model can follow who is who; another call has others."""
    model = Model(lambda prompt: letters("Yes."))
    for call in (CALL, CALL, CallId("another")):
        await model.ask(Message("user", "it is Miller"), call=call)
    sent = [prompt.messages[1].content for prompt in model.sent]
    assert sent[0] == sent[1]


async def test_what_was_asked_for_is_expected_in_the_answer() -> None:
    """After "your name?" a word that nobody knows is a name, and nowhere else."""
    model = Model(lambda prompt: letters("Yes."))
    await model.ask(Message("user", "zork"))
    await model.ask(Message("assistant", "What is your name?"), Message("user", "zork"))
    assert model.sent[0].messages[-1].content == "zork"
    assert model.sent[1].messages[-1].content != "zork"


async def test_tools_get_what_is_real_and_their_results_are_protected() -> None:
    """Arguments come back whole, also broken across pieces and within JSON's escapes."""

    def books(prompt: Prompt) -> Iterable[Delta]:
        name = re.findall(r"I am (\w+)", prompt.messages[1].content)[0]
        whole = json.dumps({"name": f'{name} "x"', "n": [1, None, True]})
        yield ToolCallDelta(0, "c1", "book", "", "sig")
        for piece in re.findall("..?", whole):
            yield ToolCallDelta(0, "", "", piece)

    model = Model(books)
    call = ToolCall("c0", "find", json.dumps({"name": "Sarah", "phone": "555 0123"}))
    deltas = await model.ask(
        Message("user", "I am Sarah"),
        Message("assistant", "", (call,)),
        Message("tool", json.dumps({"found": ["Miller"], "age": 41}), tool_call_id="c0"),
    )
    (booked,) = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert (booked.id, booked.name, booked.signature) == ("c1", "book", "sig")
    assert json.loads(booked.arguments) == {"name": 'Sarah "x"', "n": [1, None, True]}
    sent = json.dumps([str(message) for message in model.sent[0].messages[1:]])
    assert not re.search("sarah|miller|555", sent, re.IGNORECASE)
    assert json.loads(model.sent[0].messages[3].content)["age"] == 41


@pytest.mark.parametrize("cut", [1, 3, 40])
async def test_a_pseudonym_that_was_made_up_ends_the_attempt(cut: int) -> None:
    """Before its sentence is whole, so that nobody hears it; another endpoint takes over."""
    told = "Your number is PHONE-22222."
    pieces = [TextDelta(told[at : at + cut]) for at in range(0, len(told), cut)]
    model = Model(lambda prompt: pieces)
    with pytest.raises(EndpointError, match="made up the pseudonym PHONE-22222") as failed:
        await model.ask(Message("user", "what is my number"))
    assert failed.value.fault is Fault.MALFORMED


async def test_vaults_are_bounded() -> None:
    """The oldest call's is forgotten; a call that goes on keeps its own."""
    vaults = Vaults(Known(), expect, bytes)
    kept, first = vaults.of(CallId("kept")), vaults.of(CallId("first"))
    for number in range(CALLS_MAX):
        assert vaults.of(CallId("kept")) is kept
        vaults.of(CallId(str(number)))
    assert vaults.of(CallId("first")) is not first
