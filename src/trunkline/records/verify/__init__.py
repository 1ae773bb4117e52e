"""Judges an evidence bundle offline, importing nothing of the rest of Trunkline.

    python -m trunkline.records.verify BUNDLE --key VKEY [--checkpoint FILE]

The folder runs by itself too (`python -m verify ...` where it lies): Python 3.11 and its standard
library are all that it needs, Ed25519 included, so that somebody who trusts nobody can read all of
it. VKEY is the ledger's public key as its owner published it, a C2SP verifier key; FILE is a
checkpoint that was kept from before, by whoever asks.

What is proven, in this order; the first thing that does not hold ends it, with exit status 1:

 1. the bundle is whole: there is one way to write it, and each section has its digest;
 2. the checkpoint is signed by that key, and states the ledger's size and root;
 3. each entry is in the ledger, at its index;
 4. the ledger goes on from the checkpoint that was kept: nothing that was in it then was removed,
    changed or put elsewhere;
 5. the call's entry commits to this very journal, whose chain is unbroken from its opening to its
    closing event;
 6. the keys, if they are in the bundle, are those that the journal was sealed with.

What it cannot prove: that what was recorded is what happened, and that the ledger shows everybody
the same. The second is what kept checkpoints are for.
"""

from dataclasses import dataclass, field

from .chain import check_journal
from .forms import Refused, json_object, read_sections
from .tree import State, check_growth, check_included, check_later, read_checkpoint, read_proof

__all__ = ["Refused", "Verdict", "verify"]


@dataclass
class Verdict:
    """What was *proven*, and what to know beside it, a sentence each."""

    proven: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(bundle: bytes, vkey: str, kept: str | None = None) -> Verdict:
    """Judge *bundle* by the ledger's public *vkey* and a checkpoint that was *kept*.

    Raises `Refused` at the first thing that does not hold.
    """
    sections, later = read_sections(bundle)
    for name in ("entry", "proof"):
        if name not in sections:
            raise Refused(f"the bundle has no section {name!r}")
    index, path, note = read_proof(sections["proof"])
    state = read_checkpoint(note, vkey)
    verdict = Verdict([f"a ledger of {state.size} entries is signed by {vkey.strip()}"])
    check_included(sections["entry"], index, path, state)
    entry = json_object(sections["entry"], "entry")
    if entry.get("type") != "call":
        raise Refused(f"entry {index} is of type {entry.get('type')!r}, not a call's")
    verdict.proven.append(f"the call's entry is in it, at index {index}")
    fates = [check_later(one, index, note, state) for one in later]
    verdict.proven += [f"the call was {fate}" for fate in fates]
    _kept(sections.get("growth"), kept, vkey, state, verdict)
    erased = any(fate.startswith("erased ") for fate in fates)
    verdict.proven += check_journal(sections, entry, erased=erased)
    return verdict


def _kept(
    growth: bytes | None, kept: str | None, vkey: str, state: State, verdict: Verdict
) -> None:
    if kept is not None:
        before = read_checkpoint(kept, vkey)
        check_growth(growth, before, state)
        verdict.proven.append(f"it goes on from the checkpoint of {before.size} entries you kept")
    elif growth is not None:
        raise Refused(
            "the bundle was exported for a checkpoint that somebody kept (it has a section "
            "'growth'): give that with --checkpoint"
        )
    else:
        verdict.notes.append(
            "no checkpoint from before was given, so that the ledger was not rewritten is not "
            "proven. Keep this one (--keep FILE) for the next time"
        )
