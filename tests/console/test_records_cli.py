"""`trunkline records`: the life of a call, from the command line."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.console.command import Run
from tests.console.test_cli import COMMANDS, SHIPPED
from tests.records.scene import CALL, DAY, ask, clocks, speak
from tests.records.test_store import OTHER
from trunkline.config.load import load
from trunkline.console import cli
from trunkline.console.archiving import Place, archive_keys
from trunkline.records.lanes import InlineLane
from trunkline.records.worker import WorkerRecords
from trunkline.testing.virtual import run as in_virtual_time
from trunkline.types import DataClass, Sample, Where

KEYS = "  key_file: records.kek\n  ledger_key_file: records.ledger-key\n"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sealed calls, one of them recorded; the keys lie beside them, as by default."""
    monkeypatch.chdir(tmp_path)
    in_virtual_time(calls(tmp_path / "records"))
    return tmp_path / "records"


async def calls(directory: Path) -> None:
    """Two calls of two agents; the first is recorded."""
    keys = archive_keys(Place(directory), make=True)
    lane = partial(InlineLane, latency_s=0.0)
    async with WorkerRecords(
        directory, "w0", clocks=clocks(), lane=lane, archive=keys.open(directory)
    ) as records:
        for call, agent in ((CALL, "desk"), (OTHER, "night")):
            journal = records.journal(call)
            where = Where(call, 0)
            journal.note("call.started", {"carrier": "c", "agent": agent}, where=where)
            said = {"text": "my number is five five five oh one oh four four seven seven"}
            if call == CALL:
                ask(journal, "yes", at=1600)
                speak(journal, "caller", 1600, 1.0, 0x10)
                journal.note("transcript.final", said, where=where, data_class=DataClass.TRANSCRIPT)
            journal.note("call.ended", {"reason": "hung up"}, where=where, sample=Sample(16_000))
            await journal.close("done")


def configured(root: Path, text: str) -> Path:
    """The shipped configuration, whose section `records` says *text* too."""
    whole = SHIPPED.read_text("utf-8").replace(
        "  directory: records\n", f"  directory: records\n{text}"
    )
    path = root / "trunkline.yaml"
    path.write_text(whole, "utf-8")
    return path


def test_calls_are_listed_and_filtered(run: Run, directory: Path) -> None:
    """By time, agent, consent and what befell them; as JSON, a line each."""
    lines = run("records", "list", directory).out.splitlines()
    assert [line[:57] for line in lines] == [f"{call}  {DAY} 08:26:40" for call in (CALL, OTHER)]
    for option, found in (
        (["--agent", "desk"], [CALL]),
        (["--consent", "granted"], [CALL]),
        (["--consent", "unasked"], [OTHER]),
        (["--since", "2025-11-22T08:26:41"], []),
        (["--since", "2025-11-22"], [CALL, OTHER]),
        (["--until", "2025-11-22T08:26:40"], []),
        (["--until", "2025-11-23"], [CALL, OTHER]),
        (["--held"], []),
        (["--erased"], []),
    ):
        told = run("records", "list", directory, "--json", *option)
        assert [json.loads(line)["call"] for line in told.out.splitlines()] == found, option
    run("records", "hold", CALL, directory, "--reason", "case 7")
    run("records", "erase", OTHER, directory, "--reason", "asked to")
    (held,) = run("records", "list", directory, "--held").out.splitlines()
    assert "held at" in held
    assert held.endswith(": case 7]")
    (erased,) = run("records", "list", directory, "--erased", "--json").out.splitlines()
    told_of = json.loads(erased)
    assert (told_of["call"], told_of["erased"], told_of["agent"]) == (OTHER, True, "")
    assert len(run("records", "list", directory).out.splitlines()) == 2
    assert run("records", "list", directory, "--erased", "--until", "2025-11-22").out == ""


