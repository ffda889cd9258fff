"""Where a run stands: its length and pace as the Trainer knows them, and the position of each optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, cast

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.combined_loader import CombinedLoader

from ..formula.timeline import Pace, Run
from .callbacks import callbacks_of, is_a
from .protocol import Position, Schedule, Stretch


def updates_in(trainer: Trainer, batches: int, factor: int) -> int:
    """Updates of an epoch of so many batches; a strategy that accumulates by itself makes none of a short window."""
    return max(batches // factor, 1) if trainer.strategy.handles_gradient_accumulation else -(-batches // factor)


def run_of(trainer: Trainer) -> Run:
    """What the Trainer knows of the run's length."""
    epochs = None if trainer.max_epochs in (None, -1) else trainer.max_epochs
    steps = None if trainer.max_steps == -1 else trainer.max_steps
    run = Run(epochs, steps, seconds=_seconds(trainer), ranks=_ranks(trainer))
    if not trainer.lightning_module.automatic_optimization:
        why = "in manual optimization only the module knows how often an optimizer steps"
        if len(trainer.optimizers) > 1 and steps is not None:  # max_steps adds up all optimizers
            run = replace(run, epochs=None, steps=None)
        return replace(run, unknown=why, no_samples=why)
    several: list[Any] = [c for c in callbacks_of(trainer) if is_a(c, "GradientAccumulationScheduler")]
    factors = several[0].scheduling if several else {0: trainer.accumulate_grad_batches}
    batch, batches, why = _batch(trainer), trainer.num_training_batches, "the training data has no length"
    unsized = "" if batch else "the batch size of the training data is not known"
    run = replace(run, batch=batch, windows=tuple(sorted(factors.items())), no_samples=unsized or why)
    if math.isinf(batches):
        return replace(run, unknown=why)
    pace = Pace(tuple((epoch, updates_in(trainer, int(batches), n)) for epoch, n in run.windows))
    return replace(
        run,
        pace=Pace(pace.onwards(0)),
        unknown="neither max_epochs nor max_steps is set",
        samples=batch and batch * int(batches),
        trial=bool(trainer.fast_dev_run),  # type: ignore[attr-defined]
    )


def _timers(trainer: Trainer) -> list[Any]:
    return [callback for callback in callbacks_of(trainer) if is_a(callback, "Timer")]


def _seconds(trainer: Trainer) -> int | None:
    """The ``max_time`` of the Trainer, or of the Timer that ends the run first."""
    timers = [timer for timer in _timers(trainer) if timer.time_remaining() is not None]
    return round(min(timer.time_remaining() + timer.time_elapsed() for timer in timers)) if timers else None


def _batch(trainer: Trainer) -> int | None:
    """Samples of one batch of the training data, over all ranks; None where the loaders do not tell, or disagree."""
    loaders: list[Any] = CombinedLoader(trainer.train_dataloader, "min_size").flattened
    sizes = {getattr(loader, "batch_size", None) for loader in loaders}
    (size,) = sizes if len(sizes) == 1 else (None,)
    return size * _ranks(trainer) if isinstance(size, int) else None


def _ranks(trainer: Trainer) -> int:
    """The data-parallel size."""
    sampler: dict[str, Any] = getattr(trainer.strategy, "distributed_sampler_kwargs", None) or {}
    return int(sampler.get("num_replicas", 1))


def window_open(trainer: Trainer, done: int) -> bool:
    """Whether after so many batches of the epoch the gradients of an accumulation window still wait."""
    automatic = trainer.lightning_module.automatic_optimization
    return automatic and 0 < done < trainer.num_training_batches and done % trainer.accumulate_grad_batches != 0


def batches_done(trainer: Trainer) -> int:
    """Of this epoch; one that has raised is not among them."""
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return int(progress.processed)


