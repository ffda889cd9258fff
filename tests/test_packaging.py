"""What an installed package is: its types, its page on the index, its archives, and the versions that it is for."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

if sys.version_info < (3, 11):
    pytest.skip("tomllib came with Python 3.11", allow_module_level=True)
import tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
VERSIONS = re.findall(r"^\| (3\.\d+) \| ([\d.]+) \| ([\d.]+) \| (.*) \|$", README, re.MULTILINE)


def test_the_classifiers_are_the_pythons_that_ci_runs() -> None:
    pythons = re.findall(r"Python :: (3\.\d+)'", str(PROJECT["classifiers"]))
    assert pythons == [python for python, *_ in VERSIONS]


def test_the_lower_bounds_are_the_first_row_of_the_versions() -> None:
    python, torch, lightning, _ = VERSIONS[0]
    assert PROJECT["requires-python"] == f">={python}"
    bounds = [f"lightning>={lightning}", f"pytorch-lightning>={lightning}", f"torch>={torch}"]
    assert set(bounds) <= set(PROJECT["dependencies"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The archives, each built twice."""
    folders = [tmp_path_factory.mktemp("dist") for _ in range(2)]
    for folder in folders:
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folders


def test_the_same_wheel_is_built_again(built: list[Path]) -> None:
    first, again = [next(folder.glob("*.whl")).read_bytes() for folder in built]
    assert first == again


def test_the_page_on_the_index_has_no_relative_link(built: list[Path]) -> None:
    with ZipFile(next(built[0].glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
        page = message_from_bytes(wheel.read(name)).get_payload()
    assert isinstance(page, str)
    links = re.findall(r"\]\((.*?)\)", page)
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    pictures = [link for link in links if link.endswith(".svg")]
    assert pictures
    for picture in pictures:
        url, path = picture.split("/raw/HEAD/")
        assert url == PROJECT["urls"]["Source"]
        assert (ROOT / path).is_file()


def test_the_archives_hold_what_they_should(built: list[Path]) -> None:
    with tarfile.open(next(built[0].glob("*.tar.gz"))) as sdist:
        source = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"tests/test_fit.py", "recipes/xor.py", "README.md", "lightning_lrsched/py.typed"} <= source
    with ZipFile(next(built[0].glob("*.whl"))) as wheel:
        installed = {name.partition("/")[0] for name in wheel.namelist()}
    assert installed == {"lightning_lrsched", f"lightning_lrsched-{wheel_version(built[0])}.dist-info"}
    assert "lightning_lrsched/py.typed" in wheel.namelist()


def wheel_version(folder: Path) -> str:
    return next(folder.glob("*.whl")).name.split("-")[1]


SCRIPT = """
from lightning.pytorch import Trainer
from lightning_lrsched import CosineAnnealing

Trainer(callbacks=[CosineAnnealing(t_max=3, interval="step", warmup="10%")])
lr: float = CosineAnnealing(3).lr_at(0, 0.1)
CosineAnnealing(t_maxx=3)
CosineAnnealing(3, warm_up=2)
CosineAnnealing(3, interval=2.5)
name: str = CosineAnnealing(3).lr_at(0, 0.1)
"""
WRONG = [7, 8, 9, 10]


@pytest.mark.parametrize(
    "checker",
    [
        ["mypy", "--config-file=", "--follow-imports=silent"],
        ["basedpyright", "--level=error", f"--pythonpath={sys.executable}"],
    ],
    ids=["mypy", "pyright"],
)
def test_a_type_checker_finds_what_is_wrong_in_a_users_script(checker: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", *checker, "script.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = re.findall(r"script\.py:(\d+):.* error: ", run.stdout)
    assert [int(line) for line in found] == WRONG, run.stdout + run.stderr
