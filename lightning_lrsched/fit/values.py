"""The values of a moment: put into the driven groups, and shown to whoever looks."""

from __future__ import annotations

from collections.abc import Callable

from lightning.pytorch import Trainer

from .callbacks import callbacks_of, is_a, looks_at_any_batch
from .groups import DrivenGroups
from .logbook import Logbook, logged_step
from .position import Progress
from .protocol import Placed, Position, Schedule


class Values:
    """Writes what one schedule says into its groups, and only when that changes.

    ``driven`` are the groups as long as they are the schedule's; ``joined`` is called when groups came or went.
    """

    def __init__(
        self, schedule: Schedule, trainer: Trainer, driven: list[DrivenGroups], joined: Callable[[DrivenGroups], None]
    ) -> None:
        self._schedule = schedule
        self._trainer = trainer
        self._joined = joined
        self._logbook: Logbook | None = None
        self._point: int | None = None  # the x of a point that is logged once its update is made
        self._watched = False  # whether a callback may look at the values at any batch
        self.driven = driven
        self.placed: Placed
        self.progress: Progress

    def open_logbook(self, schedules: list[Schedule]) -> None:
        """``schedules`` are all of the Trainer's."""
        schedule, trainer = self._schedule, self._trainer
        own = {id(each) for each in schedules}
        others = [callback for callback in callbacks_of(trainer) if id(callback) not in own]
        monitored = schedule.hyperparameter == "lr" and any(is_a(c, "LearningRateMonitor") for c in others)
        log = schedule.log_lr and not monitored
        if log or schedule.prog_bar:
            name, last = type(schedule).__name__, schedule.record.logged
            self._logbook = Logbook(trainer, name, last, log, schedule.prog_bar)
            self.name()
        self._watched = schedule.prog_bar or any(looks_at_any_batch(callback) for callback in others)

    def name(self) -> None:
        """The groups have changed, and their curves with them."""
        if self._logbook is not None:
            self._logbook.name(self.driven, self._schedule.momentum is not None)

    # ---- writing

    def apply(self) -> None:
        """Put the values of now in force."""
        position = None
        for groups in self.driven:
            if position is None or self.progress.manual:
                position = self.progress.now(groups.index)
                groups.steps_begun = 0  # one that has raised
            if groups.position != position or groups.changed:
                self.write(groups, position)

    def rewrite(self) -> None:
        """The same, after a decision or a change of the curve."""
        for groups in self.driven:
            self.write(groups, self.progress.now(groups.index))

    def write(self, groups: DrivenGroups, position: Position) -> None:
        if groups.changed:
            groups.adopt(position[0], lambda bases: self.placed.moment(position, bases))
            self._schedule.record.late[groups.index] = groups.late
            self._joined(groups)
            self.name()
        if groups.write(position, self.placed.moment(position, groups.distinct)):
            self._schedule.record.values[groups.index] = max(groups.values, default=0.0)
            if self._watched:
                self.publish([groups])
        if self._schedule.momentum is not None:
            groups.write_momentum(self.placed.momentum(position))

    def take_in(self) -> None:
        """Groups that came inside a batch, whose position stands."""
        for groups in self.driven:
            if groups.changed and groups.position is not None:
                self.write(groups, groups.position)

    def let_go(self, groups: DrivenGroups) -> None:
        self.driven.remove(groups)
        self.name()

    # ---- showing

    def publish(self, driven: list[DrivenGroups] | None = None) -> None:
        """Let other callbacks see the values: at every change if one may look, else when Lightning's own do."""
        if self._logbook is not None:
            for groups in self.driven if driven is None else driven:
                self._logbook.publish(self.driven.index(groups), groups.values)

    def note_point(self, epoch_began: bool) -> bool:
        """Whether a point of the loggers is due for the coming update."""
        if self._logbook is not None:
            step = logged_step(self._trainer)
            if self._logbook.due(step, epoch_began):
                self._point = step
                return True
        return False

    def log_point(self) -> None:
        if self._point is not None and self._logbook is not None:
            self._logbook.write(self._point, self.driven)
            self._schedule.record.logged, self._point = self._point, None
