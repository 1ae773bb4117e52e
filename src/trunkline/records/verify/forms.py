"""The forms of things: each has one, and what has another is refused."""

import base64
import hashlib
import json
import re

HEAD = b"trunkline-bundle/1\n"
SECTIONS = ("journal", "opening", "entry", "proof", "later", "growth", "key", "voice")
_LINE = re.compile(rb"([a-z]{3,7}) (0|[1-9]\d{0,11}) ([0-9a-f]{64})")
_LINE_BYTES_MAX = 90


class Refused(Exception):
    """The bundle does not prove what it should; the message says what and where."""


def read_sections(bundle: bytes) -> tuple[dict[str, bytes], list[bytes]]:
    """The sections by name, and those called `later`, in turn."""
    if not bundle.startswith(HEAD):
        raise Refused(f"this is no evidence bundle: it begins with {bundle[:24]!r}")
    sections: dict[str, bytes] = {}
    later: list[bytes] = []
    at, rank = len(HEAD), 0
    while at < len(bundle):
        end = bundle.find(b"\n", at, at + _LINE_BYTES_MAX)
        match = _LINE.fullmatch(bundle[at:end]) if end > 0 else None
        name = match[1].decode() if match else ""
        if match is None or name not in SECTIONS[rank:]:
            raise Refused(f"offset {at}: {bundle[at : at + 40]!r} begins no section that is due")
        rank = SECTIONS.index(name) + (name != "later")
        begin, after = end + 1, end + 1 + int(match[2])
        content = bundle[begin:after]
        if bundle[after : after + 1] != b"\n":
            raise Refused(f"section {name!r} at offset {at} is cut off, or longer than it says")
        if hashlib.sha256(content).hexdigest().encode() != match[3]:
            raise Refused(f"section {name!r} at offset {at} does not have its digest")
        if name == "later":
            later.append(content)
        else:
            sections[name] = content
        at = after + 1
    return sections, later


def json_object(content: bytes, name: str) -> dict[str, object]:
    """The JSON object that *content* is."""
    try:
        read = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name}: no JSON: {error}") from error
    if not isinstance(read, dict):
        raise Refused(f"{name}: no JSON object")
    return read


def canonical(value: object) -> bytes:
    """*value* as canonical JSON: keys sorted, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def text(content: bytes, name: str) -> str:
    """*content* as text."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{name}: no text: {error}") from error


def number(told: str, name: str) -> int:
    """A number, as it is printed."""
    if not re.fullmatch(r"0|[1-9]\d{0,17}", told, re.ASCII):
        raise Refused(f"{name}: {told[:40]!r} is no number")
    return int(told)


def unbase64(told: str, size: int, name: str) -> bytes:
    """*size* bytes from base64. Some of its bits decode to nothing: only one form is taken."""
    try:
        value = base64.b64decode(told, validate=True)
    except ValueError as error:
        raise Refused(f"{name}: {told[:60]!r} is no base64") from error
    if len(value) != size or base64.b64encode(value).decode() != told:
        raise Refused(f"{name}: {told[:60]!r} is not {size} bytes in base64")
    return value


def unhex(told: object, size: int, name: str) -> bytes:
    """*size* bytes from lower-case hexadecimal."""
    if not isinstance(told, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", told, re.ASCII):
        raise Refused(f"{name}: no {size} bytes in lower-case hexadecimal")
    return bytes.fromhex(told)
