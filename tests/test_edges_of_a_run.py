"""A run that is not what was planned: epochs cut short, data that comes and goes, arguments changed on the way."""

from __future__ import annotations

import copy
from math import cos, pi
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint, GradientAccumulationScheduler, StochasticWeightAveraging
from models import LayerWise, Recorder, saver, trainer
from torch.utils.data import DataLoader, IterableDataset

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    LRSchedule,
    MultiStepDecay,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*changed since")


def cosine(*shares: float) -> Any:
    return pytest.approx([(1 + cos(pi * share)) / 2 for share in shares])


def open_cosine() -> CosineAnnealing:
    return CosineAnnealing(interval="step")


class Stream(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Any:
        return iter(torch.zeros(16, 2))


class Streams(Recorder):
    """Eight batches whose number the Trainer is not told."""

    def train_dataloader(self) -> Any:
        return DataLoader(Stream(), batch_size=2)


def test_a_run_whose_data_had_no_length_is_taken_up_at_its_epoch(tmp_path: Path) -> None:
    first = CosineAnnealing(32, interval="step")
    trainer(tmp_path, first, saver(tmp_path, "on_train_epoch_end"), max_epochs=4).fit(Streams())
    model = Recorder(batches=4)
    fit = trainer(tmp_path, open_cosine(), max_epochs=4)
    fit.fit(model, ckpt_path=tmp_path / "16.ckpt")  # 2 of 4 epochs, and 8 of their 16 steps of now
    assert model.used == cosine(*(t / 16 for t in range(8, 16)))
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0


def test_an_epoch_that_was_cut_short_is_made_up_for_in_the_next(tmp_path: Path) -> None:
    class Stops(Recorder):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
            return -1 if self.trainer.current_epoch == 0 and batch_idx == 4 else None

    model = Stops(batches=8)
    fit = trainer(tmp_path, open_cosine(), max_epochs=3)
    fit.fit(model)
    # 4 of 24 are made; the next 12 of the plan take the 8 updates of epoch 1, in whole intervals
    second = [4, 5, 7, 8, 10, 11, 13, 14]
    assert model.used == cosine(*(t / 24 for t in [0, 1, 2, 3, *second, *range(16, 24)]))
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0


def test_an_epoch_that_is_made_anew_after_an_exception_does_not_end_the_curve_too_soon(tmp_path: Path) -> None:
    class Interrupted(Recorder):
        interrupt = True

        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            if self.interrupt and self.trainer.global_step == 12:
                self.interrupt = False
                raise RuntimeError("interrupted")

    model = Interrupted(batches=8)
    fit = trainer(tmp_path, open_cosine(), max_epochs=2)
    with pytest.raises(RuntimeError, match="interrupted"):
        fit.fit(model)
    fit.fit(model)
    # 12 of 16 are made; Lightning begins epoch 1 anew, whose 8 updates take the 4 that are left of the plan
    assert model.used == cosine(*(t / 16 for t in [*range(12), 12, 12, 13, 13, 14, 14, 15, 15]))
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0


@pytest.mark.filterwarnings("ignore:When using `Trainer.accumulate_grad_batches != 1.`")
def test_a_restart_inside_an_epoch_under_an_accumulation_scheduler_ends_at_the_end(tmp_path: Path) -> None:
    """Lightning then trains the rest of the epoch without accumulation."""
    run = {"max_epochs": 2}
    first = trainer(tmp_path, open_cosine(), GradientAccumulationScheduler({0: 2}), saver(tmp_path), **run)
    first.fit(Recorder(batches=8))
    model = Recorder(batches=8)
    fit = trainer(tmp_path, open_cosine(), GradientAccumulationScheduler({0: 2}), **run)
    fit.fit(model, ckpt_path=tmp_path / "2.ckpt")  # 3 batches of epoch 0 are left, each an update of its own
    assert model.used == cosine(*(t / 8 for t in [2, 2, 3, 4, 5, 6, 7]))
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0


class Reloads(Recorder):
    """A loader for each epoch, by its number of batches; None: one without a length."""

    def __init__(self, *lengths: int | None) -> None:
        super().__init__()
        self.lengths = lengths

    def train_dataloader(self) -> Any:
        length = self.lengths[self.trainer.current_epoch]
        data: Any = Stream() if length is None else torch.zeros(length * 2, 2)
        return DataLoader(data, batch_size=2)


def test_data_that_comes_without_a_length_goes_on_at_the_pace_of_before(tmp_path: Path) -> None:
    model = Reloads(4, None, 4)
    run = {"max_epochs": 3, "reload_dataloaders_every_n_epochs": 1}
    trainer(tmp_path, StepDecay("1 epochs", 0.5, interval="step"), **run).fit(model)
    assert model.used[:8] == [1.0] * 4 + [0.5] * 4


def test_data_that_comes_empty_ends_the_run_quietly(tmp_path: Path) -> None:
    model = Reloads(4, 0, 4)
    run = {"max_epochs": 3, "reload_dataloaders_every_n_epochs": 1}
    trainer(tmp_path, StepDecay("1 epochs", 0.5, interval="step"), **run).fit(model)
    assert model.used == [1.0] * 4


def test_an_argument_changed_by_anyone_applies_from_the_next_interval_on(tmp_path: Path) -> None:
    class Mine(LRSchedule):
        factor = 1.0

        def lr_at(self, t: int, base_lr: float) -> float:
            return base_lr * self.factor

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            super().on_validation_end(trainer, pl_module)
            if not trainer.sanity_checking:
                self.factor /= 2

    model = Recorder(batches=2, val_batches=1)
    trainer(tmp_path, Mine(interval="step"), max_epochs=3).fit(model)
    assert model.used == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]

    part = StepDecay(9, interval="step")
    schedule = StepDecay(2, 0.5, interval="step")
    product = ProductSchedule([part, StepDecay(9, interval="step")], interval="step")

    class Changes(Recorder):
        def on_train_batch_end(self, *args: Any) -> None:
            if self.trainer.global_step == 2:
                schedule.gamma, part.step_size = 0.25, 1

    model = Changes(batches=4)
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    assert model.used == [1.0, 1.0, 0.25, 0.25]
    part.step_size, model = 9, Changes(batches=4)
    trainer(tmp_path, product, max_epochs=2).fit(model)
    assert model.used == pytest.approx([1.0, 1.0, *[0.1**t for t in range(2, 8)]])


