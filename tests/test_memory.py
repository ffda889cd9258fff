"""Nothing of a memory that waits is lost at a resume, and nothing is carried on that now means another thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.plugins import MixedPrecision
from models import Recorder, saver, trainer
from test_changed_pace import Process, resumed
from torch import nn

from lightning_lrsched import (
    BackOffOnSpike,
    Constant,
    CooldownOnPlateau,
    ExponentialDecay,
    LRSchedule,
    ProductSchedule,
    ReduceOnPlateau,
    StepDecay,
)

# ---- what waits for its judgement when a checkpoint is written


class LogsLate(Recorder):
    """A metric that never improves, logged in the module's own ``on_train_epoch_end``."""

    def on_train_epoch_end(self) -> None:
        self.log("own", 1.0)


class Logs(Callback):
    """The same, in that of a callback."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.log("own", 1.0)


@pytest.mark.parametrize("interval", ["epoch", "step"])
@pytest.mark.parametrize(
    ("model", "callbacks"), [(LogsLate, []), (Recorder, [Logs()])], ids=["the module", "a callback"]
)
def test_a_metric_logged_at_the_end_of_an_epoch_loses_no_check(
    model: Any, callbacks: list[Callback], interval: Any, tmp_path: Path
) -> None:
    def run(*more: Callback, ckpt_path: Path | None = None) -> list[float]:
        module = model(batches=2)
        schedule = ReduceOnPlateau("own", patience=2, factor=0.5, interval=interval)
        trainer(tmp_path, schedule, *callbacks, *more, max_epochs=8).fit(module, ckpt_path=ckpt_path)
        used: list[float] = module.used
        return used

    full = run(saver(tmp_path, "on_train_epoch_end"))
    # epoch 0 is the best, 1 and 2 are bad, 3 and 4, 5 and 6
    assert full == [1.0] * 6 + [0.5] * 4 + [0.25] * 4 + [0.125] * 2
    for epoch in range(1, 8):
        assert run(ckpt_path=tmp_path / f"{2 * epoch}.ckpt") == full[2 * epoch :], epoch


# ---- a memory of another thing


class Metrics(Recorder):
    """Metrics of the epoch alone, for a resumed process to see the same."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**{"batches": 1, "val_batches": 1, **kw})

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        epoch = self.trainer.current_epoch
        self.log_dict({"flat": 1.0, "low": 0.1 / (1 + epoch), "high": 10.0 - epoch, "rising": 20.0 + epoch})


def plateau(monitor: str = "low", **kw: Any) -> ReduceOnPlateau:
    return ReduceOnPlateau(monitor, **{"patience": 2, "factor": 0.5, **kw})


def after_three_epochs(tmp_path: Path, first: LRSchedule, second: LRSchedule, model: Any = Metrics) -> Process:
    """3 epochs of an update each under ``first``, and from there to epoch 8 under ``second``."""
    run = {"max_epochs": 3, "keep": "on_validation_end"}
    resumed(tmp_path, None, first, model=model(), **run)  # type: ignore[arg-type]
    return resumed(tmp_path, 3, second, model=model(), max_epochs=8)


# the LRs of epochs 3 to 7; with the memory of before each of them would fall sooner
ANEW: dict[str, tuple[Any, Any, list[float]]] = {
    "another monitor": (plateau, lambda: plateau("high"), [1.0] * 5),
    "another monitor that stalls": (plateau, lambda: plateau("flat"), [1.0, 1.0, 1.0, 0.5, 0.5]),
    "another mode": (
        lambda: plateau("rising", mode="max"),
        lambda: plateau("rising", mode="min"),
        [1.0, 1.0, 1.0, 0.5, 0.5],
    ),
    "another smoothing": (
        lambda: plateau("flat", patience=3),
        lambda: plateau("flat", patience=3, smoothing=0.5),
        [1.0, 1.0, 1.0, 1.0, 0.5],
    ),
    "another interval": (
        lambda: plateau("flat", interval="step"),
        lambda: plateau("flat", interval="epoch"),
        [1.0, 1.0, 1.0, 0.5, 0.5],
    ),
    "a cooldown's monitor": (
        lambda: CooldownOnPlateau(2, "low", patience=2),
        lambda: CooldownOnPlateau(2, "high", patience=2),
        [1.0, 1.0, 1.0, 1.0, 0.5],  # the planned one: epochs 6 and 7
    ),
    "in a product": (
        lambda: ProductSchedule([Constant(0.5), plateau()]),
        lambda: ProductSchedule([Constant(0.5), plateau("high")]),
        [0.5] * 5,
    ),
}


@pytest.mark.parametrize(("first", "second", "lrs"), ANEW.values(), ids=ANEW)
def test_a_memory_of_another_thing_begins_anew(first: Any, second: Any, lrs: list[float], tmp_path: Path) -> None:
    process = after_three_epochs(tmp_path, first(), second())
    assert process.used == lrs
    assert len([text for text in process.told if "anew" in text]) == 1


