"""The evidence bundle of a call: one file that `records.verify` can judge without us.

    trunkline-bundle/1
    <name> <bytes> <SHA-256>
    <that many bytes>
    ...

Each line ends in one newline, and so does each section's content, behind its bytes. There is one
way to write a bundle: names in the order of `SECTIONS`, each at most once (`later` as often as it
is needed), numbers and digests as they are printed. So every bit of it either is under a hash that
is under the ledger's signature, or its change makes the file no bundle.

========== ===================================================================================
journal    the sealed journal, as it lies in the store; not there once it has been erased
opening    canonical JSON: the facts that the call's entry commits to, and the salt, both of
           which an erasure destroys
entry      the call's entry of the ledger
proof      that it is in the ledger: C2SP tlog-proof with the signed checkpoint
later      another entry that concerns the call (held, released, erased), and its proof
growth     the proof that the ledger goes on from an older checkpoint: its size, then hashes
key        the call's key, hexadecimal, if the bundle is to be read and not only verified
voice      the key of its recording, likewise
========== ===================================================================================
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from trunkline.records.ledger import Facts, Inclusion, canonical

HEAD: Final = b"trunkline-bundle/1\n"
SECTIONS: Final = ("journal", "opening", "entry", "proof", "later", "growth", "key", "voice")


@dataclass(frozen=True, slots=True)
class Growth:
    """The ledger goes on from its first *old* entries: *path* proves it."""

    old: int
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle is made of; *journal*, *facts* and *salt* are None once they were erased."""

    entry: Inclusion
    journal: bytes | None = None
    facts: Facts | None = None
    salt: bytes | None = None
    later: Sequence[Inclusion] = ()
    growth: Growth | None = None
    key: bytes | None = None
    voice: bytes | None = None

    def encode(self) -> bytes:
        """The bytes of the file."""
        sections: list[tuple[str, bytes]] = []
        if self.journal is not None:
            sections.append(("journal", self.journal))
        if self.facts is not None and self.salt is not None:
            opening = {"facts": asdict(self.facts), "salt": self.salt.hex()}
            sections.append(("opening", canonical(opening)))
        sections += [("entry", self.entry.entry), ("proof", self.entry.proof.encode())]
        for one in self.later:
            sections.append(("later", one.entry + b"\n" + one.proof.encode()))
        if self.growth is not None:
            sections.append(("growth", encode_growth(self.growth)))
        for name, key in (("key", self.key), ("voice", self.voice)):
            if key is not None:
                sections.append((name, key.hex().encode()))
        return HEAD + b"".join(_section(name, content) for name, content in sections)


def encode_growth(growth: Growth) -> bytes:
    """*growth* as lines: the old size, then the hashes."""
    hashes = "".join(base64.b64encode(one).decode() + "\n" for one in growth.path)
    return f"{growth.old}\n{hashes}".encode()


def _section(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f"{name} {len(content)} {digest}\n".encode() + content + b"\n"
