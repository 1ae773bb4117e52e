"""The ledger's tree, against RFC 6962's own definitions and the vectors of the first such log."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError
from trunkline.records import merkle
from trunkline.records.bundle import Growth, encode_growth
from trunkline.records.verify.forms import Refused
from trunkline.records.verify.tree import State, check_growth, check_included

# Entries and roots that the certificate-transparency project has tested its trees with since 2012.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    """Complete subtrees in memory."""

    def __init__(self, entries: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for size, entry in enumerate(entries):
            for level, place, value in merkle.grown(size, merkle.leaf_hash(entry), self):
                assert (level, place) not in self.nodes, "a complete subtree never changes"
                self.nodes[level, place] = value

    def __call__(self, level: int, place: int) -> bytes:
        """The hash of a complete subtree."""
        return self.nodes[level, place]


def defined_root(entries: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word by word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    both = defined_root(entries[:split]) + defined_root(entries[split:])
    return hashlib.sha256(b"\1" + both).digest()


def made(count: int) -> list[bytes]:
    """So many different entries."""
    return [b"entry %d" % n for n in range(count)]


def test_the_roots_are_those_of_other_logs() -> None:
    """The vectors that certificate transparency has been tested with."""
    tree = Tree(ENTRIES)
    assert [merkle.root(n + 1, tree).hex() for n in range(8)] == ROOTS
    assert merkle.root(0, tree) == merkle.EMPTY_ROOT == defined_root([])


@given(st.integers(1, 70), st.data())
def test_every_entry_is_proven_to_be_in_the_tree(size: int, data: st.DataObject) -> None:
    """The verifier, which shares no code with the prover, takes the proof, and nobody else's."""
    entries = made(size)
    tree = Tree(entries)
    state = State(size, merkle.root(size, tree))
    assert state.root == defined_root(entries)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, tree)
    check_included(entries[index], index, path, state)
    for wrong in {0, index // 2, index - 1, index + 1, size - 1, size} - {index, -1}:
        with pytest.raises(Refused):
            check_included(entries[index], wrong, path, state)
    with pytest.raises(Refused):
        check_included(b"another entry", index, path, state)
    with pytest.raises(Refused, match=r"too long|does not hold"):
        check_included(entries[index], index, [*path, bytes(32)], state)
    if path:
        with pytest.raises(Refused):
            check_included(entries[index], index, path[:-1], state)


@given(st.integers(0, 70), st.integers(0, 70), st.data())
def test_growth_is_proven_and_a_rewritten_past_is_not(
    old: int, more: int, data: st.DataObject
) -> None:
    """The proof from any size to any later one holds for that past only."""
    entries = made(old + more)
    tree = Tree(entries)
    size = old + more
    now, before = State(size, merkle.root(size, tree)), State(old, merkle.root(old, tree))
    proof = merkle.consistency(old, size, tree)
    encoded = growth(old, proof) if proof else None
    check_growth(encoded, before, now)
    if old:
        changed = list(entries[:old])
        changed[data.draw(st.integers(0, old - 1))] = b"changed"
        with pytest.raises(Refused, match="rewritten"):
            check_growth(encoded, State(old, defined_root(changed)), now)
    for shorter in (proof[:-1], [*proof, bytes(32)]) if proof else ():
        with pytest.raises(Refused):
            check_growth(growth(old, shorter), before, now)


def growth(old: int, path: list[bytes]) -> bytes:
    """The section `growth` of a bundle."""
    return encode_growth(Growth(old, path))


def test_what_the_tree_never_held_cannot_be_asked_for() -> None:
    """Neither an entry behind its end nor a past that is longer than it is."""
    tree = Tree(made(3))
    with pytest.raises(InputError, match="entry 3 is not in a ledger of 3 entries"):
        merkle.inclusion(3, 3, tree)
    with pytest.raises(InputError, match="cannot be told from one of 4"):
        merkle.consistency(4, 3, tree)
