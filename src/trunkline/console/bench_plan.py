"""How much to measure, from a run that was a pilot."""

from collections.abc import Sequence

from trunkline.bench.figures import Run, fair, observed
from trunkline.measure.plan import pilot, plan


def planned(run: Run, p: float, width: float, price: float) -> Sequence[str]:
    """A line for each subject; `InputError` if the pilot is too small to tell.

    The calls of a block and the turns of a call are taken to be the pilot's, as they came.
    """
    lines = []
    for subject, turns in run.turns.items():
        calls = len({(turn.block, turn.call) for turn in turns})
        per_block = max(1, round(calls / len({turn.block for turn in turns})))
        told = pilot(observed(fair(turns), "ttft_s"), p)
        found = plan(told, width, len(turns) / calls, per_block, price)
        cost = f", cost {found.cost:.2f}" if price else ""
        lines.append(
            f"{subject}: +-{found.half_width:.1%} at p{100 * p:g} takes {found.blocks} blocks of "
            f"{found.calls_per_block} calls, {found.calls} calls in all{cost}"
        )
    return lines
