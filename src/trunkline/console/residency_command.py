"""The command `trunkline residency`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def residency(
    config: Annotated[Path, typer.Argument(help="The configuration file.")] = Path(
        "trunkline.yaml"
    ),
    records: Annotated[
        Path | None, typer.Option(help="The directory of records: what really left.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write map and register here.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the map alone here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the register as JSON.")] = False,
) -> None:
    """Draw where data goes, and print the register of processing (GDPR article 30)."""
    from trunkline.console import residing  # noqa: PLC0415  # loads the audio libraries

    found = residing.survey(config, records)
    for path, make in ((html, residing.page), (svg, residing.svg)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(found), "utf-8")
    if as_json:
        sys.stdout.write(json.dumps(found.as_json()) + "\n")
    else:
        residing.show(found, Console(highlight=False))
