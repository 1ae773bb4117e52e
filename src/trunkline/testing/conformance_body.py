"""What every codec whose answers are bodies must do, as laws that take the codec; no socket.

They take a `Dialogue`: a codec and the bodies that a provider was recorded to answer with. What the
stage must do that is made of it is in `conformance_sockets`.

    @pytest.mark.parametrize("law", BODY_LAWS, ids=lambda law: law.__name__)
    def test_laws(law): law(Dialogue(...))

A law that does not hold raises `Unlawful`, an `AssertionError`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trunkline.contracts import BodyCodec, Post
from trunkline.errors import EndpointError, Fault
from trunkline.testing.conformance import hold

In = TypeVar("In")
Out = TypeVar("Out")

STATUSES = {
    400: Fault.REFUSED,
    401: Fault.REFUSED,
    404: Fault.REFUSED,
    408: Fault.UNAVAILABLE,
    429: Fault.THROTTLED,
    500: Fault.UNAVAILABLE,
    503: Fault.UNAVAILABLE,
}
FOREIGN = ("text/html", "image/png", "audio/mpeg")
"""Media types that answer no request of speech, but a wrong address, or a wrong format."""
GARBAGE = (b"{", b"null", b"[]", b"\xff\xfe\x00", b'data: {"type":7}\n\n', b"data: \xff\n\n")


@dataclass(frozen=True, slots=True)
class Dialogue(Generic[In, Out]):
    """A recorded dialogue.

    *items* were given, *bodies* are the answers in order, each of *media_type*; *same* is what two
    ways to hear them must agree in, however the network cuts the bodies (all of the outputs, or the
    audio together). *silent_end*: nothing in a body says that it is complete.
    """

    codec: Callable[[], BodyCodec[In, Out]]
    key: str
    items: Sequence[In]
    media_type: str
    bodies: Sequence[bytes]
    outputs: object
    same: Callable[[Sequence[Out]], object]
    silent_end: bool = False


def _posts(dialogue: Dialogue[In, Out]) -> list[Post[Out]]:
    exchange = dialogue.codec().exchange()
    posts = [exchange.take(item) for item in dialogue.items] + [exchange.finish()]
    return [post for post in posts if post is not None]


def _heard(dialogue: Dialogue[In, Out], size: int) -> list[Out]:
    outputs: list[Out] = []
    for post, body in zip(_posts(dialogue), dialogue.bodies, strict=True):
        decoder = post.decoder(dialogue.media_type)
        for start in range(0, len(body), size):
            outputs += decoder.feed(body[start : start + size])
        outputs += decoder.end()
    return outputs


def the_recorded_answers_are_understood(dialogue: Dialogue[Any, Any]) -> None:
    """However the network cuts them."""
    for size in (1, 7, 1_000, 1 << 20):
        heard = dialogue.same(_heard(dialogue, size))
        hold(heard == dialogue.outputs, f"in pieces of {size} it said {heard}")


def an_early_end_is_a_fault(dialogue: Dialogue[Any, Any]) -> None:
    """Wherever the body ends, if it says itself where it should; and if it never began."""
    for post, body in zip(_posts(dialogue), dialogue.bodies, strict=True):
        for said in range(0, 1 if dialogue.silent_end else len(body) // 2, 3):
            decoder = post.decoder(dialogue.media_type)
            decoder.feed(body[:said])
            try:
                decoder.end()
            except EndpointError as error:
                hold(error.fault is not Fault.REFUSED, f"an end after {said} bytes is {error}")
            else:
                hold(False, f"it ended after {said} bytes, and that is no fault")


def what_is_foreign_is_malformed(dialogue: Dialogue[Any, Any]) -> None:
    """A page of HTML is no answer, and says what it is; garbage never breaks a parser."""
    for media_type in FOREIGN:
        try:
            _posts(dialogue)[0].decoder(media_type)
        except EndpointError as error:
            hold(error.fault is Fault.MALFORMED, f"{media_type} is {error.fault}")
            hold(media_type in error.detail, f"{error} does not say what came")
        else:
            hold(False, f"{media_type} is taken for an answer")
    for garbage in GARBAGE:
        decoder = _posts(dialogue)[0].decoder(dialogue.media_type)
        try:
            decoder.feed(garbage)
            decoder.end()
        except EndpointError:
            continue
        hold(dialogue.silent_end, f"{garbage!r} is taken for an answer")


def a_status_means_what_it_means(dialogue: Dialogue[Any, Any]) -> None:
    """Whose fault it is, how long to stay away, and the reason in words."""
    for status, fault in STATUSES.items():
        error = dialogue.codec().refusal(status, {"retry-after": "7"}, b"the reason")
        hold(isinstance(error, EndpointError), f"{status} is {error!r}")
        if isinstance(error, EndpointError):
            hold(error.fault is fault, f"{status} is {error.fault}")
            hold(error.retry_after_s == 7, f"{status} does not say when to come back")
            hold("the reason" in error.detail, f"{status} does not say why")


def the_key_is_shown_to_the_provider_alone(dialogue: Dialogue[Any, Any]) -> None:
    """It is in the headers that carry it, and in nothing else."""
    codec = dialogue.codec()
    shown = codec.credentials(dialogue.key)
    hold(any(dialogue.key in value for value in shown.values()), "no header carries the key")
    told = [repr(codec), *(repr(post) for post in _posts(dialogue))]
    hold(not any(dialogue.key in it for it in told), f"the key shows in {told}")


BODY_LAWS: Sequence[Callable[[Dialogue[Any, Any]], None]] = (
    the_recorded_answers_are_understood,
    an_early_end_is_a_fault,
    what_is_foreign_is_malformed,
    a_status_means_what_it_means,
    the_key_is_shown_to_the_provider_alone,
)
