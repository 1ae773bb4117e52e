"""Sealing: the payloads of a call's journal under a key of its own.

AES-256-GCM (NIST SP 800-38D), a random nonce of 96 bits for each payload: 2^32 payloads under one
key are far away, a call has some thousand. What is sealed is bound to its place: an event's payload
to its call and id, a blob to its call. The header fields of events stay readable, and so do chain
and commitments, so a journal whose key was destroyed still verifies, and tells nobody anything.

GCM does not commit to its key: somebody could make a text that two keys open to two things. So the
journal's first event names the key, by a hash of it (`kc`), and the ledger's entry covers that.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trunkline.errors import RecordError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD_BYTES: Final = NONCE_BYTES + 16
"""What sealing adds: the nonce and the tag."""


@dataclass(frozen=True, slots=True)
class CallSecret:
    """A call's *key*, and the *salt* of its commitment in the ledger; 32 bytes each."""

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    _cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cipher", AESGCM(self.key))

    @staticmethod
    def make() -> "CallSecret":
        """A fresh one, from the system's randomness."""
        return CallSecret(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))

    @property
    def kc(self) -> str:
        """What the journal says of the key: tells whether a key is it, and not the key."""
        return hmac.new(self.key, b"trunkline key commitment", hashlib.sha256).hexdigest()

    def seal(self, content: bytes, place: bytes) -> bytes:
        """*content* sealed for *place*: nonce, then ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """What was sealed for *place*; `RecordError` if this key did not seal it there."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except (InvalidTag, ValueError) as error:
            raise RecordError(
                "a payload does not open with the call's key: it was changed, or belongs elsewhere"
            ) from error


def event_place(call: str, event: str) -> bytes:
    """What the payload of the event with the id *event* is bound to."""
    return b"trunkline event\0" + call.encode() + b"\0" + event.encode()


def blob_place(call: str) -> bytes:
    """What a blob of *call* is bound to; which one it is, its digest says."""
    return b"trunkline blob\0" + call.encode()
