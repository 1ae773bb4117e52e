"""The recogniser's language model (ARPA trigrams) and dictionary, made from a grammar and cached.

Imports the recogniser, so it runs in the recogniser's own process. The files are kept under the
hash of what they were made from; a writer makes them aside and renames them, so that several
processes that start at once cannot see half a file.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pocketsphinx
from pocketsphinx.lm import ArpaBoLM

from trunkline.errors import InputError
from trunkline.providers.embedded.grammar import Grammar

_FORMAT = 1  # raise it when the same grammar is to give other files


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Paths of an ARPA file and of the dictionary of exactly its words."""

    arpa: Path
    dictionary: Path


def language_model(grammar: Grammar, cache: Path) -> LanguageModel:
    """The model of *grammar* under *cache*, made if it is not there (0.5 s).

    Raises `InputError` for words without a pronunciation, and for a cache that cannot be written.
    """
    bundled = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    key = hashlib.sha256(
        json.dumps(
            [
                _FORMAT,
                bundled.stat().st_size,
                grammar.sentences,
                sorted(grammar.pronunciations.items()),
            ]
        ).encode()
    ).hexdigest()[:24]
    model = LanguageModel(cache / f"{key}.arpa", cache / f"{key}.dict")
    if model.arpa.exists() and model.dictionary.exists():
        return model
    entries = "\n".join(_entries(grammar, bundled)) + "\n"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _write(model.dictionary, entries)
        _write(model.arpa, _arpa(grammar))
    except OSError as error:
        raise InputError(
            f"the language model cannot be kept in {cache}: {error.strerror}. "
            "Set the endpoint's option cache_dir to a directory that can be written"
        ) from error
    return model


def _entries(grammar: Grammar, bundled: Path) -> Iterator[str]:
    """Dictionary lines of the grammar's words: its own, else the bundled, alternatives included."""
    wanted = grammar.words() - grammar.pronunciations.keys()
    found = set()
    with bundled.open(encoding="ascii") as lines:
        for line in lines:
            word = line.partition(" ")[0].partition("(")[0]
            if word in wanted:
                found.add(word)
                yield line.rstrip()
    if missing := sorted(wanted - found):
        raise InputError(
            f"the recogniser has no pronunciation for {', '.join(missing)}. "
            "Add them under pronunciations: in the file of phrases, like toothache: T UW TH EY K"
        )
    for word, phones in sorted(grammar.pronunciations.items()):
        yield f"{word} {phones}"


def _arpa(grammar: Grammar) -> str:
    """Trigrams with a fixed discount: the text that `ArpaBoLM` writes."""
    text = "".join(f"<s> {sentence} </s>\n" for sentence in grammar.sentences)
    model = ArpaBoLM(text=text)
    model.compute()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        model.write(out)
        out.seek(0)
        return out.read()


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
    ) as part:
        part.write(text)
    os.replace(part.name, path)
