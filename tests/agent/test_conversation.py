"""Whole conversations: the scripted model, the persona and the tools, as a call drives them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.agent.support import SUNDAY, Clock, answer, riverside, tools_in
from trunkline.agent.calendar import Calendar
from trunkline.agent.messages import Messages
from trunkline.agent.receptionist import persona
from trunkline.providers.embedded.scripted import ScriptedReceptionist, Style
from trunkline.providers.embedded.scripted_facts import KNOWN_FACTS
from trunkline.types import Message, Prompt

STYLES: Sequence[Style] = ("primary", "backup")
DEMO = (
    "yes that is fine",
    "i would like to book an appointment for a cleaning",
    "tuesday morning please",
    "nine thirty is good",
    "my name is sarah miller",
    "what should i bring and where can i park",
    "no that is all thank you goodbye",
)
STEPS_MAX = 5


class Conversation:
    """One call without audio: history in, sentences and tool effects out."""

    def __init__(self, folder: Path, *styles: Style) -> None:
        self.folder, self.tools = folder, tools_in(folder)
        # With two styles the model changes at every step, as after failovers.
        self.models = [ScriptedReceptionist(style, seed) for seed, style in enumerate(styles)]
        self.steps = 0
        who = persona(riverside(), SUNDAY)
        self.messages = [Message("system", who.system_prompt), Message("assistant", who.greeting)]
        self.hung_up = False

    async def say(self, words: str) -> str:
        """The caller says *words*; all that the receptionist answers."""
        self.messages.append(Message("user", words))
        spoken: list[str] = []
        for _ in range(STEPS_MAX):
            model = self.models[self.steps % len(self.models)]
            self.steps += 1
            reply = model.reply(Prompt(tuple(self.messages), tuple(self.tools.specs)))
            self.messages.append(Message("assistant", reply.text, reply.tool_calls))
            spoken.append(reply.text)
            if not reply.tool_calls:
                return " ".join(text for text in spoken if text)
            for call in reply.tool_calls:
                result = await self.tools.run(call, f"{len(self.messages)} {call.id}")
                self.messages.append(Message("tool", result.content, tool_call_id=call.id))
                self.hung_up |= result.then == "hang_up"
        raise AssertionError(f"{words!r}: the model calls tools without end")

    def booked(self) -> list[str]:
        """The appointments that stand."""
        book = Calendar(self.folder / "appointments.ics", riverside(), Clock())
        return [
            f"{a.start:%a %H:%M} {a.name}, {a.reason}"
            for a in book.appointments()
            if not a.cancelled
        ]


@pytest.mark.parametrize("styles", [("primary",), ("backup",), ("primary", "backup")])
async def test_demo_books_answers_and_hangs_up(tmp_path: Path, styles: tuple[Style, ...]) -> None:
    """The call of the demo, in either wording and with the model changing at every step."""
    call = Conversation(tmp_path, *styles)
    answers = [await call.say(words) for words in DEMO]
    assert all(answers)
    assert call.booked() == ["Tue 09:30 Sarah Miller, cleaning"]
    assert call.hung_up
    assert [a.count(".") + a.count("?") for a in answers][5] == 8  # opener, six items, question


@pytest.mark.parametrize("style", STYLES)
async def test_caller_who_refuses_the_recording_is_still_served(
    tmp_path: Path, style: Style
) -> None:
    """Consent is about the recording, not about the service."""
    call = Conversation(tmp_path, style)
    answers = [await call.say(words) for words in ("no i do not agree", *DEMO[1:])]
    assert "record" in answers[0].lower()
    assert call.booked() == ["Tue 09:30 Sarah Miller, cleaning"]
    assert call.hung_up


@pytest.mark.parametrize("style", STYLES)
async def test_message_is_taken(tmp_path: Path, style: Style) -> None:
    """Name first, then the words as they were said."""
    call = Conversation(tmp_path, style)
    for words in (
        "yes",
        "can i speak to a real person please",
        "it's tom park",
        "please tell doctor lee that my crown is great",
        "goodbye",
    ):
        assert await call.say(words)
    taken = Messages(tmp_path / "messages.jsonl", Clock()).all()
    assert [(m.name, m.text) for m in taken] == [
        ("Tom Park", "please tell doctor lee that my crown is great")
    ]
    assert call.hung_up


@pytest.mark.parametrize("style", STYLES)
async def test_everything_in_one_breath(tmp_path: Path, style: Style) -> None:
    """A caller who says all at once is asked nothing."""
    call = Conversation(tmp_path, style)
    await call.say("yes")
    await call.say(
        "good morning my name is anna lee and i would like a check up on friday at half past nine"
    )
    assert call.booked() == ["Fri 09:30 Anna Lee, check-up"]


@pytest.mark.parametrize("style", STYLES)
async def test_appointment_is_moved_by_booking_before_cancelling(
    tmp_path: Path, style: Style
) -> None:
    """The old time is given up only once the new one is certain."""
    call = Conversation(tmp_path, style)
    for words in ("yes", *DEMO[1:5], "i need to move my appointment to friday", "nine please"):
        await call.say(words)
    assert call.booked() == ["Fri 09:00 Sarah Miller, cleaning"]


@pytest.mark.parametrize(("reply", "left"), [("yes please", 0), ("no keep it", 1)])
async def test_appointment_is_cancelled_only_after_a_yes(
    tmp_path: Path, reply: str, left: int
) -> None:
    """The appointment is read out first."""
    call = Conversation(tmp_path, "primary")
    await answer(
        call.tools, "book_appointment", start="2026-11-24T09:30", name="Anna Lee", reason="crown"
    )
    for words in ("yes", "i have to cancel my appointment"):
        await call.say(words)
    asked = await call.say("anna lee")
    assert "Tuesday, November twenty fourth" in asked
    await call.say(reply)
    assert len(call.booked()) == left


async def test_taken_time_is_offered_again(tmp_path: Path) -> None:
    """Another caller was faster between the offer and the booking."""
    call = Conversation(tmp_path, "primary")
    for words in DEMO[:4]:
        await call.say(words)
    await answer(
        call.tools, "book_appointment", start="2026-11-24T09:30", name="John Roe", reason="filling"
    )
    assert "just taken" in await call.say(DEMO[4])
    assert "booked" in await call.say("then the last one")
    assert call.booked()[1:] == ["Tue 11:00 Sarah Miller, cleaning"]


def test_scripted_wordings_say_what_the_practice_file_says() -> None:
    """The engine's own phrasing is used only for facts that the file states word for word."""
    facts = {
        f"{topic}.{key}": sentence
        for topic, sentences in riverside().facts.items()
        for key, sentence in sentences.items()
    }
    assert facts == dict(KNOWN_FACTS)
