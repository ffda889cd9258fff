"""A run that is made longer, and the checkpoint from before a decay that it can be continued from."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from models import Recorder, saver, trainer
from test_cooldown import Clock, Plays, Slow, clock  # noqa: F401 (a fixture)

from lightning_lrsched import (
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    LRSchedule,
    ProductSchedule,
    SequentialSchedule,
    WarmupStableDecay,
    preview_fit,
)

STABLE_DECAY = [1.0] * 7 + [0.75, 0.5, 0.25]


def wsd(decay: Any = 4, **kw: Any) -> WarmupStableDecay:
    return WarmupStableDecay(decay, checkpoint_before_decay=True, **{"interval": "step", **kw})


def saved(tmp_path: Path) -> list[str]:
    """The checkpoints from before a decay."""
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("before-decay*"))


def fit(tmp_path: Path, model: Recorder, *callbacks: Any, ckpt_path: Any = None, **run: Any) -> Trainer:
    fitted = trainer(tmp_path, *callbacks, **run)
    fitted.fit(model, ckpt_path=None if ckpt_path is None else tmp_path / "checkpoints" / ckpt_path)
    return fitted


def weights(model: Recorder) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# ---- the checkpoint before a decay


def test_it_is_saved_before_the_first_update_of_the_decay_and_told(tmp_path: Path, caplog: Any) -> None:
    model = Recorder(batches=5)
    fit(tmp_path, model, wsd(), max_epochs=2)
    assert model.used == STABLE_DECAY
    assert saved(tmp_path) == ["checkpoints/before-decay-step=6.ckpt"]
    state = torch.load(tmp_path / saved(tmp_path)[0], weights_only=True)
    assert (state["global_step"], state["epoch"]) == (6, 1)
    path = tmp_path / "checkpoints" / "before-decay-step=6.ckpt"
    assert [r.message for r in caplog.records if "decay" in r.message] == [
        f"WarmupStableDecay: the decay begins; the checkpoint before it is {path}"
    ]


def test_it_is_saved_only_when_asked(tmp_path: Path) -> None:
    for schedule in (WarmupStableDecay(4, interval="step"), CooldownOnPlateau(2, patience=1)):
        fit(tmp_path, Plays(calm=0), schedule, max_epochs=5)
    assert saved(tmp_path) == []
    with pytest.raises(ValueError, match="WarmupStableDecay: 'checkpoint_before_decay' must be True or False, got 1"):
        WarmupStableDecay(4, checkpoint_before_decay=1)  # type: ignore[arg-type]


def test_a_resume_from_it_saves_none_and_goes_on_bit_for_bit(tmp_path: Path, caplog: Any) -> None:
    """The weights too, where it lies between two epochs: inside one, only some loaders resume with the right batch."""
    whole = Recorder(batches=5)
    fit(tmp_path, whole, wsd(5), max_epochs=2)
    (tmp_path / saved(tmp_path)[0]).rename(tmp_path / "checkpoints" / "moved.ckpt")
    caplog.clear()
    rest = Recorder(batches=5)
    fit(tmp_path, rest, wsd(5), max_epochs=2, ckpt_path="moved.ckpt")
    assert rest.used == whole.used[5:] == [1.0, 0.8, 0.6, 0.4, 0.2]
    assert rest.steps == whole.steps[5:]
    assert torch.equal(weights(rest), weights(whole))
    assert saved(tmp_path) == []
    assert "decay begins" not in caplog.text


@pytest.mark.parametrize("step", range(1, 10))
def test_a_resume_from_before_saves_it_and_one_from_within_does_not(step: int, tmp_path: Path) -> None:
    fit(tmp_path, Recorder(batches=5), WarmupStableDecay(4, interval="step"), saver(tmp_path), max_epochs=2)
    model = Recorder(batches=5)
    trainer(tmp_path, wsd(), max_epochs=2).fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
    assert model.used == STABLE_DECAY[step:]
    assert saved(tmp_path) == (["checkpoints/before-decay-step=6.ckpt"] if step < 6 else [])


def test_a_longer_run_continues_from_it_and_saves_its_own(tmp_path: Path) -> None:
    """5 steps an epoch: a run of 10 that would decay from 5 on becomes one of 20 that decays from 15 on."""
    fit(tmp_path, Recorder(batches=5), wsd(5), max_epochs=2)
    longer, whole = Recorder(batches=5), Recorder(batches=5)
    with pytest.warns(UserWarning, match=r"the new values apply: t_max: 10 -> 20; the LR stays\."):
        fit(tmp_path, longer, wsd(5), max_epochs=4, ckpt_path="before-decay-step=5.ckpt")
    assert longer.used == [1.0] * 11 + [0.8, 0.6, 0.4, 0.2]
    assert saved(tmp_path) == ["checkpoints/before-decay-step=15.ckpt", "checkpoints/before-decay-step=5.ckpt"]
    fit(tmp_path, whole, wsd(5), max_epochs=4)  # as if it had been so long from the start
    assert longer.used == whole.used[5:]
    assert torch.equal(weights(longer), weights(whole))


def test_a_second_fit_of_one_trainer_saves_its_own(tmp_path: Path) -> None:
    model = Recorder(batches=5)
    run = fit(tmp_path, model, wsd(), max_epochs=2)
    run.fit_loop.max_epochs = 4
    with pytest.warns(UserWarning, match="since the last fit, the new values apply: t_max: 10 -> 20; LR 0 -> 1"):
        run.fit(model)
    assert model.used == STABLE_DECAY + [1.0] * 7 + [0.75, 0.5, 0.25]
    assert saved(tmp_path) == ["checkpoints/before-decay-step=16.ckpt", "checkpoints/before-decay-step=6.ckpt"]


def test_it_lies_where_the_first_model_checkpoint_saves(tmp_path: Path) -> None:
    places = [ModelCheckpoint(tmp_path / name, every_n_epochs=n) for name, n in (("first", 1), ("second", 2))]
    fit(tmp_path, Recorder(batches=5), wsd(), *places, max_epochs=2)
    assert saved(tmp_path) == ["first/before-decay-step=6.ckpt"]


def test_by_epochs_under_a_warmup_and_accumulation(tmp_path: Path) -> None:
    """Of 5 batches an epoch 2 updates; the warmup is one epoch, and the decay the last two of six."""
    model = Recorder(batches=5)
    run = {"max_epochs": 6, "accumulate_grad_batches": 3}
    fit(tmp_path, model, wsd(2, interval="epoch", warmup=1), **run)
    assert model.used == [0.5] * 2 + [1.0] * 8 + [0.5] * 2
    assert saved(tmp_path) == ["checkpoints/before-decay-step=8.ckpt"]
    rest = Recorder(batches=5)
    fit(tmp_path, rest, wsd(2, interval="epoch", warmup=1), ckpt_path="before-decay-step=8.ckpt", **run)
    assert rest.used == model.used[8:]
    assert torch.equal(weights(rest), weights(model))


def test_a_decay_from_the_first_update_on_has_nothing_before_it(tmp_path: Path) -> None:
    fit(tmp_path, Recorder(batches=5), wsd(99), max_epochs=2)
    assert saved(tmp_path) == []


@pytest.mark.filterwarnings("ignore:.*fast_dev_run")
def test_nothing_is_saved_by_a_preview_or_a_trial(tmp_path: Path) -> None:
    preview_fit(trainer(tmp_path, wsd(), max_epochs=2), Recorder(batches=5))
    fit(tmp_path, Recorder(batches=5), wsd(1), fast_dev_run=4)
    assert saved(tmp_path) == []


def test_in_composites(tmp_path: Path) -> None:
    """Each part of a sequence from before its own decay: at 4 of 6, and at 6 + 2 of the last four."""
    parts = [wsd(2), wsd(2, eta_min_ratio=0.5)]
    sequence = SequentialSchedule(parts, milestones=[6], interval="step")
    nested = ProductSchedule([Constant(0.5, interval="step"), sequence], interval="step")
    model = Recorder(batches=5)
    fit(tmp_path, model, nested, max_epochs=2)
    assert model.used == [0.5] * 5 + [0.25] + [0.5] * 3 + [0.375]
    assert saved(tmp_path) == [f"checkpoints/before-decay-step={step}.ckpt" for step in (4, 8)]


class Sawtooth(LRSchedule):
    """A schedule of a user's own."""

    checkpoint_before_decay = True

    def decay_begins(self) -> int:
        return 3

    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr if t < 3 else 0.0


