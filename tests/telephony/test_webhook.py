"""Signatures against the official package as the independent verifier, and tickets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # ships no types

from trunkline.telephony.webhook import (
    TICKET_S,
    signature,
    ticket,
    valid_signature,
    valid_ticket,
)
from trunkline.types import Wall

TOKEN = "12345"  # noqa: S105  # made up
URL = "https://example.com/twilio/voice?a=1"
FORM = {"CallSid": "CA1", "From": "+12025550123", "Digits": "1 &=é"}
NOW = Wall(1_800_000_000.0)

words = st.text(st.characters(codec="utf-8"), max_size=12)


@given(params=st.dictionaries(words, words, max_size=6), token=words)
def test_our_signature_is_what_the_official_package_computes(
    params: dict[str, str], token: str
) -> None:
    """For any parameters and token, in any order."""
    assert signature(token, URL, params) == RequestValidator(token).compute_signature(URL, params)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://example.com:443/twilio/voice",
        "http://example.com:8080/x",
        "http://example.com/",
    ],
)
def test_the_official_package_and_we_accept_each_others_signatures(url: str) -> None:
    """With and without a port: Twilio is not consistent about default ports."""
    official = RequestValidator(TOKEN)
    assert official.validate(url, FORM, signature(TOKEN, url, FORM))
    bare = url.replace(":443", "")
    assert valid_signature(TOKEN, url, FORM, official.compute_signature(bare, FORM))


def test_a_repeated_parameter_is_signed_once_for_each_value() -> None:
    """As the official package does it for a MultiDict."""

    class Multi(dict[str, list[str]]):
        def getlist(self, name: str) -> list[str]:
            return self[name]

    many = {"To": ["b", "a", "b"], "A": ["x"]}
    assert signature(TOKEN, URL, many) == RequestValidator(TOKEN).compute_signature(
        URL, Multi(many)
    )


def test_a_stream_is_signed_by_its_url_with_or_without_the_last_slash() -> None:
    """The upgrade has no parameters, and its URL is spelt in more than one way."""
    good = RequestValidator(TOKEN).compute_signature("wss://example.com/media/", {})
    for url in (
        "wss://example.com/media",
        "wss://example.com:443/media",
        "wss://example.com/media/",
    ):
        assert valid_signature(TOKEN, url, {}, good)
    assert not valid_signature(TOKEN, "https://example.com/media/", {}, good)
    assert not valid_signature(TOKEN, "wss://example.com/other", {}, good)


@pytest.mark.parametrize(
    ("token", "url", "form"),
    [
        ("other", URL, FORM),
        (TOKEN, URL + "1", FORM),
        (TOKEN, URL, FORM | {"From": "+12025550124"}),
        (TOKEN, URL, {}),
    ],
)
def test_a_change_of_token_url_or_form_is_noticed(
    token: str, url: str, form: dict[str, str]
) -> None:
    """Whatever is changed, the signature no longer fits."""
    assert not valid_signature(token, url, form, signature(TOKEN, URL, FORM))


@pytest.mark.parametrize("given_signature", ["", "x", "é", "\ud800"])
def test_a_signature_that_is_none_is_refused_without_an_error(given_signature: str) -> None:
    """A header can hold anything."""
    assert not valid_signature(TOKEN, URL, FORM, given_signature)


def test_a_ticket_is_good_for_its_call_and_its_time_only() -> None:
    """Another call, another caller, another host's token or a later moment: not good."""
    mine = ticket(TOKEN, "CA1", "+1", NOW)
    assert valid_ticket(TOKEN, mine, "CA1", "+1", NOW)
    assert valid_ticket(TOKEN, mine, "CA1", "+1", Wall(NOW + TICKET_S))
    assert not valid_ticket(TOKEN, mine, "CA1", "+1", Wall(NOW + TICKET_S + 1))
    assert not valid_ticket(TOKEN, mine, "CA2", "+1", NOW)
    assert not valid_ticket(TOKEN, mine, "CA1", "+2", NOW)
    assert not valid_ticket(TOKEN, mine, "CA1+", "1", NOW)
    assert not valid_ticket("other", mine, "CA1", "+1", NOW)


@given(st.text(max_size=80))
def test_no_text_is_a_ticket(forged: str) -> None:
    """Anything that we did not seal is refused, without an error."""
    assert not valid_ticket(TOKEN, forged, "CA1", "+1", NOW)


def test_a_ticket_cannot_be_prolonged() -> None:
    """The time is under the seal."""
    until, _, seal = ticket(TOKEN, "CA1", "+1", NOW).partition(".")
    assert not valid_ticket(TOKEN, f"{int(until) + 3600}.{seal}", "CA1", "+1", NOW)
