"""Is one run worse than another? For people, and by its exit status for CI.

Subjects of the same run met in the same blocks and are compared block by block; runs of different
times are not. All percentiles, and the share of turns that failed, are one family of tests (Holm).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trunkline.bench.figures import Run, fair, observed
from trunkline.bench.turns import Turn
from trunkline.errors import InputError
from trunkline.measure.intervals import Observed
from trunkline.measure.paired import Difference, compare, excess, holm

METRICS = (("ttft_s", 0.5), ("ttft_s", 0.95), ("ttft_s", 0.99), ("gap_s", 0.5), ("gap_s", 0.99))
FAILED = "failed turns"


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison of *a* and *b*. *worse*: significantly so, beyond the margin.

    *shares*: of failed turns, in A and B, where that is *what* was compared.
    """

    a: str
    b: str
    what: str
    difference: Difference
    significant: bool
    worse: bool
    shares: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Test:
    a: str
    b: str
    what: str
    difference: Difference
    shares: tuple[float, float] | None = None


def compared(
    a: Run, b: Run, pairs: Sequence[tuple[str, str]] | None = None, margin: float = 0.0
) -> Sequence[Compared]:
    """B against A, for *pairs* of subjects (A's, B's); None: for each that both have.

    A ratio has to lie above 1 + *margin* with its whole interval. `InputError` if there is nothing
    to compare, or if the runs measured by different definitions.
    """
    _alike(a, b)
    pairs = pairs or [(name, name) for name in a.turns if name in b.turns]
    if not pairs or (a.folder == b.folder and all(x == y for x, y in pairs)):
        raise InputError(
            f"A has {', '.join(a.turns)}, B has {', '.join(b.turns)}: name the two subjects with "
            "--subject-a and --subject-b"
        )
    tests: list[_Test] = []
    for name_a, name_b in pairs:
        tests += _tests(
            _turns(a, name_a), _turns(b, name_b), (name_a, name_b), a.folder == b.folder
        )
    known = [it for it in tests if it.difference.p_value is not None]
    verdicts = iter(holm([it.difference.p_value or 0.0 for it in known]))
    found = []
    for it in tests:
        significant = it in known and next(verdicts)
        slower = (it.difference.low or 0.0) > 1 + margin
        if it.shares is not None:
            slower = it.shares[1] > it.shares[0] + margin
        worse = significant and slower
        found.append(Compared(it.a, it.b, it.what, it.difference, significant, worse, it.shares))
    return found


def told(found: Sequence[Compared]) -> str:
    """A table in Markdown, and the verdict."""
    lines = [
        "| A | B | what | B / A | 95 % interval | p | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for it in found:
        d = it.difference
        verdict = "worse" if it.worse else "differs" if it.significant else "no difference shown"
        if d.p_value is None:
            cells = ("", d.why, "", "not estimable")
        elif it.shares is not None:
            cells = (f"{it.shares[0]:.2%}, {it.shares[1]:.2%}", "", f"{d.p_value:.3g}", verdict)
        else:
            between = f"{_ratio(d.low)} to {_ratio(d.high)}"
            cells = (_ratio(d.ratio), between, f"{d.p_value:.3g}", verdict)
        lines.append(f"| {it.a} | {it.b} | {it.what} | {' | '.join(cells)} |")
    worse = [f"{it.b}: {it.what}" for it in found if it.worse]
    unknown = all(it.difference.p_value is None for it in found)
    verdict = (
        "Nothing could be compared: the runs are too short" if unknown else "No regression shown"
    )
    lines += ["", f"Regression: {', '.join(worse)}" if worse else verdict]
    return "\n".join(lines)


def _tests(
    a: Sequence[Turn], b: Sequence[Turn], names: tuple[str, str], paired: bool
) -> Sequence[_Test]:
    tests = [
        _Test(
            *names,
            f"{metric} p{100 * p:g}",
            compare(observed(a, metric), observed(b, metric), p, paired=paired),
        )
        for metric, p in METRICS
    ]
    lost = _failed(a), _failed(b)
    shares = (float(lost[0].values.mean()), float(lost[1].values.mean()))
    p_value = excess(*lost, 0.5, paired=paired)
    why = "" if p_value is not None else "too few time blocks"
    ratio = shares[1] / shares[0] if shares[0] else None
    tests.append(_Test(*names, FAILED, Difference(0.0, ratio, None, None, p_value, why), shares))
    return tests


def _failed(turns: Sequence[Turn]) -> Observed:
    """1 for each turn that failed, 0 for the others."""
    return Observed.of([float(bool(it.fault)) for it in turns], [it.block for it in turns])


def _turns(run: Run, name: str) -> Sequence[Turn]:
    if name not in run.turns:
        raise InputError(f"{run.folder} has no subject {name!r}. It has: {', '.join(run.turns)}")
    if not (clean := fair(run.turns[name])):
        raise InputError(f"{run.folder}: every turn of {name!r} was spoiled on our side")
    return clean


def _alike(a: Run, b: Run) -> None:
    for part in ("metrics", "talk"):
        if a.manifest.get(part) != b.manifest.get(part):
            raise InputError(
                f"the runs differ in {part}: {a.manifest.get(part)} and {b.manifest.get(part)}. "
                "Measure again in the same way"
            )


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if 0 < value < math.inf else "without bound"
