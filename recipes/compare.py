"""Every schedule against a constant LR on the handwritten digits, and what is said of schedules put to the test.

    python -m recipes.compare                                  # tables, claims, a picture
    python -m recipes.compare --logdir lightning_logs/<run>    # goes on where that was cut off
    python -m recipes.compare --seeds 2 --epochs 5             # a quick look

Data and network: those of recipes/mlp.py, with one hidden layer of 128 units, BatchNorm, dropout 0.2 and He's
initialisation; each seed has a split of its own. Each optimizer's every schedule, the constant LR too, trains at the
best LR of its own: of a ladder of factors of 3, by the validation loss on seeds of their own.

Tables: medians over the seeds with their range, after the last epoch; `minus constant` is the validation loss less that
of the constant LR on the same seed, `better` the seeds on which it is lower. No figure of the test decides anything.

Claims: two settings train the same seeds. A claim "holds" when its side is better on so many of them (9 of 10) that
chance brings that, or the reverse, once in 20 claims at most: the exact sign test, two-sided at 5 %. "The reverse" does
when it is worse on as many. Anything between is undecided. `*` marks in a table what is decided. A run that diverged
counts as infinitely bad, equal runs as half. Where a claim is of an effect, the figures are differences: of a setting's
loss and that without the effect.

Every run is a TensorBoard run with its hyperparameters. The last lines printed are the picture's name and

    tensorboard --logdir lightning_logs/compare-<date>-<time>
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_lrsched import (
    REX,
    BackOffOnSpike,
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    CosineRestarts,
    CustomSchedule,
    CyclicalLR,
    ExponentialDecay,
    GreedyLR,
    HyperbolicLR,
    InverseSqrt,
    Keyframes,
    LRSchedule,
    MultiStepDecay,
    OneCycle,
    PolynomialDecay,
    PowerDecay,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
    TanhDecay,
    WarmupStableDecay,
)
from recipes.lab import Claim, Column, Lab, Summary, picture, quiet
from recipes.mlp import MLP, Digits

EPOCHS = 24
TABLES = ("momentum", "adam")
START = {"momentum": 0.1, "adam": 0.003, "rmsprop": 0.003, "sgd": 0.3}  # where the search for a base LR begins
COLUMNS = [
    Column("val accuracy, %", ".1f", 22),
    Column("epochs to 95 %", "g", 16, ranged=False),
    Column("val loss", ".3f", 25),
    Column("test accuracy, %", ".1f", 18, ranged=False),
]


def halves(t: int, base_lr: float) -> float:
    return base_lr * 0.5 ** (t // 6)


SCHEDULES: dict[str, Callable[[], LRSchedule]] = {
    "Constant": Constant,
    "StepDecay": lambda: StepDecay(step_size=8, gamma=0.3),
    "MultiStepDecay": lambda: MultiStepDecay([12, 18], gamma=0.1),
    "ExponentialDecay": lambda: ExponentialDecay(gamma=0.85),
    "PolynomialDecay": lambda: PolynomialDecay(interval="step"),
    "CosineAnnealing": lambda: CosineAnnealing(interval="step"),
    "CosineRestarts": lambda: CosineRestarts("6 epochs", interval="step"),
    "REX": lambda: REX(interval="step"),
    "TanhDecay": lambda: TanhDecay(interval="step"),
    "HyperbolicLR": lambda: HyperbolicLR("48 epochs", interval="step"),
    "CyclicalLR": lambda: CyclicalLR(eta_min=0.0, step_size="3 epochs", interval="step"),
    "OneCycle": lambda: OneCycle(max_lr_ratio=3.0, interval="step"),
    "WarmupStableDecay": lambda: WarmupStableDecay("6 epochs", warmup="1 epoch", interval="step"),
    "InverseSqrt": lambda: InverseSqrt("2 epochs", warmup="1 epoch", interval="step"),
    "PowerDecay": lambda: PowerDecay("2 epochs", cooldown="6 epochs", interval="step"),
    "Keyframes": lambda: Keyframes([0, "6 epochs", "24 epochs"], [0.3, 1.0, 0.0], interval="step"),
    "CustomSchedule": lambda: CustomSchedule(halves),
    "ReduceOnPlateau": lambda: ReduceOnPlateau(patience=3, factor=0.3),
    "GreedyLR": lambda: GreedyLR(patience=2, factor=0.8),
    "CooldownOnPlateau": lambda: CooldownOnPlateau("6 epochs", patience=4, smoothing=0.5, interval="step"),
    "BackOffOnSpike": lambda: BackOffOnSpike(interval="step"),
    "SequentialSchedule": lambda: SequentialSchedule([Constant(0.3), CosineAnnealing()], milestones=[2]),
    "ProductSchedule": lambda: ProductSchedule([StepDecay(8, 0.5), CosineRestarts(4, eta_min_ratio=0.1)]),
}


class Setting(NamedTuple):
    """What is trained, at the best LR of its optimizer and schedule, or at a multiple of the constant LR's."""

    optimizer: str
    schedule: str = "Constant"
    times: float | None = None
    clip: float | None = None
    model: tuple[tuple[str, Any], ...] = ()

    @property
    def base(self) -> Setting:
        return Setting(self.optimizer) if self.times else Setting(self.optimizer, self.schedule)


