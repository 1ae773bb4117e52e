"""What a topology costs a month, in every drawn world: per minute by stage, machines, people.

A managed stage is paid by what a connected minute uses; one of your own by the machines that the
busy hour needs, twice (each of two regions carries the peak alone, with one machine to spare), and
by people. Until one's own stage is in production the managed one is paid, if there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trunkline.decide.figures import Array, Draws, Figure
from trunkline.decide.needs import STAGES, Kind, Needs
from trunkline.decide.offers import Host, Offer, Option
from trunkline.decide.queueing import lines_for, slots_for

REGIONS = 2
SPARE = 1
HOURS_MONTH = 730.0
WEEKS_MONTH = 52 / 12
WAIT_P99_S = 0.2
"""What a turn may wait for a slot in the busy hour: beyond it the caller notices."""
VOLUME = "needs.minutes"
"""The id of the volume among the unknowns."""


@dataclass(frozen=True)
class Topology:
    """One way to run all stages: the option of each, in the order of `STAGES`."""

    options: Mapping[str, Option]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Where each stage runs, in the order of `STAGES`."""
        return tuple(self.options[stage].kind for stage in STAGES)

    @property
    def own(self) -> tuple[str, ...]:
        """The stages that one's own people run."""
        return tuple(stage for stage in STAGES if isinstance(self.options[stage], Host))

    @property
    def name(self) -> str:
        """Such as `managed`, or `stt managed, llm self_hosted, tts managed`."""
        if len(set(self.kinds)) == 1:
            return self.kinds[0]
        return ", ".join(f"{s} {k}" for s, k in zip(STAGES, self.kinds, strict=True))


@dataclass(frozen=True)
class Load:
    """The busy hour, in every world: *minutes* a month, *lines*, and *slots* by stage."""

    minutes: Array
    lines: Array
    slots: Mapping[str, Array]


@dataclass(frozen=True)
class Cost:
    """Of one topology, shape (worlds,): dollars over the horizon, and a month by its parts."""

    topology: Topology
    total_usd: Array
    month_usd: Mapping[str, Array]
    upfront_usd: Array
    gpus: Array
    hours: Array
    hired: Array
    pages: Array
    weeks: Array
    per_minute_usd: Array


def volume_figure(needs: Needs) -> Figure:
    """The forecast with its spread, as an average over the horizon."""
    years = needs.horizon_months / 12
    growth = 1 + needs.traffic.growth_per_year
    steps = np.linspace(0, years, needs.horizon_months + 1)
    mean = needs.traffic.minutes_per_month * float(np.mean(growth**steps))
    off = needs.traffic.minutes_spread * mean
    return Figure(VOLUME, mean, mean - off, mean + off, "minutes a month", "needs.yaml", None, True)


def load(needs: Needs, draws: Draws) -> Load:
    """Lines by Erlang B, slots by M/G/k, for the busy hour of a business day."""
    minutes, call = draws.of(VOLUME), needs.call
    traffic = needs.traffic
    erlangs = minutes / traffic.business_days_per_month * traffic.busy_hour_share / 60
    lines = lines_for(erlangs, draws.figure("blocking").value)
    turns_s = erlangs * call.turns_per_minute / 60
    talk_s = np.full(draws.count, 60 * call.agent_talk_share / call.turns_per_minute)
    service_s = draws.of("service.llm")
    return Load(
        minutes,
        lines,
        {
            "stt": lines,  # a recogniser listens for as long as the line is up
            "llm": slots_for(turns_s * service_s, service_s, WAIT_P99_S),
            "tts": slots_for(turns_s * talk_s, talk_s, WAIT_P99_S),
        },
    )


def per_minute(needs: Needs, draws: Draws, offer: Offer) -> Array:
    """Dollars of a managed stage per connected minute, hedges and retries counted."""
    call, extra = needs.call, 1 + draws.of("extra.requests")
    uplift = 1 + (draws.of(offer.uplift) if needs.law.jurisdictions[0] != "US" else 0)
    if offer.stage == "stt":
        used = draws.of(offer.price)
    elif offer.stage == "tts":
        chars = draws.of("speech.chars-per-minute") * call.agent_talk_share
        used = chars * draws.of(offer.price) / 1e6
    else:
        new, cached = 1 - call.cache_hit, call.cache_hit
        read = new * draws.of(f"{offer.price}.input") + cached * draws.of(f"{offer.price}.cached")
        written = call.output_tokens * draws.of(f"{offer.price}.output")
        used = call.turns_per_minute * (call.context_tokens * read + written) / 1e6
    return np.asarray(used * extra * uplift)


def telephony(needs: Needs, draws: Draws) -> Array:
    """Dollars per connected minute; each call is rounded up.

    With exponential lengths of mean m minutes, E[ceil(T)] = 1 / (1 - exp(-1/m)).
    """
    mean = needs.call.minutes
    rounded = 1 / (1 - np.exp(-1 / mean)) / mean
    return np.asarray(draws.of("telephony.twilio-us-inbound") * rounded)


