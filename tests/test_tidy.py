"""The house rules that a machine can hold, each a scan with a ratchet.

Every scan must first find an offence that is planted for it, and pass over a clean twin: a scan
that finds nothing because it is blind would look like a tidy house. What a rule lets pass stands
in `LET_PASS` with its reason; an entry that nothing needs any more is an error too, so that the
list can only shrink.
"""

import ast
import functools
import io
import os
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
FILE_LINES_MAX = 400
ADAPTER_LINES_MAX = 250
FUNCTION_LINES_MAX = 70
NOT_OURS = {".git", ".venv", ".tools", ".hypothesis", "__pycache__", "node_modules", "dist", "out"}

LET_PASS = {
    "src/trunkline/calls/worker.py: Worker.answer catches Exception": (
        "where a call ends: its bug must not end the other calls of the worker"
    ),
    "src/trunkline/telephony/leg.py: TwilioCarrier._taken catches Exception": (
        "raised again by the leg's own task: one call's bug must not stop the reading of all"
    ),
    "src/trunkline/calls/pacer.py: Pacer._tick catches Exception": (
        "where a call ends: its bug must not stop the clock of the others"
    ),
    "benchmarks/failover/subject.py: _caught catches Exception": (
        "where a peer's turn ends: whatever it raises is its result"
    ),
}

Scan = Callable[[str, str], Iterator[str]]
"""(path from the root, text) -> what is wrong, without line numbers so that a ratchet holds."""


@functools.cache
def everything() -> dict[str, str]:
    """Path from the root -> text, of every file of ours that is text."""
    found = {}
    for folder, inner, names in os.walk(ROOT):
        inner[:] = sorted(name for name in inner if name not in NOT_OURS and "_cache" not in name)
        for path in (Path(folder, name) for name in sorted(names) if name not in NOT_OURS):
            try:
                found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # audio and other bytes have no words
    return found


def files(*suffixes: str) -> dict[str, str]:
    """Of `everything`, the files with one of *suffixes*; all, if none is given."""
    return {p: t for p, t in everything().items() if not suffixes or p.endswith(suffixes)}


@functools.lru_cache(maxsize=2_000)  # a dozen scans read the same texts
def parse(text: str) -> ast.Module:
    """The tree of *text*."""
    return ast.parse(text)


