"""A schedule as it stands in a run: where it starts, by which clock it goes, and what it says at a position."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from .fit.messages import refusal
from .formula.curves import Moment, times, value_of, values_of
from .formula.memory import Reactive
from .formula.timeline import PLANNED, Mark

if TYPE_CHECKING:
    from .schedule import LRSchedule

Position = Sequence[int]  # by each clock
Stretch = Sequence[Sequence[int]]  # positions one after another, by each clock


def _listed(lengths: object) -> str:
    return ", ".join(map(str, lengths)) if isinstance(lengths, (tuple, list)) else str(lengths)


class Placed:
    """``schedule`` has its durations in intervals; its own t counts from ``begin``, after the warmup from ``start``."""

    def __init__(self, schedule: LRSchedule, start: Mark, begin: Mark, clock: int) -> None:
        self.schedule = schedule
        self.clock = clock
        self._warmup = begin[begin.clock] - start[begin.clock]
        self._warmup_clock = begin.clock
        self._warmup_start = start[begin.clock]
        self._begin = begin
        self._begin_t = begin[clock]

    def moments(self, stretch: Stretch, bases: set[float]) -> Iterator[Moment]:
        """What it says at each position, for these base values."""
        passed = stretch[self._warmup_clock]
        warmed = bisect_left(passed, self._warmup_start + self._warmup)
        if warmed == 0:
            return self._after_warmup(stretch, bases)
        (first,) = self._after_warmup([(place,) for place in self._begin], bases)
        # a part may begin by another clock than that of its warmup, and the two differ by a rounding
        ramps = (self.schedule.ramp(max(place - self._warmup_start, 0), self._warmup) for place in passed[:warmed])
        before = (times(first, *ramp) for ramp in ramps) if self._warmup else repeat(first, warmed)
        return chain(before, self._after_warmup([places[warmed:] for places in stretch], bases))

    def moment(self, position: Position, bases: set[float]) -> Moment:
        """The same at one position."""
        return next(self.moments([(place,) for place in position], bases))

    def _after_warmup(self, stretch: Stretch, bases: set[float]) -> Iterator[Moment]:
        if self.schedule.says_moments:
            return self.own_moments(stretch, bases)
        return ({base: self._asked(t, base) for base in bases} for t in self._own(stretch))

    def own_moments(self, stretch: Stretch, bases: set[float]) -> Iterator[Moment]:
        """The same after the warmup, where ``lr_at`` is not the schedule's own."""
        return map(self.schedule.formula(), self._own(stretch))

    def _own(self, stretch: Stretch) -> Iterable[int]:
        """Its own t of each position."""
        begin = self._begin_t
        return [place - begin if place > begin else 0 for place in stretch[self.clock]]

    def _asked(self, t: int, base: float) -> float:
        lr = self.schedule.lr_at(t, base)
        if not (isinstance(lr, (float, Real)) and 0.0 <= lr < math.inf):  # most are floats, which is quick to see
            raise refusal(self.schedule, f"lr_at({t}, {base!r}) must return a finite number >= 0, got {lr!r}.")
        return float(lr)

    def foreseen(self) -> bool:
        """Whether its values can be told before their time: it does not react, nor is it a formula of the user's."""
        return self.schedule.says_moments and not isinstance(self.schedule, Reactive)

    def momentum(self, position: Position) -> float:
        return self.schedule.momentum_at(max(position[self.clock] - self._begin_t, 0))

    # ---- its shape

    def corners(self, end: Position) -> set[tuple[int, int]]:
        """The places before ``end`` where the curve bends or jumps, each with the clock that it goes by."""
        ramp_ends = {(self._warmup_clock, self._warmup_start + self._warmup)}
        return ramp_ends | {(self.clock, self._begin_t + t) for t in self.own_corners(end)}

    def own_corners(self, end: Position) -> Iterable[int]:
        return self.schedule.corners(max(end[self.clock] - self._begin_t, 0))

    # ---- the schedules with a memory in it

    @property
    def reactive(self) -> Reactive:
        return cast(Reactive, self.schedule)

    def leaves(self) -> list[Placed]:
        return [self] if isinstance(self.schedule, Reactive) else []

    def active(self, position: Position) -> dict[Placed, int]:
        """Those that react at ``position``, each with its own t."""
        passed = position[self._warmup_clock] - self._warmup_start
        return {} if max(passed, 0) < self._warmup else self.own_active(position)

    def own_active(self, position: Position) -> dict[Placed, int]:
        return dict.fromkeys(self.leaves(), max(position[self.clock] - self._begin_t, 0))

    def bases_of(self, leaf: Placed, bases: set[float]) -> set[float]:
        """The base values of one of those, where ``bases`` are its own."""
        return bases

    def notes(self, base: float) -> list[str]:
        """What the start of a fit is to tell."""
        note = self.schedule.note(base)
        return [f"{type(self.schedule).__name__}: {note}."] if note else []

    def told(self, given: LRSchedule, end: Position | None) -> list[str]:
        """The durations that the run has turned into intervals, or has not; ``given`` is the schedule as it was made.

        Each stands as it was given, as it came out, and by how much it is longer than what is left of the run.
        """
        found = []
        for name in ("warmup", *self.schedule.durations, *self.schedule.periods):
            asked, length = getattr(given, name), getattr(self.schedule, name)
            if length is None:
                continue
            unit = self.schedule.counts if length == 1 else f"{self.schedule.counts}s"
            came = f"{_listed(length)} {unit}"
            asked = ("the rest after the warmup" if self._warmup else "the rest") if asked is None else _listed(asked)
            clock, begin = (self.clock, self._begin_t)
            if name == "warmup":
                clock, begin = self._warmup_clock, self._warmup_start
            ends = begin + (length[-1] if isinstance(length, tuple) else length)
            over = 0 if end is None or name in self.schedule.periods else max(ends - end[clock], 0)
            resolved = asked not in (came, _listed(length))
            if resolved or over:
                too_long = f", {over} more than the run has" if over else ""
                found.append(f"{name}: {f'{asked} = ' if resolved else ''}{came}{too_long}")
        return found

    def decays(self, position: Position) -> bool:
        """Whether a decay has begun before which a checkpoint is asked for."""
        begin = self.schedule.decay_begins() if self.schedule.checkpoint_before_decay else None
        return begin is not None and position[self.clock] - self._begin_t >= begin

    def by_plan(self) -> bool:
        """Whether a change of pace concerns it."""
        return PLANNED in (self.clock, self._warmup_clock)

    def lengths(self) -> dict[str, Any]:
        """The durations in intervals."""
        schedule = self.schedule
        named = ("warmup", *schedule.durations, *schedule.periods)
        return {name: value for name in named if (value := getattr(schedule, name)) is not None}

    def values(self, stretch: Stretch, bases: list[float]) -> list[list[float]]:
        """For each base value, the values at these positions."""
        moments = self.moments(stretch, set(bases))
        if len(bases) == 1:
            base = bases[0]
            return [[value_of(moment, base) for moment in moments]]
        return [list(column) for column in zip(*(values_of(moment, bases) for moment in moments), strict=True)]
