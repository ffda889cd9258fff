"""A GAN with a schedule per optimizer, against constant LRs: manual optimization on a ring of eight Gaussians.

    python -m recipes.gan                  # 5 seeds each: 2 to 4 minutes
    python -m recipes.gan --steps 300      # a quick look

Generator: 8 normal numbers, two hidden layers of 64 ReLU units, a point in the plane. Discriminator: the same the other
way round. Adam for both. Data: eight Gaussians of standard deviation 0.1 on a circle of radius 2.

`constant` leaves both LRs alone. `schedules` anneals the generator's along a cosine and keeps the discriminator's for
half the run before it goes down in a line. Each row gets the LR of the grid in `LRS` with the largest mean share of
good samples on two seeds that the table does not use; the table then trains both rows from the same seeds.

A sample is good within 3 standard deviations of a mode, and a mode is covered by at least 2 % of the samples; `better`
counts the seeds on which the schedules beat the constant LRs. The last line printed is the command that shows LRs,
losses and a picture of the samples:

    tensorboard --logdir lightning_logs/gan-<date>-<time>
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import time
import warnings
from collections.abc import Sequence
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm import tqdm

from lightning_lrsched import Constant, CosineAnnealing, WarmupStableDecay

LATENT, HIDDEN, BATCH, SAMPLES = 8, 64, 128, 2000
STD = 0.1
LRS = (0.001, 0.002, 0.004)
SELECTION_SEEDS = (1000, 1001)
ROWS = ("constant", "schedules")
ANGLES = torch.arange(8) * (math.pi / 4)
MODES = 2 * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs)
    )


class GAN(LightningModule):
    """``modes`` and ``good``, once trained: modes covered, and the share of good samples in percent."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.lr = lr
        self.generator, self.discriminator = network(LATENT, 2), network(2, 1)
        self.modes, self.good = 0, 0.0

    def sample(self, count: int) -> Tensor:
        samples: Tensor = self.generator(torch.randn(count, LATENT, device=self.device))
        return samples

    def training_step(self, batch: int) -> None:
        generator, discriminator = cast(list[LightningOptimizer], self.optimizers())
        real = MODES[torch.randint(8, (BATCH,))] + STD * torch.randn(BATCH, 2)
        fake = self.sample(BATCH)
        loss = nn.functional.softplus

        scores_real, scores_fake = self.discriminator(real.to(self.device)), self.discriminator(fake.detach())
        d_loss = loss(-scores_real).mean() + loss(scores_fake).mean()
        discriminator.zero_grad()
        self.manual_backward(d_loss)
        discriminator.step()

        g_loss = loss(-self.discriminator(fake)).mean()
        generator.zero_grad()
        self.manual_backward(g_loss)
        generator.step()
        if batch % 20 == 0:
            self.log_dict({"g_loss": g_loss, "d_loss": d_loss})

    @torch.no_grad()
    def on_train_end(self) -> None:
        samples = self.sample(SAMPLES).cpu()
        distance, mode = torch.cdist(samples, MODES).min(dim=1)
        good = distance < 3 * STD
        self.modes = int((mode[good].bincount(minlength=8) >= 0.02 * SAMPLES).sum())
        self.good = 100 * good.float().mean().item()
        figure = Figure(figsize=(4, 4))
        axes = figure.add_subplot(aspect="equal")
        axes.scatter(samples[:, 0].tolist(), samples[:, 1].tolist(), s=2)
        axes.scatter(MODES[:, 0].tolist(), MODES[:, 1].tolist(), marker="x", color="black")
        if isinstance(self.logger, TensorBoardLogger):
            self.logger.experiment.add_figure("samples", figure)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        nets = (self.generator, self.discriminator)
        return [torch.optim.Adam(net.parameters(), lr=self.lr, betas=(0.5, 0.9)) for net in nets]


def train(row: str, lr: float, seed: int, args: argparse.Namespace) -> GAN:
    torch.manual_seed(seed)
    model = GAN(lr)
    schedules: list[Callback] = [
        CosineAnnealing(t_max=args.steps, optimizer=0, interval="step"),
        WarmupStableDecay(decay=args.steps // 2, t_max=args.steps, optimizer=1, interval="step"),
    ]
    # TensorBoard shows the first seed of each row
    run = None if seed else TensorBoardLogger(args.logdir, row, version="", default_hp_metric=False)
    trainer = Trainer(
        accelerator=args.accelerator,
        devices=1,
        max_epochs=1,
        callbacks=schedules if row == "schedules" else [Constant(interval="step")],  # which logs both LRs
        logger=run or False,
        log_every_n_steps=20,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(model, range(args.steps))
    if run is not None:
        calls = "; ".join(map(repr, schedules)) if row == "schedules" else "constant LRs"
        run.log_hyperparams({"schedule": calls, "lr": lr}, {"modes": model.modes, "samples_good": model.good})
        run.finalize("success")
    return model


def spread(figures: Sequence[float]) -> str:
    return f"{statistics.median(figures):.3g} ({min(figures):.3g} to {max(figures):.3g})"


def better(figures: Sequence[float], others: Sequence[float]) -> str:
    return f"{sum(one > other for one, other in zip(figures, others, strict=True))} of {len(figures)}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.gan", description="a GAN with a schedule per optimizer")
    parser.add_argument("--seeds", type=int, default=5, help="runs per row")
    parser.add_argument("--steps", type=int, default=2500, help="updates of each optimizer")
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--logdir", default=time.strftime("lightning_logs/gan-%Y%m%d-%H%M%S"))
    args = parser.parse_args(argv)
    if args.seeds < 1 or args.steps < 2:
        parser.error("--seeds must be at least 1 and --steps at least 2")

    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6's own, with torch 2.13

    runs = len(ROWS) * (len(LRS) * len(SELECTION_SEEDS) + args.seeds)
    with tqdm(total=runs, unit="run") as progress:

        def trained(row: str, lr: float, seeds: Sequence[int]) -> list[GAN]:
            models = []
            for seed in seeds:
                models.append(train(row, lr, seed, args))
                progress.update()
            return models

        chosen, found = {}, {}
        for row in ROWS:
            shares = {lr: sum(model.good for model in trained(row, lr, SELECTION_SEEDS)) for lr in LRS}
            chosen[row] = max(LRS, key=lambda lr: shares[lr])
            found[row] = trained(row, chosen[row], range(args.seeds))

    print(f"{'':<12}{'LR':<9}{'modes of 8':<15}{'better':<9}{'good samples, %':<23}better")
    modes = {row: [model.modes for model in models] for row, models in found.items()}
    goods = {row: [model.good for model in models] for row, models in found.items()}
    for row in ROWS:
        against = [better(f["schedules"], f["constant"]) if row == "schedules" else "-" for f in (modes, goods)]
        cells = f"{row:<12}{chosen[row]:<9g}{spread(modes[row]):<15}{against[0]:<9}{spread(goods[row]):<23}{against[1]}"
        print(cells)
    print(f"tensorboard --logdir {args.logdir}")


if __name__ == "__main__":
    main()
