"""What became of a call whose stream ended, as the webhook is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.records.scene import CALL, open_records
from trunkline.console.serving import RESUMES_MAX, Recall
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, Where

LINE = "CA1"


@asynccontextmanager
async def ended(folder: Path, *, broken: bool, resumes: int = 0) -> AsyncIterator[WorkerRecords]:
    """The records of a call on `LINE` that is over, or broke off."""
    async with open_records(folder) as records:
        journal = records.journal(CALL)
        where = Where(CALL)
        started = {"carrier": "MZ1", "agent": "Ada", "carrier_call": LINE}
        journal.note("call.started", started, where=where)
        if resumes:
            state = {"origin": "c0", "turn": 0, "history": [], "reply": None, "consent": "asked"}
            said = {"from": "c0", "resumes": resumes, "line": "", "says": "", "state": state}
            journal.note("call.resumed", said, where=where)
        journal.note("call.ended", {"reason": "so", "broken": broken}, where=where)
        await journal.close("so")
        yield records


@pytest.mark.parametrize(
    ("broken", "resumes", "line", "fate"),
    [
        (True, 0, LINE, "broken"),
        (True, RESUMES_MAX - 1, LINE, "broken"),
        (True, RESUMES_MAX, LINE, "lost"),  # perhaps it is what kills workers
        (False, 0, LINE, "over"),
        (True, 0, "CA2", "unknown"),  # another caller's
    ],
)
async def test_the_journal_tells_the_fate_of_a_call(
    tmp_path: Path, broken: bool, resumes: int, line: str, fate: str
) -> None:
    """Only a call that broke off, on the very same line, and not too often, goes on."""
    async with ended(tmp_path, broken=broken, resumes=resumes) as records:
        assert await Recall(records).fate(CALL, line) == fate


async def test_a_call_that_nobody_knows_has_no_fate(tmp_path: Path) -> None:
    """Nor has a name that is none."""
    async with open_records(tmp_path) as records:
        recall = Recall(records)
        assert await recall.fate(CallId("01998d7e-0000-7000-8000-00000000000f"), LINE) == "unknown"
        assert await recall.fate(CallId("../x"), LINE) == "unknown"
