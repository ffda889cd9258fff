"""The preview of a Trainer's fit, against the LRs that the fit then used."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from models import LayerWise, Recorder, trainer
from ranks import environment
from torch.utils.data import DataLoader, IterableDataset

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    CosineRestarts,
    CyclicalLR,
    ExponentialDecay,
    LRSchedule,
    OneCycle,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
    preview_fit,
)

pytestmark = pytest.mark.filterwarnings("ignore:When using `Trainer.accumulate_grad_batches != 1.` and overriding")


def accumulation() -> Callback:
    return GradientAccumulationScheduler({0: 1, 1: 3, 3: 2})


def sequence() -> LRSchedule:
    parts = [Constant(0.1, interval="step"), CosineAnnealing(interval="step")]
    return SequentialSchedule(parts, milestones=["1 epoch"], interval="step")


def product() -> LRSchedule:
    return ProductSchedule([Constant(warmup="1 epoch"), StepDecay(2, 0.5)])


RUNS: dict[str, tuple[Callable[[], list[Any]], dict[str, Any]]] = {
    "step": (lambda: [CosineAnnealing(interval="step", warmup="1 epoch")], {"max_epochs": 3}),
    "epoch": (lambda: [CosineAnnealing(warmup="50%")], {"max_epochs": 4}),
    "accumulate": (lambda: [CosineAnnealing(interval="step")], {"max_epochs": 3, "accumulate_grad_batches": 3}),
    "accumulate-epoch": (lambda: [StepDecay(1, 0.5)], {"max_epochs": 3, "accumulate_grad_batches": 4}),
    "scheduled": (lambda: [CosineAnnealing(interval="step"), accumulation()], {"max_epochs": 5}),
    "scheduled-epoch": (lambda: [ExponentialDecay(k=0.1), accumulation()], {"max_epochs": 5, "max_steps": 15}),
    "limit": (lambda: [OneCycle(interval="step")], {"max_epochs": 2, "limit_train_batches": 3}),
    "limit-share": (lambda: [OneCycle(interval="step")], {"max_epochs": 2, "limit_train_batches": 0.5}),
    "max-steps": (lambda: [CosineAnnealing(interval="step")], {"max_steps": 10}),
    "max-steps-epoch": (lambda: [CosineAnnealing()], {"max_steps": 16}),
    "both": (lambda: [CosineAnnealing()], {"max_steps": 16, "max_epochs": 9}),
    "other": (lambda: [CosineAnnealing(interval="step")], {"max_steps": 99, "max_epochs": 2}),
    "overfit": (lambda: [StepDecay(3, 0.5, interval="step")], {"max_epochs": 2, "overfit_batches": 2}),
    "fast-dev-run": (lambda: [CosineAnnealing(interval="step", warmup=2)], {"fast_dev_run": True}),
    "fast-dev-runs": (lambda: [CosineAnnealing(interval="step")], {"fast_dev_run": 3}),
    "restarts": (lambda: [CosineRestarts("1 epoch", 2, interval="step")], {"max_epochs": 4}),
    "cyclical": (lambda: [CyclicalLR(0.1, step_size=3, interval="step")], {"max_epochs": 2}),
    "sequence": (lambda: [sequence()], {"max_epochs": 3}),
    "product": (lambda: [product()], {"max_epochs": 4}),
    "plateau": (lambda: [ReduceOnPlateau("train_loss", warmup=1)], {"max_epochs": 3}),
    "no-schedule": (list, {"max_epochs": 2}),
}


def used(model: Recorder) -> list[list[float]]:
    """One list for each group."""
    rows = [lrs if isinstance(lrs, list) else [lrs] for lrs in model.used]
    return [list(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("name", RUNS)
def test_it_gives_the_lrs_that_the_fit_then_uses(name: str, tmp_path: Any) -> None:
    callbacks, run = RUNS[name]
    model = Recorder()
    fit = trainer(tmp_path, *callbacks(), **run)
    foreseen = preview_fit(fit, model)
    assert model.used == []
    fit.fit(model)
    assert foreseen == {"lr-SGD": model.used}
    assert len(model.used) > 0


@pytest.mark.parametrize("name", ["step", "accumulate", "epoch"])
def test_the_fit_after_it_is_the_fit_without_it(name: str, tmp_path: Any) -> None:
    callbacks, run = RUNS[name]

    class Drawing(Recorder):
        """Takes random numbers where a fit does: for data, for layers, for the updates."""

        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(3)

        def configure_optimizers(self) -> Any:
            assert self.trainer.estimated_stepping_batches  # loads the data earlier than usual
            return super().configure_optimizers()

        def configure_model(self) -> None:
            self.extra = torch.nn.Linear(2, 2)

        def train_dataloader(self) -> Any:
            return DataLoader(torch.randn(14, 2), batch_size=2, shuffle=True, generator=self.generator)  # type: ignore[arg-type]

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return super().training_step(self.extra(batch) + torch.randn(2), batch_idx) * random.random()

    def weights(preview: bool) -> tuple[list[Any], dict[str, torch.Tensor], int]:
        model = Drawing()
        fit = trainer(tmp_path, *callbacks(), **run)
        torch.manual_seed(5)
        random.seed(5)
        if preview:
            before = [parameter.clone() for parameter in model.parameters()]
            for _ in range(2):
                preview_fit(fit, model)
            assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=False))
        fit.fit(model)
        return model.used, model.state_dict(), fit.global_step

    (lrs, state, steps), (lrs_after, state_after, steps_after) = weights(False), weights(True)
    assert lrs == lrs_after
    assert steps == steps_after
    assert state.keys() == state_after.keys()
    assert all(torch.equal(state[key], state_after[key]) for key in state)


def test_every_group_has_its_curve_under_the_name_it_is_logged_by(tmp_path: Any) -> None:
    schedules = [
        CosineAnnealing(interval="step", param_groups=0),
        StepDecay(1, 0.5, param_groups=2),
        ExponentialDecay(gamma=0.5, param_groups=[0, 2], hyperparameter="weight_decay", interval="step"),
    ]
    fit = trainer(tmp_path, *schedules, max_epochs=2)
    model = LayerWise([1.0, 0.5, 0.25])
    model.configure_optimizers = lambda: torch.optim.AdamW(  # type: ignore[method-assign]
        [{"params": [p], "lr": lr} for p, lr in zip(model.parameters(), [1.0, 0.5, 0.25], strict=False)],
        weight_decay=0.5,
    )
    foreseen = preview_fit(fit, model)
    decays: list[list[float]] = []
    model.on_before_optimizer_step = lambda optimizer: decays.append(  # type: ignore[method-assign]
        [group["weight_decay"] for group in optimizer.param_groups]
    )
    fit.fit(model)
    assert [foreseen[f"lr-AdamW/pg{i}"] for i in (1, 2, 3)] == used(model)
    assert foreseen["lr-AdamW/pg2"] == [0.5] * 14
    assert foreseen["weight_decay-AdamW/pg1"] == [decay[0] for decay in decays] == [0.5 * 0.5**t for t in range(14)]
    assert foreseen["weight_decay-AdamW/pg3"] == [decay[2] for decay in decays]
    assert len(foreseen) == 5


def test_cycled_momentum_is_in_it(tmp_path: Any) -> None:
    model = Recorder(lambda params: torch.optim.SGD(params, lr=1.0, momentum=0.9))
    fit = trainer(tmp_path, OneCycle(momentum=(0.8, 0.9), interval="step"), max_epochs=2)
    foreseen = preview_fit(fit, model)
    fit.fit(model)
    assert foreseen == {"lr-SGD": model.used, "momentum-SGD": model.first_momenta}


def test_a_tensor_lr_is_rounded_as_the_optimizer_finds_it(tmp_path: Any) -> None:
    model = Recorder(lambda params: torch.optim.AdamW(params, lr=torch.tensor(0.1), foreach=False))
    fit = trainer(tmp_path, CosineAnnealing(interval="step"), max_epochs=2)
    foreseen = preview_fit(fit, model)
    fit.fit(model)
    assert foreseen == {"lr-AdamW": model.used}


def test_a_further_fit_of_the_same_trainer(tmp_path: Any) -> None:
    plateau = ReduceOnPlateau("train_loss", patience=1, factor=0.5, threshold=10.0)
    model = Recorder()
    fit = trainer(tmp_path, plateau, max_epochs=3)
    fit.fit(model)
    assert plateau.reductions > 0
    fit.fit_loop.max_epochs = 4
    done = len(model.used)
    optimizers, state = fit.optimizers, plateau.state_dict()
    foreseen = preview_fit(fit, model)
    assert fit.optimizers is optimizers
    assert plateau.state_dict() == state
    fit.fit(model)
    assert foreseen == {"lr-SGD": model.used[done:]}
    assert len(model.used) == done + 7


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_a_loader_and_a_datamodule(tmp_path: Any) -> None:
    class Data(LightningDataModule):
        def train_dataloader(self) -> Any:
            return DataLoader(torch.zeros(5, 2), batch_size=1)  # type: ignore[arg-type]

    for data in ([DataLoader(torch.zeros(5, 2), batch_size=1)], [None, None, Data()], [Data()]):  # type: ignore[arg-type]
        model = Recorder()
        fit = trainer(tmp_path, CosineAnnealing(interval="step"), max_epochs=2)
        foreseen = preview_fit(fit, model, *data)
        fit.fit(model, *data)
        assert foreseen == {"lr-SGD": model.used}
        assert len(model.used) == 10


class Endless(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Any:
        while True:
            yield torch.zeros(2)


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_data_without_a_length_when_max_steps_says_the_number_of_updates(tmp_path: Any) -> None:
    model, loader = Recorder(), DataLoader(Endless(), batch_size=2)
    fit = trainer(tmp_path, CosineAnnealing(interval="step"), max_steps=8)
    foreseen = preview_fit(fit, model, loader)
    fit.fit(model, loader)
    assert foreseen == {"lr-SGD": model.used}


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.parametrize(
    ("schedule", "run"),
    [
        (StepDecay(1, 0.5), {"max_steps": 8}),
        (StepDecay(1, 0.5, interval="step"), {"max_epochs": 2, "max_steps": 8}),
        (StepDecay(1, 0.5, interval="step"), {"max_epochs": -1}),
    ],
)
def test_a_run_of_unknown_length_is_refused(schedule: Any, run: Any, tmp_path: Any) -> None:
    with pytest.raises(MisconfigurationException, match=r"the number of updates is not known: .* Pass max_"):
        preview_fit(trainer(tmp_path, schedule, **run), Recorder(), DataLoader(Endless(), batch_size=2))


def test_manual_optimization_is_refused(tmp_path: Any) -> None:
    model = Recorder()
    model.automatic_optimization = False
    with pytest.raises(MisconfigurationException, match=r"only the module knows .* Use schedule.preview\("):
        preview_fit(trainer(tmp_path, StepDecay(1), max_epochs=2), model)


@pytest.mark.parametrize(
    "callback",
    [LearningRateFinder(), BatchSizeFinder(), StochasticWeightAveraging(1e-2), BackboneFinetuning()],
    ids=lambda callback: type(callback).__name__,
)
@pytest.mark.parametrize("of_the_model", [False, True])
def test_callbacks_that_change_lrs_or_groups_are_refused(callback: Any, of_the_model: bool, tmp_path: Any) -> None:
    model = Recorder()
    model.batch_size = 2  # BatchSizeFinder insists
    if of_the_model:
        model.configure_callbacks = lambda: [callback]  # type: ignore[method-assign]
    fit = trainer(tmp_path, StepDecay(1), *([] if of_the_model else [callback]), max_epochs=2)
    with pytest.raises(MisconfigurationException, match=r"preview_fit: .* only the fit shows\. Take it off"):
        preview_fit(fit, model)


def test_what_the_fit_refuses_is_refused_and_the_trainer_is_as_before(tmp_path: Any) -> None:
    model, fit = Recorder(), trainer(tmp_path, StepDecay(1, param_groups="head"), max_epochs=2)
    callbacks, state = list(fit.callbacks), fit.state
    torch.manual_seed(4)
    with pytest.raises(MisconfigurationException, match="parameter group 'head' does not exist"):
        preview_fit(fit, model)
    assert fit.callbacks == callbacks
    assert fit.state is state
    drawn = torch.rand(1)
    torch.manual_seed(4)
    assert torch.equal(drawn, torch.rand(1))


def test_it_runs_no_step_and_leaves_nothing_behind(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls = []

    class Watched(Recorder):
        def setup(self, stage: str) -> None:
            self.logger.log_metrics({"a": 1.0})  # type: ignore[union-attr]
            self.logger.experiment.add_scalar("a", 1.0)  # type: ignore[union-attr]
            calls.append("setup")

        def teardown(self, stage: str) -> None:
            calls.append("teardown")

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            raise AssertionError

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            raise AssertionError

    checkpoint = ModelCheckpoint()
    fit = Trainer(accelerator="cpu", max_epochs=2, callbacks=[StepDecay(1, 0.5), checkpoint], profiler="simple")
    model = Watched(val_batches=2)
    loggers, callbacks, profiler = fit.loggers, fit.callbacks, fit.profiler
    assert preview_fit(fit, model) == {"lr-SGD": [1.0] * 7 + [0.5] * 7}
    assert calls == ["setup", "teardown"]
    assert checkpoint.dirpath is None
    assert (fit.loggers, fit.callbacks, fit.profiler) == (loggers, callbacks, profiler)
    assert fit.num_sanity_val_steps == 2
    assert (fit.current_epoch, fit.global_step, fit.state.finished) == (0, 0, False)
    assert os.listdir(tmp_path) == []


def test_a_schedule_of_the_model(tmp_path: Any) -> None:
    model, fit = Recorder(), trainer(tmp_path, max_epochs=2)
    model.configure_callbacks = lambda: [StepDecay(1, 0.5)]  # type: ignore[method-assign]
    assert preview_fit(fit, model) == {"lr-SGD": [1.0] * 7 + [0.5] * 7}
    assert fit.callbacks == []


def test_the_lr_of_a_torch_scheduler_is_left_out(tmp_path: Any) -> None:
    def configure(params: Any) -> Any:
        optimizer = torch.optim.SGD(params, lr=1.0, weight_decay=0.5)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    schedule = ExponentialDecay(gamma=0.5, hyperparameter="weight_decay")
    fit = trainer(tmp_path, schedule, max_epochs=2)
    assert preview_fit(fit, Recorder(configure)) == {"weight_decay-SGD": [0.5] * 7 + [0.25] * 7}


@pytest.mark.parametrize("nothing", [{"max_epochs": 0}, {"max_epochs": 2, "limit_train_batches": 0}])
def test_a_fit_without_updates(nothing: Any, tmp_path: Any) -> None:
    assert preview_fit(trainer(tmp_path, StepDecay(1), **nothing), Recorder()) == {}


def test_spawned_processes_are_refused(tmp_path: Any) -> None:
    fit = trainer(tmp_path, StepDecay(1), max_epochs=2, strategy="ddp_spawn", devices=2)
    with pytest.raises(MisconfigurationException, match=r"preview_fit: a strategy that spawns .* with 'ddp'"):
        preview_fit(fit, Recorder())


TWO_RANKS = """
import sys, warnings, torch
from models import Recorder, trainer
from lightning_lrsched import CosineAnnealing, preview_fit
warnings.simplefilter("ignore")
torch.set_num_threads(1)
model = Recorder(batches=9)
fit = trainer(sys.argv[1], CosineAnnealing(interval="step"), max_epochs=2, devices=2, strategy="ddp")
foreseen = preview_fit(fit, model)
fit.fit(model)
assert foreseen == {"lr-SGD": model.used}, (foreseen, model.used)
assert len(model.used) == 2 * 5, model.used  # 18 samples, 9 a rank, two a batch
print("equal")
"""


def test_two_ranks(tmp_path: Path) -> None:
    script = tmp_path / "two_ranks.py"
    script.write_text(TWO_RANKS)
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert "equal" in run.stdout
