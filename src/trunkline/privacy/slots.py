"""What the agent has just asked for, so that the whole answer may be it."""

import re
from typing import Final

from trunkline.privacy.spans import Kind

_ASKS: Final = re.compile(
    r"\?|\b(?:may|can|could|might|would|will) (?:i|you|we)\b|\bplease\b|\bwhat(?:'s| is| are|"
    r" was)?\b|"
    r"\bwho(?:'s| is| am)?\b|"
    r"\b(?:tell|give|spell|confirm|provide|read|repeat|say|share|"
    r"verify|enter)\b|"
    r"\b(?:i|we)(?:'ll| will|'d| would| just| also| still)* (?:need|like|have)\b|\bstart with\b|"
    r"\bgo ahead\b|\band (?:your|the|a|their|his|her)\b|\bwhere\b|\bwhen (?:were|was)\b|\bhow do\b|"
    r"\blooking for\b"
)
_SENTENCE: Final = re.compile(r"[^.!?]+[.!?]*")


def _any(*phrases: str) -> re.Pattern[str]:
    """One of *phrases*, which are regular expressions, as whole words."""
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b")


_WANTED: Final = (
    (
        Kind.NAME,
        _any(
            r"names?(?! of (?:your|the) (?:insurance|medication|practice|company|bank|street))",
            r"surname|maiden name|how do you spell|spell|and you are",
            r"who(?:'s| is| am i|m am i)? (?:i )?(?:calling|speaking|talking|this|it for|that for)",
            r"who(?:'s| is)? the (?:appointment|patient|booking|caller)",
            r"whom? (?:am i|is this|do i|should i|may i|shall i|is it|is that|can i|did you)",
            r"whom? would you like to see|emergency contact|next of kin|guarantor|cardholder",
            r"(?:policy|account) ?holder|primary doctor",
        ),
    ),
    (
        Kind.PHONE,
        _any(
            r"(?:tele)?phone|cell|mobile|area code|reach you|text you|call you (?:back|at|on)",
            r"(?:call ?back|best|good|contact|another|home|work|daytime) number",
            r"number (?:to|where|we|i|can|that|you're|you are calling)",
        ),
    ),
    (Kind.DATE_OF_BIRTH, _any("birth", "birthdays?", "born", r"d\.?o\.?b", "birthdate")),
    (
        Kind.SECURITY_CODE,
        _any(
            r"(?<!zip )(?<!post )(?<!postal )(?<!area )(?<!sort )(?<!promo )code|cv[vc2]|pin",
            r"pass(?:code|word)|(?:three|3|four|4|six|6)[- ]digits?",
        ),
    ),
    (
        Kind.CARD,
        _any(
            r"(?:card|credit|debit)(?: card)? number|number (?:on|of) (?:the|your) (?:front|card)",
            r"expir\w+|long number|card (?:details|information)|last four|your card",
            r"(?:16|sixteen)[- ]digit",
        ),
    ),
    (
        Kind.ADDRESS,
        _any(
            r"(?<!e-mail )(?<!email )address|where do you live|street|house number|city and state",
            r"where (?:should|shall|do|can|are) (?:we|i|you) "
            r"(?:ship|send|deliver|mail|living|live)",
            r"where are you located|(?:what|which) (?:city|town)",
        ),
    ),
    (Kind.EMAIL, _any(r"e-?mail")),
    (Kind.POSTCODE, _any(r"zip|post ?code|postal")),
    (
        Kind.NATIONAL_ID,
        _any(r"social|ssn|national insurance|nhs|tax (?:id|number)|passport|itin"),
    ),
    (
        Kind.ACCOUNT,
        _any(
            r"(?:account|routing|bank) number|sort code|iban|bank details|your account",
            r"checking account",
        ),
    ),
    (
        Kind.RECORD_ID,
        _any(
            r"(?:member(?:ship)?|policy|patient|subscriber|group|reference|confirmation|order|"
            r"claim|"
            r"case|booking|customer|licen[sc]e|registration|tracking|ticket|invoice|record|chart|"
            r"prescription|employee|insurance|serial|loyalty|reservation|account)(?:'s)? ?"
            r"(?:id|number|code|reference)",
            r"plate|(?:insurance|id) card|mrn|rx|id number|vin|booking reference|reference",
        ),
    ),
)
_SENTENCES: Final = 2
"""Of the agent's last words; what was asked before was answered before."""


def expected_kinds(agent_text: str) -> frozenset[Kind]:
    """The kinds of what *agent_text* (the agent's last reply, as heard) asks for; may be empty."""
    sentences = _SENTENCE.findall(agent_text.lower().replace("’", "'"))
    asked = " ".join(it for it in sentences[-_SENTENCES:] if _ASKS.search(it))
    if not asked:
        return frozenset()
    found = {kind for kind, pattern in _WANTED if pattern.search(asked)}
    if Kind.NAME in found and re.search(r"\bname on the (?:account|card)\b", asked):
        found -= {Kind.ACCOUNT, Kind.CARD}
    if Kind.EMAIL in found and not re.search(r"\b(?:home|street|mailing|postal) address\b", asked):
        found.discard(Kind.ADDRESS)
    return frozenset(found)