def walk(text: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node of *text* with the qualified name of the function or class around it."""

    def inside(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            yield name, child
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from inside(child, f"{name}.{child.name}".lstrip("."))
            else:
                yield from inside(child, name)

    return inside(parse(text), "")


def imports(text: str) -> Iterator[str]:
    """Every absolute name that *text* imports, wherever it does."""
    for _, node in walk(text):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def long_files(path: str, text: str) -> Iterator[str]:
    """A file that nobody reads to its end."""
    adapter = re.match(r"src/trunkline/providers/(?!embedded/)\w+/", path)  # embedded: engines
    lines_max = ADAPTER_LINES_MAX if adapter else FILE_LINES_MAX
    if len(text.splitlines()) > lines_max:
        yield f"has more than {lines_max} lines"


def long_functions(_: str, text: str) -> Iterator[str]:
    """A function that does not fit on a screen."""
    for name, node in walk(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{name}.{node.name} has {lines} lines".lstrip(".")


def broad_excepts(_: str, text: str) -> Iterator[str]:
    """A handler that swallows bugs with the failures; one that ends in `raise` swallows nothing."""
    for name, node in walk(text):
        if isinstance(node, ast.ExceptHandler) and ast.unparse(node.body[-1]) != "raise":
            caught = {"everything"} if node.type is None else names(node.type)
            for kind in caught & {"Exception", "BaseException", "everything"}:
                yield f"{name or 'the module'} catches {kind}"


def names(node: ast.expr) -> set[str]:
    """Every bare name in *node*."""
    return {it.id for it in ast.walk(node) if isinstance(it, ast.Name)}


IMPURE = {"asyncio", "threading", "time", "datetime", "random", "secrets", "uuid", "os", "socket"}


def impure_core(path: str, text: str) -> Iterator[str]:
    """A clock, a lot or I/O where decisions are made."""
    if path.startswith("src/trunkline/core/"):
        for name in imports(text):
            if name.split(".")[0] in IMPURE | {"logging", "ssl", "subprocess", "aiohttp", "numpy"}:
                yield f"imports {name}"


REAL_TIME = re.compile(r"\b(time\.sleep|asyncio\.(run|Runner|new_event_loop))\b")


def real_time(path: str, text: str) -> Iterator[str]:
    """A test that waits for a real clock."""
    if path.startswith("tests/"):
        for _, node in walk(text):
            if isinstance(node, ast.Call) and (found := REAL_TIME.match(ast.unparse(node.func))):
                yield f"calls {found[1]}"
        yield from (f"imports {n}" for n in imports(text) if n == "time.sleep")


def mocks(path: str, text: str) -> Iterator[str]:
    """A mock in place of a fake."""
    if path.startswith("tests/"):
        for name in imports(text):
            if re.match(r"(unittest\.mock|mock|pytest_mock|mockito|flexmock)\b", name):
                yield f"imports {name}"


def silent_tests(path: str, text: str) -> Iterator[str]:
    """A test that does not say what it holds."""
    if path.startswith(("tests/", "trials/")):
        for _, node in walk(text):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and node.name.startswith("test_")
                and not ast.get_docstring(node)
            ):
                yield f"{node.name} has no docstring"


DIRECTIVE = re.compile(r"#\s*(ruff:\s*noqa|noqa|type:\s*ignore|mypy:|pragma:)[^#]*")


def bare_ignores(_: str, text: str) -> Iterator[str]:
    """A silenced check without its reason."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and DIRECTIVE.match(token.string):
            rest = DIRECTIVE.sub("", token.string)
            if not re.search(r"\w{3,}", rest):
                yield f"{token.string!r} gives no reason"


QUEUE = re.compile(r"\b(Simple|Priority|Lifo)?Queue(\[.*\])?$")


def unbounded_queues(path: str, text: str) -> Iterator[str]:
    """A queue that grows until the memory is gone."""
    if path.startswith("src/"):
        for name, node in walk(text):
            if (
                isinstance(node, ast.Call)
                and not (node.args or node.keywords)
                and QUEUE.search(ast.unparse(node.func))
            ):
                yield f"{name or 'the module'} makes a queue without a bound"


# Spelt so that this file does not hold what it looks for.
REGISTRIES = (
    "pypi[.]org",
    "pythonhosted[.]org",
    "npmjs[.]org",
    "[j]frog",
    "[a]rtifactory",
    "[d]evpi",
)
MACHINE = re.compile(
    r"(?<![\w.~])/(?:root|work|home/\w+|Users/\w+|opt/(?:pypi|wheels))(?:/|\b)"
    rf"|\b[\w.-]*(?:{'|'.join(REGISTRIES)})[\w.-]*"
)


def machine_words(_: str, text: str) -> Iterator[str]:
    """A place or a registry of the machine on which this was written."""
    for found in MACHINE.finditer(text):
        yield f"names {found[0]}"


@dataclass(frozen=True)
class Rule:
    """A scan, a path and text that it must find, and a twin that it must let pass."""

    scan: Scan
    path: str
    offence: str
    clean: str
    suffixes: tuple[str, ...] = (".py",)


SLASH = "/"
RULES = [
    Rule(long_files, "src/trunkline/core/x.py", "x = 1\n" * 401, "x = 1\n" * 400),
    Rule(long_files, "src/trunkline/providers/llm/x.py", "x = 1\n" * 251, "x = 1\n" * 250),
    Rule(
        long_functions,
        "src/x.py",
        "class A:\n  async def f():\n" + "    x = 1\n" * 70,
        "class A:\n  async def f():\n" + "    x = 1\n" * 69,
    ),
    Rule(
        broad_excepts,
        "src/x.py",
        "def f():\n  try: g()\n  except (ValueError, Exception): pass",
        "def f():\n  try: g()\n  except ValueError: pass",
    ),
    Rule(broad_excepts, "src/x.py", "try: f()\nexcept: pass", "try: f()\nexcept: g(); raise"),
    Rule(
        impure_core,
        "src/trunkline/core/x.py",
        "def f():\n  from time import monotonic",
        "from math import inf",
    ),
    Rule(real_time, "tests/x.py", "import time\ntime.sleep(1)", "await asyncio.sleep(1)"),
    Rule(real_time, "tests/x.py", "asyncio.run(f())", "virtual.run(f())"),
    Rule(mocks, "tests/x.py", "from unittest import mock", "from unittest import TestCase"),
    Rule(mocks, "tests/x.py", "import unittest.mock as m", "import unittest"),
    Rule(silent_tests, "tests/x.py", "def test_a(): pass", 'def test_a():\n  """Holds."""'),
    Rule(
        bare_ignores,
        "src/x.py",
        "x = 1  # type: ignore[misc]",
        "x = 1  # type: ignore[misc]  # no stubs",
    ),
    Rule(bare_ignores, "src/x.py", "x = 1  # noqa: S311", "x = '# noqa'  # noqa: S311  # a toy"),
    Rule(
        unbounded_queues,
        "src/x.py",
        "q = asyncio.Queue[int]()",
        "q = asyncio.Queue[int](maxsize=4)",
    ),
    Rule(machine_words, "a.md", f"see {SLASH}root{SLASH}x", "GET /roots/x", ()),
    Rule(machine_words, "a.txt", f"--index https:{SLASH * 2}pypi" + ".org/simple", "PyPI", ()),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.scan.__name__)
def test_a_scan_finds_what_is_planted(rule: Rule) -> None:
    """Each scan finds its planted offence and lets the clean twin pass."""
    assert list(rule.scan(rule.path, rule.offence))
    assert not list(rule.scan(rule.path, rule.clean))


def offences(scan: Scan, suffixes: tuple[str, ...]) -> list[str]:
    """What *scan* finds in the house."""
    found = files(*suffixes)
    assert len(found) > 20, "the house is not this empty: the walk is wrong"
    broken = set[str]()
    for path, text in found.items():
        try:
            broken.update(f"{path}: {what}" for what in scan(path, text))
        except SyntaxError as error:
            broken.add(f"{path}: line {error.lineno} is not Python")
    return sorted(broken)


@pytest.mark.parametrize(
    "rule", {rule.scan: rule for rule in RULES}.values(), ids=lambda rule: rule.scan.__name__
)
def test_the_house_is_tidy(rule: Rule) -> None:
    """No file breaks the rule, but for what is let pass with a reason."""
    assert [it for it in offences(rule.scan, rule.suffixes) if it not in LET_PASS] == []


def test_nothing_is_let_pass_that_need_not_be() -> None:
    """The ratchet: an exception that is mended leaves the list."""
    found = {it for rule in RULES for it in offences(rule.scan, rule.suffixes)}
    assert set(LET_PASS) - found == set()


def module_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Module -> the modules of *sources* that it imports when it is loaded (not for types only)."""
    modules = {}
    for path, text in sources.items():
        parts = PurePosixPath(path).with_suffix("").parts[1:]
        modules[".".join(parts).removesuffix(".__init__")] = text
    return {
        name: {
            target if target in modules else target.rpartition(".")[0]
            for target in loaded(parse(text).body)
            if target in modules or target.rpartition(".")[0] in modules
        }
        - {name}
        for name, text in modules.items()
    }


def loaded(body: list[ast.stmt]) -> Iterator[str]:
    """The names imported by *body* when a module is loaded: not in functions, not for types."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(ast.unparse(node))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from loaded(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from loaded(node.body + getattr(node, "orelse", []))


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle of *graph*, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_a_planted_import_cycle_is_found() -> None:
    """Two modules that import one another are a cycle, unless one does it for types only."""
    one = {"src/p/a.py": "from p import b", "src/p/b.py": "from p.a import x"}
    assert set(cycle(module_graph(one))) == {"p.a", "p.b"}
    typed = one | {"src/p/b.py": "if TYPE_CHECKING:\n  from p.a import x"}
    assert cycle(module_graph(typed)) == []


def test_no_import_cycle() -> None:
    """Modules can be loaded, read and tested one after the other."""
    graph = module_graph({p: t for p, t in files(".py").items() if p.startswith("src/")})
    assert "trunkline.errors" in graph["trunkline.testing.virtual"] | graph["trunkline.net.http"]
    assert cycle(graph) == []
