"""Polynomial decay, of which power 1 is the linear one."""

from __future__ import annotations

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line, recurring
from ..schedule import FlooredArguments, FlooredSchedule


class PolynomialDecay(FlooredSchedule):
    r"""Down to the floor along a power of the time that is left.

    .. code-block:: text

        ╲
         ╲
          ╲
           ╲──────

    ``lr(t) = eta_min + (base - eta_min) * (1 - (t / t_max) ** k_decay) ** power`` until ``t_max``, and ``eta_min`` from
    there. Power 1 is a straight line.

    >>> decay = PolynomialDecay(t_max=4, power=2.0)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 1, 2, 4, 5)]
    [1.0, 0.5625, 0.25, 0.0, 0.0]
    >>> [PolynomialDecay(t_max=4, cycle=True).lr_at(t, base_lr=1.0) for t in (0, 2, 4, 5, 8, 9)]
    [1.0, 0.5, 0.0, 0.375, 0.0, 0.25]

    Args:
        t_max: Length of the descent, a positive duration. None: the rest of the run after the warmup.
        power: Exponent, > 0.
        k_decay: Exponent of the time, > 0: above 1 the LR falls later.
        cycle: Whether, each time that it is passed, ``t_max`` becomes its next multiple: the LR jumps up, to less each
            time, and falls anew. False: the floor is held.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    With eta_min=0 the values are those of ``torch.optim.lr_scheduler.PolynomialLR``.

    Source: ``k_decay`` from Zhang and Li, k-decay, 2020; ``cycle`` is that of Keras' PolynomialDecay.
    """

    durations = ("t_max",)
    fills_run = "t_max"

    def __init__(
        self,
        t_max: int | str | None = None,
        *,
        power: float = 1.0,
        k_decay: float = 1.0,
        cycle: bool = False,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")
        self.power = checks.number(self, "power", power, "a number > 0", lambda x: x > 0)
        self.k_decay = checks.number(self, "k_decay", k_decay, "a number > 0", lambda x: x > 0)
        self.cycle = checks.flag(self, "cycle", cycle)

    def formula(self) -> Formula:
        first, k, power = self.length("t_max"), self.k_decay, self.power

        def at(t: int) -> Line:
            t_max = first * -(-t // first) if self.cycle and t > first else first
            if t >= t_max:
                return self.above_floor(0.0)
            rest = (t_max - t) / t_max if k == 1.0 else 1.0 - (t / t_max) ** k
            return self.above_floor(rest**power)

        return at

    def corners(self, end: int) -> list[int]:
        return [*recurring(self.length("t_max"), end)] if self.cycle else super().corners(end)
