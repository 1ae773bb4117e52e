"""Figures: every number that a decision rests on, with its source, its date and its spread.

Prices and priors have one shape. A figure that nobody has published is `assumed`: it says so
wherever it is shown. One whose age is above `STALE_DAYS`, or that has no date, is flagged.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import metadata
from importlib.resources import files
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trunkline.config.load import parse_as
from trunkline.config.shapes import Model, Text
from trunkline.errors import InputError

Array = NDArray[np.float64]
Day: TypeAlias = date
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
STALE_DAYS = 120
"""Older figures are flagged: in 2026 list prices moved by -20 % and +56 % within half a year."""


class GenaiRef(Model):
    """Where genai-prices has this figure: dollars per million tokens."""

    provider: Text = Field(description="the provider's id there")
    model: Text = Field(description="the model's id there")
    of: Literal["input", "cached", "output"] = Field(description="input, cached or output")


class FigureConfig(Model):
    """One figure as it stands in a file."""

    value: Number = Field(description="a number: the most likely value")
    low: Number | None = Field(default=None, description="the least that is plausible")
    high: Number | None = Field(default=None, description="the most that is plausible")
    unit: Text = Field(default="as catalogued", description="its unit")
    source: Text = Field(description="who says so: a page, a quote, a run")
    date: Annotated[Day | None, Field(strict=False)] = Field(
        default=None, description="the day on which that was read, such as 2026-11-20"
    )
    assumed: bool = Field(default=False, description="true if nobody has published it")
    genai: GenaiRef | None = Field(default=None, description="where genai-prices has it")


class FiguresFile(Model):
    """A file of figures."""

    version: Literal[1] = Field(description="1, the version of this format")
    figures: Mapping[str, FigureConfig] = Field(description="a mapping of ids to figures")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its spread (a triangle from *low* over *value* to *high*) and its evidence."""

    id: str
    value: float
    low: float
    high: float
    unit: str
    source: str
    date: Day | None
    assumed: bool = False

    @property
    def known(self) -> bool:
        """Whether it has no spread."""
        return self.low == self.high

    def age_days(self, today: Day) -> int | None:
        """Days since it was read; None if nobody wrote that down."""
        return None if self.date is None else (today - self.date).days

    def stale(self, today: Day) -> bool:
        """Whether it is too old to rely on, or of unknown age. An assumption has no age."""
        age = self.age_days(today)
        return not self.assumed and (age is None or age > STALE_DAYS)

    def at(self, quantile: float | Array) -> Array:
        """The value at *quantile* (0 to 1) of the triangle."""
        q = np.asarray(quantile, dtype=np.float64)
        width = self.high - self.low
        if width == 0:
            return np.full(q.shape, self.value)
        knee = (self.value - self.low) / width
        rising = self.low + np.sqrt(q * width * (self.value - self.low))
        falling = self.high - np.sqrt((1 - q) * width * (self.high - self.value))
        return np.where(q < knee, rising, falling)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All figures by id."""

    figures: Mapping[str, Figure]

    def __getitem__(self, name: str) -> Figure:
        """The figure *name*; `InputError` if there is none."""
        if name not in self.figures:
            raise InputError(f"there is no figure {name!r}. {_near(name, self.figures)}")
        return self.figures[name]

    def overlaid(self, given: Mapping[str, FigureConfig], where: str) -> "Catalogue":
        """With a user's own figures, which replace ours; `InputError` for an unknown id."""
        made = dict(self.figures)
        for name, it in given.items():
            if name not in made:
                raise InputError(f"{where}: figures: unknown id {name!r}. {_near(name, made)}")
            made[name] = _figure(name, it, where, made[name].unit)
        return Catalogue(made)

    def stale(self, today: Day, used: Iterable[str]) -> tuple[Figure, ...]:
        """Those of *used* that are too old, or of unknown age."""
        return tuple(it for name in sorted(used) if (it := self[name]).stale(today))


class Draws:
    """Values of figures in *count* possible worlds; the same *seed* gives the same worlds.

    Each figure has random numbers of its own, so that a world does not depend on who asks first,
    and every topology is judged in the same worlds. Measured spreads replace figures by `given`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seed: int,
        count: int,
        given: Mapping[str, Figure] | None = None,
        pinned: Mapping[str, Array] | None = None,
    ) -> None:
        self._catalogue, self._given = catalogue, given or {}
        self._seed, self.count, self._pinned = seed, count, pinned
        self.used: dict[str, Array] = {}

    def figure(self, name: str) -> Figure:
        """The figure behind *name*: what was measured, else the catalogue's."""
        return self._given[name] if name in self._given else self._catalogue[name]

    def of(self, name: str) -> Array:
        """Shape (count,): *name* in every world; if `pinned`, at its quantiles, else 0.5."""
        if name not in self.used:
            q = np.full(self.count, 0.5)
            if self._pinned is None:
                q = np.random.default_rng([self._seed, zlib.crc32(name.encode())]).random(
                    self.count
                )
            elif name in self._pinned:
                q = self._pinned[name]
            self.used[name] = self.figure(name).at(q)
        return self.used[name]

    def unknowns(self) -> tuple[str, ...]:
        """The figures that were asked for and have a spread."""
        return tuple(sorted(it for it in self.used if not self.figure(it).known))


@cache
def shipped() -> Catalogue:
    """The figures that ship, with LLM prices from genai-prices where that is installed."""
    found: dict[str, Figure] = {}
    for name in ("prices.yaml", "priors.yaml"):
        text = files("trunkline.decide").joinpath("data", name).read_text(encoding="utf-8")
        read, _ = parse_as(FiguresFile, text, name, "prices.yaml of trunkline.decide")
        for key, it in read.figures.items():
            found[key] = _figure(key, it, name, it.unit)
            if it.genai is not None and (value := _genai(it.genai)) is not None:
                found[key] = _by_genai(found[key], value)
    return Catalogue(found)


def _figure(name: str, it: FigureConfig, where: str, unit: str) -> Figure:
    low = it.value if it.low is None else it.low
    high = it.value if it.high is None else it.high
    if not low <= it.value <= high:
        raise InputError(
            f"{where}: figures.{name}: low {low:g}, value {it.value:g}, high {high:g} are not in "
            "that order. Write low <= value <= high"
        )
    return Figure(name, it.value, low, high, unit, it.source, it.date, it.assumed)


def _by_genai(figure: Figure, value: float) -> Figure:
    """*figure* as genai-prices has it. It states no date: where it differs, the age is unknown."""
    if value == figure.value:
        return figure
    source = f"genai-prices {metadata.version('genai-prices')}, as installed"
    return Figure(figure.id, value, value, value, figure.unit, source, None)


def _genai(ref: GenaiRef) -> float | None:
    try:
        import genai_prices  # noqa: PLC0415  # optional: only if it is installed
    except ImportError:
        return None
    tokens = 1_000_000
    usage = {
        "input": genai_prices.Usage(input_tokens=tokens),
        "cached": genai_prices.Usage(input_tokens=tokens, cache_read_tokens=tokens),
        "output": genai_prices.Usage(output_tokens=tokens),
    }[ref.of]
    try:
        found = genai_prices.calc_price(usage, model_ref=ref.model, provider_id=ref.provider)
    except LookupError:  # a model that it does not know (any more): ours stands, with its date
        return None
    return float(found.total_price)


def _near(name: str, known: Iterable[str]) -> str:
    from trunkline.config.checks import did_you_mean  # noqa: PLC0415  # only for an error

    return did_you_mean(name, known)
