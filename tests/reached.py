"""Which tests reach which statements of the inside: they run once on a copy whose statements say so."""

from __future__ import annotations

import ast
import builtins
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lightning_lrsched"
FILES = [f"fit/{path.name}" for path in sorted((PACKAGE / "fit").glob("[!_]*.py"))]
FILES += ["formula/timeline.py", "measure.py", "placed.py"]
NAMES = """changed_pace memory whose_value resume reactive groups logging manual other_writers robust refusals odd_runs
composition precision plateau cooldown spike restore_best preview_fit dashboard schedules"""
TESTS = [*(f"tests/test_{name}.py" for name in NAMES.split()), "-k", "not test_resume.py or (step and 3)"]


def say_what_is_reached(node: ast.AST, name: str, function: bool = False) -> None:
    """Put a note before every statement in a function."""
    for field, value in ast.iter_fields(node):
        for child in [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, ast.AST)]:
            say_what_is_reached(child, name, isinstance(child, ast.FunctionDef) or function)
        held = isinstance(value, list) and field in ("body", "orelse", "finalbody")
        if held and function and not isinstance(node, ast.ClassDef):
            value[:] = [one for s in value for one in (ast.parse(f"HITS.add(({name!r}, {s.lineno}))").body[0], s)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """This module is the plugin of the first run."""
    builtins.HITS.clear()  # type: ignore[attr-defined]
    yield
    with open(os.environ["HITS"], "a") as file:
        file.write(json.dumps([item.nodeid, sorted(builtins.HITS)]) + "\n")  # type: ignore[attr-defined]


def run(folder: Path, *arguments: str, seconds: int | None = None, **environment: str) -> tuple[int, str]:
    """pytest in the copy: its exit status and what it says."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    paths = {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    env = os.environ | paths | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(command, cwd=folder, env=env, timeout=seconds, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def what_tests_reach(folder: Path, hits: Path) -> None:
    (folder / "sitecustomize.py").write_text("import builtins\nbuiltins.HITS = set()\n")  # in every process
    for name in FILES:
        tree = ast.parse((PACKAGE / name).read_text())
        say_what_is_reached(tree, name)
        (folder / PACKAGE.name / name).write_text(ast.unparse(ast.fix_missing_locations(tree)))
    status, said = run(folder, "-p", "reached", *TESTS, HITS=str(hits))
    if status:
        hits.unlink(missing_ok=True)
        raise SystemExit(f"The tests are red without a mutant.\n{said[-3000:]}")
    for name in FILES:
        shutil.copy(PACKAGE / name, folder / PACKAGE.name / name)
