"""Schedules on a language model: a small GPT that is limited by its steps, each schedule with its own best LR.

    python -m recipes.gpt compare                                   # tables, claims, a picture
    python -m recipes.gpt compare --logdir lightning_logs/<run>     # goes on where that was cut off
    python -m recipes.gpt compare --seeds 2 --steps 40              # a quick look

Data and model: those of recipes/gpt.py, two layers of width 64 on a context of 64 bytes, batches of 8, AdamW. Each
schedule, with a warmup and without, trains at the LR of a ladder of factors of 2 that is best for it on seeds of their
own, and is then compared with the constant LR on the same seeds: initial weights and order of the text.

Claims hold, or the reverse does, by the exact sign test over the seeds, two-sided at 5 %; what is between is undecided.
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

from lightning_lrsched import (
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    CyclicalLR,
    ExponentialDecay,
    GreedyLR,
    InverseSqrt,
    LRSchedule,
    OneCycle,
    PolynomialDecay,
    ReduceOnPlateau,
    StepDecay,
    WarmupStableDecay,
)
from recipes.gpt import GPT, StandardLibrary
from recipes.lab import Claim, Column, Lab, Summary, picture, quiet

VALIDATIONS = 10  # in a run
BITS = Column("bits a byte", ".3f", 25)
START = {"adamw": 0.004, "momentum": 0.1}  # where the search for a base LR begins
SCHEDULES: dict[str, Callable[..., LRSchedule]] = {
    "Constant": lambda steps, **run: Constant(**run),
    "StepDecay": lambda steps, **run: StepDecay("25%", gamma=0.4, **run),
    "ExponentialDecay": lambda steps, **run: ExponentialDecay(k=4 / steps, **run),
    "ReduceOnPlateau": lambda steps, **run: ReduceOnPlateau(patience=2, factor=0.4, **run),
    "CosineAnnealing": lambda steps, **run: CosineAnnealing(**run),
    "CyclicalLR": lambda steps, **run: CyclicalLR(eta_min=0.0, step_size="10%", **run),
    "OneCycle": lambda steps, **run: OneCycle(**run),
    "PolynomialDecay": lambda steps, **run: PolynomialDecay(**run),
    "WarmupStableDecay": lambda steps, **run: WarmupStableDecay("30%", **run),
    "InverseSqrt": lambda steps, **run: InverseSqrt("5%", **run),
    "CooldownOnPlateau": lambda steps, **run: CooldownOnPlateau("30%", patience=2, **run),
    "GreedyLR": lambda steps, **run: GreedyLR(patience=2, factor=0.8, **run),
}
LONG = ("Constant", "CosineAnnealing", "WarmupStableDecay")


class Setting(NamedTuple):
    """What is trained, at the best LR of its own, or at a multiple of that of a constant LR."""

    schedule: str = "Constant"
    warmup: bool = False
    optimizer: str = "adamw"
    train_bytes: int | None = None
    times: float | None = None
    also: str = ""  # "momentum", cycled, or "weight_decay", scheduled
    longer: int = 1

    @property
    def base(self) -> Setting:
        return Setting(optimizer=self.optimizer) if self.times else self


class Result(NamedTuple):
    final: float
    losses: list[float]
    lrs: list[float]

    @property
    def loss(self) -> float:
        return self.final if math.isfinite(self.final) else math.inf

    @property
    def half(self) -> float:
        """The loss after half of the steps."""
        return self.losses[VALIDATIONS // 2 - 1] if len(self.losses) >= VALIDATIONS // 2 else self.loss


def few(schedule: str = "Constant", times: float | None = None) -> Setting:
    """A text so short that a constant LR overfits it."""
    return Setting(schedule, train_bytes=16384, times=times)


CONSTANT = Setting()
MOMENTUM = partial(Setting, optimizer="momentum")
CLAIMS = (
    Claim("step decay suits SGD with momentum", MOMENTUM("StepDecay"), MOMENTUM()),
    Claim("reduce on plateau suits SGD with momentum", MOMENTUM("ReduceOnPlateau"), MOMENTUM()),
    Claim("cosine annealing suits Adam", Setting("CosineAnnealing"), CONSTANT),
    Claim("cyclical LRs suit Adam", Setting("CyclicalLR"), CONSTANT),
    Claim("exponential decay suits Adam", Setting("ExponentialDecay"), CONSTANT),
    Claim("reduce on plateau suits Adam", Setting("ReduceOnPlateau"), CONSTANT),
    Claim("cosine annealing learns sooner", Setting("CosineAnnealing"), CONSTANT, "half"),
    Claim("cyclical LRs learn sooner", Setting("CyclicalLR"), CONSTANT, "half"),
    Claim("cosine annealing helps against overfitting", few("CosineAnnealing"), few()),
    Claim("cyclical LRs help against overfitting", few("CyclicalLR"), few()),
    Claim("cosine annealing does so at the constant LR's best LR", few("CosineAnnealing", 1.0), few(times=1.0)),
    Claim("cyclical LRs do so at the constant LR's best LR", few("CyclicalLR", 1.0), few(times=1.0)),
    Claim("step decay helps at a high LR", Setting("StepDecay", times=4.0), Setting(times=4.0)),
    Claim("cosine annealing helps at a high LR", Setting("CosineAnnealing", times=4.0), Setting(times=4.0)),
    Claim("reduce on plateau, which adapts, beats step decay", Setting("ReduceOnPlateau"), Setting("StepDecay")),
    Claim("warmup helps a constant LR", Setting(warmup=True), CONSTANT),
    Claim("a cycled momentum helps one-cycle", Setting("OneCycle", also="momentum"), Setting("OneCycle")),
    Claim(
        "a weight decay that falls with the LR helps",
        Setting("PolynomialDecay", also="weight_decay"),
        Setting("PolynomialDecay"),
    ),
)


class Curves(Callback):
    """Notes loss and LR at each validation."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.lrs: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.losses.append(round(float(trainer.callback_metrics["val_loss"]), 4))
            self.lrs.append(float(f"{trainer.optimizers[0].param_groups[0]['lr']:.4g}"))


