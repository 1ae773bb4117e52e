"""Every sentence of the scripted receptionist, in two wordings that share none.

The primary and the backup never use one phrase in common, so that a listener, and a test on the
recording, can tell who spoke: that makes a change of model in mid-answer visible.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from trunkline.providers.embedded.scripted_words import MONTHS, ORDINALS, UNITS, WEEKDAYS

Style = Literal["primary", "backup"]


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence in both wordings; *key* names what it says."""

    key: str
    primary_text: str
    backup_text: str

    def text(self, style: Style) -> str:
        """The wording of *style*."""
        return self.primary_text if style == "primary" else self.backup_text


OPENERS: Final[Sequence[tuple[str, str]]] = (
    ("Of course.", "Right away."),
    ("Sure thing.", "No problem."),
    ("Very good.", "All right then."),
)
"""Short first sentences, so that speech can begin at once. Which one is drawn by seed and turn."""

LINES: Final[Mapping[str, tuple[str, str]]] = {
    "consented": ("Thank you very much.", "That is appreciated."),
    "refused": (
        "I understand, and this call will not be recorded.",
        "No recording is made, just as you wish.",
    ),
    "consent_again": ("May I record this call, yes or no?", "Is a recording acceptable to you?"),
    "welcome": ("How can I help you today?", "What may we do for you?"),
    "ask_reason": (
        "What would you like to come in for?",
        "Which treatment is the visit meant for?",
    ),
    "ask_day": ("Which day would suit you best?", "When during the week could you come?"),
    "offer": ("On {weekday} I have {times}.", "{weekday} openings are at {times}."),
    "free_day": ("There are times on {day}.", "Some room is left on {day}."),
    "free_times": ("I can offer {times}.", "Openings then are at {times}."),
    "ask_slot": ("Which of those times works for you?", "Please pick whatever you like most."),
    "full": ("I am afraid that time is full.", "Nothing is left at that point."),
    "no_room": ("I see no free time at all.", "Our book is full for many weeks."),
    "taken": ("I am sorry, that time was just taken.", "Somebody else got that slot meanwhile."),
    "other_time": ("I do not have that time free.", "That hour is not among the openings."),
    "ask_name": ("What name should I put it under?", "Who may I say is coming in?"),
    "booked": (
        "Your {reason} is booked for {day} at {time}.",
        "{day} at {time} is set for your {reason}.",
    ),
    "anything_else": ("Is there anything else I can do?", "Would more help be welcome just now?"),
    "sorry": ("Sorry about that.", "Pardon me please."),
    "unclear": ("I did not quite understand you.", "Your words were not clear here."),
    "unknown": (
        "I do not know that, but I take messages.",
        "That is beyond me, yet staff can tell.",
    ),
    "pause": ("Take your time.", "No rush at all."),
    "machine": (
        "I am an AI assistant for the practice.",
        "You are speaking with a computer program.",
    ),
    "person": ("Nobody is free now, but I take messages.", "Our team is busy, so leave a note."),
    "ask_caller": ("May I have your name first?", "Please tell me who is calling."),
    "ask_message": ("What would you like me to pass on?", "Please say what they should know."),
    "message_taken": (
        "I have written that down for the team.",
        "Your note goes to our staff today.",
    ),
    "message_lost": (
        "I could not write that down, so please call again.",
        "Saving your note has failed, try later.",
    ),
    "ask_holder": ("Which name is the appointment under?", "Whose visit are we talking about?"),
    "not_found": ("I find no appointment under that name.", "There is nothing for that person."),
    "found": ("You have a {reason} on {day} at {time}.", "{day}, {time}, is noted for a {reason}."),
    "ask_cancel": ("Shall I cancel that appointment for you?", "Do you want me to remove it?"),
    "cancelled": ("Your old appointment is cancelled now.", "That visit has been taken out."),
    "not_cancelled": ("I could not cancel the old appointment.", "Removing that visit has failed."),
    "kept": ("Then I leave everything as it is.", "Fine, nothing has been altered here."),
    "calendar_down": (
        "I cannot reach the calendar right now.",
        "Our appointment book does not open at present.",
    ),
    "bye": ("Thank you for calling, and goodbye.", "Have a pleasant day, bye for now."),
}


def line(key: str, **values: str | tuple[str, str]) -> Item:
    """The line *key* with *values* filled in; a pair holds one value for each style."""
    texts = []
    for index, template in enumerate(LINES[key]):
        filled = {k: v if isinstance(v, str) else v[index] for k, v in values.items()}
        text = template.format(**filled)
        texts.append(text[:1].upper() + text[1:])
    return Item(key, *texts)


def spoken_time(at: datetime) -> tuple[str, str]:
    """The clock time as each style says it: "nine thirty", "half past nine"."""
    hour, following = UNITS[(at.hour - 1) % 12 + 1], UNITS[at.hour % 12 + 1]
    match at.minute:
        case 0:
            return f"{hour} o'clock", f"{hour} sharp"
        case 15:
            return f"{hour} fifteen", f"quarter past {hour}"
        case 30:
            return f"{hour} thirty", f"half past {hour}"
        case 45:
            return f"{hour} forty five", f"quarter to {following}"
        case minute:
            return f"{hour} {_minutes(minute)}", f"{_minutes(minute)} minutes past {hour}"


def spoken_times(starts: Sequence[datetime]) -> tuple[str, str]:
    """Several clock times, joined with "or"."""
    primary, backup = zip(*(spoken_time(at) for at in starts), strict=True)
    return _joined(primary), _joined(backup)


def spoken_day(at: datetime) -> tuple[str, str]:
    """The date as each style says it, without the year."""
    weekday, month = WEEKDAYS[at.weekday()].title(), MONTHS[at.month - 1].title()
    tens, units = divmod(at.day, 10)
    if at.day <= 20:
        day = ORDINALS[at.day]
    elif units:
        day = f"{('twenty', 'thirty')[tens - 2]} {ORDINALS[units]}"
    else:
        day = "thirtieth"
    return f"{weekday}, {month} {day}", f"{weekday} the {day} of {month}"


def sentence_words(text: str) -> str:
    """*text* as bare words between spaces, so that containment is a substring test."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "


def _joined(times: Sequence[str]) -> str:
    *first, last = times
    return f"{', '.join(first)}, or {last}" if len(first) > 1 else " or ".join(times)


def _minutes(minute: int) -> str:
    tens, units = divmod(minute, 10)
    if minute < 10:
        return f"oh {UNITS[minute]}"
    if minute < 20:
        return UNITS[minute]
    ten = ("twenty", "thirty", "forty", "fifty")[tens - 2]
    return f"{ten} {UNITS[units]}" if units else ten
