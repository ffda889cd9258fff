"""Cosine annealing, once and with warm restarts."""

from __future__ import annotations

from typing_extensions import Unpack

from .. import _checks
from ..curves import Line, cosine
from ..schedule import CommonArguments, FlooredSchedule


class CosineAnnealing(FlooredSchedule):
    r"""Half a cosine from the base LR down to the floor, which it then holds.

    .. code-block:: text

        ───╮
            ╲
             ╲
              ╰──────

    ``lr(t) = eta_min + (base - eta_min) * (1 + cos(pi * t / t_max)) / 2`` until ``t_max``, and ``eta_min`` from there.

    >>> annealing = CosineAnnealing(t_max=4, eta_min=0.01)
    >>> [round(annealing.lr_at(t, base_lr=0.1), 4) for t in (0, 2, 4, 5)]
    [0.1, 0.055, 0.01, 0.01]

    Args:
        t_max: Length of the descent, a positive duration. None: the rest of the run after the warmup.
        eta_min: The floor, as an LR >= 0 that no group's base LR lies under.
        eta_min_ratio: The floor, as a ratio in [0, 1] of each group's base LR, in place of ``eta_min``.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: ``t_max`` is not positive, ``eta_min`` negative, ``eta_min_ratio`` not in [0, 1] or beside eta_min.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    ``torch.optim.lr_scheduler.CosineAnnealingLR`` has the same values up to ``t_max``, and climbs back after it.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017 (without the restarts).
    """

    durations = ("t_max",)
    fills_run = "t_max"

    def __init__(
        self,
        t_max: int | str | None = None,
        *,
        eta_min: float = 0.0,
        eta_min_ratio: float | None = None,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(eta_min=eta_min, eta_min_ratio=eta_min_ratio, **common)
        self.t_max = None if t_max is None else _checks.duration(self, "t_max", t_max, or_none="the whole run")

    def line(self, t: int) -> Line:
        return self.above_floor(cosine(t, self.length("t_max")))


class CosineRestarts(FlooredSchedule):
    r"""Cosine annealing that begins anew from the peak in every cycle.

    .. code-block:: text

        ─╮  ╭──╮    ╭────╮
          ╲ │   ╲   │     ╲
           ╲│    ╲  │      ╲
            ╯     ╰─╯       ╰─   (each rise is one jump)

    ``lr(t) = eta_min + (peak - eta_min) * (1 + cos(pi * s / T)) / 2``: the cycles i = 0, 1, ... are
    ``T = t_0 * t_mult ** i`` intervals long, ``s`` counts the intervals within the cycle, and its
    ``peak = base * decay ** i``.

    >>> restarts = CosineRestarts(t_0=2, t_mult=2, decay=0.5)
    >>> [round(restarts.lr_at(t, base_lr=1.0), 4) for t in (0, 1, 2, 4, 6, 14)]
    [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]

    Args:
        t_0: Length of the first cycle, a positive duration.
        t_mult: Each cycle is this many times as long as the one before, a positive integer.
        eta_min: The floor, as an LR >= 0 that no group's base LR lies under; a peak that decays below it stays on it.
        eta_min_ratio: The floor, as a ratio in [0, 1] of each group's base LR, in place of ``eta_min``.
        decay: Factor in (0, 1] on each next peak.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: ``t_0`` or ``t_mult`` is not positive, or a value is out of its range.

    A cycle's floor is reached just when the next one begins, so no interval trains at it. The restarts are counted in
    integers and exact at any t; ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` has the same values.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017.
    """

    periods = ("t_0",)

    def __init__(
        self,
        t_0: int | str,
        t_mult: int = 1,
        *,
        eta_min: float = 0.0,
        eta_min_ratio: float | None = None,
        decay: float = 1.0,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(eta_min=eta_min, eta_min_ratio=eta_min_ratio, **common)
        self.t_0 = _checks.duration(self, "t_0", t_0)
        self.t_mult = _checks.whole(self, "t_mult", t_mult, at_least=1)
        self.decay = _checks.number(self, "decay", decay, "a number in (0, 1]", lambda x: 0 < x <= 1)

    def line(self, t: int) -> Line:
        cycle, length = 0, self.length("t_0")
        if self.t_mult == 1:
            cycle, t = divmod(t, length)
        while t >= length:
            cycle, t, length = cycle + 1, t - length, length * self.t_mult
        return self.above_floor(cosine(t, length), peak=self.decay**cycle)
