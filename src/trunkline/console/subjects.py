"""`trunkline records subject`: all that there is of a person, and what of it went where."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from trunkline.console import proving
from trunkline.console.keeping import Desk
from trunkline.console.listing import Wanted
from trunkline.errors import RecordError
from trunkline.records.access import ALL_CALLS
from trunkline.records.disk import make_directory, our_errors, publish
from trunkline.records.fates import seconds, utc
from trunkline.records.store import StoredCall
from trunkline.records.subject import Found, recipients, search

_DAY_S: Final = 86_400.0


def exported(
    at: Desk, value: str, wanted: Wanted, to: Path | None, progress: Callable[[int], None]
) -> Iterator[str]:
    """Find the calls that hold *value*; write each of them into a directory of *to*, with its
    proof, and `subject.json`, which says where it was found and who was sent what of it.

    *value* itself is written nowhere. Raises `InputError` or `RecordError`.
    """
    at.note("search", ALL_CALLS)
    told: list[dict[str, object]] = []

    def possible(stored: StoredCall) -> bool:
        begins = seconds(f"{stored.day}T00:00:00Z")
        return (wanted.since is None or begins + _DAY_S > wanted.since) and (
            wanted.until is None or begins < wanted.until
        )

    for found in search(at.store, value, wanted=possible, progress=progress):
        call = found.stored.call
        if found.error:
            yield f"{call}  cannot be read: {found.error}"
            continue
        yield f"{call}  found in {', '.join(found.within)}"
        if to is not None:
            at.note("subject", call)
            told.append(_written(at, found, to / call))
    if to is not None:
        make_directory(to)
        whole = json.dumps({"calls": told}, indent=1).encode() + b"\n"
        with our_errors(f"cannot write {to}"):
            publish(to / "subject.json", [whole])
        yield f"{to}: {len(told)} calls, and subject.json"


def _written(at: Desk, found: Found, to: Path) -> dict[str, object]:
    stored = found.stored
    with our_errors(f"cannot write {to}"):
        make_directory(to)
        (to / "transcript.md").write_text(stored.transcript(), "utf-8")
    files = ["transcript.md"]
    try:
        stored.recording(to / "recording.wav")
        files.append("recording.wav")
    except RecordError:
        pass  # nothing was recorded, or it was erased: the transcript says what was said
    if at.store.archive is not None and at.store.archive.filed(stored.call) is not None:
        proving.export(at.store, stored.call, to / "evidence.bundle")
        files.append("evidence.bundle")
    events = stored.events
    return {
        "call": stored.call,
        "started": utc(events[0].wall),
        "found_in": list(found.within),
        "files": files,
        "recipients": recipients(events),
    }
