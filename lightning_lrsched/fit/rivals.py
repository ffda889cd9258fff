"""Others who write the values: schedulers of torch's, LR finders, weight averaging, a user's own hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

from lightning.pytorch import Trainer
from torch.optim import Optimizer

from ..formula.decisions import title
from .callbacks import callbacks_of, is_a
from .groups import DrivenGroups
from .messages import info, refusal, warn
from .numbers import put
from .ownership import Claim, Owner, hyperparameters, refuse_missing
from .protocol import Schedule
from .values import Values

# ---- schedulers that configure_optimizers attached


class TakenOff:
    """Stands where a torch scheduler stood that the module goes on stepping by hand."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, *args: Any, **kwargs: Any) -> None:
        pass

    def get_last_lr(self) -> list[Any]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


def take_off(claims: Sequence[tuple[Owner, Claim]], trainer: Trainer) -> None:
    """Take off the schedulers of optimizers whose LR is driven, or refuse; one schedule that says so is enough."""
    configs = trainer.strategy.lr_scheduler_configs
    optimizers = trainer.optimizers
    for config in [config for config in configs if not isinstance(config.scheduler, TakenOff)]:
        optimizer, scheduler = config.scheduler.optimizer, type(config.scheduler).__name__
        of_lr = [(owner, claim) for owner, claim in claims if "lr" in hyperparameters(owner)]
        drivers = [owner for owner, claim in of_lr if any(optimizers[index] is optimizer for index in claim)]
        if not drivers:
            continue
        taker = next((owner for owner in drivers if owner.replace_scheduler), None)
        if taker is None:
            kind = type(drivers[0]).__name__
            raise refusal(
                drivers[0],
                f"configure_optimizers attached {scheduler} to {type(optimizer).__name__}, and two cannot own one LR."
                f" Remove one, or pass {kind}(..., replace_scheduler=True) to take {scheduler} off.",
            )
        info(taker, f"took {scheduler} off for this fit.")
        _undo(taker, config.scheduler, optimizer, suggestions(trainer))
        if trainer.lightning_module.automatic_optimization:
            configs.remove(config)
        else:  # the module steps it by hand
            config.scheduler = cast(Any, TakenOff(optimizer))


def _undo(taker: Owner, scheduler: Any, optimizer: Optimizer, suggested: list[float]) -> None:
    """Put back what the scheduler has changed when it was made, as far as it can be known."""
    cycles = is_a(scheduler, "OneCycleLR") or is_a(scheduler, "CyclicLR")  # which overwrite what the groups had
    defaults = optimizer.defaults
    for group in optimizer.param_groups:
        if float(group["lr"]) not in suggested:  # else an LR finder has set it since
            put(group, "lr", float(defaults["lr"] if cycles else group.get("initial_lr", group["lr"])))
        if cycles and getattr(scheduler, "cycle_momentum", False):
            group |= {key: defaults[key] for key in ("betas", "momentum") if key in group and key in defaults}
    if cycles:
        there = ", ".join(f"{key} {defaults[key]}" for key in ("lr", "betas", "momentum") if key in defaults)
        kind = type(scheduler).__name__
        message = f"{kind} had overwritten the groups' LR; the optimizer's defaults: {there}"
        if len(optimizer.param_groups) > 1:
            warn(taker, f"{message}, stand in for what the groups had of their own, which is lost.")
        else:
            info(taker, f"{message}, stand in for it.")


# ---- LR finders


def refuse_old_finder(owner: object, trainer: Trainer) -> None:
    """Before Lightning 2.5.4 a LearningRateFinder puts back, after its search, the LR from before it."""
    classes = (cls for callback in callbacks_of(trainer) for cls in type(callback).__mro__)
    for finder in (cls for cls in classes if cls.__name__ == "LearningRateFinder"):
        package = finder.__module__.partition(".")[0]
        version = sys.modules[package].__version__
        if version.startswith(("2.5.0", "2.5.1", "2.5.2", "2.5.3")):
            raise refusal(
                owner,
                f"the LearningRateFinder of {package} {version} does not hand on to the optimizer what it has found."
                " Install version 2.5.4 or newer, or search before the fit, by Tuner(trainer).lr_find(model).",
            )