def test_after_an_argument_of_the_whole_one_of_a_part_applies_too(tmp_path: Path) -> None:
    sequence = SequentialSchedule([Constant(0.5), StepDecay(2, 0.5)], [2], interval="step")

    class Changes(Recorder):
        def on_train_batch_end(self, *args: Any) -> None:
            if self.trainer.global_step == 1:
                sequence.milestones = [3]
            elif self.trainer.global_step == 4:
                sequence.parts[1].gamma = 0.25
            elif self.trainer.global_step == 6:
                sequence.parts = (Constant(0.5), StepDecay(1, 0.5))
            elif self.trainer.global_step == 7:
                sequence.parts[1].gamma = 0.1

    model = Changes(batches=9)
    trainer(tmp_path, sequence, max_epochs=1).fit(model)
    assert model.used == [0.5, 0.5, 0.5, 1.0, 1.0, 0.25, 0.125, pytest.approx(1e-4), pytest.approx(1e-5)]


def test_what_a_schedule_sets_in_its_own_hook_is_there_for_its_formula(tmp_path: Path) -> None:
    class Late(LRSchedule):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.total = trainer.max_epochs
            super().on_train_start(trainer, pl_module)

        def lr_at(self, t: int, base_lr: float) -> float:
            return base_lr * (1 - t / self.total)

    model = Recorder(batches=1)
    decay = StepDecay(1, 0.5, hyperparameter="weight_decay")
    trainer(tmp_path, decay, Late(), max_epochs=4).fit(model)
    assert model.used == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.filterwarnings("ignore:Found keys that are not in the model state dict")
def test_a_second_fit_after_weight_averaging_follows_the_curve(tmp_path: Path) -> None:
    swa = StochasticWeightAveraging(0.25, swa_epoch_start=1, annealing_epochs=1)
    model = Recorder(batches=1)
    fit = trainer(tmp_path, StepDecay(1, 0.5), swa, max_epochs=3)
    fit.fit(model)
    fit.fit_loop.max_epochs = 5
    model.used.clear()
    fit.fit(model)
    assert model.used == [0.125, 0.0625]


def test_a_steps_period_of_a_schedule_by_epochs_is_refused_after_a_change_of_pace(tmp_path: Path) -> None:
    trainer(tmp_path, StepDecay("16 steps"), saver(tmp_path), max_epochs=2).fit(Recorder(batches=8))
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, StepDecay("16 steps"), max_epochs=4).fit(Recorder(batches=4), ckpt_path=tmp_path / "16.ckpt")
    assert str(refused.value) == (
        "StepDecay: 'step_size' is '16 steps', which the Trainer cannot turn into epochs: the number of steps an epoch"
        " changes, or has changed. Pass step_size=<number of epochs>."
    )


def test_a_copy_has_a_memory_of_its_own() -> None:
    plateau = ReduceOnPlateau(patience=1)
    twin = copy.copy(plateau)
    for value in (1.0, 1.0):
        plateau.check(value)
    assert (plateau.reductions, twin.reductions) == (1, 0)


