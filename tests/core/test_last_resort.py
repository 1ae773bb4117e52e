"""What becomes of a caller whom nobody can serve any more, rule by rule."""

import json
from dataclasses import replace

import pytest

from tests.core.calls import APOLOGY, NOTHING, POLICY, Conversation, persona, tool
from tests.core.calls import told as as_line
from trunkline.core.call_words import (
    Begin,
    CallerOnset,
    CallerSaid,
    CallerUnheard,
    Lost,
    RunTool,
    StepSettled,
    ToolAnswered,
    VoiceLost,
)
from trunkline.core.deeds import deed_key
from trunkline.core.last_resort import LINE_S_MAX, NO_NAME, TEXT_CHARS_MAX, LastResortPolicy
from trunkline.core.reply import DEAF, GOODBYE, MUTE
from trunkline.types import CallId, LastLines, Mono, Sample, ToolResult

LINES = LastLines()
NUMBER, CALLER = "+12025550100", "+12025550123"
MESSAGE = LastResortPolicy(message=True)
TRANSFER = LastResortPolicy(transfer_to=NUMBER, message=True)
LEFT = "hang up: the caller left"


def gave_up(
    last: LastResortPolicy, lost: Lost = "model", *, consent: str = "none", caller: str = CALLER
) -> Conversation:
    """A call that just gave up, in turn 1; its acts are those of the fact that made it."""
    who = persona(asks_consent=consent != "none")
    call = Conversation(who, policy=replace(POLICY, failures_max=1), last=last, caller=caller)
    call.heard()
    answer = "yes" if consent == "granted" else "no"
    if lost == "ears":
        if consent != "none":
            call.caller(answer, "yes" if answer == "yes" else "no")
            call.settle(1, "All right.")
            call.heard()
        call.onset()
        acts = call.feed(CallerUnheard())
    else:
        call.caller(answer, "yes" if answer == "yes" else "no")
        if lost == "model":
            acts = call.settle(1, reason="failed")
        else:
            call.settle(1, "All right.")
            call.feed(VoiceLost(1, APOLOGY))
            acts = call.heard()
    assert acts[0].startswith(f"give up for want of {lost}")
    return call


def last_act(call: Conversation) -> str:
    """The last act of the last fact."""
    return as_line(call.acts[-1])


def told(call: Conversation) -> str:
    """What the last act asks the tool to keep, without who called and how it was taken."""
    return str(kept(call)["text"]).split(" [taken")[0].split(" [called")[0]


def kept(call: Conversation) -> dict[str, str]:
    """The arguments of the tool that the last act runs."""
    act = call.acts[-1]
    assert isinstance(act, RunTool)
    assert act.call.name == "take_message"
    return dict(json.loads(act.call.arguments))


def answer(call: Conversation, content: str = '{"ok": true}') -> list[str]:
    """The tool that the last act runs answers."""
    act = call.acts[-1]
    assert isinstance(act, RunTool)
    return call.feed(ToolAnswered(act.turn, act.call, ToolResult(content)))


def leaves(call: Conversation) -> list[str]:
    """The caller hangs up."""
    call.acts = list(call.machine.left(Mono(call.now)))
    return [type(act).__name__ for act in call.acts]


# -- rule 2: which way -----------------------------------------------------------------------------


def test_a_transfer_comes_first() -> None:
    """Its line is heard to the end, then the carrier has the caller."""
    call = gave_up(TRANSFER)
    assert last_act(call) == f"2: say {LINES.transfer}"
    assert call.machine.awaits_playout
    assert call.heard() == [f"put through to {NUMBER}"]
    assert call.machine.deadline() is None
    assert call.feed(CallerUnheard()) == []
    assert leaves(call) == []


def test_a_line_that_no_voice_can_say_is_the_carriers_to_say() -> None:
    """Before it puts through; and where a message was to be asked for, before it hangs up."""
    call = gave_up(TRANSFER, "voice")
    call.feed(VoiceLost(2, ""))
    assert call.heard() == [f"put through to {NUMBER}, unsaid"]
    call = gave_up(MESSAGE, "voice")
    call.feed(VoiceLost(2, ""))
    assert call.heard() == ["put through to , unsaid"]


def test_a_line_whose_end_nobody_tells_is_not_waited_for_without_end() -> None:
    """Its caller is the carrier's then."""
    call = gave_up(TRANSFER)
    assert call.tick(LINE_S_MAX - 1) == []
    assert call.tick(LINE_S_MAX) == [f"put through to {NUMBER}, unsaid"]


