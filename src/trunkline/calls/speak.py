"""The sentences of one reply through the synthesisers of the route: streams around the machine.

`core.synthesis` decides who is heard and where the seams are. Here are the tasks, the bytes, and
what makes two voices sound like one: the same loudness, and a short crossfade.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from trunkline.calls.steps import Desk, TtsStage, attempt, fault_of
from trunkline.calls.timing import Timing
from trunkline.calls.voice import Mouth
from trunkline.contracts import Context
from trunkline.core import synthesis_words as words
from trunkline.core.attempt_words import Kind
from trunkline.core.phrases import Phrases
from trunkline.core.speech_plan import speaking
from trunkline.core.synthesis import Synthesis
from trunkline.core.twins import by_voice
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.media.beep import beep
from trunkline.media.loudness import SEAM_SAMPLES, Pcm, amplified, joined, silences
from trunkline.types import TTS, DataClass, Mono, Phrase, Speech, SpokenWord, Where

FACTS_MAX = 256
"""Facts that may wait; a synthesiser that is faster than the machine waits its turn."""


@dataclass(slots=True)
class _Lane:
    stage: TtsStage
    kind: Kind
    where: Where
    phrase: int  # the first phrase that it was asked for, and the first character of it
    start: int
    timing: Timing
    leads: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    pcm: dict[int, bytearray] = field(default_factory=dict)  # by phrase, what is not over
    given: dict[int, int] = field(default_factory=dict)  # samples of it that were released
    fault: Fault | None = None
    silent_s: float = 0.0
    ended: bool = False
    sounded: tuple[int, Mono] | None = None  # the phrase and the time of its last sound

    def audio(self, phrase: int, start: int, end: int) -> Pcm:
        """The lane's samples *start* to *end* of *phrase*, as far as they are here."""
        return np.frombuffer(bytes(self.pcm.get(phrase, b"")[2 * start : 2 * end]), np.int16)


