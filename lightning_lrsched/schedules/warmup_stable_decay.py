"""Warmup, stable, decay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast, get_args

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line, cosine, line
from ..schedule import FlooredArguments, FlooredSchedule

Decay = Literal["linear", "cosine", "1-sqrt", "square", "exponential"]

#: the height above the floor after ``s`` of so many intervals; an exponential has no height of its own
_HEIGHTS: dict[Decay, Callable[[int, int], float]] = {
    "linear": lambda s, decay: (decay - s) / decay,
    "cosine": cosine,
    "1-sqrt": lambda s, decay: 1.0 - math.sqrt(s / decay),
    "square": lambda s, decay: 1.0 - (s / decay) ** 2,
}


class WarmupStableDecay(FlooredSchedule):
    r"""The base LR, held until a decay at the end of the run.

    .. code-block:: text

          ╭───────────╮
         ╱             ╲
        ╱               ╲

    ``lr(t) = base`` until ``t_max - decay``, then ``eta_min + (base - eta_min) * h(p)`` with p rising from 0 to 1 over
    the last ``decay`` intervals, and ``eta_min`` from ``t_max`` on. h(p) is ``1 - p`` ("linear"),
    ``(1 + cos(pi * p)) / 2`` ("cosine"), ``1 - sqrt(p)`` ("1-sqrt") or ``1 - p ** 2`` ("square"); "exponential" is
    ``lr = base * eta_min_ratio ** p``.

    >>> wsd = WarmupStableDecay(decay=4, t_max=10)
    >>> [wsd.lr_at(t, base_lr=1.0) for t in (0, 6, 7, 8, 10, 11)]
    [1.0, 1.0, 0.75, 0.5, 0.0, 0.0]

    Args:
        decay: Length of the decay, a positive duration.
        shape: ``"linear"``, ``"cosine"``, ``"1-sqrt"``, ``"square"`` or ``"exponential"``, which needs an
            ``eta_min_ratio`` > 0.
        t_max: Where the decay ends, a positive duration. None: the rest of the run after the warmup.
        checkpoint_before_decay: Save a checkpoint just before the first update of the decay, in the folder of the first
            ModelCheckpoint or in ``default_root_dir/checkpoints``: ``before-decay-step=<updates>.ckpt``. A longer
            run continues from it at the base LR.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, both floors are given, or "exponential" has none.
        MisconfigurationException: at the start of a fit whose length the Trainer does not know, if ``t_max`` is None.

    A decay longer than ``t_max`` begins at t = 0.

    Source: Hu et al., MiniCPM, 2024; "1-sqrt" from Hägele et al., Scaling Laws and Compute-Optimal Training Beyond
    Fixed Training Durations, 2024.
    """

    durations = ("t_max",)
    periods = ("decay",)
    fills_run = "t_max"

    def __init__(
        self,
        decay: int | str,
        *,
        shape: Decay = "linear",
        t_max: int | str | None = None,
        checkpoint_before_decay: bool = False,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(**floored)
        self.decay = checks.duration(self, "decay", decay)
        self.shape = cast(Decay, checks.choice(self, "shape", shape, get_args(Decay)))
        if shape == "exponential" and not self.eta_min_ratio:
            checks.refuse(self, "eta_min_ratio", "a number in (0, 1] with shape='exponential'", self.eta_min_ratio)
        self.t_max = checks.duration_or_none(self, "t_max", t_max, "the whole run")
        self.checkpoint_before_decay = checks.flag(self, "checkpoint_before_decay", checkpoint_before_decay)

    def formula(self) -> Formula:
        end, ratio = self.decay_ends(), self.eta_min_ratio
        if end is None:
            return lambda t: line(1.0)
        decay = min(self.length("decay"), end)
        begin, height = end - decay, _HEIGHTS.get(self.shape)

        def at(t: int) -> Line:
            s = 0 if t < begin else t - begin if t < end else decay
            if height is not None:
                return self.above_floor(height(s, decay))
            assert ratio is not None
            return line(ratio ** (s / decay))

        return at

    def decay_ends(self) -> int | None:
        """The t from which on the LR is the floor."""
        return self.length("t_max")

    def decay_begins(self) -> int | None:
        end = self.decay_ends()
        return None if end is None else max(end - self.length("decay"), 0)

    def note(self, base: float) -> str:
        decay, end = self.length("decay"), self.decay_ends()
        return "" if end is None or decay <= end else f"the decay of {decay} {self.counts}s is cut to the {end} left"

    def corners(self, end: int) -> list[int]:
        return [t for t in (self.decay_begins(), self.decay_ends()) if t is not None]
