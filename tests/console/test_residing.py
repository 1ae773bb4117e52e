"""The register and the map say what a configuration will do, and what the journals say it did."""

import json
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as XmlTree

import pytest

from tests.console.command import Run
from tests.records.scene import CALL, open_records
from trunkline.config.load import load, parse
from trunkline.console import residing
from trunkline.console.flowmap import TEXT_PX, WIDTH, Box, Map, flow_map
from trunkline.console.register import Register, register, with_flows
from trunkline.console.serving import HARMLESS, Watched
from trunkline.console.typeset import text_px
from trunkline.records.events import KINDS
from trunkline.records.store import Store
from trunkline.testing.simulated import MemoryJournal
from trunkline.types import CallId, DataClass, Where

FILE = """\
version: 1
zones:
  here: {kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
    baa: false, dpa: false, accepts: [audio, prompt, speech_text]}
  eu: {kind: managed, region: eu, jurisdiction: EU, processor: Vendor, retention: none,
    baa: false, dpa: true, trains: false, accepts: [audio, prompt, speech_text]}
  line: {kind: managed, region: ie1, jurisdiction: EU, processor: "Lines <&> Co.", retention: none,
    baa: false, dpa: true, trains: false, evidence: DPA of May, accepts: [audio]}
  us: {kind: managed, region: us, jurisdiction: US, processor: Somebody, retention: 30d,
    baa: false, dpa: true, trains: false, transfer_tool: scc, accepts: [prompt]}
residency:
  home: [EU]
  carrier: line
  classes:
    audio: {jurisdictions: [none, EU], kinds: [self_hosted, managed]}
    prompt: {jurisdictions: [none, EU, US], kinds: [self_hosted, managed], retention_max: 30d,
      transfer_tools: [scc]}
    speech_text: {jurisdictions: [none]}
endpoints:
  ears: {stage: stt, api: deepgram, model: nova-3, base_url: "https://api.eu.deepgram.com/v1",
    zone: eu, failure_domain: d, options: {mip_opt_out: true}}
  model: {stage: llm, api: openai, model: m, base_url: "http://127.0.0.1:1/v1", zone: here,
    failure_domain: a}
  backup: {stage: llm, api: openai, model: m, base_url: "https://us.api.openai.com/v1", zone: us,
    failure_domain: o}
  voice: {stage: tts, api: espeak, model: en-us, zone: here, failure_domain: w}
agents:
  clerk: {routes: {stt: [ears], llm: [model, backup], tts: [voice]}}
"""
TO_BACKUP = {
    "endpoint": "backup",
    "destination": "us.api.openai.com:443",
    "data_class": "prompt",
    "allowed": True,
    "rule": "residency.classes.prompt allows zones.us",
}
ELSEWHERE = TO_BACKUP | {"destination": "example.com:443", "allowed": False, "rule": "no"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration."""
    path = tmp_path / "phones.yaml"
    path.write_text(FILE, "utf-8")
    return path


async def what_left(tmp_path: Path, path: Path) -> Register:
    """The register with a journal: twice to the backup, once refused to somewhere else."""
    config = load(path)
    async with open_records(tmp_path / "records") as records:
        journal = records.journal(CALL)
        for data in (TO_BACKUP, TO_BACKUP, ELSEWHERE):
            journal.note("egress", data, where=Where(CALL), zone="us")
        await journal.close("done")
    store = Store(tmp_path / "records")
    return with_flows(register(config), config, store.list_calls())


def test_a_register_has_a_row_for_everybody_who_gets_something(path: Path) -> None:
    """By the address, not by the name that a zone was given; the carrier first."""
    found = register(load(path))
    rows = {it.zone: it for it in found.recipients}
    assert list(rows) == ["line", "eu", "here", "us"]
    assert rows["eu"].processor == "Deepgram, Inc."
    assert rows["eu"].categories == (DataClass.AUDIO,)
    assert "your-data (2026-11-23)" in rows["eu"].evidence
    assert rows["line"].evidence == "DPA of May"
    assert rows["here"].categories == (DataClass.PROMPT, DataClass.SPEECH_TEXT)
    assert (rows["us"].retention, rows["us"].transfer_tool) == ("30d", "scc")
    assert not any(it.contradictions or it.refused for it in found.recipients)


def test_without_a_policy_the_register_shows_what_is_claimed_too_well(path: Path) -> None:
    """It counts as the vendor has it, and says so."""
    start, end = FILE.index("residency:"), FILE.index("endpoints:")
    text = (FILE[:start] + FILE[end:]).replace("options: {mip_opt_out: true}", "options: {}")
    found = register(parse(text, path))
    (row,) = [it for it in found.recipients if it.zone == "eu"]
    assert (row.jurisdiction, row.retention) == ("global", "for an unknown time")
    assert "set options.mip_opt_out: true" in row.contradictions[0]


async def test_what_really_left_is_counted_from_the_journals(tmp_path: Path, path: Path) -> None:
    """By destination, class and decision; what the file does not have is marked."""
    found = await what_left(tmp_path, path)
    assert found.flows is not None
    told = [(it.destination, it.allowed, it.times, it.calls, it.known) for it in found.flows]
    assert told == [
        ("example.com:443", False, 1, 1, False),
        ("us.api.openai.com:443", True, 2, 1, True),
    ]
    assert (found.calls, found.unread) == (1, 0)
    labels = {(it.label, it.bad) for it in flow_map(found).arrows}
    assert {("prompt: 2 sent", False), ("prompt: 1 refused", True)} <= labels
    page = residing.page(found)
    assert "(not in this configuration)" in page
    assert "2 sent" in page


async def test_a_call_that_cannot_be_read_is_counted_as_such(tmp_path: Path, path: Path) -> None:
    """An erased call is no call without egress."""
    await what_left(tmp_path, path)
    for journal in tmp_path.rglob("journal.tlj"):
        journal.write_bytes(journal.read_bytes()[:-9])
    config = load(path)
    found = with_flows(register(config), config, Store(tmp_path / "records").list_calls())
    assert (found.calls, found.unread, found.flows) == (0, 1, [])


def inside(inner: Box, outer: Box) -> bool:
    """Whether *outer* holds all of *inner*."""
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def apart(a: Box, b: Box) -> bool:
    """Whether they do not overlap."""
    beside = a.x + a.width <= b.x or b.x + b.width <= a.x
    return beside or a.y + a.height <= b.y or b.y + b.height <= a.y


async def test_nothing_on_the_map_overlaps_or_leaves_it(tmp_path: Path, path: Path) -> None:
    """Each arrow ends at the edge of a box, each zone lies inside one border."""
    for found in (register(load(path)), await what_left(tmp_path, path)):
        made: Map = flow_map(found)
        whole = Box(0, 0, WIDTH, made.height)
        assert all(inside(it, whole) for it in (*made.boxes, *made.borders))
        assert all(apart(a, b) for a, b in combinations(made.boxes, 2))
        assert all(apart(a, b) for a, b in combinations(made.borders, 2))
        for box in made.boxes:
            assert all(text_px(line, TEXT_PX) < box.width - 10 for line in box.lines)
        zones = [it for it in made.boxes if any(inside(it, border) for border in made.borders)]
        assert len(zones) == 3
        heights = [it.y for it in made.arrows if it.x2 > it.x1]
        assert all(b - a >= 13 for a, b in zip(sorted(heights), sorted(heights)[1:], strict=False))
        for arrow in made.arrows:
            ends = [it for it in made.boxes if it.y < arrow.y < it.y + it.height]
            assert arrow.x2 in {edge for it in ends for edge in (it.x, it.x + it.width)}


def test_the_page_needs_no_network_and_holds_names_as_text(path: Path) -> None:
    """Names are escaped; nothing is fetched."""
    found = register(load(path))
    page = residing.page(found)
    assert "Lines &lt;&amp;&gt; Co." in page
    assert "<script" not in page
    assert "src=" not in page
    tree = XmlTree.fromstring(residing.svg(found))  # noqa: S314  # our own
    texts = [it.text for it in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "Lines <&> Co." in texts
    assert "law of: US" in texts


def test_the_command_prints_and_writes(run: Run, tmp_path: Path, path: Path) -> None:
    """Text for people, one object for programs, one page for auditors."""
    told = run(
        "residency", path, "--html", tmp_path / "out" / "map.html", "--svg", tmp_path / "m.svg"
    )
    assert (told.status, told.err) == (0, "")
    assert "Deepgram" in told.out
    assert (tmp_path / "out" / "map.html").read_text("utf-8").startswith("<!doctype html>")
    assert (tmp_path / "m.svg").read_text("utf-8").startswith("<svg")
    data = json.loads(run("residency", path, "--json").out)
    assert [it["zone"] for it in data["recipients"]] == ["line", "eu", "here", "us"]
    assert data["flows"] is None


async def test_the_command_reads_records(tmp_path: Path, path: Path) -> None:
    """As `trunkline records` opens them."""
    await what_left(tmp_path, path)
    found = residing.survey(path, tmp_path / "records")
    assert found.calls == 1


async def test_with_a_policy_the_lines_of_events_hold_no_words() -> None:
    """Whoever collects them is in no zone."""
    told: list[dict[str, object]] = []
    journal = Watched(MemoryJournal(), told.append, content=False)
    where = Where(CallId("c"))
    journal.note("transcript.final", {"text": "Marla"}, where=where)
    journal.note("call.started", {"from": "+12025550100"}, where=where)
    journal.note("egress", TO_BACKUP, where=where)
    assert [it["data"] for it in told] == [{}, {}, TO_BACKUP]
    texts = {"text", "detail", "why", "generated", "request"}
    for kind in HARMLESS:
        assert not texts & {*KINDS[kind].needs, *KINDS[kind].may}
