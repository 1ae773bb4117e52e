"""The phrases of one reply, each in a context of its own: kept in order, told whole.

Vendors that multiplex *contexts* on one WebSocket differ in their messages, not in this: a phrase
is a context; a few are under way at once, so that the next begins without a gap; what a later one
brings is held back until those before it are complete.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from trunkline.contracts import WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.media.g711 import mulaw_decode
from trunkline.net.closing import closing_fault
from trunkline.providers.tts.marks import WordMarks
from trunkline.types import Phrase, Speech

TEXT_MAX = 2_000
"""Characters of a phrase: two minutes of speech."""


class Context:
    """One phrase under way: its *name* on the wire, the *samples* of its audio so far."""

    def __init__(self, name: str, phrase: Phrase, *, mulaw: bool) -> None:
        self.name, self.phrase, self._mulaw = name, phrase, mulaw
        self.marks = WordMarks(phrase.text)
        self.samples = 0
        self.held: list[Speech] = []
        self.ended = False
        self._rest = b""  # half a sample

    def hear(self, audio: bytes, characters: Iterable[tuple[str, int]] = ()) -> None:
        """*audio* as it came, and the (text, sample of the phrase) that came with it."""
        if self._mulaw:
            pcm = mulaw_decode(audio).tobytes()
        else:
            whole = self._rest + audio
            even = len(whole) - len(whole) % 2
            pcm, self._rest = whole[:even], whole[even:]
        words = self.marks.place(characters)
        self.samples += len(pcm) // 2
        if pcm or words:
            self.held.append(Speech(self.phrase.index, pcm, words))


class ContextReply:
    """What is the same in every `Exchange[Phrase, Speech]` over contexts.

    *ahead* phrases are under way at most; audio is mu-law or 16-bit linear, at 8 kHz.
    """

    def __init__(self, endpoint: str, ordinal: int, *, ahead: int, mulaw: bool) -> None:
        self._endpoint, self._ordinal, self._ahead, self._mulaw = endpoint, ordinal, ahead, mulaw
        self.open: deque[Context] = deque()  # in the order of their phrases
        self._finished = False

    @property
    def done(self) -> bool:
        """Every phrase that was taken is complete, and there will be no other."""
        return self._finished and not self.open

    @property
    def wants_more(self) -> bool:
        """So many phrases may be under way."""
        return len(self.open) < self._ahead

    def begin(self) -> Sequence[WireMessage]:
        """Nothing: contexts are opened as phrases come."""
        return ()

    def finish(self) -> Sequence[WireMessage]:
        """Nothing: each phrase has its end."""
        self._finished = True
        return ()

    def closed(self, code: int, reason: str, /) -> Sequence[Speech]:
        """Raises: the end of each context comes before a proper end."""
        raise closing_fault(self._endpoint, code, reason)

    def add(self, phrase: Phrase) -> str:
        """The name of a new context for *phrase*; `REFUSED` if it is too long."""
        if len(phrase.text) > TEXT_MAX:
            raise self.fault(
                Fault.REFUSED,
                f"a phrase of {len(phrase.text)} characters; {TEXT_MAX} at most: "
                "split at sentences",
            )
        context = Context(f"{self._ordinal}.{phrase.index}", phrase, mulaw=self._mulaw)
        self.open.append(context)
        return context.name

    def find(self, name: str | None) -> Context | None:
        """The context *name*, None if it is of a reply that was left."""
        return next((it for it in self.open if it.name == name), None)

    def end(self, context: Context) -> None:
        """The provider said that *context* is complete: `EMPTY` or `CUT` if it cannot be."""
        if not context.samples and context.marks.speakable:
            raise self.fault(Fault.EMPTY, "finished a phrase without any audio")
        if context.marks.cut_short:
            raise self.fault(Fault.CUT, "finished a phrase in the middle of its text")
        context.ended = True
        context.held.append(Speech(context.phrase.index, b"", (), last=True))

    def due(self) -> Sequence[Speech]:
        """What may be told now."""
        due: list[Speech] = []
        while self.open:
            first = self.open[0]
            due += first.held
            first.held = []
            if not first.ended:
                break
            self.open.popleft()
        return due

    def fault(self, fault: Fault, detail: str) -> EndpointError:
        """*fault* of this endpoint."""
        return EndpointError(self._endpoint, fault, detail)
