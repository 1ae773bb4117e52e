"""What every codec for a WebSocket must do, as laws that take the codec; no socket is needed.

They take a `Conversation`: a codec and the messages that a provider was recorded to send. What the
stage must do that is made of it is in `conformance_sockets`.

    @pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
    def test_laws(law): law(Conversation(...))

A law that does not hold raises `Unlawful`, an `AssertionError`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trunkline.contracts import DuplexCodec, Exchange, WireMessage
from trunkline.errors import EndpointError, Fault

In = TypeVar("In")
Out = TypeVar("Out")

GARBAGE: Sequence[WireMessage] = (
    "",
    "{",
    "null",
    "[]",
    '"text"',
    b"\x00\xff\xfe",
    b"\xed\xa0\x80",
    '{"type":7}',
    '{"audio":7}',
    '{"audio":"not base64!"}',
)
AHEAD_MAX = 16
"""Items that an adapter may take before the provider has said a word, unless it streams audio."""


class Unlawful(AssertionError):
    """A law does not hold."""


def hold(holds: bool, what: str) -> None:
    """Raise `Unlawful` unless *holds*."""
    if not holds:
        raise Unlawful(what)


@dataclass(frozen=True, slots=True)
class Conversation(Generic[In, Out]):
    """A recorded conversation.

    *items* were given as far as they were wanted, *replies* are all that came, *outputs* what that
    means; *streams*: items are audio, which is always wanted; *binary*: so is what comes in binary
    messages, whatever their bytes.
    """

    codec: Callable[[], DuplexCodec[In, Out]]
    key: str
    items: Sequence[In]
    replies: Sequence[WireMessage]
    outputs: Sequence[Out]
    streams: bool = False
    binary: bool = False


class Player(Generic[In, Out]):
    """One exchange of a conversation, played reply by reply; *sent* is what went out."""

    def __init__(self, conversation: Conversation[In, Out], ordinal: int = 0) -> None:
        self.exchange: Exchange[In, Out] = conversation.codec().exchange(ordinal)
        self.outputs: list[Out] = []
        self.sent: list[WireMessage] = list(self.exchange.begin())
        self._items = list(conversation.items)
        self._finished = False
        self._give()

    def hear(self, reply: WireMessage) -> None:
        """The provider says *reply*."""
        reaction = self.exchange.receive(reply)
        self.outputs += reaction.outputs
        self.sent += reaction.send
        self._give()

    def _give(self) -> None:
        while self._items and self.exchange.wants_more:
            self.sent += self.exchange.take(self._items.pop(0))
        if not self._items and not self._finished:
            self._finished = True
            self.sent += self.exchange.finish()


def the_recorded_answer_is_understood(conversation: Conversation[Any, Any]) -> None:
    """Every output comes, in order, and the exchange is done with the last reply, not before."""
    player = Player(conversation)
    for reply in conversation.replies:
        hold(not player.exchange.done, f"done before {reply!r}")
        player.hear(reply)
    hold(player.exchange.done, "not done after the last reply")
    hold(player.outputs == list(conversation.outputs), f"it said {player.outputs}")


def an_early_end_is_a_fault(conversation: Conversation[Any, Any]) -> None:
    """However politely the provider hangs up, and wherever in its answer."""
    for said in range(len(conversation.replies)):
        for code in (1000, 1001, 1005, 1006, 1008, 1011, 4000):
            player = Player(conversation)
            for reply in conversation.replies[:said]:
                player.hear(reply)
            try:
                player.exchange.closed(code, "a reason")
            except EndpointError as error:
                hold(error.fault is not Fault.MALFORMED, f"a close with {code} is {error.fault}")
            else:
                raise Unlawful(f"closed with {code} after {said} replies, and that is no fault")


def what_is_broken_is_malformed(conversation: Conversation[Any, Any]) -> None:
    """Garbage is a Fault, or nothing: never an exception of a parser."""
    for garbage in GARBAGE:
        if conversation.binary and isinstance(garbage, bytes):
            continue
        player = Player(conversation)
        try:
            player.hear(garbage)
        except EndpointError as error:
            hold(error.fault is Fault.MALFORMED, f"{garbage!r} is {error.fault}")
        hold(player.outputs == [], f"{garbage!r} says {player.outputs}")
        hold(not player.exchange.done, f"{garbage!r} ends the exchange")


def what_is_unknown_is_ignored(conversation: Conversation[Any, Any]) -> None:
    """A message that the provider adds some day changes nothing."""
    player = Player(conversation)
    for reply in conversation.replies:
        player.hear('{"type":"SomethingNew","about":{"the":["future",null]}}')
        player.hear(reply)
    hold(player.outputs == list(conversation.outputs), f"it said {player.outputs}")


def nobody_runs_ahead(conversation: Conversation[Any, Any]) -> None:
    """What the provider has not answered bounds what is taken."""
    if conversation.streams:
        return
    exchange = conversation.codec().exchange(0)
    exchange.begin()
    taken = 0
    while exchange.wants_more and taken <= AHEAD_MAX:
        exchange.take(conversation.items[taken % len(conversation.items)])
        taken += 1
    hold(0 < taken <= AHEAD_MAX, f"took {taken} items without an answer")


def leaving_never_fails(conversation: Conversation[Any, Any]) -> None:
    """At any point of the conversation."""
    for said in range(len(conversation.replies) + 1):
        player = Player(conversation)
        for reply in conversation.replies[:said]:
            player.hear(reply)
        player.exchange.leave()
    conversation.codec().exchange(0).leave()


def the_key_is_shown_to_the_provider_alone(conversation: Conversation[Any, Any]) -> None:
    """It is in the handshake, and in no representation, message or path."""
    codec = conversation.codec()
    handshake = codec.handshake(conversation.key)
    shown = [*handshake.headers.values(), *(value for _, value in handshake.query)]
    shown += [str(hello) for hello in handshake.hello]
    hold(any(conversation.key in it for it in shown), "the handshake does not carry the key")
    told = [repr(codec), repr(handshake), handshake.path, *map(repr, Player(conversation).sent)]
    hold(not any(conversation.key in it for it in told), f"the key shows in {told}")
    without = codec.handshake(None)
    hold("None" not in repr(dict(without.headers)), "no key is sent as a key")


CODEC_LAWS: Sequence[Callable[[Conversation[Any, Any]], None]] = (
    the_recorded_answer_is_understood,
    an_early_end_is_a_fault,
    what_is_broken_is_malformed,
    what_is_unknown_is_ignored,
    nobody_runs_ahead,
    leaving_never_fails,
    the_key_is_shown_to_the_provider_alone,
)
