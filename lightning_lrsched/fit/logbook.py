"""What goes to the Trainer's loggers and metrics, under LearningRateMonitor's names and at the Trainer's steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.optim import Optimizer

from .groups import DrivenGroups
from .messages import info
from .numbers import Group
from .protocol import Schedule

MANY = 10


def logged_step(epoch_loop: Any) -> int:
    """The x of whatever the Trainer logs for the coming batch; it has no public name."""
    step: int = epoch_loop._batches_that_stepped
    return step


def tag(number: str) -> str:
    """``betas_1`` for "betas[1]": some loggers know no brackets."""
    return number.replace("[", "_").replace("]", "")


def group_names(optimizers: list[Optimizer], hyperparameter: str) -> list[list[str]]:
    """``lr-SGD``, ``lr-SGD/pg1`` or ``lr-SGD/NAME`` with several groups, ``lr-SGD-1`` for a second SGD."""
    seen: Counter[str] = Counter()
    number = tag(hyperparameter)
    names = []
    for optimizer in optimizers:
        kind = type(optimizer).__name__
        prefix = f"{number}-{kind}" + (f"-{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        names.append([prefix + suffix for suffix in _suffixes(optimizer.param_groups)])
    return names


def _suffixes(groups: list[Group]) -> list[str]:
    named = Counter(group.get("name") for group in groups)
    given = [group["name"] if group.get("name") and named[group["name"]] == 1 else None for group in groups]
    if len(groups) == 1:
        return [f"/{given[0]}" if given[0] else ""]
    return [f"/{name or f'pg{number}'}" for number, name in enumerate(given, start=1)]


def curves_of(trainer: Trainer, groups: DrivenGroups) -> list[tuple[str, int]]:
    """Names and places of the groups that have a curve: every one, or with many one for each distinct LR."""
    names, members = group_names(trainer.optimizers, groups.hyperparameter)[groups.index], groups.members
    curves = [(names[member.index], place) for place, member in enumerate(members)]
    if len(curves) <= MANY:
        return curves
    # from the last to the first, so that the first group of each LR gives the name
    return list({(members[i].base, members[i].late): (name, i) for name, i in reversed(curves)}.values())


def lowest_and_highest(groups: DrivenGroups, curves: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Where there are still many, these two."""
    if len(curves) <= MANY:
        return curves
    curves = sorted(curves, key=lambda curve: groups.bases[curve[1]])
    return [curves[0], curves[-1]]


def beside(
    trainer: Trainer, groups: DrivenGroups, curves: list[tuple[str, int]], numbers: Iterable[str]
) -> list[tuple[str, str, int]]:
    """Names, numbers and places: those curves, and with each the same group's of the other numbers."""
    found = [(name, groups.hyperparameter, place) for name, place in curves]
    for number in numbers:
        names = group_names(trainer.optimizers, number)[groups.index]
        found += [(names[groups.members[place].index], number, place) for _, place in curves]
    return found


class Logbook:
    """The curves of one schedule during one fit, but those of the numbers ``monitored`` by another callback."""

    def __init__(self, trainer: Trainer, schedule: Schedule, log: bool, monitored: set[str]) -> None:
        self._trainer = trainer
        self._epoch_loop = trainer.fit_loop.epoch_loop
        self._schedule = schedule
        self._monitored = monitored
        # dicts that live as long as the fit; the properties that give them evaluate every metric of the module
        self._metrics = trainer.callback_metrics if log else None
        self._bar: dict[str, Any] | None = trainer.progress_bar_metrics if schedule.prog_bar else None
        self._last_step = schedule.record.logged
        self.point: int | None = None  # the x of a point that is due for the coming update
        self._every: int = trainer.log_every_n_steps if trainer.loggers and log else 0  # type: ignore[attr-defined]
        self._curves: dict[int, list[tuple[str, str, int]]] = {}  # by optimizer

    def name(self, driven: list[DrivenGroups], momentum: bool) -> None:
        """Choose the curves."""
        self._curves = {}
        for groups in driven:
            curves = curves_of(self._trainer, groups)
            shown = lowest_and_highest(groups, curves)
            if len(shown) < len(curves):
                (lowest, _), (highest, _) = shown
                info(
                    self._schedule,
                    f"{len(curves)} different curves; logging the lowest ({lowest}) and the highest ({highest}). Add"
                    " a LearningRateMonitor() to log them all.",
                )
            numbers = (*groups.others, "momentum") if momentum else groups.others
            self._curves[groups.index] = beside(self._trainer, groups, shown, numbers)

    def publish(self, groups: DrivenGroups) -> None:
        """Let EarlyStopping, ModelCheckpoint, the progress bar and the like see the values in force."""
        for name, number, place in self._curves[groups.index]:
            value = groups.in_force(place, number)
            if self._metrics is not None and number not in self._monitored:
                self._metrics[name] = torch.tensor(value, dtype=torch.float64)
            if self._bar is not None:
                self._bar[name] = f"{value:.3g}"  # rich would cut a number to three places

    def due(self, epoch_began: bool) -> bool:
        """Whether a point is, at the Trainer's cadence and at an epoch's first batch: a short run has some too."""
        step = logged_step(self._epoch_loop)
        wanted = self._every and (epoch_began or (step + 1) % self._every == 0)
        self.point = step if wanted and step > self._last_step else None
        return self.point is not None

    def write(self, step: int, driven: list[DrivenGroups]) -> None:
        """Send the LRs that the coming update uses to every logger."""
        self._last_step, self.point = step, None
        values = {
            name: groups.in_force(place, number)
            for groups in driven
            for name, number, place in self._curves[groups.index]
            if number not in self._monitored
        }
        for logger in self._trainer.loggers if values else ():
            logger.log_metrics(values, step=step)
