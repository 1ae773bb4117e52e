"""One utterance through the recognisers of the route, until one has its final transcript.

Our own voice activity is the witness: once the caller has finished, a final transcript is due
within a deadline. The next recogniser replays the utterance from its start, faster than real
time, so no word that the caller said is lost.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from trunkline.calls.ear import Utterance
from trunkline.calls.steps import Desk, SttStage, attempt
from trunkline.contracts import Context
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import STT, DataClass, Transcript, Where

FINAL_DEADLINE_S = 1.5
"""From the end of speech, or from the start of a replay, to the final transcript."""


async def listen(
    desk: Desk, utterance: Utterance, where: Where, interim: Callable[[str], None]
) -> Transcript:
    """The final transcript of *utterance*; empty if no recogniser of the route gave one.

    *interim* gets the text so far, as often as the recogniser says one.
    """
    failed: tuple[SttStage, Fault] | None = None
    for number, stage in enumerate(desk.order(STT)):
        here = attempt(where, number)
        kind = "primary" if failed is None else "rescue"
        context = desk.started(here, stage.endpoint, kind, DataClass.AUDIO)
        if failed is not None:
            desk.failover(here, failed[0].endpoint, stage.endpoint, failed[1], kind)
        try:
            final = await _recognise(desk, stage, utterance, context, interim)
        except EndpointError as error:
            desk.failed(here, stage.endpoint, error)
            failed = stage, error.fault
        except EgressRefused as error:
            desk.failed(here, stage.endpoint, error)
            failed = stage, Fault.REFUSED
        else:
            desk.succeeded(here, stage.endpoint)
            return final
    return Transcript("", final=True)


async def _recognise(
    desk: Desk,
    stage: SttStage,
    utterance: Utterance,
    context: Context,
    interim: Callable[[str], None],
) -> Transcript:
    name = stage.endpoint.name
    try:
        async with asyncio.timeout(None) as limit:
            utterance.when_closed(due := partial(_final_is_due, limit, desk))
            try:
                async with stage.open(utterance.source(), context) as transcripts:
                    async for transcript in transcripts:
                        _note(desk, transcript, context.where, stage)
                        if transcript.final:
                            return transcript
                        interim(transcript.text)
            finally:
                utterance.forget(due)  # a recogniser may fail while the caller still speaks
    except TimeoutError:
        late = "no final transcript after the end of speech"
        raise EndpointError(name, Fault.SILENT, late, deadline_s=FINAL_DEADLINE_S) from None
    raise EndpointError(name, Fault.CUT, "the stream ended without a final transcript")


def _final_is_due(limit: asyncio.Timeout, desk: Desk) -> None:
    limit.reschedule(desk.now() + FINAL_DEADLINE_S)


def _note(desk: Desk, transcript: Transcript, where: Where, stage: SttStage) -> None:
    desk.journal.note(
        "transcript.final" if transcript.final else "transcript.interim",
        {
            "text": transcript.text,
            "words": [[word.text, word.start, word.end] for word in transcript.words],
            "endpoint": stage.endpoint.name,
        },
        where=where,
        data_class=DataClass.TRANSCRIPT,
        zone=stage.endpoint.zone.name,
    )
