"""What reacting schedules are good for: noise, a bad batch, and a rewind, on handwritten digits.

    python -m recipes.reactions                  # all three, 10 seeds each: about 3 minutes
    python -m recipes.reactions --only spike     # one of them

Data: scikit-learn's 1 797 handwritten digits, two thirds for training and one third for validation, drawn anew by each
seed. Network: 64 inputs, 64 hidden ReLU units, 10 outputs. Each row of a table trains the same seeds.

- noise: 60 epochs of SGD with momentum. The metric that ReduceOnPlateau monitors is the validation loss times a random
  factor of mean 1 and standard deviation 0.2. A reduction is false when the loss without noise has been falling: when
  its mean over the five epochs up to then is at least 1 % below that of the five before.
- spike: 20 epochs; the first batch of the eleventh is bad, its inputs 1 000 times as large and its labels wrong.
  Clipping is Lightning's `gradient_clip_val=1.0`.
- rewind: 40 epochs of SGD with momentum at a high LR; reductions with and without `restore_best`.

`val_loss` is the loss of the last epoch, without noise. The last line printed is the command that shows the curves and
the journals:

    tensorboard --logdir lightning_logs/reactions-<date>-<time>
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from tqdm import tqdm

from lightning_lrsched import BackOffOnSpike, LRSchedule, ReduceOnPlateau

BATCH = 128
NOISE = 0.2
BAD_EPOCH = 10


class Digits(LightningModule):
    """``val_losses`` are the losses of each epoch without noise."""

    def __init__(self, optimizer: str, lr: float, seed: int, bad_epoch: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.optimizer, self.lr, self.bad_epoch = optimizer, lr, bad_epoch
        self.noise = torch.Generator().manual_seed(seed)
        self.val_losses: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        inputs, labels = batch
        if self.current_epoch == self.bad_epoch and batch_idx == 0:
            inputs, labels = inputs * 1000, labels.roll(1)
        loss = nn.functional.cross_entropy(self.net(inputs), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        inputs, labels = batch
        loss = nn.functional.cross_entropy(self.net(inputs), labels)
        self.val_losses.append(loss.item())
        factor = torch.randn(1, generator=self.noise).mul(NOISE).add(1.0).clamp(min=0.0)
        self.log_dict({"val_loss": loss, "noisy_val_loss": loss * factor.item()}, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.optimizer == "SGD":
            return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Row(NamedTuple):
    """One line of an experiment's table."""

    schedule: LRSchedule | None
    optimizer: str
    lr: float
    clip: float | None = None  # the gradient's norm


def noisy(smoothing: float) -> Row:
    return Row(
        ReduceOnPlateau("noisy_val_loss", patience=5, factor=0.5, threshold=0.0, smoothing=smoothing), "SGD", 0.02
    )


def rewinding(restore_best: bool) -> Row:
    return Row(ReduceOnPlateau(patience=3, factor=0.3, restore_best=restore_best), "SGD", 0.5)


EXPERIMENTS: dict[str, tuple[int, dict[str, Row]]] = {  # epochs, and the rows by their names
    "noise": (
        60,
        {
            "as it is": noisy(smoothing=0),
            "mean of 10": noisy(smoothing=10),
            "average 0.8": noisy(smoothing=0.8),
            "average 0.9": noisy(smoothing=0.9),
        },
    ),
    "spike": (
        20,
        {
            "SGD": Row(None, "SGD", 0.1),
            "SGD, clipping": Row(None, "SGD", 0.1, clip=1.0),
            "SGD, loss": Row(BackOffOnSpike("loss"), "SGD", 0.1),
            "SGD, grad_norm": Row(BackOffOnSpike("grad_norm"), "SGD", 0.1),
            "SGD, lag": Row(BackOffOnSpike("loss", lag=True), "SGD", 0.1),
            "Adam": Row(None, "Adam", 0.003),
            "Adam, clipping": Row(None, "Adam", 0.003, clip=1.0),
            "Adam, loss": Row(BackOffOnSpike("loss"), "Adam", 0.003),
            "Adam, grad_norm": Row(BackOffOnSpike("grad_norm"), "Adam", 0.003),
            "Adam, lag": Row(BackOffOnSpike("loss", lag=True), "Adam", 0.003),
        },
    ),
    "rewind": (40, {"plain": rewinding(restore_best=False), "restore_best": rewinding(restore_best=True)}),
}


