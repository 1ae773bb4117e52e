"""The demo in the terminal: what was recorded of a call goes in, the lines that a person sees come
out."""

import io

import pytest
from rich.console import Console

from trunkline.console.live import Live

CALLER, WORKER = "caller", "worker"
ZERO = 1000.0

# One turn of a call whose primary freezes, as the worker, the caller and the server told it:
# (seconds of the call, type, data, sample).
RECORDED: list[tuple[float, str, dict[str, object], int | None]] = [
    (0.0, "call.started", {"agent": "Dental", "carrier": "MZ1"}, 0),
    (0.01, "phrase.spoken", {"index": 0, "text": "Hello.", "endpoint": ""}, None),
    (0.02, "phrase.spoken", {"index": 1, "text": "May we record?", "endpoint": ""}, None),
    (0.07, "caller", {"at_s": 0.08, "agent_on": ""}, None),
    (0.9, "playout.mark", {"name": "0.0.6"}, None),
    (2.1, "playout.mark", {"name": "0.1.14"}, None),
    (2.1, "reply.ended", {"interrupted": False}, None),
    (3.13, "utterance.started", {}, 24_000),
    (4.55, "utterance.ended", {"known_at": 36_000}, 33_600),
    (4.56, "transcript.final", {"text": "yes what should i bring"}, None),
    (4.57, "consent.granted", {"rule": "r"}, None),
    (4.64, "attempt.delta", {"n": 0}, None),
    (4.65, "tool.intent", {"key": "k", "name": "find_slots", "arguments": '{"day": "monday"}'}, 1),
    (4.66, "tool.done", {"key": "k", "content": '{"ok": true, "slots": []}'}, 1),
    (4.70, "phrase.spoken", {"index": 2, "text": "Of course.", "endpoint": "primary"}, None),
    (4.71, "phrase.spoken", {"index": 3, "text": "Bring your card.", "endpoint": "primary"}, None),
    (4.74, "caller", {"at_s": 4.75, "agent_on": ""}, None),
    (4.80, "fault", {"kind": "freeze", "token": 15}, None),
    (5.5, "playout.mark", {"name": "0.2.10"}, None),
    (
        6.5,
        "attempt.suspected",
        {"endpoint": "primary", "fault": "stalled", "silent_s": 1.7, "queued_s": 0.5},
        None,
    ),
    (
        6.7,
        "failover",
        {"from": "primary", "to": "backup", "fault": "stalled", "kind": "rescue"},
        None,
    ),
    (6.71, "phrase.spoken", {"index": 4, "text": "And be early.", "endpoint": "backup"}, None),
    (7.0, "playout.mark", {"name": "0.3.16"}, None),
    (8.0, "playout.mark", {"name": "0.4.13"}, None),
    (8.0, "reply.ended", {"interrupted": False}, None),
    (8.1, "call.ended", {"reason": "the agent said goodbye"}, None),
]

SHOWN = """\
  0.07  agent            Hello.
  0.90  agent            May we record?
  3.00  caller           yes what should i bring
  4.57                   consent given: recording begins
  4.66  tool             find slots (monday): none
        turn     ░░░░░▓█ 0.54 s: turn 0.35 text 0.01 token 0.08 audio 0.10
  4.74  agent    primary Of course.
  4.80  FAULT    primary frozen (SIGSTOP) at token 15
  5.50  agent    primary Bring your card.
  6.50           primary stalled: no token for 1.70 s, 0.50 s of speech left
  6.70  rescue   backup  goes on for primary (stalled)
  7.00  agent    backup  And be early.
  8.10                   call ended: the agent said goodbye
"""


