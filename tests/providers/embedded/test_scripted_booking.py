"""How the rules book an appointment, tool call by tool call."""

from collections.abc import Mapping

import pytest

from tests.providers.embedded.receptionist_turns import (
    ASKING_TIME,
    OPENING,
    asked_for,
    found,
    ran,
    reply,
    said,
    user,
)
from trunkline.providers.embedded.scripted import content_items
from trunkline.providers.embedded.scripted_lines import line
from trunkline.types import ToolSpec


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("nine thirty is good", "09:30"),
        ("nine thirty it's good", "09:30"),
        ("a nine thirty please", "09:30"),
        ("half past nine", "09:30"),
        ("let's do 9:30", "09:30"),
        ("ten", "10:00"),
        ("at ten o'clock", "10:00"),
        ("ten thirty a m", "10:30"),
        ("at one", "13:00"),
        ("the first one", "09:00"),
        ("the second one please", "09:30"),
        ("the last one", "10:00"),
        ("either is fine", "09:00"),
    ],
)
def test_spoken_times_choose_the_slot(words: str, start: str) -> None:
    """Numbers, halves and ordinals, with what a recogniser does to small words."""
    made = reply([*ASKING_TIME, user(words), said("What name?"), user("sarah miller")])
    ((tool, arguments),) = asked_for(made)
    assert (tool, arguments["start"]) == ("book_appointment", f"2026-11-24T{start}")


def test_time_that_is_not_free_is_said_and_others_are_offered() -> None:
    """Nothing is booked that was not offered by the tool."""
    made = reply([*ASKING_TIME, user("quarter past eleven")])
    assert made.text.endswith(
        " ".join(
            [
                line("other_time").primary_text,
                "On Tuesday I have nine o'clock, nine thirty, or ten o'clock.",
                line("ask_slot").primary_text,
            ]
        )
    )
    assert made.tool_calls == ()


def test_caller_may_ask_for_other_times() -> None:
    """The next page of the same day."""
    for words in ("something later", "no"):
        assert "ten thirty or one o'clock" in reply([*ASKING_TIME, user(words)]).text


def test_lost_tool_results_are_asked_for_again() -> None:
    """A history that keeps only what was spoken costs a look-up, not the appointment."""
    spoken = [message for message in ASKING_TIME if message.role != "tool" and message.content]
    look_up = reply([*spoken, user("nine thirty")])
    assert asked_for(look_up)[0][0] == "find_slots"
    assert line("ask_name").primary_text in reply([*spoken, user("nine thirty"), *found()]).text


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("my name is sarah miller", "Sarah Miller"),
        ("the name is sarah miller", "Sarah Miller"),
        ("yes it's sarah miller please", "Sarah Miller"),
        ("um sarah miller thank you", "Sarah Miller"),
        ("sarah", "Sarah"),
        ("my name is tom park", "Tom Park"),
        ("My name is Seán O'Brien.", "Seán O'Brien"),
    ],
)
def test_names_are_found(words: str, name: str) -> None:
    """Introduced or bare; a surname that is also a topic stays a surname."""
    made = reply([*ASKING_TIME, user("nine thirty"), said("What name?"), user(words)])
    assert asked_for(made)[0][1]["name"] == name


@pytest.mark.parametrize("words", ["what", "nine thirty", "thank you", "i don't know", ""])
def test_what_is_no_name_is_not_booked_as_one(words: str) -> None:
    """The question is asked again."""
    made = reply([*ASKING_TIME, user("nine thirty"), said("What name?"), user(words)])
    assert made.tool_calls == ()
    assert line("ask_name").primary_text in made.text


@pytest.mark.parametrize(
    ("words", "tool", "arguments"),
    [
        ("i have a toothache tomorrow", "find_slots", {"reason": "toothache", "day": "tomorrow"}),
        ("book a crown as soon as possible", "find_slots", {"reason": "crown"}),
        (
            "i need a filling december third",
            "find_slots",
            {"reason": "filling", "day": "2026-12-03"},
        ),
        ("a check up january fifth", "find_slots", {"reason": "check-up", "day": "2027-01-05"}),
        ("goodbye", "end_call", {}),
        ("that's all thanks", "end_call", {}),
        ("cancel my appointment my name is ann lee", "find_appointment", {"name": "Ann Lee"}),
    ],
)
def test_wishes_become_tool_calls(words: str, tool: str, arguments: Mapping[str, str]) -> None:
    """With what was said and nothing else."""
    assert asked_for(reply([*OPENING, user(words)])) == [(tool, arguments)]


def test_question_inside_a_booking_leads_back_to_it() -> None:
    """The open question is asked again after the answer."""
    text = reply([*ASKING_TIME, user("how much is a cleaning")]).text
    assert content_items("prices")[0].primary_text in text
    assert text.endswith(line("ask_slot").primary_text)


@pytest.mark.parametrize("words", ["do you take credit cards", "do you treat children"])
def test_question_without_a_fact_is_not_answered_with_one(words: str) -> None:
    """Nothing is invented, also in the middle of a booking, which goes on."""
    text = reply([*ASKING_TIME, user(words)]).text
    assert line("unknown").primary_text in text
    assert text.endswith(line("ask_slot").primary_text)


def test_thanks_in_the_middle_lead_back_to_the_question() -> None:
    """Manners are not misunderstandings."""
    text = reply([*ASKING_TIME, user("thank you very much")]).text
    assert line("unclear").primary_text not in text
    assert text.endswith(line("ask_slot").primary_text)


def test_reasons_of_the_tool_are_bookable() -> None:
    """A practice names its own reasons in the schema of find_slots."""
    parameters = {"properties": {"reason": {"enum": ["fairy visit"]}}}
    tools = (ToolSpec("find_slots", "", parameters),)
    made = reply([*OPENING, user("book a fairy visit on monday")], tools=tools)
    assert asked_for(made) == [("find_slots", {"reason": "fairy visit", "day": "monday"})]


def test_unclear_words_are_asked_again_and_end_in_a_message() -> None:
    """Three times is enough: a person calls back."""
    messages = [*ASKING_TIME]
    for _ in range(2):
        messages.append(user("mumble mumble"))
        text = reply(messages).text
        assert line("unclear").primary_text in text
        assert text.endswith(line("ask_slot").primary_text)
        messages.append(said(text))
    text = reply([*messages, user("mumble mumble")]).text
    assert line("person").primary_text in text
    assert text.endswith(line("ask_caller").primary_text)


@pytest.mark.parametrize(
    "answer", [{"ok": False, "error": "broken"}, "garbage", "[]", {"ok": True}]
)
def test_failing_calendar_leads_to_a_message(answer: object) -> None:
    """The model does not call a failing tool again and again, and invents no time."""
    made = reply([*OPENING, user("book a cleaning on tuesday"), *ran("find_slots", answer)])
    assert made.tool_calls == ()
    assert made.text.endswith("?")
    assert "nine" not in made.text


def test_missing_tools_are_not_called() -> None:
    """A model may call only what the request allows."""
    made = reply([*OPENING, user("book a cleaning on tuesday")], tools=())
    assert made.tool_calls == ()
    assert line("calendar_down").primary_text in made.text
    assert reply([*OPENING, user("goodbye")], tools=()).tool_calls == ()