def test_the_reductions_go_with_the_memory(tmp_path: Path) -> None:
    """2 of them, which ``flat`` has caused, are none of ``high``'s."""
    process = after_three_epochs(tmp_path, plateau("flat", patience=1), plateau("high", patience=1))
    assert process.used == [1.0] * 5
    assert len([text for text in process.told if "anew" in text]) == 1


def test_a_memory_whose_meaning_is_the_same_goes_on(tmp_path: Path) -> None:
    """A control, green before issue 12: epoch 0 is the best, and 4 bad ones are enough under the new patience."""
    process = after_three_epochs(tmp_path, plateau("flat", patience=9), plateau("flat", patience=4))
    assert process.used == [1.0, 1.0, 0.5, 0.5, 0.5]
    assert not [text for text in process.told if "anew" in text]


def test_of_two_memories_only_the_one_that_changed_begins_anew(tmp_path: Path) -> None:
    """``flat`` has its best in epoch 0 and bad epochs 1 and 2, 3 and 4, 5 and 6."""
    first = ProductSchedule([plateau("flat"), plateau("low")])
    second = ProductSchedule([plateau("flat"), plateau("high")])
    process = after_three_epochs(tmp_path, first, second)
    assert process.used == [0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_typo_in_monitor_is_refused_after_a_resume_as_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException, match=r"'monitor' must be a logged metric, got 'lo'"):
        after_three_epochs(tmp_path, plateau(), plateau("lo"))


class Spikes(Recorder):
    """The loss is 1, and 100 in some updates; its gradient's norm is some 0.01 at most."""

    def __init__(self, *spikes: int) -> None:
        super().__init__(batches=4)
        self.spikes = spikes

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return (self.layer(batch).sum() * 1e-3) * 0.1 + (100.0 if self.trainer.global_step in self.spikes else 1.0)


def guard(**kw: Any) -> BackOffOnSpike:
    return BackOffOnSpike(**{"interval": "step", "window": 2, "factor": 0.5, "hold": 1, "recovery": 0, **kw})


def test_another_watch_begins_anew(tmp_path: Path) -> None:
    """Against the gradient's norms of before, each loss would be a spike."""
    run = {"max_epochs": 1, "keep": "on_train_epoch_end"}
    resumed(tmp_path, None, guard(watch="grad_norm", threshold=20.0), model=Spikes(), **run)  # type: ignore[arg-type]
    process = resumed(tmp_path, 4, guard(threshold=20.0), model=Spikes(7), max_epochs=3)
    assert process.used == [1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0]
    assert len([text for text in process.told if "anew" in text]) == 1


def test_a_back_off_of_steps_is_none_of_epochs(tmp_path: Path) -> None:
    """Its 20 steps from update 3 on would be 20 epochs, of which the first is yet to come."""
    run = {"max_epochs": 1, "keep": "on_train_epoch_end"}
    first = resumed(tmp_path, None, guard(hold=20), model=Spikes(3), **run)  # type: ignore[arg-type]
    assert first.used == [1.0, 1.0, 1.0, 0.5]
    process = resumed(tmp_path, 4, guard(hold=20, interval="epoch"), model=Spikes(), max_epochs=3)
    assert process.used == [1.0] * 8
    assert len([text for text in process.told if "anew" in text]) == 1


# ---- the state of another hyperparameter


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
@pytest.mark.parametrize("before", ["weight_decay", "lr"])
def test_reductions_of_one_hyperparameter_are_none_of_another(before: str, tmp_path: Path) -> None:
    class Both(Metrics):
        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            optimizer.step(closure=optimizer_closure)
            self.used.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]))

    def model() -> Both:
        return Both(configure=lambda params: torch.optim.SGD(params, lr=1.0, weight_decay=0.25))

    after = {"weight_decay": "lr", "lr": "weight_decay"}[before]
    first, second = (plateau("flat", patience=1, hyperparameter=name) for name in (before, after))
    process = after_three_epochs(tmp_path, first, second, model)
    # epoch 3 is its best, and each later one halves it
    lr, decay = [1.0, 1.0, 0.5, 0.25, 0.125], [0.25, 0.25, 0.125, 0.0625, 0.03125]
    place = ("lr", "weight_decay").index(after)
    assert [pair[place] for pair in process.used] == (lr, decay)[place]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_a_late_groups_weight_decay_does_not_become_its_lr(tmp_path: Path) -> None:
    class Late(Recorder):
        """A second group, with LR 0.125 and weight decay 0.25: there from the start, or from update 2 on."""

        def __init__(self, late: bool) -> None:
            super().__init__(batches=4)
            self.late, self.second = late, nn.Linear(2, 1)

        def group(self) -> dict[str, Any]:
            return {"params": list(self.second.parameters()), "lr": 0.125, "weight_decay": 0.25}

        def configure_optimizers(self) -> Any:
            groups = [{"params": list(self.layer.parameters())}, *([] if self.late else [self.group()])]
            return torch.optim.SGD(groups, lr=1.0, weight_decay=0.5)

        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            if self.late and self.trainer.global_step == 2:
                self.trainer.optimizers[0].add_param_group(self.group())

    decay = ExponentialDecay(gamma=0.5, interval="step", hyperparameter="weight_decay")
    first = resumed(tmp_path, None, decay, model=Late(True), keep="on_train_epoch_end", max_epochs=1)
    assert first.used == [1.0, 1.0, [1.0, 0.125], [1.0, 0.125]]
    process = resumed(tmp_path, 4, ExponentialDecay(gamma=0.5, interval="step"), model=Late(False), max_epochs=2)
    assert process.used == [[0.5**t, 0.125 * 0.5**t] for t in range(4, 8)]


