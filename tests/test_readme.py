"""What the README says is so: its Python runs, its table is complete, its sketches and commands are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gallery import lrs

import lightning_lrsched
from lightning_lrsched import LRSchedule

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
ROWS = re.findall(r"^\| `(\w+\(.*?\))` \| `(.*?)` \|", README, re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\nassert " in block
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "__readme__"})


def test_every_fence_is_closed_and_names_its_language() -> None:
    assert len(re.findall(r"^ *```", README, re.MULTILINE)) == 2 * len(BLOCKS)


def test_the_table_holds_every_schedule() -> None:
    public = [getattr(lightning_lrsched, name) for name in lightning_lrsched.__all__]
    schedules = {cls.__name__ for cls in public if isinstance(cls, type) and cls is not LRSchedule}
    assert sorted(call.split("(")[0] for call, _ in ROWS) == sorted(schedules)


@pytest.mark.parametrize(("call", "sketch"), ROWS, ids=[call.split("(")[0] for call, _ in ROWS])
def test_a_sketch_shows_the_curve(call: str, sketch: str) -> None:
    top = max(1.0, *lrs(call))
    assert sketch == "".join("▁▂▃▄▅▆▇█"[round(7 * lr / top)] for lr in lrs(call))


def test_there_is_one_command_for_the_recipe_and_one_for_the_tests() -> None:
    install = 'pip install torch==2.13.0 && pip install -e ".[{}]" && {}'
    commands = re.findall(r"^    (pip install .*)$", README, re.MULTILINE)
    assert commands == [install.format("recipes", "python -m recipes.xor"), install.format("dev", "pytest")]


def test_the_requirements_are_those_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    needs = [
        re.search(pattern, project)[1] for pattern in (r'python = ">=(.*?)"', r'"torch>=(.*?)"', r'"lightning>=(.*?)"')
    ]  # type: ignore[index]
    assert "Requirements: Python {}, torch {}, lightning {}, or newer.".format(*needs) in README


def test_modules_that_the_text_runs_exist() -> None:
    for module in re.findall(r"python -m ([\w.]+)", README):
        root = Path(lightning_lrsched.__file__).parents[1] if module.startswith("lightning_lrsched") else ROOT
        path = root / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
