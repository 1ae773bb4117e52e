"""Latency laws: how long models take, as distributions with their sources.

A law draws one `TokenTiming` per request. The time to the first useful token is log-normal with,
for some requests, a Pareto tail instead (the shape that public pings of managed models show: a
tight body and rare, very late answers). The speed is drawn once per request, the gap between two
tokens scatters around it.

They are models of machines we did not measure. Each preset says which of its numbers were
published and which were assumed.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trunkline.errors import InputError


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


def _median(mean: float, sigma: float) -> float:
    return mean / math.exp(sigma**2 / 2)


def instant() -> Law:
    """No time at all: for tests of what is said, not when."""
    return Law("instant", 0.0, 0.0, 0.0, 0.0, 0.0)


def self_hosted_8b() -> Law:
    """Llama 3.1 8B on one H100 at 50 concurrent requests.

    Published: mean TTFT 67 ms, mean gap 5.9 ms (NVIDIA NIM for LLMs 1.8.0 performance page, read
    2026-11-09). They are means, not percentiles: the spreads (0.28, 0.1, 0.2) are assumed.
    """
    return Law("self_hosted_8b", _median(0.067, 0.28), 0.28, _median(0.0059, 0.1), 0.1, 0.2)


def self_hosted_8b_busy() -> Law:
    """The same at 100 concurrent requests: mean TTFT 120 ms, mean gap 7.6 ms; spreads assumed."""
    return Law("self_hosted_8b_busy", _median(0.120, 0.28), 0.28, _median(0.0076, 0.1), 0.1, 0.2)


def managed() -> Law:
    """A managed API on a good day: p50 0.53 s, p95 0.90 s, p99 2.4 s, p99.9 11 s; 75 tokens/s.

    Body and tail fitted to modelstats.ai pings of small OpenAI, Google and Anthropic models (24 h
    windows, about 288 pings each) and the tail of pipecat issue 1795 (30,000 points). The spread
    of speeds (0.3) and of gaps (0.2) is assumed.
    """
    return Law("managed", 0.53, 0.28, 1 / 75, 0.3, 0.2, ParetoTail(0.02, 1.5, 1.5))


def managed_independent() -> Law:
    """A slower managed API with a lighter tail, as a backup: assumed, in scale with `managed`."""
    return Law("managed_independent", 0.70, 0.30, 1 / 75, 0.3, 0.2, ParetoTail(0.01, 1.5, 1.8))


def brown_out() -> Law:
    """A managed API in a brown-out: p50 about 2 s, p95 8 s, p99 29 s.

    Assumed; the shape follows the incident reports of Deepgram (18 October 2024) and pipecat
    issue 5804.
    """
    return Law("brown_out", 1.6, 0.6, 1 / 75, 0.3, 0.2, ParetoTail(0.25, 2.0, 1.2))


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        law.name: law
        for law in (
            instant(),
            self_hosted_8b(),
            self_hosted_8b_busy(),
            managed(),
            managed_independent(),
            brown_out(),
        )
    }
)


def law_named(name: str) -> Law:
    """The preset called *name*; `InputError` names them all."""
    if name not in LAWS:
        raise InputError(f"there is no latency law {name!r}. Choose one of: {', '.join(LAWS)}")
    return LAWS[name]
