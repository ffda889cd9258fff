"""The metric that a reactive schedule watches: every value counts once, when it is new."""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import Any, cast

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ..formula.memory import Reactive
from .messages import refusal, warn


def mean_over_ranks(trainer: Trainer, values: list[float]) -> list[float]:
    here = torch.tensor(values, dtype=torch.float64, device=trainer.strategy.root_device)
    means: list[float] = cast(Tensor, trainer.strategy.reduce(here, reduce_op="mean")).tolist()
    return means


class Monitor:
    """Tells a new value from a stale one: the Trainer keeps old values, so that presence does not mean fresh.

    What a validation logs counts when the validation ends; what only training logs, when the epoch ends, or just before
    the next one where the module logs it in its own ``on_train_epoch_end``. With ``check_on_train_epoch_end`` both
    count when the epoch ends. What has to wait stands in the schedule's memory.
    """

    def __init__(self, owner: Reactive, name: str, trainer: Trainer) -> None:
        self._owner = owner
        self._memory = owner.memory
        self._name = name
        self._trainer = trainer
        self._before_epoch: object = None
        self._before_validation: object = None
        self._validated = False
        self._before_names: set[str] = set()  # what is logged before the first validation
        self._last_epoch = -1
        self._epochs = 0

    def validation_starts(self) -> None:
        self._before_validation = self._value()
        if not self._validated:
            self._before_names = set(self._trainer.callback_metrics)

    def validation_ends(self) -> float | None:
        memory, trainer = self._memory, self._trainer
        first, self._validated = not self._validated, True
        value = self._new(self._before_validation, trainer.current_epoch)
        if self._owner.check_on_train_epoch_end:
            memory.waiting = memory.waiting if value is None else value
            return None
        memory.from_validation |= value is not None
        if self._value() is None and math.isinf(trainer.num_training_batches):
            raise refusal(self._owner, self._missing())  # no epoch will end and bring a training metric
        if first and value is None and not (memory.seen or trainer.is_last_batch):
            self._warn_of_a_typo()
        return value

    def epoch_ends(self) -> float | None:
        if self._memory.from_validation:
            return None
        waiting, self._memory.waiting = self._memory.waiting, None
        value = self._new(self._before_epoch, self._trainer.current_epoch)
        return waiting if value is None else value

    def between_epochs(self) -> float | None:
        trainer = self._trainer
        ended = trainer.current_epoch - 1
        value, self._memory.waiting = self._memory.waiting, None  # it came with the checkpoint
        if value is not None:
            self._last_epoch, self._memory.seen = ended, True
        elif self._may_come_late():
            value = self._new(self._before_epoch, ended)
            never = self._last_epoch < 0 and self._epochs > 0
            if never and (self._validated or not trainer.enable_validation):
                raise refusal(self._owner, self._missing())
        self._epochs += 1
        self._before_epoch = self._value()
        return value

    def _may_come_late(self) -> bool:
        """Whether the epoch that has ended may have brought a value after its end was judged."""
        ended = self._trainer.current_epoch - 1
        return not self._memory.from_validation and ended >= 0 and self._last_epoch != ended

    def note_waiting(self) -> None:
        """An epoch has ended, and its value will be judged only when the next one starts: a checkpoint must hold it."""
        done: Any = self._trainer.fit_loop.epoch_progress.current
        ended = done.processed == self._trainer.current_epoch + 1
        if ended and not self._memory.from_validation and self._last_epoch != self._trainer.current_epoch:
            value = self._fresh(self._before_epoch)
            self._memory.waiting = self._memory.waiting if value is None else value

    def warn_if_never(self) -> None:
        """The fit ends, and no value has ever come in an epoch or more."""
        if not self._memory.seen and self._epochs > 1:
            warn(self._owner, f"{self._missing()} The fit ends without a single value of it.")

    def _value(self) -> Tensor | None:
        return self._trainer.callback_metrics.get(self._name)

    def _new(self, stale: object, epoch: int) -> float | None:
        """A value that was not there before, which counts from here on."""
        value = self._fresh(stale)
        if value is not None:
            self._last_epoch, self._memory.seen = epoch, True
        return value

    def _fresh(self, stale: object) -> float | None:
        value = self._value()
        new = value is not None and value is not stale
        number = float(value) if value is not None and new else 0.0
        if self._trainer.world_size > 1:  # every rank asks, so that none waits for an answer
            news, number = mean_over_ranks(self._trainer, [float(new), number])
            if 0.0 < news < 1.0:
                ranks = self._trainer.world_size
                raise refusal(self._owner, f"the metric {self._name!r} is missing on some of the {ranks} ranks.")
            new = news == 1.0
        return number if new else None

    def _warn_of_a_typo(self) -> None:
        """Before the epoch ends, when the training may log the metric yet; so only where the name is very near."""
        new = self._trainer.callback_metrics.keys() - self._before_names
        if near := get_close_matches(self._name, sorted(new), n=1, cutoff=0.8):
            warn(self._owner, f"the first validation has logged no {self._name!r}. Did you mean {near[0]!r}?")

    def _missing(self) -> str:
        there = sorted(self._trainer.callback_metrics)
        near, none = get_close_matches(self._name, there, n=1), ""
        if not self._trainer.enable_validation:
            none = " Nothing validates in this fit: only training metrics come."
        elif not self._validated:  # so that the name may well be right
            near, none = [], " No validation was due in this fit: see check_val_every_n_epoch."
        hint = f" Did you mean {near[0]!r}?" if near else ""
        names = ", ".join(there) or "none"
        return f"'monitor' must be a logged metric, got {self._name!r}.{hint} There are: {names}.{none}"
