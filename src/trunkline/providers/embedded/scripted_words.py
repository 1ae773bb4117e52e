"""What a caller's words mean to the scripted receptionist: patterns, not understanding.

The words come from a recogniser: lower case, no punctuation, small words often wrong or missing.
So a pattern hangs on the words that carry the meaning and never on the ones between them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WEEKDAYS: Final = _listed("monday tuesday wednesday thursday friday saturday sunday")
MONTHS: Final = _listed(
    "january february march april may june july august september october november december"
)
UNITS: Final = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
TENS: Final = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
ORDINALS: Final = _listed(
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
DEFAULT_REASONS: Final = ("cleaning", "check-up", "toothache", "filling", "whitening", "crown")

_DIGITS = {**{word: str(n) for n, word in enumerate(UNITS[:10])}, "oh": "0"}
_PHONE_DIGITS_MIN = 7

TOPICS: Final = {
    "bring": r"\b(bring|take with me|need to have with)\b",
    "parking": r"\bparking\b|\b(i|we|to|can|do|should) park\b|\bpark (my|the|our)\b",
    "hours": r"\b(hours|open|close|closed|closing)\b",
    "prices": r"\b(how much|prices?|costs?|charge|fees?|expensive)\b",
    "insurance": r"\binsurances?\b|\b(accept|take) (delta|cigna|aetna|medicaid|my plan)\b",
    "walk_in": r"\bwalk ?-?ins?\b|\bwithout (an )?appointment\b|\b(just come|drop) (in|by)\b",
    "address": r"\b(address|located|location|directions|get there|find you|where are you)\b",
    "staff": r"\b(which|who|what) (\w+ )?(is|are|the)? ?(\w+ )?(dentists?|doctors?|hygienist)\b",
}
_INTENTS = {
    "bye": r"\b(good ?bye|bye|hang up|nothing else|that's it|that('s| is|'ll be| will be) all|have"
    r" a (nice|good|great|lovely) (day|one|evening))\b",
    "hello": r"^(hello|hi|hey)\b",
    "thanks": r"\b(thank you|thanks)\b",
    "cancel": r"\bcancel\b|\b(can't|cannot|can not) (come|make it)\b",
    "change": r"\b(change|move|reschedule|postpone|another (day|time) for my)\b",
    "find": r"\bwhen is my\b|\bdo i have an appointment\b",
    "book": r"\b(appointment|book|schedule|come in|see (a|the) dentist|an opening)\b"
    r"|\b(anything|something) (free|open|sooner|earlier|later)\b"
    r"|\bdo you have (any|some)(thing| time| appointments)\b",
    "message": r"\bmessage\b",
    "callback": r"\bcall (me|us) back\b|\b(tell|ask) (the )?(doctor|dentist|them|her|him) \w+",
    "person": r"\b(speak|talk)( \w+)? (to|with)\b"
    r"|\b(connect|transfer|put) me\b"
    r"|\b(real|actual) (person|human)\b|\bhuman being\b|^(operator|receptionist|representative)\b",
    "machine": r"\b(are you|talking to|is this) (a |an )?(real )?"
    r"(robot|machine|computer|bot|ai|person|human)\b",
    "repeat": r"\b(repeat|say (that|it) again|pardon|what did you say|what was that|one more time|"
    r"slower|louder|speak up|once more|again please|"
    r"(did not|didn't|couldn't|could not) (hear|catch|understand|get))\b"
    r"|^(what|sorry|excuse me)$",
    "go_on": r"\b(go on|continue|carry on|keep going)\b|^(please )?go ahead( please)?$",
    "hold": r"^(wait|stop|hold on|one (moment|second)|(just )?a (moment|second|minute)|hang on)"
    r"( (please|wait|a (moment|second)))*$",
    "question": r"^(do|does|are|is|can|could|will|what|which|where|how|who|why) ",
    "other": r"\b(later|earlier|sooner|else|another|other|different|none|neither)\b",
    "forget": r"\b(never mind|forget it|start over)\b",
}
_NO = r"^(no|nope|nah)\b|\b(not|don't|disagree|refuse|rather not|won't)\b"
_YES = (
    r"\b(yes|yeah|yep|yup|sure|okay|ok|fine|all right|alright|agree|consent|absolutely|certainly|"
    r"correct|right|perfect|great|good|of course|works|go ahead|i do|"
    r"no problem|(do not|don't) mind)\b"
)
_NOT_A_NO = r"\b(no problem|(do not|don't) mind|why not)\b"
_REASONS = {
    "cleaning": r"\b(clean(ing|ed)?|hygien\w+)\b",
    "check-up": r"\b(check ?-?ups?|exam(ination)?|consultation|x ?-?rays?|root canal|extraction|"
    r"braces|dentures|veneers|implants?)\b",
    "toothache": r"\b(tooth ?aches?|hurts?|hurting|pain\w*|(chipped|cracked|loose) tooth|"
    r"broken|fell out|swollen|bleeding|emergency|urgent)\b",
    "filling": r"\b(fillings?|cavity|cavities)\b",
    "whitening": r"\bwhiten(ing|ed)?\b",
    "crown": r"\bcrowns?\b",
}
_PICKS = {
    0: r"\b(first|earliest|soonest|any|either|whichever|whatever)\b",
    1: r"\bsecond one\b|\bthe second\b",
    2: r"\bthird\b",
    -1: r"\b(last|latest|latter)\b",
}
_INTRODUCED = re.compile(r"\b(?:my|the) name(?: is|'s)? (.+)|\bname is (.+)")
_BEFORE_A_NAME = frozenset(
    _listed(
        "yes yeah yep sure ok okay um uh er well the a it's it is its i'm i am this my name under "
        "put please for of course oh so that that's would be hi hello"
    )
)
_AFTER_A_NAME = frozenset(
    _listed(
        "and i please thank thanks phone number my calling speaking here for at on would is you"
    )
)
_NOT_A_NAME = frozenset(
    [
        *UNITS,
        *TENS,
        *WEEKDAYS,
        *_listed("what when where how why who no not don't do know can can't wait stop"),
    ]
)
_NAME_WORDS_MAX = 3


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance. *times*: hour on a twelve-hour clock and minute; *date*: month and day.

    *name* was introduced as one; *bare_name* is a name only if one was asked for.
    """

    text: str
    intents: frozenset[str] = frozenset()
    topics: tuple[str, ...] = ()
    yes: bool = False
    no: bool = False
    reason: str = ""
    day: str = ""
    date: tuple[int, int] | None = None
    part: str = ""
    times: tuple[tuple[int, int], ...] = ()
    pick: int | None = None
    name: str = ""
    bare_name: str = ""
    phone: str = ""


