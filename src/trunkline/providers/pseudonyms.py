"""A language model that sees only pseudonyms: a Stage around a Stage.

What goes to the model goes through the call's vault first (`privacy.surrogates`), what it answers
is turned back as it streams (`privacy.rehydrate`). So the rest of Trunkline knows nothing of it:
history holds what was really said and heard, tools get real arguments, an interruption cuts real
text, and a continuation by any other endpoint goes on behind real words.

Rules

* The system message is the business's own and goes as it is. Every other message is searched, tool
  calls and results included; what the agent has just asked for is expected in the answer to it.
* What looks like a handle and was not minted in this call never leaves: the attempt fails as
  malformed, before its sentence is whole, and another one takes over.
* A vault lives as long as its call is among the last `CALLS_MAX`, in memory only.
"""

import json
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from typing_extensions import override

from trunkline.contracts import Context, Stage
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.privacy.detect import Rules, SpeechDetector
from trunkline.privacy.rehydrate import Rehydrator, rehydrated, residual
from trunkline.privacy.slots import expected_kinds
from trunkline.privacy.spans import Detector, Kind
from trunkline.privacy.surrogates import Vault
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
)

CALLS_MAX: Final = 1024
"""Vaults of a worker: ten times the calls that it can have up."""
_TAIL_CHARS: Final = 32
"""Of what was let go, to find a handle that came in pieces: longer than any."""

Expect = Callable[[str], frozenset[Kind]]
"""What the agent's words ask for."""


class Vaults:
    """The vaults of a worker's calls; *entropy(n)* gives n random bytes."""

    def __init__(self, detector: Detector, expect: Expect, entropy: Callable[[int], bytes]) -> None:
        self._detector, self._expect, self._entropy = detector, expect, entropy
        self._vaults: OrderedDict[CallId, Vault] = OrderedDict()

    def of(self, call: CallId) -> Vault:
        """The vault of *call*, made if there is none."""
        vault = self._vaults.get(call)
        if vault is None:
            vault = self._vaults[call] = Vault(self._entropy(16))
            if len(self._vaults) > CALLS_MAX:
                self._vaults.popitem(last=False)
        self._vaults.move_to_end(call)
        return vault

    def protect(self, vault: Vault, prompt: Prompt) -> Prompt:
        """*prompt* with surrogates for all that is personal in it."""
        messages: list[Message] = []
        expected: frozenset[Kind] = frozenset()
        for message in prompt.messages:
            if message.role != "system":
                message = self._protected(vault, message, expected)  # noqa: PLW2901  # the new one
            messages.append(message)
            if message.role == "assistant":
                expected = self._expect(message.content)
        return replace(prompt, messages=tuple(messages))

    def _protected(self, vault: Vault, message: Message, expected: frozenset[Kind]) -> Message:
        def text(told: str) -> str:
            return vault.protect(told, self._detector.spans(told, wanted))

        wanted = expected if message.role == "user" else frozenset[Kind]()
        calls = tuple(
            replace(call, arguments=_strings(call.arguments, text)) for call in message.tool_calls
        )
        content = (
            _strings(message.content, text) if message.role == "tool" else text(message.content)
        )
        return replace(message, content=content, tool_calls=calls)


def vaults_for(*agent: str, region: str = "US") -> Vaults:
    """The vaults of a worker whose agent's own words are those of the texts *agent*.

    *region*: whose phone numbers have no country code.
    """
    detector = SpeechDetector(Rules(region, agent=agent))
    return Vaults(detector, expected_kinds, os.urandom)


class PseudonymousLlm(Stage[Prompt, Delta]):
    """*inner*, which is sent pseudonyms."""

    def __init__(self, inner: Stage[Prompt, Delta], vaults: Vaults) -> None:
        self._inner, self._vaults = inner, vaults

    @property
    @override
    def endpoint(self) -> Endpoint:
        """That of the model."""
        return self._inner.endpoint

    @override
    @asynccontextmanager
    async def open(
        self, source: Prompt, context: Context, /
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        """As the model's own; `EndpointError` (`MALFORMED`) if it makes a handle up.

        `InputError` if the call holds more personal items than a vault takes.
        """
        vault = self._vaults.of(context.where.call)
        try:
            prompt = self._vaults.protect(vault, source)
        except InputError as error:
            raise EndpointError(self.endpoint.name, Fault.REFUSED, str(error)) from error
        told = replace(context, data_class=DataClass.PSEUDONYMISED)
        async with self._inner.open(prompt, told) as deltas:
            yield _back(deltas, vault, self.endpoint.name)


async def _back(deltas: AsyncIterator[Delta], vault: Vault, endpoint: str) -> AsyncIterator[Delta]:
    """*deltas*, turned back."""
    text, tail = Rehydrator(vault), ""
    arguments: dict[int, str] = {}
    calls: dict[int, ToolCallDelta] = {}

    def checked(piece: str) -> str:
        nonlocal tail
        if (found := residual(tail + piece)) is not None:
            raise EndpointError(
                endpoint, Fault.MALFORMED, f"it made up the pseudonym {found}: nobody knows whose"
            )
        tail = (tail + piece)[-_TAIL_CHARS:]
        return piece

    async for delta in deltas:
        match delta:
            case TextDelta(piece):
                if told := checked(text.feed(piece)):
                    yield TextDelta(told)
            case ToolCallDelta(index, _, _, piece):
                # Arguments are JSON, whose escapes break words: they are turned back when whole.
                calls.setdefault(index, delta)
                arguments[index] = arguments.get(index, "") + piece
            case Finish():
                if told := checked(text.end()):
                    yield TextDelta(told)
                for index, first in calls.items():
                    whole = _strings(arguments[index], lambda it: checked(rehydrated(vault, it)))
                    yield replace(first, arguments=whole)
                yield delta


def _strings(text: str, change: Callable[[str], str]) -> str:
    """The JSON *text* with every string of its values changed; changed as a whole if it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return change(text)
    return json.dumps(_changed(value, change), ensure_ascii=False)


def _changed(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        told = change(str(value))  # a number of somebody is no less personal for its type
        return value if told == str(value) else told
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, Mapping):
        return {key: _changed(item, change) for key, item in value.items()}
    return value
