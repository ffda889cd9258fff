"""What a user of the package sees of it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest

import lightning_lrsched
from lightning_lrsched import LRSchedule

FUNCTIONS = [thing for thing in vars(lightning_lrsched).values() if inspect.isfunction(thing)]
CLASSES = [thing for thing in vars(lightning_lrsched).values() if isinstance(thing, type)]
NEW_MODULES = """
import sys
import lightning.pytorch
there = set(sys.modules)
import lightning_lrsched
print(*sorted(set(sys.modules) - there))
"""


def test_the_import_loads_nothing_that_lightning_does_not() -> None:
    run = subprocess.run([sys.executable, "-c", NEW_MODULES], capture_output=True, text=True, check=True)
    new = run.stdout.split()
    assert "lightning_lrsched" in new
    assert [module for module in new if module.split(".")[0] != "lightning_lrsched"] == []


def test_all_names_every_public_name() -> None:
    public = [name for name, thing in vars(lightning_lrsched).items() if name[0] != "_" and not inspect.ismodule(thing)]
    assert sorted(lightning_lrsched.__all__) == sorted([*public, "__version__"])


def test_every_public_class_is_a_schedule() -> None:
    assert all(issubclass(cls, LRSchedule) for cls in CLASSES)


def test_the_version_is_the_installed_one() -> None:
    assert lightning_lrsched.__version__ == version("lightning-lrsched")


def test_types_are_for_users_too() -> None:
    assert Path(lightning_lrsched.__file__).with_name("py.typed").is_file()


def test_recipes_and_development_are_extras() -> None:
    needed = [need for need in requires("lightning-lrsched") or [] if "extra ==" not in need]
    names = ["lightning", "pytorch-lightning", "tensorboard", "torch", "typing-extensions"]
    assert sorted(need.split(">=")[0] for need in needed) == names


@pytest.mark.parametrize("cls", CLASSES)
def test_a_docstring_explains_every_argument_and_error(cls: type) -> None:
    docstring = inspect.getdoc(cls) or ""
    assert "\nArgs:\n" in docstring
    assert "\nRaises:\n" in docstring
    assert ">>> " in docstring
    for name, parameter in inspect.signature(vars(cls)["__init__"]).parameters.items():
        if name in ("self", "unknown"):  # of which a caller sees none
            continue
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        assert f"\n    {stars}{name}: " in docstring, name


@pytest.mark.parametrize("function", [*FUNCTIONS, LRSchedule.preview, LRSchedule.plot])
def test_a_docstring_explains_every_parameter_result_and_error(function: Any) -> None:
    docstring = inspect.getdoc(function) or ""
    for name in inspect.signature(function).parameters:
        assert name == "self" or f"\n    {name}: " in docstring, name
    assert "\nReturns:\n" in docstring
    assert "\nRaises:\n" in docstring
