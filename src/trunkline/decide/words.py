"""The answer in words: recommendation, three reasons, what would change it, what to do first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from trunkline.decide.costs import VOLUME
from trunkline.decide.figures import Array
from trunkline.decide.needs import STAGES
from trunkline.decide.offers import Host
from trunkline.decide.study import SURE, Judged, Study

_KNOWING = (
    ("capacity.", "run a 30-minute load sweep of that server and give it under `runs:`"),
    ("service.", "run a 30-minute load sweep of that server and give it under `runs:`"),
    ("latency.", "measure it with `trunkline check` and calls of your own"),
    ("gpu.", "get a quote for a year, and write it under `figures:`"),
    ("trend.", "nobody can measure it: fix the price by contract"),
    (VOLUME, "forecast from last year's calls, and lower `minutes_spread`"),
    ("people.", "write down the hours of a month, and put them under `figures:`"),
    ("pages.", "count a month's pages, and put them under `figures:`"),
    ("", "get a quote, and write it under `figures:`"),
)


@dataclass(frozen=True)
class Answer:
    """What fits on one page."""

    recommendation: str
    reasons: Sequence[str]
    changes: Sequence[str]
    first: str
    mistrust: Sequence[str]
    paged: str
    migration: Sequence[str]


def answer(study: Study, today: date) -> Answer:
    """The page for *study*; ages are told as of *today*."""
    picked = study.picked
    if picked is None:
        return Answer(
            "Nothing is left: the constraints rule every option out.",
            [f"{it.option}: {it.reason} [{it.evidence}]" for it in study.choice.eliminated]
            + [f"{name}: at least ${usd:.3f} a minute" for name, usd in study.too_dear],
            list(dict.fromkeys(_relaxing(study))),
            "Change one of these lines of the needs, or write offers that you know of.",
            (),
            "Nobody: nothing runs.",
            (),
        )
    what = ", ".join(f"{stage}: {_option(picked, stage)}" for stage in STAGES)
    return Answer(
        f"{picked.name} ({what})",
        list(_reasons(study, picked)),
        list(_changes(study, picked)),
        _first(study, picked),
        list(_mistrust(study, today)),
        _paged(study, picked),
        list(_migration(study, picked)),
    )


def money(usd: float) -> str:
    """Dollars as people write them."""
    return f"${usd:,.0f}" if abs(usd) >= 100 else f"${usd:.3g}"


def spread(values: Array, digits: int = 3) -> str:
    """The median and the range of nine in ten."""
    low, mid, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{mid:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def minutes(value: float) -> str:
    """A volume, as people say it."""
    if not math.isfinite(value):
        return "never"
    return f"{value / 1e6:.1f}M" if value >= 1e6 else f"{value / 1e3:.0f}k"


def _option(of: Judged, stage: str) -> str:
    return of.cost.topology.options[stage].name


def _reasons(study: Study, picked: Judged) -> Iterator[str]:
    rival, per = study.rival, picked.cost.per_minute_usd
    if study.forced:
        yield "managed is ruled out for " + "; ".join(_forced(study))
        cheaper = "nothing else is left" if rival is None else _against(rival)
        yield f"of what is left, the most managed and cheapest: ${spread(per)} a minute; {cheaper}"
    elif picked is study.baseline:
        yield (
            f"managed is the default, and leaving it pays in {rival.cheaper:.0%} of the worlds "
            f"at most ({rival.name}); it takes more than {SURE:.0%}"
            if rival
            else "nothing else is allowed"
        )
        yield f"it costs ${spread(per)} a minute, people included" + (
            f"; {_against(rival)}" if rival else ""
        )
    else:
        yield (
            f"it is cheaper than managed in {picked.cheaper:.0%} of the worlds, people included: "
            f"{money(picked.saving_usd)} over {study.needs.horizon_months} months on average"
        )
        yield f"it costs ${spread(per)} a minute; {_against(rival)}" if rival else ""
    weeks = np.median(picked.cost.weeks)
    yield (
        f"in production in {weeks:.0f} weeks; a turn within {study.needs.slo.turn_p99_s:g} s at "
        f"p99 in {picked.within_slo:.0%} of the worlds (no hedging assumed); by five dimensions "
        f"{picked.value:.0f} of 100, the first in {picked.first:.0%} of worlds and weightings"
    )


def _against(rival: Judged | None) -> str:
    if rival is None:
        return ""
    cost = rival.cost
    told = f"{rival.name} ${spread(cost.per_minute_usd)}"
    if cost.topology.own:
        told += f", with {np.median(cost.gpus):.0f} GPUs, {np.median(cost.hours):.0f} hours a month"
        if (hired := float(np.mean(cost.hired))) >= 0.5:
            told += f" and {hired:.0f} people to hire"
    return told


def _forced(study: Study) -> Iterator[str]:
    baseline = study.baseline
    for stage in () if baseline is None else baseline.cost.topology.own:
        why = next(
            (
                f"{it.reason} ({it.option}) [{it.evidence}]"
                for it in study.choice.eliminated
                if it.kind == "managed" and stage in it.stages
            ),
            f"above slo.cost_per_minute_max_usd {study.needs.slo.cost_per_minute_max_usd}",
        )
        yield f"{stage}: {why}"


def _changes(study: Study, picked: Judged) -> Iterator[str]:
    for it in study.break_even:
        if it.topology.name == picked.name and picked is study.baseline:
            continue
        low, mid, high = (minutes(v) for v in it.minutes)
        base = "managed" if study.baseline is None else study.baseline.name
        told = f"volume: {it.topology.name} costs less than {base} "
        if mid == "never":
            yield told + "in fewer than half of the worlds, whatever the volume"
        else:
            yield told + f"from {mid} minutes a month (80 %: {low} to {high})"
    # Where the rival is far off, nothing that moves it a little is worth a line.
    near = study.rival is not None and 0.01 < max(study.rival.cheaper, picked.cheaper) < 0.999
    for bar in study.tornado[:2] if near else ():
        yield (
            f"{bar.figure}: from its p10 to its p90 the rival costs {bar.low_usd:+.4f} to "
            f"{bar.high_usd:+.4f} $/min against this"
        )
    if study.forced:
        yield from list(dict.fromkeys(_relaxing(study)))[:2]


def _relaxing(study: Study) -> Iterator[str]:
    for it in study.choice.eliminated:
        if study.picked is None or it.kind == "managed":
            yield it.relax
    for name, usd in study.too_dear:
        yield f"slo.cost_per_minute_max_usd: {usd:.3f} would admit {name}"


def _first(study: Study, picked: Judged) -> str:
    if picked.within_slo < 0.5:
        return (
            f"Measure the turn's p99: by priors, and without hedging, {picked.within_slo:.0%} of "
            f"worlds keep slo.turn_p99_s {study.needs.slo.turn_p99_s:g}. `trunkline check` dials "
            "the endpoints, and half an hour of `trunkline call` says what a caller waits."
        )
    worth = [it for it in study.know if not it.figure.startswith("trend.")]
    if study.know_all_usd < 1 or not worth or worth[0].usd < 1:
        return (
            f"Nothing to find out first: knowing everything would save {money(study.know_all_usd)} "
            "over the horizon, and no single figure on its own is worth looking up."
        )
    top = worth[0]
    how = next(how for prefix, how in _KNOWING if top.figure.startswith(prefix))
    return f"Find out {top.figure}: {how}. Worth {money(top.usd)} over the horizon."


def _mistrust(study: Study, today: date) -> Iterator[str]:
    if study.setting is None or study.picked is None:
        return
    catalogue = study.setting.catalogue
    for it in catalogue.stale(today, [name for name in study.used if name in catalogue.figures]):
        age = it.age_days(today)
        yield f"{it.id} {it.value:g} {it.unit}: " + (
            f"undated ({it.source})" if age is None else f"{age} days old ({it.source}, {it.date})"
        )
    measured = {m.capacity.id for m in study.measured.values()}
    assumed = [
        n
        for n in study.used
        if n not in measured and n in catalogue.figures and catalogue[n].assumed
    ]
    if assumed:
        yield f"assumed, published by nobody: {', '.join(assumed)}"


def _paged(study: Study, picked: Judged) -> str:
    pages, people = np.median(picked.cost.pages), study.needs.people
    if not picked.cost.topology.own:
        return (
            f"The vendors page their own people; about {pages:.1f} times a month something reaches "
            "you, which fail-over has bridged and which can wait for the morning."
        )
    hired = float(np.mean(picked.cost.hired))
    rotation = people.mlops + people.on_call + hired
    return (
        f"Your rotation of {rotation:.0f} ({people.mlops:g} who run servers, {people.on_call:g} "
        f"more, {hired:.0f} to hire): about {pages:.1f} pages a month, "
        f"{np.median(picked.values['operations']):.1f} each."
    )


def _migration(study: Study, picked: Judged) -> Iterator[str]:
    own = picked.cost.topology.own
    yield "Put the topology's file in place, fill in its addresses and keys: `trunkline check`."
    if not own:
        yield "Send one call in twenty there, watch the turn's p99 for a week, then all."
        return
    bridged = study.setting is not None and set(own) <= set(study.setting.bridge)
    if bridged:
        yield f"Start managed; it stays the backup of {', '.join(own)} afterwards."
    for stage in own:
        host = picked.cost.topology.options[stage]
        if isinstance(host, Host):
            yield (
                f"{stage}: sweep its server on one GPU of {host.name}, give the run under `runs:`, "
                "decide again; then two regions, then route by share."
            )
