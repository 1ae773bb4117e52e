"""Make the list of common English words by which unknown words are told. Design time only.

python scripts/make_vocabulary.py SCOWL NAMES...

SCOWL is the folder of SCOWL's lists (Debian's package `scowl`, /usr/share/dict/scowl); NAMES are
the files of the census of the United States of 1990 (dist.all.last, dist.female.first,
dist.male.first; public domain). Words up to size 50 stay, without those that are more often
somebody's name; what is both, a word and a frequent name, is marked: with ! a first name, else
with *.
"""

import argparse
import gzip
import re
from pathlib import Path

SIZES = (10, 20, 35, 40, 50)
DIALECTS = ("english", "american", "british")
RANK_MAX, FIRST_RANK_MAX = 3_000, 1_000
OUT = Path(__file__).parents[1] / "src/trunkline/privacy/data/words.txt.gz"


def listed(words: str) -> frozenset[str]:
    """The words of *words*."""
    return frozenset(words.split())


MORE = listed(
    """
    okay ok hello hi hey yeah yep yup nope uh um mm hmm mhm uhhuh gonna wanna gotta kinda lemme
    voicemail email emails online website app apps wifi internet text texts texting login logged
    checkup checkups followup copay copays deductible reschedule rescheduled rescheduling
    telehealth insurance medicare medicaid zip postcode cellphone landline username paypal visa
    mastercard amex discover google gmail yahoo hotmail outlook icloud facebook whatsapp android
    iphone monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays
    thursdays fridays saturdays sundays january february march april may june july august
    september october november december christmas easter thanksgiving halloween english spanish
    french german italian american british european chinese mr mrs ms miss dr sir ma'am mum mom
    mommy dad daddy grandma grandpa am pm etc vs cvv cvc iban ssn nhs dob gp er id pin ids tv pc
    usb mri ct xray passcode passcodes reg vin nino itin mrn npi hmo ppo hsa fsa hipaa rx otc
    adhd ptsd covid autism meds vitamin fiance fiancee auntie nana hubby momma babe bro cuz
    dunno nothin cos cause yay wow whoa oops ugh ooh ahh ah aha huh hmmm mmhm mhmm shh gosh darn
    heck anyways alright alot smartphone smartphones ipad laptop webcam headset broadband
    wireless router modem screenshot screenshots upload uploaded uploading download downloaded
    logout signup usernames podcast playlist youtube instagram uber homepage webpage hotline
    helpline chatbot bot bots inbox texted emailed emailing airport airways restroom takeaway
    daycare donut donuts burrito sushi karaoke bbq startup fundraising fundraiser providers
    provider semi pre mid anti non doc docs exp intro info combo promo condo deli gym vet diy
    faq asap fyi eta vip rsvp atm ups usps fedex dhl irs dmv usa uk eu dc pediatric orthodontic
    orthodontist endodontist hygienist periodontist veneers fluoride molar molars incisor gums
    floss invisalign implants retainer penicillin ibuprofen tylenol advil aspirin amoxicillin
    insulin antibiotic antibiotics allergist dermatologist cardiologist gluten vegan mg ml kg km
    cm lbs oz ft mph mins hrs secs cigna aetna voicemails cardholder cardholders callback callbacks
    preauthorization
    autopay paperless overdraft chargeback prepaid refinance payout checkout underway outta
    gettin goin doin downside sync synced postcodes ni stds st nd rd th aol msn
    """
)
"""What callers say and the lists lack: manners, telephones, trades, days and months."""
NAMES_FIRST = listed(
    """
    john maria carol peter roger heather terry harry billy randy bobby victor martin jimmy tony
    sherry lee hazel troy jay tom warren sally derrick holly glen hector rick gene rosemary brad
    colleen viola patsy ken bob nick homer matt flora patty noel jasmine drew josh roman marina
    chuck jasper curt rod rob ester lea eddy emery clement sonny dirk freeman phoebe beryl rhea
    newton smith griffin hicks pierce sims peters lynch bowman watts bates reeves garner manning
    stokes parsons drake huff bowers singleton hogan davenport dyer grimes garrison bullock
    johns gentry sears stein levy snider hays madden franks swain proctor helms downing gibbons
    wills hickey nix arias billings givens dukes ricks mick toby jerry becky jenny timothy
    carter wright rogers barker beck busby chandler collier dahlia deb farrow fink freedman hank
    hanks khan martens morrow myrtle parry sawyer shah sibyl stiles tam tucker wheeler weir
    whiting woodcock sanders sander savanna shoemaker lam dickey
    """
)
"""Words of the lists that are more often a name: judged by hand."""
NEVER_FIRST = listed(
    """
    rich gay junior major summer may will son guy brain numbers august roman chance art van hung
    earnest misty sandy rusty dusty young sterling royal forest autumn sung sang noble long king
    sun man manual merry queen prince ma see so an in do my many hong mi lane ward hunter
    """
)
"""First names of the census that callers say for what they mean."""


def scowl(folder: Path) -> set[str]:
    """The words of SCOWL's lists in *folder*, in lower-case letters only."""
    found: set[str] = set()
    for dialect in DIALECTS:
        for size in SIZES:
            path = folder / f"{dialect}-words.{size}"
            if path.exists():
                found.update(path.read_text("iso-8859-1").split())
    return {word for word in found if re.fullmatch("[a-z]{2,}", word)}


def main() -> None:
    """Write the list."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("scowl", type=Path)
    read.add_argument("names", type=Path, nargs="+")
    given = read.parse_args()
    names = {
        line.split()[0].lower()
        for path in given.names
        for line in path.read_text("ascii").splitlines()[:RANK_MAX]
    }
    words = (scowl(given.scowl) - NAMES_FIRST) | MORE
    first = {
        line.split()[0].lower()
        for path in given.names
        if path.suffix == ".first"
        for line in path.read_text("ascii").splitlines()[:FIRST_RANK_MAX]
    } - NEVER_FIRST
    marks = {word: "!" if word in first else "*" for word in names}
    lines = "\n".join(word + marks.get(word, "") for word in sorted(words)) + "\n"
    OUT.write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
    print(f"{len(words)} words, {OUT.stat().st_size} bytes")  # noqa: T201  # a script


if __name__ == "__main__":
    main()
