"""Speech over HTTP: a text spoken, a recording written down, by the machines of calls.

A text goes through `calls.speak`: several synthesisers, seams between words, within one stream. Who
listens is taken to hear what was sent at the rate of speech, as the caller of a call does. What
nobody can say breaks the body off: a recording that is too short never looks whole.

A recording is one utterance that is over (`calls.listen`); each attempt gets all of it.
"""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from trunkline.calls.ear import Utterance
from trunkline.calls.listen import Listener
from trunkline.calls.speak import Speaker
from trunkline.calls.steps import Desk
from trunkline.calls.voices import Voices
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.routing import Router
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.errors import Fault, InputError
from trunkline.gateway.audio_parts import (
    AudioModel,
    Heard,
    Notes,
    Recording,
    Sound,
    read_recording,
    read_speech,
)
from trunkline.gateway.door import (
    RETRY_AFTER_S,
    Account,
    Door,
    Model,
    json_body,
    read_body,
    refused,
    told_headers,
)
from trunkline.gateway.outboxes import SLOW_S
from trunkline.gateway.refusals import Refusal, wrong
from trunkline.media import wav
from trunkline.media.loudness import silences
from trunkline.types import FRAME_SAMPLES, SAMPLE_RATE, STT, TTS, AudioFrame, CallId, Sample, Where

RECORDING_S_MAX: Final = 300.0
"""Recognisers of calls hear utterances; longer recordings are cut by whoever has them."""
HEARING_SPEED: Final = 2.0
"""A recogniser may take so many times less than a recording lasts, on top of its patience."""
T = TypeVar("T")
_GOLDEN: Final = 0.6180339887


