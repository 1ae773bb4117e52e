"""A law that no offender breaks would be no law: each is broken here by one."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from typing_extensions import override

from trunkline.contracts import Handshake, Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.net.closing import closing_fault
from trunkline.testing import conformance
from trunkline.testing.conformance import CODEC_LAWS, Conversation, Unlawful

REPLIES = ('{"type":"n","n":1}', '{"type":"n","n":2}', '{"type":"end"}')


class Counting:
    """An exchange that keeps all laws: it hears numbers until the end, one item ahead."""

    def __init__(self) -> None:
        self.done = self.asked = False
        self.finished = False

    @property
    def wants_more(self) -> bool:
        """One at a time."""
        return not self.asked

    def begin(self) -> Sequence[WireMessage]:
        """Nothing."""
        return ()

    def take(self, item: int, /) -> Sequence[WireMessage]:
        """Ask for it."""
        self.asked = True
        return (str(item),)

    def finish(self) -> Sequence[WireMessage]:
        """That was all."""
        self.finished = True
        return ("bye",)

    def receive(self, message: WireMessage, /) -> Reaction[int]:
        """A number, the end, or something that is not known."""
        try:
            told = json.loads(message)
            kind = told.get("type")
        except (ValueError, AttributeError):
            raise EndpointError("toy", Fault.MALFORMED, "not an object") from None
        if kind == "n":
            self.asked = False
            return Reaction((told["n"],))
        self.done = kind == "end"
        return Reaction()

    def closed(self, code: int, reason: str, /) -> Sequence[int]:
        """Too soon."""
        raise closing_fault("toy", code, reason)

    def leave(self) -> Sequence[WireMessage]:
        """Nothing."""
        return ()


class Deaf(Counting):
    """Hears nothing."""

    @override
    def receive(self, message: WireMessage, /) -> Reaction[int]:
        return Reaction((), super().receive(message).send)


class Polite(Counting):
    """Takes any close for an end."""

    @override
    def closed(self, code: int, reason: str, /) -> Sequence[int]:
        return ()


class Credulous(Counting):
    """Takes garbage for a number."""

    @override
    def receive(self, message: WireMessage, /) -> Reaction[int]:
        try:
            return super().receive(message)
        except EndpointError:
            return Reaction((0,))


class Stern(Counting):
    """Knows no message but its own."""

    @override
    def receive(self, message: WireMessage, /) -> Reaction[int]:
        if '"SomethingNew"' in str(message):
            raise EndpointError("toy", Fault.MALFORMED, "what is that?")
        return super().receive(message)


class Greedy(Counting):
    """Takes whatever it gets."""

    @property
    @override
    def wants_more(self) -> bool:
        return True


class Clinging(Counting):
    """Cannot leave."""

    @override
    def leave(self) -> Sequence[WireMessage]:
        raise Unlawful("not yet")


class Toy:
    """A codec around an exchange."""

    reuse_s = 0.0
    keepalive = None

    def __init__(self, exchange: Callable[[], Counting]) -> None:
        self._exchange = exchange

    def exchange(self, _ordinal: int, /) -> Counting:
        """A fresh one."""
        return self._exchange()

    def handshake(self, key: str | None, /) -> Handshake:
        """The key is in a header."""
        return Handshake("toy", (), {} if key is None else {"x-key": key})

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> Exception:
        """Any."""
        return EndpointError("toy", Fault.REFUSED, str(status))


class Telltale(Toy):
    """Puts the key into the path, which everyone logs."""

    @override
    def handshake(self, key: str | None, /) -> Handshake:
        return Handshake(f"toy/{key}", (), {"x-key": key or ""})


def conversation(
    exchange: Callable[[], Counting] = Counting, codec: Callable[..., Toy] = Toy
) -> Conversation[Any, Any]:
    """A conversation of the toy."""
    return Conversation(lambda: codec(exchange), "a-key", (10, 20), REPLIES, (1, 2))


@pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
def test_a_good_codec_keeps_every_law(law: Callable[[Conversation[Any, Any]], None]) -> None:
    """The offenders below differ from it in one thing each."""
    law(conversation())


OFFENDERS: dict[str, Conversation[Any, Any]] = {
    "the_recorded_answer_is_understood": conversation(Deaf),
    "an_early_end_is_a_fault": conversation(Polite),
    "what_is_broken_is_malformed": conversation(Credulous),
    "what_is_unknown_is_ignored": conversation(Stern),
    "nobody_runs_ahead": conversation(Greedy),
    "leaving_never_fails": conversation(Clinging),
    "the_key_is_shown_to_the_provider_alone": conversation(codec=Telltale),
}


@pytest.mark.parametrize("name", OFFENDERS)
def test_an_offender_is_found(name: str) -> None:
    """By the law that it breaks."""
    law = getattr(conformance, name)
    with pytest.raises((Unlawful, EndpointError)):
        law(OFFENDERS[name])


def test_every_law_has_its_offender() -> None:
    """A law that is added needs one, too."""
    assert [law.__name__ for law in CODEC_LAWS] == list(OFFENDERS)
