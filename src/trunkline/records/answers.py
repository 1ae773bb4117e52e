"""Yes, no, or unclear: the answer to "is it all right that this call is recorded?", in English.

Deterministic, so that the same words always have the same legal meaning and a decision can be
explained years later by the version of the rules. Words are read left to right, the longest known
phrase first; each says yes (+), no (-), hedges (?) or is skipped. Then:

* any hedge with a yes: unclear. A condition ("as long as"), a question, a "maybe" is no consent.
* a negation swallows the agreement it governs: "not all right", "i do not agree" are one no.
* yes and no together: unclear, but for one idiom: a leading "no" that answers the unspoken "do
  you mind?", followed by a whole permission: "no that is fine", "no go ahead".
* a courtesy agreement ("okay", "fine") that merely opens a longer remark about something else is
  no answer.

When the rules err they must err towards no consent; the tests hold them to it.
"""

import re
from typing import Final, Literal

Answer = Literal["yes", "no", "unclear"]
Sign = Literal["+", "p", "-", "0", "!", "?", "_"]

RULES: Final = "consent-en-1"
"""The version of these rules: journaled with every answer; change it with any change here."""

_REACH_WORDS: Final = 6
"""How far a negation reaches: "i do not think that would be all right"."""
_REMARK_WORDS: Final = 3
"""More unknown words than these make a courtesy "okay" the start of another subject."""

# One line a sign. `+` agreement; `p` whole permission, also behind a leading "no"; `-` no;
# `0` the bare word "no"; `!` negation that governs what follows; `?` hedge; `_` says nothing.
_PHRASES: Final[dict[Sign, str]] = {
    "+": "yes, yeah, yep, yup, yea, aye, sure, surely, absolutely, certainly, definitely, ok, okay,"
    " fine, alright, all right, correct, agreed, i agree, agree, consent, accept, acceptable,"
    " allowed, permitted, comfortable, happy, good idea, sounds good, perfect, great, uh huh,"
    " mm hmm, mhm, affirmative, very well, yes please, please do, by all means, permission",
    "p": "no problem, no problems, no problem at all, not a problem, no worries, no objection,"
    " no objections, no issue, no issues, no concerns, not an issue, nothing against, go ahead,"
    " do not mind, would not mind, does not bother me, do not have a problem, of course,"
    " do not have any problem, do not have any problems, do not object, would not object,"
    " do not have any objection, do not have any objections, do not see why not, why not,"
    " have no problem, that is fine, it is fine, that is ok, it is ok, that is okay,"
    " it is okay, that is all right, it is all right, that is alright, it is alright,"
    " that is good, that would be fine, that would be okay, that would be ok, that will be fine,"
    " i am fine with, i am okay with, i am ok with, i am happy with, you can, you may,"
    " be my guest, feel free, is quite all right, is perfectly fine, is totally fine,"
    " is absolutely fine, is perfectly all right, is quite okay, all good, i do agree,"
    " do not see a problem, do not see any problem, not against, not opposed",
    "-": "nope, nah, never, no way, no chance, no thanks, no thank you, not really, of course not,"
    " absolutely not, certainly not, definitely not, surely not, rather not, prefer not, refuse,"
    " decline, object, objection, objections, disagree, against, stop, uncomfortable, forbid,"
    " unacceptable, negative, i mind, do mind, i would mind, no recording, turn it off,"
    " switch it off, off the record, without recording, hate, unwilling, illegal",
    "0": "no",
    "!": "not, cannot, without, do not, would not, will not, can not, is not, are not, did not,"
    " does not, could not, should not, neither, nor, hardly, do not want, please do not,"
    " you may not, you can not, you cannot",
    "?": "maybe, perhaps, might, depends, depending, if, unless, except, but, only, as long as,"
    " provided, guess, suppose, supposedly, possibly, probably, not sure, do not know, no idea,"
    " do not care, unsure, wait, hold on, hang on, later, what, why, who, how, where, when, which,"
    " pardon, sorry, excuse me, huh, repeat, say that again, never mind, do you, are you, is it,"
    " can you, could you, can i, may i, what if, do i, i am okay, i am ok, i am good, i am fine,"
    " until, whether, let me think, think about it, do not understand, after, before, once,"
    " the moment, so long as, cannot hear, can not hear, not hear, did not hear, did not catch,"
    " did not get, did not understand, cannot understand, not really sure, do not really know,"
    " not bothered, not fussed",
    "_": "um, uh, er, hm, hmm, well, oh, ah, so, please, thanks, thank you, sir, madam, hi, hello,"
    " if you like, if you want, if you want to, if you must, if you need to, if that helps, just,"
    " really, very, quite, totally, perfectly, to, the, a, an, i, me, you, it, that, this, is, am,"
    " be, being, with, and, for, by, of, my, call, record, recorded, recording, recordings, think,"
    " do, will, would, am, actually, honestly, then, now, course, mean, said, say, can, may, was",
}
_SIGNS: Final[dict[tuple[str, ...], Sign]] = {
    tuple(phrase.strip().split()): sign
    for sign, phrases in _PHRASES.items()
    for phrase in phrases.split(",")
}
_LONGEST: Final = max(map(len, _SIGNS))
_COURTESY: Final = frozenset({"ok", "okay", "fine", "alright", "all right", "great", "perfect"})
_SPELT: Final[dict[str, str]] = {
    "dont": "do not", "wont": "will not", "cant": "cannot", "isnt": "is not", "didnt": "did not",
    "doesnt": "does not", "wouldnt": "would not", "couldnt": "could not", "arent": "are not",
    "shouldnt": "should not", "aint": "is not", "id": "i would", "im": "i am", "ill": "i will",
    "ive": "i have", "its": "it is", "thats": "that is", "thatd": "that would",
    "thatll": "that will", "itd": "it would", "itll": "it will", "youre": "you are",
    "theres": "there is", "whats": "what is", "gonna": "going to", "o.k": "okay",
}  # fmt: skip


