"""Who gets the next connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.ops.placement import (
    Connection,
    Fact,
    Give,
    Load,
    Placement,
    PlacementPolicy,
    RefuseBusy,
    WorkerDown,
    WorkerDraining,
    WorkerReport,
    WorkerUp,
)
from trunkline.types import Mono

POLICY = PlacementPolicy()
IDLE = Load(0, 50)


class Door:
    """A placement whose workers are up since second 0."""

    def __init__(self, **loads: Load) -> None:
        self.machine = Placement(POLICY)
        self.now = 0.0
        for name, load in loads.items():
            self.feed(WorkerUp(name, load))

    def feed(self, fact: Fact) -> None:
        """Something that nothing follows from."""
        assert list(self.machine.feed(fact, Mono(self.now))) == []

    def connect(self) -> Give | RefuseBusy:
        """Somebody connects."""
        (act,) = self.machine.feed(Connection(7), Mono(self.now))
        assert act.connection == 7
        return act


def test_the_worker_with_the_most_room_is_given_the_connection() -> None:
    """By what is left of its core, not by the number of its calls."""
    door = Door(w0=Load(5, 50, cpu=0.6), w1=Load(10, 50, cpu=0.3), w2=Load(12, 50, cpu=0.4))
    assert door.connect() == Give(7, "w1")
    assert door.machine.deadline() is None


def test_a_burst_is_spread() -> None:
    """What was just given counts, until a report can know of it."""
    door = Door(w0=IDLE, w1=IDLE)
    given = [door.connect() for _ in range(6)]
    assert given.count(Give(7, "w0")) == given.count(Give(7, "w1")) == 3
    full = Door(w0=Load(0, 2))
    assert [full.connect() for _ in range(3)] == [Give(7, "w0")] * 2 + [Give(7, "w0", False)]
    full.now = POLICY.settle_s
    full.feed(WorkerReport("w0", Load(1, 2)))
    assert full.connect() == Give(7, "w0")


@pytest.mark.parametrize(
    "load",
    [
        Load(50, 50, cpu=0.1),
        Load(20, 50, cpu=0.84),
        Load(20, 50, late_p99_s=0.06, cpu=0.1),
    ],
    ids=["calls", "processor", "lateness"],
)
def test_a_worker_without_room_begins_no_call(load: Load) -> None:
    """It gets the connection all the same: it may belong to one of its calls."""
    assert Door(w0=load).connect() == Give(7, "w0", admits=False)
    assert Door(w0=load, w1=IDLE).connect() == Give(7, "w1")


def test_a_worker_that_does_not_report_hangs() -> None:
    """Nothing is given to it; when nobody else is there, a sentence is all there is."""
    door = Door(w0=IDLE, w1=IDLE)
    door.now = POLICY.report_max_s + 0.1
    door.feed(WorkerReport("w1", Load(40, 50, cpu=0.5)))
    assert door.connect() == Give(7, "w1")
    door.now *= 2
    assert door.connect() == RefuseBusy(7)


def test_a_draining_worker_comes_last() -> None:
    """Its successor takes what is new; alone, it answers for itself."""
    door = Door(w0=IDLE, w1=Load(40, 50, cpu=0.5))
    door.feed(WorkerDraining("w0"))
    assert door.connect() == Give(7, "w1")
    door.feed(WorkerReport("w1", Load(50, 50)))
    assert door.connect() == Give(7, "w1", admits=False)
    door.feed(WorkerDown("w1"))
    assert door.connect() == Give(7, "w0", admits=False)
    door.feed(WorkerDown("w0"))
    assert door.connect() == RefuseBusy(7)


def test_a_late_report_of_a_dead_worker_does_not_raise_it() -> None:
    """What is not up stays out."""
    door = Door()
    for fact in (WorkerReport("w0", IDLE), WorkerDraining("w0"), WorkerDown("w0")):
        door.feed(fact)
    assert door.connect() == RefuseBusy(7)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.floats(0, 1), st.floats(0, 0.1)), min_size=1, max_size=5
    ),
    st.integers(1, 120),
)
def test_nobody_gets_more_than_it_can_carry(
    loads: list[tuple[int, float, float]], connections: int
) -> None:
    """However many come at once."""
    machine = Placement(POLICY)
    known = {f"w{i}": Load(calls, 50, late, cpu) for i, (calls, cpu, late) in enumerate(loads)}
    for name, load in known.items():
        machine.feed(WorkerUp(name, load), Mono(0.0))
    admitted = dict.fromkeys(known, 0)
    for number in range(connections):
        (act,) = machine.feed(Connection(number), Mono(0.0))
        assert isinstance(act, Give)
        admitted[act.worker] += act.admits
    for name, load in known.items():
        if admitted[name]:
            assert load.calls + admitted[name] <= load.calls_max
            assert load.cpu + admitted[name] * POLICY.cpu_per_call <= POLICY.cpu_max + 1e-6
            assert load.late_p99_s <= POLICY.late_max_s
