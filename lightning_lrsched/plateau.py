"""Reduce on plateau, the one schedule with a memory."""

from __future__ import annotations

import math
from typing import Any, Literal, cast

from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import Unpack

from . import _checks
from .curves import Line
from .schedule import CommonArguments, LRSchedule


class ReduceOnPlateau(LRSchedule):
    r"""The LR falls by ``factor`` when a metric has stopped improving.

    .. code-block:: text

        ────────┐
                └────┐
                     └───────────   (whenever the metric stalls)

    ``lr = max(base * factor ** reductions, min_lr)``. A check is better than the best one so far when it beats it by
    more than ``threshold``; after ``patience`` checks in a row that are not, the LR is reduced, the next ``cooldown``
    checks are not counted, and the counting starts anew.

    Each finished validation is one check. A metric that no validation logs is checked when a training epoch ends, or,
    if the module logs it in its own ``on_train_epoch_end``, just before the next epoch. The sanity check,
    ``trainer.validate`` and ``trainer.test`` never count, nor does a value that was counted before. On several ranks
    the metric's mean over the ranks is judged, so they never disagree. NaN and infinities are no improvement, never
    become the best, and are warned about once. Checks during the warmup are not judged.

    >>> plateau = ReduceOnPlateau(patience=2, factor=0.5)
    >>> for val_loss in (1.0, 1.0, 1.0):
    ...     plateau.check(val_loss)
    >>> plateau.reductions, plateau.lr_at(0, base_lr=0.1)
    (1, 0.05)

    Args:
        monitor: Name of a logged metric.
        mode: ``"min"``: smaller is better; ``"max"``: larger is.
        factor: Factor of each reduction, in (0, 1).
        patience: Checks in a row without improvement that lead to a reduction, >= 1. torch reduces one check later:
            its ``patience=p`` is ``patience=p+1`` here; EarlyStopping and Keras count as here.
        threshold: By how much a check must beat the best one, >= 0.
        threshold_mode: ``"rel"``: by ``threshold * abs(best)``, right for negative metrics too; ``"abs"``: by
            ``threshold``.
        cooldown: Checks after a reduction that do not count, >= 0.
        min_lr: The floor, an LR >= 0 that no group's base LR lies under.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`. ``interval`` is the unit of ``warmup``.

    A checkpoint that was saved after a batch, before the validation that followed it (``every_n_train_steps``), resumes
    without that validation, and its check is missed: Lightning does not repeat it. Better save on validation end.

    Raises:
        ValueError: a value breaks its rule.
        MisconfigurationException: after the first epoch with a validation, when the metric was never logged.
    """

    best: float | None
    bad_checks: int
    cooldown_left: int
    reductions: int
    _warned: bool

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self.monitor: str = _checks.name(self, "monitor", monitor, "the name of a metric")
        self.mode = cast(Literal["min", "max"], _checks.choice(self, "mode", mode, ("min", "max")))
        self.factor = _checks.number(self, "factor", factor, "a number in (0, 1)", lambda x: 0 < x < 1)
        self.patience = _checks.whole(self, "patience", patience, at_least=1)
        self.threshold = _checks.number(self, "threshold", threshold, "a number >= 0", lambda x: x >= 0)
        kind = _checks.choice(self, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.threshold_mode = cast(Literal["rel", "abs"], kind)
        self.cooldown = _checks.whole(self, "cooldown", cooldown, at_least=0)
        self.min_lr = _checks.number(self, "min_lr", min_lr, "a number >= 0", lambda x: x >= 0)

    def line(self, t: int) -> Line:
        return Line(self.factor**self.reductions, floor=self.min_lr)

    def check(self, value: float) -> None:
        """Judge one value of the metric."""
        if not math.isfinite(value) and not self._warned:
            self._warned = True
            rank_zero_warn(f"{type(self).__name__}: {self.monitor!r} is {value}, which counts as no improvement.")
        if self._better(value):
            self.best, self.bad_checks = value, 0
        else:
            self.bad_checks += 1
        if self.cooldown_left:
            self.cooldown_left, self.bad_checks = self.cooldown_left - 1, 0
        if self.bad_checks >= self.patience:
            self.reductions += 1
            self.bad_checks, self.cooldown_left = 0, self.cooldown

    def _better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        margin = self.threshold * abs(self.best) if self.threshold_mode == "rel" else self.threshold
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    # ---- plumbing

    def _judge(self, value: float, t: int) -> None:
        if t >= self.length("warmup"):
            self.check(value)

    def _floor(self) -> tuple[str, float]:
        return "min_lr", self.min_lr

    def _begin_anew(self) -> None:
        self.best = None
        self.bad_checks = self.cooldown_left = self.reductions = 0
        self._warned = False

    def _memory(self) -> object:
        return self.best, self.bad_checks, self.cooldown_left, self.reductions

    def _remember(self, memory: Any) -> None:
        self.best, self.bad_checks, self.cooldown_left, self.reductions = memory
