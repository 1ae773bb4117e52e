"""Whether a model goes on with a half-said answer or begins again: what a probe of it shows.

Not every server that takes a prefix honours it: some drop the fields that ask for it, and some
chat templates close the message all the same. So it is tried: the model answers `QUESTION`, then
is given the first half of its own answer to go on with. One that honours it says the rest. One
that does not begins again, or answers the half-said sentence ("Sure, ..."). The middle of a
sentence tells the two apart; at its end, where the seam of a call is, both might say the same.

It is the model's own answer because any other text has to be one that it would have said.
"""

import re
from enum import StrEnum

from trunkline.core.splice import opener, words_of

QUESTION = (
    "Name the seven days of the week in one sentence, and say on which of them most shops are open."
)
"""In one order only, in every model; a scripted receptionist knows an answer, too."""
WORDS_MIN = 8
"""Of an answer: less has no half that tells anything."""
_FRAGMENT = re.compile(r"[^.!?]*$")
_ALIKE = 2  # words that are the same are no chance


class Goes(StrEnum):
    """What the second answer is to the first one."""

    ON = "goes_on"
    AGAIN = "begins_again"
    UNCLEAR = "unclear"


def first_half(answer: str) -> str:
    """The part of *answer* to go on with: half of its words; "" if it is too short.

    If that ends with a sentence, it is one word less: a seam in a sentence tells more.
    """
    pieces = re.findall(r"\s*\S+", answer)
    if len(pieces) < WORDS_MIN:
        return ""
    half = len(pieces) // 2
    if pieces[half - 1].rstrip()[-1:] in ".!?":
        half -= 1
    return "".join(pieces[:half]).strip()


def judged(answer: str, half: str, said: str, language: str = "en") -> Goes:
    """What *said* is, the answer of a model that was to go on with *half*, a part of *answer*."""
    told, rest = words_of(said)[:_ALIKE], words_of(answer[len(half) :])[:_ALIKE]
    begun = {tuple(words_of(part)[: len(told)]) for part in (half, _FRAGMENT.findall(half)[0])}
    if not told or tuple(rest) in begun:
        return Goes.UNCLEAR
    if told == rest[: len(told)]:
        return Goes.ON
    pattern = opener(language)
    if tuple(told) in begun or (pattern is not None and pattern.match(said.strip())):
        return Goes.AGAIN
    return Goes.UNCLEAR
