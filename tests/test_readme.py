"""What the README says is so: its Python and its YAML run, its calls, commands, links and versions are right."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.demos.boring_classes import BoringModel

import lightning_lrsched
from lightning_lrsched.__main__ import answer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("MIGRATING.md"), *ROOT.glob("recipes/*.md")]
README = PAGES[0].read_text()
FIRST, *OTHERS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
(YAML,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
SOUGHT = ["WSD", "layer-wise", "samples", "tokens", "W&B", "Hydra", "notebook", "eta_min_ratio"]
CALLS = [call for call in re.findall(r"`(\w+\([^`]*\))`", README) if call.split("(")[0] in lightning_lrsched.__all__]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the first block leaves to the others, which a reader has run before them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("first"))
        names: dict[str, Any] = {"__name__": "__readme__"}
        exec(compile(FIRST, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("block", OTHERS, ids=range(1, 1 + len(OTHERS)))
def test_python_runs(block: str, first: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\nassert " in FIRST
    assert "\nassert " in block
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), dict(first))


def test_every_fence_is_closed_and_names_its_language() -> None:
    assert len(re.findall(r"^ *```", README, re.MULTILINE)) == 2 * len([FIRST, *OTHERS, YAML])


def test_yaml_makes_the_schedule_by_lightning_cli_and_by_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text(YAML)
    monkeypatch.setattr("sys.argv", ["fit.py", "--config", str(tmp_path / "config.yaml")])
    callbacks: list[Any] = LightningCLI(BoringModel, run=False, seed_everything_default=False).trainer.callbacks
    by_cli = [repr(each) for each in callbacks if isinstance(each, lightning_lrsched.LRSchedule)]
    (target,) = re.findall(r"`_target_: ([\w.]+)`", README)
    assert by_cli == [repr(instantiate({"_target_": target, "interval": "step", "warmup": "5 epochs"}))]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_makes_a_schedule(call: str) -> None:
    assert isinstance(eval(call, dict(vars(lightning_lrsched))), lightning_lrsched.LRSchedule)


def test_there_is_one_command_for_the_recipe_and_one_for_the_tests() -> None:
    install = 'pip install torch==2.13.0 && pip install -e ".[{}]" && {}'
    commands = re.findall(r"^    (pip install .*)$", README, re.MULTILINE)
    assert commands == [install.format("recipes", "python -m recipes.xor"), install.format("dev", "pytest -n 2")]


def test_the_preview_command_shows_both_curves() -> None:
    (command,) = re.findall(r"^    python -m lightning_lrsched (.*)$", README, re.MULTILINE)
    shown = answer(shlex.split(command))
    assert "CosineAnnealing(warmup='5 epochs')\n" in shown
    assert "WarmupStableDecay(decay='20%', warmup='5 epochs')\n" in shown


def test_the_requirements_are_those_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    needs = [
        re.search(pattern, project)[1] for pattern in (r'python = ">=(.*?)"', r'"torch>=(.*?)"', r'"lightning>=(.*?)"')
    ]  # type: ignore[index]
    assert "Requirements: Python {}, torch {}, lightning {}, or newer.".format(*needs) in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_runs_exist(page: Path) -> None:
    modules = re.findall(r"(?:python|torchrun .*) -m ([\w.]+)", page.read_text())
    assert [module for module in modules if find_spec(module) is None] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_exists(page: Path) -> None:
    text = page.read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = [link for link in re.findall(r"\]\((.*?)\)", text) if not link.startswith("https:")]
    assert [link for link in links if link not in anchors and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("word", SOUGHT)
def test_words_that_people_search_for_are_there(word: str) -> None:
    assert word in README


def test_it_is_read_in_some_minutes() -> None:
    assert len([word for word in README.split() if re.search(r"\w", word)]) <= 1350
