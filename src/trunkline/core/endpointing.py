"""Whether a sentence is over: from its words so far, while the caller is silent.

A pause after "my name is" is a thought, one after "where can I park" an end, and after "I need an
appointment" it may be either. The test is made on what a recogniser has so far, so it needs no
punctuation. A sentence is

* *open* if it ends in a word that wants another one (an article, a preposition, a conjunction, a
  possessive, a filler), in the beginning of a wish or of a name, or in too few digits for what was
  asked. Only words that hardly ever end a sentence are listed.
* *over* if it hardly ever goes on: it ends in a courtesy, it is a question whose last word wants
  no other, or it is all that was asked for: a yes or a no, a name, a number, a time, a day with
  its part.
* *unsure* in all other cases, and in languages without a table.

To take for over what is not costs an answer to half a sentence; the other mistakes cost
`hangover_unsure_s` or `hangover_open_s`, less `hangover_s`. People answer after 0.2 s on average
(T. Stivers et al., "Universals and cultural variation in turn-taking in conversation", PNAS 106,
2009), and pause for longer than that inside a turn (M. Heldner, J. Edlund, "Pauses, gaps and
overlaps in conversations", J. Phonetics 38, 2010): silence alone cannot tell.
"""

import re
from enum import Enum

from trunkline.core.backchannels import is_backchannel, primary, words_of


class Ending(Enum):
    """How likely a sentence is over."""

    OVER = "over"
    UNSURE = "unsure"
    OPEN = "open"


DIGITS_MIN, DIGITS_ALL = 7, 10
"""A telephone number without its area code, and with it: the first may be the second's beginning.
A shorter code waits the longer pause in vain."""

