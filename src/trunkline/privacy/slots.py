"""What the agent has just asked for, so that the whole answer may be it."""

import re
from typing import Final

from trunkline.privacy.spans import Kind

_ASKS: Final = re.compile(
    r"\?|\b(?:may|can|could|might|would|will) (?:i|you|we)\b|\bplease\b|\bwhat(?:'s| is| are| was)?\b|"
    r"\bwho(?:'s| is| am)?\b|\b(?:tell|give|spell|confirm|provide|read|repeat|say|share|verify|enter)\b|"
    r"\b(?:i|we)(?:'ll| will|'d| would| just| also| still)* (?:need|like|have)\b|\bstart with\b|"
    r"\bgo ahead\b|\band (?:your|the|a|their|his|her)\b|\bwhere\b|\bwhen (?:were|was)\b|\bhow do\b|"
    r"\blooking for\b"
)
_SENTENCE: Final = re.compile(r"[^.!?]+[.!?]*")
_WANTED: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            Kind.NAME,
            r"\bnames?\b(?! of (?:your|the) (?:insurance|medication|practice|company|bank|street))|"
            r"\bsurname\b|\bwho(?:'s| is| am i|m am i)? (?:i )?(?:calling|speaking|talking|this|the (?:appointment|"
            r"patient|booking|caller)|it for|that for)\b|\bwhom? (?:am i|is this|do i|should i|may i|shall i|"
            r"is it|is that|can i|would you like to see|did you)\b|\band you are\b|\bspell\b|\bhow do you spell\b|"
            r"\b(?:emergency contact|next of kin|guarantor|policy ?holder|account holder|primary doctor|"
            r"maiden name|cardholder)\b",
        ),
        (
            Kind.PHONE,
            r"\b(?:tele)?phone\b|\bcell\b|\bmobile\b|\bcall ?back number\b|\b(?:best|good|contact|another|home|work|daytime) number\b|\bnumber (?:to|where|we|i|can|that|you're|you are calling)\b|\breach you\b|\bcall you (?:back|at|on)\b|\barea code\b|\btext you\b",
        ),
        (Kind.DATE_OF_BIRTH, r"\bbirth\b|\bbirthdays?\b|\bborn\b|\bd\.?o\.?b\b"),
        (
            Kind.SECURITY_CODE,
            r"\bsecurity code\b|\bcv[vc2]\b|\bpin\b|\bpass(?:code|word)\b|\b(?:three|3|four|4|six|6)[- ]digit\b|\b(?:three|four|3|4) digits\b|\b(?:verification|access|one[- ]time) (?:code|password)\b|\bcode (?:we|i) (?:just )?(?:sent|texted)\b|\bcode on the back\b",
        ),
        (
            Kind.CARD,
            r"\b(?:card|credit|debit)(?: card)? number\b|\bnumber on (?:the|your) (?:front|card)\b|\bexpir\w+\b|\blong number\b|\bcard (?:details|information)\b|\blast four\b|\b(?:16|sixteen)[- ]digit|\bnumber of (?:the|your) card\b|\byour card\b",
        ),
        (
            Kind.ADDRESS,
            r"(?<!e-mail )(?<!email )\baddress\b|\bwhere do you live\b|\bstreet\b|\bwhere (?:should|shall|do|can|are) (?:we|i|you) (?:ship|send|deliver|mail|located|living|live)\b|\bwhat (?:city|town)\b|\bhouse number\b|\bcity and state\b|\bwhich (?:city|town)\b",
        ),
        (Kind.EMAIL, r"\be-?mail\b"),
        (Kind.POSTCODE, r"\bzip\b|\bpost ?code\b|\bpostal\b"),
        (
            Kind.NATIONAL_ID,
            r"\bsocial\b|\bssn\b|\bnational insurance\b|\bnhs\b|\btax (?:id|number)\b|\bpassport\b|\bitin\b",
        ),
        (
            Kind.ACCOUNT,
            r"\b(?:account|routing|bank) number\b|\bsort code\b|\biban\b|\bbank details\b|\byour account\b|\bchecking account\b",
        ),
        (
            Kind.RECORD_ID,
            r"\b(?:member(?:ship)?|policy|patient|subscriber|group|reference|confirmation|order|claim|case|booking|customer|licen[sc]e|registration|tracking|ticket|invoice|record|chart|prescription|employee|insurance|serial|loyalty|reservation|account)(?:'s)? ?(?:id|number|code|reference)\b|\bplate\b|\bmember id\b|\b(?:insurance|id) card\b|\bmrn\b|\brx\b|\bid number\b|\bvin\b|\bbooking reference\b",
        ),
    )
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
