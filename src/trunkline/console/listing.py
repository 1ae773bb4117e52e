"""`trunkline records list`: which calls there are, those that were erased too."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from trunkline.errors import RecordError
from trunkline.records.events import get
from trunkline.records.fates import State, utc
from trunkline.records.projections import consent_record, transcript
from trunkline.records.store import Store, StoredCall


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls. *since*, *until*: seconds since 1970, of their beginning; *held*, *erased*: only
    those; *agent*, *consent*: only calls of that agent, with that state of consent."""

    since: float | None = None
    until: float | None = None
    held: bool = False
    erased: bool = False
    agent: str | None = None
    consent: str | None = None

    def when(self, started: float) -> bool:
        """Whether a call that began then may be wanted."""
        return (self.since is None or started >= self.since) and (
            self.until is None or started < self.until
        )

    def what(self, row: "Row") -> bool:
        """Whether the call is."""
        return (
            (not self.held or row.held)
            and (not self.erased or row.erased)
            and (self.agent is None or row.agent == self.agent)
            and (self.consent is None or row.consent == self.consent)
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One call. *started*: ISO 8601, UTC; *agent*, *consent*, *ended* are empty once it was erased;
    *fates*: what befell it, in words; *error*: why it cannot be read."""

    call: str
    started: str
    length_s: float
    agent: str = ""
    consent: str = ""
    ended: str = ""
    held: bool = False
    erased: bool = False
    fates: tuple[str, ...] = ()
    error: str = ""

    def line(self) -> str:
        """For a person: id, start, length, how it ended, and what befell it."""
        told = self.error or self.ended
        if self.fates:
            told = f"{told}  [{'; '.join(self.fates)}]".strip()
        return f"{self.call}  {self.started[:-1].replace('T', ' ')}  {self.length_s:6.1f} s  {told}"

    def as_json(self) -> dict[str, object]:
        """For a program: every field."""
        return asdict(self)


def rows(store: Store, wanted: Wanted) -> Iterator[Row]:
    """The calls of *store* that are *wanted*, oldest day first; erased ones before those of their
    day that were not."""
    gone: dict[str, list[Row]] = {}
    for row, day in _erased(store, wanted):
        if wanted.what(row):
            gone.setdefault(day, []).append(row)
    for stored in store.list_calls():
        for day in [it for it in gone if it <= stored.day]:
            yield from gone.pop(day)
        state = State() if store.archive is None else store.archive.state(stored.call)
        if state.erased is not None or (wanted.held and not state.held) or wanted.erased:
            continue
        read = _read(stored, state, wanted)
        if read is not None and wanted.what(read):
            yield read
    for left in gone.values():
        yield from left


def _erased(store: Store, wanted: Wanted) -> Iterator[tuple[Row, str]]:
    if store.archive is None:
        return
    for filed in store.archive.all_filed():
        if not wanted.when(filed.started):
            continue
        state = store.archive.state(filed.facts.call)
        if state.erased is not None:
            length_s = filed.ended - filed.started
            fates = tuple(it.told for it in state.fates)
            row = Row(
                filed.facts.call, utc(filed.started), round(length_s, 3), erased=True, fates=fates
            )
            yield row, filed.day


def _read(stored: StoredCall, state: State, wanted: Wanted) -> Row | None:
    fates = tuple(it.told for it in state.fates)
    held = state.held is not None
    try:
        events = stored.events
    except RecordError as error:
        return Row(
            stored.call, f"{stored.day}T00:00:00Z", 0.0, "", "", "", held, False, fates, str(error)
        )
    began = events[0].wall
    if not wanted.when(began):
        return None
    agent = next((get(it, "agent", str) for it in events if it.type == "call.started"), "")
    return Row(
        stored.call,
        utc(began),
        round(events[-1].mono - events[0].mono, 3),
        agent,
        consent_record(events).state.value,
        transcript(events).ended or "not said",
        held,
        fates=fates,
    )