_OPEN = {
    "en": "a, an, the, of, to, for, with, at, from, by, between, until, till, into, than, near, in,"
    " on, per, and, or, but, because, if, whether, my, your, his, our, their, i, we, they, he, she,"
    " i m, i ll, i d, i ve, we re, um, uh, er, erm, very, name is, this is, number is, birthday is,"
    " you please, about, any, some,"
    " date is, appointment is, problem is, it s, would like, d like, i want, i need, we need,"
    " can i, could i, may i, can you, could you, do you, is there, are there, how about,"
    " what about, want to know, like to know, please tell, tell me, next, this, every, instead of,"
    " doctor, mister, half past, quarter past, quarter to, on the, last name is, first name is,"
    " need to, want to, like to, to book, to change, to make, to move, to schedule, to speak,"
    " to talk, to leave, think i have, should i, where do i, when do you, what are your",
    "de": "der, die, das, den, dem, des, ein, eine, einen, einem, einer, eines, für, von, bei, bis,"
    " zum, zur, am, im, beim, vom, ins, ohne, wegen, zwischen, und, oder, aber, weil, dass, ob,"
    " wenn, denn, mein, meine, meinen, meinem, meiner, ihr, ihre, unser, unsere, ich, wir, äh, ähm,"
    " sehr, name ist, nummer ist, ich möchte, ich hätte, hätte gern, hätte gerne, ich würde,"
    " würde gern, würde gerne, ich brauche, ich heiße, ich bin, ich wollte, kann ich, könnte ich,"
    " können sie, gibt es, haben sie, nächsten, nächste, kommenden, herr, frau, doktor, halb,"
    " viertel nach, viertel vor",
    "fr": "le, la, les, l, un, une, des, du, de, d, à, au, aux, pour, avec, chez, dans, sans,"
    " entre, vers, et, ou, mais, parce que, que, qu, qui, si, car, mon, ma, mes, votre, vos,"
    " notre, nos, je, j, nous, euh, très, nom est, numéro est, c est, je voudrais, j aimerais,"
    " je veux, je m appelle, je suis, j ai besoin, puis je, est ce que, pouvez vous, avez vous,"
    " madame, monsieur, docteur",
    "es": "el, la, los, las, un, una, unos, unas, de, del, a, al, para, por, con, en, sin, entre,"
    " hasta, desde, y, o, pero, porque, que, mi, mis, su, sus, nuestro, nuestra, yo, eh, muy,"
    " nombre es, número es, me llamo, quisiera, quiero, necesito, me gustaría, soy, puedo, podría,"
    " puede, tiene, hay, señor, señora, doctor, doctora, próximo, próxima",
}
_CLOSED = {  # ends that look open
    "en": "come in, go on, hold on, hang on, what for, i m in, who is this, what is this,"
    " like this, about this, what s next, the doctor, a doctor, my doctor",
    "de": "das ist für",
    "fr": "et vous",
    "es": "no hay",
}
_OVER = {  # ends that are ends
    "en": "please, thanks, thank you, thank you very much, thank you so much, thanks a lot, bye,"
    " goodbye, good bye, s all, is all, be all, s it, is it, all for today, all for now, for me,"
    " with me, call me back, no problem, never mind, sounds good, sounds great, go ahead, i agree,"
    " is fine, is good, is great, is okay, is ok, is all right, is perfect, is right, is wrong,"
    " is correct, is better, s fine, s good, s great, s okay, s ok, s all right, s perfect,"
    " s right, s wrong, s correct, be fine, be good, be great, be okay, be ok, be perfect,"
    " not right, not correct, that works",
    "de": "bitte, danke, danke schön, vielen dank, tschüss, wiederhören, wiedersehen, ist alles,"
    " war s, wär s, für mich, bei mir, ist gut, ist richtig, ist falsch, passt, stimmt, in ordnung,"
    " zurück",
    "fr": "s il vous plaît, s il te plaît, merci, merci beaucoup, au revoir, c est tout, pour moi,"
    " c est bon, c est bien, c est ça, c est juste, c est faux, me convient, d accord",
    "es": "por favor, gracias, muchas gracias, adiós, hasta luego, es todo, eso es, para mí,"
    " está bien, es correcto, me viene bien, de acuerdo",
}
_QUESTION_WORDS = {
    "en": "what where when how who which why",
    "de": "was wo wann wie wer wen wem welche welcher welches welchen warum wieviel wohin",
    "fr": "où quand comment combien quel quelle quels quelles pourquoi",
    "es": "dónde cuándo cómo cuánto cuánta cuántos qué quién cuál por",
}
_VERBS = {  # that make a question of a question word, and never end one
    "en": "is are was were do does did can could should would will must may s",
    "de": "ist sind war hat haben habe kann können kostet kosten muss müssen soll darf wird gibt"
    " nehmen machen",
    "fr": "est sont faut puis peut pouvez avez coûte coûtent dois doit",
    "es": "es son está están hay puedo puede tengo tiene cuesta cuestan debo",
}
_WANT_MORE = {  # other last words that no question ends in
    "en": "i you we he she they it your their much many long often time kind day number"
    " opening office business dental",
    "de": "ich sie wir er man es viel lange uhr",
    "fr": "je vous nous il elle on ce temps heure",
    "es": "yo usted ustedes se tiempo hora",
}
_WHOLE = {  # a question for a yes or no, with its object; days often follow "do you have"
    "en": r"\bdo(?:es)? (?:you|they|he|she|it|the \w+) (?!have )\w+ (?:\w+ )*"
    r"(?!(?:any|some)\w*$|your$|it$|much$|many$|long$|often$)\w+$"
}
_WANT_OBJECT = {  # unless the question asks for it
    "en": "get make book change cancel move reschedule schedule see have take pay speak talk need"
    " want know find reach bring cost tell ask",
}
_ASKS_OBJECT = frozenset({"what", "which", "who", "much"})
_INTRODUCES = {
    "en": r"(?:(?:yes|hi|hello|um|uh|sure|okay) )*(?:my (?:full )?name (?:is|s)|it (?:is|s)"
    r"|this is|i (?:am|m))",
    "de": r"mein name ist|ich heiße|ich bin|hier ist|hier spricht",
    "fr": r"je m appelle|mon nom est|c est|je suis",
    "es": r"me llamo|mi nombre es|soy|habla",
}
_ASKS_NAME = {"en": r"\bname\b", "de": r"\bnamen?\b", "fr": r"\bnom\b", "es": r"\bnombre\b"}
_ASKS_WHEN = {"en": r"\b(?:when|days?|dates?|times?)\b"}
_IS_WHEN = {
    "en": r"(?:o clock|noon|[ap] ?m|(?:half|quarter) (?:past|to) \w+|\d+ \d\d"
    r"|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
    r" (?:ten|fifteen|twenty|thirty|forty(?: five)?|fifty)"
    r"|(?:\w+day|today|tomorrow|that|this) (?:morning|afternoon|evening|night)"
    r"|(?:january|february|march|april|may|june|july|august|september|october|november|december)"
    r" (?:the )?\w+(?:st|nd|rd|th))$"
}
_DIGITS = {
    "en": "zero oh one two three four five six seven eight nine",
    "de": "null eins ein zwei zwo drei vier fünf sechs sieben acht neun",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
}
_ASKS_DIGITS = {
    "en": r"\bnumber\b|\bdigits?\b|\bcode\b",
    "de": r"nummer\b|\bziffern?\b|\bcode\b",
    "fr": r"\bnuméro\b|\bchiffres?\b|\bcode\b",
    "es": r"\bnúmero\b|\bdígitos?\b|\bcódigo\b",
}
_LONGEST = 4


