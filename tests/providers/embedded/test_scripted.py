"""The rules that play a language model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.splice import RepeatGate, continuation
from trunkline.providers.embedded.chat import ChatReply
from trunkline.providers.embedded.scripted import (
    ScriptedReceptionist,
    Style,
    backup,
    content_items,
    primary,
)
from trunkline.providers.embedded.scripted_facts import KNOWN_FACTS
from trunkline.providers.embedded.scripted_lines import (
    LINES,
    OPENERS,
    Item,
    line,
    spoken_day,
    spoken_time,
    spoken_times,
)
from trunkline.testing.chat import parse_request
from trunkline.types import Message, Prompt, ToolCall, ToolSpec

STYLES: Sequence[Style] = ("primary", "backup")
TOOLS = tuple(
    ToolSpec(name, "", {})
    for name in (
        "find_slots",
        "book_appointment",
        "find_appointment",
        "cancel_appointment",
        "take_message",
        "end_call",
    )
)
GREETING = "Thank you for calling. This call is recorded. Is that all right with you?"
BRING_AND_PARK = "what should i bring and where can i park"
SLOTS = [f"2026-11-24T{time}" for time in ("09:00", "09:30", "10:00", "10:30", "13:00")]
SHORT = {"sorry", "pause", "consented"}


def user(words: str) -> Message:
    """The caller says *words*."""
    return Message("user", words)


def said(text: str) -> Message:
    """The caller heard *text*."""
    return Message("assistant", text)


def ran(tool: str, answer: object, **arguments: str) -> list[Message]:
    """Tool *tool* ran and answered *answer*."""
    call = ToolCall(f"id of {tool}", tool, json.dumps(arguments))
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return [Message("assistant", "", (call,)), Message("tool", text, tool_call_id=call.id)]


def found(starts: Sequence[str] = SLOTS) -> list[Message]:
    """find_slots answered *starts*."""
    slots = [{"start": start} for start in starts]
    return ran("find_slots", {"ok": True, "slots": slots}, reason="cleaning", day="tuesday")


OPENING = [said(GREETING), user("yes"), said("How can I help you today?")]
ASKING_TIME = [
    *OPENING,
    user("i would like to book a cleaning on tuesday"),
    *found(),
    said("On Tuesday I have nine o'clock, nine thirty, or ten o'clock."),
]


def reply(
    messages: Sequence[Message],
    style: Style = "primary",
    tools: tuple[ToolSpec, ...] = TOOLS,
    prompt: str = "You are a receptionist. Now it is Sunday, 22 November 2026, 10:00.",
) -> ChatReply:
    """What the engine answers to *messages*."""
    whole = (Message("system", prompt), *messages)
    return ScriptedReceptionist(style).reply(Prompt(whole, tools))


def asked_for(made: ChatReply) -> list[tuple[str, Mapping[str, str]]]:
    """The tools that the answer calls."""
    return [(call.name, json.loads(call.arguments)) for call in made.tool_calls]


def all_items() -> list[Item]:
    """Every sentence that the engine can say, changing parts filled in."""
    topics = dict.fromkeys(key.partition(".")[0] for key in KNOWN_FACTS)
    items = [item for topic in topics for item in content_items(topic)]
    for at in (
        datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
        datetime(2027, 1, 30, 13, tzinfo=UTC),
        datetime(2027, 2, 3, 16, 15, tzinfo=UTC),
    ):
        three = [at, at.replace(hour=10, minute=45), at.replace(hour=11, minute=0)]
        values: dict[str, str | tuple[str, str]] = {
            "weekday": "Tuesday",
            "reason": "check up",
            "day": spoken_day(at),
        }
        values |= {"time": spoken_time(at), "times": spoken_times(three)}
        items += [line(key, **values) for key in LINES]
    return items


def grams(text: str) -> set[tuple[str, ...]]:
    """The five-word runs of *text*; a shorter text is one run."""
    words = text.lower().replace(",", "").rstrip(".?").split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def test_two_styles_share_no_run_of_five_words() -> None:
    """Whoever hears a sentence can tell which model said it."""
    mine = {gram for item in all_items() for gram in grams(item.primary_text)}
    mine |= {gram for opener in OPENERS for gram in grams(opener[0])}
    theirs = {gram for item in all_items() for gram in grams(item.backup_text)}
    theirs |= {gram for opener in OPENERS for gram in grams(opener[1])}
    assert mine & theirs == set()


@pytest.mark.parametrize("style", STYLES)
def test_sentences_are_as_long_as_speech_wants(style: Style) -> None:
    """Openers and manners 2 to 4 words, everything else one sentence of 5 to 16."""
    for item in all_items():
        words = item.text(style).split()
        assert (2 <= len(words) <= 4) if item.key in SHORT else (5 <= len(words) <= 16), words
        assert item.text(style)[-1] in ".?"
        assert item.text(style)[:-1].count(".") == 0
    for opener in OPENERS:
        assert all(2 <= len(text.split()) <= 4 for text in opener)


def test_answer_on_bringing_and_parking_has_six_items() -> None:
    """The demo proves on the tape that each is heard exactly once."""
    assert [item.key for item in content_items("visit")] == [
        "bring.insurance_card",
        "bring.photo_id",
        "bring.medicines",
        "parking.behind_building",
        "arrival.early",
        "arrival.late",
    ]
    assert content_items("weather") == ()


@pytest.mark.parametrize("style", STYLES)
def test_answer_says_each_item_once_in_its_wording(style: Style) -> None:
    """After a short opener, before the question."""
    text = reply([*OPENING, user(BRING_AND_PARK)], style).text
    items = content_items("visit")
    assert [text.count(item.text(style)) for item in items] == [1] * 6
    assert text.startswith(tuple(opener[style == "backup"] for opener in OPENERS))
    assert text.endswith("?")


def test_seed_draws_the_opener() -> None:
    """Two seeds, two openers; the rest of the answer is the same."""
    request = Prompt((user(BRING_AND_PARK),), TOOLS)
    texts = {ScriptedReceptionist("primary", seed).reply(request).text for seed in range(3)}
    assert len(texts) == 3
    assert len({text.partition(". ")[2] for text in texts}) == 1


@pytest.mark.parametrize("how", ["prefix", "turn", "system"])
@pytest.mark.parametrize("count", range(7))
@pytest.mark.parametrize(("first", "second"), [(a, b) for a in STYLES for b in STYLES])
def test_half_spoken_answer_is_gone_on_with(
    first: Style, second: Style, count: int, how: str
) -> None:
    """Only what was not said, in the rescuer's wording; nothing when all was."""
    items = content_items("visit")
    spoken = " ".join([OPENERS[0][first == "backup"], *(i.text(first) for i in items[:count])])
    prompt = Prompt((*OPENING, user(BRING_AND_PARK)), TOOLS)
    asked = continuation(prompt, spoken, "prefix" if how == "prefix" else "turn", "en-US")
    if how == "system":
        note = replace(asked.messages[-1], role="system")
        asked = replace(asked, messages=(*asked.messages[:-1], note))
    text = ScriptedReceptionist(second).reply(asked).text
    rest = [item.text(second) for item in items[count:]]
    assert text.startswith(" ".join(rest))
    assert (text == "") == (not rest)
    gate = RepeatGate([item.text(first) for item in items[:count]])
    assert not any(gate.repeats(sentence) for sentence in rest)
    for item in items[:count]:
        assert item.primary_text not in text
        assert item.backup_text not in text


