"""The arrows of the package point one way."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import lines_of_code

import lightning_lrsched

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lightning_lrsched"
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
RECIPES = {path.name: ast.parse(path.read_text()) for path in sorted((ROOT / "recipes").glob("*.py"))}

#: from the ground up; an import goes down or along its own floor
FLOORS = (
    ("formula/",),
    ("fit/",),
    ("callback.py",),
    ("schedule.py", "placed.py", "measure.py"),
    ("schedules/",),
    ("reactive/",),
    ("look/",),
    ("__init__.py", "__main__.py"),
)
FORMULAS = [file for file in TREES if file.startswith(("formula/", "schedules/"))]
SCHEDULES = [file for file in TREES if file.startswith(("reactive/", "schedule.py", "placed.py", "measure.py"))]
PRIVATE = {  # of Lightning's and torch's, for want of a public name
    ("fit/logbook.py", "_batches_that_stepped"),
    ("fit/reactions.py", "_step_supports_amp_scaling"),
    ("look/fits.py", "_MultiProcessingLauncher"),
    ("look/fits.py", "_TunerExitException"),
}
LAZY = {
    ("formula/pictures.py", "matplotlib"),
    ("fit/dashboard.py", "tensorboard"),
    ("fit/dashboard.py", "torch"),  # which loads TensorBoard
    ("fit/shards.py", "torch"),  # public from torch 2.5 on
    ("__main__.py", "jsonargparse"),
    ("__main__.py", "plotext"),
}
FOR_TYPES = {("fit/callbacks.py", "Callback"), ("look/fits.py", "Callback")}
MOST_LINES_OF_A_CLASS, MOST_LINES_OF_A_FILE = 200, 300  # of code: no blank lines, comments and docstrings


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
    return name.startswith("_") and not name.endswith("__") and name != "_replace"  # which any named tuple has


@pytest.mark.parametrize("file", FORMULAS)
def test_formulas_know_no_torch_and_no_lightning(file: str) -> None:
    foreign = {root(module) for module, _ in imports(TREES[file]) if is_foreign(module)}
    assert foreign <= {"typing_extensions"} | {module for lazy, module in LAZY if lazy == file}


def floor(file: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if file in rooms or f"{file.split('/')[0]}/" in rooms)


def target(file: str, module: str, name: str) -> str:
    """The file that a relative import reads."""
    up = len(module) - len(module.lstrip("."))
    folder = Path(file).parents[up - 1] / module.lstrip(".").replace(".", "/")
    found = [folder.with_suffix(".py"), folder / f"{name}.py", folder / "__init__.py"]
    return next(path.as_posix() for path in found if path.as_posix() in TREES)


def own_imports(file: str) -> Iterator[str]:
    """The files of the package that a file reads when it is run, an import within a function included."""
    for_types = [
        node for node in TREES[file].body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    skipped = {id(each) for node in for_types for each in ast.walk(node)}
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in skipped:
            yield from (target(file, "." * node.level + (node.module or ""), alias.name) for alias in node.names)


@pytest.mark.parametrize("file", TREES)
def test_imports_go_down(file: str) -> None:
    assert [other for other in own_imports(file) if floor(other) > floor(file)] == []


def test_every_folder_is_one_sentence() -> None:
    """What follows it in its docstring is a chapter of the pages."""
    for file, tree in TREES.items():
        if file.endswith("__init__.py"):
            sentence = (ast.get_docstring(tree) or "").partition("\n\n")[0]
            assert "\n" not in sentence, file
            assert file == "__init__.py" or len(tree.body) == 1, file


@pytest.mark.parametrize("file", TREES)
def test_no_class_and_no_file_is_too_long_to_read(file: str) -> None:
    text = (PACKAGE / file).read_text().splitlines()
    assert lines_of_code(TREES[file], text) <= MOST_LINES_OF_A_FILE
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.ClassDef):
            assert lines_of_code(node, text) <= MOST_LINES_OF_A_CLASS, node.name


def defined_in(tree: ast.Module) -> set[str]:
    """The private names that a file gives to anything of its own."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    stored = [node for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))]
    here = [node for node in stored if isinstance(node.ctx, ast.Store)]
    return names | {node.id if isinstance(node, ast.Name) else node.attr for node in here}


@pytest.mark.parametrize("file", TREES)
def test_no_file_reaches_for_anothers_underscore(file: str) -> None:
    own, inherited = defined_in(TREES[file]), set().union(*(defined_in(TREES[other]) for other in own_imports(file)))
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and (file, node.attr) not in PRIVATE:
            known = own | inherited if is_self(node.value) or is_super(node.value) else own
            assert node.attr in known, node.attr
    for module, name in imports(TREES[file]):
        assert not (module.startswith(".") and is_private(name)), name


@pytest.mark.parametrize("file", ["fit/groups.py", *SCHEDULES])
def test_schedules_and_groups_know_no_lightning(file: str) -> None:
    assert "lightning" not in {root(module) for module, _ in imports(TREES[file])}


@pytest.mark.parametrize("file", SCHEDULES)
def test_schedules_know_no_torch(file: str) -> None:
    assert "torch" not in {root(module) for module, _ in imports(TREES[file])}


def test_one_file_says_which_of_the_two_packages_is_meant() -> None:
    foreign = [(file, *each) for file, tree in TREES.items() for each in imports(tree) if is_foreign(each[0])]
    decided = ("Callback", "MisconfigurationException")
    used = {(file, name) for file, module, name in foreign if "_lightning" in module or name in decided}
    assert {file for file, _ in used - FOR_TYPES} == {"fit/lightning.py"}


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


def is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


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
    return function.endswith("attr") or function == "is_a"


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


def test_nothing_imports_recipes() -> None:
    for file, tree in TREES.items():
        assert "recipes" not in {part for module, name in imports(tree) for part in (*module.split("."), name)}, file


@pytest.mark.parametrize("file", RECIPES)
def test_recipes_use_public_names_only(file: str) -> None:
    for module, name in imports(RECIPES[file]):
        if root(module) == "lightning_lrsched":
            assert module == "lightning_lrsched"
            assert name == "" or name in lightning_lrsched.__all__
