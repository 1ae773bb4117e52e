"""Where the keys of records come from: the configuration's, and those of who only reads."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from trunkline.config.load import load
from trunkline.config.records import RecordsConfig, RetentionConfig, RolesConfig
from trunkline.errors import InputError
from trunkline.records.archive import ArchiveKeys
from trunkline.records.keys import Kek, kek_of_command, kek_of_environment, kek_of_file
from trunkline.records.note import signing_key
from trunkline.records.retention import Retention, age_s
from trunkline.records.store import Store

KEK_SUFFIX: Final = ".kek"
LEDGER_SUFFIX: Final = ".ledger-key"


@dataclass(frozen=True, slots=True)
class Place:
    """Where records lie, and where their keys come from: see `RecordsConfig`."""

    directory: Path
    key_file: Path | None = None
    key_env: str | None = None
    key_command: tuple[str, ...] | None = None
    ledger_name: str | None = None
    ledger_key_file: Path | None = None
    user_env: str | None = None
    roles: RolesConfig = RolesConfig()  # noqa: RUF009  # it is frozen
    retention: RetentionConfig = RetentionConfig()  # noqa: RUF009  # it is frozen


def configured(records: RecordsConfig) -> Place:
    """What the section `records` of a configuration says."""
    return Place(**{field.name: getattr(records, field.name) for field in fields(Place)})


def place_of(directory: Path, config: Path | None) -> Place:
    """*directory*, with the keys that the file *config* names, if it is given."""
    if config is None:
        return Place(directory)
    return replace(configured(load(config).records), directory=directory)


def archive_keys(place: Place, *, make: bool = False) -> ArchiveKeys:
    """What opens the archive at *place*. *make*: key files that are not there are made.

    Raises `RecordError` if a key cannot be had, `InputError` if several were named.
    """
    file = place.ledger_key_file or beside(place.directory, LEDGER_SUFFIX)
    signing = signing_key(file, make=make)
    name = place.ledger_name or f"records-{hashlib.sha256(signing).hexdigest()[:8]}"
    return ArchiveKeys(_kek(place, make=make), name, signing)


def _kek(place: Place, *, make: bool) -> Kek:
    named = [it for it in ("key_file", "key_env", "key_command") if getattr(place, it)]
    if len(named) > 1:
        raise InputError(
            f"records: {' and '.join(named)} are both given, and one key-encryption key is "
            f"needed: keep the one that the records were sealed under"
        )
    if place.key_env:
        return kek_of_environment(place.key_env)
    if place.key_command:
        return kek_of_command(place.key_command)
    return kek_of_file(place.key_file or beside(place.directory, KEK_SUFFIX), make=make)


def beside(directory: Path, suffix: str) -> Path:
    """The file beside *directory* that is called like it, with *suffix*: not in it, so that a copy
    of the records is not a copy of their key."""
    whole = directory.resolve()
    return whole.with_name(whole.name + suffix)


def policy(retention: RetentionConfig) -> Retention:
    """How old records may become."""
    ages = (retention.recording, retention.everything)
    return Retention(*(None if age is None else age_s(age) for age in ages))


@contextmanager
def opened(place: Place) -> Iterator[Store]:
    """The sealed calls at *place*, for who reads them.

    Raises `InputError` if there is no such directory, `RecordError` if a key is missing or wrong.
    """
    if not place.directory.is_dir():
        raise InputError(
            f"no directory {place.directory}. Name the one that records.directory of the "
            f"configuration names"
        )
    if not (place.directory / "keys.sqlite").exists():
        yield Store(place.directory)
        return
    archive = archive_keys(place).open(place.directory)
    try:
        yield Store(place.directory, archive)
    finally:
        archive.close()
