"""Sealing: the payloads of a call's journal under keys of its own.

AES-256-GCM (NIST SP 800-38D), a random nonce of 96 bits for each payload: 2^32 payloads under one
key are far away, a call has some thousand. What is sealed is bound to its place: an event's payload
to its call and id, a blob to its call. The header fields of events stay readable, and so do chain
and commitments, so a journal whose key was destroyed still verifies, and tells nobody anything.

Recorded audio has a key of its own beside that of everything else, because it is often kept for a
shorter time: who destroys it has erased the recording and kept the transcript.

GCM does not commit to its key: somebody could make a text that two keys open to two things. So the
journal's first event names the keys, by a hash of each (`kc`, `vc`), and the ledger's entry covers
that.
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
    """A call's *key*, the *salt* of its commitment in the ledger, and the key of its recorded
    *voice* (None once that was erased); 32 bytes each."""

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    voice: bytes | None = field(repr=False)
    _cipher: AESGCM = field(init=False, repr=False, compare=False)
    _voice_cipher: AESGCM | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cipher", AESGCM(self.key))
        voice = None if self.voice is None else AESGCM(self.voice)
        object.__setattr__(self, "_voice_cipher", voice)

    @staticmethod
    def make() -> "CallSecret":
        """A fresh one, from the system's randomness."""
        return CallSecret(*(os.urandom(KEY_BYTES) for _ in range(3)))

    @property
    def kc(self) -> str:
        """What the journal says of the key: tells whether a key is it, and not the key."""
        return _commitment(self.key)

    @property
    def vc(self) -> str:
        """The same of the voice's key; "" once that was erased."""
        return "" if self.voice is None else _commitment(self.voice)

    def seal(self, content: bytes, place: bytes) -> bytes:
        """*content* sealed for *place*: nonce, then ciphertext and tag."""
        return _sealed(self._cipher, content, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """What was sealed for *place*; `RecordError` if this key did not seal it there."""
        return _opened(self._cipher, sealed, place)

    def seal_voice(self, audio: bytes, place: bytes) -> bytes:
        """The same with the voice's key; `RecordError` if that was erased."""
        if self._voice_cipher is None:
            raise RecordError("audio cannot be sealed: the key of the call's recording was erased")
        return _sealed(self._voice_cipher, audio, place)

    def open_voice(self, sealed: bytes, place: bytes) -> bytes | None:
        """The audio that was sealed for *place*; None once the recording was erased."""
        return None if self._voice_cipher is None else _opened(self._voice_cipher, sealed, place)


def _commitment(key: bytes) -> str:
    return hmac.new(key, b"trunkline key commitment", hashlib.sha256).hexdigest()


def _sealed(cipher: AESGCM, content: bytes, place: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, place)


def _opened(cipher: AESGCM, sealed: bytes, place: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
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
