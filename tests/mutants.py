"""Mutation tests of the inside: a small fault is put into a copy of the package, and some test has to notice it.

    python -m tests.mutants --sample 12

First the tests run once on a copy whose statements say that they were reached; then, for each mutant, those tests only
that reach its statement, with ``-x``. ``--hits FILE`` keeps what they reach, for a later call on the same package.
A mutant may survive because it is equivalent, or is a speed-up only: what survives has to be looked at by hand.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.reached import FILES, PACKAGE, ROOT, run, what_tests_reach

SECONDS = 240  # a mutant that takes longer counts as killed
PAIRS: Any = [(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)]
PAIRS += [(ast.And, ast.Or), (ast.Add, ast.Sub)]
OPPOSITE = dict(PAIRS) | {b: a for a, b in PAIRS}
SKIPPED = ("annotation", "returns", "decorator_list", "type_params")
MESSAGES = ("refusal", "info", "warn", "rank_zero_info")


class Mutant(NamedTuple):
    line: int
    told: str
    statement: int | None  # the line of the statement that a test has to reach; None: it runs when it is imported
    apply: Callable[[], None]


def short(node: ast.AST) -> str:
    return re.sub(r"\s+", " ", ast.unparse(node))[:90]


def mutants(node: Any, statement: int | None = None, function: Any = None) -> Iterator[Mutant]:
    """Those of all that a node holds."""
    for field, value in ast.iter_fields(node) if getattr(getattr(node, "func", 0), "id", 0) not in MESSAGES else ():
        children: Any = value if isinstance(value, list) else [value]
        for place, child in enumerate(children):
            if field in SKIPPED or not hasattr(child, "_fields") or isinstance(child, (ast.JoinedStr, ast.Raise)):
                continue
            within = child.lineno if isinstance(child, ast.stmt) and function is not None else statement
            if can_go(child, function):
                go = partial(children.__setitem__, place, ast.Pass())
                yield Mutant(child.lineno, f"without `{short(child)}`", within, go)
            for name, new, told in changes(child, function):
                yield Mutant(child.lineno, f"`{short(child)}`: {told}", within, partial(setattr, child, name, new))
            yield from mutants(child, within, child if isinstance(child, ast.FunctionDef) else function)


def can_go(node: ast.AST, function: Any) -> bool:
    if isinstance(node, ast.Assign) and getattr(function, "name", "") != "__init__":
        return all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
    return isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))


def may_return_none(function: Any) -> bool:
    return getattr(function, "returns", None) is not None and "None" in ast.unparse(function.returns)


def changes(node: Any, function: Any) -> Iterator[tuple[str, Any, str]]:
    """An attribute of the node, its new value, and what to tell."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPPOSITE:
        opposite = OPPOSITE[type(node.ops[0])]
        yield "ops", [opposite(), *node.ops[1:]], opposite.__name__
    elif isinstance(node, (ast.BoolOp, ast.BinOp, ast.AugAssign)) and type(node.op) in OPPOSITE:
        yield "op", OPPOSITE[type(node.op)](), OPPOSITE[type(node.op)].__name__
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield "test", ast.UnaryOp(ast.Not(), node.test), f"not ({short(node.test)})"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        new = not node.value if isinstance(node.value, bool) else node.value + 1
        yield "value", new, str(new)
    elif isinstance(node, ast.Return) and may_return_none(function) and short(node) not in ("return", "return None"):
        yield "value", ast.Constant(None), "None"


def verdict(folder: Path, tests: list[str]) -> str:
    try:
        status, said = run(folder, *tests, seconds=SECONDS) if tests else (0, "")
    except subprocess.TimeoutExpired:
        return "killed by the time"
    killer = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", said, re.MULTILINE)
    return f"killed by {killer[1] if killer else status}" if status else f"survived {len(tests)} tests"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=5, help="mutants of each file")
    parser.add_argument("--files", nargs="+", default=FILES, choices=FILES, metavar="FILE", help=", ".join(FILES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hits", type=Path)
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in (PACKAGE.name, "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        kept: Path = given.hits or folder / "hits"
        if not kept.exists():
            what_tests_reach(folder, kept)
        hits = dict(json.loads(line) for line in kept.read_text().splitlines())
        for name in given.files:
            text, path = (PACKAGE / name).read_text(), folder / PACKAGE.name / name
            count = len(list(mutants(ast.parse(text))))
            for number in sorted(random.Random(f"{given.seed} {name}").sample(range(count), min(given.sample, count))):
                tree = ast.parse(text)
                mutant = list(mutants(tree))[number]
                mutant.apply()
                path.write_text(ast.unparse(ast.fix_missing_locations(tree)))
                reach = [name, mutant.statement]
                said = verdict(folder, [test for test, lines in hits.items() if not mutant.statement or reach in lines])
                results.append(said.startswith("killed"))
                print(f"{PACKAGE.name}/{name}:{mutant.line}: {mutant.told}: {said}", flush=True)
            path.write_text(text)
    print(f"{sum(results)} of {len(results)} killed")


if __name__ == "__main__":
    main()
