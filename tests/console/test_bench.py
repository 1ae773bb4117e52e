"""Reports and comparisons of runs that are files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trunkline.bench import manifest
from trunkline.bench.figures import Run, load
from trunkline.bench.model import Talk
from trunkline.bench.run import Order
from trunkline.bench.subjects import Server, Wanted
from trunkline.bench.turns import Turn, TurnFile
from trunkline.console import bench_report, benching
from trunkline.console.bench_commands import INTERRUPTED, bench_app
from trunkline.console.bench_compare import FAILED, compared, told
from trunkline.console.bench_plan import planned
from trunkline.console.benching import BenchOrder, servers
from trunkline.errors import InputError
from trunkline.measure.arrivals import steps

ORDER = Order(steps([(4.0, 10.0)]), 56)


def recorded(folder: Path, slower: Mapping[str, float], seed: int = 1) -> Run:
    """A run of 56 blocks of 40 turns for each of the subjects, each so many times as slow.

    A subject slower than 100 times fails every 12th turn instead.
    """
    rng = np.random.default_rng(seed)
    about = manifest.begun(ORDER, Talk(), {name: {"model": "m|<b>"} for name in slower})
    with TurnFile(folder) as file:
        for block in range(56):
            level = rng.lognormal(0, 0.2)
            for name, times in slower.items():
                for call in range(40):
                    lost = times > 100 and call % 12 == 0
                    first = block * 10 + level * rng.lognormal(-1, 0.3) * (
                        times if times < 100 else 1
                    )
                    file.add(
                        Turn(
                            name,
                            block,
                            call,
                            0,
                            block * 10.0,
                            0.0,
                            block * 10.0,
                            first,
                            first + 0.4,
                        )
                        if not lost
                        else Turn(name, block, call, 0, block * 10.0, 0.0, fault="silent")
                    )
    manifest.ended(about, "whole", file.count, 0.001)
    manifest.write(folder, about)
    return load(folder)


def test_a_report_is_one_page_that_escapes_what_it_is_given(tmp_path: Path) -> None:
    """Markdown and HTML tell the same figures; no script, nothing fetched, small."""
    run = recorded(tmp_path / "run", {"<script>|x": 1.0, "quick": 0.5})
    paths = bench_report.write([run], tmp_path / "out")
    page, text = (it.read_text("utf-8") for it in paths)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<path") == 4
    assert "http" not in page.replace("http-equiv", "")
    assert len(page) < 100_000
    rows = [
        line for line in text.splitlines() if line.startswith("| quick | time to first token |")
    ]
    assert [row.split(" | ")[2] for row in rows] == ["p50", "p95", "p99"]
    assert "not estimable" in text  # there are no gaps
    for row in rows:
        assert row.split(" | ")[3].split()[0] in page


def test_a_slower_subject_of_one_run_is_found_and_an_equal_one_is_not(tmp_path: Path) -> None:
    """Ten percent, block by block; the interval holds the truth."""
    run = recorded(tmp_path, {"a": 1.0, "b": 1.1, "c": 1.0})
    worse = compared(run, run, [("a", "b")])
    p95 = next(it for it in worse if it.what == "ttft_s p95")
    assert p95.worse
    assert p95.difference.low is not None
    assert p95.difference.high is not None
    assert p95.difference.low < 1.1 < p95.difference.high
    assert "Regression: b: ttft_s" in told(worse)
    equal = compared(run, run, [("a", "c")])
    assert not any(it.worse for it in equal)
    assert "No regression shown" in told(equal)
    assert not any(it.worse for it in compared(run, run, [("b", "a")]))


def test_two_runs_are_compared_and_a_margin_is_allowed(tmp_path: Path) -> None:
    """Twice as slow is worse than another day; not beyond a margin of 150 %."""
    before, after = recorded(tmp_path / "a", {"m": 1.0}), recorded(tmp_path / "b", {"m": 2.0}, 2)
    assert any(it.worse for it in compared(before, after))
    assert not any(it.worse for it in compared(before, after, margin=1.5))
    assert not any(it.worse for it in compared(after, before))


def test_turns_that_fail_are_a_regression_of_their_own(tmp_path: Path) -> None:
    """8 % of them; the medians are alike."""
    run = recorded(tmp_path, {"a": 1.0, "b": 1000.0})
    found = {it.what: it for it in compared(run, run, [("a", "b")])}
    assert found[FAILED].worse
    assert found[FAILED].shares == pytest.approx((0, 0.1), abs=0.03)
    assert found["ttft_s p95"].worse


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    """No common subject, one with itself, none of the name, other definitions."""
    a, b = recorded(tmp_path / "a", {"x": 1.0}), recorded(tmp_path / "b", {"y": 1.0})
    with pytest.raises(InputError, match="--subject-a"):
        compared(a, b)
    with pytest.raises(InputError, match="--subject-a"):
        compared(a, a)
    with pytest.raises(InputError, match="no subject 'z'"):
        compared(a, b, [("x", "z")])
    other = Run(b.folder, {**b.manifest, "metrics": {"ttft_s": "version 2"}}, b.turns, b.figures)
    with pytest.raises(InputError, match="differ in metrics"):
        compared(a, other, [("x", "y")])


def test_a_pilot_says_how_much_more_to_measure(tmp_path: Path) -> None:
    """Blocks like its own, fewer for a wider interval, and what they cost; or that it is too small.

    56 blocks of 40 turns have some +-10 % at p95, so that a third of it takes nine times as many.
    """
    run = recorded(tmp_path, {"m": 1.0})
    (wide,), (narrow,) = (planned(run, 0.95, width, 0.5) for width in (0.2, 0.03))
    assert "takes 56 blocks of 40 calls, 2240 calls in all, cost 1120.00" in wide
    blocks = int(narrow.partition("takes ")[2].partition(" blocks")[0])
    assert 200 < blocks < 1_200
    with pytest.raises(InputError, match="at least 3688 turns"):
        planned(run, 0.999, 0.1, 0.0)


def test_each_option_of_a_run_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its status is that of a run that was interrupted."""
    seen: list[BenchOrder] = []

    def bench(order: BenchOrder, _: object) -> bool:
        seen.append(order)
        recorded(order.out, {"m": 1.0})
        return False

    monkeypatch.setattr(benching, "bench", bench)
    words = (
        "--url http://a/v1 --model m --key-env K --rate 3 --cv 2 --block-s 7 --blocks 9 --turns 5"
    )
    more = f"--think-s 0.5 --patience-s 4 --seed 8 --out {tmp_path / 'x'}"
    ended = CliRunner().invoke(bench_app, ["run", *words.split(), *more.split()])
    assert ended.exit_code == INTERRUPTED
    (given,) = seen
    assert given.wanted.servers == [Server("http://a/v1", "m", "K")]
    assert given.talk == Talk(turns=5, think_s=0.5, patience_s=4)
    order = given.order
    assert (order.load.calls, order.load.duration_s) == (21, 7)
    assert (order.blocks, order.cv, order.seed) == (9, 2, 8)


def test_orders_that_name_nothing_to_measure_say_what_is_missing() -> None:
    """Neither endpoint nor server; models that do not fit their URLs."""
    with pytest.raises(InputError, match="nothing to measure"):
        Wanted(None, (), ())
    with pytest.raises(InputError, match="give its file"):
        Wanted(None, ("a",), ())
    with pytest.raises(InputError, match="each URL its model"):
        servers(["http://a"], [], [])
    with pytest.raises(InputError, match="one each"):
        servers(["http://a", "http://b"], ["m", "m"], ["K"])
    (one,) = servers(["http://a:1/v1"], ["m"], ["K"])
    assert one == Server("http://a:1/v1", "m", "K")
    assert one.name == "m@a:1"