class Progress:
    """The position of one schedule in its run, by both clocks; where the pace has changed, the plan is entered anew."""

    def __init__(self, trainer: Trainer, schedule: Schedule) -> None:
        self._trainer = trainer
        self._schedule = schedule
        self._record = schedule.record
        self.by_epoch = schedule.counts == "epoch"
        self._by_step = schedule.counts == "step"
        #: of an optimizer, by its index: the intervals that have passed
        self.made: Callable[[int], int] = self.steps
        if not self._by_step:
            self.made = self._epochs if self.by_epoch else self._clocked
        self._started = monotonic()
        # a schedule that begins with a resume finds what the Trainer has trained
        self._record.seconds = max(self._record.seconds, *(timer.time_elapsed() for timer in _timers(trainer)), 0.0)
        self.manual = not trainer.lightning_module.automatic_optimization
        # counts the Trainer's updates: trainer.global_step is six properties further away
        self._updates = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
        self.scaled = not self.manual and trainer.scaler is not None
        self._scale = cast(Any, trainer.scaler).get_scale() if self.scaled else 1.0  # after the last update
        self._parted = False  # whether the two clocks differ
        self._arriving = False  # whether what is left of the epoch is known at its first batch only

    @property
    def run(self) -> Run:
        assert self._record.run is not None
        return self._record.run

    def steps(self, index: int) -> int:
        """Updates since the schedule began, by the optimizer or, where it is one for all, by the Trainer."""
        record = self._record
        made = record.updates[index] if self.manual else self._updates.completed - record.skipped
        return made if record.restart is None else made - record.restart[1]

    def count_skipped(self) -> None:
        """An update was tried: fused optimizers skip inside their step, so only the falling scale tells."""
        if self.scaled:
            before, self._scale = self._scale, cast(Any, self._trainer.scaler).get_scale()
            self._record.skipped += self._scale < before

    def epoch(self) -> int:
        restart = self._record.restart
        return self._trainer.current_epoch if restart is None else self._trainer.current_epoch - restart[0]

    def _epochs(self, index: int) -> int:
        return self.epoch()

    def _clocked(self, index: int) -> int:
        return self.clock() - self._record.begun_at

    def clock(self) -> int:
        """The reading of the schedule's own clock, or of rank zero's watch."""
        if self._schedule.counts == "interval":
            return self._schedule.reading(self._trainer)
        if self._schedule.counts != "second":
            return 0
        seconds = int(self._record.seconds + monotonic() - self._started)
        return int(self._trainer.strategy.broadcast(seconds)) if self._trainer.world_size > 1 else seconds

    def note_time(self) -> None:
        """Add the time of this process to the record, where it counts."""
        if self._schedule.counts == "second":
            now = monotonic()
            self._record.seconds, self._started = self._record.seconds + now - self._started, now

    def now(self, index: int) -> Position:
        return self.at(self.made(index))

    def at(self, made: int) -> Position:
        return (made, math.floor(self.run.planned(made))) if self._parted else (made, made)

    def stretch(self, mades: Sequence[int]) -> Stretch:
        """Intervals one after another, by both clocks."""
        return (mades, [math.floor(self.run.planned(made)) for made in mades]) if self._parted else (mades, mades)

    def measure(self) -> tuple[Run, Run] | None:
        """Learn the run's length; where its pace has changed, the run before and after."""
        restart, before, shape = self._record.restart, self._record.run, self._record.epoch_shape
        if before is not None and before.pace is None:
            before = None
        now = run_of(self._trainer)
        self._record.epoch_shape = self._trainer.num_training_batches, self._trainer.accumulate_grad_batches
        if restart is not None:
            now = now.left_after(*restart[:2])
        if self.manual:
            self._record.run = now
            return None
        made = self.steps(0)
        self._record.run = run = self._entered(now, made) if before is None else before.goes_on_as(now, made)
        self._parted = self._by_step and len(run.knots) > 1
        moved = run.knots != (before or now).knots
        self._arriving = run.pace is not None and (moved or self._other_epoch(shape))
        return None if before is None or run.pace in (None, before.pace) else (before, run)

    def _other_epoch(self, shape: tuple[float, int]) -> bool:
        """Whether what is left of the epoch is not what was planned, though the pace is the same."""
        trainer, run = self._trainer, self.run
        if not trainer.fit_loop.restarting:
            return self.off_plan()
        planned = None if run.pace is None else run.pace.rate(self.epoch())
        now = updates_in(trainer, int(trainer.num_training_batches), trainer.accumulate_grad_batches)
        return shape != self._record.epoch_shape or planned != now

    def off_plan(self) -> bool:
        """Whether an epoch that starts is not where the plan has it: one before was cut short, or it is made anew."""
        behind = 0 if self.manual else self.run.behind(self.steps(0), self.epoch())
        off = not 0 <= behind <= self._record.skipped  # updates that were skipped are no news
        self._arriving |= off
        return off

    def _entered(self, now: Run, made: int) -> Run:
        """A run of which no record is left: the Trainer knows the epochs that are done."""
        if now.pace is None or not made:
            return now
        done = batches_done(self._trainer) if self._trainer.fit_loop.restarting else 0
        done = done if done < self._trainer.num_training_batches else 0
        planned = now.pace.steps(self.epoch()) + done // self._trainer.accumulate_grad_batches
        if planned == made:
            return now
        return replace(now, knots=((0, 0), (made, planned)), since=now.pace.epochs(planned))

    def reloaded(self) -> bool:
        """Whether an epoch has come with another number of batches, as far as it is known."""
        batches = self._trainer.num_training_batches
        return batches != self._record.epoch_shape[0] and 0 < batches < math.inf and not self.by_epoch

    def arrive(self, batch_idx: int) -> bool:
        """The first batch after a change of pace shows how much of its epoch is left; whether this is news."""
        if not self._arriving:
            return False
        trainer = self._trainer
        factor = trainer.accumulate_grad_batches
        left = updates_in(trainer, int(trainer.num_training_batches), factor) - batch_idx // factor
        return self._spread(max(left, 1), self.epoch())

    def arrive_at_the_end(self) -> bool:
        """The fit has ended without a batch after the change."""
        return self._arriving and self._spread(0, self.epoch() - 1)

    def _spread(self, updates: int, epoch: int) -> bool:
        before, self._arriving = self.run, False
        self._record.run = before.spread(self.steps(0), updates, epoch)
        self._parted = self._by_step and len(self.run.knots) > 1
        return self.run is not before
