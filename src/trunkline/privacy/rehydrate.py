"""Turns a model's surrogates back into what they stand for, while its answer streams.

A stream breaks words anywhere. What could still become a surrogate is held back, from the word's
beginning, and nothing else: a few characters, now and then. A whole surrogate is held too until the
next character says that the word is over ("Quillon" or "Quillons").
"""

import re

from trunkline.privacy.surrogates import HANDLE, Vault


class Rehydrator:
    """One answer: `feed` each piece, then `end`. The vault may grow meanwhile."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._before = " "  # the last character that was let go: is a word under way?
        self._held = ""
        self._minted = -1
        self._pattern = re.compile("")

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """What of the answer so far can be let go, turned back."""
        self._held += piece
        return self._let_go(self._safe())

    def end(self) -> str:
        """The rest."""
        return self._let_go(len(self._held))

    def _safe(self) -> int:
        """How many of the held characters no later one can change."""
        text = _folded(self._held)
        for at in range(max(len(text) - self._vault.longest, 0), len(text)):
            if not _in_word(self._before if at == 0 else text[at - 1]) and self._vault.begins(
                text[at:]
            ):
                return at
        return len(text)

    def _let_go(self, count: int) -> str:
        if not count:
            return ""
        if self._vault.minted != self._minted:
            self._minted = self._vault.minted
            words = "|".join(re.escape(one.surrogate) for one in self._vault.secrets())
            # Without any surrogate: a pattern that matches nothing.
            self._pattern = re.compile(rf"(?<![^\W_])(?:{words or '(?!)'})(?![^\W_])", re.I)
        text = self._before + self._held[:count]
        self._before, self._held = text[-1], self._held[count:]
        return self._pattern.sub(lambda it: self._vault.real(it[0]) or it[0], text)[1:]


def rehydrated(vault: Vault, text: str) -> str:
    """A whole *text*, turned back."""
    answer = Rehydrator(vault)
    return answer.feed(text) + answer.end()


def residual(text: str) -> str | None:
    """The first thing in *text* that looks like a handle: it was not minted in this call.

    What holds one must reach neither a voice nor a tool.
    """
    found = HANDLE.search(text)
    return None if found is None else found[0]


def _folded(text: str) -> str:
    """*text* in lower case, as long as it was: the few letters that fold to two stay."""
    return "".join(char if len(low := char.casefold()) != 1 else low for char in text)


def _in_word(char: str) -> bool:
    return char.isalnum()
