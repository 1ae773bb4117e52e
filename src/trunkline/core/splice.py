"""Where and how another endpoint goes on with a half-spoken answer.

The seam is always the end of a sentence. What was committed (given to the synthesiser) is final:
the next endpoint gets it as a prefix, or as an assistant message followed by a turn that asks for
the rest, and everything it says passes the `RepeatGate`, because models that are asked to go on
like to greet, to apologise or to start again.

Design and thresholds: Trunkline's own measurements of November 2026, 5-gram containment > 0.6.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from trunkline.errors import InputError
from trunkline.types import Message, Prompt

GRAM = 5
CONTAINED = 0.6

GO_ON = {
    "en": "[System note: your reply was interrupted after the text above, which the caller has "
    "already heard. Go on with the next sentence only. Do not repeat, greet or apologise.]",
    "de": "[Systemhinweis: Deine Antwort brach nach dem obigen Text ab; der Anrufer hat ihn schon "
    "gehört. Fahre nur mit dem nächsten Satz fort. Nicht wiederholen, grüßen oder entschuldigen.]",
    "fr": "[Note système : votre réponse s'est arrêtée après le texte ci-dessus, que l'appelant a "
    "déjà entendu. Continuez avec la phrase suivante. Sans répéter, saluer ni vous excuser.]",
    "es": "[Nota del sistema: su respuesta se cortó después del texto anterior, que la persona ya "
    "ha oído. Continúe solo con la frase siguiente. Sin repetir, saludar ni disculparse.]",
    "it": "[Nota di sistema: la risposta si è interrotta dopo il testo sopra, che chi chiama ha "
    "già sentito. Continua solo con la frase successiva. Senza ripetere, salutare o scusarti.]",
    "nl": "[Systeemnotitie: je antwoord brak af na de tekst hierboven, die de beller al heeft "
    "gehoord. Ga alleen verder met de volgende zin. Niet herhalen, groeten of excuses maken.]",
    "pt": "[Nota do sistema: a resposta foi interrompida após o texto acima, que a pessoa já "
    "ouviu. Continue apenas com a próxima frase. Sem repetir, cumprimentar ou pedir desculpa.]",
}
"""The turn that asks for the rest, in the language of the call."""


IN_LIST = {
    "en": ("first(ly)?|second(ly)?|third(ly)?|next", "You were going through a list: go on with "
           "its next item."),
    "de": ("erstens|zweitens|drittens|zuerst|als nächstes", "Du warst in einer Aufzählung: Fahre "
           "mit dem nächsten Punkt fort."),
    "fr": ("premièrement|deuxièmement|troisièmement|d'abord|ensuite", "Vous étiez dans une "
           "énumération : continuez par le point suivant."),
    "es": ("primero|segundo|tercero|en primer lugar|luego", "Estaba en una enumeración: continúe "
           "con el punto siguiente."),
    "it": ("primo|secondo|terzo|innanzitutto|poi", "Eri in un elenco: continua con il punto "
           "successivo."),
    "nl": ("ten eerste|ten tweede|ten derde|eerst|daarna", "Je was bezig met een opsomming: ga "
           "verder met het volgende punt."),
    "pt": ("primeiro|segundo|terceiro|em primeiro lugar|depois", "Estava numa enumeração: "
           "continue com o ponto seguinte."),
}  # fmt: skip
"""How a sentence begins that is an item of a list, and what is then asked for."""
_NUMBERED = r"\d{1,2}[.)]"


def in_list(committed: str, language: str) -> str:
    """What to ask for in *language* if *committed* breaks off after an item of a list, else ""."""
    known = IN_LIST.get(language.partition("-")[0].lower())
    if known is None:
        return ""
    words, note = known
    item = re.compile(
        rf"(?:^|[.!?:;\n])\s*(?:{words}|{_NUMBERED})[\s,:][^.!?\n]*[.!?;,]?\s*$", re.I
    )
    return note if item.search(committed) else ""


def can_go_on(language: str) -> bool:
    """Whether a model can be asked for the rest by a further turn in *language*."""
    return language.partition("-")[0].lower() in GO_ON


def continuation(
    prompt: Prompt,
    committed: str,
    how: Literal["token_exact", "prefix", "turn"],
    language: str,
) -> Prompt:
    """*prompt*, asking only for what follows *committed*; unchanged if nothing is committed.

    Raises `InputError` when *how* is `turn` and no `GO_ON` text exists in *language*.
    """
    if not committed:
        return prompt
    said = Message("assistant", committed)
    if how != "turn":
        return replace(prompt, messages=(*prompt.messages, said), continue_final=True)
    note = GO_ON.get(language.partition("-")[0].lower())
    if note is None:
        raise InputError(
            f"language {language!r} has no text that asks a model to go on; "
            f"known: {', '.join(sorted(GO_ON))}. Use an endpoint with continuation: prefix, "
            "or add the text to trunkline.core.splice.GO_ON"
        )
    ask = f"{note} {in_list(committed, language)}".strip()
    return replace(prompt, messages=(*prompt.messages, said, Message("user", ask)))


REJOIN = {
    "en": "[System note: your reply broke off; the user has all of the text above. {again}Then go "
    "on to its end. Do not repeat anything else, do not greet or apologise.]",
    "de": "[Systemhinweis: Deine Antwort brach ab; der obige Text liegt vollständig vor. {again}"
    "Fahre dann bis zum Ende fort. Sonst nichts wiederholen, nicht grüßen oder entschuldigen.]",
    "fr": "[Note système : votre réponse s'est interrompue ; tout le texte ci-dessus a été reçu. "
    "{again}Continuez ensuite jusqu'à la fin. Ne répétez rien d'autre, sans saluer ni vous "
    "excuser.]",
    "es": "[Nota del sistema: su respuesta se cortó; el texto anterior llegó completo. {again}"
    "Continúe después hasta el final. No repita nada más, no salude ni se disculpe.]",
    "it": "[Nota di sistema: la risposta si è interrotta; tutto il testo sopra è arrivato. {again}"
    "Poi continua fino alla fine. Non ripetere altro, non salutare e non scusarti.]",
    "nl": "[Systeemnotitie: je antwoord brak af; alle tekst hierboven is aangekomen. {again}Ga dan "
    "door tot het einde. Herhaal verder niets, groet niet en verontschuldig je niet.]",
    "pt": "[Nota do sistema: a resposta foi interrompida; todo o texto acima chegou. {again}Depois "
    "continue até ao fim. Não repita mais nada, não cumprimente nem peça desculpa.]",
}
"""The turn that asks for the rest of a text that is being read; *again* is of `AGAIN`, or empty."""
AGAIN = {
    "en": "Its last sentence is unfinished: begin with that one, with exactly the same words: ",
    "de": "Ihr letzter Satz ist unvollständig: Beginne mit ihm, mit genau denselben Worten: ",
    "fr": "Sa dernière phrase est inachevée : commencez par elle, avec les mêmes mots : ",
    "es": "La última frase quedó incompleta: empiece por ella, con las mismas palabras: ",
    "it": "L'ultima frase è incompleta: comincia da quella, con le stesse parole: ",
    "nl": "De laatste zin is niet af: begin met die zin, met precies dezelfde woorden: ",
    "pt": "A última frase ficou incompleta: comece por ela, exatamente com as mesmas palavras: ",
}  # fmt: skip
"""What is asked for if *fragment* was left of a sentence, which then follows in quotes."""


def rejoining(
    prompt: Prompt,
    sent: str,
    how: Literal["token_exact", "prefix", "turn"],
    language: str,
    fragment: str,
) -> Prompt:
    """*prompt*, asking for what follows *sent*, which a reader has and which ends in *fragment*.

    `InputError` as of `continuation`.
    """
    if not sent or how != "turn":
        return continuation(prompt, sent, how, language)
    short = language.partition("-")[0].lower()
    if short not in REJOIN:
        return continuation(prompt, sent, how, language)  # which says that it is not known
    again = f'{AGAIN[short]}"{fragment}". ' if fragment else ""
    ask = Message("user", REJOIN[short].format(again=again))
    return replace(prompt, messages=(*prompt.messages, Message("assistant", sent.strip()), ask))


OPENERS = {
    "en": "sure( thing)?|certainly|of course|absolutely|okay|ok|alright|all right|great|"
    "hello|hi|hi there|good (morning|afternoon|evening)|(i'm |i am )?(so |very )?sorry( again)?"
    "( about that| for (that|the interruption|the delay|the confusion))?|"
    "(my )?apologies( for (that|the interruption|the delay))?|"
    "i apologi[sz]e( for (that|the interruption|the delay|the confusion))?|"
    "as i (was saying|said|mentioned|was explaining)|(let me|to|i'll) continue|continuing|"
    "(so,? )?where (was i|were we)|picking up where (i|we) left off|going on",
    "de": "klar|gerne?|natürlich|selbstverständlich|sicher|okay|ok|hallo|guten (tag|morgen|"
    "abend)|(es tut mir|tut mir) (sehr )?leid( für die unterbrechung)?|entschuldigung|"
    "entschuldigen sie( bitte)?( die unterbrechung)?|verzeihung|wie (schon )?(gesagt|erwähnt)|"
    "wie ich (gerade |schon )?sagte|ich fahre fort|um fortzufahren|weiter geht's|wo war ich",
    "fr": "bien sûr|d'accord|certainement|absolument|très bien|bonjour|bonsoir|"
    "(je suis )?(vraiment )?désolée?( pour (cela|l'interruption))?|pardon|excusez-moi|"
    "toutes mes excuses|(veuillez m'excuser|je m'excuse)( pour l'interruption)?|"
    "comme je (le |vous le )?disais|je (continue|poursuis|reprends)|pour continuer|où en étais-je",
    "es": "claro|claro que sí|por supuesto|desde luego|de acuerdo|vale|muy bien|hola|"
    "buenos días|buenas (tardes|noches)|perdón|perdone|disculpe|lo siento|"
    "(perdone|disculpe|lo siento|perdón) (por )?la interrupción|como (le )?(decía|dije|comentaba)|"
    "continúo|para continuar|sigo|por dónde iba",
    "it": "certo|certamente|naturalmente|va bene|d'accordo|bene|salve|ciao|buongiorno|buonasera|"
    "(mi )?scusi|mi dispiace|scusate|(mi )?(scusi|dispiace) (per )?l'interruzione|"
    "come (stavo dicendo|dicevo|ho detto)|continuo|per continuare|dov'ero rimasto",
    "nl": "natuurlijk|zeker|uiteraard|prima|oké|ok|hallo|goede(morgen|middag|navond)|"
    "sorry|excuses|het spijt me|(sorry|excuses) voor (de onderbreking|het ongemak)|"
    "zoals ik (al )?(zei|vertelde)|ik ga verder|om verder te gaan|waar was ik",
    "pt": "claro|com certeza|certamente|é claro|está bem|tudo bem|olá|oi|bom dia|boa (tarde|"
    "noite)|desculpe|perdão|peço desculpa|lamento|(desculpe|peço desculpa|lamento) (pela|a) "
    "interrupção|como (eu )?(estava (dizendo|a dizer)|dizia|disse)|continuando|para continuar|"
    "onde (eu )?estava",
}
"""What models say first when they are asked to go on. No yes and no no: they may be the answer."""


@functools.cache
def opener(language: str) -> re.Pattern[str] | None:
    """Matches openers, one or more, at the start of a sentence; None: none are known."""
    known = OPENERS.get(language.partition("-")[0].lower())
    if known is None:
        return None
    # A sign must follow: "Sure, we open" has an opener, "Sure signs are" and "Right now" have none.
    sign = r"\s*(?:[,.!?:;…]+|\s[-–—])\s*"
    return re.compile(rf"^(?:(?:{known})(?:{sign}|\s*$))+", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """*text* as lower-case words without punctuation, for comparison only."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold())


