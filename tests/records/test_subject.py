"""Finding the calls of a person without an index of people."""

from pathlib import Path

import pytest

from tests.records.scene import CALL
from tests.records.test_archive import KEYS, _close, archive, worker  # noqa: F401  # it closes
from tests.records.test_store import OTHER
from trunkline.errors import InputError
from trunkline.records.archive import ArchiveKeys
from trunkline.records.keys import Kek
from trunkline.records.store import Store
from trunkline.records.subject import matcher, recipients, search
from trunkline.types import DataClass, Where


@pytest.mark.parametrize(
    "text",
    [
        "+1 (555) 010-4477",
        "call 555.010.4477 after nine",
        "five five five, oh one oh, double four seven seven",
        "it is triple five zero one zero four four double seven",
    ],
)
def test_a_number_is_found_however_it_is_written_or_spoken(text: str) -> None:
    """With and without the country's code."""
    for value in ("+15550104477", "555-010-4477"):
        assert matcher(value)(text)


@pytest.mark.parametrize(
    "text", ["555 0104478", "five five five oh one oh", "4477", "555 and then 0104477", ""]
)
def test_another_number_is_not(text: str) -> None:
    """To hand out a stranger's call is worse than to miss one."""
    assert not matcher("+15550104477")(text)


def test_what_means_many_people_is_refused() -> None:
    """Four digits, three letters."""
    for value in ("4477", "Ann", "  ", "+"):
        with pytest.raises(InputError, match=r"means? many people"):
            matcher(value)


async def test_calls_are_found_in_what_was_said_and_done(tmp_path: Path) -> None:
    """Transcript and tools; the others are not, and what cannot be read is said."""
    async with worker(tmp_path) as records:
        for call, number in ((CALL, "+15550104477"), (OTHER, "+15550104478")):
            journal = records.journal(call)
            where = Where(call, 0)
            arguments = {"name": "Ann  Quist", "phone": number}
            journal.note(
                "tool.intent", {"key": "1", "name": "book", "arguments": arguments}, where=where
            )
            sent = {"endpoint": "m", "destination": "eu.example", "data_class": "prompt"}
            journal.note("egress", sent | {"allowed": True}, where=where)
            journal.note("egress", sent | {"destination": "x", "allowed": False}, where=where)
            said = {"text": "this is ann quist speaking"}
            journal.note("transcript.final", said, where=where, data_class=DataClass.TRANSCRIPT)
            await journal.close("done")
    store = Store(tmp_path, archive(tmp_path))
    counts: list[int] = []
    (found,) = search(store, "(555) 010-4477", progress=counts.append)
    assert (found.stored.call, found.within) == (CALL, ("tool.intent",))
    assert counts == [1, 2]
    assert recipients(found.stored.events) == [
        {"endpoint": "m", "destination": "eu.example", "data_class": "prompt"}
    ]
    both = list(search(store, "Ann Quist"))
    assert [it.within for it in both] == [("tool.intent", "transcript.final")] * 2
    (one,) = search(store, "Ann Quist", wanted=lambda it: it.call == OTHER)
    assert one.stored.call == OTHER
    blind = ArchiveKeys(Kek(bytes(32)), KEYS.origin, KEYS.signing)
    unread = list(search(Store(tmp_path, archive(tmp_path, blind)), "Ann Quist"))
    assert ["key-encryption key" in it.error for it in unread] == [True, True]
