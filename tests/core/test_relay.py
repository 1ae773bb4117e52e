"""The rules of an answer that is passed on as it is written, over several endpoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.steps import PLAN, POLICY, RICH, Step
from trunkline.core.attempt_words import (
    AttemptPolicy,
    Begin,
    Ended,
    Fact,
    Failed,
    Launch,
    Plan,
    Say,
    Settle,
    Text,
    Tick,
)
from trunkline.core.budget import Budget, Purse
from trunkline.core.relay import Relay
from trunkline.core.seam import Hold
from trunkline.errors import Fault
from trunkline.types import Mono


class Answer(Step):
    """One answer; *exact*: the endpoints that continue a prefix."""

    def __init__(
        self,
        candidates: str = "ab",
        *,
        exact: str = "ab",
        hold: Hold = "none",
        policy: AttemptPolicy = POLICY,
        plan: Plan = PLAN,
    ) -> None:
        self.budget = Budget(RICH)
        self.relay = self.machine = Relay(
            policy,
            plan._replace(candidates=tuple(candidates)),
            Purse(self.budget),
            exact=frozenset(exact),
            hold=hold,
        )
        self.now = 0.0
        self.measured, self.fills = [], []
        self.begun = self.feed(Begin())


# -- what is passed on -----------------------------------------------------------------------------


def test_text_is_passed_on_as_it_comes() -> None:
    """Fragments included; the first word elects."""
    answer = Answer()
    assert answer.hear(0, "We ", at=0.1) == ["elect 0", "say 0: We "]
    assert answer.hear(0, "are open. We") == ["say 0: are open. We"]
    assert answer.end(0) == ["settle 0: stop"]
    assert answer.machine.committed == "We are open. We"
    assert answer.measured[1] == "measured 0: 1 x sentence 0.10"


def test_the_readers_limit_is_the_readers() -> None:
    """An answer that hit it is not continued, and says so."""
    answer = Answer()
    answer.hear(0, "We ", at=0.1)
    assert answer.end(0, "length") == ["settle 0: length"]


def test_sentences_are_held_if_asked_for() -> None:
    """Then no fragment is ever passed on."""
    answer = Answer(hold="sentence")
    assert answer.hear(0, "One. Tw", at=0.1) == ["elect 0", "say 0: One."]
    assert answer.fail(0, at=0.2) == ["launch 1 on 1: rescue after 'One.'"]
    assert answer.hear(1, " Two!", at=0.3) == []
    assert answer.wait(0.4) == ["0.38 elect 1 over 0", "0.38 say 1:  Two!"]


def test_all_is_held_for_one_body() -> None:
    """So another endpoint can begin afresh, and there is no seam."""
    answer = Answer(exact="", hold="all")
    assert answer.hear(0, "One. Tw", at=0.1) == []
    assert answer.fail(0, at=0.2) == ["launch 1 on 1: failover"]
    assert answer.hear(1, "Eins.", at=0.3) == []
    assert answer.end(1) == ["elect 1", "say 1: Eins.", "settle 1: stop"]


def test_an_answer_without_end_is_ended() -> None:
    """By its sentences, as in speech."""
    answer = Answer(policy=AttemptPolicy(sentences_max=2))
    acts = answer.hear(0, "One. Two. Three. ", at=0.1)
    assert acts[-2:] == ["cancel 0", "settle 0: length"]


# -- who goes on -----------------------------------------------------------------------------------


def test_a_broken_word_is_continued_where_it_can_be() -> None:
    """The backup gets all that the reader has, to the sign."""
    answer = Answer()
    answer.hear(0, "The appoin", at=0.1)
    assert answer.fail(0) == ["launch 1 on 1: rescue after 'The appoin'"]
    assert answer.hear(1, "tment.", at=0.2) == ["elect 1 over 0", "say 1: tment."]
    assert answer.end(1) == ["settle 1: stop"]
    assert answer.machine.committed == "The appointment."


def test_words_that_were_sent_are_not_sent_again() -> None:
    """A backup that does not continue a prefix writes the sentence again."""
    answer = Answer(exact="")
    answer.hear(0, "One. We are op", at=0.1)
    answer.fail(0)
    assert answer.hear(1, "We are ", at=0.2) == []
    assert answer.hear(1, "open.", at=0.3) == ["elect 1 over 0", "say 1: en."]


def test_text_that_does_not_join_on_is_a_failure() -> None:
    """Honest to the end: another is asked, and in the end nobody is left."""
    answer = Answer(exact="", policy=AttemptPolicy(attempts_max=3))
    answer.hear(0, "We are op", at=0.1)
    answer.fail(0)
    other = "Our office is in the old town, opposite of the church, and it has two doors."
    assert answer.hear(1, other, at=0.2) == ["cancel 1"]
    assert answer.wait(0.7) == ["0.60 launch 2 on 0: rescue after 'We are op'"]
    assert answer.hear(2, other) == ["cancel 2", "settle 0: failed"]
    assert answer.machine.committed == "We are op"


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.THROTTLED])
def test_nobody_who_refused_is_asked_again(fault: Fault) -> None:
    """A client can wait by itself, and knows for how long; who only failed is asked again."""
    alone = Answer("a")
    assert alone.fail(0, fault, at=0.1) == ["settle None: failed"]
    answer = Answer("ab")
    assert answer.fail(0, fault, at=0.1) == ["launch 1 on 1: failover"]
    assert answer.fail(1, at=0.2) == []
    assert answer.wait(0.7) == ["0.60 launch 2 on 1: failover"]
    assert answer.fail(2, fault, at=0.8) == ["settle None: failed"]


def test_in_the_middle_of_a_sentence_who_continues_is_asked_first() -> None:
    """The order of the plan holds behind whole sentences, and for those that can continue."""
    middle, end, none = (
        Answer("abc", exact="ac"),
        Answer("abc", exact="ac"),
        Answer("abc", exact="a"),
    )
    for answer, text in ((middle, "We are op"), (end, "We are open."), (none, "We are op")):
        answer.hear(0, text, at=0.1)
    assert middle.fail(0) == ["launch 1 on 2: rescue after 'We are op'"]
    assert end.fail(0) == ["launch 1 on 1: rescue after 'We are open.'"]
    assert none.fail(0) == ["launch 1 on 1: rescue after 'We are op'"]


def test_who_has_nothing_to_add_completes_whole_sentences_only() -> None:
    """Behind a fragment it is not believed."""
    whole, broken = Answer(), Answer()
    whole.hear(0, "One.", at=0.1)
    broken.hear(0, "One. Tw", at=0.1)
    for answer in (whole, broken):
        answer.fail(0)
    assert whole.fail(1, Fault.EMPTY) == ["settle 0: stop"]
    assert broken.fail(1, Fault.EMPTY) == []


# -- time ------------------------------------------------------------------------------------------


def test_what_was_sent_is_being_read() -> None:
    """140 signs take ten seconds to be spoken: a silence is rescued shortly before their end."""
    answer = Answer()
    answer.hear(0, "x" * 139 + " ", at=0.1)
    assert answer.wait(9.4) == []
    assert answer.wait(9.6)[:1] == ["9.50 suspect 0: stalled 9.40"]


def test_a_leader_that_comes_back_first_goes_on() -> None:
    """There is no seam then."""
    answer = Answer()
    answer.hear(0, "We ", at=0.1)
    assert answer.wait(0.5)[-1] == "0.45 launch 1 on 1: rescue after 'We '"
    assert answer.hear(0, "are ", at=0.6) == ["cancel 1", "say 0: are "]


def test_a_slow_writer_is_heard_by_the_sentence_while_another_was_asked() -> None:
    """What it writes meanwhile is kept, and passed on with the end of its sentence."""
    answer = Answer(policy=AttemptPolicy(at_once_max=2))
    for word in range(5):
        answer.hear(0, "w ", at=0.1 + word * 0.3)
        answer.wait(0.1 + word * 0.3 + 0.29)
    assert answer.hear(0, "kept ", at=1.7) == []
    assert answer.hear(0, "and sent. We", at=1.8) == ["cancel 1", "say 0: w w w kept and sent. We"]


def test_a_reader_that_pauses_makes_nobody_silent() -> None:
    """Neither the words nor the silence go on meanwhile."""
    answer = Answer()
    answer.hear(0, "We ", at=0.1)
    answer.relay.paused(10.0)
    assert answer.wait(10.4) == []
    assert answer.wait(10.5)[0] == "10.45 suspect 0: stalled 0.35"


def test_who_only_repeats_is_as_good_as_silent() -> None:
    """Another is asked when the look-ahead is over."""
    answer = Answer("abc", exact="a", policy=AttemptPolicy(look_ahead_s=0.3))
    answer.hear(0, "One two three four five six seven eight", at=0.1)
    answer.fail(0)
    for word, text in enumerate(["One", "two", "three", "four", "five"]):
        answer.hear(1, text + " ", at=0.2 + word * 0.1)
    acts = answer.wait(4.0)
    assert any("launch 2 on 2" in act for act in acts)


# -- tool calls ------------------------------------------------------------------------------------


def test_a_tool_call_is_passed_on_as_it_comes() -> None:
    """Text that came before it is, too; nobody else is asked from then on."""
    answer = Answer()
    answer.hear(0, " ", at=0.1)
    assert answer.relay.tools_from is None
    assert answer.propose(0, "book", '{"at"', at=0.2) == ["elect 0"]
    assert answer.relay.tools_from == 0
    assert answer.wait(7.0) == []
    assert answer.propose(0, "", ": 1}") == []
    assert answer.end(0, "tool_calls") == ['settle 0: tool_calls book({"at": 1})']


def test_a_broken_tool_call_is_an_error() -> None:
    """Nobody else would write the rest of the same call."""
    answer = Answer()
    answer.propose(0, "book", '{"at"', at=0.2)
    assert answer.fail(0) == ["settle 0: failed"]


def test_a_tool_call_that_hangs_is_an_error_in_the_end() -> None:
    """After the time that anybody waits with nothing to read."""
    answer = Answer()
    answer.propose(0, "book", '{"at"', at=0.2)
    assert answer.wait(8.3) == ["8.20 cancel 0", "8.20 settle 0: failed"]


def test_tool_calls_are_proposals_if_sentences_are_held() -> None:
    """Then another may write them anew."""
    answer = Answer(hold="sentence")
    answer.propose(0, "book", '{"at"', at=0.2)
    assert answer.fail(0) == ["launch 1 on 1: failover"]
    answer.propose(1, "book", "{}", at=0.3)
    assert answer.end(1, "tool_calls") == ["elect 1", "settle 1: tool_calls book({})"]


def test_held_words_come_before_the_tool_call() -> None:
    """Those of a backup that were not known to be new yet."""
    answer = Answer(exact="")
    answer.hear(0, "One.", at=0.1)
    answer.fail(0)
    answer.hear(1, "Two", at=0.2)
    assert answer.propose(1, "book", "{}", at=0.3) == ["elect 1 over 0", "say 1:  Two"]


def test_a_tool_call_does_not_mend_a_broken_sentence() -> None:
    """The sentence would stay broken."""
    answer = Answer(exact="", policy=AttemptPolicy(attempts_max=2))
    answer.hear(0, "We are op", at=0.1)
    answer.fail(0)
    assert answer.propose(1, "book", "{}", at=0.2) == ["cancel 1", "settle 0: failed"]


# -- whatever happens ------------------------------------------------------------------------------

TEXT = "Yes. We are open from nine to six. On Saturdays we are not. Is that fine with you?"


def next_fact(lane: int, before: str, said: int, breaks_at: int) -> Text | Ended | Failed:
    """What *lane*, asked to go on behind *before*, reports after *said* words."""
    words = TEXT[len(before.rstrip()) :].split(" ")
    if 0 <= breaks_at <= said:
        return Failed(lane, Fault.CUT, "as drawn")
    if said >= len(words):
        return Ended(lane, "stop")
    return Text(lane, words[said] + (" " if said + 1 < len(words) else ""))


@pytest.mark.parametrize("hold", ["none", "sentence"])
@given(cuts=st.lists(st.integers(0, 20), max_size=4), gaps=st.lists(st.floats(0, 3), max_size=60))
def test_endpoints_that_continue_lose_and_repeat_nothing(
    hold: Hold, cuts: list[int], gaps: list[float]
) -> None:
    """Each writes the rest of the text, in words, at any pace; the first ones break off."""
    machine = Answer(
        "abcdef", exact="abcdef", hold=hold, policy=AttemptPolicy(attempts_max=6)
    ).relay
    lanes, now, sent, waits = {0: ("", 0)}, 0.0, "", iter(gaps)
    while machine.deadline() is not None:
        now += next(waits, 0.02)
        facts: list[Fact] = [Tick()]
        for lane, (before, said) in lanes.items():
            facts.append(next_fact(lane, before, said, dict(enumerate(cuts)).get(lane, -1)))
            lanes[lane] = before, said + 1
        for act in [act for fact in facts for act in machine.feed(fact, Mono(now))]:
            if isinstance(act, Say):
                sent += act.sentence
            elif isinstance(act, Launch):
                lanes[act.lane] = act.committed, 0
            elif isinstance(act, Settle) and act.reason == "stop":
                assert sent == TEXT
    assert TEXT.startswith(sent.rstrip())
