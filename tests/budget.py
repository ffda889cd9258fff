"""A run on a time budget: ``python budget.py FOLDER SECONDS [CHECKPOINT]`` prints second and LR of each update.

It saves a checkpoint every few updates, so that it can be killed at any time and taken up again.
"""

from __future__ import annotations

import sys
import time
import warnings
from datetime import timedelta
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from models import Recorder, trainer

from lightning_lrsched import CosineAnnealing


class Slow(Recorder):
    def optimizer_step(self, *args: Any, **kw: Any) -> None:
        super().optimizer_step(*args, **kw)
        print(self.used[-1], flush=True)
        time.sleep(0.02)


def main(folder: str, seconds: str, checkpoint: str | None = None) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    saves = ModelCheckpoint(folder, "{step}", every_n_train_steps=5, save_top_k=-1)
    run = {"max_epochs": -1, "max_time": timedelta(seconds=int(seconds))}
    fit = trainer(folder, CosineAnnealing(interval="second"), saves, **run)
    fit.fit(Slow(batches=50), ckpt_path=checkpoint)
    print(fit.optimizers[0].param_groups[0]["lr"], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
