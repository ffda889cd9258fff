"""The pure mathematics that schedules share: floats in, floats out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias


class Line(NamedTuple):
    """What a schedule says at one moment: ``lr = max(factor * base_lr + offset, floor)``.

    Worked out once a moment, it costs every parameter group one multiplication and one addition, and two moments
    whose lines are equal need no writing at all.

    >>> Line(0.5).at(0.1), Line(0.0, offset=0.01).at(0.1), Line(0.001, floor=0.01).at(0.1)
    (0.05, 0.01, 0.01)
    """

    factor: float
    offset: float = 0.0
    floor: float = 0.0

    def at(self, base_lr: float) -> float:
        factor, offset, floor = self
        lr = factor * base_lr + offset
        return lr if lr > floor else floor

    def of(self, base_lrs: Iterable[float]) -> list[float]:
        factor, offset, floor = self
        if floor:
            return [max(factor * base_lr + offset, floor) for base_lr in base_lrs]
        return [factor * base_lr + offset for base_lr in base_lrs]

    def times(self, ramp: float, plus: float = 0.0) -> Line:
        return Line(self.factor * ramp, self.offset * ramp + plus, self.floor * ramp + plus)


class Table(dict[float, float]):
    """The same answer where it is no line: the LR for each base LR that occurs."""

    def at(self, base_lr: float) -> float:
        return self[base_lr]

    def of(self, base_lrs: Iterable[float]) -> list[float]:
        return [self[base_lr] for base_lr in base_lrs]

    def times(self, ramp: float, plus: float = 0.0) -> Table:
        return Table({base_lr: lr * ramp + plus for base_lr, lr in self.items()})


Moment: TypeAlias = Line | Table


def cosine(t: float, length: float) -> float:
    """Half a cosine, ``(1 + cos(pi * t / length)) / 2``: from 1 at t = 0 down to 0 at ``length``, and 0 from there on.

    >>> [cosine(t, 4) for t in (0, 2, 4, 5)]
    [1.0, 0.5, 0.0, 0.0]
    """
    if 2 * t <= length:
        return (1.0 + math.cos(math.pi * (t / length))) / 2
    # the same curve as the square of a sine: near its end 1 + cos would lose the digits
    return math.sin(math.pi / 2 * (max(length - t, 0) / length)) ** 2


Shape = Literal["linear", "cosine", "exponential", "step"]


def interpolate(points: Sequence[tuple[float, float]], t: float, shape: Shape) -> float:
    """The value at ``t`` between ``(position, value)`` points: the first value before them, the last one after them.

    >>> [interpolate([(1, 0.0), (3, 1.0), (3, 5.0)], t, "linear") for t in (0, 1, 2, 3, 9)]
    [0.0, 0.0, 0.5, 5.0, 5.0]
    >>> interpolate([(0, 1.0), (2, 0.25)], 1, "exponential")
    0.5
    """
    start, value = points[0]
    if t < start:
        return value
    for position, target in points[1:]:
        if t < position:
            s, length = t - start, position - start
            if shape == "step":
                return value
            if shape == "exponential":
                return math.pow(value, 1.0 - s / length) * math.pow(target, s / length)
            rest = cosine(s, length) if shape == "cosine" else 1.0 - s / length
            return value * rest + target * (1.0 - rest)
        start, value = position, target
    return value


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
    passed = {"linear": t / warmup, "cosine": 1.0 - cosine(t, warmup), "1-sqrt": 1.0 - math.sqrt(1.0 - t / warmup)}
    return start + (1.0 - start) * passed[shape]
