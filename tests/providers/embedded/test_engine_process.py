"""What the event loop calls: frames are queued in bounds, stderr is kept short, the end is told."""

import asyncio

from typing_extensions import override

from trunkline.errors import Fault
from trunkline.providers.embedded.engine_process import EngineProcess
from trunkline.providers.embedded.framing import Frame, Kind, encode


class Line(asyncio.SubprocessTransport):
    """A process's transport whose one pipe notes whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.pipe = Pipe()
        self.killed = False

    @override
    def get_returncode(self) -> int | None:
        return -9 if self.killed else None

    @override
    def kill(self) -> None:
        self.killed = True

    @override
    def get_pipe_transport(self, fd: int) -> asyncio.BaseTransport:
        return self.pipe


class Pipe(asyncio.ReadTransport, asyncio.WriteTransport):
    """Notes pauses and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.written = b""

    @override
    def pause_reading(self) -> None:
        self.reading = False

    @override
    def resume_reading(self) -> None:
        self.reading = True

    @override
    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written += data


def process() -> tuple[EngineProcess, Line]:
    """A process that runs."""
    line, made = Line(), EngineProcess()
    made.connection_made(line)
    return made, line


async def test_a_reader_gets_frames_and_then_the_end() -> None:
    """What arrived before the death is not lost."""
    made, _ = process()
    made.pipe_data_received(1, encode(Frame(Kind.RESULT, 1, b"a")))
    made.connection_lost(None)
    assert await made.next_frame() == Frame(Kind.RESULT, 1, b"a")
    assert await made.next_frame() is None
    assert (made.broken, made.fault) == ("it exited", Fault.CUT)


async def test_a_reader_waits_for_the_rest_of_a_frame() -> None:
    """Half a frame wakes nobody for good."""
    made, _ = process()
    data = encode(Frame(Kind.RESULT, 1, b"abc"))
    async with asyncio.TaskGroup() as group:
        frame = group.create_task(made.next_frame())
        await asyncio.sleep(1)
        made.pipe_data_received(1, data[:5])
        await asyncio.sleep(1)
        assert not frame.done()
        made.pipe_data_received(1, data[5:])
    assert frame.result() == Frame(Kind.RESULT, 1, b"abc")


async def test_a_chatty_process_is_made_to_wait() -> None:
    """Its pipe fills up instead of our memory, and flows again when the reader catches up."""
    made, line = process()
    for number in range(65):
        assert line.pipe.reading
        made.pipe_data_received(1, encode(Frame(Kind.RESULT, number)))
    assert not line.pipe.reading
    taken = 0
    while not line.pipe.reading:
        await made.next_frame()
        taken += 1
    assert taken == 33


async def test_a_few_large_frames_are_a_full_inbox() -> None:
    """64 frames of eight megabytes would be half a gigabyte."""
    made, line = process()
    for _ in range(2):
        assert line.pipe.reading
        made.pipe_data_received(1, encode(Frame(Kind.RESULT, 1, bytes(600_000))))
    assert not line.pipe.reading
    for _ in range(2):
        assert await made.next_frame() is not None
    assert line.pipe.reading


async def test_stdout_that_is_no_frame_breaks_the_process() -> None:
    """A library that prints must not be taken for an answer."""
    made, line = process()
    made.pipe_data_received(1, b"Traceback (most recent call last)")
    assert await made.next_frame() is None
    assert made.fault is Fault.MALFORMED
    assert line.killed
    for _ in range(1_000):
        made.pipe_data_received(1, bytes(65_536))
    assert await made.next_frame() is None
    made.write(b"lost")
    assert line.pipe.written == b""


def test_only_the_tail_of_stderr_is_kept() -> None:
    """A process that complains all day costs two kilobytes."""
    made, _ = process()
    for number in range(1_000):
        made.pipe_data_received(2, f"complaint {number}\n".encode())
    assert made.stderr_tail().endswith("complaint 999")
    assert len(made.stderr_tail()) <= 2_000
