"""Polynomial decay, of which power 1 is the linear one."""

from __future__ import annotations

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Line
from ..schedule import FlooredArguments, FlooredSchedule


class PolynomialDecay(FlooredSchedule):
    r"""Down to the floor along a power of the time that is left.

    .. code-block:: text

        ╲
         ╲
          ╲
           ╲──────

    ``lr(t) = eta_min + (base - eta_min) * (1 - t / t_max) ** power`` until ``t_max``, and ``eta_min`` from there.
    Power 1 is a straight line.

    >>> decay = PolynomialDecay(t_max=4, power=2.0)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 1, 2, 4, 5)]
    [1.0, 0.5625, 0.25, 0.0, 0.0]

    Args:
        t_max: Length of the descent, a positive duration. None: the rest of the run after the warmup.
        power: Exponent, > 0.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    With eta_min=0 the values are those of ``torch.optim.lr_scheduler.PolynomialLR``.
    """

    durations = ("t_max",)
    fills_run = "t_max"

    def __init__(
        self, t_max: int | str | None = None, *, power: float = 1.0, **floored: Unpack[FlooredArguments]
    ) -> None:
        super().__init__(**floored)
        self.t_max = None if t_max is None else checks.duration(self, "t_max", t_max, or_none="the whole run")
        self.power = checks.number(self, "power", power, "a number > 0", lambda x: x > 0)

    def line(self, t: int) -> Line:
        t_max = self.length("t_max")
        return self.above_floor((max(t_max - t, 0) / t_max) ** self.power)