@pytest.mark.parametrize(("lost", "why"), [("model", GOODBYE), ("ears", DEAF), ("voice", MUTE)])
def test_who_offers_neither_apologises(lost: Lost, why: str) -> None:
    """With a lost voice, what was rendered beforehand was that apology."""
    call = gave_up(NOTHING, lost)
    if lost == "voice":
        assert last_act(call) == f"hang up: {why}"
    else:
        assert last_act(call) == f"2: say {APOLOGY}" if lost == "model" else f"1: say {APOLOGY}"
        assert call.heard() == [f"hang up: {why}"]
    assert call.machine.deadline() is None


def test_an_apology_that_no_voice_could_say_is_the_carriers_too() -> None:
    """Nothing was rendered beforehand."""
    call = Conversation(asks_consent=False, policy=replace(POLICY, failures_max=1))
    call.heard()
    call.caller("hello")
    call.settle(1, "All right.")
    call.feed(VoiceLost(1, ""))
    assert call.heard()[-1] == "put through to , unsaid"


# -- rules 3 and 4: the message --------------------------------------------------------------------


def test_the_callers_words_are_the_message() -> None:
    """Until the hash key; nothing is read back, and the call ends with a word."""
    call = gave_up(MESSAGE)
    assert last_act(call) == f"2: say {LINES.message} (beep)"
    assert call.heard() == []
    call.caller("this is ann")
    call.caller("please call me back")
    assert call.presses("#")[-1].startswith("2.0: run take_message")
    text = "this is ann please call me back [taken without the assistant]"
    assert kept(call) == {"name": NO_NAME, "text": text, "phone": CALLER}
    act = call.acts[-1]
    assert isinstance(act, RunTool)
    assert act.key == deed_key(CallId("c1"), 2, 0, act.call)
    assert answer(call) == [f"3: say {LINES.taken}"]
    assert call.heard() == [f"hang up: {GOODBYE}"]


def test_silence_ends_it_and_speech_does_not() -> None:
    """Four seconds behind the last word or key; one who has not begun gets more."""
    call = gave_up(MESSAGE)
    call.now = 10.0
    call.heard()
    assert call.machine.deadline() == Mono(20.0)
    call.onset()
    assert call.machine.deadline() == Mono(100.0)
    call.now = 15.0
    call.said("this is ann")
    assert call.tick(18.9) == []
    call.presses("1")
    assert call.tick(22.8) == []
    assert call.tick(22.9)[0].startswith("2.0: run")
    assert told(call) == "this is ann [keys pressed: 1]"


def test_a_message_is_not_endless() -> None:
    """What was understood by then is kept."""
    call = gave_up(MESSAGE)
    call.heard()
    call.caller("x" * 2_000)
    call.onset()
    assert call.tick(90.0)[0].startswith("2.0: run")
    assert told(call) == "x" * TEXT_CHARS_MAX


def test_what_is_said_over_the_question_is_kept_too() -> None:
    """Some do not wait for the tone; a hash key before it ends nothing."""
    call = gave_up(MESSAGE)
    call.caller("this is ann")
    assert call.presses("#") == []
    call.heard()
    call.presses("#")
    assert told(call) == "this is ann"


@pytest.mark.parametrize(
    ("keys", "caller", "phone"),
    [
        ("2025550111", CALLER, "2025550111"),
        ("411", CALLER, CALLER),
        ("411", "anonymous", ""),
        ("", "", ""),
    ],
)
def test_the_number_is_the_one_that_was_keyed_in(keys: str, caller: str, phone: str) -> None:
    """Else the one that the carrier tells, if it is one."""
    call = gave_up(MESSAGE, caller=caller)
    call.heard()
    call.caller("hello")
    call.presses(f"{keys}#")
    assert kept(call)["phone"] == phone
    named = f"[called from {caller}]" in kept(call)["text"]
    assert named == (caller not in ("", phone))


def test_who_leaves_nothing_is_asked_for_a_number_once() -> None:
    """Then comes the apology: nothing was kept."""
    call = gave_up(MESSAGE)
    call.heard()
    assert call.tick(10.0) == [f"3: say {LINES.number} (beep)"]
    call.heard()
    assert call.presses("#") == []
    assert call.tick(20.0) == [f"4: say {APOLOGY}"]
    assert call.heard() == [f"hang up: {GOODBYE}"]


