"""Two processes of one fit: ``python ranks.py STRATEGY DEVICES FOLDER [CHECKPOINT]`` writes what each rank used.

The strategy "sharded" is ModelParallelStrategy, by ``fully_shard``. Under torchrun ``DEVICES`` are those of a node.
After a comma there may be another fit of the same processes.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import ModelParallelStrategy
from models import Recorder, trainer

from lightning_lrsched import (
    BackOffOnSpike,
    CooldownOnPlateau,
    GreedyLR,
    LRSchedule,
    MultiStepDecay,
    ReduceOnPlateau,
    StepDecay,
)

VALIDATIONS = 20
SPIKE = 8  # the update whose loss is one on rank 1


def environment() -> dict[str, str]:
    """For a process of its own, without what earlier fits of this one have left for their ranks."""
    here = Path(__file__).parent
    clean = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT")}
    return {**clean, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}


def groups(params: Any) -> Any:
    weight, bias = params
    return torch.optim.SGD([{"params": [weight], "name": "a"}, {"params": [bias], "name": "b"}], lr=1.0)


def whole(tensor: Any) -> Any:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


class Save(Checkpoint):
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / f"{trainer.global_step}.ckpt")


class Ranked(Recorder):
    """Each rank sees another val_loss, and rank 1 none from epoch ``missing`` on."""

    missing = VALIDATIONS
    nap = 0.0  # of rank 1, in each batch

    def __init__(self) -> None:
        super().__init__(groups, batches=2, val_batches=2)
        self.after_validation: list[float] = []

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        epoch, rank = self.trainer.current_epoch, self.trainer.global_rank
        if rank == 0 or epoch < self.missing:
            # alone, rank 0 would never reduce, and rank 1 from the first two checks on
            self.log("val_loss", 1.0 + 0.1 * epoch if rank else 1.0 / (epoch + 1))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        time.sleep(self.nap * self.trainer.global_rank)
        loss = super().training_step(batch, batch_idx)
        spike = self.trainer.global_rank == 1 and self.trainer.global_step == SPIKE
        return loss.detach() * 0.0 + (loss - loss.detach()) + (20.0 if spike else 1.0)

    def on_train_epoch_end(self) -> None:
        self.after_validation.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_fit_end(self) -> None:
        weights = [whole(parameter).flatten().tolist() for parameter in self.parameters()]
        seen = {"used": self.used, "after_validation": self.after_validation, "weights": weights}
        out = Path(self.trainer.default_root_dir) / f"rank{self.trainer.global_rank}.json"
        out.write_text(json.dumps(seen))


class Sharded(Ranked):
    def configure_model(self) -> None:
        from torch.distributed.fsdp import fully_shard

        fully_shard(self.layer)


def main(strategy: str, devices: str, folder: str, checkpoint: str | None = None) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model = Sharded() if strategy == "sharded" else Ranked()
    model.missing = 3 if "missing" in folder else VALIDATIONS
    plateau: LRSchedule = ReduceOnPlateau(patience=2, factor=0.5, threshold=0.0, restore_best=True, param_groups="a")
    steps: LRSchedule = StepDecay(3, 0.5, interval="step", param_groups="b")
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", 1))  # torchrun's
    shared = ModelParallelStrategy(nodes * int(devices), 1, process_group_backend="gloo")
    run: dict[str, Any] = {"strategy": shared if strategy == "sharded" else strategy, "num_nodes": nodes}
    if "cooldown" in folder:
        asked = {"param_groups": "b", "checkpoint_before_decay": True}
        steps = CooldownOnPlateau(5, patience=9, threshold=0.0, interval="step", **asked)
        run["max_time"] = timedelta(hours=1)
    if "greedy" in folder:
        plateau = GreedyLR(patience=2, factor=0.5, threshold=0.0, param_groups="a")
    if "spike" in folder:
        steps = BackOffOnSpike(hold=2, recovery=1, window=5, interval="step", param_groups="b")
    if "units" in folder:
        steps = MultiStepDecay(["16 samples", "60%"], 0.5, interval="step", param_groups="b")
    if "seconds" in folder:
        model.nap = 0.15
        steps = StepDecay(1, 0.5, interval="second", param_groups="b")
    trainer(
        folder,
        plateau,
        steps,
        *([] if checkpoint and "units" not in folder else [Save()]),
        devices=int(devices),
        max_epochs=VALIDATIONS,
        logger=CSVLogger(folder, name="", version="csv"),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        **run,
    ).fit(model, ckpt_path=checkpoint)


def leave() -> None:
    """As Lightning does not: a thread of gloo that still runs may abort the process while it exits."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    for fit in " ".join(sys.argv[1:]).split(" , "):
        main(*fit.split())
    leave()
