"""The arrows of the package point one way."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lightning_lrsched

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lightning_lrsched"
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
RECIPES = {path.name: ast.parse(path.read_text()) for path in sorted((ROOT / "recipes").glob("*.py"))}

PURE = {"_arguments.py", "_checks.py", "curves.py", "durations.py", "journal.py"}
REACTIVE = [file for file in TREES if file.startswith("reactive/")]
FORMULAS = [file for file in TREES if file in PURE or file.startswith("schedules/")]
MESSAGES = {"MisconfigurationException", "rank_zero_info", "rank_zero_warn"}
DRAWING = ["plots.py", "bounds.py"]
PRIVATE = {  # of Lightning's and torch's, for want of a public name
    ("logbook.py", "_batches_that_stepped"),
    ("preview.py", "_MultiProcessingLauncher"),
    ("preview.py", "_TunerExitException"),
    ("reactions.py", "_step_supports_amp_scaling"),
}
LAZY = {("plots.py", "matplotlib"), ("__main__.py", "jsonargparse"), ("__main__.py", "plotext")}


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module, with its leading dots, and imported name, wherever in the file the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), alias.name) for alias in node.names)


def imports_at_once(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Those that importing the file runs: not in a function, and not for the type checker only."""
    at_once = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    yield from imports(ast.Module(body=[*at_once], type_ignores=[]))


def root(module: str) -> str:
    return module.split(".")[0]


def is_foreign(module: str) -> bool:
    return not module.startswith(".") and root(module) not in {*sys.stdlib_module_names, "lightning_lrsched"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


@pytest.mark.parametrize("file", FORMULAS)
def test_formulas_know_no_torch_and_no_lightning(file: str) -> None:
    assert {root(module) for module, _ in imports(TREES[file]) if is_foreign(module)} <= {"typing_extensions"}


@pytest.mark.parametrize("file", DRAWING)
def test_pictures_know_no_schedule_no_torch_and_no_lightning(file: str) -> None:
    at_once = {module for module, _ in imports_at_once(TREES[file])}
    assert {module for module in at_once if module.startswith(".")} <= {".plots"}
    assert not any(is_foreign(module) for module in at_once)


@pytest.mark.parametrize("file", ["groups.py", "schedule.py", *REACTIVE])
def test_schedules_and_groups_know_of_lightning_only_how_to_speak(file: str) -> None:
    assert {name for module, name in imports(TREES[file]) if root(module) == "lightning"} <= MESSAGES


@pytest.mark.parametrize("file", ["schedule.py", *REACTIVE])
def test_schedules_know_no_torch(file: str) -> None:
    assert "torch" not in {root(module) for module, _ in imports(TREES[file])}


def test_only_the_callback_knows_hooks() -> None:
    for file, tree in TREES.items():
        if file != "callback.py":
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    assert not node.name.startswith("on_"), (file, node.name)
                    assert node.name not in ("setup", "teardown"), (file, node.name)
                if isinstance(node, ast.ClassDef):
                    assert "Callback" not in {base.id for base in node.bases if isinstance(base, ast.Name)}, file


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def own_private_names() -> set[str]:
    """What the package defines itself: functions, attributes, variables and files."""
    own = {Path(file).stem for file in TREES}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
                own.add(node.attr)
    return own


def is_told_by_name(function: str) -> bool:
    return function.endswith("attr") or function == "_is_a"


def test_the_private_names_that_are_used() -> None:
    own, used = own_private_names(), set()
    for file, tree in TREES.items():
        for module, name in imports(tree):
            used |= {(file, part) for part in [*module.split("."), name] if is_private(part)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                used.add((file, node.attr))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and is_told_by_name(node.func.id):
                names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                used |= {(file, name) for name in names if isinstance(name, str) and is_private(name)}
    assert {(file, name) for file, name in used if name not in own} == PRIVATE


def test_nothing_foreign_but_torch_and_lightning_is_imported_before_it_is_needed() -> None:
    foreign = {root(module) for tree in TREES.values() for module, _ in imports_at_once(tree) if is_foreign(module)}
    assert foreign == {"lightning", "torch", "typing_extensions"}
    for file, tree in TREES.items():
        inside = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        lazy = {root(module) for node in inside for module, _ in imports(ast.Module(node.body, []))}
        assert {(file, module) for module in lazy if is_foreign(module)} <= LAZY


def test_nothing_imports_preview_or_recipes() -> None:
    for file, tree in TREES.items():
        barred = {"recipes"} if file == "__init__.py" else {"preview", "recipes"}  # which gives the public names
        for module, name in imports(tree):
            assert not barred & {*module.split("."), name}, (file, module, name)


@pytest.mark.parametrize("file", RECIPES)
def test_recipes_use_public_names_only(file: str) -> None:
    for module, name in imports(RECIPES[file]):
        if root(module) == "lightning_lrsched":
            assert module == "lightning_lrsched"
            assert name == "" or name in lightning_lrsched.__all__
