"""The consent question: asked once, and answered by the first answer there is."""

from collections.abc import Sequence
from dataclasses import dataclass

from trunkline.core.call_words import Act, Answer, Consent, ConsentIs
from trunkline.core.phrases import heard_question
from trunkline.types import Message


@dataclass(slots=True)
class Asking:
    """*greeting* ends in the question, unless it *asks* none."""

    greeting: str
    asks: bool
    state: Consent = "not_asked"

    def ask(self) -> list[Act]:
        """The greeting is said."""
        if self.state != "not_asked" or not self.asks:
            return []
        self.state = "asked"
        return [ConsentIs("asked", self.greeting)]

    def consider(self, history: Sequence[Message], text: str, answer: Answer) -> list[Act]:
        """The caller said *text*, having heard what *history* begins with."""
        if self.state != "asked":
            return []
        asked = history and heard_question(history[0].content, self.greeting)
        self.state = "granted" if answer == "yes" and asked else "refused"
        return [ConsentIs(self.state, text)]
