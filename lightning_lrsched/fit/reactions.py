"""The schedules with a memory that a fit has: what they see of it, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsFloat

from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import Optimizer

from ..formula.decisions import Decision, Reaction
from ..formula.memory import Reactive, Watched
from . import restore, shards
from .callbacks import callbacks_of
from .clock import Clock
from .dashboard import send_text
from .groups import DrivenGroups
from .messages import info, refusal
from .monitor import Monitor
from .protocol import Position, Schedule
from .readings import Reading
from .values import Values


class Reactions:
    """Asks the reactive schedules of one owner, does what they decide, and records it.

    What it is told it answers by whether something was decided.
    """

    def __init__(self, owner: Schedule, trainer: Trainer, values: Values) -> None:
        self._owner = owner
        self._trainer = trainer
        self._values = values
        self._clock: Clock | None = None
        self._skips = False  # whether the update that is being made is not to be made
        self._schedules = schedules = owner.reactive()
        self._monitors = [(i, Monitor(s, s.monitor, trainer)) for i, s in enumerate(schedules) if s.monitor is not None]
        self.watches: set[Watched] = {s.watch for s in schedules if s.watch is not None}
        self.tells_time = any(s.tells_time for s in schedules)
        for schedule in schedules:
            _refuse(schedule, owner, trainer, len(values.driven))

    @property
    def _driven(self) -> list[DrivenGroups]:
        """Without the optimizers of which no group fits yet."""
        return [groups for groups in self._values.driven if groups.members]

    def _positions(self) -> list[Position]:
        """Of each driven optimizer, or the one that all have."""
        progress = self._values.progress
        driven = self._driven if progress.manual else self._driven[:1]
        return [progress.now(groups.index) for groups in driven]

    def _active(self, positions: Sequence[Position]) -> dict[Any, int]:
        """The schedules that react at every one of the positions, each with its own t, that of the last to come."""
        each = [self._values.placed.active(position) for position in positions]
        return {leaf: min(one[leaf] for one in each) for leaf in each[0] if all(leaf in one for one in each)}

    def start(self) -> None:
        """The checkpoint is restored, which holds whole what a rank keeps its own shards of."""
        for schedule in self._schedules:
            if schedule.memory.kept is not None:
                schedule.memory.kept = restore.take(self._trainer, schedule.memory.kept)
        self.start_clock()

    def move(self, ratio: float) -> None:
        """The pace has changed: what is remembered of the curve lies elsewhere."""
        for leaf in self._values.placed.leaves():
            if leaf.clock:
                leaf.reactive.move(ratio)

    # ---- metrics

    def validation_starts(self) -> None:
        for _, monitor in self._monitors:
            monitor.validation_starts()

    def check(self, look: Callable[[Monitor], float | None], epochs_ago: int = 0) -> bool:
        """Let the schedules judge what is new of their metrics."""
        # every rank looks at every metric, whoever is active, so that none waits for another
        seen = [(i, look(monitor)) for i, monitor in self._monitors]
        new = [(i, value) for i, value in seen if value is not None]
        if not new or not self._driven:
            return False
        ago = epochs_ago if self._owner.counts == "epoch" else 0
        positions = [(made - ago, planned - ago) for made, planned in self._positions()]
        bases = {base for groups in self._driven for base in groups.distinct}
        leaves = self._values.placed.leaves()
        for i, value in new:
            if (own := self._active(positions).get(leaves[i])) is not None:
                reaction = leaves[i].reactive.react(value, own, self._values.placed.bases_of(leaves[i], bases))
                self._follow(reaction, leaves[i].reactive, positions[0], own)
        return True

    def note_waiting(self) -> None:
        for _, monitor in self._monitors:
            monitor.note_waiting()

    def warn_if_never(self) -> None:
        for _, monitor in self._monitors:
            monitor.warn_if_never()

    # ---- the update that is being made

    def loss(self, loss: Tensor) -> bool:
        if loss.numel() != 1:
            schedule = next(s for s in self._schedules if s.watch == "loss")
            raise refusal(schedule, f"the loss must be one number, got {loss.numel()}. Pass watch='grad_norm'.")
        factor = self._trainer.accumulate_grad_batches / self._scale()
        return self._watch("loss", Reading(self._trainer, loss, factor))

    def gradient(self, optimizer: Optimizer) -> bool:
        params = [param for group in optimizer.param_groups for param in group["params"]]
        decided = "grad_norm" in self.watches and self._watch("grad_norm", self._norm(optimizer, params))
        if self._skips:
            self._skips = False
            _drop(params, self._unscales(optimizer))
        return decided

    def _norm(self, optimizer: Optimizer, params: list[Tensor]) -> Reading:
        grads = [param.grad for param in params if param.grad is not None]
        norm = shards.total_norm([grad.coalesce().values() if grad.is_sparse else grad for grad in grads])
        return Reading(self._trainer, norm, 1.0 / self._scale() if self._unscales(optimizer) else 1.0)

    def _unscales(self, optimizer: Optimizer) -> bool:
        """Whether its fused step takes the scale of a GradScaler out itself."""
        return self._trainer.scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False)

    def _scale(self) -> float:
        scaler = self._trainer.scaler
        return 1.0 if scaler is None else scaler.get_scale()

    def _watch(self, watched: Watched, reading: Reading) -> bool:
        if watched == "grad_norm" and self._trainer.scaler is not None and not math.isfinite(float(reading)):
            return False  # the scaler skips the update
        decided = False
        for groups in self._driven:
            position = self._values.progress.now(groups.index)
            for leaf, own in self._values.placed.active(position).items():
                if leaf.reactive.watch == watched and (value := _due(reading, leaf.reactive)) is not None:
                    reaction = leaf.reactive.react(float(value), own, groups.distinct)
                    decided |= self._follow(reaction, leaf.reactive, position, own)
        return decided

    # ---- time

    def start_clock(self) -> None:
        """Of this process, at its first interval."""
        if not self.tells_time or not self._driven:
            return
        self._clock = None
        self.tick()  # what has ended ends again; inside an epoch the pace cannot be told yet
        record, (position, *_) = self._owner.record, self._positions()
        self._clock = Clock(callbacks_of(self._trainer), record.timed_from, position[0])
        record.timed_from = self._clock.measured_from

    def tick(self, ahead: int = 0) -> None:
        """Let the schedules judge the time before the interval of now, or one that is ``ahead``."""
        if not self.tells_time or not self._driven:
            return
        made, planned = self._positions()[0]
        position, clock = (made + ahead, planned + ahead), self._clock
        for leaf, own in self._values.placed.active(position).items():
            if leaf.reactive.tells_time:
                left = lambda: None if clock is None else clock.left(self._trainer, position[0])  # noqa: E731
                self._follow(leaf.reactive.tick(own, left), leaf.reactive, position, own)

    # ---- what follows

    def _follow(self, reaction: Reaction | None, schedule: Reactive, position: Position, own: int) -> bool:
        """Do what a schedule has decided at its ``own`` t, and record it; whether it has decided something."""
        if reaction is None:
            return False
        trainer, owner = self._trainer, self._owner
        if reaction.keep:
            schedule.memory.kept = restore.keep(trainer)
        schedule.memory.restore_due |= reaction.restore
        self._skips |= reaction.skip
        trainer.should_stop |= reaction.stop
        if not reaction.reason:
            return False
        ahead = 0 if reaction.at is None else reaction.at - own
        made, planned = position[0] + ahead, position[1] + ahead
        before = max(max(groups.values) for groups in self._driven)
        moment = self._values.placed.moment
        after = max(max(g.values_at(made, moment((made, planned), g.distinct))) for g in self._driven)
        step, epoch = trainer.global_step, trainer.current_epoch
        decision = Decision(step, epoch, owner.numbers[0], before, after, reaction.reason)
        owner.journal.append(decision)
        info(schedule, f"{decision}.")
        if owner.log_lr:
            send_text(trainer, f"{owner.state_key}/journal", [*map(str, owner.journal)])
        return True

    def restore(self) -> None:
        """Put back the weights that are due; the accumulation window must be closed."""
        for schedule in self._schedules:
            memory = schedule.memory
            if memory.restore_due and memory.kept is not None:
                restore.put_back(self._trainer, memory.kept)
            memory.restore_due = False


def _refuse(schedule: Reactive, owner: Schedule, trainer: Trainer, driven: int) -> None:
    """What cannot be told apart, or not be kept, in this fit; of a part, the whole is what can be changed."""
    automatic = trainer.lightning_module.automatic_optimization
    several = f"there are {len(trainer.optimizers)} optimizers"
    if not automatic and driven > 1 and (schedule.watch or (schedule.tells_time and owner.counts == "step")):
        whole = "it" if isinstance(owner, Reactive) else f"its whole, the {type(owner).__name__},"
        raise refusal(schedule, f"{several}, and each counts its own steps. Give {whole} one, by optimizer=<index>.")
    if schedule.watch == "loss" and len(trainer.optimizers) > 1:
        raise refusal(schedule, f"{several}, and a loss does not say whose it is. Pass watch='grad_norm'.")
    if schedule.watch and not schedule.lag and trainer.strategy.handles_gradient_accumulation:
        kind = type(trainer.strategy).__name__
        raise refusal(
            schedule, f"{kind} keeps the gradients to itself, so that no update can be skipped. Pass lag=True."
        )
    if trainer.strategy.restore_checkpoint_after_setup and not shards.known(trainer.lightning_module):
        why = (
            f"under {type(trainer.strategy).__name__}, whose shards do not say which part of the model they are. Those"
            " of ModelParallelStrategy, by fully_shard, do."
        )
        if schedule.restore_best:
            raise refusal(schedule, f"'restore_best' must be False {why}")
        if schedule.watch == "grad_norm":
            raise refusal(schedule, f"'watch' must be 'loss' {why}")
    for optimizer in trainer.optimizers if schedule.restore_best else ():
        if hasattr(optimizer, "consolidate_state_dict"):
            raise refusal(
                schedule,
                f"'restore_best' must be False with {type(optimizer).__name__}, which tells the state of its shard only"
                " to rank zero. ModelParallelStrategy, by fully_shard, shards it too.",
            )


def _drop(params: Iterable[Tensor], unscales: bool) -> None:
    """Let the update not be made: an optimizer touches no parameter without a gradient, nor what it knows of it."""
    for param in params:
        if unscales and param.grad is not None:
            param.grad.zero_()  # the scaler looks for gradients yet
        else:
            param.grad = None


def _due(reading: Reading, schedule: Reactive) -> SupportsFloat | None:
    """The value to be judged: this one, or with a lag the one before, while this one is on its way."""
    if not schedule.lag:
        return reading
    due, schedule.memory.late = schedule.memory.late, reading
    return due


def reactive_in(schedules: Iterable[Schedule]) -> list[tuple[object, object]]:
    """Each schedule of a Trainer with each reactive one in it."""
    return [(schedule, reactive) for schedule in schedules for reactive in schedule.reactive()]
