"""`trunkline records show --redacted`: the files that it writes, and those that it does not."""

import json
import re
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from tests.records.scene import CALL, ask, open_records, speak
from trunkline.console import cli
from trunkline.console.redacting import learner, shown
from trunkline.errors import InputError
from trunkline.records.store import Store
from trunkline.types import Sample, Where


async def call(folder: Path) -> Store:
    """A recorded call in which the caller says a name and a number."""
    async with open_records(folder) as records:
        journal = records.journal(CALL)
        where = Where(CALL, 0)
        journal.note("call.started", {"carrier": "wav", "agent": "a"}, where=where)
        ask(journal, "yes please", at=800)
        for turn, text in enumerate(("this is sarah miller", "it's four one five 555-0123"), 1):
            start = Sample(turn * 8000)
            journal.note("utterance.started", {}, where=Where(CALL, turn), sample=start)
            end = Sample(start + 4000)
            journal.note("utterance.ended", {}, where=Where(CALL, turn), sample=end)
            journal.note("transcript.final", {"text": text}, where=Where(CALL, turn))
        speak(journal, "caller", 1600, 4.0, code=0x20)
        await journal.close("done")
    return Store(folder)


async def test_the_copy_says_what_was_taken_out_and_never_what_it_was(tmp_path: Path) -> None:
    """Transcript, recording and list; the clear files are not among them."""
    store = await call(tmp_path / "records")
    told = shown(store.open_call(CALL), learner("US", None), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "recording.redacted.wav",
        "redactions.json",
        "transcript.redacted.md",
    ]
    assert "1 name, 1 phone" in told
    written = (tmp_path / "out/transcript.redacted.md").read_text("utf-8")
    listed = (tmp_path / "out/redactions.json").read_text("utf-8")
    for text in (told, written, listed):
        assert not re.search("sarah|miller|four one|0123", text, re.IGNORECASE)
    name, phone = json.loads(listed)["redactions"]
    assert (name["class"], name["characters"], name["version"]) == ("name", [8, 20], "1")
    assert (phone["class"], phone["turn"], phone["rule"]) == ("phone", 2, "phone.form")
    pcm, _ = soundfile.read(tmp_path / "out/recording.redacted.wav", dtype="int16")
    start, end = name["samples"]
    assert not pcm[start:end].any()
    assert pcm[end + 400, 0]


async def test_a_folder_with_a_clear_copy_is_refused(tmp_path: Path) -> None:
    """Who hands on the folder would hand on both."""
    store = await call(tmp_path / "records")
    (tmp_path / "transcript.md").write_text("clear", "utf-8")
    with pytest.raises(InputError, match="another directory"):
        shown(store.open_call(CALL), learner("US", None), tmp_path)


async def test_the_command_line_redacts(tmp_path: Path) -> None:
    """An option of `records show`; a region that is none is refused."""
    await call(tmp_path / "records")
    command = ["records", "show", "last", str(tmp_path / "records"), "--redacted"]
    ran = CliRunner().invoke(cli.app, command)
    assert ran.exit_code == 0
    assert "this is \\[name\\]" in ran.output
    assert "miller" not in ran.output
    ran = CliRunner().invoke(cli.app, [*command, "--region", "Narnia"])
    assert isinstance(ran.exception, InputError)
