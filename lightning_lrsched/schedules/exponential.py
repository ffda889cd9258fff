"""Exponential decay."""

from __future__ import annotations

import math

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula
from ..schedule import FlooredArguments, FlooredSchedule


class ExponentialDecay(FlooredSchedule):
    r"""The LR falls by the same factor every interval.

    .. code-block:: text

        ─╮
          ╰─╮
             ╰───╮
                 ╰──────────

    ``lr(t) = base * exp(-k * t)``, or with ``gamma = exp(-k)`` the same as ``base * gamma ** t``; but not under the
    floor.

    >>> [ExponentialDecay(gamma=0.5).lr_at(t, base_lr=1.0) for t in (0, 1, 2)]
    [1.0, 0.5, 0.25]
    >>> [round(ExponentialDecay(k=0.05).lr_at(t, base_lr=0.1), 6) for t in (0, 1, 20)]
    [0.1, 0.095123, 0.036788]
    >>> [ExponentialDecay(gamma=0.5, eta_min=0.2).lr_at(t, base_lr=1.0) for t in (0, 2, 3, 99)]
    [1.0, 0.25, 0.2, 0.2]

    Args:
        k: Decay rate an interval, >= 0; 0 keeps the base LR.
        gamma: Factor an interval, in (0, 1]. Exactly one of ``k`` and ``gamma`` is given.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: both or none of ``k`` and ``gamma`` are given, one is out of its range, or both floors are given.

    Without a floor it never reaches 0, but underflows to it after some thousand intervals of a small factor. The values
    are those of ``torch.optim.lr_scheduler.ExponentialLR`` without the rounding of its repeated products. What rises by
    the same factor every interval, as in an LR range test, is :class:`~lightning_lrsched.Keyframes` with
    ``shape="exponential"``.
    """

    def __init__(
        self, k: float | None = None, *, gamma: float | None = None, **floored: Unpack[FlooredArguments]
    ) -> None:
        super().__init__(**floored)
        if (k is None) == (gamma is None):
            checks.refuse(self, "k", "given alone, or 'gamma' in its place", (k, gamma))
        self.k = checks.number_or_none(self, "k", k, "a number >= 0", lambda x: x >= 0)
        self.gamma = checks.number_or_none(self, "gamma", gamma, "a number in (0, 1]", lambda x: 0 < x <= 1)

    def formula(self) -> Formula:
        gamma, k = self.gamma, self.k
        if gamma is not None:
            return lambda t: self.not_under_floor(gamma**t)
        assert k is not None
        return lambda t: self.not_under_floor(math.exp(-k * t))
