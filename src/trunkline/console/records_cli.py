"""The command line: `trunkline records ...`."""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

records_app = typer.Typer(
    no_args_is_help=True, help="Read, prove, hold, erase and back up the sealed records of calls."
)

Directory = Annotated[Path, typer.Argument(help="The directory of records.")]
Keys = Annotated[
    Path | None, typer.Option("--config", help="The configuration that says where the keys are.")
]
Call = Annotated[str, typer.Argument(help="The call's id, or 'last'.")]
CallId = Annotated[str, typer.Argument(help="The call's id.")]
Reason = Annotated[str, typer.Option(help="Why: kept in the catalogue. No names.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, a line each.")]
Since = Annotated[datetime | None, typer.Option(help="Only calls that began then or later (UTC).")]
Until = Annotated[datetime | None, typer.Option(help="Only calls that began before that (UTC).")]
_RECORDS = Path("records")


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _at(told: datetime | None) -> float | None:
    return None if told is None else told.replace(tzinfo=UTC).timestamp()


@records_app.command("list")
def list_records(
    directory: Directory = _RECORDS,
    since: Since = None,
    until: Until = None,
    held: Annotated[bool, typer.Option("--held", help="Only calls that are held.")] = False,
    erased: Annotated[bool, typer.Option("--erased", help="Only calls that were erased.")] = False,
    agent: Annotated[str | None, typer.Option(help="Only calls of that agent.")] = None,
    consent: Annotated[
        str | None, typer.Option(help="Only calls with that consent: granted, refused, ...")
    ] = None,
    as_json: AsJson = False,
    config: Keys = None,
) -> None:
    """List the calls, oldest first: id, when it began, how long it was, how it ended."""
    from trunkline.console import keeping, listing  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    wanted = listing.Wanted(_at(since), _at(until), held, erased, agent, consent)
    with keeping.desk(place_of(directory, config), "list") as desk:
        for row in listing.rows(desk.store, wanted):
            typer.echo(json.dumps(row.as_json()) if as_json else row.line())


@records_app.command("show")
def show_record(
    call: Call = "last",
    directory: Directory = _RECORDS,
    to: Annotated[
        Path | None, typer.Option(help="Write transcript.md and recording.wav into this directory.")
    ] = None,
    config: Keys = None,
    redacted: Annotated[
        bool, typer.Option("--redacted", help="Without what is personal, in text and audio.")
    ] = False,
    region: Annotated[
        str, typer.Option(help="With --redacted: whose numbers have no country code.")
    ] = "US",
) -> None:
    """Verify a call's journal and show what it proves."""
    from trunkline.console import keeping, reading, redacting  # noqa: PLC0415  # audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    with keeping.desk(place_of(directory, config), "show") as desk:
        found = desk.find(call, "show")
        if redacted:
            typer.echo(redacting.shown(found, redacting.learner(region, config), to))
        else:
            typer.echo(reading.shown(desk.store, found.call, to))


@records_app.command("play")
def play_record(
    call: Call = "last",
    directory: Directory = _RECORDS,
    to: Annotated[
        Path | None, typer.Option(help="The file to write; by default <call>.wav, here.")
    ] = None,
    config: Keys = None,
) -> None:
    """Write a call's recording as a WAV file, to be listened to."""
    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    with keeping.desk(place_of(directory, config), "play") as desk:
        typer.echo(keeping.played(desk, call, to))


@records_app.command("export")
def export_record(
    call: Call,
    to: Annotated[Path, typer.Argument(help="The file to write: an evidence bundle.")],
    directory: Directory = _RECORDS,
    with_key: Annotated[
        bool, typer.Option(help="Put the call's key in: who has the file can read the call.")
    ] = False,
    since: Annotated[
        Path | None, typer.Option(help="A checkpoint that its reader kept: prove growth from it.")
    ] = None,
    config: Keys = None,
) -> None:
    """Write what proves a call to somebody who does not trust us, in one file."""
    from trunkline.console import keeping, proving, reading  # noqa: PLC0415  # loads much
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    what = "export with key" if with_key else "export"
    with keeping.desk(place_of(directory, config), what) as desk:
        found = reading.find(desk.store, call).call if call == "last" else call
        desk.note(what, found)
        typer.echo(proving.export(desk.store, found, to, with_key=with_key, since=since))


@records_app.command("subject")
def export_subject(
    value: Annotated[str, typer.Argument(help="A number or a text that is known of the person.")],
    directory: Directory = _RECORDS,
    to: Annotated[
        Path | None, typer.Option(help="Write what there is of them into this directory.")
    ] = None,
    since: Since = None,
    until: Until = None,
    config: Keys = None,
) -> None:
    """Find the calls in which somebody occurs, by reading them all, and export them."""
    from trunkline.console import keeping, listing, subjects  # noqa: PLC0415  # loads much
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    def progress(count: int) -> None:
        if count % 100 == 0:
            sys.stderr.write(f"{count} calls read\n")

    wanted = listing.Wanted(_at(since), _at(until))
    with keeping.desk(place_of(directory, config), "subject") as desk:
        _say(subjects.exported(desk, value, wanted, to, progress))