def test_a_schedule_of_ones_own_says_where_its_decay_begins(tmp_path: Path) -> None:
    fit(tmp_path, Recorder(batches=5), Sawtooth(interval="step"), max_epochs=1)
    assert saved(tmp_path) == ["checkpoints/before-decay-step=3.ckpt"]


# ---- a cooldown that something else begins


def cooldown(decay: Any = 4, **kw: Any) -> CooldownOnPlateau:
    return CooldownOnPlateau(decay, checkpoint_before_decay=True, **{"patience": 2, **kw})


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_a_stall_saves_it_and_more_patience_takes_the_decay_back(interval: Any, tmp_path: Path) -> None:
    """Best at epoch 2; the second check without improvement, after step 10, begins the decay of 4 intervals."""
    whole = Plays()
    fit(tmp_path, whole, cooldown(interval=interval), max_epochs=99)
    per = 2 if interval == "epoch" else 1
    assert whole.used[10:] == ([0.75] * 2 + [0.5] * 2 + [0.25] * 2 if per == 2 else [1.0, 0.75, 0.5, 0.25])
    assert saved(tmp_path) == ["checkpoints/before-decay-step=10.ckpt"]

    same, schedule = Plays(), cooldown(interval=interval)
    fit(tmp_path, same, schedule, max_epochs=99, ckpt_path="before-decay-step=10.ckpt")
    assert same.used == whole.used[10:]
    assert torch.equal(weights(same), weights(whole))
    assert saved(tmp_path) == ["checkpoints/before-decay-step=10.ckpt"]

    # two checks are behind it: the third, of epoch 5, and the fourth, of epoch 6, which begins it after step 14
    patient, schedule = Plays(), cooldown(interval=interval, patience=4)
    with pytest.warns(UserWarning, match="the new values apply: patience: 2 -> 4; "):
        fit(tmp_path, patient, schedule, max_epochs=99, ckpt_path="before-decay-step=10.ckpt")
    assert patient.used == [1.0] * 4 + whole.used[10:]
    assert [decision.step for decision in schedule.journal] == [10, 14]
    assert saved(tmp_path) == [f"checkpoints/before-decay-step={step}.ckpt" for step in (10, 14)]


