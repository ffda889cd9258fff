"""Manual optimization: each optimizer has a clock of its own, which may tick several times a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch import Trainer
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from .groups import DrivenGroups
from .messages import warn
from .protocol import Schedule
from .values import Values


def count_updates(
    trainer: Trainer, schedule: Schedule, values: Values, driven: Iterable[DrivenGroups]
) -> list[RemovableHandle]:
    """Count each optimizer's updates where the Trainer does not."""
    return [hook for groups in driven if values.progress.manual for hook in _hooks(trainer, schedule, groups, values)]


def _hooks(
    trainer: Trainer, schedule: Schedule, groups: DrivenGroups, values: Values
) -> tuple[RemovableHandle, RemovableHandle]:
    """Count the optimizer's updates, and give each its value, from torch's own hooks of a step."""
    index = groups.index
    if index not in schedule.record.updates:
        schedule.record.updates[index] = _share(trainer, schedule, index)

    def before_step(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        groups.steps_begun += 1

    def after_step(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        groups.steps_begun -= 1
        # torch calls the hooks once more for a step that calls its base class's
        if groups.steps_begun > 0 or groups not in values.driven:  # or another scheduler has taken over
            return
        values.log_point()
        values.take_in()  # a group that came before this very step
        found_inf = getattr(optimizer, "found_inf", None)  # what a GradScaler tells a fused optimizer
        if found_inf is None or not found_inf.item():
            schedule.record.updates[index] += 1
            if schedule.counts == "step":
                values.write(groups, values.progress.made(index))

    optimizer = groups.optimizer
    return optimizer.register_step_pre_hook(before_step), optimizer.register_step_post_hook(after_step)


def _share(trainer: Trainer, schedule: Schedule, index: int) -> int:
    """The updates that an optimizer has made of which there is no record; the Trainer adds up all optimizers'."""
    known, total = schedule.record.updates, trainer.global_step
    counted, unknown = sum(known.values()), len(trainer.optimizers) - len(known)
    share = max(total - counted, 0) // unknown
    if (total and unknown > 1) or (counted and not total):  # the Trainer counts no steps of torch's own optimizers
        warn(
            schedule,
            f"the checkpoint does not say how many of its {total} updates optimizer {index}"
            f" made; taking {'an equal share, ' if total else ''}{share}.",
        )
    return share
