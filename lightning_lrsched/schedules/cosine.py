"""Cosine annealing, once and with warm restarts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line, cosine, ramp, recurring
from ..formula.cycles import Cycles, equal, growing, growing_starts, listed
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
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")
        self.power = checks.number(self, "power", power, "a number > 0", lambda x: x > 0)
        self.k_decay = checks.number(self, "k_decay", k_decay, "a number > 0", lambda x: x > 0)

    def formula(self) -> Formula:
        t_max, k, power = self.length("t_max"), self.k_decay, self.power

        def at(t: int) -> Line:
            height = cosine(t, t_max) if k == 1.0 else cosine(min(t / t_max, 1.0) ** k, 1.0)
            return self.above_floor(height**power)

        return at


class CosineRestarts(FlooredSchedule):
    r"""Cosine annealing that begins anew in every cycle.

    .. code-block:: text

        ─╮  ╭──╮    ╭────╮
          ╲ │   ╲   │     ╲
           ╲│    ╲  │      ╲
            ╯     ╰─╯       ╰─   (each rise is one jump)

    ``lr(t) = eta_min + (peak - eta_min) * ((1 + cos(pi * s / T)) / 2) ** power``: the cycles i = 0, 1, ... are
    ``T = t_0 * t_mult ** i`` intervals long, rounded down to whole intervals and at least 1; ``s`` counts the intervals
    within the cycle, and its ``peak = base * decay ** i``. After the last cycle, where there is one, the floor is held.

    >>> restarts = CosineRestarts(t_0=2, t_mult=2, decay=0.5)
    >>> [round(restarts.lr_at(t, base_lr=1.0), 4) for t in (0, 1, 2, 4, 6, 14)]
    [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]
    >>> two = CosineRestarts([2, 4], decay=[0.8], eta_min=0.1)
    >>> [round(two.lr_at(t, base_lr=1.0), 4) for t in (0, 1, 2, 4, 6, 14)]
    [1.0, 0.55, 0.8, 0.45, 0.1, 0.1]

    Args:
        t_0: Length of the first cycle, a positive duration, or a list with the length of every cycle. None: ``cycles``
            of one length fill ``t_max``.
        t_mult: Each cycle is this many times as long as the one before, a number > 0; below 1 the cycles get shorter.
        cycles: The number of cycles, a positive integer. None: those of the list, or no end.
        t_max: Length of all cycles together, a positive duration, if ``t_0`` is None. None: the rest of the run after
            the warmup.
        decay: Factor in (0, 1] on each next peak, or a list with a factor > 0 for each restart; a peak below the floor
            stays on it.
        power: Exponent of the half cosine, > 0: above 1 the LR falls sooner.
        cycle_warmup: A duration, from 0 on: each cycle begins with a ramp of so many of its intervals, and its cosine
            takes the rest.
        cycle_warmup_start_factor: Where that ramp starts, as a factor in [0, 1] of the cycle's peak. None: an even ramp
            from the floor.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, both floors are given, or the cycles are told twice or not at all.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_0`` and
            ``t_max`` are None.

    A cycle's floor is reached just when the next one begins, so no interval trains at it before the last cycle has
    ended. The restarts are counted in whole numbers and exact at any t;
    ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` has the same values. Cycles that differ in more than length
    and peak are a :class:`~lightning_lrsched.SequentialSchedule` of :class:`CosineAnnealing`.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017.
    """

    durations = ("t_max",)
    periods = ("t_0", "cycle_warmup")
    from_zero = ("warmup", "cycle_warmup")

    def __init__(
        self,
        t_0: int | str | Sequence[int | str] | None = None,
        t_mult: float = 1,
        *,
        cycles: int | None = None,
        t_max: int | str | None = None,
        decay: float | Sequence[float] = 1.0,
        power: float = 1.0,
        cycle_warmup: int | str = 0,
        cycle_warmup_start_factor: float | None = None,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        listed = isinstance(t_0, Sequence) and not isinstance(t_0, str)
        self.t_0 = None if t_0 is None else (checks.durations if listed else checks.duration)(self, "t_0", t_0)
        self.t_mult = checks.number(self, "t_mult", t_mult, "a number > 0", lambda x: x > 0)
        self.cycles = checks.whole_or_none(self, "cycles", cycles, "no end", at_least=1)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")
        if t_0 is None and cycles is None:
            checks.refuse(self, "cycles", "a positive integer beside t_0=None", cycles)
        if listed and cycles is not None:
            checks.refuse(self, "cycles", f"None beside {t_0=}", cycles)
        if (listed or t_0 is None) and self.t_mult != 1:
            checks.refuse(self, "t_mult", f"1 beside {t_0=}", t_mult)
        if t_0 is not None and t_max is not None:
            checks.refuse(self, "t_max", f"None beside {t_0=}", t_max)
        self.fills_run = "t_max" if t_0 is None else ""
        self.decay = checks.factors(self, "decay", decay)
        self.power = checks.number(self, "power", power, "a number > 0", lambda x: x > 0)
        self.cycle_warmup = checks.duration(self, "cycle_warmup", cycle_warmup, at_least=0)
        rule, holds, start = "a number in [0, 1] or None", lambda x: 0 <= x <= 1, cycle_warmup_start_factor
        self.cycle_warmup_start_factor = checks.number_or_none(self, "cycle_warmup_start_factor", start, rule, holds)

    def formula(self) -> Formula:
        cycle_at, count, decay, power = self.cycles_at(), self.count(), self.decay, self.power
        warmup, start = self.length("cycle_warmup"), self.cycle_warmup_start_factor

        def at(t: int) -> Line:
            cycle, s, length = cycle_at(t)
            if cycle >= count:
                return self.above_floor(0.0)
            peak = decay**cycle if isinstance(decay, float) else math.prod(decay[:cycle])
            if s >= warmup:
                return self.above_floor(cosine(s - warmup, length - warmup) ** power, peak)
            if start is None:
                return self.above_floor(ramp(s, warmup, None), peak)
            up, (factor, offset, floor) = ramp(s, warmup, start), self.above_floor(1.0, peak)
            return up * factor, up * offset, up * floor

        return at

    def corners(self, end: int) -> list[int]:
        if isinstance(self.t_0, tuple):
            starts = list(accumulate(self.lengths("t_0"), initial=0))
        elif self.t_0 is None:
            starts = [math.ceil(i * self.length("t_max") / self.count()) for i in recurring(1, int(self.count()) + 1)]
        else:
            starts = [*growing_starts(self.length("t_0"), self.t_mult, end)]
        return [corner for start in starts for corner in (start, start + self.length("cycle_warmup"))]

    def count(self) -> float:
        """How many cycles there are, or infinity."""
        return len(self.t_0) if isinstance(self.t_0, tuple) else self.cycles or math.inf

    def cycles_at(self) -> Cycles:
        """At any t the number of the cycle, intervals within it, and its length."""
        if isinstance(self.t_0, tuple):
            return listed(self.lengths("t_0"))
        if self.t_0 is not None:
            return growing(self.length("t_0"), self.t_mult)
        return equal(int(self.count()), self.length("t_max"))
