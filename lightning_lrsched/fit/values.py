"""The values of a moment: put into the driven groups, and shown to whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile

from lightning.pytorch import Trainer

from ..formula.curves import Line, Moment
from .callbacks import callbacks_of, is_a, looks_at_any_batch
from .groups import DrivenGroups
from .logbook import Logbook
from .position import Progress
from .protocol import Placed, Schedule

AHEAD = 256  # intervals


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
        self._ahead: list[Moment] = []  # of the intervals from the first one on
        self._first = 0
        self._reacts = bool(schedule.reactive())
        self.driven = driven
        self.optimizers = trainer.optimizers  # all of the Trainer's, at the last look
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
            name, last = type(schedule).__name__, schedule.record.logged
            self._logbook = Logbook(trainer, name, last, log, schedule.prog_bar, monitored)
            self.name()
        self._watched = schedule.prog_bar or any(looks_at_any_batch(callback) for callback in others)

    def name(self) -> None:
        """The groups have changed, and their curves with them."""
        if self._logbook is not None:
            self._logbook.name(self.driven, self._schedule.momentum is not None)

    # ---- writing

    def apply(self) -> None:
        """Put the values of now in force."""
        made, progress = None, self.progress
        for groups in self.driven:
            if made is None or progress.manual:
                made = progress.made(groups.index)
                groups.steps_begun = 0  # one that has raised
            if groups.changed:
                self._adopt(groups, made)
            if groups.made != made:
                self._put(groups, made)

    def place(self, placed: Placed) -> None:
        """The schedule as it stands in the run from now on."""
        self.placed = placed
        self._ahead = []

    def _at(self, made: int, bases: set[float]) -> Moment:
        """The moment of an interval; and with it those of the next ones, twice as many each time."""
        now = self.placed.moment(self.progress.at(made), bases)
        # a schedule that reacts may yet say otherwise, and a formula of the user's is asked when its time has come
        if not self._reacts and isinstance(now, Line):
            times = min(2 * len(self._ahead) + 1, AHEAD)
            self._first, self._ahead = made, [now]
            with suppress(Exception):  # of a formula that has no value there, where the run may never come
                coming = self.placed.moments(map(self.progress.at, range(made + 1, made + times)), bases)
                self._ahead += takewhile(lambda moment: isinstance(moment, Line), coming)
        return now

    def rewrite(self) -> None:
        """The same, after a decision or a change of the curve."""
        for groups in self.driven:
            self.write(groups, self.progress.made(groups.index))

    def write(self, groups: DrivenGroups, made: int) -> None:
        if groups.changed:
            self._adopt(groups, made)
        self._put(groups, made)

    def _adopt(self, groups: DrivenGroups, made: int) -> None:
        """Take the groups as they are now."""
        groups.adopt(made, lambda bases: self.placed.moment(self.progress.at(made), bases))
        self._schedule.record.late[groups.index] = groups.late
        groups.made = None
        self._joined(groups)
        self.name()

    def _put(self, groups: DrivenGroups, made: int) -> None:
        ahead = made - self._first
        known = 0 <= ahead < len(self._ahead)
        changed = groups.write(made, self._ahead[ahead] if known else self._at(made, groups.distinct))
        if self._schedule.momentum is not None:
            momentum = self.placed.momentum(self.progress.at(made))
            groups.write_beside("momentum", [momentum] * len(groups.members))
        if changed and self._watched:
            self.publish([groups])

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
        if self._logbook is not None:
            for groups in self.driven if driven is None else driven:
                self._logbook.publish(self.driven.index(groups), groups)

    def note_point(self, epoch_began: bool) -> bool:
        """Whether a point of the loggers is due for the coming update."""
        self._point = None if self._logbook is None else self._logbook.due(epoch_began)
        return self._point is not None

    def log_point(self) -> None:
        if self._point is not None and self._logbook is not None:
            self._logbook.write(self._point, self.driven)
            self._schedule.record.logged, self._point = self._point, None