def answer_of(text: str) -> Answer:
    """What *text* (a recogniser's words; case and punctuation are ignored) answers."""
    signs, unknown, courtesy = _read(_words(text))
    agrees = any(sign in "+p" for sign in signs)
    denies = any(sign in "-!" for sign in signs)
    if denies:
        return "unclear" if agrees or ("?" in signs and "-" not in signs) else "no"
    if "?" in signs:
        return "unclear"
    if "0" in signs:
        if not agrees:
            return "no"
        leading = "".join(signs).lstrip("0")
        return "yes" if "0" not in leading and "p" in leading else "unclear"
    if not agrees or (courtesy and unknown > _REMARK_WORDS):
        return "unclear"
    return "yes"


def _words(text: str) -> list[str]:
    joined = re.sub(r"['’`]", "", text.lower())
    words = re.findall(r"[^\W_]+", joined)
    return " ".join(_SPELT.get(word, word) for word in words).split()


def _read(words: list[str]) -> tuple[list[str], int, bool]:
    """The signs of *words*, how many are unknown, and whether only courtesies agree."""
    signs: list[str] = []
    unknown, at, reach, courtesy = 0, 0, 0, True
    while at < len(words):
        phrase, sign = _longest(words, at)
        step = len(phrase) or 1
        if reach and sign in ("+", "p", "_"):
            sign = "_"  # governed by the negation: part of the one no
        elif sign == "!":
            reach = _REACH_WORDS + step
        if sign == "":
            unknown += 1
        elif sign != "_":
            signs.append(sign)
        if sign in ("+", "p") and " ".join(phrase) not in _COURTESY:
            courtesy = False
        reach = max(0, reach - step)
        at += step
    return signs, unknown, courtesy


def _longest(words: list[str], at: int) -> tuple[tuple[str, ...], Sign | Literal[""]]:
    for size in range(min(_LONGEST, len(words) - at), 0, -1):
        phrase = tuple(words[at : at + size])
        if phrase in _SIGNS:
            return phrase, _SIGNS[phrase]
    return (), ""