def test_seam_by_two_models_is_gone_on_with() -> None:
    """A second rescue knows the items that either said."""
    first, second, third, *rest = content_items("visit")
    spoken = f"Of course. {first.primary_text} {second.backup_text} {third.primary_text}"
    text = (
        backup()
        .reply(Prompt((user(BRING_AND_PARK), said(spoken)), TOOLS, continue_final=True))
        .text
    )
    assert text.startswith(" ".join(item.backup_text for item in rest))


def test_fragment_of_a_sentence_is_said_whole() -> None:
    """The driver of the call drops the fragment, so the rescuer must not count on it."""
    first, second, *_ = content_items("visit")
    cut = f"{first.primary_text} {second.primary_text[:-6]}"
    text = (
        primary().reply(Prompt((user(BRING_AND_PARK), said(cut)), TOOLS, continue_final=True)).text
    )
    assert text.startswith(second.primary_text)


def test_offer_is_recognised_in_the_other_wording() -> None:
    """Also where the sentence is made of what a tool answered."""
    offer = line(
        "offer",
        weekday="Tuesday",
        times=spoken_times([datetime.fromisoformat(s) for s in SLOTS[:3]]),
    )
    heard = [*ASKING_TIME[:-1], said(f"Of course. {offer.primary_text}")]
    assert reply(heard, "backup").text == line("ask_slot").backup_text


