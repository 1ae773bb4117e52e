"""A call rebuilt from its journal, held against what its models were really asked."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from trunkline.core.splice import GO_ON
from trunkline.records.resume import BrokenCall, broken_call
from trunkline.testing.simulated import Note
from trunkline.types import DataClass, Event, Message, Sample, Wall


def events(notes: Sequence[Note]) -> list[Event]:
    """What was noted, as it is read back."""
    return [
        Event(
            1,
            str(n),
            note.where,
            note.type,
            note.at,
            Sample(0),
            Wall(0),
            DataClass.TELEMETRY,
            "",
            note.data,
        )
        for n, note in enumerate(notes)
    ]


def rebuilt(notes: Sequence[Note]) -> BrokenCall:
    """The call as it was known after *notes*."""
    return broken_call(events(notes))


def check_requests(notes: Sequence[Note]) -> None:
    """Whenever a step asked a model, the journal so far knew the conversation that it was told."""
    guesses = {n.where.turn for n in notes if n.type == "speculation.started"}
    for place, note in enumerate(notes):
        if note.type != "attempt.request" or note.where.attempt != 0:
            continue
        state = rebuilt(notes[:place]).resumption
        entries = () if state.reply is None else state.reply.entries
        known = plain([*state.history, *entries])
        told = plain(cast("dict[str, Sequence[Message]]", note.data["request"])["messages"])[1:]
        if note.where.turn in guesses and note.where.step == 0:
            # What the model is asked to answer may turn out not to be what the caller says.
            told, known = told[:-1], known[: -1 if known and known[-1]["role"] == "user" else None]
        if told and told[-1]["content"] == GO_ON["en"]:
            told.pop()
        told = [as_keyed(it) if as_keyed(it) in known else it for it in told]
        assert told == known, f"turn {note.where.turn}: the journal knows otherwise"


def plain(messages: Sequence[object]) -> list[dict[str, object]]:
    """*messages* as dicts, whichever they are."""
    return [
        asdict(it) if isinstance(it, Message) else dict(cast("dict[str, object]", it))
        for it in messages
    ]


def as_keyed(message: dict[str, object]) -> dict[str, object]:
    """*message* as it is known before the request has told which keys were pressed."""
    before, keyed, _ = str(message["content"]).partition("[keys pressed")
    return message | {"content": f"{before}[keys pressed]"} if keyed else message
