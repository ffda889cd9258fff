"""The durations of a schedule in a run: from "2 epochs" and None to intervals, and the places where they end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from .fit.lightning import MisconfigurationException
from .fit.messages import refusal
from .formula import checks
from .formula.durations import parse
from .formula.timeline import Mark, Run

if TYPE_CHECKING:
    from .schedule import LRSchedule


class Span(NamedTuple):
    """A duration: the ``marks`` where it ends, several for a list; one that recurs has a ``length`` in their place."""

    clock: int
    marks: tuple[Mark, ...] = ()
    several: bool = False
    length: int | tuple[int, ...] = 0

    def intervals(self, begin: Mark, clock: int) -> int | tuple[int, ...]:
        ends = tuple(mark[clock] - begin[clock] for mark in self.marks)
        if self.several:
            return ends
        return ends[0] if ends else self.length


def open_duration(schedule: LRSchedule, argument: str) -> MisconfigurationException:
    return refusal(
        schedule,
        f"'{argument}' is {getattr(schedule, argument)!r}, which only a Trainer can turn into intervals, at the start"
        " of a fit. Pass an integer to use the schedule without one.",
    )


def not_known(schedule: LRSchedule, argument: str, why: str, what: str) -> MisconfigurationException:
    return refusal(schedule, f"'{argument}' is None, and {why}. Pass {argument}=<number of {what}>.")


def warmup_end(schedule: LRSchedule, run: Run, start: Mark) -> Mark:
    length, clock, _ = _measured(schedule, run, "warmup", schedule.warmup, start)
    return run.at(schedule.counts, start, length, clock)


def spans(schedule: LRSchedule, run: Run, begin: Mark, end: Mark | None) -> dict[str, Span]:
    """The durations of a schedule that begins at ``begin`` and has until ``end``, or until the run's end."""
    found: dict[str, Span] = {}
    for argument in (*schedule.durations, *schedule.periods):
        value = getattr(schedule, argument)
        if value is None and argument == schedule.fills_run and not run.alone:
            found[argument] = until(end_of(schedule, run, argument) if end is None else end, begin)
        elif isinstance(value, (tuple, list)) and argument in schedule.periods:
            measured = [_measured(schedule, run, argument, each, None) for each in value]
            found[argument] = Span(max(clock for _, clock, _ in measured), length=tuple(each[0] for each in measured))
        elif isinstance(value, (tuple, list)):
            checks.positions(schedule, argument, value, at_least=0)
            marks = _marks(schedule, run, argument, value, begin)
            found[argument] = Span(max(mark.clock for mark in marks), marks, several=True)
        elif value is not None and argument in schedule.durations:
            (mark,) = _marks(schedule, run, argument, (value,), begin)
            found[argument] = Span(mark.clock, (mark,))
        elif value is not None:
            length, clock, _ = _measured(schedule, run, argument, value, None)
            found[argument] = Span(clock, length=length)
    return found


def until(end: Mark, begin: Mark) -> Span:
    """One interval at least."""
    after = Mark(max(end.made, begin.made + 1), max(end.planned, begin.planned + 1), end.clock)
    return Span(end.clock, (after,))


def end_of(schedule: LRSchedule, run: Run, argument: str) -> Mark:
    end, interval = run.end(schedule.counts), schedule.counts
    if end is None:
        raise refusal(
            schedule,
            f"'{argument}' is None (the whole run), but the Trainer does not know how many {interval}s the run has:"
            f" {run.why_not(None, interval)}. Pass {_ways_out(schedule, run, argument, '100%')}.",
        )
    return end


def _marks(schedule: LRSchedule, run: Run, argument: str, values: Sequence[int | str], begin: Mark) -> tuple[Mark, ...]:
    """The places of durations from the same start, in their order."""
    measured = [_measured(schedule, run, argument, value, begin) for value in values]
    marks = tuple(run.at(schedule.counts, begin, length, clock) for length, clock, _ in measured)
    if run.since or run.trial:  # the pace has changed, and with it perhaps the order of durations by different clocks
        return tuple(max(marks[: i + 1], key=lambda mark: (mark.planned, mark.made)) for i in range(len(marks)))
    exact = [each for _, _, each in measured]
    if exact != sorted(set(exact)):
        lengths = tuple(length for length, _, _ in measured)
        raise refusal(schedule, f"'{argument}' must be strictly rising, got {values!r}: {lengths}.")
    return marks


def _measured(
    schedule: LRSchedule, run: Run, argument: str, value: int | str, start: Mark | None
) -> tuple[int, int, Fraction]:
    """A duration in whole intervals, the clock by which it goes, and its exact length."""
    interval = schedule.counts
    if run.alone and isinstance(value, str):
        raise open_duration(schedule, argument)
    value = checks.duration(schedule, argument, value, at_least=0)  # a user's own schedule may not have looked
    measured = run.length(value, interval, start)
    if measured is None:
        recurs = run.pace is not None and start is None and {interval, _unit(value)} == {"epoch", "step"}
        why = "the number of steps an epoch changes, or has changed" if recurs else run.why_not(value, interval)
        raise refusal(
            schedule,
            f"'{argument}' is {value!r}, which the Trainer cannot turn into {interval}s: {why}."
            f" Pass {_ways_out(schedule, run, argument, value)}.",
        )
    exact, clock = measured
    if exact > checks.LARGEST:
        raise refusal(schedule, f"'{argument}' must be at most {checks.LARGEST} {interval}s, got {value!r}.")
    if exact.denominator != 1 and not run.since and interval == "epoch" and _unit(value) == "step":
        raise _too_fine(schedule, argument, value, exact)
    least = 0 if argument in schedule.from_zero or not exact else 1
    return max(math.floor(exact + Fraction(1, 2)), least), clock, exact


def _ways_out(schedule: LRSchedule, run: Run, argument: str, value: int | str) -> str:
    """What can be passed in place of a duration that cannot be told in steps, but perhaps in epochs."""
    way = f"{argument}=<number of {schedule.counts}s>"
    told = schedule.counts == "step" and run.length(value, "epoch", None) is not None
    return f"{way}, or interval='epoch'" if told else way


def _unit(value: int | str) -> str:
    parsed = parse(value) if isinstance(value, str) else None
    return parsed[1] if parsed else ""


def _too_fine(schedule: LRSchedule, argument: str, value: int | str, exact: Fraction) -> MisconfigurationException:
    several = isinstance(getattr(schedule, argument), tuple)
    near = " or ".join(str(n) if several else f"{argument}={n}" for n in (int(exact), int(exact) + 1) if n)
    return refusal(
        schedule,
        f"'{argument}' must be a whole number of {schedule.counts}s, got {value!r}, which is {float(exact):g}"
        f" {schedule.counts}s in this run. Pass {near}, or interval='step'.",
    )
