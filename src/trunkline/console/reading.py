"""`trunkline records`: what the sealed journal of a call proves, in words."""

from pathlib import Path

from trunkline.errors import InputError
from trunkline.records.events import get, get_or
from trunkline.records.projections import attempts, consent_record
from trunkline.records.store import JOURNAL, Store, StoredCall
from trunkline.types import Event


def shown(store: Store, call: str, to: Path | None = None) -> str:
    """The record of *call* (an id, or `last`) for a person; its readable files are put into *to*.

    Raises `InputError` if there is none, `RecordError` if the journal is damaged.
    """
    stored = find(store, call)
    consent = consent_record(stored.events)
    told = [stored.transcript()]
    told.append(f"Consent: {consent.state.value}")
    if consent.answer:
        told[-1] += f' ("{consent.answer}", rule set {consent.rule})'
    told += [_failover(event) for event in stored.events if event.type == "failover"]
    made = attempts(stored.events)
    lost = sum(one.outcome != "won" for one in made)
    told.append(f"Attempts: {len(made)}, of which {lost} failed or lost")
    told.append(f"Journal: {stored.path / JOURNAL}, {len(stored.events)} events, chain verified")
    if store.archive is not None:
        told += [f"It was {fate.told}" for fate in store.archive.state(stored.call).fates]
    recorded = consent.granted_from is not None
    if to is None:
        told.append("Recording: there is one; --to DIRECTORY writes it" if recorded else "")
        return "\n".join(told).rstrip()
    to.mkdir(parents=True, exist_ok=True)
    written = to / "transcript.md"
    written.write_text(stored.transcript(), "utf-8")
    told.append(f"Transcript: {written}")
    if recorded:
        stored.recording(to / "recording.wav")
        told.append(f"Recording: {to / 'recording.wav'}")
    return "\n".join(told)


def _failover(event: Event) -> str:
    return (
        f"Failover in turn {event.where.turn}: {get(event, 'from', str)} "
        f"{get(event, 'fault', str)}, {get(event, 'to', str)} went on with "
        f"{get_or(event, 'queued_s', float, 0.0):.2f} s of speech still to be heard"
    )


def find(store: Store, call: str) -> StoredCall:
    """The sealed *call*, or the last one; `InputError` or `RecordError` if there is none."""
    if call != "last":
        return store.open_call(call)
    calls = store.list_calls()
    if not calls:
        raise InputError(
            f"no sealed call under {store.calls}. Name the directory that records.directory of "
            "the configuration names"
        )
    return max(calls, key=lambda one: one.events[0].wall)
