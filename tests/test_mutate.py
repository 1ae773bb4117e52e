"""What breaks the core, one thing at a time, breaks what it says and leaves the rest alone."""

import ast
from collections.abc import Mapping

import pytest
from scripts.mutate import DATA, ROOT, mutants, subjects


def broken(source: str) -> Mapping[str, str]:
    """What becomes of *source*, by the name of the mutant."""
    found = {}
    for number, mutant in enumerate(mutants(ast.parse(source))):
        tree = ast.parse(source)
        again = mutants(tree)[number]
        again.break_it()
        found[mutant.name] = ast.unparse(ast.fix_missing_locations(tree))
    return found


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("return a < b", {"return a <= b", "return a >= b"}),
        ("return a is b", {"return a is not b"}),
        ("return min(a, b)", {"return max(a, b)"}),
        ("return a - b * a", {"return a + b * a", "return a - b / a"}),
        ("return not a", {"return a"}),
        ("return 'x' if a else b", {"return 'x~' if a else b", "return 'x' if not a else b"}),
        ("a.b = 1", {"pass", "a.b = 2"}),
        ("a += b", {"a -= b", "pass"}),
        ("if a and b:\n        f()", {"or", "not (a and b)", "pass"}),
        ("c: int = 0", {"c: int = 1"}),
        ("c = a", set[str]()),  # without a name nothing would run
    ],
)
def test_what_is_broken(line: str, becomes: set[str]) -> None:
    """Each in a program of its own; nothing else changes."""
    programs = broken(f"def g(a, b):\n    {line}")
    assert len(programs) == len(becomes)
    for program in programs.values():
        assert sum(part in program for part in becomes) >= 1
        ast.parse(program)


def test_what_is_left_alone() -> None:
    """Docstrings, settings, tables of text, types, patterns; a number at the top is not."""
    source = """
'''Says what it is.'''
LIMIT = 5
TABLE = {"en": "Go on."}
class Policy:
    wait_s: float = 1.0
    def ask(self, it: "int") -> "str":
        '''Says what it does.'''
        match it:
            case 1:
                assert_never(it)
"""
    assert list(broken(source)) == ["module: 5 -> 6"]


def test_of_two_that_read_alike_the_second_has_a_number() -> None:
    """Its name is what the data file calls it by."""
    assert list(broken("A = 1\nB = 1")) == ["module: 1 -> 2", "module: 1 -> 2 #2"]


def test_what_is_to_be_examined_is_there() -> None:
    """Every module and every test that the data file names; every mutant it calls equivalent."""
    found = subjects(DATA)
    assert {"core/attempts", "core/playout", "core/splice"} <= set(found)
    for subject in found.values():
        assert subject.goal >= 0.9
        assert all((ROOT / test).is_file() for test in subject.tests)
        names = {it.name for it in mutants(ast.parse(subject.path.read_text(encoding="utf-8")))}
        assert set(subject.equivalent) <= names
