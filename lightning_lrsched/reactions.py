"""The schedules with a memory that a fit has: what they see of it, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from . import restore
from .clock import Clock
from .durations import Interval
from .groups import DrivenGroups, Moment
from .history import History
from .journal import Decision, Reaction
from .logbook import send_text
from .monitor import Monitor, mean_over_ranks
from .ownership import refusal
from .reactive.base import Reactive, Watched


class Owner(Protocol):
    """The schedule that owns the parameter groups, and of which the reactive ones are parts, or the whole."""

    interval: Interval
    hyperparameter: str
    log_lr: bool
    journal: list[Decision]
    _history: History

    def _reactive(self) -> list[Reactive]: ...
    def _active(self, t: int) -> dict[Reactive, int]: ...
    def _moment(self, t: int, bases: set[float]) -> Moment: ...


class Reactions:
    """Asks the reactive schedules of one owner, does what they decide, and records it.

    ``driven`` are the groups of the fit, as long as they are the owner's.
    """

    def __init__(self, owner: Owner, trainer: Trainer, driven: list[DrivenGroups], manual: bool) -> None:
        self._owner = owner
        self._trainer = trainer
        self._driven = driven
        schedules = owner._reactive()
        self._monitors = [(s, Monitor(s, s.monitor, s.check_on_train_epoch_end)) for s in schedules if s.monitor]
        self.watches: set[Watched] = {s.watch for s in schedules if s.watch is not None}
        self.tells_time = any(s.tells_time for s in schedules)
        self._restorers = [s for s in schedules if s.restore_best]
        self._clock: Clock | None = None
        for schedule in schedules:
            self._refuse(schedule, manual)

    def _refuse(self, schedule: Reactive, manual: bool) -> None:
        trainer, own_steps = self._trainer, manual and len(self._driven) > 1
        several = f"there are {len(trainer.optimizers)} optimizers"
        if own_steps and (schedule.watch or (schedule.tells_time and self._owner.interval == "step")):
            raise refusal(schedule, f"{several}, and each counts its own steps. Give it one, by optimizer=<index>.")
        if schedule.watch == "loss" and len(trainer.optimizers) > 1:
            raise refusal(schedule, f"{several}, and a loss does not say whose it is. Pass watch='grad_norm'.")
        if schedule.restore_best and trainer.strategy.restore_checkpoint_after_setup:
            strategy = type(trainer.strategy).__name__
            raise refusal(schedule, f"'restore_best' must be False under {strategy}, which shards the model.")

    # ---- metrics

    def validation_starts(self) -> None:
        for _, monitor in self._monitors:
            monitor.validation_starts(self._trainer)

    def check(self, look: Callable[[Monitor, Trainer], float | None], t: Callable[[], int]) -> bool:
        """Let the schedules judge what is new of their metrics, at ``t()``; False where nothing is."""
        # every rank looks at every metric, whoever is active, so that none waits for another
        seen = [(schedule, look(monitor, self._trainer)) for schedule, monitor in self._monitors]
        new = [(schedule, value) for schedule, value in seen if value is not None]
        if not new or not self._driven:
            return False
        now = t()
        bases = {base for groups in self._driven for base in groups.distinct}
        for schedule, value in new:
            if (own := self._owner._active(now).get(schedule)) is not None:
                before = self._highest(now)
                self._follow(schedule.react(value, own, bases), schedule, now, own, before)
        return True

    # ---- the update that is being made

    def loss(self, loss: float, t: int) -> bool:
        """Whether the loss of update ``t`` has led to a decision."""
        scaler = self._trainer.scaler
        loss *= self._trainer.accumulate_grad_batches
        return self._watch("loss", loss if scaler is None else loss / scaler.get_scale(), t)

    def gradient(self, optimizer: Optimizer, t: int) -> bool:
        """Whether the gradient of update ``t`` has led to a decision."""
        params = [param for group in optimizer.param_groups for param in group["params"]]
        norm = float(get_total_norm([param.grad for param in params if param.grad is not None]))
        if self._trainer.scaler is not None and not math.isfinite(norm):
            return False  # the scaler skips the update
        return self._watch("grad_norm", norm, t)

    def _watch(self, watched: Watched, value: float, t: int) -> bool:
        if self._trainer.world_size > 1:
            (value,) = mean_over_ranks(self._trainer, [value])
        (groups,) = self._driven
        decided = len(self._owner.journal)
        for schedule, own in self._owner._active(t).items():
            if schedule.watch == watched:
                self._follow(schedule.react(value, own, groups.distinct), schedule, t, own, max(groups.values))
        return len(self._owner.journal) > decided

    # ---- time

    def start_clock(self, timers: Sequence[Any], t: int) -> None:
        """``timers`` are Lightning's, ``t`` is the first interval of this process."""
        self._clock = Clock(timers, self._owner._history.spent, t)

    def tick(self, t: int) -> None:
        """Let the schedules judge the time before interval ``t``."""
        if self._clock is None:
            return
        self._owner._history.spent = self._clock.spent(t)
        left = self._clock.left(self._trainer, t)
        for schedule, own in self._owner._active(t).items():
            if schedule.tells_time:
                before = self._highest(t)
                self._follow(schedule.tick(own, left), schedule, t, own, before)

    # ---- what follows

    def _follow(self, reaction: Reaction | None, schedule: Reactive, t: int, own: int, before: float) -> None:
        """Do what a schedule has decided at ``t``, its ``own`` t, and record it."""
        if reaction is None:
            return
        trainer, owner = self._trainer, self._owner
        if reaction.keep:
            schedule.kept = restore.keep(trainer)
        schedule.restore_due |= reaction.restore
        trainer.should_stop |= reaction.stop
        if reaction.reason:
            after = self._highest(t if reaction.at is None else t + reaction.at - own)
            step, epoch = trainer.global_step, trainer.current_epoch
            decision = Decision(step, epoch, owner.hyperparameter, before, after, reaction.reason)
            owner.journal.append(decision)
            rank_zero_info(f"{type(schedule).__name__}: {decision}.")
            if owner.log_lr:
                send_text(trainer, f"{type(owner).__name__}/journal", str(decision))

    def restore(self) -> None:
        """Put back the weights that are due; the accumulation window must be closed."""
        for schedule in self._restorers:
            if schedule.restore_due and schedule.kept is not None:
                restore.put_back(self._trainer, schedule.kept)
            schedule.restore_due = False

    def _highest(self, t: int) -> float:
        """The value at ``t`` of the group that has the highest."""
        moments = [(self._owner._moment(t, groups.distinct), groups.distinct) for groups in self._driven]
        return max(moment.at(base) for moment, bases in moments for base in bases)
