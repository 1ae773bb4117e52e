"""Fit the laws of `testing/laws.yaml` that are called fitted, from public data.

    python scripts/fit_laws.py --turns openbench_turns.csv --arrivals azure_conv.csv

*turns*: openbenchmarks-labs/voice-agent-latency, data/voice-runs (1 August 2026, MIT), one row a
turn with the columns vendor, content_ms and discard: from the end of the caller's speech to the
first audio with content (not "mm-hm", which some platforms play at once) on real phone calls.
*arrivals*: Azure/AzurePublicDataset, AzureLLMInferenceTrace_conv.csv (CC-BY-4.0), requests to a
language model with their TIMESTAMP. Neither file is part of this repository.

The law of each platform's turns is a mixture of a log-normal body and a Pareto tail. For a grid of
tail scales the other four parameters are fitted by expectation maximisation (A. P. Dempster, N. M.
Laird and D. B. Rubin, 1977); the scale with the highest likelihood is taken. How good the fit is,
is said by the Kolmogorov-Smirnov distance to the sample, beside the distance that one sample in
twenty of that size would exceed if the law were true (1.36 / sqrt(n)).
"""

import argparse
import csv
import math
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trunkline.testing.laws import LAWS
from trunkline.testing.simulation.draws import TOKENS_PER_WORD
from trunkline.testing.simulation.worlds import TalkConfig

Floats = NDArray[np.float64]
EARLIEST_S = 0.2
"""An agent that speaks sooner spoke over the caller: it did not answer."""
ROUNDS = 200
erf = np.vectorize(math.erf)


@dataclass(frozen=True, slots=True)
class Fit:
    """A law, the log-likelihood of the sample under it, and its distance from it."""

    median_s: float
    sigma: float
    share: float
    scale_s: float
    shape: float
    likelihood: float
    distance: float


def fitted(x: Floats) -> Fit:
    """The best law for the sample *x*, in seconds."""
    x = np.sort(x)
    scales = np.unique(np.quantile(x, np.linspace(0.5, 0.985, 40)))
    return max((_fit(x, float(scale)) for scale in scales), key=lambda fit: fit.likelihood)


def _fit(x: Floats, scale_s: float) -> Fit:
    late = x >= scale_s
    in_tail = np.where(late, 0.5, 0.0)
    mu, sigma, share, shape, total = 0.0, 1.0, 0.5, 1.0, np.ones_like(x)
    logs, beyond = np.log(x), np.log(np.maximum(x, scale_s) / scale_s)
    for _ in range(ROUNDS):
        body_weight, share = 1.0 - in_tail, float(in_tail.mean())
        mu = float((body_weight * logs).sum() / body_weight.sum())
        sigma = float(np.sqrt((body_weight * (logs - mu) ** 2).sum() / body_weight.sum()))
        shape = float(min(in_tail.sum() / max((in_tail * beyond).sum(), 1e-9), 20.0))
        body = np.exp(-(((logs - mu) / sigma) ** 2) / 2) / (x * sigma * math.sqrt(2 * math.pi))
        tail = np.where(late, shape / scale_s * (scale_s / x) ** (shape + 1), 0.0)
        total = np.maximum((1 - share) * body + share * tail, 1e-300)
        in_tail = share * tail / total
    under = 0.5 * (1 + erf((logs - mu) / (sigma * math.sqrt(2))))
    law = (1 - share) * under + share * np.where(late, 1 - (scale_s / x) ** shape, 0.0)
    steps = np.arange(len(x) + 1) / len(x)
    distance = float(max((steps[1:] - law).max(), (law - steps[:-1]).max()))
    likelihood = float(np.log(total).sum())
    return Fit(math.exp(mu), sigma, share, scale_s, shape, likelihood, distance)


def turns(path: Path) -> tuple[dict[str, Floats], int]:
    """Seconds by vendor, all of them under `all`, and how many turns were left out."""
    found: dict[str, list[float]] = defaultdict(list)
    left_out = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            seconds = float(row["content_ms"] or 0) / 1000
            if row["discard"] or seconds < EARLIEST_S:
                left_out += 1
                continue
            found[row["vendor"]].append(seconds)
            found["all"].append(seconds)
    return {name: np.array(seconds) for name, seconds in sorted(found.items())}, left_out