@pytest.mark.parametrize("fails", [False, True])
def test_a_metric_that_waits_is_in_the_checkpoint_of_an_exception(fails: bool, tmp_path: Path) -> None:
    class Logs(Recorder):
        def on_train_epoch_end(self) -> None:
            self.log("m", 1.0)
            if fails and self.trainer.current_epoch == 2:
                raise RuntimeError("the power went out")

    class Saves(Checkpoint):
        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            trainer.save_checkpoint(tmp_path / "last.ckpt")

    def plateau() -> ReduceOnPlateau:
        return ReduceOnPlateau("m", patience=2, factor=0.5)

    model = Logs(batches=1)
    fit = trainer(tmp_path, plateau(), Saves(), max_epochs=6)
    if not fails:
        fit.fit(model)
        assert model.used == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
        return
    with pytest.raises(RuntimeError):
        fit.fit(model)
    fails, model = False, Logs(batches=1)
    trainer(tmp_path, plateau(), max_epochs=6).fit(model, ckpt_path=tmp_path / "last.ckpt")
    assert model.used == [0.5, 0.5, 0.25]


@pytest.mark.parametrize("scale", [None, "a", -1.0, float("nan")])
def test_an_lr_scale_that_is_no_factor_is_refused(scale: Any, tmp_path: Path) -> None:
    def scaled(params: Any) -> Any:
        return torch.optim.SGD([{"params": list(params), "lr_scale": scale}], lr=1.0)

    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, StepDecay(1), max_epochs=1).fit(Recorder(scaled))
    assert str(refused.value) == f"StepDecay: 'lr_scale' of a group of SGD must be a number >= 0, got {scale!r}."


def test_a_fast_dev_run_does_not_mind_the_order_of_milestones(tmp_path: Path) -> None:
    model = Recorder(batches=4)
    milestones = MultiStepDecay([4, "2 epochs", "50%"], interval="step")
    trainer(tmp_path, milestones, fast_dev_run=True).fit(model)
    assert len(model.used) == 1


def test_a_group_that_goes_leaves_the_others_to_their_schedules(tmp_path: Path) -> None:
    def groups(params: Any) -> Any:
        weight, bias = params
        return torch.optim.SGD([{"params": [weight], "name": "w"}, {"params": [bias], "name": "b"}], lr=1.0)

    class Deletes(Recorder):
        def on_train_epoch_start(self) -> None:
            if self.trainer.current_epoch == 1:
                del self.trainer.optimizers[0].param_groups[0]

    model = Deletes(groups, batches=1)
    trainer(tmp_path, StepDecay(1, 0.1, param_groups=0), StepDecay(1, 0.5, param_groups="b"), max_epochs=3).fit(model)
    assert model.used == [[1.0, 1.0], 0.5, 0.25]


def test_a_group_that_takes_anothers_place_is_a_late_group(tmp_path: Path) -> None:
    class Swaps(Recorder):
        def on_train_epoch_start(self) -> None:
            if self.trainer.current_epoch == 1:
                optimizer: Any = self.trainer.optimizers[0]
                optimizer.param_groups.pop()
                optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.125})

    def groups(params: Any) -> Any:
        weight, bias = params
        return torch.optim.SGD([{"params": [weight]}, {"params": [bias]}], lr=1.0)

    model = Swaps(groups, batches=1)
    trainer(tmp_path, StepDecay(1, 0.5), max_epochs=3).fit(model)
    assert model.used == [[1.0, 1.0], [0.5, 0.125], [0.25, 0.0625]]


class Regroups(LayerWise):
    """Takes the second group away after update ``step``, and may put another in its place."""

    def __init__(self, step: int, lr: float | None = None) -> None:
        super().__init__([1.0, 0.5])
        self.step, self.lr = step, lr

    def on_train_batch_end(self, *args: Any) -> None:
        optimizer: Any = self.trainer.optimizers[0]
        if self.trainer.global_step == self.step and len(optimizer.param_groups) == 2:
            optimizer.param_groups.pop()
            if self.lr is not None:
                optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": self.lr})


@pytest.mark.parametrize("step", range(1, 7))
def test_a_group_that_takes_anothers_place_within_an_epoch_too(step: int, tmp_path: Path) -> None:
    model = Regroups(step, 0.75)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(model)
    assert [first for first, _ in model.used] == [0.5**t for t in range(7)]
    assert [second for _, second in model.used][step:] == [0.75 * 0.5**t for t in range(7 - step)]


def test_a_group_that_goes_after_an_epochs_last_batch(tmp_path: Path) -> None:
    model = Regroups(7)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=2).fit(model)
    assert model.used == [[0.5**t, 0.5 ** (t + 1)] for t in range(7)] + [0.5**t for t in range(7, 14)]
