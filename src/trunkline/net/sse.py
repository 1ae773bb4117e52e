"""Server-sent events, read incrementally and without I/O.

Source: WHATWG HTML Living Standard, "Server-sent events", sections "Parsing an event stream" and
"Interpreting an event stream" (read November 2026). Where we stop short of it, on purpose:

* `event`, `id` and `retry` are read past: a provider's stream answers one POST and cannot be
  resumed, and every provider repeats the event's name inside its JSON.
* Data stays bytes. The standard decodes UTF-8 with replacement characters; a codec decodes JSON,
  which must be valid UTF-8 or be malformed, and a character split by the network needs no care.
* A stream is bounded, each event of it and what comes between events: a peer that never sends a
  blank line, or nothing but comments as fast as the line carries them, must not eat the worker.
"""

from collections.abc import Iterator

from trunkline.errors import EndpointError, Fault

MAX_EVENT_BYTES = 1 << 20
"""A provider's event is under 10 kB; a megabyte is a peer gone wrong, not a long answer."""
MAX_IDLE_BYTES = 64 << 10
"""Between two events: keep-alives are 20 bytes and come once in seconds, so an hour of them."""
MAX_STREAM_BYTES = 4 << 20
"""Of one answer: some 10,000 tokens at the 400 bytes that a verbose provider spends on each; a
spoken answer has a hundred, and one that thinks aloud a few thousand."""

_BOM = b"\xef\xbb\xbf"
_BEFORE, _BETWEEN, _AFTER = b"data: ", b"\n\ndata: ", b"\n\n"


class SseParser:
    """Turns the bytes of one event stream into the data of its events, however they are cut.

    *endpoint* names the peer in errors. Bytes after the last blank line are an incomplete event,
    which the standard drops: so there is nothing to call at the end of the stream.
    """

    def __init__(self, endpoint: str, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._endpoint = endpoint
        self._max = max_event_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._idle_bytes = self._stream_bytes = 0
        self._first_line = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each event that *chunk* completes, in order; lazy, so exhaust it.

        Events before a fault are given before it is raised: `EndpointError` (`MALFORMED`) when an
        event, the stream or what is no event outgrows its bound.
        """
        self._stream_bytes += len(chunk)
        if self._stream_bytes > MAX_STREAM_BYTES:
            raise self._endless(f"an answer is longer than {MAX_STREAM_BYTES} bytes")
        yield from self._plain(chunk) or self._by_line(chunk)

    def _by_line(self, chunk: bytes) -> Iterator[bytes]:
        if self._after_cr and chunk:
            # A CR ended the line at once: waiting to see whether a LF follows would hold back an
            # event until the next one comes.
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        # For bytes, splitlines() breaks at CR, LF and CRLF only: exactly the standard's line ends.
        for piece in chunk.splitlines(keepends=True):
            text = piece.rstrip(b"\r\n")
            self._line += text
            if len(self._line) + self._data_bytes > self._max:
                raise self._endless(f"an event is longer than {self._max} bytes")
            if len(text) == len(piece):
                break  # the line goes on in the next chunk
            line = bytes(self._line)
            self._line.clear()
            if self._first_line:
                self._first_line = False
                line = line.removeprefix(_BOM)
            if line:
                self._field(line)
            elif self._data:
                self._idle_bytes = 0
                yield self._take()
                continue
            self._idle_bytes += len(line) + 1
            if self._idle_bytes > MAX_IDLE_BYTES + self._data_bytes:
                raise self._endless(f"{MAX_IDLE_BYTES} bytes came without an event")
        self._after_cr = chunk.endswith(b"\r") or (self._after_cr and not chunk)

    def _plain(self, chunk: bytes) -> list[bytes]:
        """The data of the events in *chunk*, if it is nothing but whole events of one line each.

        That is what all but every server sends all the time, at a tenth of the cost.
        """
        whole = chunk.startswith(_BEFORE) and chunk.endswith(_AFTER) and b"\r" not in chunk
        if not whole or self._line or self._data or len(chunk) > self._max:
            return []
        events = chunk[len(_BEFORE) : -len(_AFTER)].split(_BETWEEN)
        # With a comment, another field or a second line of data there are more line ends than that.
        if chunk.count(b"\n") != 2 * len(events):
            return []
        self._first_line = self._after_cr = False
        self._idle_bytes = 0
        return events

    def _field(self, line: bytes) -> None:
        # A comment is a line whose field has no name, so it needs no case of its own.
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._data_bytes += len(value) + 1

    def _endless(self, what: str) -> EndpointError:
        return EndpointError(self._endpoint, Fault.MALFORMED, what)

    def _take(self) -> bytes:
        data = b"\n".join(self._data)
        self._data.clear()
        self._data_bytes = 0
        return data
