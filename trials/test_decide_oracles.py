"""`trunkline decide` beside others' code: pymcdm ranks as we do, simpy's queues wait as we say.

The oracles run in an environment of their own (`trials.peers.environment`), made on first use.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trials.peers.environment import python as environment
from trunkline.decide.dimensions import weigh
from trunkline.decide.queueing import erlang_b, erlang_c, wait_s

HERE = Path(__file__).parent
BLOCKED = [(10.0, 15), (4.0, 8), (90.0, 100)]
WAITING = [(7.0, 10, "drawn"), (24.0, 30, "drawn"), (7.0, 10, "fixed"), (24.0, 30, "fixed")]
CUSTOMERS = 200_000
SCV = {"drawn": 1.0, "fixed": 0.0}


def asked(question: dict[str, list[Any]]) -> dict[str, Any]:
    """What the oracles answer."""
    python = environment("oracles")
    ran = subprocess.run(
        [str(python), str(HERE / "peers/decide_oracle.py")],
        input=json.dumps({"rankings": [], "queues": []} | question),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def test_pymcdm_ranks_as_we_do() -> None:
    """Twenty tables of random scores and weights, the same order each time."""
    lots = np.random.default_rng(11)
    tables = [(lots.uniform(1, 100, (27, 5)), lots.dirichlet([2] * 5)) for _ in range(20)]
    question = [{"scores": s.tolist(), "weights": w.tolist()} for s, w in tables]
    for (scores, weights), theirs in zip(
        tables, asked({"rankings": question})["rankings"], strict=True
    ):
        ours = np.argsort(np.argsort(-weigh(scores, list(weights)))) + 1
        assert ours.tolist() == theirs


def test_simpy_blocks_and_waits_as_we_say() -> None:
    """Erlang B within 0.4 points; the p99 wait of M/M/k and M/D/k within a fifth and 30 ms."""
    lost = [queue(a, k, lost=True, kind="drawn") for a, k in BLOCKED]
    waits = [queue(a, k, lost=False, kind=kind) for a, k, kind in WAITING]
    told = asked({"queues": lost + waits})["queues"]
    for (a, k), it in zip(BLOCKED, told, strict=False):
        print(f"B({a:g},{k}): ours {erlang_b(a, k):.4f}, simpy {it['full']:.4f}")
        assert it["full"] == pytest.approx(erlang_b(a, k), abs=0.004)
    for (a, k, kind), it in zip(WAITING, told[len(BLOCKED) :], strict=True):
        ours = wait_s(a, k, 1.0, 0.99, SCV[kind])
        print(
            f"M/{kind}/{k} at {a:g}: C ours {erlang_c(a, k):.3f}, simpy {it['full']:.3f}; "
            f"p99 wait ours {ours:.3f} s, simpy {it['wait_p99_s']:.3f} s"
        )
        assert it["wait_p99_s"] == pytest.approx(ours, rel=0.2, abs=0.03)


def queue(erlangs: float, slots: int, *, lost: bool, kind: str) -> dict[str, Any]:
    """A queue with a service of one second on average."""
    return {
        "erlangs": erlangs,
        "slots": slots,
        "service_s": 1.0,
        "customers": CUSTOMERS,
        "lost": lost,
        "kind": kind,
        "seed": 5,
    }
