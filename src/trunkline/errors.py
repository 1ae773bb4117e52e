"""Every error of Trunkline, in one tree.

    TrunklineError
    ├── InputError             what you gave us is wrong; says what, where and how to mend it
    │   └── ConfigError        ... in a configuration file (with its line)
    ├── EndpointError          an endpoint failed: which one, the `Fault`, the deadline that passed
    ├── EgressRefused          the residency policy forbids these bytes to go there
    ├── CarrierLost            the phone leg is gone
    └── RecordError            the journal or a record could not be written or read

Foreign exceptions become one of these in `net/`, `telephony/`, `records/` or an embedded engine, at
exactly one line each, and nowhere else. Anything outside this tree is a bug of ours.
"""

from enum import StrEnum
from pathlib import Path


class Fault(StrEnum):
    """How an endpoint failed, as routing, the journal and the operator see it."""

    UNREACHABLE = "unreachable"  # no connection: refused, DNS, TLS, connect deadline
    REFUSED = "refused"  # it will not take this request (4xx): configuration, page someone
    THROTTLED = "throttled"  # 429: pushback, not failure
    UNAVAILABLE = "unavailable"  # 5xx, overloaded, or an error inside a 200 stream
    SILENT = "silent"  # no useful output before the deadline
    STALLED = "stalled"  # useful output began, then stopped
    CUT = "cut"  # the stream ended without saying that it was done
    MALFORMED = "malformed"  # it broke its own protocol
    EMPTY = "empty"  # it said that it was done without saying anything


class TrunklineError(Exception):
    """The root of the tree."""


class InputError(TrunklineError):
    """Bad input: the message says what is wrong, where, and how to mend it."""


class ConfigError(InputError):
    """A configuration file is wrong at *line* (1-based; None: the file as a whole)."""

    def __init__(self, path: Path | str, line: int | None, what: str, mend: str) -> None:
        self.path, self.line, self.what, self.mend = str(path), line, what, mend
        place = self.path if line is None else f"{self.path}:{line}"
        super().__init__(f"{place}: {what}. {mend}")


class EndpointError(TrunklineError):
    """An endpoint failed. *deadline_s*: the deadline that passed, when the fault is a silence."""

    def __init__(
        self,
        endpoint: str,
        fault: Fault,
        detail: str,
        *,
        deadline_s: float | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.endpoint, self.fault, self.detail = endpoint, fault, detail
        self.deadline_s, self.retry_after_s = deadline_s, retry_after_s
        late = "" if deadline_s is None else f" (deadline {deadline_s:.2f} s)"
        super().__init__(f"{endpoint}: {fault.value}{late}: {detail}")


class EgressRefused(TrunklineError):
    """Data class *data_class* may not go to zone *zone*, by *rule*."""

    def __init__(self, endpoint: str, zone: str, data_class: str, rule: str = "") -> None:
        self.endpoint, self.zone, self.data_class, self.rule = endpoint, zone, data_class, rule
        by = f" ({rule})" if rule else ""
        super().__init__(
            f"{endpoint}: zone {zone!r} does not accept {data_class!r}{by}: nothing was sent. "
            f"Change zones.{zone} or residency if law and contract allow, or use another endpoint"
        )


class CarrierLost(TrunklineError):
    """The phone leg ended or broke."""


class RecordError(TrunklineError):
    """A record could not be written, or what was read is not what was written."""
