"""The section `records` of a configuration."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from trunkline.config.shapes import Age, EnvName, FilePath, Model, Text


class RetentionConfig(Model):
    """How old records may become, counted from the end of the call; by default any age."""

    recording: Age | None = Field(
        default=None, description="an age: a number and h, d, w or y (365 days), such as 30d"
    )
    everything: Age | None = Field(
        default=None, description="an age: a number and h, d, w or y (365 days), such as 400d"
    )


class RolesConfig(Model):
    """Who may do what with records, by the names of users; as long as nobody is named, everyone."""

    reader: tuple[Text, ...] = Field(default=(), description="a list of users who read calls")
    auditor: tuple[Text, ...] = Field(
        default=(), description="a list of users who prove calls and see who read them"
    )
    officer: tuple[Text, ...] = Field(
        default=(), description="a list of users who hold and erase calls and keep the backups"
    )


class RecordsConfig(Model):
    """Where the records of calls are kept, and where the keys come from that they are sealed with.

    The key-encryption key comes from one of *key_file*, *key_env* and *key_command*; by default
    from a file beside the directory, which is made if it is not there.
    """

    directory: FilePath = Field(
        default=Path("records"), validate_default=True, description="the path of a directory"
    )
    key_file: FilePath | None = Field(
        default=None, description="the path of a file with the key-encryption key, in hexadecimal"
    )
    key_env: EnvName | None = Field(
        default=None, description="the name of the variable that holds the key-encryption key"
    )
    key_command: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        default=None, description="a program and its arguments, as a list; it prints the key"
    )
    retention: RetentionConfig = Field(
        default=RetentionConfig(), description="how long recordings and calls are kept"
    )
    roles: RolesConfig = Field(default=RolesConfig(), description="who may do what")
    user_env: EnvName | None = Field(
        default=None,
        description="the name of the variable that says who uses `trunkline records`; by default "
        "it is the user of the operating system",
    )
    ledger_name: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")] | None
    ) = Field(default=None, description="what the ledger is called, such as example.com/records")
    ledger_key_file: FilePath | None = Field(
        default=None, description="the path of a file with the key that signs the ledger"
    )
