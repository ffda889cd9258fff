"""The checkpoint that a run can be continued from, saved before a decay begins."""

from __future__ import annotations

import os
from typing import Any, cast

from lightning.pytorch import Trainer

from .callbacks import callbacks_of, is_a
from .messages import info
from .position import batches_done, window_open
from .protocol import Schedule
from .values import Values


class Branching:
    """Saves it, if asked, when the next update is of the decay; a process that begins there, or later, does not.

    It looks where Lightning can resume from: when a batch, a validation or an epoch has ended.
    """

    def __init__(self, schedule: Schedule, trainer: Trainer, values: Values) -> None:
        self._schedule = schedule
        self._trainer = trainer
        self._values = values
        self._decays = False

    def start(self) -> None:
        self._decays = self._has_begun()

    def _has_begun(self, ahead: int = 0) -> bool:
        positions = [self._values.progress.now(groups.index) for groups in self._values.driven]
        return any(self._values.placed.decays((made + ahead, planned + ahead)) for made, planned in positions)

    def within_epoch(self) -> None:
        """Where the epoch ends with this batch, that is the moment; an open accumulation window is in no checkpoint."""
        trainer = self._trainer
        if not trainer.is_last_batch and not window_open(trainer, batches_done(trainer)):
            self._look(0)

    def epoch_ends(self) -> None:
        self._look(1 if self._schedule.counts == "epoch" else 0)

    def _look(self, ahead: int) -> None:
        before, self._decays = self._decays, self._has_begun(ahead)
        trainer = self._trainer
        if before or not self._decays or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        path = os.path.join(_folder(trainer), f"before-decay-step={trainer.global_step}.ckpt")
        trainer.save_checkpoint(path)
        info(self._schedule, f"the decay begins; the checkpoint before it is {path}")


def _folder(trainer: Trainer) -> str:
    """Where the first ModelCheckpoint saves, or would."""
    folders = [cast(Any, c).dirpath for c in callbacks_of(trainer) if is_a(c, "ModelCheckpoint")]
    return next((str(each) for each in folders if each), os.path.join(trainer.default_root_dir, "checkpoints"))