def ear(sample: Floats, draws: int = 200_000) -> tuple[float, float, float]:
    """Median and spread of what comes before the model is asked, and the distance that is left.

    Nobody can measure it from outside: it is what is missing to the turns of all platforms if the
    model has the law `managed`, the voice `managed_voice`, and sentences are as in `TalkConfig`.
    """
    rng, talk, llm = np.random.default_rng(1), TalkConfig(), LAWS["managed"]
    voice, tail = LAWS[talk.voice], llm.tail
    assert tail is not None  # noqa: S101  # `managed` has one
    normal = rng.standard_normal((5, draws))
    first = llm.ttft_median_s * np.exp(llm.ttft_sigma * normal[0])
    late = tail.scale_s * (1 - rng.random(draws)) ** (-1 / tail.shape)
    first = np.where(rng.random(draws) < tail.share, late, first)
    words = np.clip(np.rint(talk.words_median * np.exp(talk.words_sigma * normal[1])), 2, 30)
    gap = llm.gap_s * TOKENS_PER_WORD * np.exp(llm.speed_sigma * normal[2])
    spoken = voice.ttft_median_s * np.exp(voice.ttft_sigma * normal[3]) + talk.transport_s
    rest, x = first + words * gap + spoken, np.sort(sample)
    steps = np.arange(len(x) + 1) / len(x)
    found = []
    for median in np.arange(0.30, 0.70, 0.01):
        for sigma in np.arange(0.05, 0.65, 0.05):
            told = np.sort(rest + median * np.exp(sigma * normal[4]))
            law = np.searchsorted(told, x) / draws
            distance = max(float((steps[1:] - law).max()), float((law - steps[:-1]).max()))
            found.append((distance, float(median), float(sigma)))
    distance, median, sigma = min(found)
    return median, sigma, distance


def arrivals_shape(path: Path) -> tuple[float, int]:
    """The shape of the gamma law of the gaps between arrivals (1: Poisson), and how many gaps."""
    with path.open(encoding="utf-8", newline="") as file:
        stamps = [datetime.fromisoformat(row["TIMESTAMP"][:26]) for row in csv.DictReader(file)]  # noqa: DTZ007, RUF100  # the trace has no zone, and only differences count
    gaps = np.diff(np.array([(stamp - stamps[0]).total_seconds() for stamp in stamps]))
    return float((gaps.mean() / gaps.std()) ** 2), len(gaps)


def main() -> int:
    """Print YAML for `testing/laws.yaml`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=Path, required=True)
    parser.add_argument("--arrivals", type=Path, required=True)
    options = parser.parse_args()
    samples, left_out = turns(options.turns)
    sys.stdout.write(f"# {left_out} turns left out: discarded by the authors, or before 0.2 s\n")
    for name, sample in samples.items():
        fit = fitted(sample)
        sys.stdout.write(
            f"  phone_{name}:\n    stage: stt\n"
            f"    median_s: {fit.median_s:.4f}\n    sigma: {fit.sigma:.4f}\n"
            f"    tail: {{share: {fit.share:.4f}, scale_s: {fit.scale_s:.4f}, "
            f"shape: {fit.shape:.4f}}}\n"
            f"    fit: {{n: {len(sample)}, ks: {fit.distance:.4f}, "
            f"ks_5_percent: {1.36 / math.sqrt(len(sample)):.4f}}}\n"
        )
    median_s, sigma, distance = ear(samples["all"])
    sys.stdout.write(f"  phone_ear: {{median_s: {median_s:.2f}, sigma: {sigma:.2f}}}  ")
    sys.stdout.write(f"# whole turns: ks {distance:.4f}, n {len(samples['all'])}\n")
    shape, count = arrivals_shape(options.arrivals)
    sys.stdout.write(f"arrivals: {{shape: {shape:.4f}, n: {count}}}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
