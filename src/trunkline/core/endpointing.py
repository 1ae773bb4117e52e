"""Whether a sentence can be over: from its last words, while the caller is silent.

A pause after "my name is" is a thought, one after "nine o'clock" an end. The test is made on what
a recogniser has so far, so it looks at the last words only and needs no punctuation: a sentence is
*open* if it ends in a word that wants another one (an article, a preposition, a conjunction, a
possessive, a filler), in the beginning of a wish or of a name, or in too few digits for what was
asked. To take an open sentence for over costs an answer to half of it; the other mistake costs
`hangover_open_s`, less `hangover_s`. So only words that hardly ever end a sentence are listed.
"""

import re

from trunkline.core.backchannels import primary, words_of

DIGITS_MIN = 7
"""A telephone number without its area code. A shorter code waits the longer pause in vain."""

_OPEN = {
    "en": "a, an, the, of, to, for, with, at, from, by, between, until, till, into, than, near, in,"
    " on, per, and, or, but, because, if, whether, my, your, his, our, their, i, we, they, he, she,"
    " i m, i ll, i d, i ve, we re, um, uh, er, erm, very, name is, this is, number is, birthday is,"
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


_OPEN_ENDS, _CLOSED_ENDS = _phrases(_OPEN), _phrases(_CLOSED)


def is_open(text: str, language: str, asked: str = "") -> bool:
    """Whether more words must follow *text*; *language*: a BCP 47 tag, *asked*: by the agent.

    In a language without a table every sentence can be over.
    """
    words, known = words_of(text), primary(language)
    if known not in _OPEN or not words:
        return False
    ends = {words[-length:] for length in range(1, min(_LONGEST, len(words)) + 1)}
    if ends & _CLOSED_ENDS[known]:
        return False
    return bool(ends & _OPEN_ENDS[known]) or _wants_digits(words, known, asked)


def is_fragment(text: str, language: str) -> bool:
    """Whether *text* has only words that want another one: a murmur such as "i the"."""
    ends = _OPEN_ENDS.get(primary(language), frozenset())
    words = words_of(text)
    return bool(words) and all((word,) in ends for word in words)


def _wants_digits(words: tuple[str, ...], language: str, asked: str) -> bool:
    if not re.search(_ASKS_DIGITS[language], asked.lower()):
        return False
    spoken, count = _DIGITS[language].split(), 0
    for word in reversed(words):
        if not word.isdigit() and word not in spoken:
            break
        count += len(word) if word.isdigit() else 1
    return 0 < count < DIGITS_MIN
