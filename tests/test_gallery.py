"""The README shows a picture of every schedule, and each is what the class draws now."""

from __future__ import annotations

import re

import gallery
import pytest

import lightning_lrsched
from lightning_lrsched import LRSchedule

README = (gallery.ROOT / "README.md").read_text()
PUBLIC = [getattr(lightning_lrsched, name) for name in lightning_lrsched.__all__]
SCHEDULES = {thing.__name__ for thing in PUBLIC if isinstance(thing, type) and thing is not LRSchedule}


def test_the_readme_shows_every_schedule() -> None:
    assert set(re.findall(r"\]\(tests/pictures/(\w+)\.svg\)", README)) == SCHEDULES
    assert gallery.with_gallery(README) == README


def test_no_picture_is_left_over() -> None:
    assert {path.stem for path in gallery.PICTURES.glob("*.svg")} == SCHEDULES


@pytest.mark.parametrize(("call", "name"), gallery.CALLS.findall(README), ids=lambda part: part.partition("(")[0])
def test_a_picture_is_what_the_class_draws_now(call: str, name: str) -> None:
    drawn = (gallery.PICTURES / f"{name}.svg").read_text()
    assert drawn == gallery.picture(call)
    assert len(drawn) < 2_000


def test_a_picture_shows_the_lrs_of_its_schedule() -> None:
    points = re.findall(r"(\d+\.\d),(\d+\.\d)", gallery.picture("MultiStepDecay(milestones=[4, 12], gamma=0.5)"))
    # 224 wide and 84 high from (8, 8) on: 16 epochs of 14, at 1, 1/2 and 1/4
    assert [(float(x), float(y)) for x, y in points[:2]] == [(8, 8), (22, 8)]
    assert [float(y) for _, y in points[::2]] == [8] * 4 + [50] * 8 + [71] * 4
