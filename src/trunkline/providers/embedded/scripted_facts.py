"""What the scripted receptionist can say of the demo's practice, in two wordings."""

from collections.abc import Mapping, Sequence
from typing import Final

from trunkline.providers.embedded.scripted_lines import Item

# topic.key: (the fact as the practice's file words it, primary, backup)
_FACTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "bring.insurance_card": (
        "Patients bring their insurance card.",
        "Please bring your insurance card with you.",
        "We need proof of insurance, so pack that card.",
    ),
    "bring.photo_id": (
        "Patients bring a photo ID.",
        "You will also need a photo ID.",
        "Have identification with your picture handy.",
    ),
    "bring.medicines": (
        "Patients bring a list of the medicines that they take.",
        "A list of your medicines helps the dentist.",
        "Write down whatever medication you currently take.",
    ),
    "parking.behind_building": (
        "Parking is free behind the building.",
        "You can park for free behind the building.",
        "Our lot at the rear costs nothing to use.",
    ),
    "arrival.early": (
        "Patients arrive ten minutes before their appointment.",
        "Try to arrive ten minutes early.",
        "Being here ten minutes beforehand is ideal.",
    ),
    "arrival.late": (
        "Patients who run late call the practice.",
        "Please call us if you are running late.",
        "Should anything delay you, give the office a ring.",
    ),
    "hours.early_week": (
        "Monday and Wednesday are open from eight to five.",
        "On Monday and Wednesday we are open from eight to five.",
        "Mondays and Wednesdays last from eight until five.",
    ),
    "hours.late_days": (
        "Tuesday and Thursday are open from nine to six.",
        "On Tuesday and Thursday we open at nine and close at six.",
        "Tuesdays, like Thursdays, go from nine until six.",
    ),
    "hours.friday": (
        "Friday is open from eight to one.",
        "On Friday we open at eight and close at one.",
        "Fridays are shorter, from eight until one.",
    ),
    "hours.weekend": (
        "Saturday and Sunday are closed.",
        "We are closed on Saturday and Sunday.",
        "Nobody is here at the weekend.",
    ),
    "prices.cleaning": (
        "A cleaning costs ninety dollars.",
        "A cleaning costs ninety dollars.",
        "For cleanings the charge is ninety dollars.",
    ),
    "prices.check_up": (
        "A check-up costs sixty dollars.",
        "A check-up costs sixty dollars.",
        "For checkups we ask sixty dollars.",
    ),
    "prices.filling": (
        "A filling starts at one hundred fifty dollars.",
        "Fillings start at one hundred fifty dollars.",
        "A simple filling comes to one hundred fifty or more.",
    ),
    "insurance.plans": (
        "Most large dental plans are accepted.",
        "We accept most of the large dental plans.",
        "Nearly every major insurer works with this office.",
    ),
    "insurance.check": (
        "The front desk checks the cover before the visit.",
        "The front desk checks your cover before the visit.",
        "Staff will confirm what is paid ahead of time.",
    ),
    "walk_in.appointment_first": (
        "Visits are by appointment.",
        "We see our patients by appointment.",
        "Visits have to be arranged in advance.",
    ),
    "walk_in.emergencies": (
        "People in pain are seen on the same day where possible.",
        "If you are in pain, we try to see you the same day.",
        "Urgent cases are fitted in today whenever that is possible.",
    ),
    "address.street": (
        "The practice is at 120 River Street in Springfield.",
        "We are at one twenty River Street in Springfield.",
        "Come to Springfield, River Street, number one hundred and twenty.",
    ),
    "address.landmark": (
        "The entrance is across from the public library.",
        "Our entrance is across from the public library.",
        "Look for the door opposite the town's library.",
    ),
    "staff.dentists": (
        "The dentists are Doctor Lee and Doctor Haddad.",
        "Our dentists are Doctor Lee and Doctor Haddad.",
        "Alice Lee or Omar Haddad will treat you.",
    ),
    "staff.hygienist": (
        "Jenny Park is the hygienist.",
        "Jenny Park is our dental hygienist.",
        "Teeth are cleaned by Jenny Park.",
    ),
}

KNOWN_FACTS: Final[Mapping[str, str]] = {key: texts[0] for key, texts in _FACTS.items()}
"""The facts that have wordings here, as the demo's practice file states them."""

_WHOLE_VISIT = ("bring", "parking", "arrival")


def content_items(topic: str) -> tuple[Item, ...]:
    """The items of the answer on *topic*, in the order they are said; empty if it is unknown.

    Topics: bring, parking, arrival, hours, prices, insurance, walk_in, address, staff; and
    `visit`, the answer to what to bring and where to park, which is the first three.
    """
    topics = _WHOLE_VISIT if topic == "visit" else (topic,)
    return answer_items(topics, KNOWN_FACTS)


def answer_items(topics: Sequence[str], facts: Mapping[str, str]) -> tuple[Item, ...]:
    """The items on *topics* that *facts* (as the prompt gives them, by `topic.key`) allow.

    A fact that was changed from the one worded here is read out as it stands, by both styles:
    the practice's file is right, and this table is only phrasing.
    """
    if {"bring", "parking"} <= set(topics):
        topics = (*_WHOLE_VISIT, *(topic for topic in topics if topic not in _WHOLE_VISIT))
    return tuple(
        Item(key, *_FACTS[key][1:]) if KNOWN_FACTS.get(key) == fact else Item(key, fact, fact)
        for topic in topics
        for key, fact in facts.items()
        if key.partition(".")[0] == topic
    )
