"""The pure mathematics that schedules share: floats in, floats out."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

Line: TypeAlias = tuple[float, float, float]
"""What a schedule says at one moment: ``lr = max(factor * base_lr + offset, floor)``.

Worked out once a moment, it costs every parameter group one multiplication and one addition, and two moments whose
lines are equal need no writing at all. A plain tuple, for one is made at every step.
"""

Table: TypeAlias = dict[float, float]
"""The same answer where it is no line: the LR for each base LR that occurs."""

Moment: TypeAlias = Line | Table

Formula: TypeAlias = Callable[[int], Line]


def line(factor: float, offset: float = 0.0, floor: float = 0.0) -> Line:
    return factor, offset, floor


def value_of(moment: Moment, base_lr: float) -> float:
    """The LR that a moment gives one base LR.

    >>> [value_of(moment, 0.1) for moment in (line(0.5), line(0.0, 0.01), line(0.001, floor=0.01), {0.1: 0.3})]
    [0.05, 0.01, 0.01, 0.3]
    """
    if isinstance(moment, dict):
        return moment[base_lr]
    factor, offset, floor = moment
    lr = factor * base_lr + offset
    return lr if lr > floor else floor


def values_of(moment: Moment, base_lrs: Iterable[float]) -> list[float]:
    """The LRs that it gives several."""
    if isinstance(moment, dict):
        return [moment[base_lr] for base_lr in base_lrs]
    factor, offset, floor = moment
    if floor:
        return [max(factor * base_lr + offset, floor) for base_lr in base_lrs]
    return [factor * base_lr + offset for base_lr in base_lrs]


def times(moment: Moment, ramp: float, plus: float = 0.0) -> Moment:
    """The same, with every LR times ``ramp`` and ``plus`` more."""
    if isinstance(moment, dict):
        return {base_lr: lr * ramp + plus for base_lr, lr in moment.items()}
    factor, offset, floor = moment
    return factor * ramp, offset * ramp + plus, floor * ramp + plus


def cosine(t: float, length: float) -> float:
    """Half a cosine, ``(1 + cos(pi * t / length)) / 2``: from 1 at t = 0 down to 0 at ``length``, and 0 from there on.

    >>> [cosine(t, 4) for t in (0, 2, 4, 5)]
    [1.0, 0.5, 0.0, 0.0]
    """
    if 2 * t <= length:
        return (1.0 + math.cos(math.pi * (t / length))) / 2
    # the same curve as the square of a sine: near its end 1 + cos would lose the digits
    return math.sin(math.pi / 2 * ((length - t) / length)) ** 2 if t < length else 0.0


Shape = Literal["linear", "cosine", "exponential", "step"]


def interpolated(points: Sequence[tuple[float, float]], shape: Shape) -> Callable[[float], float]:
    """The curve through ``(position, value)`` points: the first value before them, the last one after them.

    >>> [interpolated([(1, 0.0), (3, 1.0), (3, 5.0)], "linear")(t) for t in (0, 1, 2, 3, 9)]
    [0.0, 0.0, 0.5, 5.0, 5.0]
    >>> interpolated([(0, 1.0), (2, 0.25)], "exponential")(1)
    0.5
    """
    positions, values = [position for position, _ in points], [value for _, value in points]

    def at(t: float) -> float:
        passed = bisect_right(positions, t)
        if not 0 < passed < len(values):
            return values[0 if passed == 0 else -1]
        value, target, start = values[passed - 1], values[passed], positions[passed - 1]
        s, length = t - start, positions[passed] - start
        if shape == "step":
            return value
        if shape == "exponential":
            return math.pow(value, 1.0 - s / length) * math.pow(target, s / length)
        rest = cosine(s, length) if shape == "cosine" else 1.0 - s / length
        return value * rest + target * (1.0 - rest)

    return at


MOST = 100  # times that something recurring is told: more would fill any picture


def recurring(period: int, end: int) -> range:
    """The multiples of ``period`` before ``end``; where they are very many, evenly picked ones.

    >>> list(recurring(4, 10)), list(recurring(1, 201))[:3]
    ([0, 4, 8], [0, 3, 6])
    """
    return range(0, end, period * max(-(-end // (period * MOST)), 1))


Ramp = Literal["linear", "cosine", "1-sqrt", "exponential"]


def ramp(t: float, warmup: int, start: float | None, shape: Ramp = "linear") -> float:
    """The warmup's factor at ``t < warmup``: from ``start`` (None: one even stair of the ramp) to 1.

    >>> [ramp(t, 4, None) for t in range(4)], [ramp(t, 4, 0.0) for t in range(4)]
    ([0.2, 0.4, 0.6, 0.8], [0.0, 0.25, 0.5, 0.75])
    >>> ramp(2, 4, 0.0, "cosine"), ramp(3, 4, 0.0, "1-sqrt"), ramp(1, 2, 0.25, "exponential")
    (0.5, 0.5, 0.5)
    """
    if start is None:
        if shape == "linear":
            return (t + 1) / (warmup + 1)
        start = 1 / (warmup + 1)
    if shape == "exponential":
        return math.pow(start, 1.0 - t / warmup)
    passed = t / warmup
    if shape == "cosine":
        passed = 1.0 - cosine(t, warmup)
    elif shape == "1-sqrt":
        passed = 1.0 - math.sqrt(1.0 - passed)
    return start + (1.0 - start) * passed
