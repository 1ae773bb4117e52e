"""Asks endpoints that get no callers for very little, to learn when they are well again.

A model for one token, a synthesiser for one word, a recogniser for what 0.3 s of silence say. An
endpoint of another stage is not asked: it gets callers again after `UNPROBED_S` (`core.health`).

At a constant rate, whatever the load: an endpoint at most every `PROBE_EVERY_S` (`core.health`),
the worker at most once a second. A probe holds nothing of any call and stands in no call's
journal; `Meter` counts what probes cost, and changes are logged.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from trunkline.calls.steps import AnyStage
from trunkline.contracts import Context
from trunkline.core.decay import SLOW_S
from trunkline.core.routing import Router
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import (
    FRAME_SAMPLES,
    LLM,
    STT,
    TTS,
    AudioFrame,
    CallId,
    DataClass,
    Finish,
    Message,
    Mono,
    Phrase,
    Prompt,
    Sample,
    StageName,
    Transcript,
    Usage,
    Where,
)

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
PROBE = Prompt((Message("user", "Say: ok"),), max_tokens=1, temperature=0.0)
WHERE = Where(CallId("probe"))
SILENT_FRAMES = 15


async def _word() -> AsyncIterator[Phrase]:
    yield Phrase(0, "Okay.")


async def _silence() -> AsyncIterator[AudioFrame]:
    for number in range(SILENT_FRAMES):
        yield AudioFrame(bytes(2 * FRAME_SAMPLES), Sample(number * FRAME_SAMPLES))


ASKED: Mapping[StageName, tuple[Callable[[], object], DataClass]] = {
    LLM: (lambda: PROBE, DataClass.PROMPT),
    STT: (_silence, DataClass.AUDIO),
    TTS: (_word, DataClass.SPEECH_TEXT),
}
"""What a probe of a stage sends."""


@dataclass(slots=True)
class Meter:
    """What all probes of a worker cost: requests, and tokens as far as endpoints told them."""

    sent: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, usage: Usage | None) -> None:
        """A probe is over; *usage*: what its endpoint said, if it said anything."""
        if usage is not None:
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens


class Probes:
    """Run `run` beside the calls of a worker, whose *router* says who is to be probed."""

    def __init__(
        self, router: Router, stages: Sequence[AnyStage], clock: Callable[[], float]
    ) -> None:
        self._router, self._clock = router, clock
        self.renew(stages)
        self.meter = Meter()

    def renew(self, stages: Sequence[AnyStage]) -> None:
        """Probe those of *stages* from now on."""
        probed = [stage for stage in stages if stage.endpoint.stage in ASKED]
        self._stages = {stage.endpoint.name: stage for stage in probed}

    async def run(self) -> None:
        """Probe until cancelled, one endpoint after the other."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            name = self._router.probe_due(list(self._stages), Mono(self._clock()))
            if name is not None:
                await self._probe(self._stages[name])

    async def _probe(self, stage: AnyStage) -> None:
        name = stage.endpoint.name
        self.meter.sent += 1
        first_s = await self._first_output(stage)
        self.meter.failed += first_s is None
        state = self._router.probed(name, first_s, Mono(self._clock()))
        if state is not None:
            log.warning("endpoint %s is %s: it answered its probes", name, state.value)

    async def _first_output(self, stage: AnyStage) -> float | None:
        """Seconds to the first useful output, None if it failed or did not come before `SLOW_S`.

        The stream is read on to its end, which has the usage, as long as that time lasts.
        """
        began, first_s = self._clock(), None
        asks, data_class = ASKED[stage.endpoint.stage]
        try:
            async with (
                asyncio.timeout(SLOW_S),
                stage.open(asks(), Context(WHERE, data_class)) as outputs,
            ):
                async for output in outputs:
                    if isinstance(output, Transcript) and not output.final:
                        continue  # what is waited for is the final one
                    first_s = self._clock() - began if first_s is None else first_s
                    if isinstance(output, Finish):
                        self.meter.add(output.usage)
                        break
        except TimeoutError:
            log.info("probe of %s: not over after %.1f s", stage.endpoint.name, SLOW_S)
        except (EndpointError, EgressRefused) as error:
            log.info("probe: %s", error)
            if isinstance(error, EndpointError) and error.fault is Fault.EMPTY:
                return self._clock() - began  # one token is too few for one that thinks first
        return first_s
