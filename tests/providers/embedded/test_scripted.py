"""The rules that play a language model: what every conversation may count on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.embedded.receptionist_turns import (
    ASKING_TIME,
    BRING_AND_PARK,
    GREETING,
    OPENING,
    SLOTS,
    STYLES,
    TOOLS,
    reply,
    said,
    user,
)
from trunkline.providers.embedded.chat import ChatReply
from trunkline.providers.embedded.scripted import (
    ScriptedReceptionist,
    Style,
    backup,
    content_items,
    primary,
)
from trunkline.providers.embedded.scripted_lines import OPENERS, line
from trunkline.testing.chat import parse_request
from trunkline.types import Message, Prompt


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


def test_facts_of_the_prompt_are_right() -> None:
    """A practice that changed a fact hears its own words, one that removed it hears nothing."""
    prompt = "Facts\n- parking.behind_building: Parking costs two dollars.\n- pets.dogs: No dogs."
    asked = reply([*OPENING, user("where can i park and what about pets")], prompt=prompt).text
    assert "Parking costs two dollars." in asked
    assert "No dogs." in asked
    assert "for free" not in asked
    gone = reply([*OPENING, user("what are your hours")], prompt=prompt).text
    assert line("unknown").primary_text in gone


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
