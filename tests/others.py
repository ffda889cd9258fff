"""Other people's models, unedited, each with a schedule of ours: ``python -m tests.others`` prints what came of it.

Each function below is all that a user writes. Those whose package is not installed are left out:

    pip install chemprop "u8darts[torch]" "gluonts[torch]" neuralforecast pytorch-forecasting \\
        pytorch-tabular scvi-tools timm transformers
"""

from __future__ import annotations

import inspect
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import lightning.pytorch
import pytorch_lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader

from lightning_lrsched import CosineAnnealing, LRSchedule
from lightning_lrsched.fit.lightning import Callback

UPDATES, WARMUP, RESUME = 12, 3, 6  # 3 epochs of 4 batches; a quarter is warmup
# of the base LR, by pencil: quarters of a ramp, then half a cosine of nine
FACTORS = [0.25, 0.5, 0.75] + [(1 + math.cos(math.pi * t / 9)) / 2 for t in range(9)]
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


# ---- what a user writes, with run = {"callbacks": [schedule], ...} for the Trainer


def chemprop(run: dict[str, Any]) -> None:
    from chemprop.data import MoleculeDatapoint, MoleculeDataset, build_dataloader
    from chemprop.models import MPNN
    from chemprop.nn import BondMessagePassing, MeanAggregation, RegressionFFN

    data = MoleculeDataset([MoleculeDatapoint.from_smi("C" * n, [float(n)]) for n in range(1, 17)])
    model = MPNN(BondMessagePassing(d_h=8), MeanAggregation(), RegressionFFN(input_dim=8, hidden_dim=8))
    Trainer(max_epochs=3, **run).fit(model, build_dataloader(data, batch_size=4))


def neuralforecast(run: dict[str, Any]) -> None:
    import pandas
    from neuralforecast import NeuralForecast
    from neuralforecast.models import NHITS

    days = pandas.date_range("2024-01-01", periods=48, freq="D")
    frame = pandas.DataFrame({"unique_id": "a", "ds": days, "y": [float(i % 7) for i in range(48)]})
    model = NHITS(h=2, input_size=4, max_steps=12, learning_rate=1e-3, mlp_units=3 * [[8, 8]], **run)
    NeuralForecast([model], freq="D").fit(frame)


def pytorch_forecasting(run: dict[str, Any]) -> None:
    import pandas
    from pytorch_forecasting import TemporalFusionTransformer, TimeSeriesDataSet

    frame = pandas.DataFrame({"t": range(22), "y": [float(i % 7) for i in range(22)], "group": "a"})
    data = TimeSeriesDataSet(
        frame, "t", "y", ["group"], max_encoder_length=4, max_prediction_length=2, time_varying_unknown_reals=["y"]
    )
    model = TemporalFusionTransformer.from_dataset(data, learning_rate=1e-3, hidden_size=4)
    Trainer(max_epochs=3, **run).fit(model, data.to_dataloader(batch_size=4))


def darts(run: dict[str, Any]) -> None:
    import numpy
    from darts import TimeSeries
    from darts.models import NBEATSModel

    series = TimeSeries.from_values(numpy.sin(numpy.arange(21, dtype=numpy.float32)))
    model = NBEATSModel(4, 2, num_stacks=2, layer_widths=8, batch_size=4, n_epochs=3, pl_trainer_kwargs=run)
    model.fit(series)


def gluonts(run: dict[str, Any]) -> None:
    from gluonts.dataset.common import ListDataset
    from gluonts.torch import SimpleFeedForwardEstimator

    data = ListDataset([{"start": "2024-01-01", "target": [float(i % 7) for i in range(48)]}], freq="D")
    run = {"max_epochs": 3, "max_steps": 12, **run}
    SimpleFeedForwardEstimator(2, 4, num_batches_per_epoch=4, batch_size=4, trainer_kwargs=run).train(data)


