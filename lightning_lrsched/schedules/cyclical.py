"""The cyclical LR."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line
from ..formula.cycles import growing, growing_starts
from ..schedule import CommonArguments, LRSchedule

Mode = Literal["triangular", "triangular2", "exp_range", "cosine"]


class CyclicalLR(LRSchedule):
    r"""The LR swings between ``eta_min`` and ``eta_max``.

    .. code-block:: text

          ╱╲      ╱╲
         ╱  ╲    ╱  ╲
        ╱    ╲  ╱    ╲
       ╱      ╲╱      ╲

    ``lr(t) = eta_min + (eta_max - eta_min) * height(t)``: the height rises from 0 to 1 over ``step_size`` intervals and
    falls back over ``step_size_down``, along a straight line or half a cosine (``"cosine"``). It is then multiplied by
    ``1 / 2 ** n`` with n the falls that have ended (``"triangular2"``), or ``gamma ** t`` (``"exp_range"``).

    >>> cyclical = CyclicalLR(eta_min=0.01, eta_max=0.1, step_size=2)
    >>> [round(cyclical.lr_at(t, base_lr=0.1), 4) for t in (0, 1, 2, 3, 4)]
    [0.01, 0.055, 0.1, 0.055, 0.01]
    >>> longer = CyclicalLR(eta_min=0.01, eta_max=0.1, step_size=1, t_mult=2, start="high")
    >>> [round(longer.lr_at(t, base_lr=0.1), 4) for t in (0, 1, 2, 3, 4, 6)]
    [0.1, 0.01, 0.1, 0.055, 0.01, 0.1]

    Args:
        eta_min: The lower LR, >= 0.
        eta_max: The upper LR, >= eta_min. None: each group's own base LR.
        step_size: Intervals from the lower to the upper LR, a positive duration.
        step_size_down: Intervals back. None: as many.
        t_mult: Each cycle, rise and fall, is this many times as long as the one before, a number > 0, in whole
            intervals and at least 1.
        start: ``"low"``, or ``"high"``: the cycles begin at the upper LR, with the fall.
        mode: ``"triangular"``, ``"triangular2"`` (each rise half as high), ``"exp_range"`` or ``"cosine"``.
        gamma: The height's factor an interval in mode ``"exp_range"``, in (0, 1].
        momentum: ``(low, high)`` with 0 <= low <= high < 1: the momentum (``betas[0]`` where the optimizer has betas)
            swings against the LR, and is high where the LR is low. None: left alone.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value breaks its rule.
        MisconfigurationException: at the start of a fit, when ``momentum`` is given and the optimizer has none, or
            ``eta_min`` lies above the base LR that stands in for ``eta_max``.

    ``torch.optim.lr_scheduler.CyclicLR`` has the same values, cycles the momentum unless told not to, and has no mode
    ``"cosine"``.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017.
    """

    periods = ("step_size", "step_size_down")

    def __init__(
        self,
        eta_min: float,
        eta_max: float | None = None,
        *,
        step_size: int | str,
        step_size_down: int | str | None = None,
        t_mult: float = 1,
        start: Literal["low", "high"] = "low",
        mode: Mode = "triangular",
        gamma: float = 1.0,
        momentum: tuple[float, float] | None = None,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self.eta_min = checks.number(self, "eta_min", eta_min, "a number >= 0", lambda x: x >= 0)
        rule = f"a number >= eta_min ({self.eta_min!r}) or None (each group's own LR)"
        self.eta_max = checks.number_or_none(self, "eta_max", eta_max, rule, lambda x: x >= self.eta_min)
        self.step_size = checks.duration(self, "step_size", step_size)
        self.step_size_down = checks.duration_or_none(self, "step_size_down", step_size_down, "the same")
        self.t_mult = checks.number(self, "t_mult", t_mult, "a number > 0", lambda x: x > 0)
        self.start = cast(Literal["low", "high"], checks.choice(self, "start", start, ("low", "high")))
        self.mode = cast(Mode, checks.choice(self, "mode", mode, ("triangular", "triangular2", "exp_range", "cosine")))
        self.gamma = checks.number(self, "gamma", gamma, "a number in (0, 1]", lambda x: 0 < x <= 1)
        self.momentum = checks.low_high(self, "momentum", momentum)

    def heights(self) -> Callable[[int], float]:
        """Where the swing stands: 0 at ``eta_min``, 1 at ``eta_max``."""
        first, second = self._halves()
        cycle_at = growing(first + second, self.t_mult)
        mode, from_high, gamma = self.mode, self.start == "high", self.gamma

        def at(t: int) -> float:
            cycle, s, length = cycle_at(t)
            turn = length * first / (first + second)
            height, lows = s / turn if s <= turn else (length - s) / (length - turn), cycle
            if from_high:
                height, lows = 1.0 - height, cycle + (s >= turn)
            if mode == "cosine":
                return (1.0 - math.cos(math.pi * height)) / 2
            if mode == "triangular2":
                return height * 0.5**lows
            return height * gamma**t if mode == "exp_range" else height

        return at

    def formula(self) -> Formula:
        low, high, height_at = self.eta_min, self.eta_max, self.heights()

        def at(t: int) -> Line:
            height = height_at(t)
            rest = low * (1.0 - height)
            return (height, rest, low) if high is None else (0.0, rest + high * height, 0.0)

        return at

    def corners(self, end: int) -> list[int]:
        first, second = self._halves()
        cycle_at = growing(first + second, self.t_mult)
        found: list[int] = []
        for start in growing_starts(first + second, self.t_mult, end):
            length = cycle_at(start)[2]
            found += [start, start + math.ceil(length * first / (first + second))]
        return found

    def _halves(self) -> tuple[int, int]:
        """The halves of the first cycle."""
        up = self.length("step_size")
        down = up if self.step_size_down is None else self.length("step_size_down")
        return (up, down) if self.start == "low" else (down, up)

    def momentum_at(self, t: int) -> float:
        assert self.momentum is not None
        low, high = self.momentum
        height = self.heights()(t)
        return high * (1.0 - height) + low * height

    def floor(self) -> tuple[str, float]:
        return ("eta_min", self.eta_min) if self.eta_max is None else ("", 0.0)
