"""A constant LR."""

from __future__ import annotations

import math

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, line
from ..schedule import CommonArguments, LRSchedule


class Constant(LRSchedule):
    r"""A factor of the base LR, for a while or for good.

    .. code-block:: text

              ┌───────
        ──────┘

    ``lr(t) = base * factor`` while ``t < duration``, and ``base`` from there on.

    >>> [Constant(0.5, duration=2).lr_at(t, base_lr=1.0) for t in (0, 1, 2)]
    [0.5, 0.5, 1.0]

    Args:
        factor: Factor of the base LR, >= 0.
        duration: How long, a positive duration. None: for good.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: ``factor`` is negative, ``duration`` not positive.

    With a warmup it is the linear warmup to a constant LR. The values are those of
    ``torch.optim.lr_scheduler.ConstantLR``.
    """

    durations = ("duration",)

    def __init__(
        self, factor: float = 1.0, duration: int | str | None = None, **common: Unpack[CommonArguments]
    ) -> None:
        super().__init__(**common)
        self.factor = checks.number(self, "factor", factor, "a number >= 0", lambda x: x >= 0)
        self.duration = checks.duration_or_none(self, "duration", duration, "for good")

    def formula(self) -> Formula:
        held, plain = line(self.factor), line(1.0)
        duration = math.inf if self.duration is None else self.length("duration")
        return lambda t: held if t < duration else plain
