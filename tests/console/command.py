"""A command as the shell would run it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Ran:
    """What a command left: exit status and both outputs."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]
