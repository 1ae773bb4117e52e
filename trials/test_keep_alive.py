"""A call stays alive, whatever stage fails and however: see trials/README.md.

`make soak` places `TRUNKLINE_TRIAL_N` calls of each case (59: if all are good, 95 % are, with 95 %
confidence), `-m ci` three. `TRUNKLINE_TRIAL_CASES` chooses some: `tts,llm cut`.
"""

import asyncio
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from trials.keep_alive.campaign import AT_ONCE, Campaign, can_cut_off
from trials.keep_alive.judge import QUEUED_MIN_S, Heard, Verdict, sound, verdict
from trials.keep_alive.order import CASES, HARD, NAMED, Order
from trials.keep_alive.sounds import REPLY, WORDS, Telling, spoken, telling
from trunkline.types import LLM, TTS, StageName

N: Final = int(os.environ.get("TRUNKLINE_TRIAL_N", "59"))
N_CI: Final = 3
STOPPED_CI: Final = (LLM, TTS)
"""What SIGSTOP and a black hole strike in turn; recognisers do not keep their bound there yet."""
SEED: Final = int(os.environ.get("TRUNKLINE_TRIAL_SEED", "1"))
ENOUGH: Final = {59: 59, 93: 92}
"""Of so many trials so many good ones show 95 % with 95 % confidence (Clopper and Pearson 1934)."""
CHOSEN: Final = tuple(filter(None, os.environ.get("TRUNKLINE_TRIAL_CASES", "").split(",")))


def cases(seed: int, *, few: bool) -> Sequence[tuple[StageName, str]]:
    """The cases that are asked for; of *few*, what stops a process strikes one stage a seed."""
    wanted = (*NAMED, *((STOPPED_CI[seed % 2], fault) for fault in HARD)) if few else CASES
    return [it for it in wanted if not CHOSEN or {it[0], f"{it[0]} {it[1]}"} & {*CHOSEN}]


def orders(number: int, *, few: bool) -> list[Order]:
    """*number* trials of each case, seed by seed, each seed with its twin."""
    made = []
    for seed in range(SEED, SEED + number):
        made += [Order(LLM, "", seed), *(Order(*it, seed) for it in cases(seed, few=few))]
    if not can_cut_off():
        print("\nno black holes: this process may not make network namespaces (`ip netns add`)")
        made = [order for order in made if order.fault != "black hole"]
    return made


def run(number: int, folder: Path, *, few: bool = False) -> Campaign:
    """Place them, several at once, and print what came of them."""
    campaign = Campaign(folder)
    try:
        asyncio.run(campaign.place(orders(number, few=few)))
    finally:
        print(table(campaign))
    return campaign


def verdicts(campaign: Campaign) -> list[Verdict]:
    """Of all trials that came about together with their twins."""
    seen = campaign.seen
    return [
        verdict(it, seen[order.twin])
        for order, it in seen.items()
        if order.fault and order.twin in seen
    ]


def check(campaign: Campaign) -> None:
    """Every trial came about, every twin is sound, and nobody has a complaint."""
    assert campaign.failed == {}
    twins = {str(order): sound(it) for order, it in campaign.seen.items() if not order.fault}
    assert {name: wrong for name, wrong in twins.items() if wrong} == {}
    found = verdicts(campaign)
    short = {}
    for case in dict.fromkeys((it.order.stage, it.order.fault) for it in found):
        mine = [it for it in found if (it.order.stage, it.order.fault) == case]
        good = sum(not it.complaints for it in mine)
        if good < ENOUGH.get(len(mine), len(mine)):
            short[" ".join(case)] = [it.row for it in mine if it.complaints]
    assert short == {}


@pytest.mark.ci
def test_three_calls_of_each_fault(tmp_path: Path) -> None:
    """Each keeps its bound, and no word is lost or repeated."""
    check(run(N_CI, tmp_path, few=True))


def test_every_fault_of_every_stage_is_survived(tmp_path: Path) -> None:
    """59 calls of each fault, at a random moment."""
    check(run(N, tmp_path))


def test_a_planted_fault_of_the_tape_is_found() -> None:
    """Words that are cut out of a tape, or pasted into it, and silence: each is complained of."""
    pcm = spoken(REPLY)
    word = len(pcm) // len(WORDS)
    order = Order(LLM, "cut", 1)
    good = Heard(order, -1.0, telling(pcm), (), 0.0, 9, 0.35, 0.0, "")
    cut = 12 * word

    def said(told: Telling) -> str:
        return " ".join(verdict(replace(good, told=told), good).complaints)

    join = np.concatenate
    assert said(good.told) == ""
    unstruck = replace(good, struck_s=None, told=good.told)
    assert verdict(unstruck, good).complaints == ["the fault did not strike: nothing was tried"]
    assert "lost" in said(telling(join([pcm[:cut], pcm[cut + word :]])))
    assert "lost" in said(telling(join([pcm[:cut], pcm[cut + 2 * word // 3 :]])))
    assert "repeated" in said(telling(join([pcm[:cut], pcm[cut - word :]])))
    assert "repeated" in said(telling(join([pcm[:cut], pcm[cut - word // 2 :]])))
    assert "dead air" in said(telling(join([pcm[:cut], pcm[:4000] * 0, pcm[cut:]])))


def table(campaign: Campaign) -> str:
    """The figures, a line a case, and a line for each trial of a case that is not all good."""
    found = verdicts(campaign)
    lines = [
        "",
        f"{len(campaign.seen)} calls, {AT_ONCE} at once; {len(campaign.discarded)} placed again "
        f"because the caller's clock was late, {len(campaign.failed)} given up",
        *campaign.discarded,
        *(f"{order}: {why}" for order, why in campaign.failed.items()),
        "| stage | fault | n | good | Q >= 0.8 s: n, added max | less: n, worst beyond its bound "
        "| before audio: n, later max | lost | repeated | dropped |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    bad = []
    for stage, fault in dict.fromkeys((it.order.stage, it.order.fault) for it in found):
        mine = [it for it in found if (it.order.stage, it.order.fault) == (stage, fault)]
        lines.append(row(stage, fault, mine))
        if any(it.complaints for it in mine):
            bad += [it.row for it in mine]
    return "\n".join([*lines, *bad])


def row(stage: str, fault: str, mine: Sequence[Verdict]) -> str:
    """One case in one line."""
    before = [it for it in mine if it.queued_s is None]
    enough = [it for it in mine if it.queued_s is not None and it.queued_s >= QUEUED_MIN_S]
    less = [it for it in mine if it.queued_s is not None and it.queued_s < QUEUED_MIN_S]
    columns = (
        stage,
        fault,
        f"{len(mine)}",
        f"{sum(not it.complaints for it in mine)}",
        figure(enough, [it.added_s for it in enough]),
        figure(less, [it.added_s - it.bound_s for it in less]),
        figure(before, [it.later_s for it in before]),
        f"{sum(len(it.lost) for it in mine)}",
        f"{sum(len(it.repeated) for it in mine)}",
        f"{sum(bool(it.dropped or it.misheard) for it in mine)}",
    )
    return f"| {' | '.join(columns)} |"


def figure(them: Sequence[Verdict], values_s: Sequence[float]) -> str:
    """How many, and the largest."""
    return f"{len(them)}, {max(values_s, default=math.nan):.2f} s" if them else "0"