@records_app.command("hold")
def hold_record(
    call: CallId, reason: Reason, directory: Directory = _RECORDS, config: Keys = None
) -> None:
    """Keep a call from being erased, by anybody and by age, until it is released."""
    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    with keeping.desk(place_of(directory, config), "hold") as desk:
        typer.echo(f"{call}: {desk.life.hold(call, reason).told}")


@records_app.command("release")
def release_record(
    call: CallId, reason: Reason, directory: Directory = _RECORDS, config: Keys = None
) -> None:
    """End the hold on a call."""
    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    with keeping.desk(place_of(directory, config), "release") as desk:
        typer.echo(f"{call}: {desk.life.release(call, reason).told}")


@records_app.command("erase")
def erase_record(
    call: CallId,
    reason: Reason,
    directory: Directory = _RECORDS,
    recording: Annotated[
        bool, typer.Option("--recording", help="Only the recording: keep the transcript.")
    ] = False,
    backup: Annotated[
        list[Path] | None, typer.Option(help="A copy of the keys to erase it from. Repeat.")
    ] = None,
    config: Keys = None,
) -> None:
    """Erase a call for good, by destroying its key; says what is left. Exit status 1 if any is."""
    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    with keeping.desk(place_of(directory, config), "erase") as desk:
        told = keeping.erased(desk, call, reason, recording=recording, backups=backup or [])
        _say(told)
    raise typer.Exit(1 if len(told) > 1 else 0)


@records_app.command("expire")
def expire_records(
    directory: Directory = _RECORDS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    config: Keys = None,
) -> None:
    """Erase what is too old by records.retention of the configuration; workers do it hourly."""
    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    place = place_of(directory, config)
    with keeping.desk(place, "expire") as desk:
        _say(keeping.expired(desk, place, dry_run=dry_run))


@records_app.command("access")
def list_accesses(
    call: Annotated[str, typer.Argument(help="The call's id, or 'all'.")] = "all",
    directory: Directory = _RECORDS,
    count: Annotated[int, typer.Option(min=1, help="At most so many, the last ones.")] = 1000,
    as_json: AsJson = False,
    config: Keys = None,
) -> None:
    """Say who read what of a call, or of all, and when."""
    from dataclasses import asdict  # noqa: PLC0415  # only here

    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    with keeping.desk(place_of(directory, config), "access") as desk:
        for one in keeping.accesses(desk, None if call == "all" else call, count):
            typer.echo(json.dumps(asdict(one)) if as_json else keeping.access_line(one))


@records_app.command("backup")
def backup_records(
    to: Annotated[Path, typer.Argument(help="The new directory of the backup.")],
    directory: Directory = _RECORDS,
    keys: Annotated[
        Path | None, typer.Option(help="A new directory, elsewhere, for the calls' wrapped keys.")
    ] = None,
    config: Keys = None,
) -> None:
    """Back the records up, while calls go on; their keys only if it is said where."""
    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    with keeping.desk(place_of(directory, config), "backup") as desk:
        _say(keeping.backed_up(desk, to, keys))


@records_app.command("restore")
def restore_records(
    source: Annotated[Path, typer.Argument(help="The directory of the backup.")],
    directory: Annotated[Path, typer.Argument(help="The new directory of records.")],
    keys: Annotated[
        Path | None, typer.Option(help="The directory with the backup of the keys.")
    ] = None,
    erased: Annotated[
        list[Path] | None,
        typer.Option(help="An erased.jsonl or catalogue.sqlite newer than the backup. Repeat."),
    ] = None,
    config: Keys = None,
) -> None:
    """Put a backup back, and erase again what was erased since. Exit status 1 if it has faults."""
    from trunkline.console import keeping  # noqa: PLC0415  # loads the audio libraries
    from trunkline.console.archiving import place_of  # noqa: PLC0415  # so does this

    told, whole = keeping.put_back(source, place_of(directory, config), keys, erased or [])
    _say(told)
    raise typer.Exit(0 if whole else 1)


@records_app.command("verify")
def verify_bundle(
    bundle: Annotated[Path, typer.Argument(help="An evidence bundle.")],
    key: Annotated[str, typer.Option(help="The ledger's public key: what ledger.pub says.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint of the ledger that you kept.")
    ] = None,
) -> None:
    """Verify an evidence bundle offline; exit status 2 if it does not hold."""
    from trunkline.console import proving  # noqa: PLC0415  # only here

    verdict = proving.judged(bundle, key, checkpoint)
    _say(f"proven: {line}" for line in verdict.proven)
    _say(f"note: {line}" for line in verdict.notes)
    typer.echo("VERIFIED")
