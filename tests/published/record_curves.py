"""Record in ``curves.json`` what the systems of recipes/MIGRATING.md make of its rows, in an environment of its own:

pip install torch==2.13.0 optax keras timm transformers pytorch-ignite mmengine pytorch-scheduler
python tests/published/record_curves.py transformers timm Keras optax mmengine ignite pytorch-scheduler

Composer (mosaicml) and Bolts (lightning-bolts, with pytorch-lightning 1.9) ask for older packages than these, so each
may be recorded elsewhere; a system that is not named keeps its values.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("curves.json")
GUIDE = Path(__file__).parents[2] / "recipes" / "MIGRATING.md"
SYSTEMS = {  # distribution, and the modules that have the names
    "torch": ("torch", "torch.optim.lr_scheduler"),
    "transformers": ("transformers", "transformers.optimization"),
    "timm": ("timm", "timm.scheduler"),
    "Keras": ("keras", "keras.optimizers.schedules", "keras.callbacks"),
    "optax": ("optax", "optax"),
    "mmengine": ("mmengine", "mmengine.optim.scheduler"),
    "Composer": ("mosaicml", "composer.optim"),
    "Bolts": ("lightning-bolts", "torch.optim.lr_scheduler", "pl_bolts.optimizers.lr_scheduler"),
    "ignite": ("pytorch-ignite", "ignite.handlers"),
    "pytorch-scheduler": ("pytorch-scheduler", "pytorch_scheduler"),
}
#: what a plateau is told after each epoch: it falls, stalls, falls once more and stalls for good
METRICS = [1.0, 0.9, 0.8, *[0.8] * 7, 0.7, *[0.71] * 9]
COMPOSERS_RUN = 12  # batches


class Row(NamedTuple):
    system: str
    there: str
    here: str
    steps: int


def rows() -> list[Row]:
    """The rows of the guide's tables."""
    found, system = [], ""
    for line in GUIDE.read_text().splitlines():
        if line.startswith("## "):
            system = line[3:]
        elif row := re.fullmatch(r"\| `(.+)` \| `(.+)` \| (\d+) \|", line):
            found.append(Row(system, row[1], row[2], int(row[3])))
    return found


def values(row: Row) -> list[float]:
    """The LRs of the other system, that of each step as it is while the step is made."""
    torch = import_module("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    names = {"optimizer": optimizer}
    for module in SYSTEMS[row.system][1:]:
        names |= vars(import_module(module))
    lr_at = WALKS.get(row.system, walk)(eval(row.there, names), optimizer)
    return [float(lr_at(step)) for step in range(row.steps)]


def walk(schedulers: Any, optimizer: Any) -> Callable[[int], float]:
    """torch's manner: after every step the schedulers step too, and a plateau is told the metric."""

    def lr_at(step: int) -> float:
        lr: float = optimizer.param_groups[0]["lr"]
        optimizer.step()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            name = type(scheduler).__name__
            told = {"val_loss": METRICS[step]} if name == "ReduceOnPlateauLR" else METRICS[step]
            scheduler.step(*[told] if "Plateau" in name or "Greedy" in name else [])
        return lr

    return lr_at


def walk_timm(scheduler: Any, optimizer: Any) -> Callable[[int], float]:
    if "Plateau" not in type(scheduler).__name__:
        scheduler.step(0)

    def lr_at(step: int) -> float:
        lr: float = optimizer.param_groups[0]["lr"]
        scheduler.step(step + 1, METRICS[step] if step < len(METRICS) else None)
        return lr

    return lr_at


def walk_keras(schedule: Any, optimizer: Any) -> Callable[[int], float]:
    if callable(schedule):
        return schedule  # type: ignore[no-any-return]
    holder = SimpleNamespace(learning_rate=1.0)
    schedule.set_model(SimpleNamespace(optimizer=holder))
    schedule.on_train_begin()

    def lr_at(step: int) -> float:
        lr = holder.learning_rate
        schedule.on_epoch_end(step, {"val_loss": METRICS[step]})
        return lr

    return lr_at


def walk_composer(schedule: Any, optimizer: Any) -> Callable[[int], float]:
    core = import_module("composer.core")

    def lr_at(step: int) -> float:
        length = core.Time(COMPOSERS_RUN, "ba")
        state = SimpleNamespace(max_duration=length, dataloader_len=length, timestamp=core.Timestamp(batch=step))
        return schedule(state)  # type: ignore[no-any-return]

    return lr_at


def walk_ignite(scheduler: Any, optimizer: Any) -> Callable[[int], float]:
    def lr_at(step: int) -> float:
        scheduler(None)
        return optimizer.param_groups[0]["lr"]  # type: ignore[no-any-return]

    return lr_at


WALKS: dict[str, Callable[[Any, Any], Callable[[int], float]]] = {
    "timm": walk_timm,
    "Keras": walk_keras,
    "optax": lambda schedule, optimizer: schedule,
    "Composer": walk_composer,
    "ignite": walk_ignite,
}

if __name__ == "__main__":
    os.environ.update(KERAS_BACKEND="torch", KERAS_FLOATX="float64", JAX_ENABLE_X64="1")
    recorded = json.loads(FILE.read_text())
    for system in sys.argv[1:]:
        curves = {row.there: [round(lr, 12) for lr in values(row)] for row in rows() if row.system == system}
        recorded[system] = {"version": version(SYSTEMS[system][0]), **curves}
    blocks = [
        f"{json.dumps(system)}: {{\n"
        + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
        + "\n}"
        for system, found in recorded.items()
    ]
    FILE.write_text("{\n" + ",\n".join(blocks) + "\n}\n")