def test_goodbye_that_was_spoken_leaves_only_the_hanging_up() -> None:
    """The tool call of a model that froze after its last sentence is not lost."""
    leaving = [*OPENING, user("goodbye"), said(line("bye").primary_text)]
    made = reply(leaving, "backup")
    assert (made.text, asked_for(made)) == ("", [("end_call", {})])


def test_nothing_follows_the_hanging_up() -> None:
    """A step after end_call says no second goodbye."""
    bye = Message("assistant", line("bye").primary_text, (ToolCall("1", "end_call", "{}"),))
    done = Message("tool", '{"ok": true}', tool_call_id="1")
    made = reply([*OPENING, user("goodbye"), bye, done])
    assert made == ChatReply()


def test_interrupted_answer_gives_way_to_the_new_words() -> None:
    """The history holds only what was heard; the rest is not brought up again."""
    first = content_items("visit")[0]
    cut = f"Of course. {first.primary_text} You will also"
    text = reply([*OPENING, user(BRING_AND_PARK), said(cut), user("wait what are your hours")]).text
    assert all(item.primary_text in text for item in content_items("hours"))
    assert not any(item.primary_text in text for item in content_items("visit"))


def test_offer_that_was_interrupted_can_still_be_answered() -> None:
    """The caller knows what they want before the list is over."""
    cut = [*ASKING_TIME[:-1], said("On Tuesday I have nine"), user("nine thirty is good")]
    assert line("ask_name").primary_text in reply(cut).text


def test_interruption_before_any_word_was_heard() -> None:
    """Two utterances in a row, nothing between them."""
    made = reply([*OPENING, user("i would like to book a cleaning"), user("tuesday morning")])
    assert asked_for(made) == [
        ("find_slots", {"reason": "cleaning", "part_of_day": "morning", "day": "tuesday"})
    ]


def test_caller_who_says_go_on_hears_the_rest() -> None:
    """And the last sentence again if there is no rest."""
    items = content_items("visit")
    asked = [*OPENING, user(BRING_AND_PARK)]
    cut = said(" ".join(item.primary_text for item in items[:4]))
    text = reply([*asked, cut, user("please go on")]).text
    assert text.startswith(f"{items[4].primary_text} {items[5].primary_text}")
    whole = reply(asked).text
    assert reply([*asked, said(whole), user("go on")]).text == items[5].primary_text


@pytest.mark.parametrize(
    "words", ["can you say that again please", "pardon", "sorry what was that"]
)
def test_last_answer_is_repeated(words: str) -> None:
    """With the question that it ended in still open."""
    again = reply([*ASKING_TIME, user(words)]).text
    assert "nine o'clock, nine thirty, or ten o'clock" in again
    asked = [*ASKING_TIME, user(words), said(again), user("ten")]
    assert line("ask_name").primary_text in reply(asked).text


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


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("what are your opening hours", "hours"),
        ("when do you close on friday", "hours"),
        ("how much is a cleaning", "prices"),
        ("do you take my insurance", "insurance"),
        ("do you take walk ins", "walk_in"),
        ("can i come in without an appointment", "walk_in"),
        ("where are you located", "address"),
        ("who is the dentist", "staff"),
        ("is there any parking", "parking"),
        ("what do i need to bring with me", "bring"),
    ],
)
@pytest.mark.parametrize("style", STYLES)
def test_questions_are_answered_from_the_facts(words: str, topic: str, style: Style) -> None:
    """And start no booking."""
    made = reply([*OPENING, user(words)], style)
    assert [made.text.count(item.text(style)) for item in content_items(topic)] == [1] * len(
        content_items(topic)
    )
    assert made.text.endswith(line("anything_else").text(style))
    assert made.tool_calls == ()


def test_question_inside_a_booking_leads_back_to_it() -> None:
    """The open question is asked again after the answer."""
    text = reply([*ASKING_TIME, user("how much is a cleaning")]).text
    assert content_items("prices")[0].primary_text in text
    assert text.endswith(line("ask_slot").primary_text)