def told(
    *recorded: tuple[float, str, dict[str, object], int | None],
    width: int = 80,
    encoding: str = "utf-8",
) -> str:
    """The lines that *recorded* makes."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding, write_through=True)
    live = Live(Console(file=file, width=width))
    for at_s, kind, data, sample in recorded:
        live.tell({"type": kind, "mono": ZERO + at_s, "sample": sample, "data": data})
    return raw.getvalue().decode(encoding)


def test_a_recorded_call_makes_these_lines() -> None:
    """Each at the time it was heard: sentences by the marks, not when they were written."""
    assert told(*RECORDED) == SHOWN


def test_a_terminal_without_block_signs_gets_ascii() -> None:
    """The waterfall is drawn with what the terminal has."""
    assert "turn     .....=# 0.54 s" in told(*RECORDED, encoding="ascii")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_long_words_go_on_under_themselves(width: int) -> None:
    """Nothing is cut, and no line is longer than the terminal."""
    text = "Your cleaning is booked for Tuesday, November twenty fourth at nine thirty. " * 2
    spoken = (0.1, "phrase.spoken", {"index": 0, "text": text, "endpoint": "primary"}, None)
    lines = told(RECORDED[0], spoken, (0.2, "caller", {"agent_on": ""}, None), width=width)
    first, *rest = lines.splitlines()
    assert first.startswith("  0.20  agent    primary Your cleaning")
    assert max(map(len, lines.splitlines())) <= width
    assert all(line[:25].isspace() for line in rest)
    assert " ".join(lines.split()[3:]) == text.strip()


def test_an_interrupted_sentence_is_not_shown_as_heard() -> None:
    """What the caller cut off was never heard; the cut is."""
    lines = told(*RECORDED[:5], (1.0, "reply.ended", {"interrupted": True}, None))
    assert "Hello." in lines
    assert lines.endswith("the caller interrupts: the rest is not heard\n")
    assert told(*RECORDED[:4], (0.5, "reply.ended", {"interrupted": True}, None)).count("\n") == 2


def test_a_reply_that_was_dropped_unheard_is_not_shown() -> None:
    """A guess at what the caller said was wrong, or the caller went on: it interrupts nothing."""
    dropped = {"interrupted": True, "heard": ""}
    assert told(*RECORDED[:4], (0.5, "reply.ended", dropped, None)).count("\n") == 1


def test_a_sentence_whose_marks_were_lost_is_shown_when_the_reply_is_over() -> None:
    """Late, but not left out."""
    lines = told(*RECORDED[:3], (2.0, "reply.ended", {"interrupted": False}, None))
    assert [line.split()[0] for line in lines.splitlines()] == ["2.00", "2.00"]


def test_a_slow_turn_stays_in_its_line() -> None:
    """A wait of minutes has an open bar, and its figure."""
    late = [(at_s + (60 if at_s > 4.6 else 0), *rest) for at_s, *rest in RECORDED[:17]]
    (line,) = [
        line
        for line in told(*late).splitlines()  # type: ignore[arg-type]  # the same, moved in time
        if "turn " in line
    ]
    assert "> 60.54 s" in line
    assert len(line) <= 80


def test_the_next_call_begins_at_zero() -> None:
    """With `--keep-open` others call; nothing of the call before is left."""
    again = [(at_s + 100, *rest) for at_s, *rest in RECORDED]
    lines = told(*RECORDED, *again)  # type: ignore[arg-type]  # the same, moved in time
    assert lines == SHOWN * 2


def test_silence_before_any_speech_is_told_without_a_queue() -> None:
    """Nothing was queued, so nothing is said of it."""
    late = {"endpoint": "primary", "fault": "silent", "silent_s": 0.6, "queued_s": 0.0}
    line = told(RECORDED[0], (1.0, "attempt.suspected", late, None))
    assert line.endswith("primary silent: no token for 0.60 s\n")


def test_a_takeover_of_any_kind_keeps_its_column() -> None:
    """A longer word than `rescue` does not run into the endpoint."""
    change = {"from": "primary", "to": "backup", "fault": "unreachable"}
    for kind in ("hedge", "rescue", "failover"):
        line = told(RECORDED[0], (1.0, "failover", {**change, "kind": kind}, None))
        assert line.split()[1:3] == [kind, "backup"]


def test_what_comes_before_the_call_or_means_nothing_is_not_shown() -> None:
    """Events of a carrier that has not connected, of unknown type, or without a time."""
    assert told(*RECORDED[1:3]) == ""
    assert told(RECORDED[0], (0.5, "no.such.type", {}, None)) == ""
    Live(Console(file=io.StringIO())).tell({"type": "ready", "port": 1})
