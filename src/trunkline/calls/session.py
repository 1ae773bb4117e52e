"""One call: what happens on the leg becomes facts, `core.call` decides, its acts become tasks.

There is one queue of facts. Audio does not go through it: frames go from the carrier to the ear,
and from the voice to the carrier, in the pacer's tick.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace

from trunkline.calls.ear import Ear, Utterance
from trunkline.calls.listen import Listener
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.scribe import Scribe
from trunkline.calls.speak import Speaker
from trunkline.calls.steps import Desk
from trunkline.calls.think import Thinker
from trunkline.calls.tools import run_tool
from trunkline.calls.voice import Voice
from trunkline.contracts import Carrier, Digit, MarkPlayed, Media, Started, Stopped, Toolbox
from trunkline.core import call_words as words
from trunkline.core.attempt_words import Settle
from trunkline.core.backchannels import agreed
from trunkline.core.call import Call
from trunkline.core.endpointing import ending
from trunkline.core.last_resort import Conversation
from trunkline.core.playout import Playout
from trunkline.core.resumption import with_greeting
from trunkline.core.turns import (
    EndOfSpeech,
    Hint,
    Lasts,
    LikelyOver,
    Onset,
    Turns,
    Window,
)
from trunkline.records.answers import answer_of
from trunkline.records.resume import BrokenCall
from trunkline.types import LLM, STT, TTS, CallId, DataClass, Mono, Persona, Prompt, Sample, Where

FACTS_MAX = 256
"""Facts that may wait. A call that falls further behind than this is lost anyway."""


@dataclass(frozen=True, slots=True)
class _HungUp:
    reason: str
    lost: bool = True


_Fact = words.Fact | Onset | _HungUp


class CallSession:
    """Runs one call to its end: `await run()`; it returns when the leg is gone.

    *broken*: an earlier call on the same line, with which this one goes on.
    """

    def __init__(
        self,
        call: CallId,
        carrier: Carrier,
        desk: Desk,
        persona: Persona,
        toolbox: Toolbox,
        policies: Policies,
        pacer: Pacer,
        broken: BrokenCall | None = None,
    ) -> None:
        self._id, self._carrier, self._desk = call, carrier, desk
        self._persona, self._toolbox, self._policies = persona, toolbox, policies
        self._pacer = pacer
        self._broken = broken
        whole = None
        if broken is not None:
            whole = with_greeting(broken.resumption, persona.greeting)
            self._broken = replace(broken, resumption=whole)
        machine = Call(call, persona, policies.call, whole)
        self._machine = Conversation(machine, persona, policies.last_resort, call)
        self._turns = Turns(policies.turns)
        self._playout = Playout(policies.playout)
        self._voice = Voice(carrier, self._playout, self._agent_heard)
        self._vad = pacer.join(self)
        self._ear = Ear(self._caller_heard, self._vad.feed)
        self._scribe = Scribe(call, desk, self._ear, persona)
        self._note = self._scribe.note
        self._listener = Listener(desk, policies.hearing)
        self._facts: asyncio.Queue[_Fact] = asyncio.Queue(FACTS_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply: set[asyncio.Task[None]] = set()
        self._speaker: Speaker | None = None
        self._thinkers: list[Thinker] = []
        self._spoken_by = Where(call)
        self._drain_told = False
        self._so_far = ""  # the words of the open utterance
        self._left: _HungUp | None = None
        self._bug: Exception | None = None

    async def run(self) -> str:
        """From `Started` to the end of the leg; why it ended."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                self._spawn(self._leg())
                end = await self._converse()
                self._note("call.ended", {"reason": end.reason, "broken": end.lost})
                await self._carrier.hangup(end.reason)
                return end.reason
            finally:
                self._pacer.leave(self._vad)  # first: `hear` begins tasks that nobody would cancel
                for task in self._tasks | self._reply:
                    task.cancel()

    # -- the pacer's half: audio and time --------------------------------------------------------

    def hear(self, window: Window, now: Mono) -> None:
        """The caller's next window was judged."""
        if self._turns.would_begin(window):
            window, echoes = self._ear.without_echo(window, self._turns.run)
            self._turns.forget(echoes)
        if window.probability >= self._policies.turns.stay_probability:
            self._ear.voiced(window)
        for fact in self._turns.feed(window, now):
            match fact:
                case Onset(at):
                    utterance = self._ear.open(at)
                    self._note(
                        "utterance.started", {}, where=self._scribe.said_in(utterance), sample=at
                    )
                    self._so_far = ""
                    self._spawn(self._listen(utterance))
                    self._put(fact)
                case LikelyOver():
                    self._put(words.CallerMaySay(self._so_far))
                case Lasts():
                    self._put(words.CallerLasts())
                case EndOfSpeech(at, known_at):
                    utterance = self._ear.close()
                    data = {"known_at": known_at}
                    where = self._scribe.said_in(utterance)
                    self._note("utterance.ended", data, where=where, sample=at)

    def tick(self, now: Mono) -> None:
        """20 ms have passed."""
        self._voice.tick(now)
        if self._drain_told or not self._machine.awaits_playout:
            return
        if self._playout.drained(now):
            self._drain_told = True
            self._put(words.AllHeard())

    def broke(self, error: Exception) -> None:
        """A bug of ours in `hear` or `tick`: end the call; `run` raises it."""
        self._bug = error
        self._put(_HungUp("a bug in the call's clock"))

    def _caller_heard(self, at: Sample, mulaw: bytes) -> None:
        self._desk.journal.audio("caller", at, mulaw)

    def _agent_heard(self, mulaw: bytes, when: Mono) -> None:
        self._desk.journal.audio("agent", self._ear.agent(mulaw, when), mulaw)

    # -- facts ---------------------------------------------------------------------------------

    async def _leg(self) -> None:
        async for event in self._carrier.events(self._hear):
            match event:
                case Media():
                    self._hear(event)
                case MarkPlayed(name):
                    if self._playout.mark(name):
                        self._note("playout.mark", {"name": name})
                case Digit(digit):
                    # Never which: it may be a card's. The model's prompt is where it stands.
                    self._note("keys.pressed", {"count": 1})
                    self._put(words.CallerPressed(digit))
                case Started():
                    self._scribe.started(event)
                    self._put(words.Begin(event.caller))
                case Stopped(reason, lost):
                    self._put(_HungUp(reason, lost))
                    return
        self._put(_HungUp("the carrier went away"))

    def _hear(self, media: Media) -> None:
        self._ear.media(media, self._desk.now())

    async def _converse(self) -> _HungUp:
        """Decide and act until the call is over; why it ended."""
        while True:
            fact = await self._next()
            now = self._desk.now()
            if self._bug is not None:
                raise self._bug
            if isinstance(fact, _HungUp):
                self._left = fact
                self._ear.close()  # what was said last may be of a message
                acts = self._machine.left(now)
            else:
                acts = self._machine.feed(self._as_heard(fact), now)
            if self._broken is not None and isinstance(fact, words.Begin):
                self._scribe.resumed(self._broken, acts)
            for act in acts:
                if isinstance(act, words.HangUp | words.PutThrough):
                    return self._left or self._end(act)
                self._perform(act, now)
            if self._machine.awaits_playout and self._speaker is not None:
                self._speaker.finish()  # no model and no tool is at work: nothing will be added

    def _end(self, act: words.HangUp | words.PutThrough) -> _HungUp:
        if isinstance(act, words.HangUp):
            return _HungUp(act.reason, lost=False)
        # The carrier asks what follows the stream; whoever answers it reads this.
        self._note("call.transferred", {"to": act.to, "said": act.said})
        return _HungUp("put through" if act.to else "nothing could be said", lost=False)

    def _as_heard(self, fact: words.Fact | Onset) -> words.Fact:
        """*fact* with what the caller has heard until now."""
        match fact:
            case Onset(at):
                return words.CallerOnset(at, self._playout.heard(), self._playout.unheard())
            case words.CallerPressed(key):
                return words.CallerPressed(key, self._playout.heard())
            case words.AllHeard() if self._machine.awaits_playout:
                self._reply_over(heard := self._voice.close(), interrupted=False)
                return words.AllHeard(heard)
        return fact

    async def _next(self) -> _Fact:
        try:
            async with asyncio.timeout_at(self._machine.deadline()):
                return await self._facts.get()
        except TimeoutError:
            return words.Tick()

    def _put(self, fact: _Fact) -> None:
        if self._facts.full():  # nobody decides any more: end the call rather than pile up
            self._facts.get_nowait()
            fact = _HungUp(f"fell behind by {FACTS_MAX} facts")
        self._facts.put_nowait(fact)

    # -- acts ----------------------------------------------------------------------------------

    def _perform(self, act: words.Act, now: Mono) -> None:  # noqa: C901  # an act each
        match act:
            case words.SayLine(turn, text, line):
                self._mouth(turn, line).say_line(text)
            case words.Think():
                self._think(act, now)
            case words.ConfirmGuess():
                self._go_on("speculation.confirmed", now)
            case words.DropGuess():
                self._note("speculation.wasted", {}, where=self._spoken_by)
                self._stop_reply("", now)
            case words.HoldReply():
                self._voice.hold(now)
                self._note("reply.held", {}, where=self._spoken_by)
            case words.ResumeReply():
                self._go_on("reply.resumed", now)
            case words.StopReply(_, heard):
                self._note("barge_in", {})
                self._stop_reply(heard, now)
            case words.RunTool():
                self._spawn(self._run_tool(act))
            case words.ConsentIs(state, text):
                self._scribe.consent(state, text)
            case words.GiveUp(_, lost, _, way):
                self._note("call.gave_up", {"lost": lost, "way": way})
            case words.SayPrepared(turn, text, line, tone):
                self._mouth(turn, line).say_prepared(text, tone=tone)
            case words.HangUp() | words.PutThrough():
                raise AssertionError("handled by _converse")

    def _mouth(self, turn: int, line: str = "") -> Speaker:
        """The speaker of the reply of *turn*, begun if this is its first sentence."""
        if self._speaker is None:
            where = Where(self._id, turn)
            self._spoken_by, self._drain_told = where, False
            begins = {"turn": turn} | ({"line": line} if line else {})
            self._note("reply.started", begins, where=where)
            self._speaker = Speaker(
                self._desk,
                self._voice,
                where,
                self._policies.synthesis,
                last_words=self._persona.apology,
                lost=lambda said: self._put(words.VoiceLost(turn, said, self._desk.hopeless(TTS))),
            )
            self._in_reply(self._speaker.run())
        return self._speaker

    def _go_on(self, why: str, now: Mono) -> None:
        """The voice is held no longer."""
        self._drain_told = False  # an end that was told while it was held was not taken
        self._voice.release(now)
        self._note(why, {}, where=self._spoken_by)

    def _think(self, act: words.Think, now: Mono) -> None:
        speaker = self._mouth(act.turn)
        if act.guess:
            self._voice.hold(now)
            self._note("speculation.started", {}, where=self._spoken_by)
        policy = self._policies.attempts
        thinker = Thinker(self._desk, policy, self._voice, speaker, self._playout.drain_at)
        self._thinkers.append(thinker)

        def settled(text: str, end: Settle) -> None:
            self._note("step.settled", {"reason": end.reason}, where=where)
            hopeless = self._desk.hopeless(LLM)
            fact = words.StepSettled(act.turn, text, end.reason, end.tool_calls, hopeless)
            self._put(fact)

        prompt = Prompt(act.messages, tuple(self._toolbox.specs))
        where = Where(self._id, act.turn, act.step)
        self._note("step.started", {}, where=where)
        self._in_reply(
            thinker.run(
                prompt,
                heard=act.heard,
                language=self._persona.language,
                where=where,
                settled=settled,
            )
        )

    def _stop_reply(self, heard: str, now: Mono) -> None:
        for task in self._reply:
            task.cancel()
        self._voice.clear(now)
        self._reply_over(heard, interrupted=True)

    def _reply_over(self, heard: str, *, interrupted: bool) -> None:
        speaker = self._speaker
        data = {
            "generated": " ".join(thinker.generated for thinker in self._thinkers).strip(),
            "spoken": "" if speaker is None else speaker.spoken,
            "heard": heard,
            "interrupted": interrupted,
            "lost": speaker is not None and speaker.broke,
        }
        self._speaker, self._thinkers = None, []
        self._note("reply.ended", data, where=self._spoken_by, data_class=DataClass.SPEECH_TEXT)

    async def _run_tool(self, act: words.RunTool) -> None:
        where = self._scribe.tool_intent(act)
        result = await run_tool(self._desk.journal, self._toolbox, act.call, act.key)
        done = {"key": act.key, "content": result.content, "then": result.then}
        self._note("tool.done", done, where=where, data_class=DataClass.TOOL)
        self._put(words.ToolAnswered(act.turn, act.call, result))

    async def _listen(self, utterance: Utterance) -> None:
        asked = next((m.content for m in self._machine.history[::-1] if m.role == "assistant"), "")
        before = ""

        def interim(text: str) -> None:
            nonlocal before
            # What comes of the first syllables is guesswork: a "mm-hm" must not look like words.
            self._put(words.CallerWords(agreed(before, text)))
            before = text
            if not utterance.closed:
                self._so_far = text
                hint = Hint(ending(text, self._persona.language, asked))
                self._turns.feed(hint, self._desk.now())

        final = await self._listener.listen(utterance, self._scribe.said_in(utterance), interim)
        if final is None:
            self._put(words.CallerUnheard(self._desk.hopeless(STT)))
        else:
            self._put(words.CallerSaid(final.text, answer_of(final.text), final.doubtful))

    # -- inside --------------------------------------------------------------------------------

    def _in_reply(self, work: Coroutine[None, None, None]) -> None:
        """Run *work* until it is done or the caller interrupts."""
        self._reply.add(task := self._group.create_task(work))
        task.add_done_callback(self._reply.discard)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run *work* until it is done or the call is over."""
        self._tasks.add(task := self._group.create_task(work))
        task.add_done_callback(self._tasks.discard)
