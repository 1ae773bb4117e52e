"""What docs/decide.md shows is what the code does: its files load, its arithmetic comes out."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trunkline.decide import figures, offers
from trunkline.decide.costs import VOLUME, Topology, cost, gpus_of, load
from trunkline.decide.figures import STALE_DAYS, Catalogue, Draws, Figure
from trunkline.decide.needs import STAGES, parse_needs
from trunkline.decide.runs import measured, parse_run
from trunkline.decide.study import SURE, WORLDS

PAGE = (Path(__file__).parents[2] / "docs/decide.md").read_text("utf-8")
YAML = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| ([\w ]+) \| (.*) \| (?:x )?([\d.]+) \|$", PAGE, re.MULTILINE)


def test_the_files_that_the_page_shows_are_good() -> None:
    """Needs with every part, and a run whose capacity the page tells."""
    needs = parse_needs(YAML[0], "needs.yaml")
    assert figures.shipped().overlaid(needs.figures, "needs.yaml")["gpu.runpod-h100"].value == 2.9
    run = parse_run(YAML[1], "run.yaml")
    assert measured([("run.yaml", run)], needs)["llm"].capacity.value == pytest.approx(40)


def test_the_limits_that_the_page_tells_are_those_of_the_code() -> None:
    """Who changes one changes the other."""
    assert f"older than {STALE_DAYS} days" in PAGE
    assert f"more than {SURE * 100:.0f} % of the possible worlds" in PAGE
    assert f"{WORLDS:,} worlds" in PAGE


def fixed() -> Draws:
    """One world in which each figure has its value and the volume is 20,000."""
    known = figures.shipped().figures
    still = {name: replace(it, low=it.value, high=it.value) for name, it in known.items()}
    volume = Figure(VOLUME, 2e4, 2e4, 2e4, "minutes a month", "the page", None, True)
    return Draws(Catalogue(still), 1, 1, {VOLUME: volume})


def test_the_arithmetic_by_hand_is_what_is_computed() -> None:
    """Each row, worked out from its own formula, is what the page and the code say."""
    text = "version: 1\nname: x\ntraffic: {minutes_per_month: 20000}\nlaw: {jurisdictions: [US]}\n"
    needs, draws = parse_needs(text, "needs.yaml"), fixed()
    known = {it.name: it for it in offers.shipped().offers}
    picked = ("deepgram-nova-3", "gpt-5.4-mini", "deepgram-aura-2")
    topology = Topology({s: known[name] for s, name in zip(STAGES, picked, strict=True)})
    busy = load(needs, draws)
    found = cost(needs, draws, busy, topology, {})
    drift = float(np.mean([0.85 ** (month / 12) for month in range(25)]))
    told = {row: float(value) for row, _, value in ROWS}
    assert told["drift of those three"] == pytest.approx(drift, abs=1e-4)
    for part in ("stt", "llm", "tts", "telephony", "people"):
        worth = float(found.month_usd[part][0]) / 2e4 / (drift if part in STAGES else 1)
        assert told[part] == pytest.approx(worth, abs=6e-6), part
    assert told["in all"] == pytest.approx(float(found.per_minute_usd[0]), abs=2e-5)
    for part, formula, value in ROWS:
        if "average" not in formula:
            python = formula.replace(" x ", " * ").replace("e^(-1/4)", str(math.exp(-1 / 4)))
            assert eval(python, {"__builtins__": {}}) == pytest.approx(float(value), abs=2e-5), part  # noqa: S307  # our own page


def test_one_s_own_speech_by_hand() -> None:
    """Lines, machines, rent and people of the paragraph below the table."""
    text = "version: 1\nname: x\ntraffic: {minutes_per_month: 20000}\nlaw: {jurisdictions: [US]}\n"
    needs, draws = parse_needs(text, "needs.yaml"), fixed()
    busy = load(needs, draws)
    assert (busy.lines[0], gpus_of(draws, busy, "tts")[0]) == (8, 4)
    known = {it.name: it for it in offers.shipped().offers}
    (host,) = (it for it in offers.shipped().hosts if it.name == "nebius")
    topology = Topology(
        {"stt": known["deepgram-nova-3"], "llm": known["gpt-5.4-mini"], "tts": host}
    )
    found = cost(needs, draws, busy, topology, {})
    drift = float(np.mean([1.1 ** (month / 12) for month in range(25)]))
    assert float(found.month_usd["tts"][0]) / drift == pytest.approx(15_177, abs=1)
    assert (found.hired[0], found.month_usd["people"][0]) == (4, 100_000)
