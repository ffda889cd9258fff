"""The reflected exponential."""

from __future__ import annotations

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line
from ..schedule import FlooredArguments, FlooredSchedule


class REX(FlooredSchedule):
    r"""Slow at first, then ever faster down to the floor.

    .. code-block:: text

        ──╮
           ╲
            ╲
             │─────

    ``lr(t) = eta_min + (base - eta_min) * (1 - p) / (1 - p / 2)`` with ``p = t / t_max``, until ``t_max``, and
    ``eta_min`` from there: between a straight line and a late drop.

    >>> rex = REX(t_max=4)
    >>> [round(rex.lr_at(t, base_lr=1.0), 4) for t in (0, 1, 2, 4, 5)]
    [1.0, 0.8571, 0.6667, 0.0, 0.0]

    Args:
        t_max: Length of the descent, a positive duration. None: the rest of the run after the warmup.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    Source: Chen, Wolfe and Kyrillidis, REX: Revisiting Budgeted Training with an Improved Schedule, 2021.
    """

    durations = ("t_max",)
    fills_run = "t_max"

    def __init__(self, t_max: int | str | None = None, **floored: Unpack[FlooredArguments]) -> None:
        super().__init__(**floored)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")

    def formula(self) -> Formula:
        t_max = self.length("t_max")

        def at(t: int) -> Line:
            rest = (t_max - t) / t_max if t < t_max else 0.0
            return self.above_floor(rest / (0.5 + 0.5 * rest))

        return at
