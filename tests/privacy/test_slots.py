"""What the agent has just asked for."""

import pytest

from trunkline.privacy.slots import expected_kinds
from trunkline.privacy.spans import Kind


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ("May I have your name?", {Kind.NAME}),
        ("Thanks. Who am I speaking with?", {Kind.NAME}),
        ("And your date of birth, please.", {Kind.DATE_OF_BIRTH}),
        ("Could I get your name and phone number?", {Kind.NAME, Kind.PHONE}),
        ("What's your email address?", {Kind.EMAIL}),
        ("What's your home address and zip code?", {Kind.ADDRESS, Kind.POSTCODE}),
        ("What is the three-digit code on the back?", {Kind.SECURITY_CODE}),
        ("I just need your member ID.", {Kind.RECORD_ID}),
        ("What's the name on the account?", {Kind.NAME}),
        ("What name is it under? We open at nine. Anything else?", set()),
        ("Your name is on the list.", set()),
        ("We are open from nine to five.", set()),
        ("", set()),
    ],
)
def test_a_question_says_what_comes(said: str, kinds: set[Kind]) -> None:
    """Only what was asked, and only lately."""
    assert expected_kinds(said) == kinds
