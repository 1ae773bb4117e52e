"""What a run was: everything that is needed to judge it, or to do it again."""

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trunkline
from trunkline.bench.model import Talk
from trunkline.bench.run import Order
from trunkline.errors import InputError

FILE = "manifest.json"
METRICS = {
    "ttft_s": "version 1: intended time to first text or tool call; failed turns infinite",
    "gap_s": "version 1: one token to the next; a turn that broke off adds an infinite one",
    "tokens_per_s": "version 1: tokens after the first over their time; failed turns 0",
}
"""Definitions, each with a version: figures of different versions are not compared."""


def begun(order: Order, talk: Talk, subjects: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """The manifest of a run that begins now; *subjects*: what each of them is, without keys."""
    clock = time.get_clock_info("monotonic")
    return {
        "version": 1,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": None,
        "how": "running",
        "subjects": {name: dict(what) for name, what in subjects.items()},
        "seed": order.seed,
        "blocks": order.blocks,
        "block_s": order.load.duration_s,
        "calls_per_block": order.load.calls,
        "cv": order.cv,
        "talk": asdict(talk),
        "metrics": METRICS,
        "clock": {"kind": clock.implementation, "resolution_s": clock.resolution},
        "trunkline": trunkline.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def ended(manifest: dict[str, Any], how: str, turns: int, loop_lag_max_s: float) -> None:
    """Note how it ended: `whole`, `interrupted` or `failed`."""
    manifest |= {
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "how": how,
        "turns": turns,
        "loop_lag_max_s": round(loop_lag_max_s, 4),
    }


def write(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write it, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{FILE}.part"
    part.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    part.replace(folder / FILE)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of the run in *folder*; `InputError` if there is none."""
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / FILE}: {error}. Give the folder that a `bench run` wrote"
        ) from error
    if not isinstance(found, dict) or found.get("version") != 1:
        raise InputError(f"{folder / FILE}: not the manifest of a run of this version")
    return found