class RepeatGate:
    """Says of each sentence of a rescuer what of it the caller has not heard before."""

    __slots__ = ("_grams", "_opener", "_sentences")

    def __init__(self, sentences: Sequence[str], language: str = "en") -> None:
        """*sentences*: what is committed so far; *language*: the call's."""
        said = [words_of(sentence) for sentence in sentences]
        self._sentences = {tuple(words) for words in said}
        everything = [word for words in said for word in words]
        self._grams = set(_grams(everything))
        self._opener = opener(language) if said else None

    def repeats(self, sentence: str) -> bool:
        """Whether *sentence* is, in substance, part of what is committed.

        A sentence of fewer than five words repeats only if it stands there as a sentence.
        """
        words = words_of(sentence)
        grams = _grams(words)
        if not grams:
            return tuple(words) in self._sentences
        return sum(gram in self._grams for gram in grams) / len(grams) > CONTAINED

    def new_in(self, sentence: str) -> str:
        """*sentence* without the greeting or apology of who takes over; "" if nothing is new.

        Once something was new, the rescuer speaks as itself: only repetitions are dropped.
        """
        if self._opener is not None:
            rest = self._opener.sub("", sentence, count=1).strip()
            sentence = rest[:1].upper() + rest[1:] if rest != sentence else sentence
        if not words_of(sentence) or self.repeats(sentence):
            return ""
        self._opener = None
        return sentence


def _grams(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]
