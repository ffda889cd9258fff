"""What holds for every schedule that reacts: its memory and journal through a resume, a warmup, a composition."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from models import Recorder, saver, trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_lrsched import (
    BackOffOnSpike,
    Constant,
    CooldownOnPlateau,
    GreedyLR,
    LRSchedule,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
)

#: of a validation's number: it improves, stalls with noise, improves and stalls again
METRICS = [5.0, 4.0, 4.2, 3.9, 4.1, 4.0, 2.0, float("nan"), 2.1, 2.0, 2.2, 2.1, 2.0, 2.1]


class Plays(Recorder):
    """Its validations log METRICS by their number, so that a resumed process finds the same."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**{"batches": 2, "val_batches": 1, **kw})

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", METRICS[self.trainer.current_epoch])


def composed(interval: Any) -> LRSchedule:
    plateau = ReduceOnPlateau(patience=2, factor=0.5, interval=interval)
    guard = BackOffOnSpike(hold=2, recovery=1, window=3, interval=interval)
    product = ProductSchedule([StepDecay("2 epochs", 0.9, interval=interval), guard, plateau], interval=interval)
    return SequentialSchedule([Constant(0.5, interval=interval), product], ["1 epochs"], interval=interval)


MAKE: dict[str, Callable[[Any], LRSchedule]] = {
    "plain": lambda interval: ReduceOnPlateau(patience=2, factor=0.5, cooldown=1, interval=interval),
    "smooth": lambda interval: ReduceOnPlateau(patience=1, factor=0.5, smoothing=0.6, interval=interval),
    "mean": lambda interval: ReduceOnPlateau(patience=2, smoothing=3, on_nan="reduce", interval=interval),
    "restores": lambda interval: ReduceOnPlateau(patience=2, restore_best=True, warmup=1, interval=interval),
    "at epoch ends": lambda interval: ReduceOnPlateau(patience=2, check_on_train_epoch_end=True, interval=interval),
    "smooth restores": lambda interval: ReduceOnPlateau(
        patience=2, factor=0.5, smoothing=2, restore_best=True, interval=interval
    ),
    "cooldown": lambda interval: CooldownOnPlateau("3 epochs", patience=3, interval=interval),
    "greedy": lambda interval: GreedyLR(patience=1, factor=0.5, max_lr_ratio=2.0, reset_start=2, interval=interval),
    "greedy waits": lambda interval: GreedyLR(
        patience=2, factor=0.5, smoothing=3, cooldown=1, rise_cooldown=1, min_lr_ratio=0.5, interval=interval
    ),
    "composed": composed,
}


@pytest.mark.filterwarnings("ignore:.*'val_loss' is nan, which counts as no improvement")
@pytest.mark.parametrize("interval", ["epoch", "step"])
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_a_resume_between_any_two_validations(make: Any, interval: str, tmp_path: Path) -> None:
    epochs = len(METRICS)
    first, full = make(interval), Plays()
    trainer(tmp_path, first, saver(tmp_path, "on_validation_end"), max_epochs=epochs).fit(full)
    assert len(set(full.used)) > 1
    assert first.journal
    for epoch in range(1, epochs):
        if not (tmp_path / f"{2 * epoch}.ckpt").is_file():
            assert isinstance(first, CooldownOnPlateau)  # it has ended the fit
            continue
        second, model = make(interval), Plays()
        trainer(tmp_path, second, max_epochs=epochs).fit(model, ckpt_path=tmp_path / f"{2 * epoch}.ckpt")
        assert model.used == full.used[2 * epoch :], epoch
        assert second.journal == first.journal
        assert str(second.state_dict()) == str(first.state_dict())
        assert all(torch.equal(a, b) for a, b in zip(full.parameters(), model.parameters(), strict=True))


def test_a_resume_between_validations_inside_an_epoch(tmp_path: Path) -> None:
    """Six batches in windows of 2, a validation after every third: each second one falls into an open window."""

    class Often(Recorder):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", 1.0 / (1 + self.trainer.global_step // 6))

    run = {"max_epochs": 4, "accumulate_grad_batches": 2, "val_check_interval": 3}
    full, first = Often(batches=6, val_batches=1), ReduceOnPlateau(patience=2, factor=0.5, restore_best=True)
    trainer(tmp_path, first, saver(tmp_path, "on_validation_end"), **run).fit(full)
    assert len(set(full.used)) > 2
    saved = sorted(int(path.stem) for path in tmp_path.glob("*.ckpt"))
    for step in saved[:-1]:
        second, model = ReduceOnPlateau(patience=2, factor=0.5, restore_best=True), Often(batches=6, val_batches=1)
        trainer(tmp_path, second, **run).fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
        assert model.used == full.used[step:], step
        assert second.journal == first.journal


def test_a_metric_that_both_log_goes_on_being_that_of_the_validation(tmp_path: Path) -> None:
    class Both(Recorder):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("loss", 5.0, on_step=False, on_epoch=True)
            return super().training_step(batch, batch_idx)

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("loss", 5.0)

    run = {"max_epochs": 10, "check_val_every_n_epoch": 2}
    full = Both(batches=1, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau("loss", patience=2), saver(tmp_path, "on_train_epoch_end"), **run).fit(full)
    for step in range(2, 10):  # the first epochs have no validation, so that the training's value counts
        model = Both(batches=1, val_batches=1)
        trainer(tmp_path, ReduceOnPlateau("loss", patience=2), **run).fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
        assert model.used == full.used[step:], step


