"""Durations and the run's length: "5 epochs", "500 steps" and "10%" as numbers of intervals.

An *interval* is what a schedule counts, an epoch or a step; a step is one optimizer update.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

Interval = Literal["epoch", "step"]

_DURATION = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(epochs?|steps?|%)\s*", re.ASCII)


def parse(duration: str) -> tuple[Fraction, str] | None:
    """Amount and unit ("epoch", "step" or "%"); None where the string is no duration.

    >>> parse("5 epochs"), parse("2.5%"), parse("soon")
    ((Fraction(5, 1), 'epoch'), (Fraction(5, 2), '%'), None)
    """
    match = _DURATION.fullmatch(duration)
    return (Fraction(match[1]), match[2].rstrip("s")) if match else None


@dataclass(frozen=True)
class Pace:
    """Optimizer updates an epoch: ``stretches`` of (first epoch, updates an epoch) from epoch 0 on.

    Several stretches occur where the gradient accumulation changes during the run.

    >>> pace = Pace(((0, 2), (3, 7)))
    >>> pace.steps(3), pace.steps(4), pace.epochs(13)
    (Fraction(6, 1), Fraction(13, 1), Fraction(4, 1))
    """

    stretches: tuple[tuple[int, int], ...]

    @property
    def even(self) -> bool:
        return len({updates for _, updates in self.stretches}) == 1

    def _bounded(self) -> list[tuple[int, int | None, int]]:
        ends = [first for first, _ in self.stretches[1:]]
        return [(first, end, updates) for (first, updates), end in zip(self.stretches, [*ends, None], strict=True)]

    def steps(self, epochs: Fraction | int) -> Fraction:
        """Updates in the first ``epochs`` epochs."""
        total = Fraction(0)
        for first, end, updates in self._bounded():
            stop = epochs if end is None else min(end, epochs)
            total += max(stop - first, 0) * updates
        return total

    def after(self, epoch: int) -> Pace:
        """The pace of what is left from ``epoch`` on."""
        left = [(first, updates) for first, end, updates in self._bounded() if end is None or end > epoch]
        return Pace(tuple((max(first - epoch, 0), updates) for first, updates in left))

    def epochs(self, steps: Fraction | int) -> Fraction:
        """Epochs that the first ``steps`` updates take."""
        left = Fraction(steps)
        for first, end, updates in self._bounded():
            if end is None or left <= (end - first) * updates:
                return first + left / updates
            left -= (end - first) * updates
        raise AssertionError("the last stretch has no end")


@dataclass(frozen=True)
class RunLength:
    """What the Trainer knows of the run's length; None is what it cannot know, and ``unknown`` says why."""

    epochs: int | None
    steps: int | None
    pace: Pace | None
    unknown: str = ""

    def after(self, epoch: int, step: int) -> RunLength:
        """The length of what is left from there on."""
        epochs = None if self.epochs is None else self.epochs - epoch
        steps = None if self.steps is None else self.steps - step
        return RunLength(epochs, steps, None if self.pace is None else self.pace.after(epoch), self.unknown)

    def total(self, interval: Interval) -> int | None:
        """The earlier of the two limits, in intervals; epochs are rounded up."""
        if interval == "epoch":
            by_steps = None if self.steps is None or self.pace is None else ceil(self.pace.epochs(self.steps))
            if self.steps is not None and by_steps is None:
                return None
            limits = [self.epochs, by_steps]
        else:
            by_epochs = None if self.epochs is None or self.pace is None else int(self.pace.steps(self.epochs))
            if self.epochs is not None and by_epochs is None:
                return None
            limits = [by_epochs, self.steps]
        known = [limit for limit in limits if limit is not None]
        return min(known, default=None)

    def intervals(self, duration: int | str, interval: Interval, start: int | None) -> Fraction | None:
        """``duration`` from interval ``start`` on; None where the Trainer cannot tell.

        ``start=None`` is a duration that recurs, such as a cycle: it has one length only at an even pace.
        """
        if isinstance(duration, int):
            return Fraction(duration)
        parsed = parse(duration)
        if parsed is None:
            raise ValueError(f"{duration!r} is no duration.")
        amount, unit = parsed
        if unit == "%":
            total = self.total(interval)
            return None if total is None else amount * total / 100
        if unit == interval:
            return amount
        if self.pace is None or (start is None and not self.pace.even):
            return None
        begin = start or 0
        if interval == "step":
            return self.pace.steps(self.pace.epochs(begin) + amount) - begin
        return self.pace.epochs(self.pace.steps(begin) + amount) - begin
