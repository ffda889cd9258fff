"""Extending a run: three ways to go on from a checkpoint, and the LRs that come of each.

    python -m recipes.extend                       # six short runs of a small regression: about 10 s
    python -m recipes.extend --epochs 4 --more 6   # other lengths

Each way is a first run of `epochs` epochs, and a second one that resumes it and trains `more` epochs after them:

- longer: a finished cosine under a longer `max_epochs`. The curve becomes that of the longer run, so the LR jumps from
  the end of the old curve into the middle of the new one. The schedule's warning has both LRs.
- second: a second cosine, with a warmup of an epoch, as the next part of a sequence: no jump, and as high a peak.
- stable: warmup, stable, decay, from the checkpoint that `checkpoint_before_decay` has saved before the first run's
  decay: as if it had been planned so long from the start. The first run's decay is a model to use meanwhile.

The table has two rows for each way, the LR of every epoch of the first run and of the second, with the loss at their
ends, and what the schedule warned of at the resume.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_lrsched import CosineAnnealing, LRSchedule, SequentialSchedule, WarmupStableDecay

INPUTS = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS.sin().sum(1, keepdim=True)


class Regression(LightningModule):
    """`lrs` are those of each epoch's first update."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
        self.lrs: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        if batch_idx == 0:
            self.lrs.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Way(NamedTuple):
    first: LRSchedule
    second: LRSchedule
    checkpoint: str  # of the first run, from which the second goes on


def ways(epochs: int) -> dict[str, Way]:
    cosine = CosineAnnealing()
    both = SequentialSchedule([CosineAnnealing(), CosineAnnealing(warmup=1)], milestones=[epochs])
    stable = WarmupStableDecay("25%", checkpoint_before_decay=True)
    return {
        "longer": Way(cosine, cosine, "last"),
        "second": Way(cosine, both, "last"),
        "stable": Way(stable, stable, "before-decay*"),
    }


def train(schedule: LRSchedule, epochs: int, folder: str, checkpoint: Path | None = None) -> tuple[list[float], float]:
    """The LRs of the run, and its loss at the end."""
    model = Regression()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[schedule, ModelCheckpoint(folder, save_last=True)],
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(model, DataLoader(TensorDataset(INPUTS, TARGETS), 32), ckpt_path=checkpoint)
    return model.lrs, nn.functional.mse_loss(model.net(INPUTS), TARGETS).item()


def print_row(name: str, cells: Sequence[str], last: str) -> None:
    print(f"{name:<7}" + "".join(f"{cell:>6}" for cell in cells) + f"  {last}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.extend", description="three ways to extend a run")
    parser.add_argument("--epochs", type=int, default=8, help="of the first run")
    parser.add_argument("--more", type=int, default=8, help="of the second, after them")
    args = parser.parse_args(argv)
    if min(args.epochs, args.more) < 4:
        parser.error("--epochs and --more must be at least 4")

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    total = args.epochs + args.more
    print_row("epoch", [str(epoch) for epoch in range(total)], "loss")
    for name, way in ways(args.epochs).items():
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            first, loss = train(way.first, args.epochs, folder)
            (checkpoint,) = Path(folder).glob(f"{way.checkpoint}.ckpt")
            second, longer_loss = train(way.second, total, folder, checkpoint)
        print_row(name, [*[f"{lr:.3f}" for lr in first], *[""] * args.more], f"{loss:.3f}")
        print_row("", [*[""] * (total - len(second)), *[f"{lr:.3f}" for lr in second]], f"{longer_loss:.3f}")
        for told in [warning.message for warning in caught if "changed since" in str(warning.message)]:
            print(told)


if __name__ == "__main__":
    main()
