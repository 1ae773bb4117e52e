"""What a worker measures of its gateway, as Prometheus reads it.

Text format 0.0.4: Prometheus docs, "Exposition formats", read November 2026. The few lines that
write it are here because a counter that is one dictionary access costs a tenth of the client
library's, and a stream's every request counts four times.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from trunkline.core.health import Breaker

TTFT_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets, around what a caller notices."""
SERIES_MAX = 10_000
"""Label sets of one metric. Labels are names of the configuration: a bound that is never met."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[str, ...]


class Counter:
    """A counter by labels."""

    def __init__(self, name: str, says: str, labels: Labels) -> None:
        self.name, self._says, self._labels = name, says, labels
        self._values: dict[Labels, int] = {}

    def add(self, *values: str, count: int = 1) -> None:
        """*count* more with the label *values*."""
        known = self._values.get(values)
        if known is not None or len(self._values) < SERIES_MAX:
            self._values[values] = (known or 0) + count

    def lines(self, common: Mapping[str, str]) -> Iterable[str]:
        """Itself in the text format."""
        yield from _head(self.name, self._says, "counter")
        for values, count in self._values.items():
            yield f"{self.name}{_labels(common, self._labels, values)} {count}"


class Histogram:
    """Seconds by labels, in the buckets of `TTFT_S`."""

    def __init__(self, name: str, says: str, labels: Labels) -> None:
        self.name, self._says, self._labels = name, says, labels
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def add(self, seconds: float, *values: str) -> None:
        """One more of *seconds* with the label *values*."""
        counts = self._counts.get(values)
        if counts is None:
            if len(self._counts) >= SERIES_MAX:
                return
            counts = self._counts[values] = [0] * (len(TTFT_S) + 1)
            self._sums[values] = 0.0
        counts[bisect_left(TTFT_S, seconds)] += 1
        self._sums[values] += seconds

    def lines(self, common: Mapping[str, str]) -> Iterable[str]:
        """Itself in the text format."""
        yield from _head(self.name, self._says, "histogram")
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip([*map(str, TTFT_S), "+Inf"], counts, strict=True):
                total += count
                labels = _labels(common, (*self._labels, "le"), (*values, bound))
                yield f"{self.name}_bucket{labels} {total}"
            labels = _labels(common, self._labels, values)
            yield f"{self.name}_sum{labels} {self._sums[values]:.6f}"
            yield f"{self.name}_count{labels} {total}"


class Metrics:
    """All of one worker, named *worker* in every line."""

    def __init__(self, worker: str) -> None:
        self._common = {"worker": worker}
        self.requests = Counter(
            "trunkline_gateway_requests_total",
            "Requests that ended, by how: complete, broken, refused, left (by the client).",
            ("route", "model", "outcome"),
        )
        self.attempts = Counter(
            "trunkline_gateway_attempts_total",
            "Attempts by endpoint, why they were made, and their fault (none: it served or lost).",
            ("endpoint", "kind", "fault"),
        )
        self.failovers = Counter(
            "trunkline_gateway_failovers_total",
            "Answers that went over from one endpoint to another.",
            ("from", "to", "fault", "kind"),
        )
        self.ttft = Histogram(
            "trunkline_gateway_ttft_seconds",
            "From a request to the first text of its answer.",
            ("model", "endpoint"),
        )

    def text(self, running: int, breakers: Mapping[str, Breaker]) -> str:
        """All in the text format; *running* requests now, *breakers* by endpoint."""
        lines: list[str] = []
        for metric in (self.requests, self.attempts, self.failovers, self.ttft):
            lines += metric.lines(self._common)
        name = "trunkline_gateway_requests_running"
        lines += _head(name, "Requests that run now.", "gauge")
        lines.append(f"{name}{_labels(self._common, (), ())} {running}")
        name = "trunkline_endpoint_state"
        lines += _head(name, "1 for the state of the endpoint's breaker.", "gauge")
        for endpoint, state in breakers.items():
            labels = _labels(self._common, ("endpoint", "state"), (endpoint, state.value))
            lines.append(f"{name}{labels} 1")
        return "\n".join(lines) + "\n"


def _head(name: str, says: str, kind: str) -> list[str]:
    return [f"# HELP {name} {says}", f"# TYPE {name} {kind}"]


def _labels(common: Mapping[str, str], names: Labels, values: Labels) -> str:
    pairs = [*common.items(), *zip(names, values, strict=True)]
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