def train(setting: Setting, lr: float, seed: int, args: argparse.Namespace) -> Result:
    quiet()
    torch.manual_seed(seed)
    module = GPT(optimizer=setting.optimizer, lr=lr, sample=0)  # type: ignore[arg-type]
    data = StandardLibrary(batch_size=8, val_windows=256, train_bytes=setting.train_bytes, seed=seed)
    steps = args.steps * setting.longer
    run: dict[str, Any] = {"interval": "step", "warmup": "10%" if setting.warmup else 0}
    cycled = {"momentum": (0.85, 0.95)} if setting.also == "momentum" else {}
    callbacks: list[Callback] = [SCHEDULES[setting.schedule](steps, **run, **cycled), Curves()]
    if setting.also == "weight_decay":
        matrices = {"hyperparameter": "weight_decay", "param_groups": "matrices"}
        callbacks.append(SCHEDULES[setting.schedule](steps, **run, **matrices))
    trainer = Trainer(
        accelerator=args.accelerator,
        devices=1,
        max_steps=steps,
        val_check_interval=steps // VALIDATIONS,
        check_val_every_n_epoch=None,
        gradient_clip_val=1.0,
        callbacks=callbacks,
        logger=False,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(module, datamodule=data)
    (figures,) = trainer.validate(module, datamodule=data, verbose=False)
    return Result(round(figures["val_loss"], 4), callbacks[1].losses, callbacks[1].lrs)  # type: ignore[attr-defined]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recipes.gpt compare", description="schedules on a language model")
    parser.add_argument("--seeds", type=int, default=6, help="runs of each setting")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--logdir", default=time.strftime("lightning_logs/gpt-compare-%Y%m%d-%H%M%S"))
    args = parser.parse_args(argv)
    if min(args.seeds, args.workers) < 1 or args.steps < VALIDATIONS:
        parser.error(f"--seeds and --workers must be at least 1 and --steps at least {VALIDATIONS}")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(argv)
    tables = {
        "no warmup": {name: Setting(name) for name in SCHEDULES},
        "warmup": {name: Setting(name, warmup=True) for name in SCHEDULES if name != "OneCycle"},  # which has its own
        "warmup, 3 x longer": {name: Setting(name, warmup=True, longer=3) for name in LONG if name in SCHEDULES},
    }
    settings = [setting for rows in tables.values() for setting in rows.values()]
    claimed = [setting for claim in CLAIMS for setting in claim.settings]
    file = Path(args.logdir, f"runs-{args.steps}-steps.jsonl")
    with Lab(partial(train, args=args), Result, file, args.workers) as lab:
        lrs, results = lab.compare([*settings, *claimed], START, factor=2, tuning=(100,), seeds=args.seeds)

    told = {
        title: {name: (lrs[s], {BITS.header: [r.loss for r in results[s]]}) for name, s in rows.items()}
        for title, rows in tables.items()
    }
    summary = Summary([BITS], BITS.header, told, [claim.outcome(results) for claim in CLAIMS])
    summary.save(kept := Path(args.logdir, "summary.json"))
    print(*Summary.load(kept).told(), sep="\n")
    title = f"validation loss in bits a byte, and LR, in {VALIDATIONS} parts of {args.steps} steps"
    picture({name: results[s][0] for name, s in tables["no warmup"].items()}, title, Path(args.logdir, "compare.png"))
    print(f"\n{args.logdir}/compare.png")


if __name__ == "__main__":
    main()
