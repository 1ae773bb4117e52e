"""Every interleaving of caller, models, tools and playout over one call."""

from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.calls import FAREWELL, GREETING, POLICY, REPROMPT, persona
from trunkline.core.call import Call
from trunkline.core.call_words import (
    Act,
    AllHeard,
    Answer,
    Begin,
    CallerLasts,
    CallerMaySay,
    CallerOnset,
    CallerPressed,
    CallerSaid,
    CallerWords,
    ConfirmGuess,
    ConsentIs,
    DropGuess,
    Fact,
    GiveUp,
    HangUp,
    HoldReply,
    PutThrough,
    ResumeReply,
    RunTool,
    SayLine,
    SayPrepared,
    StepSettled,
    StopReply,
    Think,
    Tick,
    ToolAnswered,
)
from trunkline.core.history import PENDING
from trunkline.types import CallId, Message, Mono, Sample, ToolCall, ToolResult

TEXTS = st.sampled_from(["", "Yes.", "One moment.", "We open at nine. We close at five."])
WORDS = st.sampled_from(["", "", "yes", "mm hm", "no that is wrong", "hello"])
ANSWERS: st.SearchStrategy[Answer] = st.sampled_from(["yes", "no", "unclear"])
TOOLS = st.lists(
    st.builds(
        ToolCall,
        st.just(""),
        st.sampled_from(["book", "find"]),
        st.sampled_from(["{}", '{"a": 1}', "[["]),
    ),
    max_size=2,
)


@dataclass
class Deed:
    """A tool that was run and has not answered."""

    act: RunTool


