"""The README's gallery: ``python -m tests.gallery`` draws every schedule of its table, as called there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightning_lrsched
from lightning_lrsched.formula.pictures import stairs, svg

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "tests" / "pictures"
CALLS = re.compile(r"^\| `((\w+)\(.*?\))` \| `.*?` \|", re.MULTILINE)
GALLERY = re.compile(r"(<!-- gallery: .*? -->\n).*(<!-- /gallery -->)", re.DOTALL)
ACROSS = 4
INTERVALS = 16
CALM = 5  # checks that improve, before the metric stalls
SPIKE = 6  # the update whose loss is one


def lrs(call: str) -> list[float]:
    """The LRs of a schedule, of which one that reacts sees a loss with a spike and a metric that stalls."""
    schedule: Any = eval(call, dict(vars(lightning_lrsched)))
    found = []
    for t in range(INTERVALS):
        if getattr(schedule, "watch", None) is not None:
            schedule.react(10.0 if t == SPIKE else 1.0, t, {1.0})
        found.append(schedule.lr_at(t, base_lr=1.0))
        if getattr(schedule, "monitor", None) is not None:
            schedule.react(-min(t, CALM), t, {1.0})
    return found


def picture(call: str) -> str:
    return svg(stairs(call, lrs(call)))


def pictures(readme: str) -> dict[str, str]:
    return {name: picture(call) for call, name in CALLS.findall(readme)}


def gallery(names: list[str]) -> str:
    cells = [f"![{name}](tests/pictures/{name}.svg)<br>{name}" for name in names]
    cells += [""] * (-len(cells) % ACROSS)
    rows = [cells[i : i + ACROSS] for i in range(0, len(cells), ACROSS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [[" "] * ACROSS, ["---"] * ACROSS, *rows])


def with_gallery(readme: str) -> str:
    drawn = gallery(list(pictures(readme)))
    return GALLERY.sub(lambda match: f"{match[1]}\n{drawn}\n{match[2]}", readme)


if __name__ == "__main__":
    file = ROOT / "README.md"
    text = file.read_text()
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    for name, drawn in pictures(text).items():
        (PICTURES / f"{name}.svg").write_text(drawn)
    file.write_text(with_gallery(text))
    print(f"{len(pictures(text))} pictures in {PICTURES.relative_to(ROOT)}, and the README shows them.")
