"""What callers say to "is it all right that this call is recorded?"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.records.answers import Answer, answer_of

YES = """
yes
yeah
yep
yup sure
yes please
yes that is fine
yes that's fine
yes i agree
yes of course
yes i consent
yes you can record
yes i do
sure
sure thing
sure go ahead
sure why not
ok
okay
okay then
okay that's fine
fine
fine by me
that's fine
that is okay with me
that's all right
it's alright
all right
of course
absolutely
certainly
by all means
go ahead
please do
i agree
i consent to that
i do agree
i am fine with that
i'm okay with that
i don't mind
i do not mind at all
i wouldn't mind
i don't have a problem with that
i have no problem with that
i have no objection
no problem
no problem at all
no worries
no objections
not a problem
no that is fine
no that's fine
no no that's fine
no go ahead
no i don't mind
no you can record
no of course that is fine
uh yes
um yeah okay
well yes
yes if you like
sure if you want
uh huh
mm hmm
i don't see why not
yes i would like to book an appointment
that sounds good
i don't see a problem
i'm not against it
i have nothing against it
yes it is
it's perfectly fine
"""

NO = """
no
nope
nah
no thanks
no thank you
no i do not agree
no i don't agree
i do not agree
i don't agree to that
i don't consent
i do not consent to being recorded
i'd rather not
i would rather not
i would prefer not to
i'd prefer you didn't
not really
no not really
no way
no it is not okay
no it's not all right
that is not okay
that's not fine
it isn't okay
that is not all right with me
i'm not comfortable with that
i am not happy with that
i don't think so
i do not think that would be all right
please don't
please do not record me
do not record this call
don't record it
absolutely not
of course not
certainly not
definitely not
no absolutely not
no of course not
i object
i refuse
i decline
i do mind
i disagree
never
stop recording
you can't record me
you may not
you cannot
without recording please
no i would like to book an appointment
i don't want to be recorded
i do not want this recorded
not without my permission
i have an objection
turn it off
no please don't
under no circumstances
no never
no you may not
no you can't record me okay
i won't agree to that
"""

UNCLEAR = """

hello
what
what did you say
sorry
pardon
can you repeat that
who is this
why do you record
what for
maybe
i guess
i guess so
i suppose so
it depends
i don't know
i'm not sure
not sure
i am not sure that is okay
yes and no
yes no
yeah no
yes but not my card number
yes but only for training
okay but don't keep it
yes as long as you delete it
only if you delete it
if you delete it yes
yes unless i say my card number
no okay
no fine
no yes
no sure
i'm good
i'm okay
is it necessary
do i have to
do you mind repeating that
let me think about it
i would like to book an appointment
okay so my tooth hurts since last friday evening
never mind
hold on
wait a second
i don't care
recording
right
are you a robot
yes i do mind
yes i do mind being recorded i would rather not
i can't hear you
no i didn't catch that
i'm not bothered
why wouldn't it be
"""


def cases(block: str, answer: Answer) -> list[tuple[str, Answer]]:
    """The lines of *block*, each with the answer that it gives."""
    return [(line, answer) for line in block.strip("\n").split("\n")]


ALL = cases(YES, "yes") + cases(NO, "no") + cases(UNCLEAR, "unclear")


@pytest.mark.parametrize(("text", "answer"), ALL)
def test_an_utterance_is_understood(text: str, answer: Answer) -> None:
    """Each utterance of the table means what a person would take it to mean."""
    assert answer_of(text) == answer


@pytest.mark.parametrize(("text", "answer"), ALL)
def test_case_and_punctuation_do_not_matter(text: str, answer: Answer) -> None:
    """A recogniser that writes sentences gives the same answers as one that writes words."""
    assert answer_of(text.upper() + ".") == answer_of(text)
    assert answer_of(text.replace("'", "’")) == answer_of(text)


@pytest.mark.parametrize("text", [text for text, _ in cases(YES, "yes")])
@pytest.mark.parametrize("caveat", ["but not my name", "as long as you delete it", "no stop", "no"])
def test_a_caveat_takes_consent_back(text: str, caveat: str) -> None:
    """Whatever agreement precedes it, a condition or a no behind it is no consent."""
    assert answer_of(f"{text} {caveat}") != "yes"


@pytest.mark.parametrize(
    "agreement",
    ["okay", "ok", "all right", "alright", "fine", "acceptable", "allowed", "good", "permitted"],
)
@pytest.mark.parametrize(
    "negation", ["that is not {}", "that isn't {}", "it is not at all {}", "that's not really {}"]
)
def test_a_negated_agreement_is_a_no(agreement: str, negation: str) -> None:
    """Agreement under a negation is a refusal."""
    assert answer_of(negation.format(agreement)) == "no"


@given(st.lists(st.sampled_from(["hello", "my", "tooth", "hurts", "friday", "nine"]), max_size=8))
def test_talk_about_something_else_is_no_consent(words: list[str]) -> None:
    """Words that neither agree nor refuse are unclear."""
    assert answer_of(" ".join(words)) == "unclear"


@given(st.text(max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    """No text, however odd, breaks the matcher."""
    assert answer_of(text) in ("yes", "no", "unclear")
