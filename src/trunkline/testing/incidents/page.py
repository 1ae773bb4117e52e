"""The table of incidents in docs/incidents.md, made from their files.

    python -m trunkline.testing.incidents.page docs/incidents.md

writes it between the two marks of that page; a test compares the page with the files.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from trunkline.errors import InputError
from trunkline.testing.incidents.files import Call, Incident, folder, load_all

BEGIN, END = "<!-- incidents: begin -->\n", "<!-- incidents: end -->"


def table(incidents: Sequence[Incident]) -> str:
    """One row an incident: where it was told, what was heard there, what must happen here."""
    rows = [
        "| incident | day | stage | what it was | what was heard there | what must happen here |",
        "|---|---|---|---|---|---|",
    ]
    for it in incidents:
        where = f"[{it.name}]({it.link})"
        if it.read:
            must = "; ".join(dict.fromkeys(map(_must, it.calls)))
            cells = (where, it.date, it.stage, it.title, it.heard_there, must)
        else:
            cells = (where, "-", it.stage, "not found, so not replayed", "-", "-")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def written(page: str, incidents: Sequence[Incident]) -> str:
    """*page* with the table of *incidents* between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"the page has no {BEGIN.strip()} and {END}: put them where it belongs")
    return before + BEGIN + table(incidents) + END + after


def _must(call: Call) -> str:
    must = call.must
    parts = [f"dead air added <= {must.dead_air_added_s:g} s"]
    if must.words_lost:
        parts.append(f"the caller hears '{must.hears}'")
    if must.answered_by is not None:
        parts.append(f"{must.answered_by} takes over")
    parts += [f"{tool} runs {times} times" for tool, times in must.tools.items()]
    return ", ".join(parts)


def main() -> None:
    """Rewrite the page that is named on the command line."""
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text("utf-8"), load_all(folder())), "utf-8")


if __name__ == "__main__":
    main()
