"""The values of a moment: put into the driven groups, and shown to whoever looks."""

from __future__ import annotations

from collections.abc import Callable

from lightning.pytorch import Trainer

from .callbacks import callbacks_of, is_a, looks_at_any_batch
from .groups import DrivenGroups
from .logbook import Logbook
from .position import Progress
from .protocol import Placed, Schedule

AHEAD = 256  # intervals that are worked out at once at most


class Values:
    """Writes what one schedule says into its groups, and only when that changes.

    ``driven`` are the groups as long as they are the schedule's; ``joined`` is called when groups came or went.
    """

    def __init__(
        self, schedule: Schedule, trainer: Trainer, driven: list[DrivenGroups], joined: Callable[[], None]
    ) -> None:
        self._schedule = schedule
        self._trainer = trainer
        self._joined = joined
        self.logbook: Logbook | None = None
        self._watched = False  # whether a callback may look at the values at any batch
        self._ahead: int  # intervals to be worked out at once at most
        self.driven = driven
        self.optimizers = trainer.strategy.optimizers  # all of the Trainer's, at the last look
        self.placed: Placed
        self.progress: Progress

    def open_logbook(self, schedules: list[Schedule]) -> None:
        """``schedules`` are all of the Trainer's."""
        schedule, trainer = self._schedule, self._trainer
        own = {id(each) for each in schedules}
        others = [callback for callback in callbacks_of(trainer) if id(callback) not in own]
        monitored = {"lr"} if any(is_a(c, "LearningRateMonitor") for c in others) else set()
        log = schedule.log_lr and not monitored.issuperset(schedule.numbers)
        if log or schedule.prog_bar:
            self.logbook = Logbook(trainer, schedule, log, monitored)
            self.name()
        self._watched = schedule.prog_bar or any(looks_at_any_batch(callback) for callback in others)

    def name(self) -> None:
        """The groups have changed, and their curves with them."""
        if self.logbook is not None:
            self.logbook.name(self.driven, self._schedule.momentum is not None)

    # ---- writing

    def apply(self) -> None:
        """Put the values of now in force."""
        made, progress = None, self.progress
        more = self._watched or self._schedule.momentum is not None
        for groups in self.driven:
            if made is None or progress.manual:
                made, groups.steps_begun = progress.made(groups.index), 0  # one begun may have raised
            if more or groups.put(made) is None:
                self.write(groups, made)

    def rewrite(self) -> None:
        """The same, after a decision."""
        for groups in self.driven:
            groups.forget()
            self.write(groups, self.progress.made(groups.index))

    def write(self, groups: DrivenGroups, made: int) -> None:
        """Put the values of an interval in force, whatever that takes."""
        if groups.changed:
            self._adopt(groups, made)
        changed = groups.put(made)
        if changed is None:
            self._foresee(groups, made)
            changed = groups.put(made)
        if self._schedule.momentum is not None:
            momentum = self.placed.momentum(self.progress.at(made))
            groups.write_beside("momentum", [momentum] * len(groups.members))
        if changed and self._watched:
            self.publish([groups])

    def _foresee(self, groups: DrivenGroups, made: int) -> None:
        """Work out the values of an interval; and where intervals come one by one, the next ones', ever more."""
        ahead = min(2 * len(groups.coming), self._ahead) if made - 1 in groups.coming else 1
        stretch = self.progress.stretch(range(made, made + ahead))
        groups.foresee(made, self.placed.moments(stretch, groups.distinct))

    def place(self, placed: Placed) -> None:
        """The schedule as it stands in the run from now on."""
        self.placed = placed
        # a schedule that reacts may yet say otherwise, and a formula of the user's is asked when its time has come
        self._ahead = AHEAD if placed.foreseen() else 1
        for groups in self.driven:
            groups.forget()

    def _adopt(self, groups: DrivenGroups, made: int) -> None:
        """Take the groups as they are now."""
        groups.adopt(made, lambda bases: self.placed.moment(self.progress.at(made), bases))
        self._schedule.record.late[groups.index] = groups.late
        self._joined()
        self.name()

    def note(self) -> None:
        """Put into the record what whoever goes on from here must know: the time, and what is in force."""
        self.progress.note_time()
        for groups in self.driven:
            self._schedule.record.values[groups.index] = max(groups.values, default=0.0)

    def take_in(self) -> None:
        """Groups that came inside a batch, whose position stands."""
        for groups in self.driven:
            if groups.changed and groups.made is not None:
                self.write(groups, groups.made)

    def let_go(self, groups: DrivenGroups) -> None:
        self.driven.remove(groups)
        self.name()

    # ---- showing

    def publish(self, driven: list[DrivenGroups] | None = None) -> None:
        """Let other callbacks see the values: at every change if one may look, else when Lightning's own do."""
        if self.logbook is not None:
            for groups in self.driven if driven is None else driven:
                self.logbook.publish(groups)

    def log_point(self) -> None:
        """Log the point that is due, once its update has the values that it will have."""
        if self.logbook is not None and (step := self.logbook.point) is not None:
            self.logbook.write(step, self.driven)
            self._schedule.record.logged = step
