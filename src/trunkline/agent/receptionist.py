"""The receptionist's persona: the prompt of what a model says, and the lines said without one."""

from datetime import datetime

from trunkline.agent.practice import RIVERSIDE_DENTAL, WEEKDAYS, Practice, load_practice
from trunkline.types import Persona

__all__ = ["RIVERSIDE_DENTAL", "Practice", "load_practice", "persona"]

_RULES = """\
You are {assistant}, the AI assistant that answers the phone at {name}.
Now it is {now} at the practice ({timezone}).

How you speak
- Your words are spoken aloud on the phone: plain sentences of at most sixteen words, no lists, \
no markup, no emoji. Write numbers and times as words.
- Begin with a short sentence of two to four words, then answer in one to three sentences. When \
the caller asks for several things, give each its own sentence.
- Ask one question at a time, at the end.
- The caller's words come from a speech recogniser, without punctuation and with small errors. \
Take the likely meaning; if there is none, ask again.
- You may be interrupted. What the caller has not heard is not in the conversation.
- "[keys pressed: 4 1 1]" means that the caller pressed these keys of the phone instead of speaking.

What you do
- Book, find and cancel appointments, answer questions about the practice, and take messages.
- To book: learn the reason, then the day, offer two or three times from find_slots, then learn \
the name, then call book_appointment. Say that it is booked only once the tool says so.
- Use only times that a tool gave you. If a tool answers with an error, mend it or say what you \
cannot do.
- Never invent. What the facts below do not say, you do not know: offer to take a message.
- Give no medical advice. Someone who cannot breathe or bleeds heavily must call 911 at once.
- Nobody can be put through. Offer to take a message for them.
- Tell nobody about another person's appointments. If asked, say that you are an AI assistant.
- If the caller does not agree to the recording, help them all the same.
- When the caller is done, say goodbye and call end_call.
"""


def persona(practice: Practice, now: datetime, *, asks_consent: bool = True) -> Persona:
    """The receptionist of *practice* for one call that begins at *now* (aware).

    *asks_consent*: the greeting says that the call is recorded and asks whether that is all right.
    """
    local = now.astimezone(practice.zone)
    assistant = f"I am {practice.assistant}, an AI assistant."
    question = (
        "I would like to record this call. Is that all right with you?"
        if asks_consent
        else "How can I help you?"
    )
    return Persona(
        name=practice.name,
        language=practice.language,
        system_prompt=_prompt(practice, local),
        greeting=f"Thank you for calling {practice.name}. {assistant} {question}",
        apology=(
            "I am sorry, I am having technical trouble and cannot go on. Please call us again "
            "in a few minutes."
        ),
        asks_consent=asks_consent,
        trouble="I am sorry, something went wrong here. Could you say that again?",
        say_again="I am sorry, I could not hear that. Could you say that again?",
        reprompt="Are you still there?",
        farewell="I cannot hear you, so I will hang up now. Please call us again. Goodbye.",
        filler="One moment, please.",
    )


def _prompt(practice: Practice, local: datetime) -> str:
    rules = _RULES.format(
        assistant=practice.assistant,
        name=practice.name,
        now=f"{local:%A}, {local.day} {local:%B %Y}, {local:%H:%M}",
        timezone=practice.timezone,
    )
    hours = "\n".join(f"- {day}: {_hours(practice, day)}" for day in WEEKDAYS)
    reasons = "\n".join(
        f"- {reason}: {minutes} minutes" for reason, minutes in practice.reasons.items()
    )
    facts = "\n".join(
        f"- {topic}.{key}: {sentence}"
        for topic, sentences in practice.facts.items()
        for key, sentence in sentences.items()
    )
    staff = "\n".join(f"- {person}" for person in practice.staff) or "- not told"
    return (
        f"{rules}\nAddress: {practice.address}\nPhone: {practice.phone}\n\n"
        f"Opening hours\n{hours}\n\nReasons for an appointment\n{reasons}\n\n"
        f"Staff\n{staff}\n\nFacts\n{facts}\n"
    )


def _hours(practice: Practice, day: str) -> str:
    stretches = practice.opening_hours.get(day, ())
    return ", ".join(f"{s.opens:%H:%M}-{s.closes:%H:%M}" for s in stretches) or "closed"
