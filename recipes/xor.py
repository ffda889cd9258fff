"""XOR with every schedule: which learning rate gets the smallest of networks there first?

    python -m recipes.xor                                   # every setting, 20 seeds each: about 45 s
    python -m recipes.xor --schedule cosine --hidden 8      # one of them, on a wider network
    python -m recipes.xor --search --seeds 10               # the best of six settings each, three widths: about 5 min

Network: 2 inputs, 2 hidden ReLU units behind BatchNorm, 1 output, binary cross-entropy on its logit, He initialisation,
Adam from LR 0.1. An epoch is one update on all four points, then a validation on them in eval mode, where BatchNorm's
running averages trail the weights by some epochs; its loss and accuracy count.

Converged: all four answers right and the loss below 0.3, from that epoch to the end of the run. (A network stuck with
two points right and even odds on the others has ln(2) / 2 = 0.35.) Two hidden units are the fewest that can do XOR, and
about one initialisation in four does, whatever the schedule; with `--hidden 8` nearly all do. `claimed` is the number
of epochs claimed for the setting.

`--search` takes six settings of each schedule: base LRs 0.03, 0.1 and 0.3, each with two values of its main argument,
and for the constant LR six LRs. At each of 2, 4 and 8 hidden units the setting that converged most often on six
seeds of its own, and among equals the soonest, is trained on the seeds of the table. All runs are equally long.

The last line printed is the command that shows the LR and the losses of one run of each schedule:

    tensorboard --logdir lightning_logs/xor-<date>-<time>
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import product

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics.classification import BinaryAccuracy
from tqdm import tqdm

from lightning_lrsched import Constant, CosineAnnealing, CyclicalLR, ExponentialDecay, ReduceOnPlateau, StepDecay

BASE_LR = 0.1
LOSS_BOUND = 0.3
SCHEDULES: dict[str, tuple[list[Callback], str]] = {  # callbacks, claimed epochs
    "step": ([StepDecay(step_size=20, gamma=0.1)], "70"),
    "exponential": ([ExponentialDecay(k=0.05)], "60"),
    "plateau": ([ReduceOnPlateau(monitor="val_loss", factor=0.5, patience=5)], "50"),
    "cosine": ([CosineAnnealing(t_max=50, eta_min=0.001)], "50"),
    "cyclical": ([CyclicalLR(eta_min=0.001, eta_max=0.1, step_size=10)], "40"),
    "constant": ([], "-"),
}
Setting = tuple[float, float]  # base LR, the main argument
SEARCHED: dict[str, tuple[str, tuple[float, ...], Callable[[float, float], list[Callback]]]] = {  # named, its values
    "step": ("step_size", (10, 30), lambda lr, size: [StepDecay(int(size), gamma=0.1)]),
    "exponential": ("k", (0.02, 0.05), lambda lr, k: [ExponentialDecay(k=k)]),
    "plateau": ("patience", (5, 10), lambda lr, patience: [ReduceOnPlateau(factor=0.5, patience=int(patience))]),
    "cosine": ("t_max", (40, 80), lambda lr, t_max: [CosineAnnealing(int(t_max), eta_min_ratio=0.01)]),
    "cyclical": ("step_size", (5, 10), lambda lr, size: [CyclicalLR(lr / 100, lr, step_size=int(size))]),
    "constant": ("", (1, 0.5), lambda lr, factor: [Constant(factor)]),
}
SEARCHED_LRS = (0.03, 0.1, 0.3)
SELECTION_SEEDS = range(1000, 1006)
SHOWN = 5  # the first seed whose network can do XOR, under every schedule
LESSON = """\
As many networks get there under each LR: at this size the initialisation decides, and a tuned constant LR is as good as
any schedule. Schedules pay where training is limited by its steps: see recipes/README.md."""
INPUTS = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]])
TARGETS = torch.tensor([[[0.0], [1.0], [1.0], [0.0]]])
BATCHES = TensorDataset(INPUTS, TARGETS)  # one item, the full batch: needs no DataLoader


class XOR(LightningModule):
    """A 2-`hidden`-1 network; `converged_at` is the epoch, from 1, since which it has solved XOR, or None."""

    def __init__(self, hidden: int, lr: float = BASE_LR) -> None:
        super().__init__()
        self.lr = lr
        first, last = nn.Linear(2, hidden), nn.Linear(hidden, 1)
        for layer in (first, last):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.net = nn.Sequential(first, nn.BatchNorm1d(hidden), nn.ReLU(), last)
        self.accuracy = BinaryAccuracy()
        self.converged_at: int | None = None

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, targets = batch
        loss = nn.functional.binary_cross_entropy_with_logits(self.net(inputs), targets)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        inputs, targets = batch
        logits = self.net(inputs)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
        accuracy = self.accuracy(logits.sigmoid(), targets)
        self.log("val_loss", loss, sync_dist=True)
        self.log("val_accuracy", self.accuracy)
        if accuracy < 1 or loss >= LOSS_BOUND:
            self.converged_at = None
        elif self.converged_at is None:
            self.converged_at = self.current_epoch + 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def train(model: XOR, callbacks: list[Callback], run: TensorBoardLogger | None, args: argparse.Namespace) -> int | None:
    """One run; the epoch it converged at, or None."""
    trainer = Trainer(
        accelerator=args.accelerator,
        devices=args.devices,
        max_epochs=args.epochs,
        callbacks=callbacks,
        logger=run or False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(model, BATCHES, BATCHES)
    return model.converged_at


def train_as_said(name: str, seed: int, args: argparse.Namespace) -> int | None:
    """One run with the document's setting; of each schedule TensorBoard shows one."""
    torch.manual_seed(seed)
    callbacks = SCHEDULES[name][0]
    if seed != min(SHOWN, args.seeds - 1):
        return train(XOR(args.hidden), callbacks, None, args)
    run = TensorBoardLogger(args.logdir, name, version="", default_hp_metric=False)
    epoch = train(XOR(args.hidden), callbacks, run, args)
    call = repr(callbacks[0]) if callbacks else "constant LR"
    run.log_hyperparams({"schedule": name, "call": call}, {"solved_at": math.nan if epoch is None else epoch})
    run.finalize("success")
    return epoch


