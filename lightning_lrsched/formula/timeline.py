"""The run as a line: how many updates an epoch has, and where a run stands whose pace has changed.

A run is measured by two clocks. *Made* counts the updates that were really made; *planned* is the place in a run of
today's pace, so that whatever is a share of the run stays at its share when the pace changes. They go together, one
update at a time, and part only where the pace has changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import Any, NamedTuple

from .durations import Unit, parse

MADE, PLANNED = 0, 1
MOST_KNOTS = 50  # of the past; what began before them lies about where it lay
Number = Fraction | int


class Mark(NamedTuple):
    """A place in the run by both clocks, in intervals, and the clock by which it was measured."""

    made: int
    planned: int
    clock: int = MADE


START = Mark(0, 0)


class Pace(NamedTuple):
    """Optimizer updates an epoch: ``stretches`` of (first epoch, updates an epoch) from epoch 0 on.

    Several stretches occur where the gradient accumulation changes during the run.

    >>> pace = Pace(((0, 2), (3, 7)))
    >>> pace.steps(3), pace.steps(4), pace.epochs(13), pace.onwards(3)
    (Fraction(6, 1), Fraction(13, 1), Fraction(4, 1), ((3, 7),))
    """

    stretches: tuple[tuple[Number, Number], ...]

    def _bounded(self) -> list[tuple[Number, Number | None, Number]]:
        ends = [first for first, _ in self.stretches[1:]]
        return [(first, end, updates) for (first, updates), end in zip(self.stretches, [*ends, None], strict=True)]

    def steps(self, epochs: Number) -> Fraction:
        """Updates in the first ``epochs`` epochs."""
        total = Fraction(0)
        for first, end, updates in self._bounded():
            stop = epochs if end is None else min(end, epochs)
            total += max(stop - first, 0) * updates
        return total

    def epochs(self, steps: Number) -> Fraction:
        """Epochs that the first ``steps`` updates take."""
        left = Fraction(steps)
        for first, end, updates in self._bounded():
            if end is None or left <= (end - first) * updates:
                return first + left / updates
            left -= (end - first) * updates
        raise AssertionError("the last stretch has no end")

    def onwards(self, epoch: Number) -> tuple[tuple[Number, Number], ...]:
        """The stretches from ``epoch`` on."""
        left = [(max(first, epoch), updates) for first, end, updates in self._bounded() if end is None or end > epoch]
        return tuple(one for i, one in enumerate(left) if i == 0 or one[1] != left[i - 1][1])

    def rate(self, epoch: Number) -> Number:
        """Updates an epoch, as it is there."""
        return self.onwards(epoch)[0][1]

    def after(self, epoch: int) -> Pace:
        """The pace of what is left from ``epoch`` on, as a run of its own."""
        return Pace(tuple((first - epoch, updates) for first, updates in self.onwards(epoch)))

    def followed_by(self, other: Pace, epoch: Fraction, ratio: Fraction) -> Pace:
        """This pace, times ``ratio``, up to ``epoch``, and the ``other`` from there."""
        past = tuple((first, updates * ratio) for first, updates in self.stretches if first < epoch)
        return Pace(Pace((*past, *other.onwards(epoch))).onwards(0))


def _along(xs: Sequence[Number], ys: Sequence[Number], x: Number) -> Number:
    """The line through these points, which goes on at one for one."""
    i = max(bisect_right(xs, x) - 1, 0)
    if i == len(xs) - 1:
        return ys[i] + (x - xs[i])
    return ys[i] + Fraction((ys[i + 1] - ys[i]) * (x - xs[i]), xs[i + 1] - xs[i])


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What is known of a run's length, and how its clocks lie: ``knots`` are places by (made, planned), in updates.

    ``epochs``, ``steps`` and ``seconds`` are its limits; None is what cannot be known, and ``unknown`` says why. An
    epoch has ``samples``, and where that is unknown ``no_samples`` says why. ``windows`` are the batches that make an
    update, by epoch, and ``batch`` the samples of one batch of the loader, over all ``ranks``. ``since`` is
    the epoch of the last change of pace. ``alone``: there is no run at all, and durations with a unit stay open;
    ``trial``: it is too short for the order of its durations to mean anything.
    """

    epochs: int | None = None
    steps: int | None = None
    pace: Pace | None = None
    unknown: str = ""
    knots: tuple[tuple[Number, Number], ...] = ((0, 0),)
    since: Number = 0
    seconds: int | None = None
    samples: int | None = None
    no_samples: str = ""
    batch: int | None = None
    ranks: int = 1
    windows: tuple[tuple[int, int], ...] = ((0, 1),)
    alone: bool = False
    trial: bool = False

    # ---- the two clocks

    @cached_property
    def _columns(self) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        return tuple(made for made, _ in self.knots), tuple(planned for _, planned in self.knots)

    def planned(self, made: Number) -> Number:
        return _along(*self._columns, made)

    def made(self, planned: Number) -> Number:
        """The first place that is so far in the plan."""
        mades, ends = self._columns
        return mades[ends.index(planned)] if planned in ends else _along(ends, mades, planned)

    def at(self, interval: Unit, start: Mark, length: int, clock: int) -> Mark:
        """The place ``length`` intervals after ``start``, by ``clock``."""
        if not length:
            return start._replace(clock=clock)
        if interval != "step":
            return Mark(start.made + length, start.planned + length, clock)
        if clock == MADE:
            made = start.made + length
            return Mark(made, floor(self.planned(made)), clock)
        planned = start.planned + length
        return Mark(ceil(self.made(planned)), planned, clock)

    # ---- durations

    def end(self, interval: Unit) -> Mark | None:
        """Where the earlier of the two limits ends the run; epochs are rounded up."""
        pace, steps, epochs = self.pace, self.steps, self.epochs
        if interval == "interval":
            return None
        if interval == "second":
            return None if self.seconds is None else Mark(self.seconds, self.seconds)
        if interval == "epoch":
            limits = [] if epochs is None else [epochs]
            if steps is not None:
                if pace is None:  # they may end in any epoch
                    return None
                limits.append(ceil(pace.epochs(self.planned(steps))))
            return Mark(min(limits), min(limits)) if limits else None
        ends = [] if steps is None else [Mark(steps, floor(self.planned(steps)), MADE)]
        if epochs is not None and pace is not None:
            planned = floor(pace.steps(epochs))
            ends.append(Mark(ceil(self.made(planned)), planned, PLANNED))
        return min(ends, key=lambda end: end.made, default=None)

    def length(self, duration: int | str, interval: Unit, start: Mark | None) -> tuple[Fraction, int] | None:
        """``duration`` from ``start`` on, in intervals, and by which clock; None where it cannot be told.

        ``start=None`` is a duration that recurs, such as a cycle: it has one length only at an even pace.
        """
        if isinstance(duration, int):
            return Fraction(duration), MADE
        parsed = parse(duration)
        if parsed is None:
            raise ValueError(f"{duration!r} is no duration.")
        amount, unit = parsed
        if unit == interval:
            return amount, MADE
        if unit == "%":
            end = self.end(interval)
            return None if end is None else (amount * end[end.clock] / 100, end.clock)
        if unit == "sample" and self.samples:
            amount, unit = amount / self.samples, "epoch"
            if interval == "epoch":
                return amount, MADE
        if self.pace is None or unit not in ("epoch", "step") or interval not in ("epoch", "step"):
            return None
        if start is None:
            rates = self.pace.onwards(self.since)
            if len(rates) > 1 or (self.since and interval == "epoch"):  # nor can the epochs of the past be told anew
                return None
            return (amount * rates[0][1], PLANNED) if interval == "step" else (amount / rates[0][1], MADE)
        begin = start.planned
        if interval == "step":
            return self.pace.steps(self.pace.epochs(begin) + amount) - begin, PLANNED
        made = self.made(self.pace.steps(begin)) + amount
        return self.pace.epochs(self.planned(made)) - begin, MADE

    def why_not(self, duration: int | str | None, interval: Unit) -> str:
        """Why a duration cannot be told."""
        unit = parse(duration) if isinstance(duration, str) else None
        if interval == "interval":
            return "how many there are only the function of its interval knows"
        if unit and unit[1] == "second" and interval != "second":
            return "only interval='second' counts time"
        if interval == "second":
            return "max_time is not set" if unit is None or unit[1] == "%" else "interval='second' counts time"
        return self.no_samples if unit and unit[1] == "sample" and not self.samples else self.unknown

    # ---- a run that goes on

    def left_after(self, epoch: int, step: int) -> Run:
        """What is left of the run from there on, as a run of its own."""
        epochs = None if self.epochs is None else self.epochs - epoch
        steps = None if self.steps is None else self.steps - step
        return replace(self, epochs=epochs, steps=steps, pace=None if self.pace is None else self.pace.after(epoch))

    def goes_on_as(self, now: Run, made: int) -> Run:
        """This run, left after ``made`` updates, at the pace and with the limits that it has ``now``.

        A place stays at its share of the run that was planned, and where that has no end, at its epoch.

        >>> before, now = Run(4, pace=Pace(((0, 8),))), Run(4, pace=Pace(((0, 4),)))
        >>> run = before.goes_on_as(now, made=16)
        >>> run.planned(16), run.end("step"), run.since
        (Fraction(8, 1), Mark(made=24, planned=16, clock=1), Fraction(2, 1))
        """
        now = replace(now, samples=self.samples or now.samples)  # of data of another size they stay the same share
        if self.pace is None or now.pace is None:
            return replace(now, knots=self.knots, since=self.since)
        left = self.planned(made)
        done = self.pace.epochs(left)
        if self.pace.onwards(floor(done)) == now.pace.onwards(floor(done)):
            return replace(now, pace=self.pace, knots=self.knots, since=self.since)
        if self.epochs is not None and done < self.epochs:
            ratio = (now.pace.steps(self.epochs) - now.pace.steps(done)) / (self.pace.steps(self.epochs) - left)
        else:
            ratio = Fraction(now.pace.rate(done)) / self.pace.rate(done)
        past = [(m, p * ratio) for m, p in self.knots if m < made]
        pace = self.pace.followed_by(now.pace, done, ratio)
        return replace(now, pace=pace, knots=(*past, (made, left * ratio)), since=done)

    def behind(self, made: int, epoch: int) -> Number:
        """By how much the plan is not where it should be when ``epoch`` starts."""
        return 0 if self.pace is None else self.pace.steps(epoch) - self.planned(made)

    def spread(self, made: int, updates: int, epoch: int) -> Run:
        """What is left of the plan up to the end of ``epoch``, spread over the ``updates`` that are left there."""
        assert self.pace is not None
        here = self.planned(made)
        end = max(self.pace.steps(epoch + 1), here)
        if here + updates == end and made >= self.knots[-1][0]:
            return self
        past = [(m, p) for m, p in self.knots if m < made][-MOST_KNOTS:]
        return replace(self, knots=(*past, (made, here), (made + updates, end)))

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, in primitives."""
        stretches = () if self.pace is None else self.pace.stretches
        pairs = {"pace": stretches, "knots": self.knots}
        told = {name: [(str(a), str(b)) for a, b in places] for name, places in pairs.items()}
        return {"epochs": self.epochs, "samples": self.samples, "since": str(self.since), **told}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Run:
        pace, knots = (tuple((Fraction(a), Fraction(b)) for a, b in state[name]) for name in ("pace", "knots"))
        since = Fraction(state["since"])
        paced = Pace(pace) if pace else None
        samples = state.get("samples")  # which checkpoints before December 2026 do not have
        return cls(state["epochs"], pace=paced, knots=knots, since=since, samples=samples)


ALONE = Run(alone=True)