def test_whoever_reads_is_noted_before_they_do(run: Run, directory: Path, tmp_path: Path) -> None:
    """Showing, playing, proving and searching; also where it then fails."""
    assert "Consent: granted" in run("records", "show", CALL, directory).out
    assert run("records", "play", CALL, directory).out.startswith(f"{CALL}.wav: the caller is left")
    assert (tmp_path / f"{CALL}.wav").stat().st_size > 16_000
    assert run("records", "play", OTHER, directory, "--to", "other.wav").status == 2
    run("records", "export", CALL, "a.bundle", directory)
    run("records", "export", CALL, "b.bundle", directory, "--with-key")
    told = run("records", "access", "all", directory, "--json").out.splitlines()
    assert [(it["what"], it["call"]) for it in map(json.loads, told)] == [
        ("show", CALL),
        ("play", CALL),
        ("play", OTHER),
        ("export", CALL),
        ("export with key", CALL),
    ]
    (line,) = run("records", "access", OTHER, directory).out.splitlines()
    assert line.endswith(f"  play  {OTHER}")
    assert len(run("records", "access", "all", directory, "--count", "2").out.splitlines()) == 2


def test_a_held_call_is_not_erased_and_a_released_one_is(
    run: Run, directory: Path, tmp_path: Path
) -> None:
    """Each says who did it and why; the bundle of an erased call still verifies."""
    assert "held at" in run("records", "hold", CALL, directory, "--reason", "case 7").out
    refused = run("records", "erase", CALL, directory, "--reason", "asked to")
    assert refused.status == 2
    assert "case 7. Release it first" in refused.err
    assert "released at" in run("records", "release", CALL, directory, "--reason", "closed").out
    silenced = run("records", "erase", CALL, directory, "--reason", "asked", "--recording")
    assert (silenced.status, "recording erased at" in silenced.out) == (0, True)
    assert "was erased" in run("records", "play", CALL, directory).err
    erased = run("records", "erase", CALL, directory, "--reason", "asked to")
    assert (erased.status, "entry 5 of the ledger" in erased.out) == (0, True)
    assert "was erased at" in run("records", "show", CALL, directory).err
    key = (directory / "ledger.pub").read_text()
    assert run("records", "export", CALL, "e.bundle", directory).status == 0
    verified = run("records", "verify", "e.bundle", "--key", key)
    assert verified.out.endswith("VERIFIED\n")
    for told in ("held at", "released at", "recording_erased at", "erased at"):
        assert f"the call was {told}" in verified.out
    assert (
        "no key to put in"
        in run("records", "export", CALL, "e.bundle", directory, "--with-key").err
    )


def test_a_backup_is_put_back_without_what_was_erased_since(
    run: Run, directory: Path, tmp_path: Path
) -> None:
    """What is left in a copy of the keys is said, with exit status 1, until it is given."""
    made = run("records", "backup", "backup", directory, "--keys", "keys")
    assert "2 journals (2 of them links" in made.out
    assert "keys: 2 keys" in made.out
    assert "are NOT in it" in run("records", "backup", "bare", directory).out
    erased = run("records", "erase", CALL, directory, "--reason", "asked to")
    assert (erased.status, "left: the copy of the keys in" in erased.out) == (1, True)
    config = configured(tmp_path, KEYS)
    back = ["--keys", "keys", "--config", config]
    careless = run("records", "restore", "backup", "careless", *back)
    assert "what was erased after the backup is back" in careless.out
    lists = ["--erased", directory / "erased.jsonl"]
    careful = run("records", "restore", "backup", "again", *back, *lists)
    assert careful.status == 0
    assert f"{CALL}: had been erased since the backup, erased again" in careful.out
    assert "was erased at" in run("records", "show", CALL, "again", "--config", config).err
    bare = run("records", "restore", "bare", "unread", "--config", config)
    assert "no keys were put back: nobody can read the calls" in bare.out
    gone = run("records", "erase", CALL, directory, "--reason", "again", "--backup", "keys")
    assert gone.status == 0
    missing = run("records", "restore", "backup", "elsewhere")
    assert (missing.status, "elsewhere.ledger-key" in missing.err) == (2, True)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "backup" / "calls" / DAY / OTHER / "journal.tlj").unlink()
    faulty = run("records", "restore", "backup", "faulty", *back)
    assert (faulty.status, f"fault: the journal of call {OTHER} is missing" in faulty.out) == (
        1,
        True,
    )


