"""Mutation tests of the inside: a small fault is put into a copy of the package, and some test has to notice it.

    python -m tests.mutants --sample 12

First the tests run once on a copy whose statements say that they were reached; then, for each mutant, those tests only
that reach its statement, with ``-x``. ``--hits FILE`` keeps what they reach, for a later call on the same package.
A mutant may survive because it is equivalent, or is a speed-up only: what survives has to be looked at by hand.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "lightning_lrsched"
FILES = [f"fit/{path.name}" for path in sorted((ROOT / PACKAGE / "fit").glob("[!_]*.py"))]
FILES += ["formula/timeline.py", "measure.py", "placed.py"]
NAMES = """changed_pace memory whose_value resume reactive groups logging manual other_writers robust refusals odd_runs
composition precision plateau cooldown spike restore_best preview_fit dashboard schedules"""
TESTS = [f"tests/test_{name}.py" for name in NAMES.split()]  # the likeliest killers first
OF_RESUME = "step and 3"
SECONDS = 240  # a mutant that takes longer counts as killed
OPPOSITES: list[tuple[Any, Any]] = [
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.And, ast.Or),
    (ast.Add, ast.Sub),
]
SWAPPED: dict[Any, Any] = dict(OPPOSITES) | {b: a for a, b in OPPOSITES}
MESSAGES = ("refusal", "rank_zero_info", "rank_zero_warn")
NOT_ENTERED = ("annotation", "returns", "decorator_list", "type_params")
Hits = dict[str, list[list[Any]]]  # by test: file and line


class Mutant(NamedTuple):
    line: int
    told: str
    statement: int | None  # the line of the statement that a test has to reach; None: it runs when it is imported
    apply: Callable[[], None]


def short(node: ast.AST) -> str:
    return re.sub(r"\s+", " ", ast.unparse(node))[:90]


def mutants(node: Any, statement: int | None = None, function: Any = None) -> Iterator[Mutant]:
    """Those of a node, and of all that it holds."""
    for field, value in ast.iter_fields(node):
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if field in NOT_ENTERED or not isinstance(child, ast.AST) or isinstance(child, (ast.JoinedStr, ast.Raise)):
                continue
            within = child.lineno if isinstance(child, ast.stmt) and function is not None else statement
            if isinstance(child, ast.stmt) and isinstance(value, list) and _can_go(child, function):
                apply = lambda v=value, i=place: v.__setitem__(i, ast.Pass())  # noqa: E731
                yield Mutant(child.lineno, f"without `{short(child)}`", within, apply)
            yield from _of_node(child, within, function)
            if not (isinstance(child, ast.Call) and getattr(child.func, "id", "") in MESSAGES):
                yield from mutants(child, within, child if isinstance(child, ast.FunctionDef) else function)


def _can_go(statement: ast.stmt, function: Any) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Call)
    beginning = function is not None and function.name == "__init__"
    if isinstance(statement, ast.Assign) and not beginning:
        return all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in statement.targets)
    return isinstance(statement, ast.AugAssign)


def _of_node(node: Any, statement: int | None, function: Any) -> Iterator[Mutant]:
    def change(name: str, value: Any, told: str) -> Mutant:
        return Mutant(node.lineno, f"`{short(node)}`: {told}", statement, lambda: setattr(node, name, value))

    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        opposite = SWAPPED[type(node.ops[0])]
        yield change("ops", [opposite(), *node.ops[1:]], opposite.__name__)
    if isinstance(node, (ast.BoolOp, ast.BinOp, ast.AugAssign)) and type(node.op) in SWAPPED:
        opposite = SWAPPED[type(node.op)]
        yield change("op", opposite(), opposite.__name__)
    if isinstance(node, (ast.If, ast.IfExp)):
        yield change("test", ast.UnaryOp(ast.Not(), node.test), f"not ({short(node.test)})")
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield change("value", not node.value, str(not node.value))
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield change("value", node.value + 1, str(node.value + 1))
    may_be_none = function is not None and function.returns is not None and "None" in ast.unparse(function.returns)
    if isinstance(node, ast.Return) and node.value is not None and may_be_none and short(node.value) != "None":
        yield change("value", ast.Constant(None), "None")


def say_what_is_reached(node: ast.AST, name: str, function: bool = False) -> None:
    """Put a note before every statement in a function."""
    for field, value in ast.iter_fields(node):
        for child in list(value) if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                say_what_is_reached(child, name, isinstance(child, ast.FunctionDef) or function)
        held = isinstance(value, list) and field in ("body", "orelse", "finalbody")
        if held and function and not isinstance(node, ast.ClassDef):
            value[:] = [one for s in value for one in (ast.parse(f"HITS.add(({name!r}, {s.lineno}))").body[0], s)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """This module is the plugin of the first run."""
    hits: set[Any] = builtins.HITS  # type: ignore[attr-defined]
    hits.clear()
    result = yield
    with open(os.environ["MUTANTS_HITS"], "a") as file:
        file.write(json.dumps([item.nodeid, sorted(hits)]) + "\n")
    return result


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest in the copy; ``python -m`` puts the folder in which it runs first."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    paths = {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    env = os.environ | paths | {"OMP_NUM_THREADS": "1"} | environment
    limit = None if environment else SECONDS
    return subprocess.run(command, cwd=folder, env=env, timeout=limit, capture_output=True, text=True, check=False)


def what_tests_reach(folder: Path, hits: Path) -> Hits:
    """In the order in which they ran; the notes need ``HITS`` in every process."""
    (folder / "sitecustomize.py").write_text("import builtins\nbuiltins.HITS = set()\n")
    for name in FILES:
        tree = ast.parse((ROOT / PACKAGE / name).read_text())
        say_what_is_reached(tree, name)
        (folder / PACKAGE / name).write_text(ast.unparse(ast.fix_missing_locations(tree)))
    done = run(folder, "-p", "mutants", "-k", f"not test_resume.py or ({OF_RESUME})", *TESTS, MUTANTS_HITS=str(hits))
    if done.returncode:
        raise SystemExit(f"the tests are red without a mutant:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return dict(json.loads(line) for line in hits.read_text().splitlines())


def verdict(folder: Path, tests: list[str]) -> str:
    if not tests:
        return "survived, no test reaches it"
    try:
        done = run(folder, *tests)
    except subprocess.TimeoutExpired:
        return "killed by the time"
    killer = re.search(r"^(?:FAILED|ERROR) (.*)", done.stdout, re.MULTILINE)
    why = killer[1].partition(" - ")[0] if killer else f"exit status {done.returncode}"
    return f"killed by {why}" if done.returncode else f"survived {len(tests)} tests"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=5, help="mutants of each file")
    parser.add_argument("--files", nargs="+", default=FILES, choices=FILES, metavar="FILE", help=", ".join(FILES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hits", type=Path, help="where to keep what the tests reach")
    given = parser.parse_args()
    killed = total = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in (PACKAGE, "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        kept = given.hits is not None and given.hits.exists()
        hits: Hits = dict(map(json.loads, given.hits.read_text().splitlines())) if kept else {}
        hits = hits or what_tests_reach(folder, given.hits or folder / "hits")
        for name in FILES:
            shutil.copy(ROOT / PACKAGE / name, folder / PACKAGE / name)
        for name in given.files:
            text, path = (ROOT / PACKAGE / name).read_text(), folder / PACKAGE / name
            count = len(list(mutants(ast.parse(text))))
            for number in sorted(random.Random(f"{given.seed} {name}").sample(range(count), min(given.sample, count))):
                tree = ast.parse(text)
                mutant = list(mutants(tree))[number]
                mutant.apply()
                path.write_text(ast.unparse(ast.fix_missing_locations(tree)))
                reach = [name, mutant.statement]
                said = verdict(folder, [test for test, lines in hits.items() if not mutant.statement or reach in lines])
                killed, total = killed + said.startswith("killed"), total + 1
                print(f"{PACKAGE}/{name}:{mutant.line}: {mutant.told}: {said}", flush=True)
            path.write_text(text)
    print(f"{killed} of {total} killed")


if __name__ == "__main__":
    main()