def cost(
    needs: Needs, draws: Draws, at: Load, topology: Topology, bridge: Mapping[str, Offer]
) -> Cost:
    """What *topology* costs; *bridge*: what is paid for a stage until one's own is there."""
    months = float(needs.horizon_months)
    drift = {kind: _mean_drift(draws.of(f"trend.{kind}"), months) for kind in ("managed", "gpu")}
    weeks = _weeks(draws, topology)
    waiting = np.minimum(weeks / WEEKS_MONTH, months) / months
    zero = np.zeros(draws.count)
    month: dict[str, Array] = {"telephony": telephony(needs, draws) * at.minutes}
    gpus = zero
    for stage, option in topology.options.items():
        if isinstance(option, Offer):
            month[stage] = per_minute(needs, draws, option) * drift["managed"] * at.minutes
            continue
        machines = gpus_of(draws, at, stage)
        gpus = gpus + machines
        own = machines * draws.of(option.price) * HOURS_MONTH * (1 + draws.of("gpu.extras"))
        own = own * drift["gpu"]
        if stage in bridge:
            api = per_minute(needs, draws, bridge[stage]) * drift["managed"] * at.minutes
            own = own * (1 - waiting) + api * waiting
        month[stage] = own
    pages, hours = _work(draws, topology, gpus)
    people, hired = _people(needs, draws, topology, hours)
    month["people"] = people
    salary = needs.people.cost_per_year_usd / 12
    built = draws.of("build.person-months") * draws.of("build.overrun") * len(topology.own)
    upfront = built * salary
    total = np.sum(list(month.values()), axis=0) * months + upfront
    per = total / months / at.minutes
    return Cost(topology, total, month, upfront, gpus, hours, hired, pages, weeks, per)


def gpus_of(draws: Draws, at: Load, stage: str) -> Array:
    """Machines of *stage*: each region carries the peak alone, with a spare one."""
    needed = np.ceil(at.slots[stage] / draws.of(f"capacity.{stage}"))
    return np.asarray(REGIONS * (needed + SPARE))


def rotation_of(needs: Needs, hired: float) -> float:
    """Who can be paged in turn."""
    return needs.people.mlops + needs.people.on_call + hired


def _mean_drift(a_year: Array, months: float) -> Array:
    """The average price over the horizon, in today's, if it changes by *a_year* each year."""
    steps = np.linspace(0, months / 12, int(months) + 1)[:, None]
    return np.asarray(np.mean((1 + a_year[None, :]) ** steps, axis=0))


def _weeks(draws: Draws, topology: Topology) -> Array:
    longest = draws.of("build.weeks-managed")
    if "self_hosted" in topology.kinds:
        longest = np.maximum(longest, draws.of("build.weeks"))
    if "customer_vpc" in topology.kinds:
        longest = np.maximum(longest, draws.of("build.weeks-vpc"))
    return longest


def _work(draws: Draws, topology: Topology, gpus: Array) -> tuple[Array, Array]:
    """Pages and working hours a month."""
    own, managed = len(topology.own), len(STAGES) - len(topology.own)
    pages = managed * draws.of("pages.managed") + own * draws.of("pages.software")
    pages = pages + gpus * draws.of("pages.gpu-year") / 12
    hours = pages * draws.of("people.incident-hours")
    if managed:
        hours = hours + draws.of("people.managed-hours")
    if own:
        upkeep = draws.of("people.update-hours") + draws.of("people.patch-hours")
        hours = hours + draws.of("people.platform-hours") + own * upkeep
    return pages, hours


def _people(needs: Needs, draws: Draws, topology: Topology, hours: Array) -> tuple[Array, Array]:
    """Dollars a month, and people who must be hired: for the work, and for a rotation."""
    salary = needs.people.cost_per_year_usd / 12
    fte = hours / draws.of("people.hours-month")
    if not topology.own:  # a vendor's outage is waited out and failed over: no rotation for it
        return fte * salary, np.zeros(draws.count)
    for_work = np.ceil(np.maximum(fte - needs.people.mlops, 0))
    for_nights = draws.of("people.rotation") - needs.people.mlops - needs.people.on_call
    hired = np.maximum(for_work, np.ceil(np.maximum(for_nights, 0)))
    # Who is hired is paid in full, also for hours that are not needed; who is there, by the hour.
    on_hand = np.maximum(fte - hired, 0)
    return (on_hand + hired) * salary, hired


def cheapest(needs: Needs, draws: Draws, options: Sequence[Option]) -> Option:
    """The option of one stage and kind with the lowest median price; the first of equals."""
    return min(options, key=lambda it: _median_price(needs, draws, it))


def _median_price(needs: Needs, draws: Draws, it: Option) -> float:
    if isinstance(it, Offer):
        return float(np.median(per_minute(needs, draws, it)))
    return float(np.median(draws.of(it.price)))