def test_what_there_is_of_a_person_is_exported(run: Run, directory: Path, tmp_path: Path) -> None:
    """Found in what they said; with proof, and without writing down whom it was looked for."""
    told = run("records", "subject", "+15550104477", directory, "--to", "export")
    assert told.out.splitlines()[0] == f"{CALL}  found in transcript.final"
    files = {it.name for it in (tmp_path / "export" / CALL).iterdir()}
    assert files == {"transcript.md", "recording.wav", "evidence.bundle"}
    told_of = json.loads((tmp_path / "export" / "subject.json").read_text())
    assert [it["call"] for it in told_of["calls"]] == [CALL]
    assert set(told_of["calls"][0]["files"]) == files
    for option in (["--since", "2025-11-23"], ["--until", "2025-11-22"]):
        assert run("records", "subject", "+15550104477", directory, *option).out == ""
    noted = run("records", "access", CALL, directory).out
    assert [line.split("  ")[2] for line in noted.splitlines()] == ["search", "subject"] + [
        "search"
    ] * 2
    assert "5550104477" not in noted


def test_what_is_too_old_goes_once_a_retention_is_configured(
    run: Run, directory: Path, tmp_path: Path
) -> None:
    """A dry run says what would; a wrong age is an error of the configuration."""
    assert "no retention is configured" in run("records", "expire", directory).err
    config = configured(tmp_path, f"{KEYS}  retention: {{recording: 1h, everything: 9y}}\n")
    run("records", "hold", OTHER, directory, "--reason", "case 7")
    dry = run("records", "expire", directory, "--dry-run", "--config", config)
    assert dry.out == f"{CALL}: its recording would be erased\n{OTHER}: held, so it stays\n"
    done = run("records", "expire", directory, "--config", config)
    assert done.out == dry.out.replace("would be ", "")
    config = configured(tmp_path, f"{KEYS}  retention: {{recording: 30 days}}\n")
    wrong = run("records", "expire", directory, "--config", config)
    assert "is not of the right form. Write an age: a number and h, d, w or y" in wrong.err


def test_roles_say_who_may_do_what(
    run: Run, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name that the configured variable says."""
    config = configured(
        tmp_path,
        f"{KEYS}  user_env: AUDITED_AS\n"
        "  roles: {reader: [rita], auditor: [adam], officer: [olive]}\n",
    )
    may = {
        "show": {"rita"},
        "play": {"rita"},
        "access": {"adam", "olive"},
        "hold": {"olive"},
        "erase": {"olive"},
        "backup": {"olive"},
    }
    assert run("records", "show", CALL, directory, "--config", config).status == 2
    for name in ("rita", "adam", "olive"):
        monkeypatch.setenv("AUDITED_AS", name)
        for what, who in may.items():
            if name not in who:
                first = "to" if what == "backup" else CALL
                reason = ["--reason", "x"] if what in {"hold", "erase"} else []
                told = run("records", what, first, directory, *reason, "--config", config)
                assert (told.status, f"{name} may not do this ({what})" in told.err) == (2, True)
    assert (
        "held at"
        in run("records", "hold", CALL, directory, "--reason", "x", "--config", config).out
    )
    assert run("records", "list", directory, "--held", "--config", config).out.count("olive") == 1


def test_what_the_page_on_records_shows_is_a_configuration(tmp_path: Path) -> None:
    """A reader may copy it."""
    page = (SHIPPED.parent / "docs/records.md").read_text("utf-8")
    shown = re.findall(r"^```yaml\nrecords:\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    for text in shown:
        records = load(configured(tmp_path, text)).records
        assert records.retention.recording or records.roles.officer


def test_every_command_and_option_says_what_it_does() -> None:
    """Groups within groups do not escape the rule."""
    commands = COMMANDS.commands["records"].commands
    for name, command in commands.items():
        shown = CliRunner().invoke(cli.app, ["records", name, "--help"], env={"COLUMNS": "80"})
        assert (shown.exit_code, bool(command.help)) == (0, True)
        assert [it.name for it in command.params if not it.help] == []