def spread(epochs: Sequence[int]) -> str:
    return f"{statistics.median(epochs):g} ({min(epochs)} to {max(epochs)})" if epochs else "-"


def search(names: Sequence[str], args: argparse.Namespace, silent: bool) -> None:
    """Prints each schedule's best setting for each width, and how it did on the seeds of the table."""

    def reached(name: str, hidden: int, setting: Setting, seeds: Sequence[int], logged: bool) -> list[int]:
        epochs = []
        for seed in seeds:
            torch.manual_seed(seed)
            run = TensorBoardLogger(f"{args.logdir}/hidden{hidden}", name, "") if logged and not seed else None
            epoch = train(XOR(hidden, setting[0]), SEARCHED[name][2](*setting), run, args)
            epochs += [] if epoch is None else [epoch]
        return epochs

    rows = []
    for hidden, name in tqdm([*product((2, 4, 8), names)], unit="search", disable=silent):
        argument, values, _ = SEARCHED[name]
        settings = [*product(SEARCHED_LRS, values)]
        tried = {setting: reached(name, hidden, setting, SELECTION_SEEDS, logged=False) for setting in settings}
        lr, value = max(settings, key=lambda setting: (len(tried[setting]), -sum(tried[setting])))
        epochs = reached(name, hidden, (lr, value), range(args.seeds), logged=True)
        chosen = f"LR {lr:g}, {argument} {value:g}" if argument else f"LR {lr * value:g}"
        rows.append(f"{hidden:<8}{name:<13}{f'{len(epochs)} of {args.seeds}':<13}{spread(epochs):<24}{chosen}")
    if not silent:
        print(f"{'hidden':<8}{'schedule':<13}{'converged':<13}{'epochs: median (range)':<24}setting", *rows, sep="\n")
        print(f"tensorboard --logdir {args.logdir}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.xor", description="XOR with every schedule")
    parser.add_argument("--seeds", type=int, default=20, help="runs per schedule")
    parser.add_argument("--schedule", choices=SCHEDULES, help="this one only")
    parser.add_argument(
        "--search", action="store_true", help="each schedule's best setting, for 2, 4 and 8 hidden units"
    )
    parser.add_argument("--hidden", type=int, help="hidden units, 2 unless given")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--devices", default="auto")
    parser.add_argument("--logdir", default=time.strftime("lightning_logs/xor-%Y%m%d-%H%M%S"))
    args = parser.parse_args(argv)
    if args.search and args.hidden is not None:
        parser.error("--search takes 2, 4 and 8 hidden units: --hidden does not go with it")
    args.hidden = 2 if args.hidden is None else args.hidden
    if min(args.seeds, args.hidden, args.epochs) < 1:
        parser.error("--seeds, --hidden and --epochs must be at least 1")

    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6's own, with torch 2.13
    silent = rank_zero_only.rank > 0  # type: ignore[attr-defined]

    names = [args.schedule] if args.schedule else [*SCHEDULES]
    if args.search:
        search(names, args, silent)
        return
    reached: dict[str, list[int]] = {name: [] for name in names}
    for name, seed in tqdm([*product(reached, range(args.seeds))], unit="run", disable=silent):
        if (epoch := train_as_said(name, seed, args)) is not None:
            reached[name].append(epoch)
    if silent:
        return
    print(f"{'schedule':<13}{'converged':<13}{'epochs: median (range)':<24}claimed")
    for name, epochs in reached.items():
        print(f"{name:<13}{f'{len(epochs)} of {args.seeds}':<13}{spread(epochs):<24}{SCHEDULES[name][1]}")
    print(LESSON)
    print(f"tensorboard --logdir {args.logdir}")


if __name__ == "__main__":
    main()