ALL = {
    "plateau": lambda **common: ReduceOnPlateau(patience=1, restore_best=True, **common),
    "cooldown": lambda **common: CooldownOnPlateau(2, patience=1, **common),
    "greedy": lambda **common: GreedyLR(patience=1, **common),
    "guard": lambda **common: BackOffOnSpike(window=2, **common),
    "gradient": lambda **common: BackOffOnSpike("grad_norm", window=2, **common),
}


@pytest.mark.filterwarnings("ignore:.*no parameter group fits")
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_nothing_is_decided_while_no_group_fits(make: Any, tmp_path: Path) -> None:
    schedule = make(interval="step", param_groups="backbone*")
    model = Recorder(batches=6, val_batches=1)
    trainer(tmp_path, schedule, max_epochs=3).fit(model)
    assert set(model.used) == {1.0}
    assert schedule.journal == []


@pytest.mark.filterwarnings("ignore:Found keys that are not in the model state dict")
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_nothing_is_decided_after_swa_has_taken_over(make: Any, tmp_path: Path) -> None:
    schedule, swa = make(interval="step"), StochasticWeightAveraging(0.25, swa_epoch_start=1, annealing_epochs=1)
    model = Recorder(batches=2, val_batches=1)
    trainer(tmp_path, schedule, swa, max_epochs=4).fit(model)
    assert model.used[4:] == [0.25] * 4
    assert all(decision.epoch < 2 for decision in schedule.journal)


def test_an_entry_of_the_journal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = Recorder(batches=3, val_batches=1)
    model.val_metrics = [0.5, 0.75, 1.0]
    schedule = ReduceOnPlateau(patience=2, factor=0.5, interval="step")
    loggers = [TensorBoardLogger(tmp_path, name="", version="tb"), CSVLogger(tmp_path, name="", version="csv")]
    with caplog.at_level(logging.INFO):
        trainer(tmp_path, schedule, logger=loggers, max_epochs=3).fit(model)
    reason = "no improvement of val_loss in 2 checks: 1 is not below 0.49995, best 0.5"
    assert schedule.journal == [(9, 2, "lr", 1.0, 0.5, reason)]
    line = f"epoch 2, step 9: lr 1 -> 0.5: {reason}"
    assert caplog.text.count(f"ReduceOnPlateau: {line}.") == 1
    events = EventAccumulator(str(tmp_path / "tb"), size_guidance={"tensors": 0}).Reload()
    (text,) = events.Tensors("ReduceOnPlateau/journal/text_summary")
    assert (text.step, text.tensor_proto.string_val) == (8, [line.encode()])  # the x of update 9 and its validation


def test_the_journal_names_the_highest_group(tmp_path: Path) -> None:
    def two_groups(params: Any) -> Any:
        weight, bias = params
        return torch.optim.SGD([{"params": [weight], "lr": 0.1}, {"params": [bias], "lr": 0.8}])

    model = Recorder(two_groups, batches=1, val_batches=1)
    schedule = ReduceOnPlateau(patience=1, factor=0.5, hyperparameter="lr", min_lr=0.1)
    trainer(tmp_path, schedule, max_epochs=3).fit(model)
    assert model.used == [[0.1, 0.8], [0.1, 0.8], [0.1, 0.4]]
    assert [(decision.old, decision.new) for decision in schedule.journal] == [(0.8, 0.4), (0.4, 0.2)]


def test_a_new_fit_begins_a_new_journal(tmp_path: Path) -> None:
    schedule = ReduceOnPlateau(patience=1)
    for _ in range(2):
        trainer(tmp_path, schedule, max_epochs=3).fit(Recorder(batches=1, val_batches=1))
        assert [decision.epoch for decision in schedule.journal] == [1, 2]


def test_schedules_that_react_multiply(tmp_path: Path) -> None:
    """Two metrics with a plateau each: the one that stalls from the start, and the one that never does."""

    class TwoMetrics(Recorder):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log_dict({"flat": 1.0, "falling": 1.0 / (1 + self.trainer.current_epoch)})

    parts = [ReduceOnPlateau("flat", patience=2, factor=0.5), ReduceOnPlateau("falling", patience=2, factor=0.1)]
    model = TwoMetrics(batches=1, val_batches=1)
    trainer(tmp_path, ProductSchedule(parts), max_epochs=6).fit(model)
    assert model.used == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


class TwoOptimizers(Recorder):
    def __init__(self) -> None:
        super().__init__(lambda p: [torch.optim.SGD([next(p)], lr=1.0), torch.optim.SGD([next(p)], lr=1.0)])
        self.automatic_optimization = False


OWN_STEPS = "there are 2 optimizers, and each counts its own steps. Give it one, by optimizer=<index>."
COOLDOWN = [Constant(interval="step"), CooldownOnPlateau(2, interval="step")]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (BackOffOnSpike(watch="grad_norm"), f"BackOffOnSpike: {OWN_STEPS}"),
        (BackOffOnSpike(optimizer=0), "BackOffOnSpike: there are 2 optimizers, and a loss does not say whose it is."),
        (
            SequentialSchedule(COOLDOWN, [1], interval="step"),
            f"CooldownOnPlateau: {OWN_STEPS.replace('it one,', 'its whole, the SequentialSchedule, one,')}",
        ),
    ],
)
def test_what_cannot_be_told_apart_is_refused(schedule: LRSchedule, message: str, tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, schedule, max_epochs=1).fit(TwoOptimizers())
    assert message in str(refused.value)
