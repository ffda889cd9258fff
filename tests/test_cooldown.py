"""When a cooldown begins, and that it ends the fit."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from models import Recorder, saver, trainer

from lightning_lrsched import Constant, CooldownOnPlateau, ProductSchedule, SequentialSchedule


class Plays(Recorder):
    """``val_loss`` falls until epoch ``calm`` and stays there."""

    def __init__(self, calm: int = 2, **kw: Any) -> None:
        super().__init__(**{"batches": 2, "val_batches": 1, **kw})
        self.calm = calm

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", 10.0 - min(self.trainer.current_epoch, self.calm))


def fit(tmp_path: Path, schedule: Any, model: Recorder, *callbacks: Any, ckpt_path: Any = None, **kw: Any) -> Trainer:
    run = trainer(tmp_path, schedule, *callbacks, **{"max_epochs": 99, **kw})
    run.fit(model, ckpt_path=ckpt_path)
    return run


def test_the_stall_begins_it_and_its_end_ends_the_fit(tmp_path: Path) -> None:
    """Best at epoch 2; the second check without improvement is that of epoch 4, the first of 4 intervals."""
    model, schedule = Plays(), CooldownOnPlateau(4, patience=2)
    run = fit(tmp_path, schedule, model)
    assert model.used == [1.0] * 10 + [0.75] * 2 + [0.5] * 2 + [0.25] * 2
    assert run.current_epoch == 8
    reason = "no improvement of val_loss in 2 checks: 8 is not below 7.9992, best 8; decays over 4 epochs, then stops"
    assert schedule.journal == [(10, 4, "lr", 1.0, 0.0, reason)]


def test_per_step_it_begins_with_the_update_after_the_check(tmp_path: Path) -> None:
    model = Plays()
    run = fit(tmp_path, CooldownOnPlateau("2 epochs", patience=2, interval="step", shape="1-sqrt"), model)
    assert model.used == [1.0] * 10 + [1.0 - (s / 4) ** 0.5 for s in range(4)]
    assert run.global_step == 14


def test_a_stall_in_the_planned_decay_changes_nothing(tmp_path: Path) -> None:
    model, schedule = Plays(calm=2), CooldownOnPlateau(4, patience=2)
    fit(tmp_path, schedule, model, max_epochs=6)
    assert model.used[::2] == [1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    assert schedule.journal == []


def test_the_end_of_the_run_begins_it_at_the_latest(tmp_path: Path) -> None:
    for schedule in (CooldownOnPlateau(4), CooldownOnPlateau("40%", interval="step", t_max="5 epochs")):
        model = Plays(calm=99)
        fit(tmp_path, schedule, model, max_epochs=5 if schedule.counts == "epoch" else 10)
        falling = [1.0, 1.0, 1.0, 1.0, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]
        assert model.used == (falling if schedule.counts == "epoch" else [1.0] * 3 + [1 - s / 8 for s in range(1, 8)])
        assert schedule.journal == []


def test_it_needs_no_end_of_the_run(tmp_path: Path) -> None:
    model = Plays(calm=1)
    fit(tmp_path, CooldownOnPlateau(2, patience=1), model, max_epochs=-1)
    assert model.used == [1.0] * 6 + [0.5] * 2


def test_under_a_warmup_and_in_a_sequence_and_a_product(tmp_path: Path) -> None:
    model = Plays(calm=0)
    fit(tmp_path, CooldownOnPlateau(2, patience=1, warmup=3), model)
    # the checks of epochs 0 to 2 fall into the warmup; that of 3 is the best, that of 4 begins it
    assert model.used[::2] == [0.25, 0.5, 0.75, 1.0, 1.0, 0.5]

    model = Plays(calm=0)
    sequence = SequentialSchedule([Constant(0.1), CooldownOnPlateau(2, patience=1)], milestones=[3])
    fit(tmp_path, sequence, model)
    assert model.used[::2] == [0.1, 0.1, 0.1, 1.0, 1.0, 0.5]
    assert [(decision.epoch, decision.new) for decision in sequence.journal] == [(4, 0.0)]

    model = Plays(calm=0)
    fit(tmp_path, ProductSchedule([Constant(0.5), CooldownOnPlateau(2, patience=1)]), model)
    assert model.used[::2] == [0.5, 0.5, 0.25]


def test_what_has_ended_ends_again_after_a_resume(tmp_path: Path) -> None:
    schedule = CooldownOnPlateau(2, patience=1, interval="step")
    fit(tmp_path, schedule, Plays(calm=0), saver(tmp_path))
    model = Plays(calm=0)
    fit(tmp_path, CooldownOnPlateau(2, patience=1, interval="step"), model, ckpt_path=tmp_path / "6.ckpt")
    assert model.used == []


class Slow(Plays):
    """Each training batch takes a second, each validation four."""

    def __init__(self, clock: Clock, **kw: Any) -> None:
        super().__init__(calm=999, **kw)
        self.clock = clock

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.clock.now += 1.0
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.clock.now += 4.0
        super().validation_step(batch, batch_idx)


class KilledError(Exception):
    pass


class Kill(Checkpoint):  # after the one that saves
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise KilledError


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    hands = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: hands.now)
    return hands


def test_max_time_leaves_just_enough(clock: Clock, tmp_path: Path) -> None:
    """An epoch is 4 steps in 8 seconds, so that 100 seconds are about 50 steps, of which 20 are to be the decay.

    After step 28, in mid-epoch 7 or at its end, 28 / 4 * 8 = 56 seconds are gone, 4 of them in the validation to come:
    52 by then, 1.857 a step, and the 48 left are 25.8 steps. At 30: 54 s + 4, 1.8 a step, 46 left are 25.6; at 32: 60
    gone (the validation is not yet over), 40 left at 1.875 are 21.3; at 33: 65 gone, 35 left at 1.97 are 17.8 < 21.
    """
    model, schedule = Slow(clock, batches=4), CooldownOnPlateau(20, interval="step", patience=99)
    run = fit(tmp_path, schedule, model, saver(tmp_path), max_time=timedelta(seconds=100), num_sanity_val_steps=0)
    began = next(t for t, lr in enumerate(model.used) if lr < 1.0) - 1
    assert began == 33
    assert model.used[began:] == pytest.approx([1.0 - s / 20 for s in range(20)][: len(model.used) - began])
    assert "max_time leaves about 17.8 more intervals; decays over 20 steps" in schedule.journal[0].reason
    assert run.global_step >= began + 17

    for step in (1, 30, 35, 45):
        again = Slow(clock, batches=4)
        schedule = CooldownOnPlateau(20, interval="step", patience=99)
        run = {"max_time": timedelta(seconds=100), "num_sanity_val_steps": 0}
        fit(tmp_path, schedule, again, ckpt_path=tmp_path / f"{step}.ckpt", **run)
        assert again.used == model.used[step:], step


@pytest.mark.filterwarnings("ignore:.* The fit ends without a single value of it")
def test_max_time_decides_nothing_in_its_first_tenth(clock: Clock, tmp_path: Path) -> None:
    """A first step of 9 seconds, as by a compilation, would leave no time for anything."""

    class Compiles(Slow):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.clock.now += 8.0 if self.trainer.global_step == 0 else 0.0
            return super().training_step(batch, batch_idx)

    model, schedule = Compiles(clock, batches=1000, val_batches=0), CooldownOnPlateau(20, interval="step", patience=99)
    fit(tmp_path, schedule, model, max_time=timedelta(seconds=200))
    # at t steps t + 8 seconds are gone; 192 - t left at (t + 8) / t are fewer than 21 from t = 171 on
    assert next(t for t, lr in enumerate(model.used) if lr < 1.0) - 1 == 171


def test_by_epochs_max_time_leaves_whole_ones(clock: Clock, tmp_path: Path) -> None:
    """Epochs of 8 seconds, 100 seconds, a decay over 4 epochs: after epoch 8, 36 seconds are 4.5 epochs."""
    model, schedule = Slow(clock, batches=4), CooldownOnPlateau(4, patience=99)
    run = fit(tmp_path, schedule, model, max_time=timedelta(seconds=100), num_sanity_val_steps=0)
    assert model.used[::4] == [1.0] * 9 + [0.75, 0.5, 0.25]
    assert run.current_epoch == 12

    # killed and resumed in mid-epoch, again and again; not before a validation, which Lightning would leave out
    used: list[float] = []
    checkpoint = None
    for step in range(3, 52, 4):
        clock.now += 1000.0  # between two processes
        part, schedule = Slow(clock, batches=4), CooldownOnPlateau(4, patience=99)
        settings = {"max_time": timedelta(seconds=100), "num_sanity_val_steps": 0}
        with suppress(KilledError):
            fit(tmp_path, schedule, part, saver(tmp_path), Kill(step), ckpt_path=checkpoint, **settings)
        used, checkpoint = used + part.used, tmp_path / f"{step}.ckpt"
    assert used == model.used
    assert torch.isfinite(model.layer.weight).all()
