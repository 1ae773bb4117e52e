"""YAML text -> plain data and the line of everything in it.

A small, safe subset of YAML 1.2, because a phone system's configuration should hold no surprises:

* Only `null`, `true`, `false` and decimal numbers are special; `no`, `on`, `12:30` are text.
* No tags, anchors or aliases; no duplicate or non-text keys; one document; bounded size and depth.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from trunkline.errors import ConfigError

Loc = tuple[str | int, ...]
"""Where something stands: the keys and list positions that lead to it."""
Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool | None"

TEXT_CHARS_MAX = 1_000_000
DEPTH_MAX = (
    16  # the deepest useful file has 6; the composer recurses, so this also guards the stack
)

_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration came from: its *path* and the 1-based line of every key and value."""

    path: str
    lines: Mapping[Loc, int]

    def error(self, loc: Loc, what: str, mend: str) -> ConfigError:
        """A `ConfigError` at *loc*, or at its nearest parent that stands in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return ConfigError(self.path, self.lines.get(loc), what, mend)


def dotted(loc: Loc) -> str:
    """*loc* as a person writes it: `agents.receptionist.routes.llm[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".") or "the file"


def read(text: str, path: str) -> tuple[Tree, Source, list[ConfigError]]:
    """Read *text*: its data, its lines, and the duplicate or odd keys found (all of them).

    Text that is not YAML, or uses more of YAML than we take, raises `ConfigError` at once.
    """
    if len(text) > TEXT_CHARS_MAX:
        what = f"the file has {len(text)} characters, more than {TEXT_CHARS_MAX}"
        raise ConfigError(path, None, what, "Is this the right file?")
    try:
        _refuse_what_we_do_not_take(text, path)
        node = yaml.compose(text, Loader=yaml.BaseLoader)  # scalars stay text: `_plain` reads them
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        what = f"this is not YAML: {error.problem or error.context}"
        raise ConfigError(
            path, line, what, "Check indentation, quotes and brackets here"
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"character #x{error.character:04x} is not allowed in YAML"
        raise ConfigError(path, line, what, "Save the file as plain UTF-8 text") from error
    reader = _Reader(path)
    data = None if node is None else reader.data(node, ())
    return data, Source(path, reader.lines), reader.errors


def _refuse_what_we_do_not_take(text: str, path: str) -> None:
    """Look at the parser's events, which come without recursion, before anything is composed."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            what = "anchors and aliases (& and *) are not used in this file"
            raise ConfigError(path, line, what, "Write the value out, or quote the text")
        if (tag := getattr(event, "tag", None)) is not None:
            what = f"YAML tags ({tag}) are not used in this file"
            raise ConfigError(path, line, what, "Delete the tag, or quote the text")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            what = f"nested more than {DEPTH_MAX} deep"
            raise ConfigError(path, line, what, "Close the brackets or mend the indentation")


class _Reader:
    """Walks composed nodes into data and notes lines; depth is bounded by the loader."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.lines: dict[Loc, int] = {(): 1}
        self.errors: list[ConfigError] = []

    def data(self, node: yaml.Node, loc: Loc) -> Tree:
        """The data of *node*, which stands at *loc*."""
        if isinstance(node, yaml.ScalarNode):
            self.lines[loc] = _line(node)
            return _plain(node.value) if node.style is None else str(node.value)
        self.lines.setdefault(loc, _line(node))  # a collection stands where its key does
        if isinstance(node, yaml.SequenceNode):
            return [self.data(item, (*loc, i)) for i, item in enumerate(node.value)]
        return self._mapping(node, loc)

    def _mapping(self, node: yaml.Node, loc: Loc) -> dict[str, Tree]:
        found: dict[str, Tree] = {}
        for key, value in node.value:
            plain = None
            if isinstance(key, yaml.ScalarNode):
                plain = _plain(key.value) if key.style is None else key.value
            if not isinstance(plain, str):
                what = f"{dotted(loc)}: a key is text, and this is not"
                self._refuse(key, what, "Write a name, in quotes if it looks like a number")
            elif plain in found:
                first = self.lines[*loc, plain]
                what = f"{plain!r} stands twice in {dotted(loc)}; the first is in line {first}"
                self._refuse(key, what, "Delete one of them, or rename it")
            else:
                self.lines[*loc, plain] = _line(key)
                found[plain] = self.data(value, (*loc, plain))
        return found

    def _refuse(self, key: yaml.Node, what: str, mend: str) -> None:
        self.errors.append(ConfigError(self._path, _line(key), what, mend))


def _line(found: yaml.Node | yaml.Event) -> int:
    mark = found.start_mark
    return 1 if mark is None else mark.line + 1


def _plain(text: str) -> Tree:
    """What an unquoted scalar means (YAML 1.2 core schema without octal, hex, `.inf`, `.nan`)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
