"""A fit of the GPT recipe that is killed, ``python tests/killed.py FOLDER UPDATE``; the same fit whole, or resumed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_lrsched import WarmupStableDecay
from recipes.gpt import GPT, StandardLibrary, tokens

UPDATES = 24
EPOCH = 10  # updates: 1 281 bytes are 160 windows of 8 and the byte after the last


class Noted(GPT):
    """``seen`` has loss and LR of every update; one of them may be the last."""

    def __init__(self, killed_in: int | None = None) -> None:
        super().__init__(context=8, width=8, layers=1, heads=2, sample=0)
        self.killed_in = killed_in
        self.seen: list[tuple[float, float]] = []

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        if self.global_step == self.killed_in:
            os.kill(os.getpid(), signal.SIGKILL)
        lr = optimizer.param_groups[0]["lr"]
        optimizer.step(closure=optimizer_closure)
        self.seen.append((float(self.trainer.callback_metrics["train_loss"]), lr))


def fit(folder: Path, killed_in: int | None = None, ckpt_path: Path | None = None) -> list[tuple[float, float]]:
    torch.manual_seed(0)
    model = Noted(killed_in)
    tokens_an_update = 16 * 8
    schedule = WarmupStableDecay(
        decay=8 * tokens_an_update, t_max=20 * tokens_an_update, warmup=4 * tokens_an_update, interval=tokens
    )
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=UPDATES,
        limit_val_batches=0,
        callbacks=[schedule, ModelCheckpoint(folder, every_n_train_steps=3, save_top_k=-1, filename="{step}")],
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(model, datamodule=StandardLibrary(context=8, batch_size=16, train_bytes=1281), ckpt_path=ckpt_path)
    return model.seen


if __name__ == "__main__":
    fit(Path(sys.argv[1]), int(sys.argv[2]))