def scvi_tools(run: dict[str, Any]) -> None:
    import anndata
    import numpy
    from scvi.model import TOTALVI

    counts = numpy.random.default_rng(0).poisson(2.0, (32, 10))
    cells = anndata.AnnData(counts.astype("float32"), obs={"batch": ["a", "b"] * 16})
    cells.obsm["proteins"] = counts[:, :3]
    TOTALVI.setup_anndata(cells, batch_key="batch", protein_expression_obsm_key="proteins")
    model = TOTALVI(cells, n_latent=4, n_hidden=8)
    run = {k: v for k, v in run.items() if k != "logger"}  # it adds a LearningRateMonitor, which needs one
    model.train(3, lr=1e-3, batch_size=4, train_size=0.5, adversarial_classifier=True, **run)


def pytorch_tabular(run: dict[str, Any]) -> None:
    import pandas
    from pytorch_tabular import TabularModel
    from pytorch_tabular.config import DataConfig, OptimizerConfig, TrainerConfig
    from pytorch_tabular.models import CategoryEmbeddingModelConfig

    frame = pandas.DataFrame({"x": [i / 16 for i in range(16)], "y": [float(i % 7) for i in range(16)]})
    callbacks, run = run["callbacks"], {k: v for k, v in run.items() if k not in ("callbacks", "logger")}
    model = TabularModel(
        data_config=DataConfig(target=["y"], continuous_cols=["x"]),
        model_config=CategoryEmbeddingModelConfig("regression", layers="8", learning_rate=1e-3),
        optimizer_config=OptimizerConfig(),
        trainer_config=TrainerConfig(4, max_epochs=3, early_stopping=None, checkpoints=None, trainer_kwargs=run),
    )
    model.fit(frame, frame, callbacks=callbacks)


