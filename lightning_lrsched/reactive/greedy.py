"""An LR that rises while a metric improves and falls while it stalls."""

from __future__ import annotations

import math
from dataclasses import dataclass

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, line
from ..formula.decisions import Reaction
from ..schedule import CommonArguments, LRSchedule
from .plateau import Checks, Mode, PlateauDetector, ThresholdMode


@dataclass(eq=False, repr=False)
class GreedyMemory(Checks):
    good_checks: int = 0  # in a row
    cooldown_left: int = 0
    height: float = 1.0  # factor of the base LR
    falls_at_bottom: int = 0


class GreedyLR(PlateauDetector, LRSchedule):
    r"""The LR rises while a metric improves, and falls while not.

    .. code-block:: text

              ┌──┐
           ┌──┘  └──┐     ┌──
        ───┘        └─────┘      (whatever the metric does)

    ``lr = base * height``, with ``height`` 1 at first. A check is judged as :class:`~lightning_lrsched.ReduceOnPlateau`
    does; ``patience`` checks in a row that are each better than the best before make it ``height / factor``, as many in
    a row that are not make it ``height * factor``, both within the bounds. After a change the next checks are not
    judged, nor do they become the best, ``rise_cooldown`` or ``cooldown`` of them, and the counting starts anew. At the
    ``reset_start``-th fall in a row that leaves it at the lower bound, height, best and average are as at the start.
    Each change is an entry of ``journal``, with its numbers.

    >>> greedy = GreedyLR(patience=2, factor=0.5, min_lr_ratio=0.25, max_lr_ratio=2.0, reset_start=2)
    >>> lrs = []
    >>> for val_loss in (5, 4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2):
    ...     greedy.check(val_loss)
    ...     lrs.append(greedy.lr_at(0, base_lr=1.0))
    >>> lrs
    [1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 1.0]

    Args:
        monitor: Name of a logged metric.
        mode: ``"min"``: smaller is better; ``"max"``: larger is.
        factor: Factor of each fall, in (0, 1); a rise divides by it.
        patience: Checks in a row that lead to a change, >= 1.
        threshold: By how much a check must beat the best one, >= 0.
        threshold_mode: ``"abs"``: by ``threshold``; ``"rel"``: by ``threshold * abs(best)``.
        smoothing: Judge the metric's average: an exponential average that gives the past this weight, in [0, 1), or,
            from 1 on, the mean of so many last checks. 0 and 1: each check counts as it is.
        cooldown: Checks after a fall that do not count, >= 0.
        rise_cooldown: Checks after a rise that do not count, >= 0.
        min_lr_ratio: The lower bound of the height, in (0, 1].
        max_lr_ratio: The upper bound of the height, >= 1.
        reset_start: Falls in a row at the lower bound, that which reaches it included, of which the last begins anew,
            >= 1. None: it never does.
        check_on_train_epoch_end: Check once when a training epoch ends, not when a validation does.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`. ``interval`` is the unit of ``warmup``: the
            LR changes from the update after the check on.

    Raises:
        ValueError: a value breaks its rule.
        MisconfigurationException: after the first epoch with a validation, when the metric was never logged.

    Source: GreedyLR: A Novel Adaptive Learning Rate Scheduler, 2025, arXiv 2512.14527, as in transformers, whose
    ``patience=p`` is ``patience=p+1`` here, ``smooth`` with ``window_size=n`` ``smoothing=n``, and ``warmup``
    ``rise_cooldown``. Its bounds are LRs, ``min_lr`` and ``max_lr``; here they are ratios, so that groups keep theirs.
    """

    memory_type = GreedyMemory
    memory: GreedyMemory

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        mode: Mode = "min",
        factor: float = 0.95,
        patience: int = 10,
        threshold: float = 1e-6,
        threshold_mode: ThresholdMode = "abs",
        smoothing: float | int = 0.0,
        cooldown: int = 0,
        rise_cooldown: int = 0,
        min_lr_ratio: float = 0.01,
        max_lr_ratio: float = 10.0,
        reset_start: int | None = 500,
        check_on_train_epoch_end: bool = False,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self._detect(monitor, mode, patience, threshold, threshold_mode, smoothing, check_on_train_epoch_end)
        self.factor = checks.number(self, "factor", factor, "a number in (0, 1)", lambda x: 0 < x < 1)
        self.cooldown = checks.whole(self, "cooldown", cooldown, at_least=0)
        self.rise_cooldown = checks.whole(self, "rise_cooldown", rise_cooldown, at_least=0)
        self.min_lr_ratio = checks.number(
            self, "min_lr_ratio", min_lr_ratio, "a number in (0, 1]", lambda x: 0 < x <= 1
        )
        self.max_lr_ratio = checks.number(self, "max_lr_ratio", max_lr_ratio, "a number >= 1", lambda x: x >= 1)
        self.reset_start = checks.whole_or_none(self, "reset_start", reset_start, "never", at_least=1)
        self.memory = GreedyMemory()

    @property
    def height(self) -> float:
        """The LR of now as a factor of the base LR."""
        return min(max(self.memory.height, self.min_lr_ratio), self.max_lr_ratio)

    def formula(self) -> Formula:
        return lambda t: line(self.height)

    def check(self, value: float) -> None:
        """Judge one value of the metric."""
        self.react(value, 0, set())

    def react(self, value: float, t: int, bases: set[float]) -> Reaction | None:
        memory = self.memory
        memory.height = before = self.height
        if memory.cooldown_left:
            memory.cooldown_left -= 1
            if math.isfinite(value):
                self._smoothed(value)
            return None
        reason, improved = "", self.count(value)
        memory.good_checks = memory.good_checks + 1 if improved else 0
        if memory.good_checks >= self.patience:
            memory.good_checks, memory.cooldown_left, memory.falls_at_bottom = 0, self.rise_cooldown, 0
            memory.height = min(before / self.factor, self.max_lr_ratio)
            times = "once" if self.patience == 1 else f"{self.patience} times in a row"
            reason = f"{self.monitor} improved {times}, to {memory.best:.6g}"
        elif memory.bad_checks >= self.patience:
            reason = self._stalled(value)
            memory.bad_checks, memory.cooldown_left = 0, self.cooldown
            memory.height = max(before * self.factor, self.min_lr_ratio)
            memory.falls_at_bottom += memory.height == self.min_lr_ratio
            if self.reset_start is not None and memory.falls_at_bottom >= self.reset_start:
                memory.height, memory.falls_at_bottom, memory.best, memory.average = 1.0, 0, None, (0.0, 0.0, ())
                reason += "; begins anew"
        return Reaction(reason) if memory.height != before else None
