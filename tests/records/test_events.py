"""The table of events: what it demands, and what it lets pass."""

import pytest

from trunkline.errors import RecordError
from trunkline.records.events import KINDS, get, get_or, problems
from trunkline.types import CallId, DataClass, Event, Mono, Wall, Where


def event(data: dict[str, object]) -> Event:
    """An event with the payload *data*."""
    where = Where(CallId("c"))
    return Event(1, "id-1", where, "dtmf", Mono(0), None, Wall(0), DataClass.TELEMETRY, "", data)


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("dtmf", {"digit": "1"}),
        ("dtmf", {"digit": "1", "extra": object()}),
        ("no.such.type", {"anything": 1}),
        ("failover", {"from": "a", "to": "b", "fault": "stalled", "queued_s": 1}),
        ("failover", {"from": "a", "to": "b", "fault": "stalled", "queued_s": 1.5}),
        ("transcript.final", {"text": "hi", "words": [("hi", 0, 1)]}),
        ("transcript.final", {"text": "hi", "words": (("hi", 0, 1),)}),
        ("attempt.ended", {"outcome": "won", "fault": None, "usage": None}),
        ("tool.intent", {"key": "k", "name": "n", "arguments": "{}"}),
    ],
)
def test_a_well_formed_payload_has_no_problems(type: str, data: dict[str, object]) -> None:
    """Extra keys, unknown types and both kinds of number are fine."""
    assert problems(type, data) == []


@pytest.mark.parametrize(
    ("type", "data", "says"),
    [
        ("dtmf", {}, "'digit' is missing"),
        ("dtmf", {"digit": 1}, "'digit' is int"),
        ("reply.started", {"turn": True}, "'turn' is bool"),
        (
            "failover",
            {"from": "a", "to": "b", "fault": "x", "queued_s": True},
            "'queued_s' is bool",
        ),
        ("reply.ended", {"generated": "", "spoken": "", "heard": "", "interrupted": 1}, "is int"),
        ("attempt.ended", {"outcome": "won", "fault": 3}, "'fault' is int"),
    ],
)
def test_a_malformed_payload_is_named(type: str, data: dict[str, object], says: str) -> None:
    """The problem names type, key and what is there."""
    assert len(problems(type, data)) == 1
    assert says in problems(type, data)[0]


def test_every_type_says_what_it_is() -> None:
    """The table is the documentation: no type without a sentence, no key both needed and not."""
    for name, kind in KINDS.items():
        assert kind.says, name
        assert not kind.needs.keys() & kind.may.keys(), name


def test_a_missing_key_names_its_event() -> None:
    """A projection that cannot go on says which event is to blame."""
    with pytest.raises(RecordError, match=r"event id-1 \(dtmf\): key 'digit' is missing"):
        get(event({}), "digit", str)


def test_a_key_of_another_type_names_its_event() -> None:
    """Damage is not coerced."""
    with pytest.raises(RecordError, match="key 'digit' is int, not str"):
        get_or(event({"digit": 1}), "digit", str, "")


def test_null_is_the_default() -> None:
    """An optional key may be null or missing."""
    assert get_or(event({"digit": None}), "digit", str, "x") == "x"
    assert get_or(event({}), "digit", str, "x") == "x"
