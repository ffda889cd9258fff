"""Runs that end, step, stop and start in unusual ways."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import CASES, reciprocal
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from models import Recorder, saver, trainer
from torch.utils.data import DataLoader, IterableDataset

import lightning_lrsched
from lightning_lrsched import CosineAnnealing, LRSchedule, ReduceOnPlateau, StepDecay


def halving(**common: Any) -> StepDecay:
    return StepDecay(1, 0.5, **common)


def halvings(first: int, n: int) -> list[float]:
    return [0.5**t for t in range(first, first + n)]


def fit(tmp_path: Path, model: Recorder, *callbacks: Any, ckpt_path: Any = None, **run: Any) -> list[Any]:
    trainer(tmp_path, *callbacks, **run).fit(model, ckpt_path=ckpt_path)
    return model.used


# ---- accumulation


def test_every_accumulation_window_has_one_lr(tmp_path: Path) -> None:
    seen: list[float] = []

    class Batches(Recorder):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            seen.append(self.trainer.optimizers[0].param_groups[0]["lr"])
            return super().training_step(batch, batch_idx)

    model = Batches()
    used = fit(tmp_path, model, halving(interval="step"), max_epochs=2, accumulate_grad_batches=3)
    assert used == halvings(0, 6)
    assert seen == [lr for lr, size in zip(used, [3, 3, 1] * 2, strict=True) for _ in range(size)]


def test_accumulation_longer_than_the_epoch(tmp_path: Path) -> None:
    schedule = CosineAnnealing(interval="step", eta_min=0.5)
    assert fit(tmp_path, Recorder(), schedule, max_epochs=2, accumulate_grad_batches=20) == pytest.approx([1.0, 0.75])


@pytest.mark.filterwarnings("ignore:When using `Trainer\\(accumulate_grad_batches != 1\\)` and overriding")
def test_accumulation_that_changes_during_the_run(tmp_path: Path) -> None:
    """7 batches: 3 updates an epoch at first (windows of 3), 7 from epoch 1 on, 2 from epoch 3 on."""
    changes = GradientAccumulationScheduler({0: 3, 1: 1, 3: 4})
    model = Recorder()
    run = trainer(tmp_path, CosineAnnealing(interval="step", warmup="1 epochs"), changes, max_epochs=5)
    run.fit(model)
    assert len(model.used) == 3 + 7 + 7 + 2 + 2
    assert model.used[:4] == [0.25, 0.5, 0.75, 1.0]
    assert model.used[3 + 9] == pytest.approx(0.5)
    assert run.optimizers[0].param_groups[0]["lr"] == 0.0
    resumed = Recorder()
    callbacks = CosineAnnealing(interval="step", warmup="1 epochs"), GradientAccumulationScheduler({0: 3, 1: 1, 3: 4})
    fit(tmp_path, Recorder(), *callbacks, saver(tmp_path), max_epochs=5)
    for step in (2, 3, 8, 10, 18):
        callbacks = (
            CosineAnnealing(interval="step", warmup="1 epochs"),
            GradientAccumulationScheduler(changes.scheduling),
        )
        resumed = Recorder()
        assert (
            fit(tmp_path, resumed, *callbacks, max_epochs=5, ckpt_path=tmp_path / f"{step}.ckpt") == model.used[step:]
        )


# ---- epochs that end oddly


class Uneven(Recorder):
    """Epochs of 4, 2 and 5 batches."""

    def train_dataloader(self) -> Any:
        return DataLoader(torch.zeros([4, 2, 5][self.trainer.current_epoch] * 2, 2), batch_size=2)  # type: ignore[arg-type]


def test_epochs_of_different_size(tmp_path: Path) -> None:
    run = {"max_epochs": 3, "reload_dataloaders_every_n_epochs": 1}
    assert fit(tmp_path, Uneven(), halving(), **run) == [1.0] * 4 + [0.5] * 2 + [0.25] * 5
    assert fit(tmp_path, Uneven(), halving(interval="step"), **run) == halvings(0, 11)


def test_an_epoch_cut_short_counts_once(tmp_path: Path) -> None:
    class Cut(Recorder):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
            return -1 if batch_idx == 2 else None

    assert fit(tmp_path, Cut(), halving(), max_epochs=3) == [1.0] * 2 + [0.5] * 2 + [0.25] * 2
    assert fit(tmp_path, Cut(), halving(interval="step"), max_epochs=3) == halvings(0, 6)


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`")
def test_a_training_step_that_returns_none_is_a_step_of_the_trainer(tmp_path: Path) -> None:
    class Skips(Recorder):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            return None if batch_idx == 1 else loss

    assert fit(tmp_path, Skips(batches=4), halving(interval="step"), max_epochs=1) == halvings(0, 4)


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_max_steps_inside_an_epoch_and_on_from_there(interval: Any, tmp_path: Path) -> None:
    full = fit(tmp_path, Recorder(batches=4), halving(interval=interval), max_epochs=3)
    fit(tmp_path, Recorder(batches=4), halving(interval=interval), saver(tmp_path), max_steps=6, max_epochs=-1)
    for step in range(1, 7):
        path = tmp_path / f"{step}.ckpt"
        run = {"max_steps": 12, "max_epochs": -1}
        assert fit(tmp_path, Recorder(batches=4), halving(interval=interval), ckpt_path=path, **run) == full[step:]


def test_max_steps_bounds_the_run_in_epochs_rounded_up(tmp_path: Path) -> None:
    used = fit(tmp_path, Recorder(batches=4), CosineAnnealing(), max_steps=6, max_epochs=100)
    assert used == pytest.approx([1.0] * 4 + [0.5] * 2)  # 6 updates of 4 an epoch: 2 epochs


def test_a_duration_in_steps_by_epochs_after_a_warmup(tmp_path: Path) -> None:
    """2 epochs of 7."""
    used = fit(tmp_path, Recorder(), CosineAnnealing("14 steps", warmup=1), max_epochs=4)
    assert used == pytest.approx([0.5] * 7 + [1.0] * 7 + [0.5] * 7 + [0.0] * 7)


def test_overfit_batches(tmp_path: Path) -> None:
    used = fit(tmp_path, Recorder(), CosineAnnealing(interval="step"), max_epochs=2, overfit_batches=2)
    assert len(used) == 4
    assert used[2] == pytest.approx(0.5)


def test_max_time_beside_max_epochs(tmp_path: Path) -> None:
    run = {"max_epochs": 2, "max_time": {"hours": 1}}
    assert fit(tmp_path, Recorder(), CosineAnnealing(), **run) == pytest.approx([1.0] * 7 + [0.5] * 7)


class Stream(Recorder):
    def train_dataloader(self) -> Any:
        class Data(IterableDataset[torch.Tensor]):
            def __iter__(self) -> Any:
                return iter(torch.zeros(14, 2))

        return DataLoader(Data(), batch_size=2)


def test_iterable_data(tmp_path: Path) -> None:
    assert fit(tmp_path, Stream(), halving(interval="step"), max_epochs=1) == halvings(0, 7)
    assert fit(tmp_path, Stream(), CosineAnnealing(), max_epochs=2) == pytest.approx([1.0] * 7 + [0.5] * 7)
    used = fit(tmp_path, Stream(), CosineAnnealing(interval="step"), max_steps=4, max_epochs=-1)
    assert used[2] == pytest.approx(0.5)


# ---- one instance, several fits


def test_fit_one_epoch_at_a_time_continues(tmp_path: Path) -> None:
    for interval, expected in {"epoch": [1.0] * 2 + [0.5] * 2 + [0.25] * 2, "step": halvings(0, 6)}.items():
        model = Recorder(batches=2)
        run = trainer(tmp_path, halving(interval=interval), max_epochs=1)
        for epochs in (1, 2, 3):
            run.fit_loop.max_epochs = epochs
            run.fit(model)
        assert model.used == expected


def test_a_schedule_that_joins_the_trainer_between_two_fits(tmp_path: Path) -> None:
    model = Recorder(batches=2)
    run = trainer(tmp_path, max_epochs=1)
    run.fit(model)
    run.callbacks.append(CosineAnnealing(interval="step"))  # type: ignore[attr-defined]
    run.fit_loop.max_epochs = 2
    run.fit(model)
    assert model.used == pytest.approx([1.0, 1.0, 0.5, 0.5 - 0.25 * 2**0.5])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_instance_serves_trainers_and_models_of_different_size(case: Any, tmp_path: Path) -> None:
    def groups(params: Any) -> Any:
        return torch.optim.SGD([{"params": [p]} for p in params], lr=0.5)

    def run(schedule: LRSchedule) -> tuple[list[Any], list[Any]]:
        one, two = Recorder(batches=4, val_batches=1), Recorder(groups, batches=4, val_batches=1)
        fit(tmp_path, one, schedule, max_epochs=3)
        fit(tmp_path, two, schedule, max_epochs=2)
        return one.used, two.used

    schedule = case.make(interval="step")
    first = run(schedule)
    assert run(schedule) == first == run(case.make(interval="step"))


# what torch.load has to be allowed, besides a function of the user's own
PUBLIC = [value for value in vars(lightning_lrsched).values() if isinstance(value, type)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_schedules_pickle_copy_and_print_themselves_fitted_or_not(case: Any, tmp_path: Path, request: Any) -> None:
    schedule = case.make(interval="step")
    torch.serialization.add_safe_globals([*PUBLIC, reciprocal])
    request.addfinalizer(torch.serialization.clear_safe_globals)
    for _ in range(2):
        torch.save(schedule, tmp_path / "pickled")
        safe = torch.load(tmp_path / "pickled", weights_only=True)
        for twin in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule)), safe):
            assert repr(twin) == repr(schedule)
            assert twin.state_dict() == schedule.state_dict()
        assert len(pickle.dumps(schedule)) < 3000  # no model comes along
        rebuilt = eval(repr(schedule), vars(lightning_lrsched))
        assert rebuilt.state_dict()["arguments"] == schedule.state_dict()["arguments"]
        fit(tmp_path, Recorder(batches=2, val_batches=1), schedule, max_epochs=2)


def test_a_used_instance_brings_nothing_into_a_run_from_a_foreign_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path, Recorder(batches=1), saver(tmp_path), max_epochs=1)
    schedule = ReduceOnPlateau(patience=1, factor=0.5)
    model = Recorder(batches=1, val_batches=1)
    run = trainer(tmp_path, schedule, max_epochs=4)
    run.fit(model)
    assert schedule.reductions == 3
    run.fit(model, ckpt_path=tmp_path / "1.ckpt")
    assert model.used[4:] == [1.0, 1.0, 0.5]


def test_an_instance_that_trained_elsewhere_in_between_starts_anew(tmp_path: Path) -> None:
    schedule = ReduceOnPlateau(patience=1, factor=0.5)
    first, second = Recorder(batches=1, val_batches=1), Recorder(batches=1, val_batches=1)
    run = trainer(tmp_path, schedule, max_epochs=2)
    run.fit(first)
    fit(tmp_path, second, schedule, max_epochs=4)
    assert second.used == [1.0, 1.0, 0.5, 0.25]
    run.fit_loop.max_epochs = 3
    run.fit(first)
    assert first.used == [1.0, 1.0, 1.0]


def test_a_plateau_leaves_the_lr_of_an_open_accumulation_window_alone(tmp_path: Path) -> None:
    run = {"accumulate_grad_batches": 4, "val_check_interval": 2, "max_epochs": 1}
    seen: list[float] = []

    class Batches(Recorder):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            seen.append(self.trainer.optimizers[0].param_groups[0]["lr"])
            return super().training_step(batch, batch_idx)

    model = Batches(batches=8, val_batches=1)
    fit(tmp_path, model, ReduceOnPlateau(patience=1, factor=0.5), **run)
    assert seen == [1.0] * 4 + [0.5] * 4  # judged after batches 2, 4, 6 and 8: 0, 1, 2 and 3 reductions
    assert model.used == [1.0, 0.5]


def test_after_an_exception_the_instance_serves_the_next_fit(tmp_path: Path) -> None:
    class Fails(Recorder):
        def on_train_batch_end(self, *args: Any) -> None:
            raise RuntimeError("no")

    schedule = halving(interval="step")
    with pytest.raises(RuntimeError, match="no"):
        fit(tmp_path, Fails(), schedule, max_epochs=1)
    assert fit(tmp_path, Recorder(), schedule, max_epochs=1) == halvings(0, 7)


# ---- optimizers that step oddly


def test_lbfgs(tmp_path: Path) -> None:
    model = Recorder(lambda params: torch.optim.LBFGS(params, lr=1.0, max_iter=2))
    assert fit(tmp_path, model, halving(interval="step"), max_epochs=1) == halvings(0, 7)


def test_an_optimizer_step_that_skips_every_second_batch_counts_the_trainers_steps(tmp_path: Path) -> None:
    class Half(Recorder):
        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            if batch_idx % 2 == 0:
                super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
            else:
                optimizer_closure()

    used = fit(tmp_path, Half(batches=6), CosineAnnealing(interval="step"), max_epochs=1)
    assert used == pytest.approx([1.0, 0.75, 0.25])  # t = 0, 2, 4 of 6


# ---- validation, and whose it is


def test_validate_and_test_never_count_for_a_plateau(tmp_path: Path) -> None:
    class Tested(Recorder):
        def test_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", 1.0)

    model = Tested(batches=2, val_batches=1)
    schedule = ReduceOnPlateau(patience=2, factor=0.5)
    run = trainer(tmp_path, schedule, max_epochs=2, num_sanity_val_steps=2)
    run.fit(model)
    before = schedule.state_dict()
    loader = DataLoader(torch.zeros(1, 2), batch_size=1)  # type: ignore[arg-type]
    for _ in range(3):
        run.validate(model, loader, verbose=False)
        run.test(model, loader, verbose=False)
    assert schedule.state_dict() == before
    assert model.used == [1.0] * 4
    assert schedule.memory.bad_checks == 1
