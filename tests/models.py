"""Small modules that record the LR which every update really used."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

MakeOptimizer = Callable[[Any], Any]


def sgd(params: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=1.0)


class Recorder(LightningModule):
    """Linear regression on fixed data; ``used`` holds the LR of each update, as its optimizer step found it."""

    def __init__(self, configure: MakeOptimizer = sgd, batches: int = 7, val_batches: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(2, 1)
        self.configure = configure
        self.batches, self.val_batches = batches, int(val_batches)
        self.used: list[Any] = []
        self.steps: list[int] = []
        self.first_momenta: list[Any] = []
        self.val_metrics: list[float] = []

    def configure_optimizers(self) -> Any:
        return self.configure(self.parameters())

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        optimizer.step(closure=optimizer_closure)
        lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.used.append(lrs[0] if len(lrs) == 1 else lrs)
        self.first_momenta.append(optimizer.param_groups[0].get("betas", optimizer.param_groups[0].get("momentum")))
        self.steps.append(self.trainer.fit_loop.epoch_loop._batches_that_stepped)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = (self.layer(batch).sum(1) - batch.sum(1)).pow(2).mean() * 1e-3
        self.log("train_loss", loss)
        # a spike in every fourth update, without a gradient of its own, for what watches the loss
        return loss + (10.0 if self.trainer.global_step % 4 == 3 else 1.0)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        value = self.val_metrics.pop(0) if self.val_metrics and not self.trainer.sanity_checking else 1.0
        self.log("val_loss", torch.tensor(value))

    def train_dataloader(self) -> DataLoader[Tensor]:
        data = torch.randn(self.batches * 2, 2, generator=torch.Generator().manual_seed(1))
        return DataLoader(data, batch_size=2)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        return DataLoader(torch.zeros(self.val_batches, 2), batch_size=1) if self.val_batches else []  # type: ignore[arg-type]


class LayerWise(Recorder):
    """A parameter group for each LR."""

    def __init__(self, lrs: list[float]) -> None:
        super().__init__()
        self.lrs = lrs
        self.rest = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in lrs[1:]])

    def configure_optimizers(self) -> Any:
        parts = [list(self.layer.parameters()), *([p] for p in self.rest)]
        return torch.optim.SGD([{"params": p, "lr": lr} for p, lr in zip(parts, self.lrs, strict=True)])


def trainer(tmp_path: os.PathLike[str] | str, *callbacks: Any, **arguments: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": tmp_path,
    }
    if any(isinstance(callback, Checkpoint) for callback in callbacks):
        del defaults["enable_checkpointing"]
    return Trainer(**{**defaults, **arguments}, callbacks=list(callbacks))


def lrs_of_fit(
    tmp_path: str | os.PathLike[str], *callbacks: Any, model: Recorder | None = None, **kw: Any
) -> list[Any]:
    model = model or Recorder()
    trainer(tmp_path, *callbacks, **kw).fit(model)
    return model.used


def saver(folder: os.PathLike[str] | str, hook: str = "on_train_batch_end") -> Callback:
    """A callback that saves a checkpoint, named by its number of updates, at every call of ``hook``."""

    def save(self: Callback, trainer: Trainer, *args: Any) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(os.path.join(folder, f"{trainer.global_step}.ckpt"))

    # a Checkpoint, as ModelCheckpoint is one: its hooks are called after all others
    return type("Saver", (Checkpoint,), {hook: save})()
