"""What a listener says without taking the word: "mm-hm", "yeah", "okay".

Such a sound says "go on". It is one only while the agent tells something: after a question, or
over its last words, the same sound is an answer. The tables are small on purpose. A word that is
missing costs the caller a reply that begins anew; a word too many costs one that was not heeded,
so what may be an objection or a wish ("no", "stop", "wait", "thanks") is in none of them. Where the
recogniser itself has doubts about a short sound, only such a word counts: a listener's sounds are
many times as frequent, and who was not heeded says it again, and longer.
"""

import re
from itertools import takewhile

LAST_WORDS = 3
"""A question whose last words are still being said is answered early: people do."""
_WORDS_MAX = 4  # "yeah okay all right": more is a sentence

_TABLE = {
    "en": "mm, mmm, mhm, mm hm, mm hmm, mmhmm, hm, hmm, hmmm, uh huh, uhhuh, uh, um, ah, aha, oh,"
    " yeah, yep, yup, yes, okay, ok, k, right, all right, alright, sure, i see, got it, gotcha,"
    " great, good, fine, perfect, nice, cool, exactly, correct, of course, absolutely, certainly,"
    " understood, i understand, makes sense, sounds good, s good, s fine, s right, s great, really",
    "de": "mm, mhm, hm, hmm, mm hm, aha, ah, ach, oh, ja, jaja, jo, jep, okay, ok, gut, genau,"
    " klar, alles klar, richtig, stimmt, verstehe, ich verstehe, ach so, achso, so so, sehr gut",
    "fr": "mm, mhm, hm, hmm, ah, oh, euh, oui, ouais, ok, okay, d accord, bien, très bien,"
    " bien sûr, je vois, je comprends, c est ça, ah oui, ah bon, voilà",
    "es": "mm, mhm, hm, hmm, ah, aha, ajá, oh, eh, sí, si, ok, okay, vale, bueno, bien, muy bien,"
    " claro, ya, ya veo, entiendo, de acuerdo, correcto, perfecto",
}
_TAKES = {  # the word: one of these is enough, however doubtful
    "en": "stop wait no not hold hang sorry pardon excuse what when where who why how hello hey"
    " help but actually please moment second question again repeat never wrong thanks thank bye"
    " goodbye",
    "de": "stopp stop halt warten warte moment nein nicht entschuldigung verzeihung was wann wo wer"
    " warum wie hallo hilfe aber bitte frage nochmal wiederholen falsch danke tschüss",
    "fr": "stop arrêtez attendez attends moment non pas pardon excusez quoi quand où qui pourquoi"
    " comment allô bonjour mais question répétez encore faux merci",
    "es": "pare para espere espera momento no perdón perdone disculpe qué cuándo dónde quién por"
    " cómo hola ayuda pero pregunta repita otra falso gracias adiós",
}
_PHRASES = {
    language: frozenset(tuple(phrase.split()) for phrase in phrases.split(", "))
    for language, phrases in _TABLE.items()
}


def words_of(text: str) -> tuple[str, ...]:
    """The words of *text* in lower case, without punctuation."""
    return tuple(re.findall(r"[^\W_]+", text.lower()))


def agreed(before: str, now: str) -> str:
    """The words on which two transcripts of a growing utterance agree: those that will stay."""
    pairs = zip(words_of(before), words_of(now), strict=False)
    return " ".join(word for word, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def primary(language: str) -> str:
    """The language of a BCP 47 tag without its region: `en` of `en-US`."""
    return language.partition("-")[0].lower()


def is_backchannel(text: str, language: str) -> bool:
    """Whether *text* is made of nothing but backchannels of *language* (a BCP 47 tag)."""
    words = words_of(text)
    known = _PHRASES.get(primary(language), frozenset())
    covered = {0}  # how many words from the start a row of phrases can cover
    for end in range(1, len(words) + 1):
        covered |= {end for start in covered if words[start:end] in known}
    return 0 < len(words) <= _WORDS_MAX and len(words) in covered


def takes_word(text: str, language: str) -> bool:
    """Whether *text* has a word that asks for the floor, as "wait" and "sorry" do."""
    return not set(_TAKES.get(primary(language), "").split()).isdisjoint(words_of(text))


def is_asking(heard: str, unheard: str) -> bool:
    """Whether whoever heard *heard*, with *unheard* to come, was asked something just now."""
    heard = heard.rstrip("\"'”’)")
    if not heard or heard[-1] in "?.!":
        return heard.endswith("?")
    rest = re.match(r"[^.!?]*\?", unheard)
    return rest is not None and len(rest.group().split()) <= LAST_WORDS
