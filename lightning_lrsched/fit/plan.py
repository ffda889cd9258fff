"""The curve that a schedule will follow from here on, in as many points as a chart needs."""

from __future__ import annotations

from math import ceil, inf

from lightning.pytorch import Trainer

from ..formula.timeline import MADE, Mark
from .logbook import beside, curves_of, logged_step, lowest_and_highest
from .position import batches_done
from .protocol import Schedule
from .values import Values

POINTS = 200  # of a curve, besides its corners

Point = tuple[int, dict[str, float]]  # a step of the loggers, and what its update will use, by the names of the curves


def places(values: Values, now: int, end: Mark) -> list[int]:
    """Evenly picked intervals, and both sides of each corner of the curve, so that a jump stays one."""
    progress = values.progress
    corners = {
        place if clock == MADE or progress.by_epoch else ceil(progress.run.made(place))
        for clock, place in values.placed.corners(end)
    }
    found = {*range(now, end.made, ceil(max(end.made - now, 1) / POINTS)), end.made - 1}
    found |= {place for corner in corners for place in (corner - 1, corner)}
    return sorted(place for place in found if now <= place < end.made)


class Plan:
    """Of one schedule before a batch: without reactions to come, and as far as the Trainer knows the run."""

    def __init__(self, trainer: Trainer, schedule: Schedule, values: Values) -> None:
        self._trainer = trainer
        self._values = values
        self._progress, run = values.progress, values.progress.run
        # seconds and clocks of one's own have no steps before they have passed
        self._run, self._end = run, run.end(schedule.counts) if schedule.counts in ("epoch", "step") else None
        self._last = run.end("step")
        self._batches, self._batches_done = trainer.num_training_batches, batches_done(trainer)
        self._steps_logged = logged_step(trainer.fit_loop.epoch_loop)

    def points(self) -> list[Point]:
        known = self._batches != inf if self._progress.manual else self._run.pace is not None
        if self._end is None or not (known if self._progress.by_epoch else not self._progress.manual):
            return []
        found = []
        for groups in self._values.driven:
            shown = lowest_and_highest(groups, curves_of(self._trainer, groups))
            curves = beside(self._trainer, groups, shown, groups.others)
            bases = groups.bases_at(place for _, place in shown)
            mades = places(self._values, self._progress.made(groups.index), self._end) if curves else []
            moments = self._values.placed.moments(self._progress.stretch(mades), bases)
            for made, moment in zip(mades, moments, strict=True):
                values = {place: groups.value_at(place, made, moment) for _, place in shown}
                lrs = {name: groups.number_at(number, place, values[place]) for name, number, place in curves}
                found.append((first := self._step(made), lrs))
                # what holds for an epoch does so from its first update to its last
                if self._progress.by_epoch and (last := self._step(made + 1) - 1) > first:
                    found.append((last, lrs))
        return found

    def _step(self, made: int) -> int:
        """The first step of an interval, as the loggers will count it."""
        if self._progress.manual:  # the Trainer counts batches there
            ahead = (made - self._progress.epoch()) * int(self._batches) - self._batches_done
        elif self._progress.by_epoch:
            assert self._run.pace is not None
            first = ceil(self._run.made(self._run.pace.steps(made)))
            ahead = (first if self._last is None else min(first, self._last.made)) - self._progress.steps(0)
        else:
            ahead = made - self._progress.steps(0)
        return self._steps_logged + max(ahead, 0)
