"""Signed notes and checkpoints: what the ledger says of itself, as others can read it.

Formats: C2SP signed-note, tlog-checkpoint and tlog-proof (c2sp.org, as of July 2026), Ed25519
(RFC 8032; signature type 0x01). Witnesses and monitors of transparency logs speak them.

    trunkline.example/records              <- origin: which ledger this is
    182                                    <- entries
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2M...   <- root, base64
                                           <- empty
    - trunkline.example/records Az3grl...  <- (with an em dash) key's name, key's id and signature
"""

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trunkline.errors import InputError, RecordError
from trunkline.records.disk import make_directory, our_errors, publish_once

PROOF_HEAD: Final = "c2sp.org/tlog-proof@v1"
KEY_BYTES: Final = 32
_ED25519: Final = b"\x01"
_CHECKPOINT: Final = re.compile(r"([^\n]+)\n(0|[1-9]\d{0,17})\n([A-Za-z0-9+/]{43}=)\n\n", re.ASCII)
_ORIGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The ledger *origin* had *size* entries with this *root*; *note* is the signed text."""

    origin: str
    size: int
    root: bytes
    note: str


class Signer:
    """Signs checkpoints of the ledger *origin* with an Ed25519 key (*secret*: 32 bytes)."""

    def __init__(self, origin: str, secret: bytes) -> None:
        if not _ORIGIN.fullmatch(origin):
            raise InputError(
                f"a ledger cannot be called {origin!r}: use letters, digits and . _ / -, best a "
                f"host of yours and a path, such as example.com/records"
            )
        self.origin = origin
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        public = self._key.public_key().public_bytes_raw()
        self._id = key_id(origin, public)
        self.verifier_key = (
            f"{origin}+{self._id.hex()}+{base64.b64encode(_ED25519 + public).decode()}"
        )
        """What others verify with (a C2SP vkey); it is public."""

    def sign(self, size: int, root: bytes) -> Checkpoint:
        """The checkpoint of *size* entries with *root*."""
        text = f"{self.origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self._id + self._key.sign(text.encode())).decode()
        return Checkpoint(
            self.origin, size, root, f"{text}\n\N{EM DASH} {self.origin} {signature}\n"
        )


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that tell the key *public* of *name* from others."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def read_checkpoint(note: str) -> Checkpoint:
    """The checkpoint that *note* states; its signature is not looked at (`records.verify` does).

    `RecordError` if it is none.
    """
    match = _CHECKPOINT.match(note)
    if match is None:
        raise RecordError(f"this is no checkpoint of a ledger: {note[:60]!r}")
    return Checkpoint(match[1], int(match[2]), base64.b64decode(match[3]), note)


def proof(index: int, path: Sequence[bytes], checkpoint: Checkpoint) -> str:
    """The proof that entry *index* is in the ledger of *checkpoint*, by its audit *path*."""
    hashes = "".join(base64.b64encode(one).decode() + "\n" for one in path)
    return f"{PROOF_HEAD}\nindex {index}\n{hashes}\n{checkpoint.note}"


def signing_key(path: Path, *, make: bool = False) -> bytes:
    """The secret of 32 bytes in *path*, as hexadecimal. *make*: made there if there is none.

    Raises `RecordError` if it cannot be read or made, or is no key.
    """
    with our_errors(f"cannot use the signing key {path}"):
        if make and not path.exists():
            make_directory(path.parent)
            publish_once(path, [os.urandom(KEY_BYTES).hex().encode() + b"\n"])
        text = path.read_text("ascii", "replace").strip()
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise RecordError(
            f"{path} holds no signing key: it should be {2 * KEY_BYTES} hexadecimal digits. Put "
            f"back the key that signed this ledger; with another one old proofs stay valid, but "
            f"the ledger needs another name"
        )
    return secret