# ---- an open accumulation window


def with_a_guard() -> ProductSchedule:
    return ProductSchedule([StepDecay(1, 0.5, interval="step"), guard()], interval="step")


def without() -> ProductSchedule:
    return ProductSchedule([StepDecay(1, 0.5, interval="step"), Constant(interval="step")], interval="step")


class Breaks(Recorder):
    """Stops in batch 3."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if batch_idx == 3:
            raise RuntimeError("the power went out")
        return super().training_step(batch, batch_idx)


def fp16() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=4.0))


@pytest.mark.parametrize(
    ("first", "second", "plugins"),
    [
        (with_a_guard, without, []),
        (lambda: StepDecay(1, 0.5, interval="step"), lambda: StepDecay(1, 0.5, interval="step"), [fp16()]),
    ],
    ids=["the reactive part is removed", "fp16 no more"],
)
def test_a_window_that_was_open_does_not_freeze_the_lr(first: Any, second: Any, plugins: Any, tmp_path: Path) -> None:
    """Stopped after batch 2 of 8, the first one of the second window of 2."""
    run = {"max_epochs": 2, "accumulate_grad_batches": 2}
    with pytest.raises(RuntimeError, match="the power went out"):
        resumed(tmp_path, None, first(), model=Breaks(batches=8), keep="on_exception", plugins=plugins, **run)
    process = resumed(tmp_path, 1, second(), model=Recorder(batches=8), **run)
    assert process.used == [0.5**t for t in range(1, 8)]


# ---- weight averaging


@pytest.mark.filterwarnings("ignore:Found keys that are not in the model state dict")
@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_a_resume_inside_the_swa_phase_leaves_the_lr_to_swalr(interval: Any, tmp_path: Path) -> None:
    """It begins with epoch 2 and anneals linearly over 4 epochs, from the LR of then, 0.25, to 0.05."""

    def run(*callbacks: Any, ckpt_path: Path | None = None) -> list[float]:
        model = Recorder(batches=2)
        swa = StochasticWeightAveraging(0.05, swa_epoch_start=3, annealing_epochs=4, annealing_strategy="linear")
        schedule = StepDecay("1 epochs", 0.5, interval=interval)
        trainer(tmp_path, schedule, swa, *callbacks, max_epochs=8).fit(model, ckpt_path=ckpt_path)
        return model.used

    full = run(saver(tmp_path, "on_train_epoch_end"))
    by_epoch = [1.0, 0.5, 0.25, 0.2, 0.15, 0.1, 0.05, 0.05]
    assert full == pytest.approx([lr for lr in by_epoch for _ in range(2)])
    for epoch in range(1, 8):
        assert run(ckpt_path=tmp_path / f"{2 * epoch}.ckpt") == full[2 * epoch :], epoch


@pytest.mark.filterwarnings("ignore:Found keys that are not in the model state dict")
@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_another_schedule_that_resumes_inside_the_swa_phase_leaves_the_lr_to_swalr(tmp_path: Path) -> None:
    def run(schedule: LRSchedule, *callbacks: Any, ckpt_path: Path | None = None) -> list[float]:
        model = Recorder(batches=2)
        swa = StochasticWeightAveraging(0.05, swa_epoch_start=3, annealing_epochs=4, annealing_strategy="linear")
        trainer(tmp_path, schedule, swa, *callbacks, max_epochs=8).fit(model, ckpt_path=ckpt_path)
        return model.used

    full = run(StepDecay(1, 0.5), saver(tmp_path, "on_train_epoch_end"))
    assert full[6:10] == pytest.approx([0.2, 0.2, 0.15, 0.15])
    assert run(ExponentialDecay(gamma=0.25), ckpt_path=tmp_path / "8.ckpt") == full[8:]
