"""Reduce on plateau, and how a plateau is told from noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from typing_extensions import Unpack

from ..fit.messages import warn
from ..formula import checks
from ..formula.curves import Formula, Line, line, value_of
from ..formula.decisions import Reaction
from ..formula.memory import Memory, Reactive
from ..schedule import CommonArguments, LRSchedule

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]


# of the metric: a decaying sum of its values and of their weights, and the last values, where the smoothing is a mean
Average = tuple[float, float, tuple[float, ...]]


@dataclass(eq=False, repr=False)
class Checks(Memory):
    """What is remembered of the checks of a metric."""

    warned: bool = False  # of a value that is not finite
    best: float | None = None
    bad_checks: int = 0
    average: Average = (0.0, 0.0, ())
    at_best: Average = (0.0, 0.0, ())


class PlateauDetector(Reactive):
    """Counts the checks of a metric that bring no improvement; its subclass says what follows."""

    meaning: ClassVar[tuple[str, ...]] = ("monitor", "mode", "smoothing")

    monitor: str
    memory: Checks

    def _detect(
        self,
        monitor: str,
        mode: Mode,
        patience: int,
        threshold: float,
        threshold_mode: ThresholdMode,
        smoothing: float | int,
        check_on_train_epoch_end: bool,
    ) -> None:
        """Take the constructor's arguments."""
        self.monitor = checks.name(self, "monitor", monitor, "the name of a metric")
        self.mode = cast(Mode, checks.choice(self, "mode", mode, ("min", "max")))
        self.patience = checks.whole(self, "patience", patience, at_least=1)
        self.threshold = checks.number(self, "threshold", threshold, "a number >= 0", lambda x: x >= 0)
        kind = checks.choice(self, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.threshold_mode = cast(ThresholdMode, kind)
        self.smoothing = checks.smoothing(self, "smoothing", smoothing)
        self.check_on_train_epoch_end = checks.flag(self, "check_on_train_epoch_end", check_on_train_epoch_end)

    def count(self, value: float) -> bool:
        """Count one check; True where it is the best so far."""
        if not math.isfinite(value):
            if not self.memory.warned:
                self.memory.warned = True
                warn(self, f"{self.monitor!r} is {value}, which counts as no improvement.")
            self.memory.bad_checks += 1
            return False
        memory, smooth = self.memory, self._smoothed(value)
        if self._better(smooth):
            memory.best, memory.bad_checks, memory.at_best = smooth, 0, memory.average
            return True
        memory.bad_checks += 1
        return False

    def _smoothed(self, value: float) -> float:
        total, weight, recent = self.memory.average
        if self.smoothing >= 1:
            self.memory.average = (total, weight, (*recent, value)[-int(self.smoothing) :])
        else:
            rest = 1.0 - self.smoothing
            self.memory.average = (self.smoothing * total + rest * value, self.smoothing * weight + rest, ())
        return self._average()

    def _average(self) -> float:
        total, weight, recent = self.memory.average
        return math.fsum(recent) / len(recent) if recent else total / weight

    def _better(self, value: float) -> bool:
        if (best := self.memory.best) is None:
            return True
        return value < self._bar(best) if self.mode == "min" else value > self._bar(best)

    def _bar(self, best: float) -> float:
        """What a check has to beat."""
        margin = self.threshold * abs(best) if self.threshold_mode == "rel" else self.threshold
        return best - margin if self.mode == "min" else best + margin

    def _stalled(self, value: float) -> str:
        """Which value was compared with what; ``value`` is the last one."""
        best, bad = self.memory.best, self.memory.bad_checks
        checks = f"{bad} checks" if bad > 1 else "1 check"
        told = f"no improvement of {self.monitor} in {checks}: "
        if not math.isfinite(value) or best is None:
            return f"{told}last {value:.6g}, best {'none yet' if best is None else f'{best:.6g}'}"
        smooth = " (smoothed)" if self.smoothing not in (0, 1) else ""
        than = "below" if self.mode == "min" else "above"
        return f"{told}{self._average():.6g}{smooth} is not {than} {self._bar(best):.6g}, best {best:.6g}"


@dataclass(eq=False, repr=False)
class PlateauMemory(Checks):
    cooldown_left: int = 0
    reductions: int = 0


class ReduceOnPlateau(PlateauDetector, LRSchedule):
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
    the metric's mean over the ranks is judged, so they never disagree; one that a rank lacks fails all of them. NaN and
    infinities are no improvement, never become the best, and are warned about once. Checks during the warmup are not
    judged. Each reduction is an entry of ``journal``, with its numbers.

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
        smoothing: Against noise, the metric's average is judged in its place: an exponential average that gives the
            past this weight, in [0, 1), as TensorBoard's slider does; or, from 1 on, the mean of so many last checks.
            0 and 1: each check counts as it is.
        cooldown: Checks after a reduction that do not count, >= 0. Keras counts the last of them: its ``cooldown=2`` is
            ``cooldown=1`` here.
        min_lr: The floor, an LR >= 0 that no group's base LR lies under.
        on_nan: ``"ignore"``: NaN and infinities are checks without improvement; ``"reduce"``: each reduces the LR at
            once, unless it falls into the cooldown.
        restore_best: Put the weights and the optimizers' state of the best check back at each reduction, learning rates
            and other hyperparameters excepted, and the metric's average. Costs a copy of weights and state in host
            memory, and as much in each checkpoint. Of a model that ``fully_shard`` or tensor parallelism has sharded,
            each rank copies its own shards; a checkpoint holds them whole, for any number of ranks.
        stop_when_exhausted: End the fit when the metric stalls and the LR is ``min_lr`` already, which must be > 0.
            Then a fit that goes on needs ``patience`` more checks to end again. False: such a stall changes nothing.
        check_on_train_epoch_end: Check once when a training epoch ends, not when a validation does: for a metric that
            both training and validation log, or to judge several validations an epoch as one.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`. ``interval`` is the unit of ``warmup``.

    A checkpoint that was saved after a batch, before the validation that followed it (``every_n_train_steps``), resumes
    without that validation, and its check is missed: Lightning does not repeat it. Better save on validation end.

    Raises:
        ValueError: a value breaks its rule.
        MisconfigurationException: after the first epoch with a validation, when the metric was never logged; at the
            start of a fit, when ``restore_best`` meets shards that do not say which part of the model they are
            (FSDPStrategy, DeepSpeedStrategy), or a ZeroRedundancyOptimizer.
    """

    memory_type = PlateauMemory
    memory: PlateauMemory

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        mode: Mode = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: ThresholdMode = "rel",
        smoothing: float | int = 0.0,
        cooldown: int = 0,
        min_lr: float = 0.0,
        on_nan: Literal["ignore", "reduce"] = "ignore",
        restore_best: bool = False,
        stop_when_exhausted: bool = False,
        check_on_train_epoch_end: bool = False,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self._detect(monitor, mode, patience, threshold, threshold_mode, smoothing, check_on_train_epoch_end)
        self.factor = checks.number(self, "factor", factor, "a number in (0, 1)", lambda x: 0 < x < 1)
        self.cooldown = checks.whole(self, "cooldown", cooldown, at_least=0)
        self.min_lr = checks.number(self, "min_lr", min_lr, "a number >= 0", lambda x: x >= 0)
        on_nan_ = checks.choice(self, "on_nan", on_nan, ("ignore", "reduce"))
        self.on_nan = cast(Literal["ignore", "reduce"], on_nan_)
        self.restore_best = checks.flag(self, "restore_best", restore_best)
        self.stop_when_exhausted = checks.flag(self, "stop_when_exhausted", stop_when_exhausted)
        if self.stop_when_exhausted and not self.min_lr:
            checks.refuse(self, "min_lr", "a number > 0 with stop_when_exhausted=True", min_lr)
        self.memory = PlateauMemory()

    @property
    def reductions(self) -> int:
        """How often the LR was reduced."""
        return self.memory.reductions

    def formula(self) -> Formula:
        now = self._now()
        return lambda t: now

    def _now(self) -> Line:
        return line(self.factor**self.reductions, floor=self.min_lr)

    def check(self, value: float) -> None:
        """Judge one value of the metric."""
        self.react(value, 0, set())

    def react(self, value: float, t: int, bases: set[float]) -> Reaction | None:
        improved = self.count(value)
        diverged = self.on_nan == "reduce" and not math.isfinite(value)
        reason = f"{self.monitor} is {value}" if diverged else self._stalled(value)
        memory = self.memory
        if memory.cooldown_left:
            memory.cooldown_left, memory.bad_checks = memory.cooldown_left - 1, 0
        elif diverged or memory.bad_checks >= self.patience:
            memory.bad_checks, memory.cooldown_left = 0, self.cooldown
            exhausted = bool(bases) and all(value_of(self._now(), base) <= self.min_lr for base in bases)
            if not exhausted:
                memory.reductions += 1
            elif not (diverged or self.stop_when_exhausted):
                return None
            return self._reduced(reason, stop=exhausted and self.stop_when_exhausted)
        return Reaction(keep=True) if improved and self.restore_best else None

    def _reduced(self, reason: str, stop: bool) -> Reaction:
        if stop:
            reason += f"; the LR is min_lr ({self.min_lr:g}) already, so the fit stops"
        restore = self.restore_best and self.memory.kept is not None
        if restore:
            self.memory.average = self.memory.at_best
            reason += "; the weights of the best check are put back"
        return Reaction(reason, restore=restore, stop=stop)

    def floor(self) -> tuple[str, float]:
        return "min_lr", self.min_lr
