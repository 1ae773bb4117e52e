"""What callers say, as a grammar of phrases: parsed, checked, and expanded to sentences.

A recogniser of 1990s size hears a phone line well only if it knows what people are likely to say.
So a practice writes down what its callers say (YAML):

    pronunciations: {toothache: T UW TH EY K}
    slots: {day: [monday, tuesday]}
    rules: [{say: "[on] {day} (morning|afternoon)", times: 60}]

`{slot}`, `(a|b)` and `[a]` (a or nothing) nest; sides of a choice are equally likely, whatever
they hold. Each rule weighs *times* sentences in the language model, however many different ones it
has: with fewer they repeat, with more they are sampled, evenly and always alike.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, prod
from pathlib import Path
from typing import Protocol

import yaml

from trunkline.errors import ConfigError

SENTENCES_MAX = 20_000
"""Sentences that the rules may weigh together: more cost start-up time and buy no accuracy."""
_TIMES_DEFAULT = 60
_BYTES_MAX = 256 * 1024
_TEXT_MAX = 500  # characters of one rule or line; it also bounds how deep brackets nest
_GOLDEN = 0.618_033_988_75
_TOKEN = re.compile(r"[()\[\]|]|\{\w+\}|[a-z][a-z']*|\S")
_WORD = re.compile(r"[a-z][a-z']*")
_PHONES = re.compile(r"[A-Z]+( [A-Z]+)*")


@dataclass(frozen=True, slots=True)
class Grammar:
    """A checked grammar. *pronunciations*: word -> ARPAbet phones without stress marks."""

    sentences: tuple[str, ...]
    pronunciations: Mapping[str, str]

    def words(self) -> frozenset[str]:
        """Every word that a sentence holds."""
        return frozenset(word for sentence in self.sentences for word in sentence.split())


def load_grammar(path: Path) -> Grammar:
    """Read, check and expand the grammar at *path*; `ConfigError` says what to mend in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            path, None, f"cannot be read: {error.strerror}", "Name a file of phrases"
        ) from error
    return parse_grammar(data, path)


def parse_grammar(data: bytes, path: Path) -> Grammar:
    """Check and expand the YAML *data*; *path* is for messages only."""
    if len(data) > _BYTES_MAX:
        raise ConfigError(path, None, f"is larger than {_BYTES_MAX // 1024} KiB", "Write less")
    try:
        tree = yaml.safe_load(data)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise ConfigError(path, line, "is not YAML", "Quote texts with [ ] { } in them") from error
    return _Reader(path).read(tree)


class _Node(Protocol):
    """A part of a rule. *count*: how many indices give something of their own."""

    @property
    def count(self) -> int: ...

    def nth(self, index: int, /) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class _Words:
    words: tuple[str, ...]
    count: int = 1

    def nth(self, _index: int, /) -> tuple[str, ...]:
        return self.words


class _Choice:
    def __init__(self, options: Sequence[_Node]) -> None:
        self._options = options
        self.count = len(options) * max(option.count for option in options)

    def nth(self, index: int, /) -> tuple[str, ...]:
        # The options take turns: "today" must not drown among a hundred forms of "monday at nine".
        turn, which = divmod(index, len(self._options))
        option = self._options[which]
        return option.nth(turn % option.count)


class _Sequence:
    def __init__(self, parts: Sequence[_Node]) -> None:
        self._parts = parts
        self.count = prod(part.count for part in parts)

    def nth(self, index: int, /) -> tuple[str, ...]:
        words: list[str] = []
        for part in self._parts:
            index, digit = divmod(index, part.count)
            words += part.nth(digit)
        return tuple(words)


def _sample(node: _Node, times: int) -> Iterator[str]:
    """*times* sentences of *node*, spread over all it has.

    Steps of the golden ratio of the range, made coprime to it: any run of them is spread evenly
    over every digit of the mixed-radix index, and all are met before one returns.
    """
    step = max(1, round(node.count * _GOLDEN))
    while gcd(step, node.count) != 1:
        step += 1
    for turn in range(times):
        yield " ".join(node.nth(turn * step % node.count))


