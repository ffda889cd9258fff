"""Cosine annealing, once and with warm restarts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import MOST, Line, cosine, ramp, recurring
from ..schedule import FlooredArguments, FlooredSchedule


class CosineAnnealing(FlooredSchedule):
    r"""Half a cosine from the base LR to the floor, which it holds.

    .. code-block:: text

        ───╮
            ╲
             ╲
              ╰──────

    ``lr(t) = eta_min + (base - eta_min) * ((1 + cos(pi * (t / t_max) ** k_decay)) / 2) ** power`` until ``t_max``, and
    ``eta_min`` from there.

    >>> annealing = CosineAnnealing(t_max=4, eta_min=0.01)
    >>> [round(annealing.lr_at(t, base_lr=0.1), 4) for t in (0, 2, 4, 5)]
    [0.1, 0.055, 0.01, 0.01]

    Args:
        t_max: Length of the descent, a positive duration. None: the rest of the run after the warmup.
        power: Exponent of the half cosine, > 0: above 1 the LR falls sooner.
        k_decay: Exponent of the time, > 0: above 1 the LR falls later.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    ``torch.optim.lr_scheduler.CosineAnnealingLR`` has the same values up to ``t_max``, and climbs back after it.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017 (without the restarts);
    ``k_decay`` from Zhang and Li, k-decay, 2020.
    """

    durations = ("t_max",)
    fills_run = "t_max"

    def __init__(
        self,
        t_max: int | str | None = None,
        *,
        power: float = 1.0,
        k_decay: float = 1.0,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.t_max = None if t_max is None else checks.duration(self, "t_max", t_max, or_none="the whole run")
        self.power = checks.number(self, "power", power, "a number > 0", lambda x: x > 0)
        self.k_decay = checks.number(self, "k_decay", k_decay, "a number > 0", lambda x: x > 0)

    def line(self, t: int) -> Line:
        t_max = self.length("t_max")
        height = cosine(t, t_max) if self.k_decay == 1.0 else cosine(min(t / t_max, 1.0) ** self.k_decay, 1.0)
        return self.above_floor(height**self.power)


class CosineRestarts(FlooredSchedule):
    r"""Cosine annealing that begins anew in every cycle.

    .. code-block:: text

        ─╮  ╭──╮    ╭────╮
          ╲ │   ╲   │     ╲
           ╲│    ╲  │      ╲
            ╯     ╰─╯       ╰─   (each rise is one jump)

    ``lr(t) = eta_min + (peak - eta_min) * ((1 + cos(pi * s / T)) / 2) ** power``: the cycles i = 0, 1, ... are
    ``T = t_0 * t_mult ** i`` intervals long, rounded down to whole intervals and at least 1; ``s`` counts the intervals
    within the cycle, and its ``peak = base * decay ** i``.

    >>> restarts = CosineRestarts(t_0=2, t_mult=2, decay=0.5)
    >>> [round(restarts.lr_at(t, base_lr=1.0), 4) for t in (0, 1, 2, 4, 6, 14)]
    [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]

    Args:
        t_0: Length of the first cycle, a positive duration.
        t_mult: Each cycle is this many times as long as the one before, a number > 0; below 1 the cycles get shorter.
        decay: Factor in (0, 1] on each next peak; a peak that decays below the floor stays on it.
        power: Exponent of the half cosine, > 0: above 1 the LR falls sooner.
        cycle_warmup: A duration, from 0 on: each cycle begins with an even ramp of so many of its intervals from the
            floor, and its cosine takes the rest.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.

    A cycle's floor is reached just when the next one begins, so no interval trains at it. The restarts are counted in
    whole numbers and exact at any t; ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` has the same values.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017.
    """

    periods = ("t_0", "cycle_warmup")
    from_zero = ("warmup", "cycle_warmup")

    def __init__(
        self,
        t_0: int | str,
        t_mult: float = 1,
        *,
        decay: float = 1.0,
        power: float = 1.0,
        cycle_warmup: int | str = 0,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.t_0 = checks.duration(self, "t_0", t_0)
        self.t_mult = checks.number(self, "t_mult", t_mult, "a number > 0", lambda x: x > 0)
        self.decay = checks.number(self, "decay", decay, "a number in (0, 1]", lambda x: 0 < x <= 1)
        self.power = checks.number(self, "power", power, "a number > 0", lambda x: x > 0)
        self.cycle_warmup = checks.duration(self, "cycle_warmup", cycle_warmup, at_least=0)

    def line(self, t: int) -> Line:
        cycle, s, length = self.cycle(t)
        warmup = self.length("cycle_warmup")
        if s < warmup:
            height = ramp(s, warmup, None)
        else:
            height = cosine(s - warmup, max(length - warmup, 1)) ** self.power
        return self.above_floor(height, peak=self.decay**cycle)

    def corners(self, end: int) -> list[int]:
        length = self.length("t_0")
        starts: Sequence[int] = recurring(length, end)
        if self.t_mult != 1:
            starts = _cycles(length, str(self.t_mult), end.bit_length())[0]
            starts = starts[:: -(-len(starts) // MOST)]
        return [corner for start in starts for corner in (start, start + self.length("cycle_warmup"))]

    def cycle(self, t: int) -> tuple[int, int, int]:
        """Number of the cycle at ``t``, intervals within it, and its length."""
        length = self.length("t_0")
        if self.t_mult == 1:
            return t // length, t % length, length
        starts, lengths = _cycles(length, str(self.t_mult), t.bit_length())
        cycle = bisect_right(starts, t) - 1
        if cycle == len(starts) - 1:  # all further cycles are one interval long
            return cycle + t - starts[-1], 0, 1
        return cycle, t - starts[cycle], lengths[cycle]


@lru_cache(maxsize=8)
def _cycles(t_0: int, t_mult: str, bits: int) -> tuple[list[int], list[int]]:
    """Starts and lengths of the cycles up to ``2 ** bits``, or up to the first that stays one interval long.

    In whole numbers and fractions: a logarithm in floating point would miss borders.
    """
    factor, exact = Fraction(t_mult), Fraction(t_0)
    starts, lengths = [0], [t_0]
    while starts[-1] <= 2**bits and not (lengths[-1] == 1 and factor < 1):
        # digits beyond any run's reach would only slow it down
        exact = (exact * factor).limit_denominator(10**40)
        starts.append(starts[-1] + lengths[-1])
        lengths.append(max(int(exact), 1))
    return starts, lengths
