"""What the bodies of requests to language models share, whoever they go to."""

from collections.abc import Mapping

import msgspec

from trunkline.errors import InputError


def json_body(body: Mapping[str, object], extra: Mapping[str, object]) -> bytes:
    """*body* as JSON with *extra* laid over it.

    A mapping is laid over a mapping field by field; None takes a field out, and a field of *body*
    that is None is none. `InputError` if a tool's parameters hold what JSON cannot say.
    """
    told = {field: value for field, value in body.items() if value is not None}
    return msgspec.json.encode(_laid_over(told, extra), enc_hook=_plain)


def _laid_over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for field, value in above.items():
        under = merged.get(field)
        if value is None:
            merged.pop(field, None)
        elif isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[field] = _laid_over(under, value)
        else:
            merged[field] = value
    return merged


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise InputError(f"a tool's parameters hold {type(value).__name__}, which JSON cannot say")