def test_a_caller_whom_nobody_hears_is_asked_for_keys_at_once() -> None:
    """Words would be lost: nobody understands them and nothing is recorded."""
    call = gave_up(MESSAGE, "ears")
    assert last_act(call) == f"1: say {LINES.number} (beep)"
    call.heard()
    call.onset()
    call.feed(CallerUnheard())
    call.presses("2025550111#")
    assert told(call) == "[keys pressed: 2025550111]"


def test_words_that_only_the_recording_holds_are_said_where() -> None:
    """If the caller agreed to it."""
    call = gave_up(MESSAGE, "ears", consent="granted")
    call.heard()
    for at in (400_000, 480_000):
        call.feed(CallerOnset(Sample(at), ""))
        call.feed(CallerUnheard())
    call.presses("#")
    assert told(call) == "[recording of call c1, from 50 s on]"


def test_without_consent_no_recording_is_spoken_of() -> None:
    """There is none."""
    call = gave_up(MESSAGE, "ears", consent="refused")
    call.heard()
    call.onset()
    call.feed(CallerUnheard())
    assert call.presses("#") == []


# -- rule 5: kept at most once, and only if it was -------------------------------------------------


@pytest.mark.parametrize("content", ['{"ok": false}', '{"error": "disk"}', "[]", "no JSON"])
def test_a_message_that_was_not_kept_is_not_confirmed(content: str) -> None:
    """The caller is told to call again."""
    call = gave_up(MESSAGE)
    call.heard()
    call.caller("hello")
    call.presses("#")
    assert answer(call, content) == [f"3: say {APOLOGY}"]
    assert call.heard() == [f"hang up: {GOODBYE}"]


def test_a_tool_that_does_not_answer_is_not_waited_for_without_end() -> None:
    """Nor does another tool's answer, or a key, stand for it."""
    call = gave_up(MESSAGE)
    call.heard()
    call.caller("hello")
    call.presses("#")
    assert call.feed(ToolAnswered(1, tool(), ToolResult("{}"))) == []
    assert call.presses("#") == []
    assert call.tick(19.9) == []
    assert call.tick(20.0) == [f"3: say {APOLOGY}"]


# -- who hangs up ----------------------------------------------------------------------------------


def test_who_hangs_up_behind_the_message_has_left_it() -> None:
    """As with any answering machine."""
    call = gave_up(MESSAGE)
    call.heard()
    call.caller("this is ann")
    assert leaves(call) == ["RunTool"]
    assert leaves_nothing_more(call)
    assert answer(call) == [LEFT]


def leaves_nothing_more(call: Conversation) -> bool:
    """Whether hanging up again changes nothing."""
    return list(call.machine.left(Mono(call.now))) == []


def test_the_last_words_of_who_hangs_up_are_waited_for() -> None:
    """A recogniser needs a moment, and gets three seconds."""
    call = gave_up(MESSAGE)
    call.heard()
    call.onset()
    assert leaves(call) == []
    assert call.said("this is ann")[0].startswith("2.0: run")
    call = gave_up(MESSAGE)
    call.heard()
    call.caller("this is ann")
    call.onset()
    assert leaves(call) == []
    assert call.tick(2.9) == []
    assert call.tick(3.0)[0].startswith("2.0: run")
    assert answer(call, '{"error": "disk"}') == [LEFT]


@pytest.mark.parametrize("when", ["talking", "asked", "transfer", "taken", "keeping"])
def test_who_hangs_up_otherwise_is_gone(when: str) -> None:
    """Nothing is said to nobody."""
    call = (
        Conversation()
        if when == "talking"
        else gave_up(TRANSFER if when == "transfer" else MESSAGE)
    )
    if when in ("taken", "keeping"):
        call.heard()
        call.caller("hello")
        call.presses("#")
        if when == "keeping":
            assert leaves(call) == []
            assert call.feed(CallerSaid("and", "unclear")) == []
            return
        answer(call)
    assert leaves(call) == ["HangUp"]


def test_what_the_call_still_tells_is_of_no_account() -> None:
    """A step that settles late, say."""
    call = gave_up(MESSAGE)
    assert call.feed(StepSettled(1, "Hello.", "stop")) == []
    assert call.feed(Begin()) == []
    call.heard()
    assert call.heard() == []
