"""Ten published training recipes, the curve of each from one constructor call.

    python -m recipes.published                      # about 10 s
    python -m recipes.published --png curves.png     # another name for the picture

Prints a row for each curve, its source and its first, highest and last value, and draws all of them in one picture.
The numbers are those of the paper; where it has none, or its code does otherwise, a comment says so. In a Trainer
`configure_optimizers` gives the base value, and the length is the run's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lightning_lrsched import (
    CosineAnnealing,
    InverseSqrt,
    Keyframes,
    LRSchedule,
    MultiStepDecay,
    PolynomialDecay,
    WarmupStableDecay,
)

FROM_ZERO: dict[str, Any] = {"interval": "step", "warmup_start_factor": 0.0}
POINTS = 1_000  # of a drawn curve


class Curve(NamedTuple):
    """`bases` are those of the parameter groups."""

    what: str
    bases: list[float]
    schedule: LRSchedule


class Recipe(NamedTuple):
    source: str
    epochs: int
    steps: int  # an epoch
    curves: list[Curve]


RECIPES = {
    "ResNet-50": Recipe(  # batches of 8192
        "Goyal et al., Accurate, Large Minibatch SGD, 2017, arXiv 1706.02677",
        epochs=90,
        steps=156,
        curves=[
            Curve(
                "LR",
                [3.2],
                MultiStepDecay(
                    ["25 epochs", "55 epochs", "75 epochs"], interval="step", warmup="5 epochs", warmup_start_lr=0.1
                ),
            )
        ],
    ),
    "ViT-L, fine-tuned": Recipe(  # of 24 blocks, the patches before them and the head after; batches of 1024
        "He et al., Masked Autoencoders, 2021, arXiv 2111.06377; facebookresearch/mae",
        epochs=50,
        steps=1251,
        curves=[
            Curve(
                "LR of the head, of 26 groups",
                [4e-3 * 0.75**depth for depth in range(26)],
                CosineAnnealing(eta_min_ratio=1e-6 / 4e-3, warmup="5 epochs", **FROM_ZERO),
            )
        ],
    ),
    "DINO": Recipe(  # batches of 1024; the code has the base LR twice, at the end of the warmup and after it
        "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021, arXiv 2104.14294",
        epochs=100,
        steps=1251,
        curves=[
            Curve("LR", [0.002], CosineAnnealing(eta_min=1e-6, warmup="10 epochs", **FROM_ZERO)),
            Curve(
                "weight decay",
                [0.04],
                Keyframes(
                    [0, "100%"], [0.04, 0.4], unit="lr", shape="cosine", interval="step", hyperparameter="weight_decay"
                ),
            ),
        ],
    ),
    "BERT": Recipe(  # the code counts the decay from step 0, so that the LR falls from 1e-4 to 0.99e-4 at once
        "Devlin et al., BERT, 2018, arXiv 1810.04805",
        epochs=1,
        steps=1_000_000,
        curves=[Curve("LR", [1e-4], PolynomialDecay(warmup=10_000, **FROM_ZERO))],
    ),
    "T5": Recipe(
        "Raffel et al., Exploring the Limits of Transfer Learning, 2019, arXiv 1910.10683",
        epochs=1,
        steps=2**19,
        curves=[Curve("LR", [0.01], InverseSqrt(10_000, interval="step", warmup=10_000, warmup_start_factor=1.0))],
    ),
    "GPT-3 175B": Recipe(  # in steps of 3.2 million tokens: a warmup of 375, an end of the cosine at 260 000 millions
        "Brown et al., Language Models are Few-Shot Learners, 2020, arXiv 2005.14165",
        epochs=1,
        steps=93_750,
        curves=[Curve("LR", [0.6e-4], CosineAnnealing(81_250 - 117, eta_min_ratio=0.1, warmup=117, **FROM_ZERO))],
    ),
    "Llama 3 405B": Recipe(  # the initial pre-training
        "Grattafiori et al., The Llama 3 Herd of Models, 2024, arXiv 2407.21783",
        epochs=1,
        steps=1_200_000,
        curves=[Curve("LR", [8e-5], CosineAnnealing(eta_min=8e-7, warmup=8_000, **FROM_ZERO))],
    ),
    "MiniCPM": Recipe(  # its LR halves every 5 000 steps until a tenth is left; how long the warmup is it does not say
        "Hu et al., MiniCPM, 2024, arXiv 2404.06395",
        epochs=1,
        steps=263_000 + 16_610,
        curves=[
            Curve(
                "LR",
                [0.01],
                WarmupStableDecay(
                    16_610, shape="exponential", eta_min_ratio=0.5 ** (16_610 / 5_000), warmup=2_000, **FROM_ZERO
                ),
            )
        ],
    ),
    "nanoGPT speedrun": Recipe(  # the record of November 19
        "Jordan et al., KellerJordan/modded-nanogpt, 2024",
        epochs=1,
        steps=1875,
        curves=[
            Curve("LR of Muon", [0.04], WarmupStableDecay(562, interval="step")),
            Curve(
                "momentum",
                [0.95],
                Keyframes([0, 500], [0.85, 0.95], unit="lr", interval="step", hyperparameter="momentum"),
            ),
        ],
    ),
    "YOLOv5": Recipe(  # batches of 64; the code steps the line once an epoch, and counts it from epoch 0
        "Jocher et al., ultralytics/yolov5, hyp.scratch-low.yaml, 2020",
        epochs=300,
        steps=1849,
        curves=[
            Curve("LR", [0.01], PolynomialDecay(eta_min_ratio=0.01, warmup="3 epochs", **FROM_ZERO)),
            Curve(
                "LR of the biases",
                [0.01],
                PolynomialDecay(
                    eta_min_ratio=0.01, interval="step", warmup="3 epochs", warmup_start_lr=0.1, param_groups="bias"
                ),
            ),
        ],
    ),
}


def values(recipe: Recipe, curve: Curve) -> list[list[float]]:
    """Of every update, for each parameter group."""
    return curve.schedule.preview(recipe.epochs, recipe.steps, base_lr=curve.bases)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.published", description="ten published training recipes")
    parser.add_argument("--png", default="published.png", help="the picture")
    args = parser.parse_args(argv)

    figure = Figure(figsize=(14, 5), layout="constrained")
    print(f"{'recipe':<18}{'value':<30}{'first':>9}{'highest':>9}{'last':>9}  source")
    for ax, (name, recipe) in zip(figure.subplots(2, 5).flat, RECIPES.items(), strict=True):
        for curve in recipe.curves:
            found = values(recipe, curve)
            first, highest, last = (f"{value:.3g}" for value in (found[0][0], max(found[0]), found[0][-1]))
            print(f"{name:<18}{curve.what:<30}{first:>9}{highest:>9}{last:>9}  {recipe.source}")
            color, panel = ("C0", ax) if curve is recipe.curves[0] else ("C1", ax.twinx())
            steps = range(0, len(found[0]), max(len(found[0]) // POINTS, 1))
            for lrs in found:
                panel.plot([step / 1000 for step in steps], [lrs[step] for step in steps], color=color, linewidth=1)
            panel.tick_params(labelsize=7)
            panel.tick_params("y", labelcolor=color)
            panel.locator_params("x", nbins=4)
        ax.set_title("\n".join([name, ", ".join(curve.what for curve in recipe.curves)]), fontsize=8)
    figure.supxlabel("updates, in thousands", fontsize=8)
    figure.savefig(args.png, dpi=80)
    print(args.png)


if __name__ == "__main__":
    main()
