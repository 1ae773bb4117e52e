"""Silero's voice activity network for 8 kHz, rebuilt as a chain of dense matrices.

The published model serves two rates and any length: control flow, and convolutions over time that
onnxruntime does one item of a batch after the other. A call's window always has one length, so
every layer is one matrix over the whole window, and the whole batch one product. The weights are
the published ones, read from the package's file; the results are the same to four decimals
(`tests/media/test_silero.py` compares), for less than half of the time.

The network, as its graph says (package silero-vad 6.2.3): a short-time Fourier transform of 128
samples every 64, mirrored at the end, magnitudes; four convolutions of width 3 with strides 1, 2,
2, 1 and ReLU; an LSTM cell; ReLU, one output, sigmoid. Fields of the file: onnx.proto of ONNX.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

INPUT: Final = 32 + 256
"""Samples: the end of the window before, and this one."""
STATE: Final = 256
"""Floats of a stream's state: the cell's output, and its memory."""

Floats = NDArray[np.float32]

_HOP, _FRAME, _MIRROR = 64, 128, 32
_FRAMES = (INPUT + _MIRROR - _FRAME) // _HOP + 1
_BINS = _FRAME // 2 + 1
_CELL = STATE // 2
_STRIDES = (1, 2, 2, 1)
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_IR_VERSION, _OPSET = 8, 13
_BRANCH = "else_branch"  # of `if the rate is 16 kHz`


def rebuild(model: bytes) -> bytes:
    """The published *model* as an ONNX model of inputs `input[B, 288]` (-1..1) and
    `state[B, 256]`, outputs `output[B, 1]` (a probability) and `next[B, 256]`.

    Raises `ValueError` if *model* is another network, or none.
    """
    try:
        weights = dict(_constants(model))
        return _model(_matrices(weights))
    except (KeyError, IndexError, ValueError) as lacking:
        raise ValueError(f"not Silero's network for 8 kHz: {lacking!r}") from lacking


def _matrices(weights: Mapping[str, Floats]) -> dict[str, NDArray[np.generic]]:
    """Name -> what the new graph multiplies with, gathers by, adds."""
    frames = np.arange(_FRAMES)[:, None] * _HOP + np.arange(_FRAME)
    mirrored = np.where(frames < INPUT, frames, 2 * (INPUT - 1) - frames)
    told: dict[str, NDArray[np.generic]] = {
        "frames": mirrored.reshape(-1),
        "by_frame": np.array([-1, _FRAME]),
        "by_window": np.array([-1, _FRAMES * _BINS]),
        "basis": weights["stft.forward_basis_buffer"][:, 0, :].T,
    }
    length = _FRAMES
    for number, stride in enumerate(_STRIDES):
        taps = weights[f"encoder.{number}.reparam_conv.weight"]
        told[f"w{number}"], after = _dense(taps, length, stride)
        told[f"b{number}"] = np.tile(weights[f"encoder.{number}.reparam_conv.bias"], after)
        length = after
    cell = [weights[f"decoder.rnn.weight_{side}"] for side in ("ih", "hh")]
    bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
    # Gates come as input, forget, candidate, output; the candidate goes last: it is no sigmoid.
    order = np.r_[0 : 2 * _CELL, 3 * _CELL : 4 * _CELL, 2 * _CELL : 3 * _CELL]
    told["w_cell"], told["b_cell"] = np.concatenate(cell, axis=1).T[:, order], bias[order]
    told["gates"] = np.array([3 * _CELL, _CELL])
    told["w_out"] = weights["decoder.decoder.2.weight"][0]
    told["b_out"] = weights["decoder.decoder.2.bias"]
    return told


def _dense(taps: Floats, length: int, stride: int) -> tuple[Floats, int]:
    """A convolution of width 3, padded by 1, over *length* steps, as one matrix; steps after it.

    Time is the slow index on both sides: `[time x in, time x out]`.
    """
    outs, ins, _ = taps.shape
    after = (length - 1) // stride + 1
    matrix = np.zeros((length, ins, after, outs), np.float32)
    for step in range(after):
        for tap in range(3):
            at = step * stride + tap - 1
            if 0 <= at < length:
                matrix[at, :, step, :] = taps[:, :, tap].T
    return matrix.reshape(length * ins, after * outs), after


# -- the file that is read: protobuf's wire format, as much of it as constants need ---------------


def _constants(model: bytes) -> Iterator[tuple[str, Floats]]:
    """Name -> the float constants of the branch for 8 kHz."""
    for branch in _branches(dict(_fields(model))[7]):
        for node in (value for field, value in _fields(branch) if field == 1):
            outputs = [value for field, value in _fields(node) if field == 2]
            for attribute in (value for field, value in _fields(node) if field == 5):
                for tensor in (value for field, value in _fields(attribute) if field == 5):
                    yield from _floats(outputs[0].decode().rpartition("__")[2], tensor)


def _branches(graph: bytes) -> Iterator[bytes]:
    for node in (value for field, value in _fields(graph) if field == 1):
        for attribute in (value for field, value in _fields(node) if field == 5):
            parts = dict(_fields(attribute))
            if parts.get(1) == _BRANCH.encode() and 6 in parts:
                yield parts[6]


def _floats(name: str, tensor: bytes) -> Iterator[tuple[str, Floats]]:
    parts = list(_fields(tensor))
    shape = [_varint(value, 0)[0] for field, value in parts if field == 1]
    raw = [value for field, value in parts if field == 9]
    if raw and (2, bytes([_FLOAT])) in parts:
        yield name, np.frombuffer(raw[0], "<f4").reshape(shape)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field; of a varint, its own bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind, start = key & 7, at
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            size, start = _varint(message, at)
            at = start + size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"no protobuf at byte {at} of {len(message)}")
        if at > len(message):
            raise ValueError(f"{at - len(message)} bytes are missing")
        yield key >> 3, message[start:at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


# -- the model that is written ---------------------------------------------------------------------


def _model(matrices: Mapping[str, NDArray[np.generic]]) -> bytes:
    graph = [*_graph(), _bytes(2, b"silero, dense")]
    graph += [_tensor(name, value) for name, value in matrices.items()]
    graph += [_value(11, "input", INPUT), _value(11, "state", STATE)]
    graph += [_value(12, "output", 1), _value(12, "next", STATE)]
    operators = _bytes(8, _bytes(1, b"") + _int(2, _OPSET))
    return _int(1, _IR_VERSION) + operators + _bytes(7, b"".join(graph))


def _graph() -> Iterator[bytes]:
    """The nodes, in order: operator, inputs, outputs."""
    yield _node("Gather", ["input", "frames"], ["gathered"], axis=1)
    yield _node("Reshape", ["gathered", "by_frame"], ["framed"])
    yield _node("MatMul", ["framed", "basis"], ["spectrum"])
    yield _node("Split", ["spectrum"], ["re", "im"], axis=1)
    yield _node("Mul", ["re", "re"], ["re2"])
    yield _node("Mul", ["im", "im"], ["im2"])
    yield _node("Add", ["re2", "im2"], ["power"])
    yield _node("Sqrt", ["power"], ["magnitude"])
    yield _node("Reshape", ["magnitude", "by_window"], ["x0"])
    for number in range(len(_STRIDES)):
        yield _node("Gemm", [f"x{number}", f"w{number}", f"b{number}"], [f"y{number}"])
        yield _node("Relu", [f"y{number}"], [f"x{number + 1}"])
    yield _node("Split", ["state"], ["h", "c"], axis=1)
    yield _node("Concat", [f"x{len(_STRIDES)}", "h"], ["fed"], axis=1)
    yield _node("Gemm", ["fed", "w_cell", "b_cell"], ["cell"])
    yield _node("Split", ["cell", "gates"], ["open", "new"], axis=1)
    yield _node("Sigmoid", ["open"], ["opened"])
    yield _node("Split", ["opened"], ["let_in", "keep", "let_out"], axis=1)
    yield _node("Tanh", ["new"], ["candidate"])
    yield _node("Mul", ["let_in", "candidate"], ["added"])
    yield _node("Mul", ["keep", "c"], ["kept"])
    yield _node("Add", ["kept", "added"], ["c_next"])
    yield _node("Tanh", ["c_next"], ["c_bounded"])
    yield _node("Mul", ["let_out", "c_bounded"], ["h_next"])
    yield _node("Concat", ["h_next", "c_next"], ["next"], axis=1)
    yield _node("Relu", ["h_next"], ["decoded"])
    yield _node("Gemm", ["decoded", "w_out", "b_out"], ["logit"])
    yield _node("Sigmoid", ["logit"], ["output"])


def _node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], axis: int | None = None
) -> bytes:
    parts = [_bytes(1, name.encode()) for name in inputs]
    parts += [_bytes(2, name.encode()) for name in outputs]
    parts.append(_bytes(4, operator.encode()))
    if axis is not None:
        parts.append(_bytes(5, _bytes(1, b"axis") + _int(3, axis) + _int(20, 2)))  # 2: an INT
    return _bytes(1, b"".join(parts))


def _tensor(name: str, value: NDArray[np.generic]) -> bytes:
    whole = np.issubdtype(value.dtype, np.integer)
    shape = b"".join(_int(1, size) for size in value.shape)
    kind = _int(2, _INT64 if whole else _FLOAT)
    raw = np.ascontiguousarray(value, "<i8" if whole else "<f4").tobytes()
    return _bytes(5, shape + kind + _bytes(8, name.encode()) + _bytes(9, raw))


def _value(field: int, name: str, width: int) -> bytes:
    """An input or output `float[B, width]`."""
    shape = _bytes(1, _bytes(2, b"B")) + _bytes(1, _int(1, width))
    kind = _bytes(1, _int(1, _FLOAT) + _bytes(2, shape))
    return _bytes(field, _bytes(1, name.encode()) + _bytes(2, kind))


def _bytes(field: int, content: bytes) -> bytes:
    return _encoded(field << 3 | 2) + _encoded(len(content)) + content


def _int(field: int, value: int) -> bytes:
    return _encoded(field << 3) + _encoded(value)


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
