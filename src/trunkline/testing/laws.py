"""Latency laws: how long stages take and how they get into trouble, as distributions.

A law draws one `TokenTiming` per request. The time to the first useful token (of a recogniser: to
the final transcript after the caller's speech; of a synthesiser: to the first audio) is log-normal
with, for some requests, a Pareto tail instead (the shape that public pings of managed models show:
a tight body and rare, very late answers). The speed is drawn once per request, the gap between two
tokens scatters around it. `Troubles` are what befalls a share of requests on top of that.

They are models of machines we did not measure. The numbers are data, in `laws.yaml`; each entry
says which of its numbers were published, which were fitted (`scripts/fit_laws.py`) and which were
assumed.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from trunkline.config.tree import read
from trunkline.errors import InputError
from trunkline.types import LLM, StageName


@dataclass(frozen=True, slots=True)
class ParetoTail:
    """A *share* of requests waits `scale_s * U**(-1/shape)` seconds instead (0 < U <= 1)."""

    share: float
    scale_s: float
    shape: float


@dataclass(frozen=True, slots=True)
class TokenTiming:
    """The timing of one request: *ttft_s* to the first token, then `gaps()` between tokens."""

    ttft_s: float
    gap_s: float
    gap_sigma: float
    seed: int

    def gaps(self) -> Iterator[float]:
        """Seconds before the second, third ... token, endlessly, the same at every call.

        Log-normal with mean *gap_s* and shape *gap_sigma*.
        """
        rng = random.Random(self.seed)  # noqa: S311  # a simulation, to be repeated by its seed
        mu = math.log(self.gap_s) - self.gap_sigma**2 / 2 if self.gap_s else -math.inf
        while True:
            yield math.exp(rng.gauss(mu, self.gap_sigma)) if self.gap_s else 0.0


@dataclass(frozen=True, slots=True)
class Law:
    """Log-normal time to first token (*ttft_median_s*, *ttft_sigma*) with an optional *tail*.

    *gap_s* is the median over requests of a request's mean gap between tokens, *speed_sigma* its
    log-normal spread from request to request, *gap_sigma* the spread of gaps inside a request.
    """

    name: str
    ttft_median_s: float
    ttft_sigma: float
    gap_s: float
    speed_sigma: float
    gap_sigma: float
    tail: ParetoTail | None = None
    stage: StageName = LLM
    source: str = ""

    def draw(self, rng: random.Random) -> TokenTiming:
        """One request's timing; takes the same number of draws from *rng* whatever comes out."""
        late = rng.random()
        body_s = self.ttft_median_s * math.exp(rng.gauss(0.0, self.ttft_sigma))
        stretch = rng.random()
        gap_s = self.gap_s * math.exp(rng.gauss(0.0, self.speed_sigma))
        seed = rng.getrandbits(64)
        if self.tail is not None and late < self.tail.share:
            body_s = self.tail.scale_s * (1.0 - stretch) ** (-1.0 / self.tail.shape)
        return TokenTiming(body_s, gap_s, self.gap_sigma, seed)

    def timing(self, seed: int, ordinal: int) -> TokenTiming:
        """The timing of request number *ordinal*: keyed, so that no other request shifts it."""
        return self.draw(random.Random(f"{seed}:{ordinal}"))  # noqa: S311  # see TokenTiming.gaps


@dataclass(frozen=True, slots=True)
class Troubles:
    """What befalls requests: shares of them, of which a request gets one at most.

    *error*: an error after *error_after_s*; *hang*: nothing ever comes; *hiccup*: a pause of
    log-normal length in mid-answer; *stall*: a Pareto pause of at least *stall_scale_s*, which for
    a share *stall_for_good* never ends; *cut*: the connection breaks in mid-answer; *drip*: from
    some word on, *drip_tokens_per_s* only.
    """

    error: float = 0.0
    hang: float = 0.0
    hiccup: float = 0.0
    stall: float = 0.0
    cut: float = 0.0
    drip: float = 0.0
    error_after_s: float = 0.2
    hiccup_median_s: float = 0.5
    hiccup_sigma: float = 0.5
    stall_scale_s: float = 2.0
    stall_shape: float = 1.0
    stall_for_good: float = 0.3
    drip_tokens_per_s: float = 3.0
    source: str = ""


def _load() -> tuple[Mapping[str, Law], Mapping[str, Troubles], float]:
    """The data of the package, which tests check: no server that starts is to wait for that."""
    text = (files("trunkline.testing") / "laws.yaml").read_text(encoding="utf-8")
    data, _, errors = read(text, "laws.yaml")
    if errors:
        raise errors[0]
    told: Any = data
    laws = {name: _law(name, it) for name, it in told["laws"].items()}
    troubles = {name: Troubles(**it) for name, it in told["troubles"].items()}
    return MappingProxyType(laws), MappingProxyType(troubles), float(told["arrivals"]["shape"])


def _law(name: str, told: Mapping[str, Any]) -> Law:
    told = dict(told)
    tail = told.pop("tail", None)
    return Law(
        name,
        ttft_median_s=told.pop("median_s"),
        ttft_sigma=told.pop("sigma"),
        gap_s=told.pop("gap_s", 0.0),
        speed_sigma=told.pop("speed_sigma", 0.0),
        gap_sigma=told.pop("gap_sigma", 0.0),
        tail=None if tail is None else ParetoTail(**tail),
        stage=StageName(told.pop("stage")),
        **told,
    )


LAWS, TROUBLES, ARRIVALS_SHAPE = _load()


def law_named(name: str) -> Law:
    """The preset called *name*; `InputError` names them all."""
    if name not in LAWS:
        raise InputError(f"there is no latency law {name!r}. Choose one of: {', '.join(LAWS)}")
    return LAWS[name]
