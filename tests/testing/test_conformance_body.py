"""A law that no offender breaks would be no law: each is broken here by one."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from typing_extensions import override

from trunkline.contracts import Decoder, Post, Request
from trunkline.errors import EndpointError, Fault
from trunkline.providers.refusals import refusal
from trunkline.testing.conformance import Unlawful
from trunkline.testing.conformance_body import (
    BODY_LAWS,
    Dialogue,
    a_status_means_what_it_means,
    an_early_end_is_a_fault,
    the_key_is_shown_to_the_provider_alone,
    the_recorded_answers_are_understood,
    what_is_foreign_is_malformed,
)

BODIES = (b'{"n":17}', b'{"n":25}')


def fault(said: str) -> EndpointError:
    """A broken answer."""
    return EndpointError("toy", Fault.MALFORMED, said)


class Number:
    """Reads a number out of JSON, when its body has ended."""

    def __init__(self) -> None:
        self._body = b""

    def feed(self, event: bytes, /) -> Sequence[int]:
        """Nothing yet."""
        self._body += event
        return ()

    def end(self) -> Sequence[int]:
        """The number."""
        try:
            told = json.loads(self._body)
        except ValueError as error:
            raise fault(str(error)) from None
        if not isinstance(told, dict) or "n" not in told:
            raise fault("no number")
        return (told["n"],)


class Hasty(Number):
    """Takes each piece for the whole."""

    @override
    def feed(self, event: bytes, /) -> Sequence[int]:
        self._body = event
        return ()


class Content(Number):
    """Is content with anything."""

    @override
    def end(self) -> Sequence[int]:
        try:
            return super().end()
        except EndpointError:
            return ()


class Toy:
    """A codec that asks for each item by itself."""

    ahead = 1

    def __init__(self, reader: Callable[[], Decoder[int]] = Number) -> None:
        self._reader = reader

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """In a header."""
        return {"X-Key": key}

    def exchange(self) -> "Toy":
        """It has no state."""
        return self

    def take(self, item: int, /) -> Post[int]:
        """Ask for it."""
        return Post(Request("toy", {}, str(item).encode()), self.reader)

    def finish(self) -> None:
        """That was all."""

    def reader(self, media_type: str) -> Decoder[int]:
        """For JSON alone."""
        if media_type != "application/json":
            raise fault(f"what is {media_type}?")
        return self._reader()

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> Exception:
        """As providers do."""
        return refusal("toy", status, headers, body)


class Trusting(Toy):
    """Reads whatever comes."""

    @override
    def reader(self, media_type: str) -> Decoder[int]:
        return self._reader()


class Blaming(Toy):
    """Takes every status for a refusal."""

    @override
    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> Exception:
        return EndpointError("toy", Fault.REFUSED, body.decode(), retry_after_s=7)


class Telltale(Toy):
    """Shows the key to nobody."""

    @override
    def credentials(self, key: str, /) -> Mapping[str, str]:
        return {}


def dialogue(codec: Callable[[], Toy]) -> Dialogue[Any, Any]:
    """Two numbers are asked for."""
    return Dialogue(codec, "a-key", (1, 2), "application/json", BODIES, [17, 25], list)


@pytest.mark.parametrize("law", BODY_LAWS, ids=lambda law: law.__name__)
def test_a_codec_that_keeps_the_laws(law: Callable[[Dialogue[Any, Any]], None]) -> None:
    """None of them finds fault with it."""
    law(dialogue(Toy))


@pytest.mark.parametrize(
    ("law", "offender"),
    [
        (the_recorded_answers_are_understood, lambda: Toy(Hasty)),
        (an_early_end_is_a_fault, lambda: Toy(Content)),
        (what_is_foreign_is_malformed, Trusting),
        (what_is_foreign_is_malformed, lambda: Toy(Content)),
        (a_status_means_what_it_means, Blaming),
        (the_key_is_shown_to_the_provider_alone, Telltale),
    ],
)
def test_each_law_finds_its_offender(
    law: Callable[[Dialogue[Any, Any]], None], offender: Callable[[], Toy]
) -> None:
    """What breaks it is told."""
    with pytest.raises((Unlawful, EndpointError)):
        law(dialogue(offender))
