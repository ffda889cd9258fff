"""The pages are made by their command, hold every public name, and lead nowhere that is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from gallery import CALLS, ROOT, name

import lightning_lrsched


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    run = subprocess.run([sys.executable, "-m", "tests.pages", folder], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == f"{folder / 'lightning_lrsched.html'}\n", run.stderr
    assert "Error parsing" not in run.stderr  # as pdoc says of a type
    return folder


def test_every_public_name_has_an_entry_and_every_schedule_its_picture(pages: Path) -> None:
    page = (pages / "lightning_lrsched.html").read_text()
    entries = set(re.findall(r'<section id="(\w+)">', page))
    assert entries == set(lightning_lrsched.__all__) - {"__version__"}
    assert {path.stem for path in (pages / "pictures").iterdir()} == set(map(name, CALLS))
    assert all(page.count(f'src="pictures/{name(call)}.svg"') == 1 for call in CALLS)


def test_a_class_shows_its_constructor_and_what_it_documents_itself(pages: Path) -> None:
    members = set(re.findall(r'id="(\w+\.\w+)"', (pages / "lightning_lrsched.html").read_text()))
    assert {"REX.__init__", "LRSchedule.lr_at", "LRSchedule.preview", "ReduceOnPlateau.check"} <= members
    assert members.isdisjoint({"REX.line", "REX.t_max", "LRSchedule.log_lr", "LRSchedule._planned"})


def test_no_link_is_broken(pages: Path) -> None:
    for path in [pages / "lightning_lrsched.html", *pages.glob("lightning_lrsched/*.html")]:
        text = re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.DOTALL)
        for link in re.findall(r'(?:href|src)="([^"]*)"', text):
            file, _, anchor = link.partition("#")
            if file.startswith(("https:", "data:")):
                continue
            target = path.parent / file if file else path
            assert target.is_file(), link
            assert not anchor or f'id="{anchor}"' in target.read_text(), link


def test_the_chapters_are_headed_and_nothing_is_left_in_another_markup(pages: Path) -> None:
    text = "".join(path.read_text() for path in pages.rglob("*.html"))
    assert ">What one training step does</h2>" in text
    assert [leftover for leftover in (":class:", ":func:", ":meth:", ".. code-block") if leftover in text] == []
