"""Who read what of which call, and who may.

The log is written before the data is shown. Roles keep honest people to their work; whoever has
the files and the key-encryption key reads them with a program of their own: that is the boundary.
"""

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, cast

from trunkline.errors import InputError
from trunkline.records.database import Database

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS access (at DOUBLE PRECISION NOT NULL, who TEXT NOT NULL,"
    " what TEXT NOT NULL, call TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS access_of_call ON access (call, at)",
)
ALL_CALLS: Final = "*"
"""In the log: a search through all of them."""


class Role(StrEnum):
    """What somebody is there for."""

    READER = "reader"
    AUDITOR = "auditor"
    OFFICER = "officer"


MAY: Final[Mapping[str, frozenset[Role]]] = {
    "list": frozenset(Role),
    "show": frozenset({Role.READER}),
    "play": frozenset({Role.READER}),
    "subject": frozenset({Role.OFFICER}),
    "export": frozenset({Role.READER, Role.AUDITOR, Role.OFFICER}),
    "export with key": frozenset({Role.READER}),
    "access": frozenset({Role.AUDITOR, Role.OFFICER}),
    **dict.fromkeys(
        ("hold", "release", "erase", "expire", "backup", "restore"), frozenset({Role.OFFICER})
    ),
}
"""Which role it takes to do what, once roles are given out at all."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. *roles*: who has which; nobody: everyone may do everything."""

    name: str
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def check(self, what: str) -> None:
        """`InputError` if this is not theirs to do."""
        if not any(self.roles.values()):
            return
        has = {role for role, names in self.roles.items() if self.name in names}
        if not has & {role.value for role in MAY[what]}:
            needed = " or ".join(sorted(MAY[what]))
            raise InputError(
                f"{self.name} may not do this ({what}): it takes the role {needed}. "
                f"records.roles of the configuration says who has it"
            )


@dataclass(frozen=True, slots=True)
class Access:
    """*who* did *what* with *call* at *at* (seconds since 1970)."""

    at: float
    who: str
    what: str
    call: str


def user(variable: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """Who runs this: what the environment's *variable* says, if one was configured, or the user of
    the operating system. (`getpass` would believe variables that everybody can set.)"""
    if variable is not None:
        if not environment.get(variable):
            raise InputError(
                f"the environment has no {variable}, which records.user_env names: whoever uses "
                f"records has to say who they are"
            )
        return environment[variable]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container whose user has no name
        return f"uid {os.getuid()}"


def note(database: Database, access: Access) -> None:
    """Enter *access* into the log; durable when it returns."""
    with database.transaction() as transaction:
        transaction.run(
            "INSERT INTO access VALUES (?, ?, ?, ?)",
            *(access.at, access.who, access.what, access.call),
        )


def accesses(database: Database, call: str | None, count: int) -> list[Access]:
    """The last *count* accesses to *call* (searches through all of them included), or to any."""
    which, values = ("", []) if call is None else (" WHERE call IN (?, ?)", [call, ALL_CALLS])
    with database.transaction() as transaction:
        rows = transaction.run(
            f"SELECT at, who, what, call FROM access{which} ORDER BY at DESC LIMIT ?",  # noqa: S608  # one of two constants
            *values,
            count,
        )
    return [Access(cast("float", at), str(who), str(what), str(of)) for at, who, what, of in rows][
        ::-1
    ]