class Result(NamedTuple):
    """Figures of validation and LRs, one for each epoch."""

    losses: list[float]
    accuracies: list[float]
    lrs: list[float]
    test_accuracy: float

    @property
    def loss(self) -> float:
        return self.losses[-1] if math.isfinite(self.losses[-1]) else math.inf

    @property
    def epochs(self) -> float:
        """The first epoch, from 1, with 95 % validation accuracy."""
        reached = (epoch for epoch, accuracy in enumerate(self.accuracies, start=1) if accuracy >= 0.95)
        return next(reached, math.inf)


def model(**changes: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(changes.items())


def rough(schedule: str = "Constant", clip: float | None = None) -> Setting:
    """Without BatchNorm at three times the LR, gradients explode."""
    return Setting("momentum", schedule, 3.0, clip, ROUGH)


def suits(name: str, schedule: str, optimizer: str, figure: str = "loss") -> Claim:
    return Claim(name, Setting(optimizer, schedule), Setting(optimizer), figure)


def without_dropout(name: str, schedule: str, times: float | None = None) -> Claim:
    plain: dict[str, Any] = {"times": times, "model": model(dropout=0.0)}
    return Claim(name, Setting("adam", schedule, **plain), Setting("adam", **plain))


def regularized(name: str, **changes: Any) -> Claim:
    """That small LRs at the end gain more with a regularization than without."""
    plain, on = model(dropout=0.0), model(**{"dropout": 0.0, **changes})
    cosine, constant = partial(Setting, "adam", "CosineAnnealing"), partial(Setting, "adam")
    text = f"{name} profits from small LRs at the end"
    return Claim(text, cosine(model=on), cosine(model=plain), "loss", constant(model=on), constant(model=plain))


ROUGH = model(batch_norm=False)
COARSE = model(batch_norm=False, init="normal")
DEEP = model(batch_norm=False, init="xavier", hidden=(32,) * 8, dropout=0.0)
CLAIMS = (
    suits("step decay suits SGD with momentum", "StepDecay", "momentum"),
    suits("reduce on plateau suits SGD with momentum", "ReduceOnPlateau", "momentum"),
    suits("cosine annealing suits Adam", "CosineAnnealing", "adam"),
    suits("cyclical LRs suit Adam", "CyclicalLR", "adam"),
    suits("exponential decay suits Adam", "ExponentialDecay", "adam"),
    suits("reduce on plateau suits Adam", "ReduceOnPlateau", "adam"),
    suits("cosine annealing suits RMSprop", "CosineAnnealing", "rmsprop"),
    suits("cyclical LRs suit RMSprop", "CyclicalLR", "rmsprop"),
    suits("exponential decay suits RMSprop", "ExponentialDecay", "rmsprop"),
    suits("reduce on plateau suits RMSprop", "ReduceOnPlateau", "rmsprop"),
    suits("cosine annealing learns sooner", "CosineAnnealing", "adam", "epochs"),
    suits("cyclical LRs learn sooner", "CyclicalLR", "adam", "epochs"),
    without_dropout("cosine annealing helps against overfitting", "CosineAnnealing"),
    without_dropout("cyclical LRs help against overfitting", "CyclicalLR"),
    without_dropout("cosine annealing does so at the constant LR's best LR", "CosineAnnealing", 1.0),
    without_dropout("cyclical LRs do so at the constant LR's best LR", "CyclicalLR", 1.0),
    Claim("step decay helps at a high LR", Setting("adam", "StepDecay", 4.0), Setting("adam", times=4.0)),
    Claim("cosine annealing helps at a high LR", Setting("adam", "CosineAnnealing", 4.0), Setting("adam", times=4.0)),
    Claim(
        "reduce on plateau, which adapts, beats step decay",
        Setting("adam", "ReduceOnPlateau"),
        Setting("adam", "StepDecay"),
    ),
    Claim(
        "BatchNorm bears a three times higher LR better",
        Setting("momentum", times=3.0),
        rough(),
        "loss",
        Setting("momentum", times=1.0),
        Setting("momentum", times=1.0, model=ROUGH),
    ),
    Claim("clipping helps against exploding gradients", rough(clip=1.0), rough()),
    Claim("step decay helps against exploding gradients", rough("StepDecay"), rough()),
    Claim("step decay complements clipping", rough("StepDecay", clip=1.0), rough(clip=1.0)),
    Claim(
        "step decay mends a poor initialisation",
        Setting("momentum", "StepDecay", 1.0, model=COARSE),
        Setting("momentum", times=1.0, model=COARSE),
    ),
    Claim(
        "cyclical LRs, to 10 times the LR, help a deep network to learn",
        Setting("sgd", "CyclicalLR", 1.0, model=DEEP),
        Setting("sgd", times=0.1, model=DEEP),
    ),
    Claim(
        "cosine annealing from 10 times the LR helps a deep network to learn",
        Setting("sgd", "CosineAnnealing", 1.0, model=DEEP),
        Setting("sgd", times=0.1, model=DEEP),
    ),
    regularized("dropout", dropout=0.5),
    regularized("L2", l2=1e-3),
    regularized("L1", l1=1e-4),
)


class Curves(Callback):
    """Notes the figures of each epoch."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.lrs: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.losses.append(float(trainer.callback_metrics["val_loss"]))
        self.accuracies.append(float(trainer.callback_metrics["val_accuracy"]))
        self.lrs.append(float(trainer.optimizers[0].param_groups[0]["lr"]))


def train(setting: Setting, lr: float, seed: int, args: argparse.Namespace) -> Result:
    quiet()
    torch.manual_seed(seed)
    options = {"hidden": (128,), "dropout": 0.2, "optimizer": setting.optimizer, "lr": lr, **dict(setting.model)}
    module, data, curves = MLP(**options), Digits(split_seed=seed), Curves()
    differences = [f"{name}={value}" for name, value in [*setting.model, ("clip", setting.clip)] if value is not None]
    name = "-".join([setting.optimizer, setting.schedule, f"lr={lr:g}", *differences]).replace(" ", "")
    logger = TensorBoardLogger(args.logdir, name, f"seed{seed}", default_hp_metric=False)
    trainer = Trainer(
        accelerator=args.accelerator,
        devices=1,
        max_epochs=args.epochs,
        callbacks=[SCHEDULES[setting.schedule](), curves],
        gradient_clip_val=setting.clip,
        logger=logger,
        log_every_n_steps=5,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(module, datamodule=data)
    trainer.test(module, datamodule=data, verbose=False)
    test_accuracy = float(trainer.callback_metrics["test_accuracy"])
    result = Result(curves.losses, curves.accuracies, curves.lrs, test_accuracy)
    finals = {"val_accuracy": result.accuracies[-1], "val_loss": result.loss, "test_accuracy": test_accuracy}
    params = {"schedule": setting.schedule, "optimizer": setting.optimizer, "lr": lr, "changes": " ".join(differences)}
    logger.log_hyperparams(params, {f"final/{name}": figure for name, figure in finals.items()})
    logger.finalize("success")
    return result


def figures(results: Sequence[Result]) -> dict[str, list[float]]:
    """Those of the columns, for each seed."""
    rows = [(100 * r.accuracies[-1], r.epochs, r.loss, 100 * r.test_accuracy) for r in results]
    return {column.header: [*cells] for column, cells in zip(COLUMNS, zip(*rows, strict=True), strict=True)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.compare", description="every schedule on the digits")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each setting")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--logdir", default=time.strftime("lightning_logs/compare-%Y%m%d-%H%M%S"))
    args = parser.parse_args(argv)
    if min(args.seeds, args.epochs, args.workers) < 1:
        parser.error("--seeds, --epochs and --workers must be at least 1")

    compared = [Setting(optimizer, name) for optimizer in TABLES for name in SCHEDULES]
    claimed = [setting for claim in CLAIMS for setting in claim.settings]
    file = Path(args.logdir, f"runs-{args.epochs}-epochs.jsonl")
    with Lab(partial(train, args=args), Result, file, args.workers) as lab:
        lrs, results = lab.compare([*compared, *claimed], START, factor=3, tuning=(100, 101), seeds=args.seeds)

    tables = {
        o: {name: (lrs[Setting(o, name)], figures(results[Setting(o, name)])) for name in SCHEDULES} for o in TABLES
    }
    summary = Summary(COLUMNS, "val loss", tables, [claim.outcome(results) for claim in CLAIMS])
    summary.save(kept := Path(args.logdir, "summary.json"))
    print(*Summary.load(kept).told(), sep="\n")
    first = {name: results[Setting(TABLES[0], name)][0] for name in SCHEDULES}
    picture(first, f"{TABLES[0]}: validation loss and LR by epoch", Path(args.logdir, "compare.png"))
    print(f"\n{args.logdir}/compare.png\ntensorboard --logdir {args.logdir}")


if __name__ == "__main__":
    main()
