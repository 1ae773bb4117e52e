"""`trunkline decide`: which mix of managed and own models to run, on one page and in full."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.config.load import read_text
from trunkline.errors import ConfigError, InputError

if TYPE_CHECKING:
    from trunkline.decide.study import Study
    from trunkline.decide.words import Answer


def decide(
    needs: Annotated[str, typer.Argument(help="A file of needs, or init to be asked for one.")],
    file: Annotated[Path | None, typer.Argument(help="With init: the file to write.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with curves and evidence here.")
    ] = None,
    topology: Annotated[
        Path | None, typer.Option(help="Write the recommended trunkline.yaml here.")
    ] = None,
) -> None:
    """Recommend where each stage should run: managed, self-hosted or in a customer's VPC.

    The exit status is 1 if the constraints leave nothing, 2 if a file is wrong.
    """
    if needs == "init":
        init(file)
        return
    if file is not None:
        raise InputError(f"{file} is one argument too many. Give one file of needs")
    from trunkline.decide.offers import shipped  # noqa: PLC0415  # loads the maths
    from trunkline.decide.topology import configuration  # noqa: PLC0415  # so does this
    from trunkline.decide.words import answer  # noqa: PLC0415  # so does this

    study = studied(Path(needs), seed)
    told = answer(study, today := datetime.now(UTC).date())
    if topology is not None and study.picked is not None:
        _write(topology, configuration(study, shipped()))
    if report is not None:
        from trunkline.console.decision import render  # noqa: PLC0415  # only here

        _write(report, render(study, told, today))
    if as_json:
        from trunkline.decide.plain import as_data  # noqa: PLC0415  # only here

        sys.stdout.write(json.dumps(as_data(study, told, today)) + "\n")
    else:
        sys.stdout.write(page(study, told))
    if study.picked is None:
        raise typer.Exit(1)


def studied(path: Path, seed: int) -> "Study":
    """The whole study of the needs in the file at *path*, with its runs read."""
    from trunkline.decide import figures, offers  # noqa: PLC0415  # load the maths
    from trunkline.decide.needs import parse_needs  # noqa: PLC0415  # so does this
    from trunkline.decide.runs import measured, parse_run  # noqa: PLC0415  # so does this
    from trunkline.decide.study import decide as study_of  # noqa: PLC0415  # so does this
    from trunkline.decide.study import explain  # noqa: PLC0415  # so does this

    needs = parse_needs(read_text(path), path)
    runs = [(it.name, parse_run(read_text(it), it)) for it in needs.runs]
    found = study_of(needs, figures.shipped(), offers.shipped(), measured(runs, needs), seed)
    return explain(found)


def init(file: Path | None) -> None:
    """Ask for needs in the terminal and write them to *file*."""
    from trunkline.decide.needs import asked  # noqa: PLC0415  # loads the maths

    if file is None:
        raise InputError("init needs a file to write: `trunkline decide init needs.yaml`")
    if file.exists():
        raise InputError(f"{file} exists already. Give another name, or move it away")
    _write(file, asked(file, lambda question, default: typer.prompt(question, default=default)))
    typer.echo(f"{file} is written; next: trunkline decide {file}")


def page(study: "Study", told: "Answer") -> str:
    """The answer on one page of text."""
    lines = [f"{study.needs.name}: {told.recommendation}", "", "Why"]
    lines += [f"  {at}. {it}" for at, it in enumerate(told.reasons, 1)]
    lines += ["What would change it", *(f"  - {it}" for it in told.changes)]
    lines += ["First", f"  {told.first}", "Who is paged at 2 a.m.", f"  {told.paged}"]
    if told.mistrust:
        lines += ["Figures to look at", *(f"  - {it}" for it in told.mistrust)]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"it cannot be written: {error.strerror or error}"
        raise ConfigError(path, None, what, "Check the path and its permissions") from error