def words_of(text: str) -> list[str]:
    """*text* as lower-case words; a clock time such as 9:30 becomes two."""
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+", text.lower().replace("’", "'"))


def understand(text: str, reasons: Iterable[str], topics: Iterable[str] = ()) -> Heard:
    """What *text* says, where *reasons* can be booked and there are facts on *topics*."""
    words = words_of(text)
    line = re.sub(r"(?<!a )\bgood (morning|afternoon|evening)\b", "hello", " ".join(words))
    introduced = _INTRODUCED.search(line)
    name = _name((introduced[1] or introduced[2]).split()) if introduced else ""
    line = line.replace(name.lower(), "", 1) if name else line  # "park" is also a surname
    words = line.split()
    patterns = {t: TOPICS.get(t, rf"\b{re.escape(t.replace('_', ' '))}\b") for t in topics}
    found = tuple(topic for topic, pattern in patterns.items() if re.search(pattern, line))
    intents = {intent for intent, pattern in _INTENTS.items() if re.search(pattern, line)}
    if "walk_in" in found or intents & {"cancel", "change", "find"}:
        intents.discard("book")
    phone = _phone(words)
    times = () if phone else tuple(_times(words))
    no = bool(re.search(_NO, line)) and not re.search(_NOT_A_NO, line)
    day = _day(line)
    bare = not (found or times or day or intents - {"thanks", "hello"})
    return Heard(
        text=text.strip(),
        intents=frozenset(intents),
        topics=found,
        yes=not no and bool(re.search(_YES, line)),
        no=no,
        reason=_reason(line, list(reasons)),
        day=day,
        date=_date(words),
        part=next((p for p in ("morning", "afternoon", "evening") if p in words), ""),
        times=times,
        pick=next((n for n, pattern in _PICKS.items() if re.search(pattern, line)), None),
        name=name,
        bare_name=_name(words) if bare else "",
        phone=phone,
    )