def found(trainer: Trainer) -> list[Any]:
    """What each of them has found so far."""
    finders: list[Any] = [callback for callback in callbacks_of(trainer) if is_a(callback, "LearningRateFinder")]
    return [getattr(finder, "optimal_lr", None) for finder in finders]


def suggestions(trainer: Trainer) -> list[float]:
    each = [result.suggestion() for result in found(trainer) if result is not None]
    return [float(lr) for lr in each if lr is not None]


# ---- during the fit


def installed_on(trainer: Trainer, optimizer: Optimizer) -> str | None:
    """The scheduler that has taken an optimizer over."""
    for config in trainer.lr_scheduler_configs:
        if config.scheduler.optimizer is optimizer and not isinstance(config.scheduler, TakenOff):
            return type(config.scheduler).__name__
    return None


class Rivals:
    """Those who write the values of one schedule during its fit: what they have done is followed, or undone."""

    def __init__(self, schedule: Schedule, trainer: Trainer, values: Values) -> None:
        self._schedule = schedule
        self._trainer = trainer
        self._values = values
        self._found = found(trainer)
        self._told = False  # of an edit that was undone

    def follow(self) -> list[DrivenGroups]:
        """Go on with an optimizer that came in the place of one, as of FinetuningScheduler's; the groups of such."""
        values, schedule = self._values, self._schedule
        values.optimizers = optimizers = self._trainer.strategy.optimizers
        for groups in [groups for groups in values.driven if groups.index >= len(optimizers)]:
            values.let_go(groups)
            info(schedule, f"other code took {type(groups.optimizer).__name__} away, which is driven no more.")
        replaced = [groups for groups in values.driven if groups.optimizer is not optimizers[groups.index]]
        for groups in replaced:
            old, new = groups.optimizer, optimizers[groups.index]
            refuse_missing(schedule, new, [new.param_groups[i] for i in groups.selection.of(new.param_groups)])
            groups.optimizer = new
            info(
                schedule,
                f"other code put {type(new).__name__} in the place of {type(old).__name__}. The schedule goes on with"
                f" it, from the base {title(groups.hyperparameter)} that each group had.",
            )
        return replaced

    def leave_to_others(self) -> None:
        """Let go of the groups whose LR another scheduler owns, or will own again after a restart."""
        trainer, schedule = self._trainer, self._schedule
        yielded = schedule.record.yielded
        averaging: list[Any] = [c for c in callbacks_of(trainer) if is_a(c, "StochasticWeightAveraging")]
        comes_back = any(swa.swa_start <= trainer.current_epoch for swa in averaging)
        for groups in list(self._values.driven) if "lr" in schedule.numbers else ():
            known = yielded.get(groups.index)
            scheduler = installed_on(trainer, groups.optimizer) or (known if comes_back else None)
            if scheduler is None:
                continue
            if known is None:
                info(
                    schedule,
                    f"{scheduler} was installed on {type(groups.optimizer).__name__} during the fit and owns its LR"
                    " from here on.",
                )
            yielded[groups.index] = scheduler
            self._values.let_go(groups)

    def undo_edits(self) -> None:
        """Put back what a user's own hand has edited, and tell it once."""
        for groups in self._values.driven:
            if (edited := groups.rewrite()) and not self._told:
                self._told = True
                info(
                    self._schedule,
                    f"other code changed the {' and the '.join(map(title, edited))} of"
                    f" {type(groups.optimizer).__name__}; the schedule put its own back, as it will at every change and"
                    " every epoch.",
                )

    def newly_found(self) -> float | None:
        """The LR that a search in mid-run, by the subclass of Lightning's documentation, has found and set."""
        before, self._found = self._found, found(self._trainer)
        new = [now for now, old in zip(self._found, before, strict=True) if now is not old]
        suggestion = new[-1].suggestion() if new else None
        lrs = [float(group["lr"]) for optimizer in self._trainer.optimizers for group in optimizer.param_groups]
        return None if suggestion is None or any(lr != suggestion for lr in lrs) else float(suggestion)
