"""Cycles one after another: at any t the number of the cycle, how much of it has passed, and its length."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import TypeAlias

from .curves import MOST, recurring

Cycles: TypeAlias = Callable[[int], tuple[int, float, float]]


def listed(lengths: Sequence[int]) -> Cycles:
    """Cycles of these lengths, and after them one that is no more of the list.

    >>> [listed([2, 3])(t) for t in (0, 2, 4, 5)]
    [(0, 0, 2), (1, 0, 3), (1, 2, 3), (2, 0, 1)]
    """
    starts, each = [*accumulate(lengths, initial=0)], [*lengths, 1]

    def at(t: int) -> tuple[int, int, int]:
        number = bisect_right(starts, t) - 1
        return number, t - starts[number], each[number]

    return at


def equal(count: int, end: int) -> Cycles:
    """So many cycles of one length up to ``end``.

    >>> [equal(2, 5)(t) for t in (0, 2, 3, 5)]
    [(0, 0.0, 2.5), (0, 2.0, 2.5), (1, 0.5, 2.5), (2, 0.0, 2.5)]
    """
    return lambda t: (t * count // end, t * count % end / count, end / count)


def growing(length: int, factor: float) -> Cycles:
    """Cycles of which each is ``factor`` times as long as the one before, in whole intervals.

    >>> [growing(2, 1.5)(t) for t in (0, 2, 5, 9)]
    [(0, 0, 2), (1, 0, 3), (2, 0, 4), (3, 0, 6)]
    """
    if factor == 1:
        return lambda t: (t // length, t % length, length)
    exact = str(factor)
    starts, lengths = _grown(length, exact, 0)

    def at(t: int) -> tuple[int, int, int]:
        nonlocal starts, lengths
        while t >= starts[-1]:
            if lengths[-1] == 1 and factor < 1:  # and so are all further cycles
                return len(starts) - 1 + t - starts[-1], 0, 1
            starts, lengths = _grown(length, exact, t.bit_length())
        number = bisect_right(starts, t) - 1
        return number, t - starts[number], lengths[number]

    return at


def growing_starts(length: int, factor: float, end: int) -> Sequence[int]:
    """Where they start before ``end``; where they are very many, evenly picked ones.

    >>> growing_starts(2, 2, 7), growing_starts(2, 2, 6)
    ([0, 2, 6], [0, 2])
    """
    if factor == 1:
        return recurring(length, end)
    starts = [start for start in _grown(length, str(factor), end.bit_length())[0] if start < end]
    return starts[:: -(-len(starts) // MOST) or 1]


@lru_cache(maxsize=8)
def _grown(length: int, factor: str, bits: int) -> tuple[list[int], list[int]]:
    """Starts and lengths of the cycles up to ``2 ** bits``, or up to the first that stays one interval long.

    In whole numbers and fractions: a logarithm in floating point would miss borders.
    """
    times, exact = Fraction(factor), Fraction(length)
    starts, lengths = [0], [length]
    while starts[-1] <= 2**bits and not (lengths[-1] == 1 and times < 1):
        # digits beyond any run's reach would only slow it down
        exact = (exact * times).limit_denominator(10**40)
        starts.append(starts[-1] + lengths[-1])
        lengths.append(max(int(exact), 1))
    return starts, lengths
