"""A call rebuilt from its journal, held against what its models were really asked."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

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
            told, known = told[:-1], [it for it in known if known.index(it) < len(told) - 1]
        told = [as_keyed(it) if as_keyed(it) in known else it for it in told]
        assert told[: len(known)] == known, f"turn {note.where.turn}: the journal knows otherwise"
        assert len(told) - len(known) in (0, 1)  # 1: the text of the note that asks for the rest


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
