"""Step decay: in equal steps, and at milestones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula
from ..schedule import FlooredArguments, FlooredSchedule


class StepDecay(FlooredSchedule):
    r"""The LR falls by ``gamma`` every ``step_size`` intervals.

    .. code-block:: text

        ──────┐
              └──────┐
                     └──────

    ``lr(t) = base * gamma ** (t // step_size)``, but not under the floor; ``base`` is the group's base LR and ``t``
    counts intervals.

    >>> decay = StepDecay(step_size=10, gamma=0.5)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 9, 10, 19, 20)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    >>> [StepDecay(10, 0.5, eta_min=0.3).lr_at(t, base_lr=1.0) for t in (10, 19, 20, 99)]
    [0.5, 0.5, 0.3, 0.3]

    Args:
        step_size: Intervals between two drops, a positive duration; the drop is in force from t = step_size on.
        gamma: Factor of each drop, in (0, 1]; 1 keeps the base LR.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: ``step_size`` is not positive, ``gamma`` not in (0, 1], or both floors are given.

    The values are those of ``torch.optim.lr_scheduler.StepLR``, to the last digit wherever its repeated products are.
    """

    periods = ("step_size",)

    def __init__(self, step_size: int | str, gamma: float = 0.1, **floored: Unpack[FlooredArguments]) -> None:
        super().__init__(**floored)
        self.step_size = checks.duration(self, "step_size", step_size)
        self.gamma = checks.number(self, "gamma", gamma, "a number in (0, 1]", lambda x: 0 < x <= 1)

    def formula(self) -> Formula:
        gamma, step_size = self.gamma, self.length("step_size")
        return lambda t: self.not_under_floor(gamma ** (t // step_size))


class MultiStepDecay(FlooredSchedule):
    r"""The LR falls by a factor at each of several milestones.

    .. code-block:: text

        ───────┐
               └──┐
                  └───────────

    ``lr(t) = base * gamma ** n``, or with a list ``base * gamma[0] * ... * gamma[n - 1]``, with n the number of
    milestones that are not later than ``t``; but not under the floor.

    >>> decay = MultiStepDecay(milestones=[3, 5], gamma=0.5)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 2, 3, 4, 5, 9)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    >>> [MultiStepDecay([3, 5], gamma=0.1, eta_min_ratio=0.05).lr_at(t, base_lr=1.0) for t in (2, 3, 5)]
    [1.0, 0.1, 0.05]

    Args:
        milestones: Positive durations from the schedule's start, strictly rising; their units may differ. A drop is in
            force from t = milestone on.
        gamma: Factor of each drop, in (0, 1], or a list with a factor > 0 for each milestone.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: the milestones do not rise, a factor is out of its range or missing, or both floors are given.
        MisconfigurationException: at the start of a fit, when milestones of different units turn out not to rise.

    The values are those of ``torch.optim.lr_scheduler.MultiStepLR``.
    """

    durations = ("milestones",)

    def __init__(
        self,
        milestones: Sequence[int | str],
        gamma: float | Sequence[float] = 0.1,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.milestones = checks.positions(self, "milestones", milestones)
        self.gamma = checks.factors(self, "gamma", gamma, count=len(self.milestones))

    def formula(self) -> Formula:
        gamma, milestones = self.gamma, self.lengths("milestones")
        if isinstance(gamma, tuple):
            factors = [*accumulate(gamma, mul, initial=1.0)]
            return lambda t: self.not_under_floor(factors[bisect_right(milestones, t)])
        return lambda t: self.not_under_floor(gamma ** bisect_right(milestones, t))
