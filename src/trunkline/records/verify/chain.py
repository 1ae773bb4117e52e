"""The journal's side: what its entry commits to, its frames, and the chain of its events."""

import hashlib
import hmac
import zlib

from .forms import Refused, canonical, json_object, text, unhex

_HEADER = b"TLKJ\x01\x00\x00\x00"
_KEY_BYTES = 32


def check_journal(
    sections: dict[str, bytes], entry: dict[str, object], *, erased: bool
) -> list[str]:
    """What is proven of the journal of the call whose *entry* is in the ledger."""
    journal, opening = sections.get("journal"), sections.get("opening")
    if journal is None or opening is None:
        if journal is not None or opening is not None or {"key", "voice"} & set(sections):
            raise Refused("a journal, its opening and its key belong together: one is missing")
        if not erased:
            raise Refused("the bundle has no journal, and the ledger says nothing of an erasure")
        return ["the journal was erased; its entry stands, and so does the erasure's"]
    facts = _facts(opening, entry)
    if facts.get("journal_sha256") != hashlib.sha256(journal).hexdigest():
        raise Refused("the journal is not the one that the entry commits to")
    call = str(facts.get("call"))
    count, opened = _chained(journal, call)
    if (count, len(journal)) != (facts.get("events"), facts.get("bytes")):
        raise Refused(f"the journal's {count} events are not what its entry says")
    proven = [
        f"the journal of call {call} is the one that the entry commits to, "
        f"{count} events chained from the first to the last"
    ]
    for name, told, what in (("key", "kc", "journal"), ("voice", "vc", "recording")):
        if name in sections:
            key = unhex(text(sections[name], name), _KEY_BYTES, name)
            made = hmac.new(key, b"trunkline key commitment", hashlib.sha256).hexdigest()
            if not made == facts.get(told) == opened.get(told):
                raise Refused(f"the {name} in the bundle is not what the {what} was sealed with")
            proven.append(f"the {name} in the bundle is what the {what} was sealed with")
    return proven


def _facts(opening: bytes, entry: dict[str, object]) -> dict[str, object]:
    read = json_object(opening, "opening")
    facts = read.get("facts")
    if canonical(read) != opening or not isinstance(facts, dict):
        raise Refused("opening: not in its canonical form")
    salt = unhex(read.get("salt"), _KEY_BYTES, "salt of the opening")
    if hmac.new(salt, canonical(facts), hashlib.sha256).hexdigest() != entry.get("commitment"):
        raise Refused("the call's entry does not commit to these facts: they, or the salt, differ")
    return facts


def _chained(journal: bytes, call: str) -> tuple[int, dict[str, object]]:
    """How many events *journal* has, and the payload of the first."""
    if not journal.startswith(_HEADER):
        raise Refused(f"the journal begins with {journal[:8]!r}: no version that is known here")
    prev = hashlib.sha256(b"trunkline journal\n" + call.encode()).hexdigest()
    count, last, opened = 0, "", dict[str, object]()
    blobs: set[object] = set()
    for at, kind, content, record in _records(journal, call.encode()):
        if kind == b"B":
            blobs.add(hashlib.sha256(content).hexdigest())
            continue
        event = json_object(content, f"the journal's event at offset {at}")
        if last == "journal.closed" or (event.get("prev"), event.get("call")) != (prev, call):
            raise Refused(f"the journal's chain is broken at offset {at}")
        ref, data = event.get("ref"), event.get("data")
        if isinstance(ref, dict) and ref.get("sha256") not in blobs:
            raise Refused(f"the journal's event at offset {at} names a blob that is not there")
        if not count and isinstance(data, dict):
            opened = data
        prev, last = hashlib.sha256(record).hexdigest(), str(event.get("type"))
        count += 1
    if last != "journal.closed":
        raise Refused("the journal has no closing event: it is cut off")
    return count, opened


def _records(journal: bytes, call: bytes) -> list[tuple[int, bytes, bytes, bytes]]:
    """Offset, kind, content and whole of each record."""
    found, at = [], len(_HEADER)
    while at < len(journal):
        size = int.from_bytes(journal[at : at + 4], "little")
        record = journal[at + 8 : at + 8 + size]
        crc = zlib.crc32(record, zlib.crc32(journal[at : at + 4])).to_bytes(4, "little")
        if size < 3 or len(record) != size or journal[at + 4 : at + 8] != crc:
            raise Refused(f"the journal is damaged at offset {at}")
        name_end = 2 + record[1]
        if record[:1] not in {b"E", b"B"} or record[2:name_end] != call:
            raise Refused(f"the journal's record at offset {at} is none of call {call.decode()}")
        found.append((at, record[:1], record[name_end:], record))
        at += 8 + size
    return found
