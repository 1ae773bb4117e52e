"""Make the list of common English words by which unknown words are told. Design time only.

python scripts/make_vocabulary.py SCOWL NAMES...

SCOWL is the folder of SCOWL's lists (Debian's package `scowl`, /usr/share/dict/scowl); NAMES are the
files of the 1990 census of the United States (dist.all.last, dist.female.first, dist.male.first;
public domain). Words up to size 40 stay, without those that are more often somebody's name; what is
both, a word and a frequent name, is marked with a star.
"""

import argparse
import gzip
import re
from pathlib import Path

SIZES = (10, 20, 35, 40)
DIALECTS = ("english", "american", "british")
RANK_MAX = 3_000
OUT = Path(__file__).parents[1] / "src/trunkline/privacy/data/words.txt.gz"
MORE = ["okay", "ok", "hello", "hi", "hey", "yeah", "yep", "yup", "nope", "uh", "um", "mm", "hmm", "mhm", "uhhuh", "gonna", "wanna", "gotta", "kinda", "lemme", "voicemail", "email", "emails", "online", "website", "app", "apps", "wifi", "internet", "text", "texts", "texting", "login", "logged", "checkup", "checkups", "followup", "copay", "copays", "deductible", "reschedule", "rescheduled", "rescheduling", "telehealth", "insurance", "medicare", "medicaid", "zip", "postcode", "cellphone", "landline", "username", "paypal", "visa", "mastercard", "amex", "discover", "google", "gmail", "yahoo", "hotmail", "outlook", "icloud", "facebook", "whatsapp", "android", "iphone", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays", "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "christmas", "easter", "thanksgiving", "halloween", "english", "spanish", "french", "german", "italian", "american", "british", "european", "chinese", "mr", "mrs", "ms", "miss", "dr", "sir", "ma'am", "mum", "mom", "mommy", "dad", "daddy", "grandma", "grandpa", "am", "pm", "etc", "vs", "cvv", "cvc", "iban", "ssn", "nhs", "dob", "gp", "er", "id", "pin", "ids", "tv", "pc", "usb", "mri", "ct", "xray"]
"""What callers say and the lists do not have: manners, telephones, days and months."""
NAMES_FIRST = frozenset(
    ["john", "maria", "carol", "peter", "roger", "heather", "terry", "harry", "billy", "randy", "bobby", "victor", "martin", "jimmy", "tony", "sherry", "lee", "hazel", "troy", "jay", "tom", "warren", "sally", "derrick", "holly", "glen", "hector", "rick", "gene", "rosemary", "brad", "colleen", "viola", "patsy", "ken", "bob", "nick", "homer", "matt", "flora", "patty", "noel", "jasmine", "drew", "josh", "roman", "marina", "chuck", "jasper", "curt", "rod", "rob", "ester", "lea", "eddy", "emery", "clement", "sonny", "dirk", "freeman", "phoebe", "beryl", "rhea", "newton", "smith", "griffin", "hicks", "pierce", "sims", "peters", "lynch", "bowman", "watts", "bates", "reeves", "garner", "manning", "stokes", "parsons", "drake", "huff", "bowers", "singleton", "hogan", "davenport", "dyer", "grimes", "garrison", "bullock", "johns", "gentry", "sears", "stein", "levy", "snider", "hays", "madden", "franks", "swain", "proctor", "helms", "downing", "gibbons", "wills", "hickey", "nix", "arias", "billings", "givens", "dukes", "ricks", "mick", "toby", "jerry", "becky", "jenny", "timothy", "carter", "wright", "rogers"]
)
"""Words of the lists that are more often a name: judged by hand."""


def listed(folder: Path) -> set[str]:
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
    words = (listed(given.scowl) - NAMES_FIRST) | set(MORE)
    lines = "\n".join(word + "*" * (word in names) for word in sorted(words)) + "\n"
    OUT.write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
    print(f"{len(words)} words, {OUT.stat().st_size} bytes")  # noqa: T201  # a script


if __name__ == "__main__":
    main()
