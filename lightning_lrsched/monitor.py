"""The metric that a reactive schedule watches: every value counts once, when it is new."""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import cast

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from .ownership import refusal
from .reactive.base import Reactive


def mean_over_ranks(trainer: Trainer, values: list[float]) -> list[float]:
    here = torch.tensor(values, dtype=torch.float64, device=trainer.strategy.root_device)
    means: list[float] = cast(Tensor, trainer.strategy.reduce(here, reduce_op="mean")).tolist()
    return means


class Monitor:
    """Tells a new value from a stale one: the Trainer keeps old values, so that presence does not mean fresh.

    What a validation logs counts when the validation ends; what only training logs, when the epoch ends, or just before
    the next one where the module logs it in its own ``on_train_epoch_end``. With ``check_on_train_epoch_end`` both
    count when the epoch ends.
    """

    def __init__(self, owner: Reactive, name: str) -> None:
        self._owner = owner
        self._name = name
        self._before_epoch: object = None
        self._before_validation: object = None
        self._validated = False
        self._last_epoch = -1
        self._epochs = 0

    def validation_starts(self, trainer: Trainer) -> None:
        self._before_validation = self._value(trainer)

    def validation_ends(self, trainer: Trainer) -> float | None:
        self._validated = True
        value = self._new(trainer, self._before_validation, trainer.current_epoch)
        if self._owner.check_on_train_epoch_end:
            self._owner.noted = self._owner.noted if value is None else value
            return None
        self._owner.from_validation |= value is not None
        if self._value(trainer) is None and math.isinf(trainer.num_training_batches):
            raise self._missing(trainer)  # no epoch will end and bring a training metric
        return value

    def epoch_ends(self, trainer: Trainer) -> float | None:
        if self._owner.from_validation:
            return None
        noted, self._owner.noted = self._owner.noted, None
        value = self._new(trainer, self._before_epoch, trainer.current_epoch)
        return noted if value is None else value

    def between_epochs(self, trainer: Trainer) -> float | None:
        ended, value = trainer.current_epoch - 1, None
        if not self._owner.from_validation and ended >= 0 and self._last_epoch != ended:
            value = self._new(trainer, self._before_epoch, ended)
            never = self._last_epoch < 0 and self._epochs > 0
            if never and (self._validated or not trainer.enable_validation):
                raise self._missing(trainer)
        self._epochs += 1
        self._before_epoch = self._value(trainer)
        return value

    def _value(self, trainer: Trainer) -> Tensor | None:
        return trainer.callback_metrics.get(self._name)

    def _new(self, trainer: Trainer, stale: object, epoch: int) -> float | None:
        value = self._value(trainer)
        new = value is not None and value is not stale
        number = float(value) if value is not None and new else 0.0
        if trainer.world_size > 1:  # every rank asks, so that none waits for an answer
            news, number = mean_over_ranks(trainer, [float(new), number])
            if 0.0 < news < 1.0:
                ranks = trainer.world_size
                raise refusal(self._owner, f"the metric {self._name!r} is missing on some of the {ranks} ranks.")
            new = news == 1.0
        if not new:
            return None
        self._last_epoch = epoch
        return number

    def _missing(self, trainer: Trainer) -> Exception:
        there = sorted(trainer.callback_metrics)
        near = get_close_matches(self._name, there, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        names = ", ".join(there) or "none"
        return refusal(self._owner, f"'monitor' must be a logged metric, got {self._name!r}.{hint} There are: {names}.")
