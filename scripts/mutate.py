"""Breaks the machines of the core one small thing at a time: do their tests notice?

    python scripts/mutate.py                               # every module of scripts/mutants.yaml
    python scripts/mutate.py core/attempts core/playout
    python scripts/mutate.py core/splice --only 'in_list'  # mutants whose name has this in it

For each mutant a process is forked in which the module is the broken one, and the module's tests
run until one fails. What survives is printed. The exit status is 1 if less than the goal was
killed, or if the data file calls a mutant equivalent that is none any more.

What is broken: operators, comparisons (the boundary and the sense), conditions (negated), numbers,
truth values, texts inside functions, min and max, any and all, statements (left out). Texts and
tables at the top of a module are data, and defaults of a policy's fields are settings: which value
is good is for the simulation to say. They are left alone, as are annotations, patterns, `__slots__`
and decorators.

Ours, because mutmut (3.8.1, November 2026) breaks neither properties nor anything outside of
functions, and cosmic-ray (8.7.0) changes the files of the checkout while it runs.
"""

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import hypothesis
import hypothesis.stateful  # here, so that no child has to import it
import pytest
import yaml
from typing_extensions import override

ROOT = Path(__file__).parent.parent
DATA = ROOT / "scripts" / "mutants.yaml"
MEMORY_BYTES = 4 << 30
"""A broken loop may collect for ever."""
PATIENCE = 6.0
"""A mutant is killed, too, if its tests take so many times as long as without it, and 5 s."""
_SWAPS: Mapping[type[ast.AST], Sequence[Any]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitOr: [ast.BitAnd],
    ast.BitAnd: [ast.BitOr],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_ALONE = {"annotation", "returns", "decorator_list", "pattern", "bases", "target", "targets"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """*new* in the place *field* (and *index*, if it is a list) of *holder*; *name* has no line
    number, so that it stays the same while the code around it changes."""

    name: str
    line: int
    holder: ast.AST
    field: str
    index: int | None
    new: ast.AST

    def break_it(self) -> None:
        """Put *new* into the tree."""
        if self.index is None:
            setattr(self.holder, self.field, self.new)
        else:
            getattr(self.holder, self.field)[self.index] = self.new


def mutants(tree: ast.Module) -> list[Mutant]:
    """All mutants of *tree*, in the order of its lines; of two that read alike, the second has a
    number."""
    times = Counter[str]()
    named = []
    for it in _walk(tree, (), inside=False):
        times[it.name] += 1
        number = f" #{times[it.name]}" if times[it.name] > 1 else ""
        named.append(replace(it, name=it.name + number))
    return named


def _walk(node: ast.AST, scope: tuple[str, ...], *, inside: bool) -> Iterator[Mutant]:
    """*scope*: the names of the classes and functions around *node*; *inside*: of a function."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        scope = (*scope, node.name)
        inside = isinstance(node, ast.FunctionDef)
    for field, value in ast.iter_fields(node):
        if field in _ALONE:
            continue
        places: list[tuple[int | None, object]] = [(None, value)]
        if isinstance(value, list):
            places = list(enumerate(value))
        for index, child in places:
            if not isinstance(child, ast.AST) or _left_alone(node, child, inside=inside):
                continue
            for new in _variants(field, child, inside=inside):
                what = f"{ast.unparse(child)} -> {ast.unparse(new)}"
                name = f"{'.'.join(scope) or 'module'}: {what}"
                yield Mutant(name, getattr(child, "lineno", 0), node, field, index, new)
            yield from _walk(child, scope, inside=inside)


def _left_alone(node: ast.AST, child: ast.AST, *, inside: bool) -> bool:
    """Docstrings, what only tells the type checker something, and the settings of a class."""
    match child:
        case ast.Expr(ast.Constant()) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(ast.Call(ast.Name("assert_never"))):
            return True
        case ast.Assign() | ast.AnnAssign():
            return isinstance(node, ast.ClassDef)
        case ast.Constant(str()):
            return not inside
        case _:
            return False


def _variants(field: str, child: ast.AST, *, inside: bool) -> Iterator[ast.AST]:
    """What may stand in the place of *child*, which is *field* of its parent."""
    yield from _operators(child)
    yield from _operands(child)
    if inside:
        yield from _statements(child)
    turned = isinstance(child, ast.Compare) and len(child.ops) == 1
    turned |= isinstance(child, ast.UnaryOp) and isinstance(child.op, ast.Not)
    if field in {"test", "guard", "ifs"} and isinstance(child, ast.expr) and not turned:
        yield ast.UnaryOp(ast.Not(), child)


def _operators(child: ast.AST) -> Iterator[ast.AST]:
    match child:
        case ast.Compare(left, ops, rest):
            for at, op in enumerate(ops):
                for other in _SWAPS[type(op)]:
                    yield ast.Compare(left, [*ops[:at], other(), *ops[at + 1 :]], rest)
        case ast.BinOp(left, op, right):
            for other in _SWAPS[type(op)]:
                yield ast.BinOp(left, other(), right)
        case ast.BoolOp(op, values):
            for other in _SWAPS[type(op)]:
                yield ast.BoolOp(other(), values)
        case _:
            pass


def _operands(child: ast.AST) -> Iterator[ast.AST]:
    match child:
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(value):
            for other in _others(value):
                yield ast.Constant(other)
        case ast.Call(ast.Name(name), args, keywords) if name in _CALLS:
            yield ast.Call(ast.Name(_CALLS[name]), args, keywords)
        case _:
            pass


def _statements(child: ast.AST) -> Iterator[ast.AST]:
    match child:
        case ast.AugAssign(target, op, value):
            for other in _SWAPS[type(op)]:
                yield ast.AugAssign(target, other(), value)
            yield ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript(), *_]) | ast.Expr():
            yield ast.Pass()  # without a name of its own a function would not run at all
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case _:
            pass


def _others(value: object) -> Iterator[bool | float | str]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str):
        yield f"{value}~" if value else "~"


# -- running -----------------------------------------------------------------------------------


class _Broken(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports *code* in the place of the module *name*."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self._code.co_filename)

    @override
    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102  # our own module, with one thing changed


@dataclass(frozen=True, slots=True)
class Subject:
    """A module, by its path under src/trunkline, its tests, and what cannot be told from it."""

    module: str
    tests: tuple[str, ...]
    goal: float
    equivalent: Mapping[str, str]

    @property
    def path(self) -> Path:
        """Its file."""
        return ROOT / "src" / "trunkline" / f"{self.module}.py"

    def survives(self, tree: ast.Module, mutant: Mutant | None, limit_s: float) -> bool:
        """Whether the tests pass with *mutant* in place, in a process of its own."""
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            if mutant is not None:
                mutant.break_it()
            os._exit(self._child(ast.fix_missing_locations(tree), limit_s))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def _child(self, tree: ast.Module, limit_s: float) -> int:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        signal.setitimer(signal.ITIMER_REAL, limit_s)  # its default is the end of the process
        try:
            code = compile(tree, str(self.path), "exec")
        except (SyntaxError, ValueError):
            return 1
        name = f"trunkline.{self.module.replace('/', '.')}"
        sys.meta_path.insert(0, _Broken(name, code))
        hypothesis.settings.register_profile(
            "mutants",
            deadline=None,
            derandomize=True,
            database=None,
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],  # nobody reads examples
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
        here_already = "ignore::pytest.PytestAssertRewriteWarning"  # Hypothesis is, see above
        return int(pytest.main([*options, "-W", here_already, *self.tests]))


@dataclass(frozen=True, slots=True)
class Found:
    """What came out for one module; mutants by name."""

    subject: Subject
    killed: int
    survived: Sequence[Mutant]
    stale: Sequence[str]

    @property
    def rate(self) -> float:
        """The share killed of those that can be told from the module."""
        return self.killed / max(self.killed + len(self.survived), 1)

    @property
    def good(self) -> bool:
        """Whether the goal was reached and the data file is true."""
        return self.rate >= self.subject.goal and not self.stale

    def told(self) -> str:
        """The result, and the survivors by line."""
        total, subject = self.killed + len(self.survived), self.subject
        lines = [
            f"{subject.module}: {self.killed} of {total} mutants killed, {100 * self.rate:.1f} % "
            f"(goal {100 * subject.goal:.0f} %)"
        ]
        lines += [f"  survived, line {it.line}, {it.name}" for it in self.survived]
        lines += [f"  called equivalent, but killed or gone: {name}" for name in self.stale]
        return "\n".join(lines)


def examine(subject: Subject, only: str) -> Found:
    """Try all mutants of *subject* whose name holds *only*."""
    tree = ast.parse(subject.path.read_text(encoding="utf-8"))
    began = time.perf_counter()
    if not subject.survives(tree, None, 600.0):
        raise SystemExit(f"{subject.module}: its tests fail without any mutant: {subject.tests}")
    limit_s = PATIENCE * (time.perf_counter() - began) + 5.0
    todo = [it for it in mutants(tree) if only in it.name]
    killed, survived, alive = 0, [], set[str]()
    for done, mutant in enumerate(todo, 1):
        if not subject.survives(tree, mutant, limit_s):
            killed += 1
        elif mutant.name in subject.equivalent:
            alive.add(mutant.name)
        else:
            survived.append(mutant)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{subject.module}: {done} of {len(todo)}, {len(survived)} alive ")
    stale = [it for it in subject.equivalent if it not in alive and only in it]
    return Found(subject, killed, survived, stale)


def subjects(path: Path = DATA) -> dict[str, Subject]:
    """What is to be examined, by module."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        module: Subject(module, tuple(it["tests"]), data["goal"], it.get("equivalent") or {})
        for module, it in data["modules"].items()
    }


def main() -> int:
    """Examine them one after the other."""
    known = subjects()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="*", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--only", default="", help="mutants whose name has this in it")
    options = parser.parse_args()
    unknown = set(options.module) - set(known)
    if unknown:
        parser.error(f"no tests are known of {', '.join(sorted(unknown))}; add them to {DATA}")
    os.chdir(ROOT)
    good = True
    for module in options.module or known:
        found = examine(known[module], options.only)
        sys.stdout.write(f"{found.told()}\n")
        good &= found.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
