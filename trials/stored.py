"""What is stored of a call, byte by byte: nothing that the caller said before agreeing to it."""

import base64
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from trials.archives import records, unsealed
from trials.calls import Seen, files
from trunkline.media.g711 import mulaw_decode, mulaw_encode
from trunkline.records.consent import Consent
from trunkline.records.projections import consent_record
from trunkline.types import SAMPLE_RATE, Event

PIECE: Final = 80
"""10 ms: the shortest stretch of loud speech that cannot be there by chance."""
LATE_MAX: Final = 40
"""Pieces of lawful audio that the search has to find: enough to show that it can."""


def check_recorded_from_consent_on(seen: Seen) -> None:
    granted = consent_record(seen.evidence.events).granted_from
    assert granted is not None, f"{seen.order.name}: the consent was not understood"
    segments = seen.evidence.of("audio.segment")
    assert segments
    assert min(number(segment, "start") for segment in segments) >= granted
    assert speech(seen)[-1] > granted, "the caller spoke after that as well"
    stored = stored_bytes(seen)
    early = [at for at in speech(seen) if at < granted]
    late = [at for at in speech(seen) if at > granted + SAMPLE_RATE][:LATE_MAX]
    assert early
    assert traces(seen, early, stored) == []
    # The search finds what is there: else the line above would say nothing.
    assert len({at for at, _ in traces(seen, late, stored)}) == len(late)


def check_unrecorded(seen: Seen) -> None:
    assert consent_record(seen.evidence.events).state is Consent.REFUSED
    assert seen.evidence.of("audio.segment") == []
    assert traces(seen, speech(seen), stored_bytes(seen)) == []


def stored_bytes(seen: Seen) -> dict[str, bytes]:
    """Every byte that the worker stored for the call, by file, and the log as it once was.

    What is sealed is there as it lies on disk and, beside it, opened with the call's key.
    """
    out = seen.run.order.out
    found = {str(p.relative_to(out)): p.read_bytes() for p in files(out / "records")}
    found |= {str(p.relative_to(out)): p.read_bytes() for p in files(out / "reception")}
    found |= {f"wal, look {number}": data for number, data in enumerate(seen.wal)}
    with records(out) as store:
        assert store.archive is not None
        opened = {f"{name}, opened": unsealed(it, store.archive) for name, it in found.items()}
    return found | opened


def speech(seen: Seen) -> list[int]:
    """The samples of the tape where 10 ms of loud caller speech begin."""
    caller = np.abs(seen.tape[:, 0].astype(int))
    pieces = caller[: len(caller) // PIECE * PIECE].reshape(-1, PIECE)
    return [PIECE * int(index) for index in np.flatnonzero(pieces.mean(axis=1) > 500)]


def traces(seen: Seen, places: Sequence[int], stored: Mapping[str, bytes]) -> list[tuple[int, str]]:
    """Where the caller's audio from *places* on lies in *stored*, in any form that it could."""
    found = []
    for at in places:
        pcm = seen.tape[at : at + PIECE, 0]
        mulaw = mulaw_encode(pcm)
        assert np.array_equal(mulaw_decode(mulaw), pcm), "the tape is G.711 made linear"
        forms = [mulaw, pcm.astype("<i2").tobytes()]
        forms += [base64.b64encode(mulaw[skip:])[:-4] for skip in range(3)]
        found += [
            (at, name)
            for name, data in stored.items()
            if any(form in data for form in forms)
        ]  # fmt: skip  # reads as one sentence
    return found


def number(event: Event, key: str) -> int:
    value = event.data[key]
    assert isinstance(value, int)
    return value
