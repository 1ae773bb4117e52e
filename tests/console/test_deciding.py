"""`trunkline decide`: the page, the data, the report and the files, as the shell gets them."""

import json
from pathlib import Path

import pytest

from tests.console.command import Run

NEEDS = """\
version: 1
name: a <clinic>
traffic: {minutes_per_month: 15000}
law: {jurisdictions: [EU]}
"""


@pytest.fixture
def needs(tmp_path: Path) -> Path:
    """A file of needs."""
    path = tmp_path / "needs.yaml"
    path.write_text(NEEDS, "utf-8")
    return path


def test_the_answer_is_one_page(run: Run, needs: Path) -> None:
    """The recommendation stands first, then three reasons, what would change it, who is paged."""
    told = run("decide", needs)
    assert (told.status, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0].startswith("a <clinic>: managed (stt: ")
    assert [line[:5] for line in lines[3:6]] == ["  1. ", "  2. ", "  3. "]
    assert lines.index("Figures to look at") <= 20  # what follows grows as figures age
    assert {"What would change it", "First", "Who is paged at 2 a.m."} <= set(lines)
    assert "tts.deepgram-aura-2 30 $/1M characters: " in told.out  # old by now, and said so


def test_all_of_it_is_data_and_a_page_that_needs_no_network(
    run: Run, needs: Path, tmp_path: Path
) -> None:
    """The same seed gives the same data; what a file says is text in the page."""
    report, config = tmp_path / "report.html", tmp_path / "trunkline.yaml"
    told = run("decide", needs, "--json", "--report", report, "--topology", config, "--seed", 4)
    data = json.loads(told.out)
    assert data == json.loads(run("decide", needs, "--json", "--seed", 4).out)
    assert (data["recommendation"], data["forced"], len(data["topologies"])) == (
        "managed",
        False,
        27,
    )
    assert all(it["source"] for it in data["figures"])
    html = report.read_text("utf-8")
    assert "a &lt;clinic&gt;" in html
    assert "<clinic>" not in html
    assert "http" not in html.replace("http-equiv", "").split("<h2>Ruled out")[0]
    for heading in ("What would change it", "What moves it", "Who is paged at 2 a.m.", "polyline"):
        assert heading in html
    assert config.read_text("utf-8").startswith("# a <clinic>: managed")


def test_constraints_that_leave_nothing_are_status_1(run: Run, needs: Path, tmp_path: Path) -> None:
    """It says which lines of the needs to change; the report is written all the same."""
    needs.write_text(NEEDS.replace("[EU]", "[CH]"), "utf-8")
    report = tmp_path / "report.html"
    told = run("decide", needs, "--report", report)
    assert told.status == 1
    assert "Nothing is left" in told.out
    assert "law.jurisdictions: with one of" in told.out
    assert "Ruled out" in report.read_text("utf-8")


def test_wrong_needs_are_status_2(run: Run, needs: Path) -> None:
    """With file and line."""
    needs.write_text(NEEDS.replace("15000", "-1"), "utf-8")
    told = run("decide", needs)
    assert told.status == 2
    assert f"{needs}:3: traffic.minutes_per_month" in told.err
    assert run("decide", needs, needs).status == 2
    assert run("decide", "init").status == 2
    assert "exists already" in run("decide", "init", needs).err