def _reason(line: str, reasons: list[str]) -> str:
    for reason in reasons:  # as the practice words it
        if re.search(rf"\b{re.escape(reason).replace('-', ' ?-?')}\b", line):
            return reason
    return next(
        (reason for reason, p in _REASONS.items() if reason in reasons and re.search(p, line)), ""
    )


def _day(line: str) -> str:
    for day in ("today", "tomorrow", *WEEKDAYS):
        if re.search(rf"\b{day}('?s)?\b", line):
            return day
    soon = (
        r"\b(as soon as|any ?(day|time)|whenever|earliest|soonest|next available|doesn't matter)\b"
    )
    return "any" if re.search(soon, line) else ""


def _date(words: list[str]) -> tuple[int, int] | None:
    for index, word in enumerate(words):
        if word in MONTHS and index + 1 < len(words):
            day = _ordinal(words[index + 1 : index + 3])
            if day:
                return MONTHS.index(word) + 1, day
    return None


def _ordinal(words: list[str]) -> int:
    first, second = [*words, ""][:2]
    if first in ("twenty", "thirty") and second in ORDINALS[1:10]:
        return TENS[first] + ORDINALS.index(second)
    if first.isdigit():
        return int(first) if 1 <= int(first) <= 31 else 0
    return 30 if first == "thirtieth" else ORDINALS.index(first) if first in ORDINALS else 0


def _hour(word: str) -> int:
    if word.isdigit():
        return (int(word) - 1) % 12 + 1 if 1 <= int(word) <= 24 else 0
    return UNITS.index(word) if word in UNITS[1:13] else 0


def _minute(words: list[str]) -> int | None:
    first, second = [*words, "", ""][:2]
    if first in TENS:
        return TENS[first] + (UNITS.index(second) if second in UNITS[1:10] else 0)
    if first == "oh" and second in UNITS[1:10]:
        return UNITS.index(second)
    if first.isdigit() and len(first) == 2 and int(first) < 60:
        return int(first)
    return UNITS.index(first) if first in UNITS[10:] else None


def _times(words: list[str]) -> Iterable[tuple[int, int]]:
    index = 0
    while index < len(words):
        word, rest = words[index], words[index + 1 :]
        before = words[index - 1] if index else ""
        index += 1
        hour_next = _hour(rest[1]) if len(rest) > 1 else 0
        if word == "half" and rest[:1] == ["past"] and hour_next:
            yield hour_next, 30
            index += 2
        elif word == "quarter" and rest and rest[0] in ("past", "after") and hour_next:
            yield hour_next, 15
            index += 2
        elif word == "quarter" and rest and rest[0] in ("to", "of", "till") and hour_next:
            yield (hour_next - 2) % 12 + 1, 45
            index += 2
        elif word in ("noon", "midday"):
            yield 12, 0
        elif _hour(word) and not (word == "one" and before and before not in ("at", "is", "about")):
            minute = _minute(rest[:2])
            yield _hour(word), minute or 0
            index += 0 if minute is None else 1


def _phone(words: list[str]) -> str:
    run = best = ""
    for word in words:
        run = run + (word if word.isdigit() else _DIGITS.get(word, ""))
        if not word.isdigit() and word not in _DIGITS:
            run = ""
        best = max(best, run, key=len)
    return best if len(best) >= _PHONE_DIGITS_MIN else ""


def _name(words: list[str]) -> str:
    start = next((i for i, word in enumerate(words) if word not in _BEFORE_A_NAME), len(words))
    name: list[str] = []
    for word in words[start:]:
        if word in _AFTER_A_NAME:
            break
        if not word[0].isalpha() or word in _NOT_A_NAME:
            return ""
        name.append(word)
    return " ".join(map(str.title, name)) if len(name) <= _NAME_WORDS_MAX else ""