def loaders(seed: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """For training and for validation."""
    digits = load_digits()
    data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))
    train, val = random_split(data, [2 / 3, 1 / 3], torch.Generator().manual_seed(seed))
    return DataLoader(train, BATCH, shuffle=True), DataLoader(val, len(val))


def train(experiment: str, name: str, seed: int, args: argparse.Namespace) -> tuple[Digits, list[Any]]:
    """The trained module, and what its schedule has decided."""
    epochs, rows = EXPERIMENTS[experiment]
    row = rows[name]
    module = Digits(row.optimizer, row.lr, seed, BAD_EPOCH if experiment == "spike" else None)
    # TensorBoard shows the first seed of each row
    folder = f"{args.logdir}/{experiment}"
    run = None if seed else TensorBoardLogger(folder, name, version="", default_hp_metric=False)
    trainer = Trainer(
        accelerator=args.accelerator,
        devices=1,
        max_epochs=args.epochs or epochs,
        gradient_clip_val=row.clip,
        callbacks=[] if row.schedule is None else [row.schedule],
        logger=run or False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    train_loader, val_loader = loaders(seed)
    trainer.fit(module, train_loader, val_loader)
    if run is not None:
        settings = {"schedule": repr(row.schedule), "optimizer": row.optimizer, "lr": row.lr, "clip": str(row.clip)}
        run.log_hyperparams(settings, {"val_loss_at_the_end": module.val_losses[-1]})
        run.finalize("success")
    return module, [] if row.schedule is None else list(row.schedule.journal)


def is_false(losses: list[float], epoch: int) -> bool:
    """Whether a reduction after ``epoch`` came while the loss was falling."""
    now, before = losses[max(epoch - 4, 0) : epoch + 1], losses[max(epoch - 9, 0) : max(epoch - 4, 0)]
    return not before or statistics.mean(now) < 0.99 * statistics.mean(before)


def spread(figures: Sequence[float]) -> str:
    return f"{statistics.median(figures):.3g} ({min(figures):.3g} to {max(figures):.3g})"


def print_row(name: str, cells: Sequence[str]) -> None:
    widths = (27, 15, 15)
    print((f"{name:<18}" + "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False))).rstrip())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.reactions", description="what reacting schedules do")
    parser.add_argument("--seeds", type=int, default=10, help="runs per row")
    parser.add_argument("--only", choices=EXPERIMENTS, help="this experiment only")
    parser.add_argument("--epochs", type=int, help="for a quick look: fewer or more than an experiment's own")
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--logdir", default=time.strftime("lightning_logs/reactions-%Y%m%d-%H%M%S"))
    args = parser.parse_args(argv)
    if args.seeds < 1 or (args.epochs is not None and args.epochs < 1):
        parser.error("--seeds and --epochs must be at least 1")

    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for advice in (".*LeafSpec", "The '.*' does not have many workers"):
        warnings.filterwarnings("ignore", advice)

    names = [args.only] if args.only else list(EXPERIMENTS)
    runs = [(name, row, seed) for name in names for row in EXPERIMENTS[name][1] for seed in range(args.seeds)]
    results = {(name, row, seed): train(name, row, seed, args) for name, row, seed in tqdm(runs, unit="run")}
    for name in names:
        columns = ["val_loss: median (range)", "decisions", *(["false"] if name == "noise" else [])]
        print_row(name, columns)
        for row in EXPERIMENTS[name][1]:
            found = [results[name, row, seed] for seed in range(args.seeds)]
            false = [sum(is_false(module.val_losses, d.epoch) for d in journal) for module, journal in found]
            losses, decisions = [module.val_losses[-1] for module, _ in found], [len(journal) for _, journal in found]
            print_row(row, [spread(losses), spread(decisions), spread(false)][: len(columns)])
        print()
    print(f"tensorboard --logdir {args.logdir}")


if __name__ == "__main__":
    main()
