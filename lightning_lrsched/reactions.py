"""The schedules with a memory that a fit has: what they see of it, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from . import restore
from .clock import Clock
from .dashboard import send_text
from .durations import Interval
from .groups import DrivenGroups, Moment
from .history import History
from .journal import Decision, Reaction
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

    @property
    def state_key(self) -> str: ...
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
        self._all = driven
        schedules = owner._reactive()
        self._monitors = [(s, Monitor(s, s.monitor)) for s in schedules if s.monitor is not None]
        self.watches: set[Watched] = {s.watch for s in schedules if s.watch is not None}
        self.tells_time = any(s.tells_time for s in schedules)
        self._restorers = [s for s in schedules if s.restore_best]
        self._clock: Clock | None = None
        for schedule in schedules:
            self._refuse(schedule, manual)

    @property
    def _driven(self) -> list[DrivenGroups]:
        """Without the optimizers of which no group fits yet."""
        return [groups for groups in self._all if groups.members]

    def _refuse(self, schedule: Reactive, manual: bool) -> None:
        trainer, own_steps = self._trainer, manual and len(self._all) > 1
        several = f"there are {len(trainer.optimizers)} optimizers"
        if own_steps and (schedule.watch or (schedule.tells_time and self._owner.interval == "step")):
            raise refusal(schedule, f"{several}, and each counts its own steps. Give it one, by optimizer=<index>.")
        if schedule.watch == "loss" and len(trainer.optimizers) > 1:
            raise refusal(schedule, f"{several}, and a loss does not say whose it is. Pass watch='grad_norm'.")
        if trainer.strategy.restore_checkpoint_after_setup:
            sharding = f"under {type(trainer.strategy).__name__}, which shards the model"
            if schedule.restore_best:
                raise refusal(schedule, f"'restore_best' must be False {sharding}.")
            if schedule.watch == "grad_norm":
                raise refusal(schedule, f"'watch' must be 'loss' {sharding}, and its gradients.")
        for optimizer in trainer.optimizers if schedule.restore_best else ():
            if hasattr(optimizer, "consolidate_state_dict"):
                kind = type(optimizer).__name__
                raise refusal(schedule, f"'restore_best' must be False with {kind}, which shards its state.")

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
                self._follow(schedule.react(value, own, bases), schedule, now, own)
        return True

    # ---- the update that is being made

    def loss(self, loss: Tensor, t: int) -> bool:
        """Whether the loss of update ``t`` has led to a decision."""
        if loss.numel() != 1:
            schedule = next(s for s in self._owner._reactive() if s.watch == "loss")
            raise refusal(schedule, f"the loss must be one number, got {loss.numel()}. Pass watch='grad_norm'.")
        return self._watch("loss", float(loss.detach()) * self._trainer.accumulate_grad_batches / self._scale(), t)

    def gradient(self, optimizer: Optimizer, t: int) -> bool:
        """Whether the gradient of update ``t`` has led to a decision."""
        params = [param for group in optimizer.param_groups for param in group["params"]]
        grads = [param.grad for param in params if param.grad is not None]
        norm = float(get_total_norm([grad.coalesce().values() if grad.is_sparse else grad for grad in grads]))
        # a fused step takes the scale out itself
        scaled = getattr(optimizer, "_step_supports_amp_scaling", False)
        return self._watch("grad_norm", norm / self._scale() if scaled else norm, t)

    def _scale(self) -> float:
        scaler = self._trainer.scaler
        return 1.0 if scaler is None else scaler.get_scale()

    def _watch(self, watched: Watched, value: float, t: int) -> bool:
        if self._trainer.world_size > 1:
            (value,) = mean_over_ranks(self._trainer, [value])
        if watched == "grad_norm" and self._trainer.scaler is not None and not math.isfinite(value):
            return False  # the scaler skips the update
        decided = len(self._owner.journal)
        for groups in self._driven:
            for schedule, own in self._owner._active(t).items():
                if schedule.watch == watched:
                    self._follow(schedule.react(value, own, groups.distinct), schedule, t, own)
        return len(self._owner.journal) > decided

    # ---- time

    def start_clock(self, callbacks: Iterable[Callback], t: int) -> None:
        """``t`` is the first interval of this process."""
        self._clock = None
        self.tick(t)  # what has ended ends again; inside an epoch the pace cannot be told yet
        self._clock = Clock(callbacks, self._owner._history.timed_from, t)
        self._owner._history.timed_from = self._clock.measured_from

    def tick(self, t: int) -> None:
        """Let the schedules judge the time before interval ``t``."""
        clock = self._clock
        for schedule, own in self._owner._active(t).items() if self._driven else ():
            if schedule.tells_time:
                reaction = schedule.tick(own, lambda: None if clock is None else clock.left(self._trainer, t))
                self._follow(reaction, schedule, t, own)

    # ---- what follows

    def _follow(self, reaction: Reaction | None, schedule: Reactive, t: int, own: int) -> None:
        """Do what a schedule has decided at ``t``, its ``own`` t, and record it."""
        if reaction is None:
            return
        trainer, owner = self._trainer, self._owner
        if reaction.keep:
            schedule.kept = restore.keep(trainer)
        schedule.restore_due |= reaction.restore
        trainer.should_stop |= reaction.stop
        if reaction.reason:
            at = t if reaction.at is None else t + reaction.at - own
            before = max(max(groups.values) for groups in self._driven)
            after = max(max(g.values_at(at, owner._moment(at, g.distinct))) for g in self._driven)
            step, epoch = trainer.global_step, trainer.current_epoch
            decision = Decision(step, epoch, owner.hyperparameter, before, after, reaction.reason)
            owner.journal.append(decision)
            rank_zero_info(f"{type(schedule).__name__}: {decision}.")
            if owner.log_lr:
                send_text(trainer, f"{owner.state_key}/journal", str(decision))

    def restore(self) -> None:
        """Put back the weights that are due; the accumulation window must be closed."""
        for schedule in self._restorers:
            if schedule.restore_due and schedule.kept is not None:
                restore.put_back(self._trainer, schedule.kept)
            schedule.restore_due = False
