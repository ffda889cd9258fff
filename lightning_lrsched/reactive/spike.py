"""A guard against divergence: a lower LR while the loss or the gradient is out of bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import cast

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Line, interpolate
from ..formula.decisions import Reaction
from ..formula.memory import Memory, Reactive, Watched
from ..schedule import CommonArguments, LRSchedule


@dataclass
class SpikeMemory(Memory):
    values: list[float] = field(default_factory=list)  # the last of those watched
    spiked: int | None = None  # the t of the last spike


class BackOffOnSpike(Reactive, LRSchedule):
    r"""A lower LR for a while after a spike of loss or gradient.

    .. code-block:: text

        ─────┐    ╱─────
             │   ╱
             └──╱

    It begins with the very update whose loss or gradient norm is the spike: above ``threshold`` times the median of the
    last ``window`` values, or not finite.
    ``lr(t) = base * factor`` for ``hold`` intervals, the spike's own being the first; it then climbs back in a line, in
    ``recovery`` even stairs below ``base``; another spike in that time begins anew. Multiply it with any schedule by
    :class:`~lightning_lrsched.ProductSchedule`, where ``base`` is what that schedule says.

    The value is looked at before the update is made, so the update that a bad batch causes is itself a small one, what
    gradient clipping does to the gradient of plain SGD; under Adam, which divides a gradient's size out, only the LR
    makes an update smaller. LBFGS has read its LR by then, and is slowed down from its next step on. On several ranks
    the mean over the ranks is judged. A value that stays high becomes the usual one after half a ``window``. Each spike
    that lowers the LR is an entry of ``journal``.

    >>> guard = BackOffOnSpike(factor=0.1, hold=2, recovery=3, window=4, interval="step")
    >>> for t, loss in enumerate((1.0, 1.1, 0.9, 1.0, 8.0)):
    ...     guard.check(loss, t)
    >>> guard.spiked, [round(guard.lr_at(t, base_lr=1.0), 3) for t in (4, 5, 6, 7, 8, 9)]
    (4, [0.1, 0.1, 0.325, 0.55, 0.775, 1.0])

    Args:
        watch: ``"loss"``: what ``training_step`` returns, or the argument of ``manual_backward``; ``"grad_norm"``: the
            2-norm of the gradients of the optimizer's parameters, before clipping, whenever Lightning steps it (in
            manual optimization not in a step of torch's optimizer itself).
        threshold: How many times the median a spike is, > 1. A median that is not positive tells no spikes: then only
            values that are not finite are.
        factor: Factor of the LR, in [0, 1).
        hold: How long the LR stays down, a positive duration.
        recovery: How long it takes to climb back, a duration. 0: it is back at once.
        window: How many values the median is of, >= 2. Until there are so many, only values that are not finite are
            spikes.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`. With ``interval="epoch"`` a spike lowers the
            LR at once, too, and ``hold`` counts the epoch of the spike.

    Reading the value costs a synchronization with the device in each batch. Under an fp16 GradScaler a gradient that is
    not finite is the scaler's own business, which skips the update, and no spike. A parameter group that joins during a
    back-off keeps its LR for one interval and rises with the others from there.

    Raises:
        ValueError: a value breaks its rule.
        MisconfigurationException: at the start of a fit in which the schedule drives several optimizers that count
            their own steps, watches the loss while there are several, or the gradients of a model that is sharded.

    Source: none; gradient clipping is that of Pascanu et al., On the Difficulty of Training Recurrent Neural Networks,
    2013.
    """

    periods = ("hold", "recovery")
    from_zero = ("warmup", "recovery")
    meaning = ("watch",)
    places = ("spiked",)

    memory: SpikeMemory

    def __init__(
        self,
        watch: Watched = "loss",
        *,
        threshold: float = 5.0,
        factor: float = 0.1,
        hold: int | str = 10,
        recovery: int | str = 10,
        window: int = 50,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self.watch: Watched = cast(Watched, checks.choice(self, "watch", watch, ("loss", "grad_norm")))
        self.threshold = checks.number(self, "threshold", threshold, "a number > 1", lambda x: x > 1)
        self.factor = checks.number(self, "factor", factor, "a number in [0, 1)", lambda x: 0 <= x < 1)
        self.hold = checks.duration(self, "hold", hold)
        self.recovery = checks.duration(self, "recovery", recovery, at_least=0)
        self.window = checks.whole(self, "window", window, at_least=2)
        self.memory = SpikeMemory()

    @property
    def spiked(self) -> int | None:
        """The t of the last spike."""
        return self.memory.spiked

    def line(self, t: int) -> Line:
        if self.spiked is None:
            return Line(1.0)
        hold = self.length("hold")
        back = interpolate([(hold - 1, 0.0), (hold + self.length("recovery"), 1.0)], t - self.spiked, "linear")
        return Line(self.factor * (1.0 - back) + back)

    def corners(self, end: int) -> list[int]:
        if self.spiked is None:
            return []
        back = self.spiked + self.length("hold")
        return [back - 1, back + self.length("recovery")]

    def check(self, value: float, t: int) -> None:
        """Look at the value of update ``t``."""
        self.react(value, t, set())

    def react(self, value: float, t: int, bases: set[float]) -> Reaction | None:
        values = self.memory.values
        usual = median(values) if len(values) == self.window else 0.0
        if finite := math.isfinite(value):
            self.memory.values = [*values, value][-self.window :]
            if usual <= 0.0 or value <= self.threshold * usual:
                return None
        down = self.line(t).factor == self.factor
        self.memory.spiked = t
        if down:
            return None
        times = f"{value:.6g}, {value / usual:.3g} times its median {usual:.6g}" if finite else f"{value}"
        return Reaction(f"{self.watch} is {times}")
