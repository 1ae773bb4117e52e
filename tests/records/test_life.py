"""The life of a record: held, released, erased so that nothing brings it back, expired."""

import base64
import itertools
import re
import sqlite3
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.records.scene import CALL, DAY, WALL, ask
from tests.records.test_archive import (
    CANARY,
    KEYS,
    _close,  # noqa: F401  # the fixture that closes archives
    _opened,
    archive,
    lived,
    plot,
    traces,
    worker,
)
from tests.records.test_store import OTHER
from trunkline.errors import InputError, RecordError
from trunkline.records import erasures
from trunkline.records.bundle import Bundle
from trunkline.records.database import copied
from trunkline.records.fates import Kind, Step
from trunkline.records.life import Life
from trunkline.records.retention import Retention, age_s
from trunkline.records.sealing import CallSecret
from trunkline.records.store import JOURNAL, Store
from trunkline.records.verify import verify

LATER = WALL + 1000.0
DAY_S = 86_400.0


def life(directory: Path, clock: float = LATER) -> Life:
    """What may befall the calls of *directory*, at *clock*."""
    return Life(Store(directory, archive(directory)), "olive", lambda: clock)


def recovered_keys(directory: Path, call: str = CALL) -> list[CallSecret]:
    """What somebody finds who has all files under *directory* and the key-encryption key.

    They try each run of bytes that is as long as a wrapped key, raw, base64 and hex.
    """
    opens = AESGCM(KEYS.kek.secret)
    sizes = (12 + 96 + 16, 12 + 64 + 16)  # with the recording's key and without
    found = []
    for path in (it for it in sorted(directory.rglob("*")) if it.is_file()):
        data = path.read_bytes()
        runs = re.findall(rb"[A-Za-z0-9+/]{122,}", data)
        tried = [
            base64.b64decode(run + b"=" * (-len(run) % 4)) for run in runs if len(run) % 4 != 1
        ]
        tried += [bytes.fromhex(run.decode()) for run in re.findall(rb"(?:[0-9a-f]{2}){92,}", data)]
        if path.name.startswith("keys.sqlite"):
            tried += [data[at : at + size] for at in range(len(data)) for size in sizes]
        for candidate in tried:
            try:
                whole = opens.decrypt(candidate[:12], candidate[12:], call.encode())
            except (InvalidTag, ValueError):
                continue
            found.append(CallSecret(whole[:32], whole[32:64], whole[64:] or None))
    return found


def proves(directory: Path, call: str = CALL) -> list[str]:
    """What the bundle of *call* proves, as `export` would make it."""
    mine = archive(directory)
    filed, state, secret = mine.filed(call), mine.state(call), mine.secrets.of(call)
    assert filed is not None
    entry, *later = mine.ledger.prove(filed.place, *(it.place for it in state.fates))
    if secret is None:
        return verify(Bundle(entry, later=later).encode(), mine.verifier_key).proven
    journal = (directory / "calls" / filed.day / call / JOURNAL).read_bytes()
    bundle = Bundle(entry, journal, filed.facts, secret.salt, later=later)
    return verify(bundle.encode(), mine.verifier_key).proven


async def test_an_erased_call_is_nowhere_and_every_proof_still_verifies(tmp_path: Path) -> None:
    """Neither key nor text, in table, log, journal, catalogue; the search finds all without."""
    directory = tmp_path / "records"
    await lived(tmp_path / "clear", None)
    assert traces(tmp_path / "clear") == [JOURNAL], "the search for the text finds it"
    async with worker(directory) as records:
        for call in (CALL, OTHER):
            journal = records.journal(call)
            plot(journal)
            await journal.close("done")
        before = {it.key for it in recovered_keys(directory)}
        assert len(before) == 1, "the search for the key finds it"
        assert any(recovered_keys(directory / "wal")), "in the log of the worker, too"
        assert life(directory).erase(CALL, "asked to").left == ()
        assert recovered_keys(tmp_path) == []
        assert traces(directory) == []
    assert not (directory / "calls" / DAY / CALL).exists()
    assert proves(directory)[-1].startswith("the journal was erased; its entry stands")
    assert any("the call was erased at 2025-11-22T08:43:20Z" in it for it in proves(directory))
    assert "chained from the first to the last" in proves(directory, OTHER)[-1]
    with pytest.raises(RecordError, match=r"was erased at .* by olive: asked to"):
        Store(directory, archive(directory)).open_call(CALL)


