"""The one-cycle policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, interpolated, line
from ..schedule import CommonArguments, LRSchedule


class OneCycle(LRSchedule):
    r"""One rise to a peak, and one descent to far below the start.

    .. code-block:: text

            ╭╮
           ╱  ╲
          ╱    ╲
        ─╯      ╰────

    From ``peak / div_factor`` at t = 0 up to ``peak`` at ``pct_start * t_max``, then down to
    ``peak / div_factor / final_div_factor`` at ``t_max``, and held. With three phases the descent ends where the rise
    began, at ``pct_final * t_max``, and the rest of the run falls on to the end. Each phase is half a cosine, or a
    straight line.

    >>> cycle = OneCycle(max_lr=1.0, t_max=10, pct_start=0.2, div_factor=4, final_div_factor=25, shape="linear")
    >>> [round(cycle.lr_at(t, base_lr=0.1), 4) for t in (0, 1, 2, 6, 10, 11)]
    [0.25, 0.625, 1.0, 0.505, 0.01, 0.01]
    >>> cycle = OneCycle(1.0, t_max=10, pct_start=0.2, pct_final=0.8, div_factor=4, final_div_factor=5, shape="linear")
    >>> [round(cycle.lr_at(t, base_lr=0.1), 4) for t in (0, 2, 5, 8, 9, 10, 11)]
    [0.25, 1.0, 0.625, 0.25, 0.15, 0.05, 0.05]

    Args:
        max_lr: The peak, as an LR > 0. None: ``max_lr_ratio`` times each group's base LR.
        max_lr_ratio: The peak as a factor > 0 of each group's base LR, 1 unless ``max_lr`` is given.
        t_max: Length of the cycle, a positive duration. None: the rest of the run after the warmup.
        pct_start: Share of ``t_max`` that the rise takes, in [0, 1]; in [0, 0.5] with ``three_phase``.
        div_factor: How far below the peak the cycle starts, >= 1.
        final_div_factor: How far below its start the cycle ends, >= 1.
        shape: ``"cosine"`` or ``"linear"``.
        three_phase: Whether the descent first mirrors the rise: ``pct_final = 2 * pct_start``.
        pct_final: Share of ``t_max`` from which on the last of three phases falls, in [pct_start, 1]. None: as
            ``three_phase`` says.
        momentum: ``(low, high)`` with 0 <= low <= high < 1: the momentum (``betas[0]`` where the optimizer has betas)
            falls from high to low while the LR rises, returns with it, and stays high. None: left alone.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, or both ``max_lr`` and ``max_lr_ratio`` are given.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    ``torch.optim.lr_scheduler.OneCycleLR`` counts from the last of its ``total_steps``: its peak is at
    ``pct_start * total_steps - 1`` and its end at ``total_steps - 1``; it raises one step later and divides by zero in
    short runs.

    Source: Smith and Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates, 2018.
    """

    durations = ("t_max",)
    fills_run = "t_max"

    def __init__(
        self,
        max_lr: float | None = None,
        *,
        max_lr_ratio: float | None = None,
        t_max: int | str | None = None,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        shape: Literal["cosine", "linear"] = "cosine",
        three_phase: bool = False,
        pct_final: float | None = None,
        momentum: tuple[float, float] | None = None,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        if max_lr is not None and max_lr_ratio is not None:
            checks.refuse(self, "max_lr_ratio", f"None beside max_lr={max_lr!r}", max_lr_ratio)
        rule, holds = "a number > 0 or None", lambda x: x > 0
        self.max_lr = checks.number_or_none(self, "max_lr", max_lr, rule, holds)
        self.max_lr_ratio = checks.number_or_none(self, "max_lr_ratio", max_lr_ratio, rule, holds)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")
        self.three_phase = checks.flag(self, "three_phase", three_phase)
        most, rule = (0.5, "a number in [0, 0.5] with three phases") if three_phase else (1.0, "a number in [0, 1]")
        self.pct_start = checks.number(self, "pct_start", pct_start, rule, lambda x: 0 <= x <= most)
        if pct_final is not None and three_phase:
            checks.refuse(self, "pct_final", f"None beside {three_phase=}", pct_final)
        rule = f"a number in [pct_start ({self.pct_start!r}), 1] or None"
        self.pct_final = checks.number_or_none(self, "pct_final", pct_final, rule, lambda x: self.pct_start <= x <= 1)
        self.div_factor = checks.number(self, "div_factor", div_factor, "a number >= 1", lambda x: x >= 1)
        rule = "a number >= 1"
        self.final_div_factor = checks.number(self, "final_div_factor", final_div_factor, rule, lambda x: x >= 1)
        self.shape = cast(Literal["cosine", "linear"], checks.choice(self, "shape", shape, ("cosine", "linear")))
        self.momentum = checks.low_high(self, "momentum", momentum)

    def formula(self) -> Formula:
        start = 1.0 / self.div_factor
        height = self._along(start, 1.0, start, start / self.final_div_factor)
        ratio, max_lr = self.max_lr_ratio or 1.0, self.max_lr
        if max_lr is not None:
            return lambda t: line(0.0, max_lr * height(t))
        return lambda t: line(height(t) * ratio)

    def momentum_at(self, t: int) -> float:
        assert self.momentum is not None
        low, high = self.momentum
        return self._along(high, low, high, high)(t)

    def corners(self, end: int) -> list[int]:
        t_max = self.length("t_max")
        up = self.pct_start * t_max
        return [math.ceil(up), math.ceil(2 * up if self.pct_final is None else self.pct_final * t_max), t_max]

    def _along(self, start: float, peak: float, after: float, end: float) -> Callable[[float], float]:
        """The value at ``t`` of a cycle through these values; ``after`` is where a last phase begins."""
        t_max = self.length("t_max")
        up = self.pct_start * t_max
        back = 2 * up if self.pct_final is None else self.pct_final * t_max
        third = [] if self.pct_final is None and not self.three_phase else [(back, after)]
        return interpolated([(0.0, start), (up, peak), *third, (t_max, end)], self.shape)