def test_less_patience_leaves_a_decay_as_it_is(tmp_path: Path) -> None:
    fit(tmp_path, Plays(), cooldown(), max_epochs=99)
    model = Plays()
    with pytest.warns(UserWarning, match=r"patience: 2 -> 1; LR 1 -> 0\.75\."):
        fit(tmp_path, model, cooldown(patience=1), max_epochs=99, ckpt_path="before-decay-step=10.ckpt")
    assert model.used == [0.75] * 2 + [0.5] * 2 + [0.25] * 2


def test_a_stall_inside_an_accumulation_window_waits_for_its_end(tmp_path: Path) -> None:
    """Validations after each of 6 batches, windows of 3; the second check is in an open window, after no update."""
    model = Plays(calm=0, batches=6)
    schedule = cooldown(2, patience=1, interval="step")
    fit(tmp_path, model, schedule, max_epochs=9, accumulate_grad_batches=3, val_check_interval=1)
    assert model.used == [1.0, 0.5]
    assert [decision.step for decision in schedule.journal] == [0]
    assert saved(tmp_path) == ["checkpoints/before-decay-step=1.ckpt"]


def test_a_stall_within_an_epoch_saves_it_when_the_validation_ends(tmp_path: Path) -> None:
    """Validations after batches 2 and 4 of 5: the second check is at step 4."""
    whole = Plays(calm=0, batches=5)
    fit(tmp_path, whole, cooldown(2, patience=1, interval="step"), max_epochs=9, val_check_interval=2)
    assert whole.used == [1.0] * 5 + [0.5]
    assert saved(tmp_path) == ["checkpoints/before-decay-step=4.ckpt"]
    rest = Plays(calm=0, batches=5)
    run = {"max_epochs": 9, "val_check_interval": 2, "ckpt_path": "before-decay-step=4.ckpt"}
    fit(tmp_path, rest, cooldown(2, patience=1, interval="step"), **run)
    assert rest.used == [1.0, 0.5]


