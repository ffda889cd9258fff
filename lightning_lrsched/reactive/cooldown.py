"""A cooldown that begins when training stalls or its time runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typing_extensions import Unpack

from ..formula.decisions import Reaction
from ..formula.timeline import Mark, Run
from ..measure import Span, until
from ..schedule import FlooredArguments
from ..schedules.warmup_stable_decay import Decay, WarmupStableDecay
from .plateau import Checks, Mode, PlateauDetector, ThresholdMode


@dataclass(eq=False, repr=False)
class CooldownMemory(Checks):
    began: int | None = None  # the t from which the decay runs
    began_after: int | None = None  # so many checks without improvement; None: the time began it


class CooldownOnPlateau(PlateauDetector, WarmupStableDecay):
    r"""The base LR until a metric stalls, then one last decay.

    .. code-block:: text

          ╭─────────────╮
         ╱               ╲
        ╱                 ╲ stop   (once the metric stalls)

    ``lr(t)`` is that of :class:`~lightning_lrsched.WarmupStableDecay` with its decay from ``began`` on, the first of:

    - the interval in which ``patience`` checks in a row had brought no improvement of the metric, judged as
      :class:`~lightning_lrsched.ReduceOnPlateau` does;
    - the one from which on the Trainer's ``max_time`` leaves just enough for the decay, at the run's mean pace so far,
      validations and resumed processes included; not before a tenth of the time has gone;
    - ``t_max - decay``, as far as ``t_max`` is known.

    ``decay`` intervals later the fit stops. The first two are decisions: ``journal`` holds them, and a checkpoint keeps
    them, so that a resumed run ends where the uninterrupted one does. A ``patience`` that was raised beyond the checks
    that began the decay takes it back: such a run goes on at the base LR.

    >>> cooldown = CooldownOnPlateau(decay=4, patience=2)
    >>> [cooldown.lr_at(t, base_lr=1.0) for t in (0, 100)]
    [1.0, 1.0]
    >>> for t, val_loss in enumerate((0.5, 0.5, 0.5)):
    ...     cooldown.check(val_loss, t)
    >>> cooldown.began, [cooldown.lr_at(t, base_lr=1.0) for t in (2, 3, 4, 6, 7)]
    (2, [1.0, 0.75, 0.5, 0.0, 0.0])

    Args:
        decay: Length of the decay, a positive duration.
        monitor: Name of a logged metric.
        mode: ``"min"``: smaller is better; ``"max"``: larger is.
        patience: Checks in a row without improvement that begin the decay, >= 1.
        threshold: By how much a check must beat the best one, >= 0.
        threshold_mode: ``"rel"``: by ``threshold * abs(best)``; ``"abs"``: by ``threshold``.
        smoothing: Judge the metric's average: an exponential average that gives the past this weight, in [0, 1), or,
            from 1 on, the mean of so many last checks. 0 and 1: each check counts as it is.
        check_on_train_epoch_end: Check once when a training epoch ends, not when a validation does.
        shape: ``"linear"``, ``"cosine"``, ``"1-sqrt"``, ``"square"`` or ``"exponential"``, which needs an
            ``eta_min_ratio`` > 0.
        t_max: Where the decay ends at the latest, a positive duration. None: with the run, if its length is known.
        checkpoint_before_decay: Save a checkpoint just before the first update of the decay, in the folder of the first
            ModelCheckpoint or in ``default_root_dir/checkpoints``: ``before-decay-step=<updates>.ckpt``. A run with
            more ``patience`` continues from it at the base LR. Where the module logs the metric in its own
            ``on_train_epoch_end``, the next epoch has begun when it is judged, and one update comes before it.
        **floored: The floor, ``eta_min`` (an LR >= 0) or ``eta_min_ratio`` (of each group's base LR, in [0, 1]; 0 by
            default), which lies above no base LR; and the arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range, both floors are given, or "exponential" has none.
        MisconfigurationException: after the first epoch with a validation, when the metric was never logged; at the
            start of a fit with several optimizers that count their own steps, which have no common t.

    Source: none; the shapes are those of :class:`~lightning_lrsched.WarmupStableDecay`.
    """

    fills_run = ""
    places = ("began",)
    tells_time = True

    memory_type = CooldownMemory
    memory: CooldownMemory

    def __init__(
        self,
        decay: int | str,
        monitor: str = "val_loss",
        *,
        mode: Mode = "min",
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: ThresholdMode = "rel",
        smoothing: float | int = 0.0,
        check_on_train_epoch_end: bool = False,
        shape: Decay = "linear",
        t_max: int | str | None = None,
        checkpoint_before_decay: bool = False,
        **floored: Unpack[FlooredArguments],
    ) -> None:
        super().__init__(decay, shape=shape, t_max=t_max, checkpoint_before_decay=checkpoint_before_decay, **floored)
        self._detect(monitor, mode, patience, threshold, threshold_mode, smoothing, check_on_train_epoch_end)
        self.memory = CooldownMemory()

    @property
    def began(self) -> int | None:
        """The t from which the decay runs; None: no decision has been taken."""
        return self.memory.began

    def remember(self, remembered: dict[str, Any]) -> None:
        super().remember(remembered)
        if self.memory.began_after is not None and self.memory.began_after < self.patience:
            self.memory.began = self.memory.began_after = None

    def decay_ends(self) -> int | None:
        planned = None if self.t_max is None else self.length("t_max")
        ends = [planned, None if self.began is None else self.began + self.length("decay")]
        return min((end for end in ends if end is not None), default=None)

    def check(self, value: float, t: int) -> None:
        """Judge one value of the metric in interval ``t``."""
        self.react(value, t, set())

    def react(self, value: float, t: int, bases: set[float]) -> Reaction | None:
        self.count(value)
        if self._holds(t) and self.memory.bad_checks >= self.patience:
            self.memory.began_after = self.memory.bad_checks
            return self._begin_decay(t, self._stalled(value))
        return None

    def tick(self, t: int, left: Callable[[], float | None]) -> Reaction | None:
        end = self.decay_ends()
        if end is not None and t >= end:
            return Reaction(stop=True)
        # one interval more and the time would no longer do
        if self._holds(t) and (intervals := left()) is not None and intervals < self.length("decay") + 1:
            return self._begin_decay(t, f"max_time leaves about {intervals:.1f} more intervals")
        return None

    def _holds(self, t: int) -> bool:
        """Whether no decay has begun, nor is one that would end sooner under way."""
        end = self.decay_ends()
        return end is None or t + self.length("decay") < end

    def _begin_decay(self, t: int, reason: str) -> Reaction:
        self.memory.began = t
        decay = self.length("decay")
        return Reaction(f"{reason}; decays over {decay} {self.counts}s, then stops", at=t + decay)

    def spans(self, run: Run, begin: Mark, end: Mark | None) -> dict[str, Span]:
        found = super().spans(run, begin, end)
        last = run.end(self.counts) if end is None else end
        if self.t_max is None and last is not None:
            found["t_max"] = until(last, begin)._replace(clock=found["decay"].clock)  # the decay is all that moves
        return found
