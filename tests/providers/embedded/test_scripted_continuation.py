"""What the rules say after an answer that was cut, by a fault or by the caller."""

from dataclasses import replace
from datetime import datetime

import pytest

from tests.providers.embedded.receptionist_turns import (
    ASKING_TIME,
    BRING_AND_PARK,
    OPENING,
    SLOTS,
    STYLES,
    TOOLS,
    asked_for,
    reply,
    said,
    user,
)
from trunkline.core.splice import RepeatGate, continuation
from trunkline.providers.embedded.chat import ChatReply
from trunkline.providers.embedded.scripted import (
    ScriptedReceptionist,
    Style,
    backup,
    content_items,
    primary,
)
from trunkline.providers.embedded.scripted_lines import OPENERS, line, spoken_times
from trunkline.types import Message, Prompt, ToolCall


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


@pytest.mark.parametrize("prefix", [True, False])
def test_fragment_of_a_sentence_is_gone_on_with_or_said_whole(prefix: bool) -> None:
    """A prefix is continued where it ends; else the driver of a call drops the fragment."""
    first, second, *_ = content_items("visit")
    begun, rest = second.primary_text[:-9], second.primary_text[-9:]
    asked = [user(BRING_AND_PARK), said(f"{first.primary_text} {begun}")]
    if not prefix:
        asked.append(user("[System note: go on with the next sentence.]"))
    text = primary().reply(Prompt(tuple(asked), TOOLS, continue_final=prefix)).text
    assert text.startswith(rest if prefix else second.primary_text)


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