class _Reader:
    """Reads the YAML tree; knows the file for its messages."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slots: Mapping[object, object] = {}
        self._parsed: dict[str, _Node] = {}
        self._open: list[str] = []  # slots that are being read, to find one that holds itself
        self._weight = 0

    def read(self, tree: object) -> Grammar:
        top = self._mapping(tree, "the file", {"rules", "slots", "pronunciations"})
        self._slots = self._mapping(top.get("slots") or {}, "slots", None)
        rules = top.get("rules")
        if not isinstance(rules, list) or not rules:
            raise self._wrong("has no rules", 'Write rules: [{say: "yes please"}]')
        sentences = tuple(sentence for rule in rules for sentence in self._rule(rule))
        if unused := sorted(map(str, self._slots.keys() - self._parsed.keys())):
            raise self._wrong(f"no rule uses the slots {', '.join(unused)}", "Use or delete them")
        return Grammar(sentences, self._pronunciations(top.get("pronunciations") or {}))

    def _rule(self, rule: object) -> Iterator[str]:
        fields = self._mapping(rule, "a rule", {"say", "times"})
        say, times = fields.get("say"), fields.get("times", _TIMES_DEFAULT)
        if not isinstance(say, str):
            raise self._wrong(f"rule {rule!r} says no text", 'Write say: "..." (quoted)')
        if type(times) is not int or not 1 <= times <= SENTENCES_MAX:
            raise self._wrong(
                f"rule {say!r} has times: {times!r}", f"Use a number from 1 to {SENTENCES_MAX}"
            )
        self._weight += times
        if self._weight > SENTENCES_MAX:
            raise self._wrong(
                f"its rules weigh more than {SENTENCES_MAX} sentences", "Lower some times:"
            )
        return (text for text in _sample(self._parse(say), times) if text)

    def _slot(self, name: str) -> _Node:
        if name in self._open:
            circle = " > ".join([*self._open[self._open.index(name) :], name])
            raise self._wrong(f"slot {{{name}}} contains itself: {circle}", "Break the circle")
        if name not in self._parsed:
            self._open.append(name)
            self._parsed[name] = self._lines(name)
            self._open.pop()
        return self._parsed[name]

    def _lines(self, name: str) -> _Node:
        lines = self._slots.get(name)
        if lines is None:
            raise self._wrong(f"there is no slot {{{name}}}", f"Add slots: {name}: [...]")
        if not isinstance(lines, list) or not lines:
            raise self._wrong(f"slot {{{name}}} is not a list of texts", "Write [monday, tuesday]")
        options: list[_Node] = []
        for line in lines:
            if not isinstance(line, str):
                raise self._wrong(f"slot {{{name}}} holds {line!r}, not a text", "Quote it")
            options.append(self._parse(line))
        return _Choice(options)

    def _parse(self, text: str) -> _Node:
        if len(text) > _TEXT_MAX:
            raise self._wrong(f"{text[:40]!r}... is over {_TEXT_MAX} characters", "Split it up")
        tokens = _TOKEN.findall(text)
        node, rest = self._choice(tokens, 0, text)
        if rest != len(tokens):
            raise self._wrong(f"{text!r} closes a bracket that was not opened", "Remove it")
        return node

    def _choice(self, tokens: Sequence[str], at: int, text: str) -> tuple[_Node, int]:
        """Parse `a|b|...` from token *at* up to a closing bracket or the end."""
        options: list[_Node] = []
        parts: list[_Node] = []
        while at < len(tokens) and tokens[at] not in ")]":
            part = tokens[at]
            at += 1
            if part == "|":
                options.append(_Sequence(parts))
                parts = []
            elif part in "([":
                inner, at = self._choice(tokens, at, text)
                if at == len(tokens) or tokens[at] != {"(": ")", "[": "]"}[part]:
                    raise self._wrong(f"{text!r} does not close a {part}", "Close it")
                at += 1
                parts.append(inner if part == "(" else _Choice((inner, _Words(()))))
            elif part.startswith("{") and len(part) > 1:
                parts.append(self._slot(part[1:-1]))
            elif _WORD.fullmatch(part):
                parts.append(_Words((part,)))
            else:
                raise self._wrong(
                    f"{text!r} holds {part!r}", "Write words as said, in lower case: nine thirty"
                )
        options.append(_Sequence(parts))
        return (options[0] if len(options) == 1 else _Choice(options)), at

    def _pronunciations(self, tree: object) -> Mapping[str, str]:
        table = self._mapping(tree, "pronunciations", None)
        for word, phones in table.items():
            if not isinstance(phones, str) or not _PHONES.fullmatch(phones):
                raise self._wrong(
                    f"the pronunciation of {word!r} is {phones!r}", "Write it like T UW TH EY K"
                )
        return {str(word): str(phones) for word, phones in table.items()}

    def _mapping(self, tree: object, what: str, known: set[str] | None) -> Mapping[object, object]:
        if not isinstance(tree, dict):
            raise self._wrong(f"{what} is not a mapping", "Write key: value")
        if known is not None and (unknown := tree.keys() - known):
            raise self._wrong(
                f"{what} has unknown keys {sorted(map(str, unknown))}", f"Use {sorted(known)}"
            )
        return tree

    def _wrong(self, what: str, mend: str) -> ConfigError:
        return ConfigError(self._path, None, what, mend)
