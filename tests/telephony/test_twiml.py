"""TwiML, written and read, against the official package's writer."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, VoiceResponse  # type: ignore[import-untyped]  # ships no types

from trunkline.errors import InputError
from trunkline.telephony.twiml import (
    Dial,
    Hangup,
    Pause,
    Redirect,
    Say,
    Stream,
    parse_twiml,
    twiml_connect,
    twiml_hangup,
    twiml_refuse,
)

URL = "wss://example.com/twilio/media"
plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=60)


def shape(document: str) -> object:
    """Elements, attributes and texts, whatever the spelling."""

    def of(element: ET.Element) -> object:
        return (element.tag, element.attrib, element.text, [of(child) for child in element])

    return of(ET.fromstring(document))  # noqa: S314  # made by this test


@given(st.dictionaries(plain, plain, max_size=4))
def test_our_connect_is_what_the_official_package_writes(parameters: dict[str, str]) -> None:
    """Whatever the parameters hold, escaping included."""
    response, connect = VoiceResponse(), Connect()
    stream = connect.stream(url=URL)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    response.append(connect)
    assert shape(twiml_connect(URL, parameters)) == shape(str(response))


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4))
def test_any_text_makes_a_document_that_can_be_read(parameters: dict[str, str]) -> None:
    """Even characters that XML cannot carry: they are left out."""
    (verb,) = parse_twiml(twiml_connect(URL, parameters).encode())
    assert isinstance(verb, Stream)
    assert verb.url == URL


def test_a_refusal_is_said_and_hung_up() -> None:
    """The sentence is escaped."""
    assert parse_twiml(twiml_refuse("Busy & <tired>").encode()) == [Say("Busy & <tired>"), Hangup()]


def test_verbs_are_read_in_order() -> None:
    """Those that a streamed call can meet, as the official package writes them."""
    response, connect = VoiceResponse(), Connect()
    connect.stream(url=URL).parameter(name="a", value="b")
    response.say("one moment")
    response.append(connect)
    response.pause(length=2)
    response.redirect("/again")
    response.hangup()
    assert parse_twiml(str(response).encode()) == [
        Say("one moment"),
        Stream(URL, {"a": "b"}),
        Pause(2.0),
        Redirect("/again"),
        Hangup(),
    ]


def test_behind_the_stream_the_webhook_is_asked_again() -> None:
    """As the official package writes it; a hang-up is nothing else."""
    response, connect = VoiceResponse(), Connect()
    connect.stream(url=URL)
    response.append(connect)
    response.redirect("https://x/twilio/voice?a=1&a=2", method="POST")
    ours = twiml_connect(URL, {}, "https://x/twilio/voice?a=1&a=2")
    assert shape(ours) == shape(str(response))
    assert parse_twiml(ours.encode())[1] == Redirect("https://x/twilio/voice?a=1&a=2")
    assert parse_twiml(twiml_hangup().encode()) == [Hangup()]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<Response>", "not XML"),
        (b"<html/>", "begins with <html>"),
        (b"<Response><Gather/></Response>", "<Gather> is not supported"),
        (b"<Response><Connect/></Response>", "exactly one <Stream"),
        (b"<Response><Connect><Stream/></Connect></Response>", "exactly one <Stream"),
        (b'<Response><Connect action="/x"><Stream url="ws://x"/></Connect></Response>', "no attr"),
        (b'<Response><Redirect method="GET">/x</Redirect></Response>', "than POST"),
        (b'<Response><Pause length="soon"/></Response>', "whole seconds"),
        (b'<Response><Pause length="601"/></Response>', "at most 600"),
        (b"<Response><Dial><Sip>sip:a@b.c</Sip></Dial></Response>", "give a number"),
        (b'<!DOCTYPE r [<!ENTITY a "aaaa">]><Response>&a;</Response>', "declaration"),
        (b"<Response>" + b" " * 65536 + b"</Response>", "the limit is 65536"),
    ],
)
def test_what_cannot_be_run_honestly_is_refused(document: bytes, reason: str) -> None:
    """A tool that skipped a verb would not test what runs."""
    with pytest.raises(InputError, match=reason):
        parse_twiml(document)


def test_a_stream_that_twilio_would_refuse_is_refused_here() -> None:
    """A query in the URL, another scheme, a parameter that is too long."""
    with pytest.raises(InputError, match="no query"):
        twiml_connect(URL + "?a=1", {})
    with pytest.raises(InputError, match="wss://"):
        twiml_connect("https://example.com", {})
    with pytest.raises(InputError, match="501 characters"):
        twiml_connect(URL, {"a": "b" * 500})


def test_a_transfer_asks_how_to_go_on() -> None:
    """As the official package writes it, with a sentence and without."""
    action = "https://x/twilio/voice?dialled=1&a=2"
    response = VoiceResponse()
    response.dial("+12025550100", action=action, method="POST")
    assert shape(twiml_refuse("", "+12025550100", action=action)) == shape(str(response))
    document = twiml_refuse("One moment.", "+12025550100", action=action).encode()
    assert parse_twiml(document) == [Say("One moment."), Dial("+12025550100", action)]
    assert parse_twiml(twiml_refuse("").encode()) == [Hangup()]