def _phrases(table: dict[str, str]) -> dict[str, frozenset[tuple[str, ...]]]:
    return {
        language: frozenset(tuple(phrase.split()) for phrase in phrases.split(", "))
        for language, phrases in table.items()
    }


_OPEN_ENDS, _CLOSED_ENDS, _OVER_ENDS = _phrases(_OPEN), _phrases(_CLOSED), _phrases(_OVER)
_NO = {"en": "no nope", "de": "nein nee", "fr": "non", "es": "no"}


def ending(text: str, language: str, asked: str = "") -> Ending:
    """How likely *text* is all; *language*: a BCP 47 tag, *asked*: what the agent said before."""
    words, known = words_of(text), primary(language)
    if known not in _OPEN or not words:
        return Ending.UNSURE
    ends = {words[-length:] for length in range(1, min(_LONGEST, len(words)) + 1)}
    digits = _digits(words, known) if re.search(_ASKS_DIGITS[known], asked.lower()) else 0
    if 0 < digits < DIGITS_MIN or (ends & _OPEN_ENDS[known] and not ends & _CLOSED_ENDS[known]):
        return Ending.OPEN
    if digits >= DIGITS_ALL or (len(words) > 1 and ends & _OVER_ENDS[known]):
        return Ending.OVER
    said = " ".join(words)
    asks = _is_question(words, known) or re.search(_WHOLE.get(known, "$^"), said) is not None
    return Ending.OVER if asks or _answers(said, known, asked) else Ending.UNSURE


def without_fragments(text: str, language: str) -> str:
    """*text* without the words that want another one: of a murmur, "i the", nothing is left."""
    ends = _OPEN_ENDS.get(primary(language), frozenset())
    return " ".join(word for word in words_of(text) if (word,) not in ends)


def _digits(words: tuple[str, ...], language: str) -> int:
    """How many digits *words* end in."""
    spoken, count = _DIGITS[language].split(), 0
    for word in reversed(words):
        if not word.isdigit() and word not in spoken:
            break
        count += len(word) if word.isdigit() else 1
    return count


def _answers(text: str, language: str, asked: str) -> bool:
    """Whether *text* is just what was asked for last."""
    question = re.split(r"[.!?]\s+", asked.lower().strip())[-1]
    if not question.endswith("?"):
        return False
    if re.search(_ASKS_NAME[language], question):
        return _is_name(text, language)
    if language in _ASKS_WHEN and re.search(_ASKS_WHEN[language], question):
        return re.search(_IS_WHEN[language], text) is not None
    asks = set(_QUESTION_WORDS[language].split()) & set(words_of(question))
    return not asks and (is_backchannel(text, language) or text in _NO[language])


def _is_name(text: str, language: str) -> bool:
    """Whether *text* is a first name and a last name, introduced or not."""
    name = re.sub(rf"^(?:{_INTRODUCES[language]}) ", "", text)
    return 2 <= len(name.split()) <= (3 if name == text else 4)


def _is_question(words: tuple[str, ...], language: str) -> bool:
    """Whether *words* end in a question that begins with a question word and is complete."""
    asks, verbs = _QUESTION_WORDS[language].split(), _VERBS[language].split()
    begins = [at for at, word in enumerate(words) if word in asks]
    if not begins or words[-1] in verbs + _WANT_MORE[language].split():
        return False
    head, rest = words[begins[-1] : begins[-1] + 4], words[begins[-1] + 2 :]
    if not rest or not set(head[1:]) & set(verbs):
        return False
    return words[-1] not in _WANT_OBJECT.get(language, "").split() or bool(_ASKS_OBJECT & set(head))
