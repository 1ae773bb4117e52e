"""The benchmark of gateways counts only what is whole, and says what its figures come to."""

import asyncio

import pytest
from benchmarks import plot
from benchmarks.gateway import compare, subjects, wire
from benchmarks.gateway.compare import Row
from benchmarks.gateway.load import Connection, Tally
from benchmarks.gateway.run import Measured, quantiles_ms
from benchmarks.gateway.upstream import answer
from typing_extensions import override

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def decoded(pieces: list[bytes]) -> tuple[bytes, bool]:
    """What a client has of *pieces*, and whether that is all."""
    response = wire.Response()
    return b"".join([response.feed(piece) for piece in pieces]), response.whole


def test_a_body_is_read_wherever_it_is_cut() -> None:
    """In chunks, one byte at a time, and in two parts at any place."""
    body = HEAD + b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"
    assert decoded([bytes([byte]) for byte in body]) == (b"hello world", True)
    for cut in range(len(body)):
        assert decoded([body[:cut], body[cut:]]) == (b"hello world", True)
        assert decoded([body[:cut]])[1] is False
    plain = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
    assert decoded([plain]) == (b"no", True)


def test_a_piece_says_when_it_was_sent() -> None:
    """Also where a gateway joins several; other text is none of ours."""
    one = wire.stamp().decode()
    assert list(wire.stamped(one + one)) == [*wire.stamped(one), *wire.stamped(one)]
    with pytest.raises(ValueError, match="not whole pieces"):
        wire.stamped(one + "and more")


class Wire(asyncio.Transport):
    """A transport that remembers whether it was cut."""

    aborted = False

    @override
    def write(self, data: object) -> None:
        """Nobody reads it."""

    @override
    def abort(self) -> None:
        """The connection is of no more use."""
        self.aborted = True


def told(body: bytes) -> Tally:
    """What the client makes of an answer."""
    tally = Tally()
    connection = Connection(lambda _: None, tally)
    connection.connection_made(Wire())
    connection.ask(b"")
    connection.data_received(body)
    return tally


def test_an_answer_counts_if_it_is_whole() -> None:
    """All its pieces, one finish, one [DONE]; each piece with its way."""
    tally = told(answer())
    assert (tally.finished, tally.failed, len(tally.piece_s)) == (1, 0, wire.PIECES)
    assert all(0 <= seconds < 60 for seconds in tally.piece_s)


@pytest.mark.parametrize(
    "broken",
    [
        (b"[DONE]", b"[D0NE]"),
        (b'"finish_reason":"stop"', b'"finish_reason":null'),
        (b'{"content":"T', b'{"kontent":"T'),
        (b" 200 OK", b" 500 No"),
    ],
)
def test_an_answer_that_is_not_whole_counts_as_failed(broken: tuple[bytes, bytes]) -> None:
    """Nothing that a gateway leaves out makes it faster."""
    body = answer()
    assert broken[0] in body
    tally = told(body.replace(*broken))
    assert (tally.finished, tally.failed) == (0, 1)
    assert tally.errors


def measured(subject: str, kind: str, level: float, **more: object) -> Measured:
    """A measurement of a hundred answers a second."""
    fields: dict[str, object] = {
        "wall_s": 2.0,
        "finished": 200,
        "failed": 0,
        "errors": [],
        "cpu_us": 100.0,
        "own_cpu_s": 0.1,
        "rss_mb": 30.0,
        "first_ms": [1.0, 2.0],
        "piece_ms": [0.5, 1.0],
        "late_ms": [0.1, 0.2],
        "idle": 0.0,
        "taken": 0.0,
        "own_idle": 0.5,
        "own_taken": 0.0,
        **more,
    }
    return Measured(subject, 1, kind, level, **fields)  # type: ignore[arg-type]  # see above


def run_of(subject: str, **more: object) -> list[Measured]:
    """One round of a subject."""
    kinds = (("closed", 8.0), ("closed", 32.0), ("own", 10.0), ("common", 10.0), ("paced", 8.0))
    return [measured(subject, kind, level, **more) for kind, level in kinds]


def table() -> list[Row]:
    """Five subjects, of which one is slow."""
    direct = run_of("direct", cpu_us=0.0, first_ms=[0.25, 0.5])
    ours = run_of("trunkline", cpu_us=400.0, failed=1)
    slow = run_of("litellm", cpu_us=20_000.0, finished=8, first_ms=[40.0, None])
    return compare.rows([*direct, *run_of("raw"), *run_of("parts", cpu_us=300.0), *ours, *slow])


def test_a_row_has_the_best_of_the_closed_loop() -> None:
    """And what a core would carry by CPU time."""
    best = measured("raw", "closed", 64.0, finished=500, cpu_us=80.0)
    (row,) = compare.rows([*run_of("raw"), best])
    assert (row.most, row.connections, row.core) == (250.0, 64.0, 12_500.0)


def test_one_that_answers_nothing_has_a_row_too() -> None:
    """A tenth of nothing is not asked for."""
    more = {"finished": 0, "cpu_us": None, "first_ms": [None, None], "piece_ms": [None, None]}
    silent = [it for it in run_of("litellm", **more) if it.kind != "own"]
    (row,) = compare.rows(silent)
    assert (row.most, row.core, row.own, row.carries) == (0.0, None, (None, None), False)
    assert "| litellm | 0 |" in compare.markdown([row], "here")


def test_a_disturbed_measurement_counts_where_there_is_no_other() -> None:
    """By what others took of the cores; what failed in it counts all the same."""
    busy = run_of("raw", taken=0.5, first_ms=[90.0, 95.0], failed=1)
    (row,) = compare.rows([*busy, *run_of("raw")])
    assert (row.common, row.failed, row.disturbed) == ((1.0, 2.0), 5, False)
    (row,) = compare.rows(busy)
    assert (row.common, row.disturbed) == ((90.0, 95.0), True)


def test_the_verdicts_are_of_one_run() -> None:
    """Ratios to each peer, where our time goes, who failed and who is in its own queue."""
    verdicts = "\n".join(compare.verdicts(table()))
    assert "trunkline takes 0.02 of litellm's CPU time" in verdicts
    assert "100 are what a bare relay takes, 200 more its server" in verdicts
    assert "litellm does not carry 10 requests a second" in verdicts
    assert "trunkline: 5 answers were not whole" in verdicts
    assert "disturbed" not in verdicts
    disturbed = compare.verdicts(compare.rows(run_of("raw", own_taken=0.5)))
    assert "disturbed" in disturbed[-1]


def test_the_page_shows_what_was_added() -> None:
    """Over asking the upstream itself; a percentile of few answers is none."""
    page = compare.markdown(table(), "here")
    lines = {line.split(" | ")[0].strip("| "): line for line in page.splitlines()}
    assert "| 0.75 / 1.50 |" in lines["raw"]
    assert "| 40.00 / - |" in lines["litellm"]
    assert quantiles_ms([0.001] * 99) == [1.0, None]
    assert quantiles_ms([0.001] * 99 + [0.005]) == [1.0, 5.0]


def test_the_picture_has_a_bar_for_what_is_known() -> None:
    """A core's answers are not known where there is no subject."""
    rows = table()
    picture = plot.gateway(rows, "here")
    assert picture.count("<rect") == 1 + 3 * len(rows) - 1
    assert all(name in picture for name in ("trunkline", "litellm", "direct"))


def test_every_subject_can_be_named() -> None:
    """Ours is among them, and so are the two that show what it costs above nothing."""
    assert {subjects.US, subjects.DIRECT, subjects.RAW, subjects.PARTS} < set(subjects.NAMES)