class Audio:
    """Serves what of *models* speaks or listens."""

    def __init__(
        self, models: Callable[[], Mapping[str, Model]], router: Router, door: Door
    ) -> None:
        self._models, self._router, self._door = models, router, door
        self._voices, self._interims = Voices(), set[str]()
        self._count = 0

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/audio/speech`."""
        account = self._door.account("speech")
        try:
            with self._door.admitted(request, account) as client:
                ask = read_speech(await read_body(request, self._door.limits.body_bytes_max))
                model = self._door.model(self._models(), client, ask.model, AudioModel).of(TTS)
                account.model = model.name
                desk, where = self._desk(model.speaking(ask.voice), account)
                sound = Sound(ask.format, self._door.clock)
                speaker = Speaker(desk, sound, where, SynthesisPolicy())
                speaker.say_line(ask.text)
                speaker.finish()
                async with self._working(request, speaker.run(), sound.nudge) as work:
                    return await self._sent(request, sound, work, account)
        except Refusal as refusal:
            account.status = refusal.status
            return refused(refusal)
        finally:
            self._door.close(account)

    async def _sent(
        self, request: web.Request, sound: Sound, work: "asyncio.Task[None]", account: Account
    ) -> web.StreamResponse:
        """Send what is said, as it is said."""
        response, over = web.StreamResponse(headers={"Content-Type": sound.content_type}), False
        try:
            while not over:
                await sound.news()
                over = work.done()
                if over and not self._is_whole(request, sound, work, account, response):
                    return response
                data = sound.take(last=over)
                if not response.prepared:
                    account.first_at = self._door.clock()
                    assert account.story is not None  # noqa: S101  # the desk is there
                    response.headers.update(told_headers(account.story))
                    await response.prepare(request)
                async with asyncio.timeout(SLOW_S):
                    await (response.write_eof(data) if over else response.write(data))
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
            account.outcome, account.status = "left", 499
        else:
            account.outcome, account.status = "complete", 200
        return response

    def _is_whole(
        self,
        request: web.Request,
        sound: Sound,
        work: "asyncio.Task[None]",
        account: Account,
        response: web.StreamResponse,
    ) -> bool:
        """Whether all was said. `Refusal` if nothing was, else the body breaks off."""
        if work.cancelled():  # only a client that left does this
            account.outcome, account.status = "left", 499
            return False
        work.result()
        if not sound.lost:
            return True
        account.outcome = "broken"
        if not response.prepared:
            raise self._unanswered(account)
        account.status = 200
        if request.transport is not None:
            request.transport.close()
        return False

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/audio/transcriptions`."""
        account = self._door.account("transcription")
        try:
            with self._door.admitted(request, account) as client:
                ask = await read_recording(request, self._door.limits.audio_bytes_max)
                model = self._door.model(self._models(), client, ask.model, AudioModel).of(STT)
                account.model = model.name
                model.understands(ask.language)
                heard = await self._heard(request, ask, model, account)
                if heard is None:
                    account.outcome, account.status = "left", 499
                    return web.Response(status=499)  # nobody reads it
                account.outcome, account.status = "complete", 200
                account.first_at = self._door.clock()
                assert account.story is not None  # noqa: S101  # the desk is there
                headers = told_headers(account.story)
                if ask.format == "text":
                    return web.Response(text=heard.text + "\n", headers=headers)
                return json_body(msgspec.json.encode(heard.told(ask, model)), headers)
        except Refusal as refusal:
            account.status = refusal.status
            return refused(refusal)
        finally:
            self._door.close(account)

    async def _heard(
        self, request: web.Request, ask: Recording, model: AudioModel, account: Account
    ) -> Heard | None:
        """What was said in the recording; None if the client left."""
        try:
            pcm = await asyncio.to_thread(
                wav.read_bytes, ask.audio, name="file", length_max_s=RECORDING_S_MAX
            )
        except InputError as error:
            raise wrong("file", str(error).removeprefix("file: ")) from None
        frames = [
            AudioFrame(pcm[at : at + FRAME_SAMPLES].tobytes(), Sample(at))
            for at in range(0, len(pcm), FRAME_SAMPLES)
        ]
        utterance = Utterance(0, Sample(0), frames)
        quiet = sum(end - start for start, end in silences(pcm, 0))
        utterance.voiced_s = (len(pcm) - quiet) / SAMPLE_RATE
        utterance.close()
        seconds = len(pcm) / SAMPLE_RATE
        policy = HearingPolicy(
            give_up_s=HearingPolicy().give_up_s + seconds / HEARING_SPEED,
            replay_speed=HEARING_SPEED,
        )
        desk, where = self._desk(model, account)
        listening = Listener().listen(utterance, where, lambda _: None, desk, policy)
        async with self._working(request, listening, lambda: None) as work:
            await asyncio.wait({work})
        if work.cancelled():
            return None
        transcript = work.result()
        if transcript is None:
            account.outcome = "broken"
            raise self._unanswered(account)
        return Heard(transcript, seconds)

    # -- inside --------------------------------------------------------------------------------

    def _desk(self, model: AudioModel, account: Account) -> tuple[Desk, Where]:
        """What a step of a call needs, for one that is the whole call."""
        self._count += 1
        account.story = notes = Notes()
        desk = Desk(
            notes,
            self._router,
            {model.stage: model.stages},
            {},
            self._door.clock,
            self._router.call(self._count * _GOLDEN % 1.0),
            lambda *_: "",
            self._voices,
            self._interims,
        )
        return desk, Where(CallId("audio-" + os.urandom(12).hex()))

    @asynccontextmanager
    async def _working(
        self,
        request: web.Request,
        work: Coroutine[object, object, T],
        done: Callable[[], None],
    ) -> AsyncIterator["asyncio.Task[T]"]:
        """While inside, *work* is done, unless the client leaves; *done* is called at its end."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: done())
        try:
            with self._door.occupied(request, lambda: _end(task)):
                yield task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    def _unanswered(self, account: Account) -> Refusal:
        """Why nobody spoke or listened to the end."""
        notes, now = account.story, self._door.clock()
        assert isinstance(notes, Notes)  # noqa: S101  # see _desk
        headers = told_headers(notes)
        told = f"({notes.faults or 'all were silent'})"
        if notes.tries and all(it.fault is Fault.THROTTLED for it in notes.tries):
            names = {it.name for it in notes.tries}
            again = min(self._router.health(name).pushed_back_until for name in names)
            wait_s = max(again - now, RETRY_AFTER_S) if math.isfinite(again) else RETRY_AFTER_S
            message = f"every endpoint of {account.model!r} pushes back {told}"
            return Refusal(429, message, "throttled", retry_after_s=wait_s, headers=headers)
        message = f"no endpoint of {account.model!r} is left {told}"
        wait_s = RETRY_AFTER_S
        return Refusal(503, message, "no_endpoint_left", retry_after_s=wait_s, headers=headers)


def _end(task: "asyncio.Task[T]") -> None:
    task.cancel()
