"""The Merkle tree of the ledger: hashes, roots and proofs of RFC 6962 section 2.1 (June 2013).

    leaf = SHA-256(0x00 || entry)        node = SHA-256(0x01 || left || right)

A tree of n leaves splits at the largest power of two below n. Only *complete* subtrees are kept,
as `(level, index)`: level 0 are the leaves, the node at `(level, index)` covers the leaves
`index << level` to `(index + 1) << level`, and it never changes once its last leaf is there. So a
ledger that only grows has rows that are only added, and the root and the proofs of every size that
it ever had can be told from them.
"""

import hashlib
from collections.abc import Callable, Iterator

from trunkline.errors import InputError

Hash = bytes
"""32 bytes."""
Lookup = Callable[[int, int], Hash]
"""(level, index) -> the hash of a complete subtree."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(entry: bytes) -> Hash:
    """The hash of a leaf that holds *entry*."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """The hash of the node above *left* and *right*."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grown(size: int, leaf: Hash, lookup: Lookup) -> Iterator[tuple[int, int, Hash]]:
    """The complete subtrees `(level, index, hash)` that *leaf* adds to a tree of *size* leaves."""
    level, index, value = 0, size, leaf
    yield level, index, value
    while index % 2:  # it completes the pair above
        value = node_hash(lookup(level, index - 1), value)
        level, index = level + 1, index // 2
        yield level, index, value


def root(size: int, lookup: Lookup) -> Hash:
    """The root of the first *size* leaves."""
    return _subtree(0, size, lookup) if size else EMPTY_ROOT


def inclusion(index: int, size: int, lookup: Lookup) -> list[Hash]:
    """The audit path of leaf *index* in the tree of *size* leaves, from its sibling to the top.

    RFC 6962 section 2.1.1. `InputError` if there is no such leaf.
    """
    if not 0 <= index < size:
        raise InputError(f"entry {index} is not in a ledger of {size} entries: they count from 0")
    path: list[Hash] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_subtree(middle, high, lookup))
            high = middle
        else:
            path.append(_subtree(low, middle, lookup))
            low = middle
    return path[::-1]


def consistency(old: int, size: int, lookup: Lookup) -> list[Hash]:
    """The proof that the tree of *size* leaves begins with that of *old*: RFC 6962 section 2.1.2.

    Empty if *old* is 0 or *size*. `InputError` if the tree has never been that large.
    """
    if not 0 <= old <= size:
        raise InputError(f"a ledger of {size} entries cannot be told from one of {old}")
    if old in {0, size}:
        return []
    path: list[Hash] = []
    low, high, whole = 0, size, True  # whole: the old tree's subtree here is the old tree itself
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_subtree(middle, high, lookup))
            high = middle
        else:
            path.append(_subtree(low, middle, lookup))
            low, whole = middle, False
    if not whole:
        path.append(_subtree(low, high, lookup))
    return path[::-1]


def _split(count: int) -> int:
    """The largest power of two below *count*."""
    return 1 << (count - 1).bit_length() - 1


def _subtree(low: int, high: int, lookup: Lookup) -> Hash:
    """The hash over the leaves *low* to *high* (exclusive), as the tree splits there."""
    count = high - low
    if count & (count - 1) == 0:  # complete: *low* is a multiple of it by construction
        level = count.bit_length() - 1
        return lookup(level, low >> level)
    middle = low + _split(count)
    return node_hash(_subtree(low, middle, lookup), _subtree(middle, high, lookup))
