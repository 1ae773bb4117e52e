"""What one call journals of itself, each note at the caller's sample that is current."""

from collections.abc import Mapping, Sequence

from trunkline.calls.ear import Ear, Utterance
from trunkline.calls.steps import Desk
from trunkline.contracts import Started
from trunkline.core import call_words as words
from trunkline.records.consent import answered
from trunkline.records.resume import BrokenCall, resumed
from trunkline.types import CallId, DataClass, Persona, Sample, Where


class Scribe:
    """One call's."""

    def __init__(self, call: CallId, desk: Desk, ear: Ear, persona: Persona) -> None:
        self._id, self._desk, self._ear, self._persona = call, desk, ear, persona

    def note(
        self,
        type_: str,
        data: Mapping[str, object],
        *,
        where: Where | None = None,
        data_class: DataClass = DataClass.TELEMETRY,
        sample: Sample | None = None,
    ) -> None:
        """Journal an event; *where*: None, of the call as a whole."""
        at = self._ear.sample_at(self._desk.now()) if sample is None else sample
        where = where or Where(self._id)
        self._desk.journal.note(type_, data, where=where, data_class=data_class, sample=at)

    def said_in(self, utterance: Utterance) -> Where:
        """The greeting is turn 0; an utterance belongs to the turn that it normally begins."""
        return Where(self._id, utterance.number + 1)

    def started(self, event: Started) -> None:
        """The leg is up."""
        who = {"agent": self._persona.name, "language": self._persona.language}
        carrier = {"carrier": event.stream, "carrier_call": event.carrier_call}
        self.note("call.started", carrier | who)

    def resumed(self, broken: BrokenCall, acts: Sequence[words.Act]) -> None:
        """Journal what the next worker needs, should this one die too."""
        line = " ".join(self._persona.resume_line.split())
        says = next((act.text for act in acts if isinstance(act, words.SayLine)), "")
        for type_, data, data_class in resumed(broken, line, says):
            self.note(type_, data, data_class=data_class)

    def consent(self, state: words.Consent, text: str) -> None:
        """It was asked for, or answered by *text*."""
        if state == "asked":
            self.note("consent.asked", {"text": text})
            return
        for type_, data in answered(self._persona.greeting, text, granted=state == "granted"):
            self.note(type_, data, data_class=DataClass.TRANSCRIPT)

    def tool_intent(self, act: words.RunTool) -> Where:
        """A tool is about to run; where."""
        where, call = Where(self._id, act.turn, act.step), act.call
        intent = {"key": act.key, "id": call.id, "name": call.name, "arguments": call.arguments}
        self.note("tool.intent", intent, where=where, data_class=DataClass.TOOL)
        return where
