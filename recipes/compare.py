"""Every schedule against a constant LR on the handwritten digits, and what is said of schedules put to the test.

    python -m recipes.compare                         # tables, claims, a picture: about 7 minutes on two cores
    python -m recipes.compare --seeds 2 --epochs 5    # a quick look

Data and network: those of recipes/mlp.py, with one hidden layer of 128 units, BatchNorm, dropout 0.2 and He's
initialisation; each seed has a split of its own. The base LR of each optimizer is the best of a grid for the *constant*
LR, on seeds of their own, by the loss of validation; all schedules start from it.

Tables: validation accuracy and loss after the last epoch, the first epoch with 95 % validation accuracy, and the test
accuracy, as medians with their range. The schedule with the best median accuracy of validation is marked; no figure of
the test decides anything.

Claims: two settings train the same 10 seeds. A claim "holds" when its side is better on at least 9 of the 10, and does
not, the reverse does, when it is worse on as many: by chance alone one of the two comes up once in 47 claims (the exact
sign test, two-sided at 5 %). Anything between is undecided. A run that diverged counts as infinitely bad, equal runs as
half. Where a claim is of an effect, the figures are differences: of a setting's loss and that without the effect.

Every run is a TensorBoard run with its hyperparameters. The last lines printed are the picture's name and

    tensorboard --logdir lightning_logs/compare-<date>-<time>
"""

from __future__ import annotations

import argparse
import logging
import math
import multiprocessing
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from tqdm import tqdm

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
from recipes.mlp import MLP, Digits

EPOCHS = 24
TABLES = ("momentum", "adam")
GRIDS = {
    "momentum": (0.01, 0.03, 0.1, 0.3),
    "adam": (0.001, 0.003, 0.01, 0.03),
    "rmsprop": (0.0003, 0.001, 0.003, 0.01),
    "sgd": (0.1, 0.3, 1.0, 3.0),
}


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
    """What is trained; the base LR is ``times`` the best one for a constant LR."""

    optimizer: str
    schedule: str = "Constant"
    times: float = 1.0
    clip: float | None = None
    model: tuple[tuple[str, Any], ...] = ()


class Result(NamedTuple):
    val_losses: list[float]
    val_accuracies: list[float]
    lrs: list[float]
    test_accuracy: float

    @property
    def loss(self) -> float:
        return self.val_losses[-1] if math.isfinite(self.val_losses[-1]) else math.inf

    @property
    def epochs(self) -> float:
        """The first epoch, from 1, with 95 % validation accuracy."""
        reached = (epoch for epoch, accuracy in enumerate(self.val_accuracies, start=1) if accuracy >= 0.95)
        return next(reached, math.inf)


Job: TypeAlias = tuple[Setting, float, int]  # with its LR and its seed


class Claim(NamedTuple):
    """That one setting is better than another by a figure of which less is better, or gains more over its base."""

    text: str
    side: Setting
    other: Setting
    figure: Literal["loss", "epochs"] = "loss"
    side_base: Setting | None = None
    other_base: Setting | None = None

    @property
    def settings(self) -> list[Setting]:
        return [each for each in (self.side, self.other, self.side_base, self.other_base) if each is not None]


