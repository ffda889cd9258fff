"""The pictures of curves: ``python -m tests.gallery`` draws the README's, and ``tests.pages`` asks for the others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightning_lrsched
from lightning_lrsched import LRSchedule
from lightning_lrsched.formula.pictures import HEIGHT, MARGIN, WIDTH, stairs, svg

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "tests" / "pictures"
FIRST = re.compile(r"^schedule = (.*)$", re.MULTILINE)  # in the README
ACROSS = 4
LEFT, CAPTION = 16, 20
INTERVALS = 16
CALM = 5  # checks that improve, before the metric stalls
SPIKE = 6  # the update whose loss is one

CALLS = (
    "Constant(factor=0.25, duration=4)",
    "BatchSizeScaling(reference=256, batch_size=64)",
    "StepDecay(step_size=4, gamma=0.5)",
    "MultiStepDecay(milestones=[3, 9], gamma=0.5)",
    "ExponentialDecay(k=0.2)",
    "PolynomialDecay(t_max=12)",
    "CosineAnnealing(t_max=12)",
    "CosineRestarts(t_0=4, t_mult=2, decay=0.75)",
    "REX(t_max=12)",
    "TanhDecay(t_max=12)",
    "HyperbolicLR(upper_bound=16, t_max=12)",
    "CyclicalLR(eta_min=0.0, step_size=4)",
    "OneCycle(t_max=14, div_factor=4)",
    "WarmupStableDecay(decay=5, t_max=14, warmup=2)",
    "InverseSqrt(timescale=2)",
    "PowerDecay(timescale=2, cooldown=4, t_max=14)",
    "Keyframes(positions=[0, 4, 12], values=[0.2, 1.0, 0.0])",
    "CustomSchedule(lambda t, base_lr: base_lr / (1 + t))",
    "ReduceOnPlateau(patience=3, factor=0.5)",
    "CooldownOnPlateau(decay=6, patience=3)",
    "GreedyLR(patience=3, factor=0.7)",
    "BackOffOnSpike(hold=3, recovery=4, window=4)",
    "SequentialSchedule([Constant(0.25), CosineAnnealing(10)], milestones=[4])",
    "ProductSchedule([StepDecay(8, 0.5), CyclicalLR(0.0, step_size=2)])",
)


def name(call: str) -> str:
    return call.partition("(")[0]


def made(call: str) -> Any:
    return eval(call, dict(vars(lightning_lrsched)))


def lrs(call: str) -> list[float]:
    """The LRs of a schedule, of which one that reacts sees a loss with a spike and a metric that stalls."""
    schedule = made(call)
    if schedule.warmup:
        return schedule.preview(epochs=INTERVALS)
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


def first(readme: str) -> str:
    """The curve of the README's first example, with its LRs and epochs."""
    schedule: LRSchedule = made(FIRST.search(readme)[1])  # type: ignore[index]
    epochs, steps, base_lr = 5, 64, 0.1  # BoringModel has 64 batches
    lrs = schedule.preview(epochs, steps, base_lr=base_lr)
    drawn = svg(schedule.curve(repr(schedule), lrs, steps)).replace("<svg ", f'<svg x="{LEFT}" ', 1)
    across = (WIDTH - 2 * MARGIN) / epochs
    marks = [(LEFT + MARGIN + across * i, HEIGHT + 4, str(i)) for i in range(1, epochs)]
    marks += [(LEFT, MARGIN + 4, str(base_lr)), (LEFT, HEIGHT - 4, "0"), (LEFT + WIDTH - 20, HEIGHT + 4, "epoch")]
    texts = "".join(f'<text x="{x:.0f}" y="{y}">{text}</text>' for x, y, text in marks)
    width, height = LEFT + WIDTH, HEIGHT + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{2 * width}"'
        f' font-family="sans-serif" font-size="9" text-anchor="middle"><rect width="{width}" height="{height}"'
        f' fill="#fff"/>{drawn}{texts}</svg>\n'
    )


def catalogue() -> str:
    """Every schedule in one picture, each with its name."""
    rows = -(-len(CALLS) // ACROSS)
    width, height = ACROSS * WIDTH, rows * (HEIGHT + CAPTION)
    cells = []
    for i, call in enumerate(CALLS):
        x, y = i % ACROSS * WIDTH, i // ACROSS * (HEIGHT + CAPTION)
        drawn = picture(call).replace("<svg ", f'<svg x="{x}" y="{y + CAPTION}" ', 1)
        label = f'<text x="{x + WIDTH // 2}" y="{y + CAPTION - 4}">{name(call)}</text>'
        cells.append(f'<a href="#{name(call)}">{label}{drawn}</a>\n')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="14" text-anchor="middle"><rect width="{width}" height="{height}" fill="#fff"/>\n'
        f"{''.join(cells)}</svg>\n"
    )


def drawings() -> dict[str, str]:
    return {"first": first((ROOT / "README.md").read_text()), "schedules": catalogue()}


if __name__ == "__main__":
    for stem, drawn in drawings().items():
        (PICTURES / f"{stem}.svg").write_text(drawn)
        print(f"tests/pictures/{stem}.svg")
