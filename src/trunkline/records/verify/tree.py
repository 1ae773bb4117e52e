"""The ledger's side: signed checkpoints, and proofs about its tree.

Formats: C2SP signed-note, tlog-checkpoint, tlog-proof (July 2026). Proofs: RFC 6962, checked as
RFC 9162 sections 2.1.3.2 and 2.1.4.2 (December 2021) say.
"""

import hashlib
from dataclasses import dataclass

from .ed25519 import ed25519_verify
from .forms import Refused, json_object, number, text, unbase64

PROOF_HEAD = "c2sp.org/tlog-proof@v1"
_HASH_BYTES = 32


@dataclass(frozen=True)
class State:
    """The ledger had *size* entries with this *root*."""

    size: int
    root: bytes


def read_proof(content: bytes) -> tuple[int, list[bytes], str]:
    """Index, audit path and checkpoint of a tlog-proof."""
    head, _, note = text(content, "proof").partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 2 or lines[0] != PROOF_HEAD or not lines[1].startswith("index "):
        raise Refused(f"proof: it is no {PROOF_HEAD}")
    index = number(lines[1].removeprefix("index "), "index of the proof")
    return index, [unbase64(line, _HASH_BYTES, "proof") for line in lines[2:]], note


def read_checkpoint(note: str, vkey: str) -> State:
    """What *note* states, which the key of *vkey*, and nobody else, has signed."""
    name, public, identity = read_vkey(vkey)
    body, _, signature = note.rpartition("\n\n")
    lines = body.split("\n")
    prefix = f"\N{EM DASH} {name} "
    if len(lines) != 3 or lines[0] != name or not signature.startswith(prefix):
        raise Refused(f"{note[:60]!r} is no checkpoint that {name!r}, whose key you gave, signed")
    if not signature.endswith("\n"):
        raise Refused("the checkpoint is cut off")
    raw = unbase64(signature[len(prefix) : -1], 68, "signature of the checkpoint")
    if raw[:4] != identity:
        raise Refused("the checkpoint is signed with another key than you gave")
    if not ed25519_verify(public, raw[4:], f"{body}\n".encode()):
        raise Refused("the checkpoint's signature is wrong: it was changed, or was never signed")
    size = number(lines[1], "size of the ledger")
    return State(size, unbase64(lines[2], _HASH_BYTES, "root of the ledger"))


def read_vkey(vkey: str) -> tuple[str, bytes, bytes]:
    """Name, public key and id of a C2SP verifier key for Ed25519."""
    name, _, rest = vkey.strip().partition("+")
    identity, _, encoded = rest.partition("+")
    key = unbase64(encoded, 33, "the key you gave")
    told = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex()
    if not name or key[0] != 1 or told != identity:
        raise Refused(
            f"{vkey[:80]!r} is no Ed25519 verifier key: it should read name+id+base64, as the "
            f"ledger's owner published it"
        )
    return name, key[1:], bytes.fromhex(told)


def check_included(entry: bytes, index: int, path: list[bytes], state: State) -> None:
    """That *entry* is the ledger's at *index*."""
    if index >= state.size:
        raise Refused(f"index {index} is not in a ledger of {state.size} entries")
    here, last = index, state.size - 1
    value = hashlib.sha256(b"\x00" + entry).digest()
    for sibling in path:
        if last == 0:
            raise Refused(f"the proof of entry {index} is too long")
        if here % 2 or here == last:
            value = _node(sibling, value)
            while here % 2 == 0 and here:
                here, last = here >> 1, last >> 1
        else:
            value = _node(value, sibling)
        here, last = here >> 1, last >> 1
    if last or value != state.root:
        raise Refused(f"the ledger does not hold this entry at index {index}")


def check_later(content: bytes, call: int, note: str, state: State) -> str:
    """What another entry says of the call at index *call*; it is proven like the call's own."""
    entry, _, proof = content.partition(b"\n")
    index, path, checkpoint = read_proof(proof)
    if checkpoint != note:
        raise Refused(f"entry {index} is proven against another checkpoint than the call's")
    check_included(entry, index, path, state)
    fields = json_object(entry, "later")
    if fields.get("of") != call:
        raise Refused(f"entry {index} concerns entry {fields.get('of')!r}, not the call's {call}")
    return f"{fields.get('type')} at {fields.get('at')}: entry {index}"


def check_growth(growth: bytes | None, kept: State, now: State) -> None:
    """That the ledger *now* begins with what it was when the *kept* checkpoint was signed."""
    if kept.size > now.size:
        raise Refused(
            f"the ledger was rolled back: it had {kept.size} entries when your checkpoint was "
            f"signed, in this bundle it has {now.size}. Or the bundle is older than the checkpoint"
        )
    path: list[bytes] = []
    if growth is not None:
        first, *lines = text(growth, "growth").removesuffix("\n").split("\n")
        if number(first, "growth") != kept.size:
            raise Refused(f"the bundle proves growth from {first} entries, not from {kept.size}")
        path = [unbase64(line, _HASH_BYTES, "growth") for line in lines]
    elif kept.size not in {0, now.size}:
        raise Refused(
            f"the bundle does not prove that the ledger goes on from your checkpoint of "
            f"{kept.size} entries: ask for one that was exported with --since and that checkpoint"
        )
    if not _goes_on(kept, now, path):
        raise Refused(
            f"the ledger was rewritten: its {now.size} entries do not go on from the {kept.size} "
            f"of your checkpoint"
        )


def _goes_on(kept: State, now: State, path: list[bytes]) -> bool:
    if kept.size in {0, now.size}:
        return not path and (kept.size == 0 or kept.root == now.root)
    if kept.size & (kept.size - 1) == 0:
        path = [kept.root, *path]
    if not path:
        return False
    here, last = kept.size - 1, now.size - 1
    while here % 2:
        here, last = here >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if here % 2 or here == last:
            first, second = _node(sibling, first), _node(sibling, second)
            while here % 2 == 0 and here:
                here, last = here >> 1, last >> 1
        else:
            second = _node(second, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and first == kept.root and second == now.root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
