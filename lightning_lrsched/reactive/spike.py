"""A guard against divergence: a lower LR while the loss or the gradient is out of bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

from typing_extensions import Unpack

from ..callback import Watching
from ..formula import checks
from ..formula.curves import Formula, interpolated, line
from ..formula.decisions import Reaction
from ..formula.memory import Memory, Reactive, Watched
from ..schedule import CommonArguments, LRSchedule


@dataclass(eq=False, repr=False)
class SpikeMemory(Memory):
    values: list[float] = field(default_factory=list)  # the last of those watched
    spiked: int | None = None  # the t of the last spike


class BackOffOnSpike(Reactive, Watching, LRSchedule):
    r"""A lower LR for a while after a spike of loss or gradient.

    .. code-block:: text

        ─────┐    ╱─────
             │   ╱
             └──╱

    A spike is a loss or gradient norm above ``threshold`` times the highest of the last ``window`` values, or one that
    is not finite. The update that it belongs to is not made: its gradients are dropped before any momentum takes them
    up. ``lr(t) = base * factor`` for ``hold`` intervals, the spike's own being the first; it then climbs back in a
    line, in ``recovery`` even stairs below ``base``; another spike in that time begins anew. Multiply it with any
    schedule by :class:`~lightning_lrsched.ProductSchedule`, where ``base`` is what that schedule says.

    Clip the gradients first (``Trainer(gradient_clip_val=1.0)``): that costs nothing and does as well against a single
    bad batch (``recipes.reactions``). This is for what clipping does not see, such as a loss that has become nan or a
    run that has begun to diverge, and for a journal that says when it happened.

    Among the last values a spike counts as the bound that it broke, so that one spike does not hide the next, and a
    value that stays high becomes the usual one after a few. On several ranks the mean over the ranks is judged. Each
    spike that lowers the LR is an entry of ``journal``.

    >>> guard = BackOffOnSpike(factor=0.1, hold=2, recovery=3, window=4, interval="step")
    >>> for t, loss in enumerate((1.0, 1.5, 0.9, 1.0, 8.0)):
    ...     guard.check(loss, t)
    >>> guard.spiked, [round(guard.lr_at(t, base_lr=1.0), 3) for t in (4, 5, 6, 7, 8, 9)]
    (4, [0.1, 0.1, 0.325, 0.55, 0.775, 1.0])

    Args:
        watch: ``"loss"``: what ``training_step`` returns, or the argument of ``manual_backward``; ``"grad_norm"``: the
            2-norm of the gradients of the optimizer's parameters, before clipping, whenever Lightning steps it (in
            manual optimization not in a step of torch's optimizer itself). Shards of ``fully_shard`` and of tensor
            parallelism count as the whole gradient.
        threshold: How many times the highest of the last values a spike is, > 1. Where that is not positive it tells
            no spikes: then only values that are not finite are.
        factor: Factor of the LR, in [0, 1).
        hold: How long the LR stays down, a positive duration.
        recovery: How long it takes to climb back, a duration. 0: it is back at once.
        window: How many values are looked back on, >= 2. Until there are so many, only values that are not finite are
            spikes.
        lag: Whether a value is judged when the next one comes: a norm an update late, a loss a batch. Else reading it
            waits for the device in each batch; late it has long arrived, so that nothing waits (but for the scale of a
            GradScaler), the update of the spike is made, and the back-off begins then: of little help against a single
            bad batch.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`. ``interval`` is ``"step"`` by default; with
            ``"epoch"`` a spike lowers the LR at once, too, and ``hold`` counts the epoch of the spike.

    In manual optimization an update is dropped where Lightning steps the optimizer, not in a step of torch's optimizer
    itself; with a fused optimizer under a GradScaler it is made with gradients of zero. There a gradient that is not
    finite is the scaler's own business, which skips the update, and no spike. A parameter group that joins during a
    back-off keeps its LR for one interval and rises with the others from there.

    Raises:
        ValueError: a value breaks its rule.
        MisconfigurationException: at the start of a fit in which the schedule drives several optimizers that count
            their own steps, watches the loss while there are several, or gradients in shards that do not say which part
            of the model they are (FSDPStrategy, DeepSpeedStrategy); or DeepSpeed keeps the gradients to itself and
            there is no ``lag``.

    Source: none; gradient clipping is that of Pascanu et al., On the Difficulty of Training Recurrent Neural Networks,
    2013.
    """

    usual_interval = "step"
    periods = ("hold", "recovery")
    from_zero = ("warmup", "recovery")
    meaning = ("watch",)
    places = ("spiked",)

    memory_type = SpikeMemory
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
        lag: bool = False,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self.watch: Watched = cast(Watched, checks.choice(self, "watch", watch, ("loss", "grad_norm")))
        self.threshold = checks.number(self, "threshold", threshold, "a number > 1", lambda x: x > 1)
        self.factor = checks.number(self, "factor", factor, "a number in [0, 1)", lambda x: 0 <= x < 1)
        self.hold = checks.duration(self, "hold", hold)
        self.recovery = checks.duration(self, "recovery", recovery, at_least=0)
        self.window = checks.whole(self, "window", window, at_least=2)
        self.lag = checks.flag(self, "lag", lag)
        self.memory = SpikeMemory()

    @property
    def spiked(self) -> int | None:
        """The t of the last spike."""
        return self.memory.spiked

    def formula(self) -> Formula:
        if self.spiked is None:
            return lambda t: line(1.0)
        held = self.spiked + self.length("hold")
        factor = interpolated([(held - 1, self.factor), (held + self.length("recovery"), 1.0)], "linear")
        return lambda t: line(factor(t))

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
        highest = max(values) if len(values) == self.window else 0.0
        bound = self.threshold * highest if highest > 0.0 else math.inf
        if finite := math.isfinite(value):
            self.memory.values = [*values, min(value, bound)][-self.window :]
            if value <= bound:
                return None
        down = self.formula()(t) == line(self.factor)
        self.memory.spiked = t
        if down:
            return Reaction(skip=not self.lag)
        times = f", {value / highest:.3g} times the highest of the last {len(values)}, {highest:.6g}" if finite else ""
        return Reaction(f"{self.watch} is {value:.6g}{times}", skip=not self.lag)