class AnyCall(RuleBasedStateMachine):
    """The machine under attack and a clerk who plays the shell and writes down what it did."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Call(CallId("c1"), persona(reprompt=REPROMPT, farewell=FAREWELL), POLICY)
        self.now = 0.0
        self.open_utterances = 0
        self.thinking: Think | None = None
        self.reply: int | None = None  # the turn of the reply under way
        self.spoken: list[str] = []  # what was given to the synthesiser in this reply
        self.said_by_step: list[str] = []
        self.deeds: list[Deed] = []
        self.keys: dict[str, tuple[int, int, str, str]] = {}
        self.heard: list[str] = []  # of each reply
        self.resumed = ""  # what the reply under way goes on after
        self.consent: list[str] = []
        self.question_heard = False
        self.keys_open = False
        self.guess: str | None = None  # the words that the held reply is to
        self.saying = ""
        self.held: str | None = None  # what was heard of the reply that is held
        self.over = False

    @initialize()
    def begin(self) -> None:
        """The leg is up."""
        self.feed(Begin())

    # -- what happens --------------------------------------------------------------------------

    @precondition(lambda self: self.open_utterances < 3 and not self.over)
    @rule(data=st.data())
    def onset(self, data: st.DataObject) -> None:
        """The caller makes a sound, having heard some words of the reply: it is held."""
        words = " ".join(self.spoken).split()
        count = data.draw(st.integers(0, len(words))) if self.held is None else 0
        heard, unheard = " ".join(words[:count]), " ".join(words[count:])
        self.open_utterances += 1
        holds = self.reply is not None and self.held is None
        if holds:
            self.held = heard
        expected: list[Act] = []
        if self.reply is not None and self.guess is not None:
            expected = [DropGuess(self.reply)]
        elif self.reply is not None and holds:
            expected = [HoldReply(self.reply)]
        assert self.feed(CallerOnset(Sample(0), heard, unheard)) == expected

    @precondition(lambda self: self.open_utterances)
    @rule()
    def lasts(self) -> None:
        """The sound is no cough: what is held is stopped, and nothing else happens."""
        held = self.held is not None and self.guess is None and not self.over
        acts = self.feed(CallerLasts())
        assert [type(act) for act in acts] == [StopReply] * held

    @precondition(lambda self: self.open_utterances)
    @rule(text=WORDS)
    def hears(self, text: str) -> None:
        """What the recogniser has so far stops a reply at most."""
        acts = self.feed(CallerWords(text))
        assert not acts or (isinstance(acts[0], StopReply | DropGuess) and len(text.split()) > 1)

    @precondition(lambda self: self.open_utterances)
    @rule(text=WORDS)
    def may_say(self, text: str) -> None:
        """The caller seems to have finished: a model may be asked, of nothing else."""
        self.saying = text
        acts = self.feed(CallerMaySay(text))
        assert not acts or isinstance(acts[0], Think)

    @precondition(lambda self: self.open_utterances > self.keys_open)
    @rule(text=WORDS, answer=ANSWERS)
    def said(self, text: str, answer: Answer) -> None:
        """An utterance is over."""
        self.open_utterances -= 1
        guess, self.saying = self.guess, text
        acts = self.feed(CallerSaid(text, answer))
        confirmed = any(isinstance(act, ConfirmGuess) for act in acts)
        assert confirmed == (guess is not None and guess.split() == text.split())

    @precondition(lambda self: not self.over)
    @rule(key=st.sampled_from("12#"), data=st.data())
    def presses(self, key: str, data: st.DataObject) -> None:
        """A key is pressed: what is being said is stopped."""
        words = " ".join(self.spoken).split()
        if self.reply is not None and self.held is None:
            self.held = " ".join(words[: data.draw(st.integers(0, len(words)))])
        stops = self.reply
        self.open_utterances += not self.keys_open
        self.keys_open = key != "#"
        self.open_utterances -= not self.keys_open
        acts = self.feed(CallerPressed(key, self.held or ""))
        stopped = [act.turn for act in acts if isinstance(act, StopReply | DropGuess)]
        assert stopped == ([] if stops is None else [stops])

    @precondition(lambda self: self.thinking)
    @rule(
        pieces=st.lists(TEXTS.filter(bool), max_size=2),
        tools=TOOLS,
        same_ids=st.booleans(),
        failed=st.booleans(),
    )
    def step_settles(
        self, pieces: list[str], tools: list[ToolCall], same_ids: bool, failed: bool
    ) -> None:
        """The model is done; it numbers its calls anew in every step, or not."""
        think = self.thinking
        assert think is not None
        self.thinking = None
        text = " ".join([*self.said_by_step, *pieces])
        self.spoken += pieces
        prefix = "call" if same_ids else f"call_{think.turn}_{think.step}"
        calls = tuple(ToolCall(f"{prefix}_{i}", t.name, t.arguments) for i, t in enumerate(tools))
        calls = () if failed else calls
        reason = "failed" if failed else "tool_calls" if calls else "stop"
        self.feed(StepSettled(think.turn, text, reason, calls))

    @precondition(lambda self: self.thinking)
    @rule(piece=TEXTS.filter(bool))
    def step_says(self, piece: str) -> None:
        """The model gives a sentence to the synthesiser; the step goes on."""
        self.spoken.append(piece)
        self.said_by_step.append(piece)

    @rule(turn=st.integers(0, 3), text=TEXTS)
    def late_settlement(self, turn: int, text: str) -> None:
        """A step that was stopped reports after all."""
        if self.thinking is None or self.thinking.turn != turn:
            if self.reply == turn:
                return  # the shell has one step a turn at a time
            assert not self.feed(StepSettled(turn, text, "stop"))

    @precondition(lambda self: self.deeds)
    @rule(data=st.data(), ends=st.booleans())
    def tool_answers(self, data: st.DataObject, ends: bool) -> None:
        """A tool answers, soon or long after an interruption."""
        deed = self.deeds.pop(data.draw(st.integers(0, len(self.deeds) - 1)))
        content = f'{{"of": "{deed.act.turn}.{deed.act.step} {deed.act.call.id}"}}'
        result = ToolResult(content, "hang_up" if ends else "go_on")
        self.feed(ToolAnswered(deed.act.turn, deed.act.call, result))

    @precondition(lambda self: self.machine.awaits_playout and not self.over)
    @rule()
    def all_heard(self) -> None:
        """The reply was heard to its end."""
        self.question_heard |= GREETING in self.spoken
        self.heard.append(" ".join(self.spoken))
        self.reply, self.spoken, self.resumed = None, [], ""
        self.feed(AllHeard())

    @precondition(lambda self: self.held is not None)
    @rule()
    def all_heard_too_late(self) -> None:
        """The end of the reply was on its way when the caller made a sound."""
        assert not self.feed(AllHeard())

    @rule(pause_s=st.sampled_from([0, 1, 6, 7, 100]))
    def tick(self, pause_s: int) -> None:
        """Time passes; the machine is woken."""
        self.now += pause_s
        due = self.machine.deadline()
        keyed = self.keys_open and due is not None and self.now >= due
        self.keys_open &= not keyed
        self.open_utterances -= keyed
        acts = self.feed(Tick())
        assert bool(acts) == (due is not None and self.now >= due) or (keyed and not acts)

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def every_tool_call_has_one_answer_behind_it(self) -> None:
        """Of its own step; models refuse a prompt in which one is missing."""
        history = self.machine.history
        for place, message in enumerate(history):
            if message.role == "tool":
                assert history[place - 1].role == "tool" or history[place - 1].tool_calls
            behind = takewhile(lambda it: it.role == "tool", history[place + 1 :])
            if message.role == "assistant":
                calls = sorted(call.id for call in message.tool_calls)
                assert sorted(str(it.tool_call_id) for it in behind) == calls

    @invariant()
    def the_agents_words_are_those_that_were_heard(self) -> None:
        """All of them, in order, and no others; no message is empty."""
        said = [it for it in self.machine.history if it.role == "assistant"]
        assert all(it.content or it.tool_calls for it in said)
        words = " ".join([*(it.content for it in said), self.resumed]).split()
        assert words == " ".join(self.heard).split()

    @invariant()
    def roles_alternate(self) -> None:
        """Neither side speaks twice in a row: it would be one message."""
        roles = [it.role for it in self.machine.history if not it.tool_calls]
        assert ("assistant", "assistant") not in pairwise(roles)
        assert ("user", "user") not in pairwise(roles)

    @invariant()
    def a_reply_is_held_while_the_caller_speaks(self) -> None:
        """And no longer."""
        assert self.held is None or self.open_utterances or self.over
        assert self.held is None or not self.machine.awaits_playout

    @invariant()
    def the_end_is_final(self) -> None:
        """After `HangUp` nobody is woken, and no fact has a consequence (see `feed`)."""
        assert (self.machine.deadline() is None) == self.over

    # -- the clerk -----------------------------------------------------------------------------

    def feed(self, fact: Fact) -> list[Act]:
        """Feed *fact* and judge what comes of it."""
        over, before = self.over, self.machine.history
        acts = list(self.machine.feed(fact, Mono(self.now)))
        assert not (over and acts), "something came after the end"
        for act in acts:
            self.note(act)
        self.judge_history(before, self.machine.history, fact)
        return acts

    def judge_history(
        self, before: tuple[Message, ...], after: tuple[Message, ...], fact: Fact
    ) -> None:
        """What is in the history stays: a pending answer comes, the last message may grow."""
        if isinstance(fact, ToolAnswered):
            changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
            assert len(changed) <= 1
            for old, new in changed:
                assert old.content == PENDING
                assert new.content == fact.result.content
                assert old.tool_call_id == new.tool_call_id == fact.call.id
        elif isinstance(fact, CallerSaid | CallerPressed):  # the last message may also be taken
            assert after[: max(0, len(before) - 1)] == before[:-1]  # to go on after it
        elif isinstance(fact, CallerLasts | CallerWords | AllHeard | Tick) and before:
            assert after[: len(before) - 1] == before[:-1]
            old, new = before[-1], after[len(before) - 1]
            assert new == replace(old, content=new.content, tool_calls=new.tool_calls)
            assert new.content.startswith(old.content)
        elif not isinstance(fact, CallerLasts | CallerWords | AllHeard | Tick):
            assert after == before

    def note(self, act: Act) -> None:  # noqa: C901, PLR0912, PLR0915  # an act each
        """Judge one act."""
        assert not self.over
        match act:
            case SayLine(turn, text):
                assert not self.open_utterances, "the agent talks over the caller"
                assert self.thinking is None
                assert self.reply in (None, turn)
                if text == GREETING:
                    self.heard.clear()  # its beginning counts no more: it is said again
                self.reply = turn
                self.spoken.append(text)
            case Think(turn, step, messages, heard, guess):
                speaks = "a model is asked while the caller speaks"
                assert self.open_utterances == 1 if guess else not self.open_utterances, speaks
                if guess:
                    self.held, self.guess = "", self.saying
                assert self.thinking is None, "two steps at once"
                assert self.reply == turn if step else self.reply is None
                assert step < POLICY.steps_max
                assert [m.role for m in messages].count("system") == 1
                assert messages[-1].role in ("user", "tool"), "there is nothing to answer"
                assert not heard or not step
                self.reply, self.thinking = turn, act
                self.said_by_step = []
                self.resumed = heard or self.resumed
            case RunTool(turn, step, call, key):
                assert self.reply == turn
                assert self.held is None, "a tool runs while the caller may be objecting"
                deed = turn, step, call.name, call.arguments
                assert self.keys.setdefault(key, deed) == deed, "two deeds under one key"
                assert list(self.keys.values()).count(deed) == 1, "two keys for one deed"
                self.deeds.append(Deed(act))
            case ConsentIs(state, _):
                self.consent.append(state)
                assert self.consent in (["asked"], ["asked", "granted"], ["asked", "refused"])
                assert state != "granted" or self.question_heard
            case ConfirmGuess(turn):
                assert self.reply == turn
                assert not self.open_utterances
                self.held, self.guess = None, None
            case DropGuess(turn):
                assert self.reply == turn
                assert self.guess is not None
                self.thinking, self.reply, self.held, self.guess = None, None, None, None
                self.spoken = []
            case HoldReply(turn):
                assert self.reply == turn
                assert self.held is not None
            case ResumeReply(turn):
                assert self.reply == turn
                assert not self.open_utterances, "the agent talks over the caller"
                self.held = None
            case StopReply(turn, heard):
                assert (self.reply, self.held) == (turn, heard)
                late = len(heard) > len(GREETING) - 18  # into the question
                self.question_heard |= GREETING in self.spoken and late
                self.heard.append(heard)
                self.thinking, self.reply, self.held = None, None, None
                self.spoken, self.resumed = [], ""
            case HangUp() | GiveUp():
                self.over = True
            case SayPrepared() | PutThrough():
                raise AssertionError("of the last resort")


TestAnyCall = AnyCall.TestCase
