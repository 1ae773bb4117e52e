"""Prints the tables of docs/simulate.md: every world that ships, under laws perturbed by a seed.

    python scripts/simulation_table.py --calls 20000 --turns 6 --seed 11 --perturb 5

Neither the seed nor the perturbed laws were used to choose any constant of the policy.
"""

import argparse
import sys
import time

from trunkline.testing.simulation.figures import PERCENTILES, Figures, figures
from trunkline.testing.simulation.policies import POLICIES, check_policies
from trunkline.testing.simulation.run import Campaign, run
from trunkline.testing.simulation.worlds import WORLDS, load_world, perturbed
from trunkline.types import LLM

HEAD = ("policy", *PERCENTILES, ">0.3 s", ">1 s", ">3 s", "broken", "extra", "probes")


def row(it: Figures, *, speech: bool) -> str:
    """One policy as a line of Markdown; seconds, and percent of calls, answers and steps.

    *speech*: with the extra requests to speech endpoints, in percent of utterances and replies.
    """
    times = ["-" if s is None else f"{s:.2f}" for s in it.v2v_s.values()]
    dead = [f"{100 * share:.2f}" for share in it.dead.values()]
    left = ", ".join("-" if x.after_s is None else f"{x.after_s:.1f} s" for x in it.left) or "-"
    shares = [f"{100 * it.broken:.3f}", f"{100 * it.extra_share:.2f}", f"{100 * it.probes:.2f}"]
    if speech:
        shares.append(f"{100 * it.speech_extra:.2f}")
    return "| " + " | ".join([it.policy, *times, *dead, *shares, left]) + " |"


def main() -> int:
    """The exit status is 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--perturb", type=int, default=5, help="seed of the laws; 0: as they ship")
    parser.add_argument("--load", type=float, default=7.0)
    parser.add_argument("--policy", default=",".join(POLICIES))
    parser.add_argument("--world", action="append", help="repeatable; all that ship by default")
    options = parser.parse_args()
    broken = 0
    for name in options.world or WORLDS:
        world = load_world(name)
        if options.perturb:
            world = perturbed(world, options.perturb)
        policies = check_policies(options.policy.split(","))
        campaign = Campaign(
            world, policies, options.calls, options.turns, options.seed, options.load
        )
        began = time.perf_counter()
        tallies = run(campaign)
        took_s = time.perf_counter() - began
        turns = sum(tally.turns for them in tallies.values() for tally in them)
        sys.stdout.write(
            f"\n**{name}** ({campaign.workers} workers, {turns} turns in {took_s:.0f} s)\n\n"
        )
        speech = len(world.of(LLM)) < len(world.endpoints)
        head = [*HEAD, *(["speech"] if speech else []), "left"]
        sys.stdout.write(f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n")
        for policy, them in tallies.items():
            found = figures(policy, world, them)
            sys.stdout.write(row(found, speech=speech) + "\n")
            sys.stdout.flush()
            broken += found.violations
            for wrong in found.wrong[:3]:
                sys.stderr.write(f"{wrong}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
