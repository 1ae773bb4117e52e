"""Who is let in when there are many."""

from trunkline.telephony.admission import PROMISE_S, RESERVE, Admission


def test_a_promised_stream_has_its_place_until_it_comes_or_is_late() -> None:
    """A burst of webhooks is not promised more than there is."""
    door = Admission(2)
    assert door.has_room(0.0)
    door.promise(0.0)
    door.promise(1.0)
    assert not door.has_room(1.0)
    assert door.has_room(1.0, counts_promises=False), "another worker may get the streams"
    door.streams += 1
    door.keep()
    assert not door.has_room(1.0), "one is here, one is still promised"
    assert door.has_room(1.0 + PROMISE_S)


def test_who_was_let_in_comes_before_the_limit() -> None:
    """A call that goes on is taken where no new one is, but not without end."""
    door = Admission(2)
    door.streams = 2
    assert not door.has_room(0.0)
    assert not door.full
    door.keep()
    door.streams = 2 * RESERVE
    assert door.full