def model(**changes: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(changes.items())


def rough(schedule: str = "Constant", clip: float | None = None) -> Setting:
    """Without BatchNorm at ten times the LR, gradients explode."""
    return Setting("momentum", schedule, 10.0, clip, ROUGH)


def suits(name: str, schedule: str, optimizer: str, figure: Literal["loss", "epochs"] = "loss") -> Claim:
    return Claim(name, Setting(optimizer, schedule), Setting(optimizer), figure)


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
    suits("cyclical LRs reach 95 % sooner", "CyclicalLR", "adam", "epochs"),
    suits("cosine annealing reaches 95 % sooner", "CosineAnnealing", "adam", "epochs"),
    Claim(
        "BatchNorm bears a ten times higher LR better",
        Setting("momentum", times=10.0),
        rough(),
        "loss",
        Setting("momentum"),
        Setting("momentum", model=ROUGH),
    ),
    Claim("clipping helps against exploding gradients", rough(clip=1.0), rough()),
    Claim("step decay helps against exploding gradients", rough("StepDecay"), rough()),
    Claim("step decay complements clipping", rough("StepDecay", clip=1.0), rough(clip=1.0)),
    Claim(
        "step decay mends a poor initialisation",
        Setting("momentum", "StepDecay", 3.0, model=COARSE),
        Setting("momentum", times=3.0, model=COARSE),
    ),
    Claim(
        "cyclical LRs, to 10 times the LR, help a deep network to learn",
        Setting("sgd", "CyclicalLR", model=DEEP),
        Setting("sgd", times=0.1, model=DEEP),
    ),
    Claim(
        "cosine annealing from 10 times the LR helps a deep network to learn",
        Setting("sgd", "CosineAnnealing", model=DEEP),
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
    figures = {"val_accuracy": result.val_accuracies[-1], "val_loss": result.loss, "test_accuracy": test_accuracy}
    params = {"schedule": setting.schedule, "optimizer": setting.optimizer, "lr": lr, "changes": " ".join(differences)}
    logger.log_hyperparams(params, {f"final/{name}": figure for name, figure in figures.items()})
    logger.finalize("success")
    return result


def quiet() -> None:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for advice in (".*LeafSpec", "The '.*' does not have many workers", "The number of training batches"):
        warnings.filterwarnings("ignore", advice)


def spread(figures: Sequence[float], form: str) -> str:
    return f"{statistics.median(figures):{form}} ({min(figures):{form}} to {max(figures):{form}})"


def table(optimizer: str, results: dict[str, list[Result]]) -> None:
    """Print a row for each schedule."""
    accuracies = {name: [100 * result.val_accuracies[-1] for result in found] for name, found in results.items()}
    best = max(accuracies, key=lambda name: statistics.median(accuracies[name]))
    print(f"\n{optimizer:<21}{'val accuracy, %':<22}{'epochs to 95 %':<18}{'val loss':<25}test accuracy, %")
    for name, found in results.items():
        figures = (
            f"{spread(accuracies[name], '.1f'):<22}{spread([result.epochs for result in found], 'g'):<18}"
            f"{spread([result.loss for result in found], '.3f'):<25}"
            f"{spread([100 * result.test_accuracy for result in found], '.1f')}"
        )
        print(f"{name + (' *' if name == best else ''):<21}{figures}")


def enough(pairs: int) -> int | None:
    """Of so many pairs, the wins that chance brings, or as many losses, at most 5 times in 100; None: not even all."""
    tail = 0
    for wins in range(pairs, -1, -1):
        tail += 2 * math.comb(pairs, wins)
        if tail > 0.05 * 2**pairs:
            return wins + 1 if wins < pairs else None
    raise AssertionError("all outcomes together are more than 5 in 100")


def verdict(claim: Claim, results: Callable[[Setting], list[Result]]) -> str:
    """What the paired figures say, and the figures."""

    def figures(setting: Setting, base: Setting | None) -> list[float]:
        found = [getattr(result, claim.figure) for result in results(setting)]
        bases = [0.0] * len(found) if base is None else [getattr(result, claim.figure) for result in results(base)]
        return [one - of for one, of in zip(found, bases, strict=True)]

    side, other = figures(claim.side, claim.side_base), figures(claim.other, claim.other_base)
    wins = sum(1.0 if a < b else 0.5 if a == b else 0.0 for a, b in zip(side, other, strict=True))
    needed, pairs = enough(len(side)), len(side)
    if needed is not None and wins >= needed:
        said = "holds"
    elif needed is not None and pairs - wins >= needed:
        said = "does not hold here, the reverse does"
    else:
        said = "undecided here"
    form = "g" if claim.figure == "epochs" else ".3f"
    of = "" if claim.side_base is None else "change of "
    medians = f"{statistics.median(side):{form}} against {statistics.median(other):{form}}"
    return f"{said}; {of}{claim.figure} {medians}, better in {wins:g} of {pairs}"


def picture(results: dict[str, dict[str, list[Result]]], file: Path) -> None:
    """Each schedule's loss and LR beside the constant one's, the first seed of the first optimizer."""
    found = next(iter(results.values()))
    constant, rows = found["Constant"][0], -(-len(found) // 5)
    figure = Figure(figsize=(16, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, 5, sharey=True).flat
    for ax, (name, (result, *_)) in zip(panels, found.items(), strict=False):
        ax.semilogy(constant.val_losses, color="0.7", label="loss, constant LR")
        ax.semilogy(result.val_losses, label="loss")
        ax.set_title(name, fontsize=10)
        lr = ax.twinx()
        lr.plot(result.lrs, color="tab:orange", linewidth=1, label="LR")
        lr.set_ylim(bottom=0.0)
    figure.legend(handles=[*ax.get_lines(), *lr.get_lines()], loc="outside lower center", ncols=3)
    figure.suptitle(f"{next(iter(results))}: validation loss and LR by epoch")
    figure.savefig(file)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.compare", description="every schedule on the digits")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each schedule")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of runs for each claim")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--logdir", default=time.strftime("lightning_logs/compare-%Y%m%d-%H%M%S"))
    args = parser.parse_args(argv)
    if min(args.seeds, args.pairs, args.epochs, args.workers) < 1:
        parser.error("--seeds, --pairs, --epochs and --workers must be at least 1")

    quiet()
    with ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn")) as pool:

        def trained(jobs: Iterable[Job]) -> dict[Job, Result]:
            """Each job once, whoever asked for it."""
            distinct = list(dict.fromkeys(jobs))
            found = pool.map(train, *zip(*distinct, strict=True), [args] * len(distinct))
            return dict(zip(distinct, tqdm(found, total=len(distinct), unit="run"), strict=True))

        grid = {(o, lr): [(Setting(o), lr, 100 + seed) for seed in range(3)] for o, lrs in GRIDS.items() for lr in lrs}
        tuned = trained(job for row in grid.values() for job in row)
        losses = {key: statistics.median(tuned[job].loss for job in row) for key, row in grid.items()}
        base_lrs = {o: min(lrs, key=lambda lr: losses[o, lr]) for o, lrs in GRIDS.items()}

        def jobs(setting: Setting, seeds: int) -> list[Job]:
            return [(setting, base_lrs[setting.optimizer] * setting.times, seed) for seed in range(seeds)]

        compared = {o: {name: jobs(Setting(o, name), args.seeds) for name in SCHEDULES} for o in TABLES}
        claimed = [job for claim in CLAIMS for setting in claim.settings for job in jobs(setting, args.pairs)]
        results = trained([*(job for rows in compared.values() for row in rows.values() for job in row), *claimed])

    print("base LRs, the best for a constant LR:", ", ".join(f"{name} {lr:g}" for name, lr in base_lrs.items()))
    tables = {o: {name: [results[job] for job in row] for name, row in rows.items()} for o, rows in compared.items()}
    for optimizer, rows in tables.items():
        table(optimizer, rows)
    print()
    for claim in CLAIMS:
        said = verdict(claim, lambda setting: [results[job] for job in jobs(setting, args.pairs)])
        print(f"{claim.text}:\n    {said}")
    picture(tables, Path(args.logdir, "compare.png"))
    print(f"\n{args.logdir}/compare.png\ntensorboard --logdir {args.logdir}")


if __name__ == "__main__":
    main()
