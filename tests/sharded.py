"""Fits of two ranks that share each tensor, and the same fits of one process alone.

``python sharded.py FOLDER ALONE`` makes them on two ranks, one after the other, and leaves in the folder what each rank
saw; in the folder ``ALONE`` lie the checkpoints of one process.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from cases import CASES
from lightning.pytorch import Callback
from lightning.pytorch.strategies import ModelParallelStrategy
from models import Recorder, saver, trainer
from ranks import leave
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_lrsched import BackOffOnSpike, CosineAnnealing, ReduceOnPlateau, StepDecay

EPOCHS = 6
METRICS = [2.0, 1.0, 1.5, 1.5, 1.5, 1.5]  # best at epoch 1; with patience 2, reductions after epochs 3 and 5
SPIKE = 8  # the update whose loss is a hundred times its usual one
SCHEDULES = {type(case.make()).__name__: case for case in CASES}  # one of each


def whole(tensor: Any) -> Any:
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach().clone()


def own(data: Any) -> Any:
    """What this rank holds."""
    if isinstance(data, dict):
        return {key: own(value) for key, value in data.items()}
    return (data.to_local() if hasattr(data, "to_local") else data).detach().clone()


class Net(Recorder):
    """Two ranks see, together, the batches of one process; with ``columns`` each sees all of them."""

    def __init__(self, ranks: int, sharded: bool, columns: bool) -> None:
        super().__init__(lambda params: torch.optim.Adam(params, lr=0.1), batches=2, val_batches=2)
        self.layer = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))  # no even shares for two
        self.ranks, self.sharded, self.columns = ranks, sharded, columns

    def configure_model(self) -> None:
        if self.columns:
            from torch.distributed.tensor import Replicate
            from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

            # the last layer stays whole on each rank
            columns = {"0": ColwiseParallel(output_layouts=Replicate())}
            parallelize_module(self.layer, self.device_mesh["tensor_parallel"], columns)
        elif self.sharded:
            from torch.distributed.fsdp import fully_shard

            fully_shard(self.layer[0])
            fully_shard(self.layer)  # its own parameters are whole after a validation

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        size = 100.0 if self.trainer.global_step == SPIKE else 1.0
        return size * (self.layer(batch).sum(1) - batch.sum(1)).pow(2).mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.layer(batch)
        self.log("val_loss", METRICS[self.trainer.current_epoch])

    def train_dataloader(self) -> DataLoader[Tensor]:
        data = torch.randn(8, 2, generator=torch.Generator().manual_seed(1))
        parts = 1 if self.columns else self.ranks
        return DataLoader(data[self.trainer.global_rank % parts :: parts], batch_size=4 // parts)  # type: ignore[arg-type]


class Late(Net):
    """The first layer joins the optimizer at epoch 2, with an LR of its own."""

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.layer[2].parameters(), lr=0.1)

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 2:
            self.join(self.trainer.optimizers[0])

    def join(self, optimizer: torch.optim.Optimizer) -> None:
        optimizer.add_param_group({"params": list(self.layer[0].parameters()), "lr": 0.02})


class Joined(Late):
    """What goes on later."""

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        self.join(optimizer)
        return optimizer


class Manual(Net):
    """torch makes a step of its own to learn the state of SGD, which has none, at each checkpoint."""

    automatic_optimization = False

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        optimizer = self.optimizers()
        self.manual_backward(super().training_step(batch, batch_idx))
        self.used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        optimizer.zero_grad()


class Watch(Callback):
    """What this rank holds of weights and Adam's state when a validation starts, and when an epoch begins."""

    def __init__(self) -> None:
        self.checked: list[Any] = []
        self.begun: list[Any] = []

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self.checked.append(self._held(trainer))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.begun.append(self._held(trainer))

    def _held(self, trainer: Any) -> Any:
        return own(trainer.lightning_module.state_dict()), own(trainer.optimizers[0].state_dict()["state"])


def plateau() -> ReduceOnPlateau:
    return ReduceOnPlateau(patience=2, factor=0.5, restore_best=True)


def fit(
    ranks: int,
    folder: Path,
    *callbacks: Any,
    kind: type[Net] = Net,
    columns: bool = False,
    accelerator: str = "cpu",
    checkpoint: Any = None,
) -> Any:
    """What each update used, and the weights at the end; one process shards only on a GPU."""
    sharded = ranks > 1 or accelerator == "gpu"
    sizes = (1, ranks) if columns else (ranks, 1)
    strategy = ModelParallelStrategy(*sizes, process_group_backend="gloo" if accelerator == "cpu" else None)
    model = kind(ranks, sharded, columns and sharded)
    trainer(
        folder,
        *callbacks,
        accelerator=accelerator,
        strategy=strategy if sharded else "auto",
        devices=ranks,
        max_epochs=EPOCHS,
        use_distributed_sampler=False,
    ).fit(model, ckpt_path=checkpoint)
    return {"used": model.used, "weights": {k: whole(v) for k, v in model.state_dict().items()}}


def fits(ranks: int, folder: Path) -> dict[str, Any]:
    """Those that one process makes too."""
    seen = {}
    for name, case in SCHEDULES.items():
        of_each_rank = {"batch_size": 64 // ranks} if name == "BatchSizeScaling" else {}
        seen[name] = fit(ranks, folder, case.make(interval="step", **of_each_rank))
    saves = saver(folder / "manual", "on_train_epoch_end")
    seen["manual"] = fit(ranks, folder, StepDecay(2, 0.5, interval="step"), saves, kind=Manual)
    saves = saver(folder / "late", "on_train_epoch_end")
    seen["late"] = fit(ranks, folder, CosineAnnealing(interval="step"), saves, kind=Late)
    checkpoint = folder / "late" / "8.ckpt"
    seen["joined"] = fit(ranks, folder, CosineAnnealing(interval="step"), kind=Joined, checkpoint=checkpoint)
    for columns in (False, True):
        guard = BackOffOnSpike("grad_norm", hold=2, recovery=2, window=8, interval="step")
        name = "columns, " if columns else ""
        seen[f"{name}spike"] = fit(ranks, folder, guard, columns=columns) | {"norms": guard.memory.values}
        saves, watch = saver(folder / f"{name}rewind", "on_train_epoch_end"), Watch()
        held = {"checked": watch.checked, "begun": watch.begun}
        seen[f"{name}rewind"] = fit(ranks, folder, plateau(), saves, watch, columns=columns) | held
    return seen


def resumed(ranks: int, folder: Path) -> dict[str, Any]:
    """The rewinding fit from each of its checkpoints in a folder."""
    steps = range(2, 2 * EPOCHS, 2)
    return {f"from {step}": fit(ranks, folder, plateau(), checkpoint=folder / f"{step}.ckpt") for step in steps}


def main(folder: str, alone: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    seen = fits(2, Path(folder)) | {
        "two to two": resumed(2, Path(folder, "rewind")),
        "one to two": resumed(2, Path(alone, "rewind")),
    }
    torch.save(seen, Path(folder, f"rank{torch.distributed.get_rank()}.pt"))


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
