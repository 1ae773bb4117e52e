"""Ed25519 signatures, verified: RFC 8032 section 5.1.7 (January 2017), in Python's own integers.

A library would be faster and would have to be trusted. Nothing here is secret, so the time that it
takes may tell what it likes.
"""

import hashlib

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]


def ed25519_verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether *signature* (64 bytes) of *message* was made with the key of *public* (32 bytes).

    Strict: the scalar is below the group's order and all points are in their canonical form, so
    that nobody can turn one signature into another one of the same message.
    """
    key, nonce = _decompress(public), _decompress(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or len(signature) != 64 or scalar >= _L:
        return False
    challenge = hashlib.sha512(signature[:32] + public + message).digest()
    times = int.from_bytes(challenge, "little") % _L
    left, right = _multiply(scalar, _BASE), _add(nonce, _multiply(times, key))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % _P == 0


def _add(one: _Point, two: _Point) -> _Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    product: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            product = _add(product, point)
        point, scalar = _add(point, point), scalar >> 1
    return product


def _decompress(encoded: bytes) -> _Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if len(encoded) != 32 or y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_base = _decompress(_BASE_Y.to_bytes(32, "little"))
assert _base is not None  # noqa: S101  # a constant of the curve
_BASE: _Point = _base
