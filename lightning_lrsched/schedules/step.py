"""Step decay: in equal steps, and at milestones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Line
from ..schedule import CommonArguments, LRSchedule


class StepDecay(LRSchedule):
    r"""The LR falls by ``gamma`` every ``step_size`` intervals.

    .. code-block:: text

        ──────┐
              └──────┐
                     └──────

    ``lr(t) = base * gamma ** (t // step_size)``, with ``base`` the group's base LR and ``t`` in intervals.

    >>> decay = StepDecay(step_size=10, gamma=0.5)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 9, 10, 19, 20)]
    [1.0, 1.0, 0.5, 0.5, 0.25]

    Args:
        step_size: Intervals between two drops, a positive duration; the drop is in force from t = step_size on.
        gamma: Factor of each drop, in (0, 1]; 1 keeps the base LR.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: ``step_size`` is not positive, ``gamma`` not in (0, 1].

    The values are those of ``torch.optim.lr_scheduler.StepLR``, to the last digit wherever its repeated products are.
    """

    periods = ("step_size",)

    def __init__(self, step_size: int | str, gamma: float = 0.1, **common: Unpack[CommonArguments]) -> None:
        super().__init__(**common)
        self.step_size = checks.duration(self, "step_size", step_size)
        self.gamma = checks.number(self, "gamma", gamma, "a number in (0, 1]", lambda x: 0 < x <= 1)

    def line(self, t: int) -> Line:
        return Line(self.gamma ** (t // self.length("step_size")))


class MultiStepDecay(LRSchedule):
    r"""The LR falls by a factor at each of several milestones.

    .. code-block:: text

        ───────┐
               └──┐
                  └───────────

    ``lr(t) = base * gamma ** n``, or with a list ``base * gamma[0] * ... * gamma[n - 1]``, with n the number of
    milestones that are not later than ``t``.

    >>> decay = MultiStepDecay(milestones=[3, 5], gamma=0.5)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 2, 3, 4, 5, 9)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]

    Args:
        milestones: Positive durations from the schedule's start, strictly rising; their units may differ. A drop is in
            force from t = milestone on.
        gamma: Factor of each drop, in (0, 1], or a list with a factor > 0 for each milestone.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: the milestones do not rise, or a factor is out of its range or missing.
        MisconfigurationException: at the start of a fit, when milestones of different units turn out not to rise.

    The values are those of ``torch.optim.lr_scheduler.MultiStepLR``.
    """

    durations = ("milestones",)

    def __init__(
        self,
        milestones: Sequence[int | str],
        gamma: float | Sequence[float] = 0.1,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self.milestones = checks.positions(self, "milestones", milestones)
        self.gamma: float | tuple[float, ...]
        if isinstance(gamma, Sequence) and not isinstance(gamma, str):
            rule = f"a number in (0, 1], or a list of {len(self.milestones)} numbers > 0"
            if len(gamma) != len(self.milestones):
                checks.refuse(self, "gamma", rule, gamma)
            self.gamma = tuple(checks.number(self, "gamma", each, rule, lambda x: x > 0) for each in gamma)
        else:
            self.gamma = checks.number(self, "gamma", gamma, "a number in (0, 1]", lambda x: 0 < x <= 1)

    def line(self, t: int) -> Line:
        passed = sum(milestone <= t for milestone in self.lengths("milestones"))
        if isinstance(self.gamma, tuple):
            return Line(math.prod(self.gamma[:passed]))
        return Line(self.gamma**passed)
