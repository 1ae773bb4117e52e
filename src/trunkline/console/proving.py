"""`trunkline records export` and `verify`: evidence for who does not trust us."""

from pathlib import Path

from trunkline.errors import InputError, RecordError
from trunkline.records.archive import Archive
from trunkline.records.bundle import Bundle, Growth
from trunkline.records.disk import our_errors, publish
from trunkline.records.note import read_checkpoint
from trunkline.records.store import JOURNAL, Store
from trunkline.records.verify import Refused, Verdict, verify


def export(
    store: Store, call: str, to: Path, *, with_key: bool = False, since: Path | None = None
) -> str:
    """Write the evidence bundle of *call* to the file *to*; what to do with it, in words.

    *with_key*: whoever has the bundle can read the call; *since*: prove that the ledger goes on
    from the checkpoint in that file. Raises `InputError` or `RecordError`.
    """
    archive = _archive(store)
    filed = archive.filed(call)
    if filed is None:
        raise RecordError(
            f"call {call} is not in the ledger of {store.directory}: it was sealed before there "
            f"was one, or is not sealed yet"
        )
    state = archive.state(call)
    entry, *later = archive.ledger.prove(filed.place, *(it.place for it in state.fates))
    growth = None if since is None else _growth(archive, since)
    if state.erased is not None:
        if with_key:
            raise InputError(f"call {call} was {state.erased.told}: there is no key to put in")
        bundle = Bundle(entry, later=later, growth=growth)
    else:
        stored, secret = store.open_call(call), archive.secrets.of(call)
        if secret is None:
            raise RecordError(f"call {call}: its key is gone, so nothing can open its commitment")
        with our_errors(f"cannot read {stored.path}"):
            journal = (stored.path / JOURNAL).read_bytes()
        keys = (secret.key, secret.voice) if with_key else (None, None)
        bundle = Bundle(entry, journal, filed.facts, secret.salt, later, growth, *keys)
    with our_errors(f"cannot write {to}"):
        publish(to, [bundle.encode()])
    kept = "" if since is None else f" --checkpoint {since}"
    return (
        f"{to}: verify it with\n"
        f"  python -m trunkline.records.verify {to} --key '{archive.verifier_key}'{kept}"
    )


def judged(bundle: Path, key: str, kept: Path | None) -> Verdict:
    """What *bundle* proves; `RecordError` if it does not."""
    with our_errors(f"cannot read {bundle}"):
        data = bundle.read_bytes()
        before = None if kept is None else kept.read_text("utf-8")
    try:
        return verify(data, key, before)
    except Refused as error:
        raise RecordError(f"{bundle} is NOT VERIFIED: {error}") from error


def _archive(store: Store) -> Archive:
    if store.archive is None:
        raise InputError(f"{store.directory} has no ledger: nothing was sealed there with keys")
    return store.archive


def _growth(archive: Archive, since: Path) -> Growth:
    with our_errors(f"cannot read {since}"):
        old = read_checkpoint(since.read_text("utf-8", "replace"))
    return Growth(old.size, archive.ledger.grown_from(old.size))