async def test_a_log_with_an_erased_key_is_still_a_log(tmp_path: Path) -> None:
    """Its worker goes on writing, dies, and what it left is recovered but for the call."""
    async with worker(tmp_path) as records:
        first = records.journal(CALL)
        plot(first)
        await first.close("done")
        second = records.journal(OTHER)
        plot(second)
        await second.commit()
        life(tmp_path).erase(CALL, "asked to")
        ask(second, "yes", at=16_000)
    async with worker(tmp_path) as records:
        assert records.recovery.calls == (OTHER,)
        assert records.recovery.damage == ()
        assert not records.store.journal(CALL)
        assert CANARY in records.store.open_call(OTHER).transcript()


@pytest.mark.parametrize("where", ["the call's id", "the JSON", "nowhere"])
async def test_a_key_in_a_damaged_log_is_found(tmp_path: Path, where: str) -> None:
    """A damaged log is set aside with its keys; the table tells what to look for."""
    aside = await set_aside(tmp_path, where)
    assert recovered_keys(aside.parent), "the search finds it"
    assert life(tmp_path).erase(CALL, "asked to").left == ()
    assert recovered_keys(tmp_path) == []


async def test_a_key_that_cannot_be_told_from_damage_is_told(tmp_path: Path) -> None:
    """The table has it no more, and what is there begins like it: nobody says that it is gone."""
    aside = await set_aside(tmp_path, "the JSON")
    damaged = aside.read_bytes()
    life(tmp_path).erase(CALL, "asked to")
    aside.write_bytes(damaged)
    (told,) = life(tmp_path).erase(CALL, "asked to").left
    assert told.startswith(f"{aside} is damaged where the key of call {CALL} may lie")
    assert archive(tmp_path).state(CALL).fates[0].step is Step.UNREADABLE
    aside.unlink()
    assert life(tmp_path).erase(CALL, "asked to").left == ()


async def set_aside(directory: Path, where: str) -> Path:
    """A sealed call, whose worker's log lies in `damaged/` with a byte changed *where*."""
    async with worker(directory) as records:
        journal = records.journal(CALL)
        plot(journal)
        await journal.commit()
        (segment,) = (directory / "wal").rglob("*.tlw")
        data = bytearray(segment.read_bytes())
        await journal.close("done")
    aside = directory / "wal" / "w0" / "damaged" / segment.name
    aside.parent.mkdir()
    at = {"the call's id": 40, "the JSON": data.index(b'"wrapped"') - 3, "nowhere": 0}[where]
    data[at] = data[0] if at == 0 else ord("?")
    aside.write_bytes(data)
    return aside


async def test_a_hold_wins_over_erasure_and_age(tmp_path: Path) -> None:
    """It says since when and by whom; once released the call may go."""
    await lived(tmp_path)
    mine = life(tmp_path)
    with pytest.raises(InputError, match="is not held"):
        mine.release(CALL, "")
    mine.hold(CALL, "case 7")
    for again in (mine.hold, mine.erase, partial(mine.erase, recording=True)):
        with pytest.raises(InputError, match="held at 2025-11-22T08:43:20Z by olive: case 7"):
            again(CALL, "no")
    late = life(tmp_path, WALL + 100 * DAY_S)
    expired = late.expire(Retention(everything_s=DAY_S, recording_s=DAY_S))
    assert (expired.erased, expired.silenced, expired.held) == ((), (), (CALL,))
    assert CANARY in Store(tmp_path, archive(tmp_path)).open_call(CALL).transcript()
    mine.release(CALL, "case closed")
    assert [it.kind for it in archive(tmp_path).state(CALL).fates] == [Kind.HELD, Kind.RELEASED]
    assert late.expire(Retention(everything_s=DAY_S)).erased == (CALL,)
    with pytest.raises(InputError, match="there is nothing left of it to keep"):
        mine.hold(CALL, "too late")
    told = " ".join(proves(tmp_path))
    assert [it for it in ("was held", "was released", "was erased") if it not in told] == []


