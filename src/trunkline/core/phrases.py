"""Cuts a growing answer into sentences: the unit that is spoken, committed and spliced at.

A sentence ends at terminal punctuation that is followed by white space (so `3.50` and `e.g.` stay
whole), at a line break, or at full-width punctuation. It is known to be complete only once the
character after it is seen, or the stream ends, or nothing has come for a moment: the last case is
`complete_rest`, which the attempts machine asks for when it has waited. In what pieces the text
comes changes nothing.

Wart: an abbreviation never ends a sentence, so "at 9 a.m. We" is spoken as one. The other mistake,
to cut "Dr. Miller" in two, would be heard.
"""

import re

LONG_CHARS = 220
"""A sentence longer than this is cut at a clause, else at a word: nobody waits that long."""

_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」]*(?=[^。！？”’」])|\n")
_TERMINAL = re.compile(r"[.!?…。！？][\"'”’)\]」]*$")
_CLAUSE = re.compile(r"[,;:–—]\s")
_NOT_AN_END = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|dr|mr|mrs|ms|prof|st|no|nr|vs|etc|approx|ext|tel|inc|ltd|jr|sr"
    r"|[ap]\.m|e\.g|i\.e|z\.b|d\.h|bzw|ca|usw)\.$|^\s*\d{1,2}\.$",
    re.IGNORECASE,
)


class Phrases:
    """Feed text as it comes; whole sentences come out, stripped of surrounding space."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = ""

    @property
    def rest(self) -> str:
        """The fragment after the last complete sentence."""
        return self._rest.strip()

    def feed(self, text: str) -> list[str]:
        """Take more of the answer; the sentences that it completes."""
        self._rest += text
        sentences = []
        while (cut := _boundary(self._rest)) is not None:
            sentence, self._rest = self._rest[:cut].strip(), self._rest[cut:]
            if sentence:
                sentences.append(sentence)
        return sentences

    @property
    def reads_complete(self) -> bool:
        """Whether the fragment has its full stop, although nothing followed it yet."""
        rest = self.rest
        return bool(_TERMINAL.search(rest)) and not _NOT_AN_END.search(rest)

    def complete_rest(self) -> str | None:
        """Take the fragment if it reads as a whole sentence."""
        return self.end() if self.reads_complete else None

    def end(self) -> str | None:
        """The answer is over: take whatever is left."""
        rest, self._rest = self.rest, ""
        return rest or None


def heard_question(heard: str, text: str) -> bool:
    """Whether *heard*, a prefix of *text*, reaches into its last sentence: the question."""
    before = Phrases().feed(" ".join(text.split()))
    return len(heard) > len(" ".join(before))


def _boundary(text: str) -> int | None:
    """Where the first complete sentence of *text* ends, or None."""
    for match in _END.finditer(text):
        if match.end() > LONG_CHARS:
            break
        if match.group().isspace() or not _NOT_AN_END.search(text[: match.end()]):
            return match.end()
    if len(text) <= LONG_CHARS:
        return None
    clauses = [m.end() for m in _CLAUSE.finditer(text, 0, LONG_CHARS)]
    return clauses[-1] if clauses else text.rfind(" ", 1, LONG_CHARS) + 1 or LONG_CHARS
