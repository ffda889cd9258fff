"""An MLP on handwritten digits, the Lightning way: every option in YAML or on the command line.

    python -m recipes.mlp fit --config recipes/configs/cosine.yaml
    python -m recipes.mlp fit --config recipes/configs/cosine.yaml --model.optimizer=momentum --model.lr=0.1
    python -m recipes.mlp fit --trainer.callbacks+=CyclicalLR --trainer.callbacks.eta_min=0.0003 \\
        --trainer.callbacks.step_size=5                      # another schedule, from the command line alone
    python -m recipes.mlp fit --config recipes/configs/step.yaml --ckpt_path <a checkpoint> --trainer.max_epochs=60
    python -m recipes.mlp fit --help                         # and fit --trainer.callbacks.help=CyclicalLR

Data: scikit-learn's 1 797 handwritten digits of 8x8 pixels, which come with it: 1 077 for training, 360 for validation
and 360 for the test, each digit in equal shares. The weights with the best validation accuracy are kept, and tested.
The last lines printed are the test's table and the command that shows the curves:

    tensorboard --logdir lightning_logs/mlp
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jsonargparse import ArgumentError
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from lightning_lrsched import LRSchedule  # with it all schedules are callbacks that YAML may name

OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
}


SHOWN = ("test_accuracy", "test_f1", "test_loss")  # what the HParams page compares


INITS: dict[str, Callable[[Tensor], Any]] = {
    "he": nn.init.kaiming_normal_,
    "xavier": nn.init.xavier_normal_,
    "normal": nn.init.normal_,
}


class Digits(LightningDataModule):
    """scikit-learn's handwritten digits, split in equal shares of each digit.

    Args:
        batch_size: Images a batch.
        split_seed: Another split for another seed.
    """

    def __init__(self, batch_size: int = 64, split_seed: int = 0) -> None:
        super().__init__()
        self.batch_size, self.split_seed = batch_size, split_seed

    def setup(self, stage: str) -> None:
        images, labels = load_digits(return_X_y=True)
        split = {"test_size": 360, "random_state": self.split_seed}
        rest, test, rest_labels, test_labels = train_test_split(images, labels, stratify=labels, **split)
        train, val, train_labels, val_labels = train_test_split(rest, rest_labels, stratify=rest_labels, **split)
        self.train, self.val, self.test = (
            TensorDataset(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y))
            for x, y in ((train, train_labels), (val, val_labels), (test, test_labels))
        )

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.val, len(self.val))

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.test, len(self.test))


class MLP(LightningModule):
    """64 inputs, hidden ReLU layers, 10 outputs, cross-entropy.

    Args:
        hidden: Units of each hidden layer.
        batch_norm: BatchNorm before each ReLU.
        dropout: Probability of dropping a hidden unit.
        init: Weights by He's rule, by Xavier's, or from a normal distribution with standard deviation 1, far too large.
        optimizer: SGD, SGD with momentum 0.9, RMSprop, Adam or AdamW.
        lr: The base LR.
        l1: Factor of the sum of the weights' absolute values, added to the loss.
        l2: The optimizer's weight decay.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 64),
        batch_norm: bool = True,
        dropout: float = 0.0,
        init: Literal["he", "xavier", "normal"] = "he",
        optimizer: Literal["sgd", "momentum", "rmsprop", "adam", "adamw"] = "adam",
        lr: float = 0.003,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # the CLI logs them, with the test's scores
        self.lr, self.l1, self.l2, self.optimizer = lr, l1, l2, optimizer
        layers: list[nn.Module] = []
        sizes = [64, *hidden]
        for inputs, outputs in zip(sizes, hidden, strict=False):
            norm = [nn.BatchNorm1d(outputs)] if batch_norm else []
            layers += [nn.Linear(inputs, outputs), *norm, nn.ReLU(), nn.Dropout(dropout)]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], 10))
        self.linears = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        for layer in self.linears:
            INITS[init](layer.weight)
            nn.init.zeros_(layer.bias)
        scores = MetricCollection({"accuracy": MulticlassAccuracy(10, average="micro"), "f1": MulticlassF1Score(10)})
        self.val_scores, self.test_scores = scores.clone("val_"), scores.clone("test_")

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = nn.functional.cross_entropy(self(images), labels)
        self.log("train_loss", loss)
        if self.l1:
            loss = loss + self.l1 * torch.stack([layer.weight.abs().sum() for layer in self.linears]).sum()
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.score("val", self.val_scores, batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.score("test", self.test_scores, batch)

    def score(self, stage: str, scores: MetricCollection, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        logits = self(images)
        self.log(f"{stage}_loss", nn.functional.cross_entropy(logits, labels), prog_bar=True, sync_dist=True)
        scores.update(logits, labels)
        self.log_dict(scores)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        kind, arguments = OPTIMIZERS[self.optimizer]
        return kind(self.parameters(), lr=self.lr, weight_decay=self.l2, **arguments)


def first_problem(error: Exception) -> str:
    """The line that says what is wrong: of a value with several types jsonargparse tells each one's complaint."""
    listed = re.search(
        r"Errors:\n\s*- (.*?)(?=\n\s*- (?:Not a valid|Expected a|Problem with) |\Z)", str(error), re.DOTALL
    )
    return " ".join((listed[1] if listed else str(error)).split())


class CLI(LightningCLI):
    """Adds the checkpoint with the best accuracy, early stopping, and the test after a fit."""

    runs = "lightning_logs/mlp"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val_accuracy",
                "checkpoint.mode": "max",
                "checkpoint.save_last": True,
                "early_stopping.monitor": "val_loss",
                "early_stopping.patience": 20,
            }
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        try:
            super().parse_arguments(parser, args)
        except ArgumentError as error:
            sys.exit(f"error: {first_problem(error)}")

    def instantiate_trainer(self, **settings: Any) -> Trainer:
        given = self.config_init[self.subcommand].trainer
        if given.logger is None:  # a folder of its own in Lightning's
            root = given.default_root_dir or ""
            settings["logger"] = TensorBoardLogger(root, self.runs, default_hp_metric=False)
        return super().instantiate_trainer(**settings)

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except ValueError as error:
            sys.exit(f"error: {first_problem(error)}")

    def after_fit(self) -> None:
        self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path="best", verbose=True)
        self.show({name: self.trainer.callback_metrics[name] for name in SHOWN})

    def show(self, scores: dict[str, Any]) -> None:
        """Log what was trained with its scores, and print the command that shows it."""
        logger, schedules = self.trainer.logger, [c for c in self.trainer.callbacks if isinstance(c, LRSchedule)]  # type: ignore[attr-defined]
        if isinstance(logger, TensorBoardLogger):
            schedule = "; ".join(map(repr, schedules)) or "constant LR"
            settings = {"schedule": schedule, "optimizer": self.model.optimizer, "lr": self.model.lr}
            logger.log_hyperparams(settings, scores)
            logger.finalize("success")
            rank_zero_only(print)(f"tensorboard --logdir {logger.root_dir}")


def main() -> None:
    warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6's own, with torch 2.13
    CLI(
        MLP,
        Digits,
        auto_configure_optimizers=False,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"exit_on_error": False},
        trainer_defaults={
            "max_epochs": 40,
            "log_every_n_steps": 10,
        },
    )


if __name__ == "__main__":
    main()
