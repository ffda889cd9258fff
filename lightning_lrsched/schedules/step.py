"""Step decay."""

from __future__ import annotations

from typing_extensions import Unpack

from .. import _checks
from ..curves import Line
from ..schedule import CommonArguments, LRSchedule


class StepDecay(LRSchedule):
    r"""The LR falls by the factor ``gamma`` every ``step_size`` intervals.

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
        self.step_size = _checks.duration(self, "step_size", step_size)
        self.gamma = _checks.number(self, "gamma", gamma, "a number in (0, 1]", lambda x: 0 < x <= 1)

    def line(self, t: int) -> Line:
        return Line(self.gamma ** (t // self.length("step_size")))
