"""Where everything of the data-flow map is: boxes for zones, arrows for data classes, in pixels.

The worker stands in the middle, the carrier on its left, everybody who gets something on its right,
grouped by the law that applies there: a border is a frame, and an arrow into it is a transfer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from trunkline.console.register import CARRIER, Recipient, Register
from trunkline.console.typeset import text_px

WIDTH: Final = 1080.0
_TOP, _GAP, _HEAD, _LINE, _PAD = 46.0, 18.0, 64.0, 30.0, 14.0
_CARRIER_X, _WORKER_X, _ZONES_X = 20.0, 270.0, 700.0
_SIDE_W, _ZONE_W = 150.0, 340.0
TEXT_PX: Final = 13.0


@dataclass(frozen=True, slots=True)
class Box:
    """A zone, or the worker; *lines* are its text, the first one in bold."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...] = ()
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """Data on its way from *x1* to *x2* at height *y*; *bad*: it was, or would be, refused."""

    x1: float
    x2: float
    y: float
    label: str
    bad: bool = False


@dataclass(slots=True)
class Map:
    """Everything to be drawn."""

    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    borders: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)


def flow_map(found: Register) -> Map:
    """The map of a register."""
    made = Map()
    others = [it for it in found.recipients if CARRIER not in it.purposes]
    y = _TOP
    for jurisdiction in dict.fromkeys(it.jurisdiction for it in others):
        top = y
        y += _TOP - _PAD
        for it in (one for one in others if one.jurisdiction == jurisdiction):
            y = _zone(made, found, it, y) + _GAP
        frame = Box(_ZONES_X - _PAD, top, _ZONE_W + 2 * _PAD, y - top, (_law(jurisdiction),))
        made.borders.append(frame)
        y += _GAP
    made.height = max(y, _TOP + 140)
    worker = Box(_WORKER_X, _TOP, _SIDE_W, made.height - _TOP - _GAP, ("the worker",))
    made.boxes.append(worker)
    _carrier(made, found, worker)
    return made


def _law(jurisdiction: str) -> str:
    return "on the premises" if jurisdiction == "none" else f"law of: {jurisdiction}"


def _zone(made: Map, found: Register, it: Recipient, y: float) -> float:
    """Draw a recipient at *y*; where it ends."""
    ways = _ways(found, it)
    box = Box(
        _ZONES_X,
        y,
        _ZONE_W,
        _HEAD + _LINE * len(ways),
        tuple(
            _cut(line, _ZONE_W)
            for line in (
                it.processor,
                f"{it.zone}: {it.kind}, {it.region}",
                f"keeps: {it.retention}; learns from it: {'yes, or may' if it.trains else 'no'}",
            )
        ),
        bool(it.refused),
    )
    made.boxes.append(box)
    for at, (label, bad) in enumerate(ways):
        height = y + _HEAD + _LINE * at + _LINE / 2
        made.arrows.append(Arrow(_WORKER_X + _SIDE_W, _ZONES_X, height, label, bad))
    return y + box.height


def _ways(found: Register, it: Recipient) -> Sequence[tuple[str, bool]]:
    """What goes there: as declared, with the times it really did, and what was refused."""
    if found.flows is None:
        return [(str(category), bool(it.refused)) for category in it.categories]
    mine = [flow for flow in found.flows if flow.zone == it.zone and flow.endpoint in it.endpoints]
    ways: list[tuple[str, bool]] = []
    kinds = dict.fromkeys((*map(str, it.categories), *(flow.data_class for flow in mine)))
    for kind in kinds:
        for allowed in (True, False):
            times = sum(f.times for f in mine if (f.data_class, f.allowed) == (kind, allowed))
            if times or allowed:
                ways.append((f"{kind}: {times} {'sent' if allowed else 'refused'}", not allowed))
    return ways


def _carrier(made: Map, found: Register, worker: Box) -> None:
    declared = next((it for it in found.recipients if CARRIER in it.purposes), None)
    lines: tuple[str, ...] = ("the carrier", "in no zone:", "residency.carrier")
    if declared is not None:
        lines = (declared.processor, f"{declared.zone}, {declared.jurisdiction}")
    box = Box(_CARRIER_X, worker.y, _SIDE_W, 110.0, tuple(_cut(it, _SIDE_W) for it in lines))
    made.boxes.append(box)
    end = _CARRIER_X + _SIDE_W
    made.arrows.append(Arrow(worker.x, end, worker.y + 90, "audio"))


def _cut(text: str, width_px: float) -> str:
    """*text*, as much as fits; what is cut is whole in the table."""
    room = (width_px - 20) / 1.1  # the first line is bold
    if text_px(text, TEXT_PX) <= room:
        return text
    while text and text_px(text + "…", TEXT_PX) > room:
        text = text[:-1]
    return text + "…"
