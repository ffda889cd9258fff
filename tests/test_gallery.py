"""Every schedule has a picture, and each is what the class draws now."""

from __future__ import annotations

import re

import gallery
import pytest

import lightning_lrsched
from lightning_lrsched import LRSchedule

PUBLIC = [getattr(lightning_lrsched, name) for name in lightning_lrsched.__all__]
SCHEDULES = {thing.__name__ for thing in PUBLIC if isinstance(thing, type) and thing is not LRSchedule}


def test_every_schedule_has_a_picture() -> None:
    assert sorted(map(gallery.name, gallery.CALLS)) == sorted(SCHEDULES)
    assert set(re.findall(r"<text [^>]*>(\w+)</text>", gallery.catalogue())) == SCHEDULES


@pytest.mark.parametrize("stem", gallery.drawings())
def test_a_picture_is_what_the_classes_draw_now(stem: str) -> None:
    assert (gallery.PICTURES / f"{stem}.svg").read_text() == gallery.drawings()[stem]


def test_no_picture_is_left_over() -> None:
    pages = [(gallery.ROOT / page).read_text() for page in ("README.md", "recipes/README.md")]
    shown = re.findall(r"\]\((?:\.\./)?tests/pictures/(.*?)\)", "\n".join(pages))
    assert sorted(path.name for path in gallery.PICTURES.iterdir()) == sorted(shown)


def test_a_picture_shows_the_lrs_of_its_schedule() -> None:
    points = re.findall(r"(\d+\.\d),(\d+\.\d)", gallery.picture("MultiStepDecay(milestones=[4, 12], gamma=0.5)"))
    # 224 wide and 84 high from (8, 8) on: 16 epochs of 14, at 1, 1/2 and 1/4
    assert [(float(x), float(y)) for x, y in points[:2]] == [(8, 8), (22, 8)]
    assert [float(y) for _, y in points[::2]] == [8] * 4 + [50] * 8 + [71] * 4


def test_the_first_picture_has_its_peak_where_the_warmup_ends() -> None:
    drawn = gallery.first('schedule = CosineAnnealing(interval="step", warmup="10%")')
    points = re.findall(r"(\d+\.\d),(\d+\.\d)", drawn)
    # 320 updates, of which 32 are the warmup; the ramp's first stair is 1 / 33 of the peak
    assert min(range(320), key=lambda t: float(points[t][1])) == 32
    assert len(points) == 320
