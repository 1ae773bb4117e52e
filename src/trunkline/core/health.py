"""What a worker knows of one endpoint, and whether callers may be sent there.

    closed ---- sick ----> open ---- 3 good probes ----> half-open ---- 15 s ----> closed
                            ^---------------- sick ------------|
    any ---- refused for its configuration ----> misconfigured (for ever: a person must mend it)

*Sick*: most of the attempts of the last 4 s were slow or failed, or three in a row failed or were
slow, whatever the time between them (an idle worker must learn too). A first token in time ends a
row of slow ones; a row of failures ends with an answer that was served. An open endpoint gets
one-token probes at a constant rate and no live caller; a half-open one gets 5, 25, 100 % of the new
calls, 5 s each. Where nobody probes, an open endpoint is half-open after `UNPROBED_S`.

Pushback (429) is no sickness: the endpoint stands back until the time it gave, else for a pause
that doubles.

A refusal (400, 401, 403, 404) means configuration, and somebody must be told, when the endpoint has
never served, or at the second in a row: one caller's prompt may be at fault for one.

The score of an endpoint is E[x + 2 (x - 1 s)+] + 5 s x fault rate, x its time to first token: late
answers count threefold, a broken one as five seconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from trunkline.core.decay import MIDDLES, SLOW_S, Histogram, Law, Rate, lognormal
from trunkline.errors import Fault

PSEUDO_COUNT = 40.0
TAU_S = 20.0
GAP_TAU_S = 120.0  # gaps beyond the 99.9th percentile are rare: they need a longer memory
SICK_TAU_S = 4.0
SICK_SHARE = 0.5
SICK_IN_A_ROW = 3
PROBE_EVERY_S = 15.0
PROBES_GOOD = 3
UNPROBED_S = 60.0
SHARES = (0.05, 0.25, 1.0)
SHARE_S = 5.0
PUSHBACK_S, PUSHBACK_MAX_S = 1.0, 30.0
FAULT_COST_S = 5.0
READ_AGAIN_S = 1.0
COSTS = tuple(x + 2 * max(0.0, x - 1) for x in MIDDLES)
NO_SICKNESS = {Fault.THROTTLED, Fault.REFUSED}
"""Faults that have rules of their own."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of an endpoint that was never measured; without more, the worst.

    Time to first useful token: median and p95 of its body, share of slow requests beyond it, in
    seconds. *sentence_s* comes on top for a whole sentence, *gap_p999_s* is between tokens.
    """

    ttft_p50_s: float = 0.8
    ttft_p95_s: float = 1.1
    slow_share: float = 0.05
    sentence_s: float = 0.3
    gap_p999_s: float = 0.6
    fault_share: float = 0.005


class Breaker(StrEnum):
    """Who is sent to an endpoint."""

    CLOSED = "closed"  # every caller
    HALF_OPEN = "half_open"  # a growing share of new calls
    OPEN = "open"  # probes
    MISCONFIGURED = "misconfigured"  # nobody, until a person has mended it


class Measure(StrEnum):
    """What was measured of an attempt."""

    FIRST = "first"  # seconds to its first useful token
    SLOW = "slow"  # silent for `SLOW_S`
    CANCELLED = "cancelled"  # cancelled while it was silent, after so many seconds
    SENTENCE = "sentence"  # seconds to its first complete sentence
    GAP = "gap"  # seconds between two useful tokens


class Health:
    """One endpoint as one worker knows it. Times are monotonic seconds and do not go back."""

    __slots__ = (
        "_breaker", "_faults", "_gap", "_gaps", "_good_probes", "_in_a_row", "_probe_at", "_pushed",
        "_quantile", "_recent", "_refused", "_sentences", "_served", "_since", "_slow_in_a_row",
        "_ttft",
        "pushed_back_until",
    )  # fmt: skip

    def __init__(self, expected: Expected) -> None:
        e, n0 = expected, PSEUDO_COUNT
        body = lognormal(e.ttft_p50_s, e.ttft_p95_s, e.slow_share)
        said = lognormal(e.ttft_p50_s + e.sentence_s, e.ttft_p95_s + e.sentence_s, e.slow_share)
        gaps = lognormal(e.gap_p999_s / 8, e.gap_p999_s / 8 * 3.03)  # z: 3.09 / 1.645 = 1.88
        self._ttft = Histogram(body, n0=n0, tau_s=TAU_S, costs=COSTS)
        self._sentences = Histogram(said, n0=n0, tau_s=TAU_S)
        self._gaps = Histogram(gaps, n0=n0, tau_s=GAP_TAU_S)
        self._faults = Rate(e.fault_share, n0=n0, tau_s=TAU_S)
        self._recent = Rate(0.15, n0=3.0, tau_s=SICK_TAU_S)
        self._breaker, self._since = Breaker.CLOSED, 0.0
        self._slow_in_a_row = self._in_a_row = self._refused = self._pushed = self._good_probes = 0
        self._served = False
        self._probe_at = 0.0
        self.pushed_back_until = 0.0
        self._quantile = self._gap = (0.0, -READ_AGAIN_S)

    # -- what happens ----------------------------------------------------------------------------

    def measured(self, what: Measure, seconds: float, now: float, count: float = 1.0) -> bool:
        """Book a measurement; whether it changed who may be sent here."""
        match what:
            case Measure.FIRST:
                self._ttft.add(seconds, now)
                return seconds < SLOW_S and self._well(now)
            case Measure.SLOW:
                self._ttft.add_slow(now)
                self._sentences.add_slow(now)
                return self._late(now, 1.0)
            case Measure.CANCELLED:
                self._sentences.add_censored(seconds, now)
                return self._late(now, self._ttft.add_censored(seconds, now))
            case Measure.SENTENCE:
                self._sentences.add(seconds, now)
            case Measure.GAP:
                self._gaps.add(seconds, now, count)
            case _:
                assert_never(what)
        return False

    def failed(self, fault: Fault, now: float, retry_after_s: float | None = None) -> bool:
        """An attempt failed; whether it changed who may be sent here."""
        if fault is Fault.THROTTLED:
            pause_s = PUSHBACK_S * 2.0 ** min(self._pushed, 16)
            self._pushed += 1
            until = now + min(pause_s if retry_after_s is None else retry_after_s, PUSHBACK_MAX_S)
            self.pushed_back_until = max(self.pushed_back_until, until)
        if fault is Fault.REFUSED:
            self._refused += 1
            if self._breaker is not Breaker.MISCONFIGURED and (
                self._refused > 1 or not self._served
            ):
                self._breaker, self._since = Breaker.MISCONFIGURED, now
                return True
        if fault in NO_SICKNESS:
            return False
        self._faults.add(1.0, now)
        self._in_a_row += 1
        return self._bad(now, 1.0)

    def served(self, now: float) -> None:
        """An attempt completed."""
        self._served = True
        self._refused = self._pushed = self._in_a_row = self._slow_in_a_row = 0
        self._faults.add(0.0, now)

    def probed(self, seconds: float | None, now: float) -> bool:
        """A probe's first token came after *seconds* (None: not in time); whether it mends it."""
        if seconds is None or seconds >= SLOW_S:
            self._good_probes = 0
            self._ttft.add_slow(now)
            return False
        self._ttft.add(seconds, now)
        self._good_probes += 1
        if self._breaker is not Breaker.OPEN or self._good_probes < PROBES_GOOD:
            return False
        self._half_open(now)
        return True

    # -- who may be sent here --------------------------------------------------------------------

    def breaker(self, now: float) -> Breaker:
        """The state, after what time alone changes."""
        if self._breaker is Breaker.OPEN and now >= max(self._since, self._probe_at) + UNPROBED_S:
            self._half_open(now)
        if self._breaker is Breaker.HALF_OPEN and now >= self._since + SHARE_S * len(SHARES):
            self._breaker, self._since = Breaker.CLOSED, now
        return self._breaker

    def admits(self, draw: float | None, now: float) -> bool:
        """Whether a call is sent here; *draw* in [0, 1) is the call's, None: it is no new one."""
        breaker = self.breaker(now)
        if breaker is Breaker.HALF_OPEN:
            share = SHARES[min(int((now - self._since) / SHARE_S), len(SHARES) - 1)]
            return draw is not None and draw < share
        return breaker is Breaker.CLOSED

    def probe_due(self, now: float) -> float | None:
        """When the next probe is due, or None: it is open to callers, or a person must mend it."""
        return self._probe_at if self.breaker(now) is Breaker.OPEN else None

    def probing(self, now: float) -> None:
        """A probe is sent."""
        self._probe_at = now + PROBE_EVERY_S

    # -- what to expect of it --------------------------------------------------------------------

    def score(self, now: float) -> float:
        """Seconds; the lower the better."""
        return self._ttft.cost(now) + FAULT_COST_S * self._faults.share(now)

    def ttft(self, now: float) -> Law:
        """The law of its time to first useful token."""
        return self._ttft.law(now)

    def sentence_q95_s(self, now: float) -> float:
        """The 95th percentile of its time to a complete sentence; read anew every second."""
        if now >= self._quantile[1] + READ_AGAIN_S:
            self._quantile = self._sentences.quantile(0.95, now), now
        return self._quantile[0]

    def gap_p999_s(self, now: float) -> float:
        """The 99.9th percentile of its gaps between tokens; read anew every second."""
        if now >= self._gap[1] + READ_AGAIN_S:
            self._gap = self._gaps.quantile(0.999, now), now
        return self._gap[0]

    # -- inside ----------------------------------------------------------------------------------

    def _well(self, now: float) -> bool:
        self._recent.add(0.0, now)
        self._slow_in_a_row = 0
        return False

    def _late(self, now: float, surely: float) -> bool:
        """An attempt was slow, or likely so."""
        self._slow_in_a_row += surely > SICK_SHARE
        return self._bad(now, surely)

    def _bad(self, now: float, surely: float) -> bool:
        """An attempt was slow or failed, or likely so."""
        self._recent.add(surely, now)
        row = max(self._in_a_row, self._slow_in_a_row)
        sick = row >= SICK_IN_A_ROW or self._recent.share(now) > SICK_SHARE
        if not sick or self.breaker(now) not in {Breaker.CLOSED, Breaker.HALF_OPEN}:
            return False
        self._breaker, self._since, self._good_probes = Breaker.OPEN, now, 0
        self._probe_at = now + PROBE_EVERY_S
        return True

    def _half_open(self, now: float) -> None:
        self._breaker, self._since = Breaker.HALF_OPEN, now
        self._recent.forget()
        self._in_a_row = self._slow_in_a_row = 0
