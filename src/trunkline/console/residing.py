"""`trunkline residency`: the register of processing and the data-flow map, as page or as text."""

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunkline.config.load import load
from trunkline.console.archiving import opened, place_of
from trunkline.console.flowmap import WIDTH, flow_map
from trunkline.console.register import Register, register, with_flows

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def _plain(value: object) -> object:
    """Without what neither HTML nor XML can hold; what is markup already stays so."""
    return value if isinstance(value, Markup) else _ILLEGAL.sub("�", str(value))


_ENVIRONMENT = Environment(
    loader=PackageLoader("trunkline.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_plain,
)


def survey(config: Path, records: Path | None) -> Register:
    """The register of *config*, with what left by the *records*, if they are given.

    Raises `ConfigError`, `InputError` or `RecordError` if something cannot be read.
    """
    loaded = load(config)
    found = register(loaded)
    if records is None:
        return found
    with opened(place_of(records, config)) as store:
        return with_flows(found, loaded, store.list_calls())


def svg(found: Register) -> str:
    """The map alone."""
    return _ENVIRONMENT.get_template("residency.svg.j2").render(map=flow_map(found), width=WIDTH)


def page(found: Register) -> str:
    """One page that needs no network."""
    drawn = Markup(svg(found))  # noqa: S704  # made above, everything in it escaped
    return _ENVIRONMENT.get_template("residency.html.j2").render(found=found, svg=drawn)


def show(found: Register, out: Console) -> None:
    """Print it."""
    table = Table("processor", "purpose", "data", "where", "keeps it", "transfer", box=None)
    for it in found.recipients:
        where = f"{it.zone}: {it.region}, {it.jurisdiction}"
        data = ", ".join(it.categories)
        row = (it.processor, "; ".join(it.purposes), data, where, it.retention, it.transfer_tool)
        table.add_row(*map(Text, row), style="yellow" if it.contradictions else "")
    out.print(table)
    for it in found.recipients:
        for said in it.contradictions:
            out.print(Text(said, "yellow"), soft_wrap=True)
    if found.flows is None:
        return
    flows = Table("endpoint", "destination", "data", "times", "calls", "decision", box=None)
    for flow in found.flows:
        decision = f"{'sent' if flow.allowed else 'refused'}: {flow.rule}"
        there = flow.destination + ("" if flow.known else " (not in this configuration)")
        times = (str(flow.times), str(flow.calls))
        row = (flow.endpoint, there, flow.data_class, *times, decision)
        flows.add_row(*map(Text, row), style="" if flow.allowed else "red")
    out.print(flows)
    out.print(Text(f"{found.calls} sealed calls read, {found.unread} cannot be"))
