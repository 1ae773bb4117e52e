"""What the voice webhook needs, as pure functions: request signatures and stream tickets.

A *signature* proves that Twilio made a request: base64(HMAC-SHA1(auth token, URL + every POST
parameter's name and value, sorted by name)), in the header `X-Twilio-Signature`; a GET and the
upgrade of a Media Stream sign the URL alone, the latter with its scheme `wss`
(twilio.com/docs/usage/security, read November 2026; PyPI package twilio is the reference).
Not supported: JSON bodies (`bodySHA256`), which the voice webhook never gets, and webhooks signed
with a shared key and SHA-256 (`X-Twilio-Webhooks-Signature-Settings`): they are refused.

A *ticket* proves that whoever opens the media socket comes from a webhook that we answered: it is
a `<Parameter>` of the TwiML, binds the call's id and caller number, and is good for half a minute.
It is not single use: within that time its holder can open a second stream of the same call, which
the signature of the upgrade forbids to everyone but Twilio. Its key derives from the auth token, so
that any worker of a host can check what any other issued, and the token is never used raw for two
purposes.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from trunkline.types import Wall

SIGNATURE_HEADER: Final = "X-Twilio-Signature"
TICKET_S: Final = 30.0
"""How long a ticket is good for: Twilio dials the stream within a second of the TwiML."""
_DEFAULT_PORT: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}

Params = Mapping[str, str | Sequence[str]]


def signature(token: str, url: str, params: Params) -> str:
    """What Twilio puts into `X-Twilio-Signature` for *url* with the POST parameters *params*."""
    text = url
    for name in sorted(params):
        values = params[name]
        for value in sorted({values} if isinstance(values, str) else set(values)):
            text += name + value
    # SHA-1 is what Twilio signs with; HMAC does not rest on SHA-1's collision resistance.
    digest = hmac.new(token.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def valid_signature(token: str, url: str, params: Params, given: str) -> bool:
    """Whether *given* signs the request, in constant time for each spelling of *url*.

    Twilio is not consistent about a default port, nor about the slash at the end of a stream's
    URL: every spelling that names the same resource is taken.
    """
    offered = given.encode("utf-8", "surrogatepass")
    return any(
        hmac.compare_digest(signature(token, spelling, params).encode(), offered)
        for spelling in _spellings(url)
    )


def _spellings(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    host = parts.netloc
    port = _DEFAULT_PORT.get(parts.scheme)
    hosts = [host]
    if host.endswith(f":{port}"):
        hosts.append(host.removesuffix(f":{port}"))
    elif parts.port is None:
        hosts.append(f"{host}:{port}")
    paths = [parts.path]
    if parts.scheme in ("ws", "wss"):
        paths.append(parts.path.removesuffix("/") if parts.path.endswith("/") else parts.path + "/")
    for netloc in hosts:
        for path in paths:
            yield urlunsplit(parts._replace(netloc=netloc, path=path))


def ticket(token: str, call: str, caller: str, now: Wall) -> str:
    """A ticket for the stream of *call*, good for `TICKET_S` from *now*."""
    until = str(int(now + TICKET_S))
    return f"{until}.{_seal(token, until, call, caller)}"


def valid_ticket(token: str, given: str, call: str, caller: str, now: Wall) -> bool:
    """Whether *given* is a ticket of ours for this *call* and *caller*, and still good."""
    until, _, seal = given.partition(".")
    genuine = hmac.compare_digest(
        _seal(token, until, call, caller).encode(), seal.encode("utf-8", "surrogatepass")
    )
    # Only a genuine `until` is read as a number.
    return genuine and now <= int(until)


def _seal(token: str, until: str, call: str, caller: str) -> str:
    key = hmac.digest(token.encode(), b"trunkline media stream ticket v1", "sha256")
    # Length-prefixed, so that no two triples make the same text.
    fields = (field.encode("utf-8", "surrogatepass") for field in (until, call, caller))
    text = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return hmac.digest(key, text, "sha256").hex()