def timm(run: dict[str, Any]) -> None:
    from timm import create_model
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2

    class Classifier(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.vit = create_model("vit_tiny_patch16_224", depth=2, img_size=32, num_classes=2)

        def training_step(self, batch: Any) -> Any:
            return self.vit(batch).pow(2).mean()

        def configure_optimizers(self) -> Any:
            optimizer = create_optimizer_v2(self.vit, "adamw", lr=1e-3, weight_decay=0.0, layer_decay=0.5)
            scheduler, _ = create_scheduler_v2(optimizer, num_epochs=3, warmup_epochs=1)
            return [optimizer], [scheduler]

        def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
            scheduler.step(self.current_epoch)

    Trainer(max_epochs=3, **run).fit(Classifier(), DataLoader(torch.rand(16, 3, 32, 32), batch_size=4))


def transformers(run: dict[str, Any]) -> None:
    from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

    class Classifier(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
            self.bert = BertForSequenceClassification(BertConfig(vocab_size=32, **size))

        def training_step(self, batch: Any) -> Any:
            return self.bert(batch, labels=batch[:, 0] % 2).loss

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
            return [optimizer], [get_linear_schedule_with_warmup(optimizer, 1, 3)]

    Trainer(max_epochs=3, **run).fit(Classifier(), DataLoader(torch.arange(128).view(16, 8) % 32, batch_size=4))


# ---- what is looked at
SCHEDULE = CosineAnnealing(interval="step", warmup="25%", replace_scheduler=True)


@dataclass(frozen=True)
class Case:
    """A package as pip names it, its model, and the base LRs of each optimizer's groups."""

    package: str
    fit: Callable[[dict[str, Any]], None]
    bases: list[list[float]]
    schedule: LRSchedule = SCHEDULE

    @property
    def version(self) -> str | None:
        for name in (self.package, f"u8{self.package}"):  # so is darts called without its extras
            with suppress(PackageNotFoundError):
                return version(name)
        return None


CASES = [
    Case("chemprop", chemprop, [[1e-4]]),
    Case("darts", darts, [[1e-3]]),
    Case("gluonts", gluonts, [[1e-3]]),
    Case("neuralforecast", neuralforecast, [[1e-3]]),
    Case("pytorch-forecasting", pytorch_forecasting, [[1e-3]]),
    Case("pytorch-tabular", pytorch_tabular, [[1e-3]]),
    # a model and its adversary in manual optimization, where only the module knows how often each steps
    Case(
        "scvi-tools",
        scvi_tools,
        [[1e-3], [1e-3]],
        CosineAnnealing(UPDATES - WARMUP, interval="step", warmup=WARMUP, replace_scheduler=True),
    ),
    Case("timm", timm, [[1e-3 / 2**depth for depth in (3, 3, 2, 2, 1, 1, 0, 0)]]),
    Case("transformers", transformers, [[1e-3]]),
]

Used = list[list[list[float]]]  # by optimizer, update and group


@contextmanager
def fitting(another: Callable[[Any], Any]) -> Iterator[None]:
    """With another ``Trainer.fit`` in either of Lightning's packages."""
    with ExitStack() as patches:
        for package in (lightning.pytorch, pytorch_lightning):
            patches.enter_context(patch.object(package.Trainer, "fit", another(package.Trainer.fit)))
        yield


def used(case: Case, folder: Path) -> Used:
    """The LRs that each update used, asked of torch when its step begins."""
    found: dict[Any, list[list[float]]] = {}

    def note(optimizer: Any, *_: Any) -> None:
        found.setdefault(optimizer, []).append([float(group["lr"]) for group in optimizer.param_groups])

    hook = register_optimizer_step_pre_hook(note)
    try:
        case.fit({**QUIET, "default_root_dir": folder, "callbacks": [deepcopy(case.schedule)]})
    finally:
        hook.remove()
    return list(found.values())


def right(case: Case, lrs: Used, first: int = 0) -> bool:
    """Whether they are the preview's, number for number, and those of the pencil."""
    previews = [case.schedule.preview(3, 4, base_lr=bases) for bases in case.bases]
    by_hand = [[[base * factor for base in bases] for factor in FACTORS] for bases in case.bases]
    return lrs == [[list(update) for update in zip(*preview, strict=True)][first:] for preview in previews] and all(
        torch.allclose(torch.tensor(ours), torch.tensor(hand[first:]), rtol=1e-6)
        for ours, hand in zip(lrs, by_hand, strict=True)
    )


class Outcome(NamedTuple):
    right: bool
    resumed: bool  # and right again from the middle of an epoch on
    unsafe: list[str]  # what torch.load(weights_only=True) has to be allowed for the checkpoint


class Saver(Callback):
    """In the middle of an epoch."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.fit_loop.total_batch_idx + 1 == RESUME:
            trainer.save_checkpoint(self.file)


def tried(case: Case, folder: Path) -> Outcome:
    file = folder / "middle.ckpt"

    # not among the callbacks that the package is given, for some keep those in a checkpoint
    def saves(fit: Any) -> Any:
        def with_saver(trainer: Any, *args: Any, **keywords: Any) -> Any:
            trainer.callbacks.append(Saver(file))
            return fit(trainer, *args, **keywords)

        return with_saver

    # not all hand a ckpt_path on, and not all keep only what is loaded safely
    def resumes(fit: Any) -> Any:
        return lambda *args, **keywords: fit(*args, **keywords | {"ckpt_path": file})

    here = os.getcwd()
    os.chdir(folder)  # where some leave files
    try:
        with fitting(saves):
            first = used(case, folder)
        with fitting(resumes), patch.dict(os.environ, TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1"):
            second = used(case, folder)
    finally:
        os.chdir(here)
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    return Outcome(right(case, first), right(case, second, RESUME), sorted(unsafe))


def main() -> None:
    print(f"{'package':<21}{'version':<10}{'lines':<7}{'LRs right':<11}{'resumed':<9}to allow in its checkpoint")
    for case in CASES:
        if case.version is None:
            print(f"{case.package:<21}not installed")
            continue
        lines = sum(bool(line.strip()) for line in inspect.getsource(case.fit).splitlines()[1:])
        row = f"{case.package:<21}{case.version:<10}{lines:<7}"
        try:
            with tempfile.TemporaryDirectory() as folder:
                ok, resumed, unsafe = tried(case, Path(folder))
        except Exception as error:
            print(f"{row}{type(error).__name__}: {error}", flush=True)
            continue
        answers = f"{'yes' if ok else 'NO':<11}{'yes' if resumed else 'NO':<9}"
        print(f"{row}{answers}{', '.join(unsafe) or 'nothing'}", flush=True)


if __name__ == "__main__":
    logging.disable()
    warnings.simplefilter("ignore")
    main()