def test_facts_of_the_prompt_are_right() -> None:
    """A practice that changed a fact hears its own words, one that removed it hears nothing."""
    prompt = "Facts\n- parking.behind_building: Parking costs two dollars.\n- pets.dogs: No dogs."
    asked = reply([*OPENING, user("where can i park and what about pets")], prompt=prompt).text
    assert "Parking costs two dollars." in asked
    assert "No dogs." in asked
    assert "for free" not in asked
    gone = reply([*OPENING, user("what are your hours")], prompt=prompt).text
    assert line("unknown").primary_text in gone


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


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("yes", "consented"),
        ("yes that is fine", "consented"),
        ("sure go ahead", "consented"),
        ("i do not mind", "consented"),
        ("no problem", "consented"),
        ("no", "refused"),
        ("no i do not agree", "refused"),
        ("please don't record me", "refused"),
        ("i'd rather not", "refused"),
    ],
)
def test_consent_is_heard(words: str, key: str) -> None:
    """Either way the caller is asked what they want."""
    text = reply([said(GREETING), user(words)]).text
    assert line(key).primary_text in text
    assert text.endswith(line("welcome").primary_text)


def test_consent_is_asked_again_if_unclear() -> None:
    """Silence is not consent."""
    text = reply([said(GREETING), user("the cat sat")]).text
    assert text.endswith(line("consent_again").primary_text)
    assert (
        line("consented").primary_text
        in reply([said(GREETING), user("the cat sat"), said(text), user("yes")]).text
    )


def test_caller_who_passes_over_the_consent_question_is_served() -> None:
    """Nobody is held up; without a yes there is no consent."""
    text = reply([said(GREETING), user("i want to book a cleaning")]).text
    assert text.endswith(line("ask_day").primary_text)
    assert line("consented").primary_text not in text


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


def test_pause_is_granted() -> None:
    """Without asking anything new."""
    text = reply([*ASKING_TIME, user("hold on please")]).text
    assert text == line("pause").primary_text


def test_no_turn_no_answer() -> None:
    """A prompt alone asks nothing."""
    assert reply([said(GREETING)]) == ChatReply("")


def test_factories_give_the_two_styles() -> None:
    """They take no arguments, so that a command line can name them."""
    assert (primary().style, backup().style) == ("primary", "backup")


def test_engine_stands_behind_the_chat_completions_server() -> None:
    """What the local server parsed is what the engine reads, tools and a cut answer included."""
    items = content_items("visit")
    messages = [
        {"role": "developer", "content": "You are a receptionist."},
        {"role": "user", "content": BRING_AND_PARK},
        {"role": "assistant", "content": " ".join(item.primary_text for item in items[:5])},
    ]
    tool = {"type": "function", "function": {"name": "end_call"}}
    body: dict[str, object] = {"model": "scripted", "messages": messages, "tools": [tool]}
    body |= {"continue_final_message": True, "add_generation_prompt": False}
    made = backup().reply(parse_request(json.dumps(body).encode()).prompt)
    assert made.text.startswith(items[5].backup_text)


VOCABULARY = (
    "yes no i would like to book an appointment cleaning toothache tuesday morning nine thirty "
    "half past quarter ten one first last other my name is sarah miller park what should bring "
    "hours cancel move message repeat wait stop goodbye never mind go on five oh december third"
)
WORDS = st.sampled_from(VOCABULARY.split())


@given(st.lists(st.lists(WORDS, max_size=7).map(" ".join), min_size=1, max_size=8), st.booleans())
def test_any_conversation_is_answered(utterances: list[str], slots: bool) -> None:
    """Whatever a caller says, there is an answer, and the tools it names exist."""
    messages = [said(GREETING)]
    for words in utterances:
        messages.append(user(words))
        made = reply(messages)
        assert made.text or made.tool_calls
        for call in made.tool_calls:
            assert call.name in {tool.name for tool in TOOLS}
            answer = {"ok": slots, "slots": [{"start": start} for start in SLOTS]}
            answer |= {"appointment": {"start": SLOTS[0], "reason": "crown"}}
            answer |= {"appointments": [{"start": SLOTS[0], "reason": "crown", "id": "1"}]}
            messages += [
                Message("assistant", made.text, (call,)),
                Message("tool", json.dumps(answer), tool_call_id=call.id),
            ]
