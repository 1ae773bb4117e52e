"""A call's vault: what stands for whom while a model that must not know is asked.

Every word of a name becomes a rare name, every identifier a handle (`PHONE-7KQ2M`), one for each
kind and normal form, the same throughout the call. The model gets text that reads as before; what
it answers is turned back (`privacy.rehydrate`) where the caller's data may be.

Rules

* No surrogate is the beginning of another, so that a stream can be turned back without a doubt that
  a later character would have resolved.
* A surrogate never stands for itself: if the text really holds what could be one (a caller named
  like it, or one who tries), that word gets a surrogate of its own.
* Only what was minted in this call is turned back. What merely looks like a handle is *residual*:
  it must reach neither a voice nor a tool (`residual`).
* Names are protected word by word, because models shorten them ("Mr Quist").
"""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.errors import InputError
from trunkline.privacy.names import RARE_NAMES
from trunkline.privacy.spans import Kind, Span

_ALPHABET: Final = "23456789BCDFGHJKMNPQRTVWXZ"
"""No vowels, so that no word comes of it; nothing that looks like something else."""
_HANDLE_CHARS: Final = 5
SURROGATES_MAX: Final = 4096
"""Of one call: an hour in which every second word is a name."""
HANDLE: Final = re.compile(
    rf"\b(?:{'|'.join(kind.value.upper() for kind in Kind)})-[{_ALPHABET}]{{{_HANDLE_CHARS}}}\b",
    re.IGNORECASE,
)
"""What looks like a handle, minted or not."""
_LOOKS: Final = re.compile(rf"{HANDLE.pattern}|\b(?:{'|'.join(RARE_NAMES)})\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Secret:
    """*surrogate* stands for *real*, which is *kind*."""

    surrogate: str
    real: str
    kind: Kind


class Vault:
    """The surrogates of one call, drawn by *seed*, which must not be guessable from outside."""

    def __init__(self, seed: int | bytes) -> None:
        self._draw = random.Random(seed)  # noqa: S311  # unlinkable, not secret: the vault is the key
        self._names = list(RARE_NAMES)
        self._draw.shuffle(self._names)
        self._by_value: dict[tuple[Kind, str], str] = {}
        self._by_surrogate: dict[str, Secret] = {}
        self._longest = 0

    def protect(self, text: str, spans: Sequence[Span]) -> str:
        """*text* with a surrogate for each of *spans* (in order, not overlapping).

        Raises `InputError` if the spans are no such, or the call has too many.
        """
        pieces, at = [], 0
        for span in spans:
            if not at <= span.start < span.end <= len(text):
                raise InputError(
                    f"span {span.start}:{span.end} ({span.rule}) overlaps another one or lies "
                    f"outside a text of {len(text)} characters"
                )
            pieces += [self._escaped(text[at : span.start]), self._covered(text, span)]
            at = span.end
        return "".join([*pieces, self._escaped(text[at:])])

    @property
    def minted(self) -> int:
        """How many surrogates there are."""
        return len(self._by_surrogate)

    @property
    def longest(self) -> int:
        """Characters of the longest one."""
        return self._longest

    def begins(self, text: str) -> bool:
        """Whether a surrogate begins with *text* (in lower case)."""
        return any(one.startswith(text) for one in self._by_surrogate)

    def secrets(self) -> Iterable[Secret]:
        """What stands for what."""
        return self._by_surrogate.values()

    def real(self, surrogate: str) -> str | None:
        """What *surrogate*, in whatever case, stands for; None if it was not minted here."""
        secret = self._by_surrogate.get(surrogate.casefold())
        return None if secret is None else secret.real

    def _covered(self, text: str, span: Span) -> str:
        said = text[span.start : span.end]
        if span.kind is not Kind.NAME:
            return self._surrogate(span.kind, span.value, said)
        return _WORD.sub(lambda word: self._surrogate(Kind.NAME, word[0].casefold(), word[0]), said)

    def _escaped(self, text: str) -> str:
        """*text* with surrogates of their own for the words that look like surrogates."""
        return _LOOKS.sub(lambda it: self._surrogate(Kind.OTHER, it[0].casefold(), it[0]), text)

    def _surrogate(self, kind: Kind, value: str, real: str) -> str:
        key = kind, value
        if key not in self._by_value:
            if len(self._by_value) >= SURROGATES_MAX:
                raise InputError(
                    f"the call holds more than {SURROGATES_MAX} different personal items: nothing "
                    f"more of it is sent to where surrogates are needed"
                )
            surrogate = self._mint(kind)
            self._by_value[key] = surrogate
            self._by_surrogate[surrogate.casefold()] = Secret(surrogate, real, kind)
            self._longest = max(self._longest, len(surrogate))
        return self._by_value[key]

    def _mint(self, kind: Kind) -> str:
        if kind is Kind.NAME and self._names:
            return self._names.pop()
        while True:
            tail = "".join(self._draw.choices(_ALPHABET, k=_HANDLE_CHARS))
            handle = f"{kind.value.upper()}-{tail}"
            if handle.casefold() not in self._by_surrogate:
                return handle