class Late(Recorder):
    """The metric comes when every callback has seen the epoch end."""

    def on_train_epoch_end(self) -> None:
        self.log("late", 1.0)


def test_a_stall_that_is_seen_when_the_next_epoch_has_begun_saves_after_an_update(tmp_path: Path) -> None:
    """Lightning cannot resume from before it: a checkpoint of ``on_train_epoch_start`` loses the epoch."""
    model = Late(batches=2)
    fit(tmp_path, model, cooldown(2, monitor="late", patience=1), max_epochs=9)
    assert model.used == [1.0] * 4 + [0.5] * 2
    assert saved(tmp_path) == ["checkpoints/before-decay-step=5.ckpt"]


def test_the_planned_end_and_max_time_save_it(clock: Clock, tmp_path: Path) -> None:  # noqa: F811
    fit(tmp_path, Plays(calm=99), cooldown(2), max_epochs=5)
    assert saved(tmp_path) == ["checkpoints/before-decay-step=6.ckpt"]

    run: dict[str, Any] = {"max_time": timedelta(seconds=100), "num_sanity_val_steps": 0, "max_epochs": 99}
    whole = Slow(clock, batches=4)
    fit(tmp_path, whole, cooldown(20, interval="step", patience=99), **run)
    assert "checkpoints/before-decay-step=33.ckpt" in saved(tmp_path)  # test_cooldown works it out
    rest = Slow(clock, batches=4)
    fit(tmp_path, rest, cooldown(20, interval="step", patience=99), ckpt_path="before-decay-step=33.ckpt", **run)
    assert rest.used == whole.used[33:]


# ---- a finished run


def test_a_finished_cosine_takes_the_curve_of_the_longer_run(tmp_path: Path) -> None:
    fit(tmp_path, Recorder(batches=2), CosineAnnealing(), saver(tmp_path, "on_train_epoch_end"), max_epochs=4)
    model = Recorder(batches=2)
    longer = trainer(tmp_path, CosineAnnealing(), max_epochs=8)
    with pytest.warns(UserWarning, match=r"the new values apply: t_max: 4 -> 8; LR 0.146447 -> 0.5\."):
        longer.fit(model, ckpt_path=tmp_path / "8.ckpt")
    assert model.used[::2] == pytest.approx([(1.0 + math.cos(math.pi * t / 8)) / 2 for t in (4, 5, 6, 7)])


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_a_second_cosine_follows_a_finished_one(tmp_path: Path) -> None:
    """From epoch 4 on: a warmup of 1/2, then 1, 3/4 and 1/4 along a cosine of three epochs."""
    fit(tmp_path, Recorder(batches=2), CosineAnnealing(), saver(tmp_path, "on_train_epoch_end"), max_epochs=4)
    model = Recorder(batches=2)
    both = SequentialSchedule([CosineAnnealing(), CosineAnnealing(warmup=1)], milestones=[4])
    trainer(tmp_path, both, max_epochs=8).fit(model, ckpt_path=tmp_path / "8.ckpt")
    assert model.used[::2] == pytest.approx([0.5, 1.0, 0.75, 0.25])
