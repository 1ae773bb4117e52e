"""The fields of a JSON request, taken one by one: what is left is what nobody knew."""

import re
from typing import Any

import msgspec

from trunkline.gateway.refusals import wrong

_decoder = msgspec.json.Decoder(dict[str, Any])


class Fields:
    """Of the JSON object *body*, without those that are null; `Refusal` (400) if it is none."""

    def __init__(self, body: bytes) -> None:
        try:
            fields = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise wrong("body", f"it is not a JSON object: {error}") from None
        self.all = {name: value for name, value in fields.items() if value is not None}

    def take(self, name: str, kind: Any, default: Any) -> Any:
        """The field *name*, which is taken out; `Refusal` (400) if it is not of this *kind*."""
        if name not in self.all:
            return default
        try:
            return msgspec.convert(self.all.pop(name), kind)
        except msgspec.ValidationError as error:
            what, _, at = str(error).partition(" - at `$")
            path = name + at.rstrip("`")
            what = re.sub(r"^Object contains", "it contains", what)
            raise wrong(path, f"{what[:1].lower()}{what[1:]}") from None

    def temperature(self) -> float | None:
        """It, from 0 to 2."""
        heat: float | None = self.take("temperature", float, None)
        if heat is not None and not 0 <= heat <= 2:
            raise wrong("temperature", "it is not a number from 0 to 2")
        return heat