async def test_recordings_go_first_and_everything_later(tmp_path: Path) -> None:
    """By their age; a dry run says what would go; what went is not due again."""
    await lived(tmp_path)
    policy = Retention(recording_s=age_s("30d"), everything_s=age_s("400d"))
    assert life(tmp_path, WALL + 29 * DAY_S).expire(policy).silenced == ()
    late = life(tmp_path, WALL + 31 * DAY_S)
    assert late.expire(policy, dry_run=True).silenced == (CALL,)
    assert archive(tmp_path).state(CALL).fates == ()
    assert late.expire(policy).silenced == (CALL,)
    assert (late.expire(policy).silenced, late.expire(policy).erased) == ((), ())
    stored = Store(tmp_path, archive(tmp_path)).open_call(CALL)
    assert CANARY in stored.transcript()
    with pytest.raises(RecordError, match="was erased"):
        stored.recording(tmp_path / "gone.wav")
    assert {it.voice for it in recovered_keys(tmp_path)} == {None}
    latest = life(tmp_path, WALL + 401 * DAY_S)
    assert latest.expire(policy).erased == (CALL,)
    assert recovered_keys(tmp_path) == []


async def test_a_pass_is_bounded_and_says_that_more_is_due(tmp_path: Path) -> None:
    """So that a worker with calls up does not stop for years of them."""
    async with worker(tmp_path) as records:
        for call in (CALL, OTHER):
            await records.journal(call).close("done")
    late = life(tmp_path, WALL + 2 * DAY_S)
    policy = Retention(everything_s=DAY_S)
    assert [len(late.expire(policy, count=1).erased) for _ in range(3)] == [1, 1, 0]
    assert not late.expire(policy, count=1).more


async def test_a_clock_that_went_backwards_expires_nothing(tmp_path: Path) -> None:
    """The newest call tells that it did."""
    await lived(tmp_path)
    with pytest.raises(RecordError, match=r"nothing is expired: this machine's clock says 2024"):
        life(tmp_path, WALL - 365 * DAY_S).expire(Retention(everything_s=1.0))
    assert recovered_keys(tmp_path)


