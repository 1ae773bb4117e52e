"""TwiML, the few verbs that a streamed call needs: written by the server, read by the caller tool.

Written: `<Connect><Stream>` with `<Parameter>`s and a `<Redirect>` behind it, a sentence with a
hang-up or a `<Dial>` of an E.164 number behind it, either alone. A `<Dial>` may have an `action`:
when what it dialled is over, that URL is asked how to go on, with `DialCallStatus` (`completed` and
`answered`: somebody was reached; `busy`, `no-answer`, `failed`, `canceled`), also if the caller is
still there; without one the next verb follows, here none (twilio.com/docs/voice/twiml/dial, read
November 2026). `<Connect>` has no action: it ends
when our server closes the WebSocket, and the next verb follows (twilio.com/docs/voice/twiml/connect
and .../twiml/stream, read November 2026; error 31921 says the same). What Twilio does when the
socket breaks without a close is not documented apart: it is taken to be the same. When the caller
hangs up no verb is left to run.
Read: `<Connect><Stream url>`, `<Say>`, `<Pause length>`, `<Redirect>`, `<Dial>`, `<Hangup>`, in
document order, as Twilio executes them (twilio.com/docs/voice/twiml, read November 2026). Any other
verb, and a `<Connect action=...>`, is an `InputError`: a tool that skipped it would not test what
runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from trunkline.errors import InputError

TWIML_BYTES_MAX: Final = 64 * 1024
"""The longest document that Twilio takes, and so the longest that is read."""
PARAMETER_CHARS_MAX: Final = 500
"""A `<Parameter>`'s name and value together: Twilio's limit."""
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True)
class Stream:
    """`<Connect><Stream>`: stream the call to *url* until the socket closes."""

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Say:
    """`<Say>`: the carrier speaks *text*."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """`<Pause>`: silence for *length_s*."""

    length_s: float


@dataclass(frozen=True, slots=True)
class Redirect:
    """`<Redirect>`: go on with the document that a POST to *url* (may be relative) answers."""

    url: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """`<Hangup>`: the end of the call."""


@dataclass(frozen=True, slots=True)
class Dial:
    """`<Dial>`: put the caller through to *number*; nothing of ours is heard any more, unless
    *action* is asked how to go on."""

    number: str
    action: str = ""


Verb = Stream | Say | Pause | Redirect | Hangup | Dial


def twiml_connect(ws_url: str, parameters: Mapping[str, str], then: str = "") -> str:
    """TwiML that streams the call to *ws_url*, which may have no query (Twilio error 31920).

    *then* is the URL that is asked what to do when the stream is over; without it the call ends.

    Raises `InputError` if the URL or a parameter would be refused by Twilio.
    """
    if not ws_url.startswith(("ws://", "wss://")) or "?" in ws_url:
        raise InputError(
            f"stream URL {ws_url!r}: needs ws:// or wss:// and no query; use parameters instead"
        )
    for name, value in parameters.items():
        if len(name) + len(value) > PARAMETER_CHARS_MAX:
            raise InputError(
                f"stream parameter {name[:40]!r}: name and value have {len(name) + len(value)} "
                f"characters; Twilio takes {PARAMETER_CHARS_MAX}"
            )
    inner = "".join(
        f"<Parameter name={quoteattr(_plain(name))} value={quoteattr(_plain(value))}/>"
        for name, value in parameters.items()
    )
    stream = f"<Stream url={quoteattr(_plain(ws_url))}>{inner}</Stream>"
    redirect = f'<Redirect method="POST">{escape(_plain(then))}</Redirect>' if then else ""
    return f"{_HEAD}<Response><Connect>{stream}</Connect>{redirect}</Response>"


def twiml_hangup() -> str:
    """TwiML that ends the call."""
    return f"{_HEAD}<Response><Hangup/></Response>"


def twiml_refuse(sentence: str, transfer_to: str = "", *, action: str = "") -> str:
    """TwiML that says *sentence*, if any, and hangs up or puts through to *transfer_to*.

    *action*: the URL that is asked what follows what was dialled.
    """
    attributes = f' action={quoteattr(_plain(action))} method="POST"' if action else ""
    dial = f"<Dial{attributes}>{escape(_plain(transfer_to))}</Dial>"
    say = f"<Say>{escape(_plain(sentence))}</Say>" if sentence else ""
    return f"{_HEAD}<Response>{say}{dial if transfer_to else '<Hangup/>'}</Response>"


def parse_twiml(document: bytes) -> list[Verb]:
    """The verbs of a TwiML document in order; `InputError` on what this module does not read."""
    if len(document) > TWIML_BYTES_MAX:
        raise InputError(f"TwiML of {len(document)} bytes; the limit is {TWIML_BYTES_MAX}")
    if b"<!" in document.replace(b"<!--", b""):
        # Entities are the only way in which XML of this size can do harm, and TwiML has none.
        raise InputError("TwiML with a document type or CDATA declaration; send plain elements")
    try:
        root = ET.fromstring(document)  # noqa: S314  # no DTD can get here: see above
    except ET.ParseError as broken:
        raise InputError(f"TwiML that is not XML: {broken}") from broken
    if root.tag != "Response":
        raise InputError(f"TwiML begins with <{root.tag}>; it has to be <Response>")
    return [_verb(element) for element in root]


def _verb(element: ET.Element) -> Verb:
    text = (element.text or "").strip()
    match element.tag:
        case "Connect":
            return _stream(element)
        case "Say":
            return Say(text)
        case "Pause":
            return Pause(_length(element.get("length", "1")))
        case "Redirect":
            if element.get("method", "POST").upper() != "POST":
                raise InputError("TwiML <Redirect> with another method than POST is not run here")
            return Redirect(text)
        case "Hangup":
            return Hangup()
        case "Dial":
            if len(element) or not text:
                raise InputError("TwiML <Dial> with nouns is not run here: give a number")
            return Dial(text, element.get("action", ""))
        case other:
            raise InputError(
                f"TwiML verb <{other}> is not supported here; "
                "Connect, Say, Pause, Redirect, Dial and Hangup are"
            )


def _stream(connect: ET.Element) -> Stream:
    nouns = list(connect)
    if len(nouns) != 1 or nouns[0].tag != "Stream" or not nouns[0].get("url") or connect.attrib:
        raise InputError(
            "TwiML <Connect> needs exactly one <Stream url=...> and no attributes to be run here"
        )
    return Stream(
        nouns[0].get("url", ""),
        {p.get("name", ""): p.get("value", "") for p in nouns[0].iter("Parameter")},
    )


def _length(text: str) -> float:
    if not text.isascii() or not text.isdigit() or int(text[:6]) > 600:
        raise InputError(f'TwiML <Pause length="{text[:20]}">: give whole seconds, at most 600')
    return float(text)


def _plain(text: str) -> str:
    """Without the characters that XML 1.0 cannot carry even when escaped (section 2.2)."""
    return "".join(
        c
        for c in text
        if c in "\t\n\r" or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
    )
