"""The journal of one call: notes in, chained records out to the worker's log.

Rules:

* `note` and `audio` never block and never touch the disk; `await commit()` is durable.
* The three times: `mono` is read at the note; `wall` is one anchor per call plus the monotonic
  time since, so that a clock that is set during a call cannot reorder it; `sample` is given.
* Audio passes the consent guard or is forgotten at once: before `consent.granted` nothing of it
  is kept, not even in memory. It lies in the same log as its consent and behind it, so there is
  no crash after which audio is there and the consent to it is not.
* After the log has failed, notes are dropped (the log counts them): the caller keeps hearing us.
"""

import os
import time
from array import array
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from typing_extensions import override

from trunkline.contracts import Journal
from trunkline.errors import InputError, RecordError
from trunkline.records import envelope as wire
from trunkline.records.consent import ConsentGuard
from trunkline.records.keys import Wrapped
from trunkline.records.log import WorkerLog
from trunkline.records.sealing import CallSecret, blob_place
from trunkline.types import SAMPLE_RATE, CallId, DataClass, Mono, Sample, Wall, Where, uuid7

Channel = Literal["caller", "agent"]

AUDIO_SEGMENT_SAMPLES: Final = SAMPLE_RATE
"""Recorded audio is written a second at a time: a crash loses less, the overhead is 5 %."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where times and randomness come from; *entropy(n)* gives n random bytes."""

    mono: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    entropy: Callable[[int], bytes] = os.urandom


class CallJournal(Journal):
    """The journal of *call* on *log*, sealed with *secret* (None: readable by everybody).

    *wrapped* is the log's record of the secret, which has to lie before all that it seals.
    *settle* is awaited once by `close`, when everything is durable: it compacts the call.
    """

    def __init__(
        self,
        call: CallId,
        log: WorkerLog,
        *,
        clocks: Clocks | None = None,
        secret: CallSecret | None = None,
        wrapped: Wrapped | None = None,
        settle: Callable[["CallJournal"], Awaitable[None]] | None = None,
    ) -> None:
        wire.check_call_id(call)
        self.call = call
        self.secret, self.wrapped = secret, wrapped
        self.places: array[int] = array("Q")
        """Where the call's records lie in the log, in order."""
        self.events = 0
        self.consent = ConsentGuard()
        self._log, self._settle = log, settle
        self._clocks = clocks or Clocks()
        self._mono0, wall = self._clocks.mono(), self._clocks.wall()
        self.started = Wall(wall)
        self._event_head = wire.record_head(wire.EVENT, call)
        self._blob_head = wire.record_head(wire.BLOB, call)
        self._prev = wire.genesis(call)
        self._reached = Sample(0)
        self._pending: dict[Channel, tuple[Sample, bytearray]] = {}
        self._closed = False
        opened: dict[str, object] = {"sample_rate": SAMPLE_RATE}
        if secret is not None and wrapped is not None:
            log.append(wrapped.record(call))
            opened |= {"kc": secret.kc, "vc": secret.vc}
        self.note(wire.OPENED, opened, where=Where(call))

    @override
    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        """Accept one event; never blocks.

        Raises `InputError` if *data* is not JSON or *where* is another call, and `RecordError`
        after `close`: both are bugs of the caller.
        """
        self._check_open()
        if where.call != self.call:
            raise InputError(
                f"event {type!r} of call {where.call} was noted in the journal of {self.call}"
            )
        payload = wire.encode_payload(type, data)
        ref = None
        if len(payload) > wire.INLINE_BYTES_MAX:
            ref, payload = self._blob(payload, "json"), b"{}"
        consent = type.startswith("consent.")
        if sample is not None:
            self._reached = max(self._reached, sample)
        elif consent:
            # The record must say from where on audio is lawful, also if the caller did not.
            sample = self._reached
        self._emit(type, payload, ref, where, data_class, zone, sample)
        if consent and sample is not None:
            self.consent.feed(type, data, sample)
            if self.consent.open_from is None:
                # Withdrawn: what has not reached the disk must not reach it now.
                self._pending.clear()

    @override
    def audio(self, channel: Channel, at: Sample, mulaw: bytes) -> None:
        """Record *mulaw* (G.711 mu-law, 8 kHz) of *channel*, its first sample at *at*.

        Give each channel in order and as it is heard. Without consent nothing is kept.
        """
        self._check_open()
        end = Sample(at + len(mulaw))
        self._reached = max(self._reached, end)
        granted = self.consent.open_from
        if granted is None or end <= granted:
            return
        if at < granted:
            at, mulaw = granted, mulaw[granted - at :]
        start, held = self._pending.get(channel, (at, bytearray()))
        if start + len(held) != at:
            self._write_audio(channel)
            start, held = at, bytearray()
        held += mulaw
        self._pending[channel] = (start, held)
        if len(held) >= AUDIO_SEGMENT_SAMPLES:
            self._write_audio(channel)

    @override
    async def commit(self) -> None:
        """Return when everything noted so far is durable; `RecordError` if it cannot be.

        Audio of the last second may still be on its way: it is nobody's precondition.
        """
        await self._log.commit()

    async def close(self, reason: str) -> None:
        """End the journal: the last audio, a closing event, durable, compacted. Idempotent.

        Raises `RecordError` if it cannot be made durable or compacted; what the log holds is
        then compacted when the worker starts again.
        """
        if self._closed:
            return
        for channel in tuple(self._pending):
            self._write_audio(channel)
        closing = {"reason": reason, "events": self.events + 1}
        self.note(wire.CLOSED, closing, where=Where(self.call))
        self._closed = True
        await self._log.commit()
        if self._settle is not None:
            await self._settle(self)

    def _write_audio(self, channel: Channel) -> None:
        start, held = self._pending.pop(channel, (Sample(0), bytearray()))
        if not held:
            return
        self._emit(
            "audio.segment",
            wire.encode_payload(
                "audio.segment", {"channel": channel, "start": start, "samples": len(held)}
            ),
            self._blob(bytes(held), wire.VOICE),
            Where(self.call),
            DataClass.RECORDING,
            "",
            start,
        )

    def _blob(self, content: bytes, form: str) -> wire.Ref:
        if self.secret is not None:
            place = blob_place(self.call)
            seal = self.secret.seal_voice if form == wire.VOICE else self.secret.seal
            content = seal(content, place)
        self._append(self._blob_head + content)
        return wire.Ref(wire.digest(content), len(content), form, self.secret is not None)

    def _emit(
        self,
        type: str,
        payload: bytes,
        ref: wire.Ref | None,
        where: Where,
        data_class: DataClass,
        zone: str,
        sample: Sample | None,
    ) -> None:
        mono = self._clocks.mono()
        wall = Wall(self.started + mono - self._mono0)
        record = wire.encode_event(
            self._event_head,
            wire.make(
                uuid7(wall, self._clocks.entropy(10)),
                where,
                type,
                (Mono(mono), sample, wall),
                data_class=data_class,
                zone=zone,
                payload=payload,
                ref=ref,
                prev=self._prev,
                secret=self.secret,
            ),
        )
        self._prev = wire.digest(record)
        self.events += 1
        self._append(record)

    def _append(self, record: bytes) -> None:
        place = self._log.append(record)
        if place is not None:
            self.places.append(place)

    def _check_open(self) -> None:
        if self._closed:
            raise RecordError(f"the journal of call {self.call} is closed")