@pytest.mark.parametrize("survives", range(6))
async def test_an_erasure_that_a_crash_broke_off_is_completed(
    tmp_path: Path, survives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stopped: the next worker goes on, and until then nobody is told it is done."""
    await lived(tmp_path)
    steps = itertools.count()

    def fragile(patch: pytest.MonkeyPatch, name: str) -> None:
        real = resolve_name(f"trunkline.records.{name}")

        def step(*args: object, **named: object) -> object:
            if next(steps) == survives:
                raise RecordError("the power is gone")
            return real(*args, **named)

        patch.setattr(f"trunkline.records.{name}", step)

    with monkeypatch.context() as patch:
        for name in ("append", "sweep", "Secrets.destroy", "Life._reached", "_removed"):
            module = {"append": "erasures", "Secrets.destroy": "keys"}.get(name, "life")
            fragile(patch, f"{module}.{name}")
        with pytest.raises(RecordError, match="the power is gone"):
            life(tmp_path).erase(CALL, "asked to")
        assert archive(tmp_path).state(CALL).erased is not None
    async with worker(tmp_path) as records:
        assert records.recovery.calls == ()
    assert recovered_keys(tmp_path) == []
    assert not (tmp_path / "calls" / DAY / CALL).exists()
    assert [it.step for it in archive(tmp_path).state(CALL).fates] == [Step.DONE]
    assert {it.call for it in erasures.read(tmp_path / "erased.jsonl")} == {CALL}


async def test_ciphertext_under_a_lock_stays_and_is_removed_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is said; nobody can read it meanwhile, and it still verifies as erased."""
    await lived(tmp_path)

    unlink = Path.unlink

    def locked(path: Path, missing_ok: bool = False) -> None:
        if path.name == JOURNAL:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", locked)
        (told,) = life(tmp_path).erase(CALL, "asked to").left
        assert "is locked (Operation not permitted): it stays, nobody can read it" in told
    assert (tmp_path / "calls" / DAY / CALL / JOURNAL).exists()
    assert recovered_keys(tmp_path) == []
    assert proves(tmp_path)[-1].startswith("the journal was erased")
    (done,) = life(tmp_path).resume()
    assert done.left == ()
    assert not (tmp_path / "calls" / DAY / CALL).exists()
    assert life(tmp_path).resume() == []


async def test_a_key_that_somebody_puts_back_is_destroyed_again(tmp_path: Path) -> None:
    """A copy of the key table in its place brings no erased call back."""
    await lived(tmp_path / "records")
    copied(tmp_path / "records" / "keys.sqlite", tmp_path / "old.sqlite")
    life(tmp_path / "records").erase(CALL, "asked to")
    _opened.pop().close()
    (tmp_path / "old.sqlite").replace(tmp_path / "records" / "keys.sqlite")
    assert recovered_keys(tmp_path), "the search finds it"
    async with worker(tmp_path / "records"):
        assert recovered_keys(tmp_path) == []
    assert proves(tmp_path / "records")


async def test_an_erased_call_is_not_sealed_again(tmp_path: Path) -> None:
    """By whoever had begun to, when it was erased."""
    async with worker(tmp_path) as records:
        journal = records.journal(CALL)
        await journal.close("done")
        life(tmp_path).erase(CALL, "asked to")
        with pytest.raises(RecordError, match="call ids must not be used twice"):
            records.store.seal(CALL, journal.started, [], journal.wrapped)
    assert recovered_keys(tmp_path) == []


async def test_a_call_that_is_up_or_unknown_or_has_no_key_is_an_error_each(tmp_path: Path) -> None:
    """Nothing is entered into the ledger for those."""
    await lived(tmp_path / "clear", None)
    with pytest.raises(InputError, match="has no keys"):
        Life(Store(tmp_path / "clear"), "olive")
    with pytest.raises(RecordError, match="has no key of its own"):
        life(tmp_path / "clear").erase(CALL, "")
    async with worker(tmp_path / "up") as records:
        journal = records.journal(CALL)
        with pytest.raises(RecordError, match="it is up, was not sealed yet"):
            life(tmp_path / "up").erase(CALL, "")
        await journal.close("done")
    assert archive(tmp_path / "up").ledger.entries() == archive(tmp_path / "up").ledger.entries(
        0, 1
    )


async def test_a_reader_that_holds_the_key_table_is_told_and_the_erasure_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted may lie in the database's log until then, so it is not said to be done."""
    await lived(tmp_path)
    monkeypatch.setattr("trunkline.records.database.BUSY_S", 0.05)
    mine = life(tmp_path)
    reader = sqlite3.connect(tmp_path / "keys.sqlite")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM call_key").fetchall()
    with pytest.raises(RecordError, match="still in its write-ahead log"):
        mine.erase(CALL, "asked to")
    reader.close()
    assert mine.erase(CALL, "asked to").left == ()
    assert recovered_keys(tmp_path) == []


def test_an_age_is_a_number_and_a_unit() -> None:
    """Anything else is an error that says how to write one."""
    assert [age_s(it) for it in ("2h", "30d", "2w", "1y")] == [7200, 2592000, 1209600, 31536000]
    for wrong in ("", "30", "0d", "-1d", "1.5d", "30 d", "30m", "99999999d"):
        with pytest.raises(InputError, match="is no age"):
            age_s(wrong)
