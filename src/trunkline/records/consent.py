"""Consent to being recorded: the state, the answer, and the guard that audio has to pass.

    unasked --asked--> asked --yes--> granted --withdrawn--> withdrawn
                       asked --no---> refused
                       asked --unclear--> asked        (it may be asked again)
                       granted --refused--> withdrawn  (it was asked again)

`refused` and `withdrawn` are final for the call: nobody is asked until they give in. Anything
that is not drawn here changes nothing; above all, a `consent.granted` without a clear yes to a
question that was asked opens no guard.

Neither channel is recorded before the yes. The agent's voice is no data of the caller, but it
answers the caller: it repeats names, numbers and complaints, and a record of one half of a
conversation is a record of the conversation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trunkline.records.answers import RULES, Answer, answer_of
from trunkline.types import Sample


class Consent(StrEnum):
    """Where a call stands; only `GRANTED` lets audio through."""

    UNASKED = "unasked"
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


_TABLE: Final[Mapping[tuple[Consent, str], Consent]] = {
    (Consent.UNASKED, "asked"): Consent.ASKED,
    (Consent.ASKED, "asked"): Consent.ASKED,
    (Consent.ASKED, "granted"): Consent.GRANTED,  # only behind a yes: see `ConsentGuard.feed`
    (Consent.ASKED, "refused"): Consent.REFUSED,
    (Consent.ASKED, "withdrawn"): Consent.WITHDRAWN,
    (Consent.GRANTED, "withdrawn"): Consent.WITHDRAWN,
    (Consent.GRANTED, "refused"): Consent.WITHDRAWN,  # asked again, and this time no
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an utterance means, and the events (type, payload) that say so, in order."""

    answer: Answer
    events: tuple[tuple[str, Mapping[str, object]], ...]


def judge(question: str, utterance: str) -> Verdict:
    """What the caller's *utterance* says to the *question* that was really put to them."""
    answer = answer_of(utterance)
    answered = (
        "consent.answered",
        {"text": utterance, "answer": answer, "question": question, "rule": RULES},
    )
    match answer:
        case "yes":
            return Verdict(answer, (answered, ("consent.granted", {"rule": RULES})))
        case "no":
            return Verdict(answer, (answered, ("consent.refused", {"rule": RULES})))
        case "unclear":
            return Verdict(answer, (answered,))


def answered(
    question: str, utterance: str, *, granted: bool
) -> tuple[tuple[str, Mapping[str, object]], ...]:
    """The events of an *utterance* that was taken for the answer, *granted* if it opens the record.

    A yes does not, if the question was not heard.
    """
    verdict = judge(question, utterance)
    if granted or verdict.answer == "no":
        return verdict.events
    rule = "a yes counts only if the question was heard, an unclear answer never"
    said = (event for event in verdict.events if event[0] != "consent.granted")
    return (*said, ("consent.refused", {"rule": rule}))


class ConsentGuard:
    """The state machine over the `consent.*` events of one call; pure.

    The journal feeds it what it journals and the projection feeds it what it reads, so what was
    let through and what the record says are one computation.
    """

    def __init__(self) -> None:
        self.state = Consent.UNASKED
        self.open_from: Sample | None = None
        """The sample of the call from which audio may be kept; None: keep nothing."""
        self._answer = ""

    def feed(self, type: str, data: Mapping[str, object], at: Sample) -> bool:
        """Take one event at sample *at*; whether it was lawful in this state.

        An unlawful event changes nothing.
        """
        step = type.removeprefix("consent.")
        if step == "answered":
            lawful = self.state is Consent.ASKED
            self._answer = str(data.get("answer")) if lawful else ""
            return lawful
        after = _TABLE.get((self.state, step))
        if after is None or (after is Consent.GRANTED and self._answer != "yes"):
            return False
        self.state, self._answer = after, ""
        self.open_from = at if after is Consent.GRANTED else None
        return True
