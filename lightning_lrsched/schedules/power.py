"""Power laws of the time, which need no end of the run."""

from __future__ import annotations

import math

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line
from ..measure import Span
from ..schedule import FlooredArguments, FlooredSchedule


class InverseSqrt(FlooredSchedule):
    r"""The LR falls with the square root of the time.

    .. code-block:: text

        ╲
         ╲
          ╰──╮
             ╰──────────

    ``lr(t) = base * sqrt(timescale / (t + shift))``, but not under the floor. With ``d_model`` the base LR is
    multiplied by ``(d_model * timescale) ** -0.5``, which with ``warmup=timescale - 1`` is the Noam schedule, as that
    counts from 1.

    >>> decay = InverseSqrt(timescale=4)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 12, 60)]
    [1.0, 0.5, 0.25]
    >>> [InverseSqrt(4, eta_min_ratio=0.4).lr_at(t, base_lr=1.0) for t in (12, 21, 60)]
    [0.5, 0.4, 0.4]

    Args:
        timescale: A positive duration; the LR has fallen to half after three more of it.
        shift: Intervals that count as passed at t = 0, a positive duration. None: ``timescale``, so that the schedule
            starts at the base LR.
        d_model: Width of a Transformer, a positive integer. None: no factor.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is not positive, or both floors are given.

    Source: Vaswani et al., Attention Is All You Need, 2017 (section 5.3); fairseq's inverse_sqrt is
    ``timescale = warmup`` with ``warmup_start_factor=0``.
    """

    periods = ("timescale", "shift")

    def __init__(
        self,
        timescale: int | str,
        *,
        shift: int | str | None = None,
        d_model: int | None = None,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.timescale = checks.duration(self, "timescale", timescale)
        self.shift = checks.duration_or_none(self, "shift", shift, "timescale")
        self.d_model = checks.whole_or_none(self, "d_model", d_model, "none", at_least=1)

    def formula(self) -> Formula:
        timescale = self.length("timescale")
        shift = timescale if self.shift is None else self.length("shift")
        noam = 1.0 if self.d_model is None else 1.0 / math.sqrt(self.d_model * timescale)
        return lambda t: self.not_under_floor(noam * math.sqrt(timescale / (t + shift)))

    def corners(self, end: int) -> list[int]:
        return []


class PowerDecay(FlooredSchedule):
    r"""A power law of the time, with a cooldown where one is given.

    .. code-block:: text

        ╲
         ╲
          ╰──╮
             ╰────────╲

    ``lr(t) = base / (1 + decay_rate * t / timescale) ** exponent``, but not under the floor. In the last ``cooldown``
    intervals before ``t_max`` the LR falls from there along a straight line to the floor, which it then holds.

    >>> decay = PowerDecay(timescale=1, exponent=0.5, cooldown=2, t_max=5)
    >>> [decay.lr_at(t, base_lr=1.0) for t in (0, 3, 4, 5, 6)]
    [1.0, 0.5, 0.25, 0.0, 0.0]
    >>> [PowerDecay(4, decay_rate=0.5, exponent=1.0).lr_at(t, base_lr=1.0) for t in (0, 8, 24)]
    [1.0, 0.5, 0.25]

    Args:
        timescale: A positive duration; longer ones fall later.
        exponent: Exponent of the power law, > 0.
        decay_rate: How fast the time passes, > 0. With ``exponent=1`` the schedule is Keras' InverseTimeDecay, whose
            ``decay_steps`` is the timescale.
        cooldown: Length of the final descent, a duration from 0 on; 0: none, and the run needs no end.
        t_max: Where the cooldown ends, a positive duration. None: the rest of the run after the warmup.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both floors are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if there is a cooldown
            and ``t_max`` is None.

    Source: Shen et al., Power Scheduler: A Batch Size and Token Number Agnostic Learning Rate Scheduler, 2024.
    """

    durations = ("t_max",)
    periods = ("timescale", "cooldown")
    from_zero = ("warmup", "cooldown")

    def __init__(
        self,
        timescale: int | str,
        *,
        exponent: float = 0.5,
        decay_rate: float = 1.0,
        cooldown: int | str = 0,
        t_max: int | str | None = None,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.timescale = checks.duration(self, "timescale", timescale)
        self.exponent = checks.number(self, "exponent", exponent, "a number > 0", lambda x: x > 0)
        self.decay_rate = checks.number(self, "decay_rate", decay_rate, "a number > 0", lambda x: x > 0)
        self.cooldown = checks.duration(self, "cooldown", cooldown, at_least=0)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")
        self.fills_run = "t_max" if self.cooldown else ""

    def formula(self) -> Formula:
        timescale, rate, exponent = self.length("timescale"), self.decay_rate, self.exponent

        def law(t: int) -> float:
            height: float = (timescale / (rate * t + timescale)) ** exponent
            return height

        if not self.cooldown or not self.length("cooldown"):
            return lambda t: self.not_under_floor(law(t))
        t_max, ratio, eta_min = self.length("t_max"), self.eta_min_ratio or 0.0, self.eta_min
        cooldown = min(self.length("cooldown"), t_max)
        begin = t_max - cooldown

        def at(t: int) -> Line:
            rest = min(max(t_max - t, 0) / cooldown, 1.0)
            factor = max(law(min(t, begin)), ratio)
            return factor * rest + ratio * (1.0 - rest), eta_min * (1.0 - rest), eta_min

        return at

    def clock(self, found: dict[str, Span]) -> int:
        """That of the law; the rest of the run is as long by either."""
        return found["timescale"].clock

    def corners(self, end: int) -> list[int]:
        if not self.cooldown:
            return []
        t_max = self.length("t_max")
        return [max(t_max - self.length("cooldown"), 0), t_max]
