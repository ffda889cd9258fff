"""Cycles one after another: at any t the number of the cycle, how much of it has passed, and its length."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from .curves import MOST, recurring


def listed(t: int, lengths: Sequence[int]) -> tuple[int, int, int]:
    """Cycles of these lengths, and after them one that is no more of the list.

    >>> [listed(t, [2, 3]) for t in (0, 2, 4, 5)]
    [(0, 0, 2), (1, 0, 3), (1, 2, 3), (2, 0, 1)]
    """
    for number, length in enumerate(lengths):
        if t < length:
            return number, t, length
        t -= length
    return len(lengths), t, 1


def growing(t: int, length: int, factor: float) -> tuple[int, int, int]:
    """Cycles of which each is ``factor`` times as long as the one before, in whole intervals.

    >>> [growing(t, 2, 1.5) for t in (0, 2, 5, 9)]
    [(0, 0, 2), (1, 0, 3), (2, 0, 4), (3, 0, 6)]
    """
    if factor == 1:
        return t // length, t % length, length
    starts, lengths = _grown(length, str(factor), t.bit_length())
    number = bisect_right(starts, t) - 1
    if number == len(starts) - 1:  # all further cycles are one interval long
        return number + t - starts[-1], 0, 1
    return number, t - starts[number], lengths[number]


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
