"""Replaying incidents: each call twice, once with its faults and once without, then judged."""

import functools
from collections.abc import Sequence

from trunkline.testing import virtual
from trunkline.testing.incidents.files import Call, Incident, Must
from trunkline.testing.incidents.judge import Verdict, judge
from trunkline.testing.incidents.staging import Played, play, virtual_set


def replay(incident: Incident, seed: int = 1, *, crippled: bool = False) -> list[Verdict]:
    """The calls of *incident* in virtual time; the same *seed* gives the same verdicts.

    *crippled*: with the faults, our calls are run by a policy without failover.
    """
    verdicts = []
    for call in incident.calls:
        clean = _unstruck(_without_faults(call).model_dump_json(), seed)
        struck = _played(call, seed, faulty=True, crippled=crippled)
        verdicts.append(judge(incident.name, call, seed, clean, struck))
    return verdicts


def replay_all(incidents: Sequence[Incident], seed: int = 1) -> list[Verdict]:
    """The calls of all *incidents* that were read."""
    return [verdict for it in incidents for verdict in replay(it, seed)]


def _without_faults(call: Call) -> Call:
    """What the unfaulted run of *call* depends on: most calls share one."""
    must = Must(dead_air_added_s=0.0)
    return call.model_copy(
        update={"name": "unstruck", "about": None, "faults": (), "outage": None, "must": must}
    )


@functools.lru_cache(maxsize=64)
def _unstruck(call: str, seed: int) -> Played:
    return _played(Call.model_validate_json(call), seed, faulty=False)


def _played(call: Call, seed: int, *, faulty: bool, crippled: bool = False) -> Played:
    async def main() -> Played:
        stage = virtual_set(call, seed, faulty=faulty)
        return await play(call, stage, crippled=crippled, outage=faulty)

    return virtual.run(main(), seed=seed)
