"""Decay along a hyperbolic tangent, and along a hyperbola."""

from __future__ import annotations

import math

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line
from ..schedule import FlooredArguments, FlooredSchedule


class TanhDecay(FlooredSchedule):
    r"""Long near the base LR, then down along a hyperbolic tangent.

    .. code-block:: text

        ─────╮
              ╲
               ╲
                ╰────

    ``lr(t) = eta_min + (base - eta_min) * (1 - tanh(lower + (upper - lower) * t / t_max)) / 2`` until ``t_max``, and
    ``eta_min`` from there.

    >>> decay = TanhDecay(t_max=9)
    >>> [round(decay.lr_at(t, base_lr=1.0), 4) for t in (0, 5, 6, 8, 9, 10)]
    [1.0, 0.8808, 0.5, 0.018, 0.0, 0.0]

    Args:
        t_max: Length of the descent, a positive duration. None: the rest of the run after the warmup.
        lower: Where the tangent is at t = 0; the further below 0, the nearer to the base LR the descent starts.
        upper: Where it is at ``t_max``, > lower; the further above 0, the smaller the last step to the floor.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    timm's TanhLRScheduler has ``lower=-7`` by default.

    Source: Hsueh et al., Stochastic Gradient Descent with Hyperbolic-Tangent Decay on Classification, 2019.
    """

    durations = ("t_max",)
    fills_run = "t_max"

    def __init__(
        self,
        t_max: int | str | None = None,
        *,
        lower: float = -6.0,
        upper: float = 3.0,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")
        self.lower = checks.number(self, "lower", lower, "a number", lambda x: True)
        rule = f"a number > lower ({self.lower!r})"
        self.upper = checks.number(self, "upper", upper, rule, lambda x: x > self.lower)

    def formula(self) -> Formula:
        t_max, lower, upper = self.length("t_max"), self.lower, self.upper

        def at(t: int) -> Line:
            height = (1.0 - math.tanh(lower + (upper - lower) * (t / t_max))) / 2 if t < t_max else 0.0
            return self.above_floor(height)

        return at


class HyperbolicLR(FlooredSchedule):
    r"""Down along a hyperbola that begins alike in every run.

    .. code-block:: text

        ╲
         ╰╮
           ╲
            │─────

    ``lr(t) = eta_min + (base - eta_min) * (1 + f(t) - f(0))`` until ``t_max``, with ``N = t_max``, ``U = upper_bound``
    and ``f(t) = sqrt((N - t) / U * (2 - (N + t) / U))``, and the value of ``t_max`` from there. It ends at ``eta_min``
    if ``N = U``, and above it in a shorter run.

    >>> decay = HyperbolicLR(upper_bound=10, t_max=5)
    >>> [round(decay.lr_at(t, base_lr=1.0), 4) for t in (0, 1, 4, 5, 6)]
    [1.0, 0.8823, 0.4656, 0.134, 0.134]

    Args:
        upper_bound: The longest run for which the LR shall begin alike, a duration of at least ``t_max``.
        t_max: Length of the descent, a positive duration. None: the rest of the run after the warmup.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    A run longer than ``upper_bound`` ends its descent there. Where a resume has another number of updates an epoch, an
    ``upper_bound`` in raw steps beside a ``t_max`` in another unit makes the LR jump; ``"90 epochs"`` does not.

    Source: Kim, HyperbolicLR: Epoch Insensitive Learning Rate Scheduler, 2024.
    """

    durations = ("upper_bound", "t_max")
    fills_run = "t_max"

    def __init__(
        self, upper_bound: int | str, *, t_max: int | str | None = None, **floored: Unpack[FlooredArguments]
    ) -> None:
        super().__init__(**floored)
        self.upper_bound = checks.duration(self, "upper_bound", upper_bound)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")

    def formula(self) -> Formula:
        upper = self.length("upper_bound")
        t_max = min(self.length("t_max"), upper)

        def f(t: int) -> float:
            return math.sqrt((t_max - t) * (2 * upper - t_max - t)) / upper

        first = f(0)
        return lambda t: self.above_floor(1.0 + f(min(t, t_max)) - first)
