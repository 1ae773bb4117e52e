"""A media socket's frames, the server's half: RFC 6455 (December 2011), as much as a carrier uses.

Pure: bytes in, what they say out. Text, close, ping and pong, each masked as section 5.1 has it of
clients; messages in fragments too, though no carrier sends them. No extension is ever agreed to,
so a reserved bit is a violation. All is bounded by the longest message: a frame that announces
more is refused before its payload is waited for.
"""

from typing import Final

from trunkline.errors import InputError

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
PROTOCOL_ERROR: Final = 1002
TOO_BIG: Final = 1009
FRAGMENTS_MAX: Final = 64
"""Of one message: empty ones would cost a peer nothing and never become a message."""
_CONTINUATION: Final = 0x0
_FIN, _RESERVED, _OPCODE, _MASKED = 0x80, 0x70, 0x0F, 0x80
_WHOLE_TEXT: Final = _FIN | TEXT
_CONTROL_BYTES_MAX: Final = 125
# Section 7.4.1, and the registry it began (IANA, WebSocket Close Code Number Registry).
_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015)})
_PRIVATE_CODES: Final = range(3000, 5000)


class Violation(InputError):
    """The peer broke RFC 6455; *code*: what the socket has to be closed with."""

    def __init__(self, what: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(f"media stream: {what}")
        self.code = code


Said = tuple[int, bytes] | Violation
"""A whole message, as its opcode and its payload, or that there will be none any more."""


class FrameReader:
    """`feed` what was read; after a `Violation` all else is dropped."""

    def __init__(self, message_bytes_max: int) -> None:
        self._bytes_max = message_bytes_max
        self._rest = b""  # of a frame whose end has not come
        self._opcode = 0  # of the message whose fragments come
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._broken = False

    def feed(self, data: bytes) -> list[Said]:
        """What *data* completes, in order; a violation is the last."""
        said: list[Said] = []
        if self._broken:
            return said
        try:
            self._rest = self._frames(self._rest + data if self._rest else data, said)
        except Violation as violation:
            self._broken = True
            said.append(violation)
        return said

    def _frames(self, data: bytes, said: list[Said]) -> bytes:
        """Take the whole frames of *data*; what is behind them."""
        at, held = 0, len(data)
        while held - at >= 2:
            first, size, mask_at = data[at], data[at + 1], at + 2
            if not size & _MASKED:
                raise Violation("a frame without a mask")
            size &= ~_MASKED
            if size > _CONTROL_BYTES_MAX:
                mask_at += 2 if size == 126 else 8
                if held < mask_at:
                    break
                size = int.from_bytes(data[at + 2 : mask_at], "big")
            if first != _WHOLE_TEXT or self._parts or size > self._bytes_max:
                self._check(first, size)
            payload_at = mask_at + 4
            if held < payload_at + size:
                break
            at = payload_at + size
            payload = _unmasked(data[payload_at:at], data[mask_at:payload_at])
            if first == _WHOLE_TEXT:
                said.append((TEXT, payload))
            else:
                self._take(first, payload, said)
        return data[at:]

    def _check(self, first: int, size: int) -> None:
        """What is known of a frame by its head."""
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise Violation("a reserved bit is set, but no extension was agreed on")
        if opcode in (CLOSE, PING, PONG):
            if not first & _FIN or size > _CONTROL_BYTES_MAX:
                raise Violation("a control frame in fragments, or of more than 125 bytes")
            return
        if opcode not in (_CONTINUATION, TEXT, BINARY):
            raise Violation(f"a frame of the unknown opcode {opcode:#x}")
        if (opcode == _CONTINUATION) != bool(self._parts):
            raise Violation("a fragment that continues nothing, or a message inside another")
        if len(self._parts) >= FRAGMENTS_MAX:
            raise Violation(f"a message in more than {FRAGMENTS_MAX} fragments")
        if self._parts_bytes + size > self._bytes_max:
            raise Violation(f"a message of more than {self._bytes_max} bytes", TOO_BIG)

    def _take(self, first: int, payload: bytes, said: list[Said]) -> None:
        opcode = first & _OPCODE
        if opcode in (CLOSE, PING, PONG):
            if opcode == CLOSE:
                _check_close(payload)
            said.append((opcode, payload))
            return
        self._opcode = opcode or self._opcode
        self._parts.append(payload)
        self._parts_bytes += len(payload)
        if first & _FIN:
            said.append((self._opcode, b"".join(self._parts)))
            self._parts, self._parts_bytes = [], 0


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole message, not masked: what a server sends (section 5.2)."""
    size = len(payload)
    if size <= _CONTROL_BYTES_MAX:
        head = bytes((_FIN | opcode, size))
    elif size < 1 << 16:
        head = bytes((_FIN | opcode, 126, size >> 8, size & 0xFF))
    else:
        head = bytes((_FIN | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def _unmasked(data: bytes, mask: bytes) -> bytes:
    """*data* XOR *mask*, over and over (section 5.3), as one operation on one long number."""
    size = len(data)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(data, "little") ^ key).to_bytes(size, "little")


def _check_close(payload: bytes) -> None:
    """Section 5.5.1: nothing, or a code that may be sent and a reason in UTF-8."""
    if not payload:
        return
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or (code not in _CODES and code not in _PRIVATE_CODES):
        raise Violation("a close frame without a code that may be sent")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise Violation("a close frame whose reason is no UTF-8", 1007) from None