class Speaker:
    """The mouth of one reply: `say` sentences, `finish`, and `run` it all the while.

    *last_words* are said from what was rendered before, once no synthesiser can say anything any
    more; *lost* is called then.
    """

    def __init__(
        self,
        desk: Desk,
        voice: Mouth,
        where: Where,
        policy: words.SynthesisPolicy,
        *,
        last_words: str = "",
        lost: Callable[[str], None] | None = None,
    ) -> None:
        self._desk, self._voice, self._where = desk, voice, where
        self._policy, self._last_words, self._lost = policy, last_words, lost
        self._phrases: list[Phrase] = []
        self._played: list[tuple[int, str]] = []  # what was rendered beforehand
        self._queued: dict[int, int] = {}  # samples, by phrase
        self._lanes: list[_Lane] = []
        self._fed = 0  # phrases that the machine knows
        self._finished = self.broke = False  # broke: no voice could say all of it
        self._facts: asyncio.Queue[words.Fact] = asyncio.Queue(FACTS_MAX)
        self._grown = asyncio.Event()

    @property
    def spoken(self) -> str:
        """All that was given to be spoken."""
        phrases = [*((phrase.index, phrase.text) for phrase in self._phrases), *self._played]
        return " ".join(text for _, text in sorted(phrases))

    def say(self, text: str, endpoint: str) -> None:
        """Speak *text* after what was said before; *endpoint* produced it ("": a fixed line)."""
        self._expect(text, endpoint)
        self._wake()

    def say_prepared(self, text: str, *, tone: bool = False) -> None:
        """Say *text* as it was rendered beforehand, without a synthesiser; by one if it was not.

        *tone*: a beep behind it.
        """
        if (line := self._rendered(text)) is None:
            self.say_line(text)
        else:
            self._play(text, line)
        if tone:
            number = self._voice.expect("")  # no words: nothing of it is heard text
            self._voice.queue(number, beep(), (), complete=True)

    def say_line(self, text: str) -> None:
        """Speak a fixed line, sentence by sentence."""
        phrases = Phrases()
        for sentence in [*phrases.feed(text), phrases.end()]:
            if sentence is not None:
                self.say(sentence, "")

    def finish(self) -> None:
        """Nothing more will be said; idempotent."""
        self._finished = True
        self._wake()

    async def run(self) -> None:
        """Synthesise until all is said; what no synthesiser of the route can say is dropped."""
        await self._news(0)
        stages = self._stages()
        voices = self._desk.voices
        names = [stage.endpoint.name for stage in stages]
        policy = speaking(self._policy, self._desk.router, names, self._desk.now())
        purse = self._desk.state.purse.of(TTS)
        self._machine = Synthesis(policy, list(map(voices.tempo, names)), purse)
        try:
            async with asyncio.TaskGroup() as group:
                end: words.Settle | None = None
                fact: words.Fact = words.Tick()
                while end is None:
                    for act in self._feed(fact):
                        match act:
                            case words.Launch(_, candidate):
                                self._launch(act, stages[candidate], group)
                            case words.Settle():
                                end = act
                            case _:
                                self._perform(act)
                    self._over(fact)
                    if end is None:
                        fact = await self._next()
                self._settle(end)
        finally:
            for lane in self._lanes:
                if not lane.ended:
                    self._desk.ended(lane.where, lane.stage.endpoint, "cancelled")
        if end.failed:
            await self._lose_the_rest()

    # -- acts ----------------------------------------------------------------------------------

    def _launch(self, act: words.Launch, stage: TtsStage, group: asyncio.TaskGroup) -> None:
        where = attempt(self._where, act.lane)
        late = self._lanes[-1].stage.endpoint if act.kind is not Kind.PRIMARY else None
        timing = Timing(self._desk, where, stage.endpoint, late)
        lane = _Lane(stage, act.kind, where, act.phrase, act.start, timing)
        self._lanes.append(lane)
        lane.task = group.create_task(self._attempt(act.lane, lane))

    def _perform(self, act: words.Act) -> None:
        match act:
            case words.Release():
                self._release(act)
            case words.Elect():
                self._elect(act)
            case words.Suspect(number, fault, silent_s):
                lane, queued_s = self._lanes[number], self._queued_s()
                lane.fault, lane.silent_s = fault, silent_s
                told = {"endpoint": lane.stage.endpoint.name, "fault": fault.value}
                data = {**told, "silent_s": round(silent_s, 4), "queued_s": queued_s}
                self._desk.journal.note("attempt.suspected", data, where=lane.where)
            case words.Reject(number, fault, why):
                self._lanes[number].fault = fault
                self._stop(self._lanes[number], why)
            case words.Cancel(number, why):
                self._stop(self._lanes[number], why)
            case words.Lost(place, at):
                self._drop(self._phrases[place], at)
            case words.Launch() | words.Settle():
                raise AssertionError("handled by run")

    def _release(self, act: words.Release) -> None:
        lane, phrase = self._lanes[act.lane], self._phrases[act.phrase]
        lane.timing.whole()
        before = self._queued.get(act.phrase, 0)
        name = lane.stage.endpoint.name
        raw = lane.audio(act.phrase, act.start, act.end)
        self._desk.voices.level(name).learn(raw)
        pcm = self._levelled(lane, raw)
        if before and act.phrase not in lane.given:
            pcm = joined(self._cut_off(act.lane, act.phrase), pcm)
        shift = before - act.start
        marks = [SpokenWord(w.start, w.end, max(w.at + shift, 0)) for w in act.words]
        self._voice.queue(phrase.index, pcm.tobytes(), marks, complete=act.complete)
        lane.given[act.phrase] = act.end
        self._queued[act.phrase] = before + len(pcm)
        if act.complete:
            lane.pcm.pop(act.phrase, None)

    def _levelled(self, lane: _Lane, pcm: Pcm) -> Pcm:
        route = [stage.endpoint.name for stage in self._desk.routes[TTS]]
        return amplified(pcm, self._desk.voices.gain_db(lane.stage.endpoint.name, route))

    def _cut_off(self, number: int, phrase: int) -> Pcm:
        """What would have come next from the voice that was heard last in *phrase*."""
        last = next(lane for lane in reversed(self._lanes[:number]) if phrase in lane.given)
        start = last.given[phrase]
        return self._levelled(last, last.audio(phrase, start, start + SEAM_SAMPLES))

    def _elect(self, act: words.Elect) -> None:
        new = self._lanes[act.lane]
        new.leads.set()
        if not act.marked:  # so much is known of what was said: it is before the seam
            text_before = SpokenWord(0, act.at, 0)
            self._voice.queue(self._phrases[act.phrase].index, b"", [text_before], complete=False)
        if not act.lane or new.kind is Kind.PRIMARY:
            return
        old = self._lanes[act.lane - 1 if act.instead_of is None else act.instead_of]
        self._desk.failover(
            new.where,
            old.stage.endpoint,
            new.stage.endpoint,
            old.fault or Fault.SILENT,
            new.kind.value,
            phrase=self._phrases[act.phrase].index,
            committed_chars=act.at,
            queued_s=self._queued_s(),
            silent_s=round(old.silent_s, 4),
        )

    def _stop(self, lane: _Lane, why: str) -> None:
        """Cancel an attempt. One that was late when another was first counts as a failure."""
        if lane.task is not None:
            lane.task.cancel()
        if lane.ended:
            return
        lane.ended = True
        if lane.fault is None:
            self._desk.ended(lane.where, lane.stage.endpoint, "lost", detail=why)
        else:
            late_s = lane.silent_s or None
            error = EndpointError(lane.stage.endpoint.name, lane.fault, why, deadline_s=late_s)
            blame = lane.fault is not Fault.SILENT or not lane.timing.overtaken()
            if not blame:
                self._desk.state.failed(lane.stage.endpoint.name, lane.fault)
            self._desk.failed(lane.where, lane.stage.endpoint, error, blame=blame)

    def _over(self, fact: words.Fact) -> None:
        """A stream that ended where nothing was missing has served."""
        if isinstance(fact, words.Closed) and not self._lanes[fact.lane].ended:
            lane = self._lanes[fact.lane]
            lane.ended = True
            self._desk.succeeded(lane.where, lane.stage.endpoint)

    def _settle(self, end: words.Settle) -> None:
        for number, lane in enumerate(self._lanes):
            if number == end.lane and not end.failed and not lane.ended:
                lane.ended = True
                self._desk.succeeded(lane.where, lane.stage.endpoint)
            self._stop(lane, "the reply is over")

    # -- the last resort -------------------------------------------------------------------------

    async def _lose_the_rest(self) -> None:
        if (line := self._rendered(self._last_words)) is not None:
            self._play(self._last_words, line)
        self.broke = True
        if self._lost is not None:
            self._lost("" if line is None else self._last_words)
        while await self._news(self._fed):
            self._drop(self._phrases[self._fed], 0)
            self._fed += 1

    def _rendered(self, text: str) -> Speech | None:
        names = [stage.endpoint.name for stage in self._desk.order(TTS)[0]]
        served = self._desk.served.get(TTS)
        names = sorted(names, key=lambda name: name != served)  # the voice that the caller knows
        return self._desk.voices.line(names, text)

    def _play(self, text: str, line: Speech) -> None:
        """What no synthesiser of this reply is asked for."""
        index = self._noted(text, "")
        self._played.append((index, text))
        self._voice.queue(index, line.pcm, line.words, complete=True)

    def _drop(self, phrase: Phrase, at: int) -> None:
        self._voice.drop(phrase.index, at)
        data = {"index": phrase.index, "text": phrase.text[at:].strip()}
        note, data_class = self._desk.journal.note, DataClass.SPEECH_TEXT
        note("phrase.lost", data, where=self._where, data_class=data_class)

    # -- facts ---------------------------------------------------------------------------------

    def _feed(self, fact: words.Fact) -> list[words.Act]:
        """The acts of *fact*, after those of the phrases that came meanwhile."""
        now = self._desk.now()
        self._machine.feed(words.Drain(self._voice.silent_at(now)), now)
        acts: list[words.Act] = []
        for phrase in self._phrases[self._fed :]:
            acts += self._machine.feed(words.Given(phrase.text), now)
        self._fed = len(self._phrases)
        acts += self._machine.feed(fact, now)
        if self._finished:
            acts += self._machine.feed(words.NoMore(), now)
        return acts

    async def _next(self) -> words.Fact:
        if not self._facts.empty():
            return self._facts.get_nowait()  # a synthesiser's pieces come together: no timer each
        now = self._desk.now()
        self._machine.feed(words.Drain(self._voice.silent_at(now)), now)
        try:
            async with asyncio.timeout_at(self._machine.deadline()):
                return await self._facts.get()
        except TimeoutError:
            return words.Tick()

    async def _attempt(self, number: int, lane: _Lane) -> None:
        endpoint = lane.stage.endpoint
        kind = lane.kind.value
        context = self._desk.started(lane.where, endpoint, kind, DataClass.SPEECH_TEXT)
        try:
            await self._stream(number, lane, context)
        except (EndpointError, EgressRefused) as error:
            lane.fault, lane.ended = fault_of(error), True
            self._desk.failed(lane.where, endpoint, error)
            await self._facts.put(words.Failed(number, lane.fault))
        else:
            await self._facts.put(words.Closed(number))

    async def _stream(self, number: int, lane: _Lane, context: Context) -> None:
        async with lane.stage.open(self._source(lane), context) as pieces:
            async for piece in pieces:
                await self._facts.put(self._audio(number, lane, piece))

    def _audio(self, number: int, lane: _Lane, piece: Speech) -> words.Audio:
        place = [phrase.index for phrase in self._phrases].index(piece.phrase)
        pcm = lane.pcm.setdefault(place, bytearray())
        quiet = silences(np.frombuffer(piece.pcm, np.int16), len(pcm) // 2)
        pcm += piece.pcm
        samples = len(piece.pcm) // 2
        if samples > sum(end - start for start, end in quiet):
            now = self._desk.now()
            lane.timing.first()
            if lane.sounded is not None and lane.sounded[0] == place:
                lane.timing.gap(now - lane.sounded[1])
            lane.sounded = place, now
        return words.Audio(number, place, samples, piece.words, quiet, last=piece.last)

    async def _source(self, lane: _Lane) -> AsyncIterator[Phrase]:
        """What the lane is asked for; the phrases after the first only once it is heard."""
        first = self._phrases[lane.phrase]
        yield Phrase(first.index, first.text[lane.start :])
        await lane.leads.wait()
        place = lane.phrase + 1
        while await self._news(place):
            yield self._phrases[place]
            place += 1

    async def _news(self, place: int) -> bool:
        """Wait for phrase number *place* of the reply; False if it will not come."""
        while place >= len(self._phrases):
            if self._finished:
                return False
            await self._grown.wait()
        return True

    # -- inside --------------------------------------------------------------------------------

    def _stages(self) -> list[TtsStage]:
        """The synthesisers in the order to ask them: then the most alike of the well."""
        order, well = self._desk.order(TTS)
        stages = {stage.endpoint.name: stage for stage in order}
        alike = by_voice([stage.endpoint for stage in order], well)
        return [stages[endpoint.name] for endpoint in alike]

    def _expect(self, text: str, endpoint: str) -> Phrase:
        phrase = Phrase(self._noted(text, endpoint), text)
        self._phrases.append(phrase)
        return phrase

    def _noted(self, text: str, endpoint: str) -> int:
        data = {"index": self._voice.expect(text), "text": text, "endpoint": endpoint}
        note, data_class = self._desk.journal.note, DataClass.SPEECH_TEXT
        note("phrase.spoken", data, where=self._where, data_class=data_class)
        return self._voice.latest

    def _queued_s(self) -> float:
        now = self._desk.now()
        return round(max(self._voice.silent_at(now) - now, 0.0), 4)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()
        if self._facts.empty():
            self._facts.put_nowait(words.Tick())
