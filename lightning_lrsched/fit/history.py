"""What the Trainer does not know and a checkpoint therefore keeps: the record of one schedule's run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..formula.timeline import Run
from .groups import LateGroup

BEFORE = -1  # an interval that has passed, whichever it was


@dataclass(eq=False, repr=False)
class Record:
    """Facts of the run that any schedule may go on with, and what one schedule did to its groups."""

    updates: dict[int, int] = field(default_factory=dict)  # of each optimizer, in manual optimization
    skipped: int = 0  # updates that a GradScaler skipped
    run: Run | None = None  # its length and pace, and how its two clocks lie
    epoch_shape: tuple[float, int] = (0, 0)  # batches an epoch, and how many of them make an update
    logged: int = -1  # the last x of the loggers
    late: dict[int, dict[int, LateGroup]] = field(default_factory=dict)  # by optimizer and group
    restart: tuple[int, int, float] | None = None  # epoch, step and base LR at which an LR finder began it anew
    reading: int = 0  # the last of a clock of one's own
    seconds: float = 0.0  # that were trained, in earlier processes too
    begun_at: int = 0  # the reading of the clock at which an LR finder began it anew
    timed_from: tuple[int, float] | None = None  # interval and seconds from which the pace of the time is measured
    yielded: dict[int, str] = field(default_factory=dict)  # optimizers whose LR another scheduler has taken over
    bases: dict[int, tuple[float, float]] = field(default_factory=dict)  # lowest and highest base value, by optimizer
    values: dict[int, float] = field(default_factory=dict)  # the highest value in force
    lengths: dict[str, Any] = field(default_factory=dict)  # the durations that depend on the run, in intervals

    def state(self) -> dict[str, Any]:
        late = {index: {i: tuple(group) for i, group in groups.items()} for index, groups in self.late.items()}
        kept = {k: dict(v) if isinstance(v, dict) else v for k, v in vars(self).items()}
        return {**kept, "late": late, "run": None if self.run is None else self.run.state()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Record:
        late = {index: {i: LateGroup(*group) for i, group in groups.items()} for index, groups in state["late"].items()}
        kept: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in state.items()}
        return cls(**{**kept, "late": late, "run": None if state["run"] is None else Run.of(state["run"])})

    def become(self, other: Record) -> None:
        """Take all that another says, and stay the same object: a fit holds it."""
        vars(self).update(vars(other))

    def by_another_clock(self) -> Record:
        """The same for a schedule that counts otherwise, to which the intervals of this one say nothing."""
        late = {index: {i: g._replace(t=BEFORE) for i, g in groups.items()} for index, groups in self.late.items()}
        return replace(self, late=late, reading=0, begun_at=0, timed_from=None)

    def take_over(self, other: Record, same: bool) -> None:
        """Go on where another schedule trained; ``same`` says whether it was of the same hyperparameter."""
        self.updates |= other.updates
        self.skipped = max(self.skipped, other.skipped)
        self.logged = max(self.logged, other.logged)
        self.seconds = max(self.seconds, other.seconds)
        if self.run is None:
            self.run, self.epoch_shape = other.run, other.epoch_shape
        if same:
            self.restart = other.restart or self.restart
            self.yielded |= other.yielded
            for index, groups in other.late.items():
                self.late.setdefault(index, {}).update(groups)
