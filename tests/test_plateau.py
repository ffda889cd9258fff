"""When a plateau reduces: against torch's own, and at the edges where torch goes wrong."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from models import Recorder, saver, trainer

from lightning_lrsched import ReduceOnPlateau


def reductions(metrics: list[float], **arguments: Any) -> list[int]:
    schedule = ReduceOnPlateau(**{"factor": 0.5, "patience": 2, **arguments})
    counts = []
    for value in metrics:
        schedule.check(value)
        counts.append(schedule.reductions)
    return counts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cooldown", [0, 2])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_positive_metrics_reduce_as_torch_with_patience_one_less(
    mode: Any, threshold_mode: Any, cooldown: int, seed: int
) -> None:
    draw = random.Random(seed)
    metrics = [draw.choice([0.5, 0.9, 0.99, 1.0, 1.01, 1.1, draw.random()]) for _ in range(60)]
    settings = {"mode": mode, "factor": 0.5, "threshold": 0.05, "threshold_mode": threshold_mode, "cooldown": cooldown}
    for patience in (1, 2, 3):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=patience - 1, eps=0.0, **settings)
        expected = []
        for value in metrics:
            theirs.step(value)
            expected.append(optimizer.param_groups[0]["lr"])
        assert [0.5**n for n in reductions(metrics, **settings, patience=patience)] == expected


def test_patience_is_the_number_of_bad_checks() -> None:
    assert reductions([1.0, 1.0, 1.0, 1.0, 1.0], patience=1) == [0, 1, 2, 3, 4]
    assert reductions([1.0, 1.0, 1.0, 1.0, 1.0], patience=2) == [0, 0, 1, 1, 2]
    assert reductions([1.0, 1.0, 0.5, 1.0, 1.0], patience=2) == [0, 0, 0, 0, 1]


def test_a_relative_threshold_is_right_for_negative_metrics() -> None:
    """-10.5 beats -10 by 5 %, -10.05 does not by 1 %; torch's ``best * (1 - threshold)`` takes -9.95 for better."""
    assert reductions([-10.0, -9.95, -10.05], threshold=0.01) == [0, 0, 1]
    assert reductions([-10.0, -9.95, -10.5], threshold=0.01) == [0, 0, 0]
    assert reductions([-10.0, -10.05, -9.95], threshold=0.01, mode="max") == [0, 0, 1]
    assert reductions([-10.0, -10.05, -9.5], threshold=0.01, mode="max") == [0, 0, 0]


def test_non_finite_metrics_are_no_improvement_and_told_once() -> None:
    for odd in (math.nan, math.inf, -math.inf):
        with pytest.warns(UserWarning, match=f"ReduceOnPlateau: 'val_loss' is {odd}") as told:
            # 1 is the best; odd, odd: a reduction; 0.5 beats 1, so the odd ones were never the best
            assert reductions([1.0, odd, odd, 0.5, odd, odd]) == [0, 0, 1, 1, 1, 2]
        assert len(told) == 1


def test_min_lr_is_held_exactly() -> None:
    schedule = ReduceOnPlateau(factor=0.1, patience=1, min_lr=0.003)
    for _ in range(5):
        schedule.check(1.0)
    assert schedule.reductions == 4
    assert schedule.lr_at(0, 1.0) == 0.003
    assert [ReduceOnPlateau(min_lr=0.003).lr_at(t, 1.0) for t in (0, 100)] == [1.0, 1.0]


class Metrics(Recorder):
    """``val_loss`` from a list, and a training metric logged in one of several places."""

    def __init__(self, where: str = "", **kw: Any) -> None:
        super().__init__(**kw)
        self.where = where

    def train_metric(self) -> None:
        self.log("train_metric", 1.0)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.where == "on_step":
            self.log("train_metric", 1.0, on_step=True, on_epoch=False)
        if self.where == "on_epoch":
            self.log("train_metric", 1.0, on_step=False, on_epoch=True)
        if self.where == "both":
            self.log("train_metric", 1.0, on_step=True, on_epoch=True)
        return super().training_step(batch, batch_idx)

    def on_train_epoch_end(self) -> None:
        if self.where == "on_train_epoch_end":
            self.log("train_metric", 1.0)


@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.parametrize("where", ["on_step", "on_epoch", "both", "on_train_epoch_end"])
def test_a_training_metric_is_judged_once_an_epoch(where: str, validates: bool, tmp_path: Path) -> None:
    """Also one that the module logs in its own ``on_train_epoch_end``, which reaches callbacks late."""
    model = Metrics(where, batches=2, val_batches=validates)
    run = trainer(tmp_path, ReduceOnPlateau("train_metric", patience=1, factor=0.5), max_epochs=4)
    run.fit(model)
    assert model.used == [1.0] * 4 + [0.5] * 2 + [0.25] * 2
    assert run.optimizers[0].param_groups[0]["lr"] == 0.125


@pytest.mark.parametrize("where", ["on_epoch", "on_train_epoch_end"])
def test_a_training_metric_is_awaited_after_a_resume_without_a_validation(where: str, tmp_path: Path) -> None:
    """The new process has had no epoch yet that could have brought it."""

    def run(*callbacks: Any, ckpt_path: Path | None = None) -> list[float]:
        model = Metrics(where, batches=2)
        schedule = ReduceOnPlateau("train_metric", patience=1, factor=0.5)
        trainer(tmp_path, schedule, *callbacks, max_epochs=4, limit_val_batches=0).fit(model, ckpt_path=ckpt_path)
        return model.used

    full = run(saver(tmp_path, "on_train_epoch_end"))
    assert full == [1.0] * 4 + [0.5] * 2 + [0.25] * 2
    for step in (2, 4, 6):
        assert run(ckpt_path=tmp_path / f"{step}.ckpt") == full[step:], step


@pytest.mark.parametrize(
    ("run", "batches", "used", "final"),
    [
        ({"check_val_every_n_epoch": 2, "max_epochs": 6}, 1, [1.0] * 6, 0.5),
        ({"val_check_interval": 2, "max_epochs": 2}, 8, [1.0] * 6 + [0.5] * 4 + [0.25] * 4 + [0.125] * 2, 0.125),
        ({"val_check_interval": 0.5, "max_epochs": 2}, 4, [1.0] * 6 + [0.5] * 2, 0.5),
        # every 3 batches, whatever the epochs of 2
        ({"val_check_interval": 3, "check_val_every_n_epoch": None, "max_epochs": 6}, 2, [1.0] * 9 + [0.5] * 3, 0.5),
        ({"limit_val_batches": 1, "max_epochs": 4}, 1, [1.0] * 3 + [0.5], 0.5),
    ],
)
def test_one_judgement_per_finished_validation(
    run: dict[str, Any], batches: int, used: list[float], final: float, tmp_path: Path
) -> None:
    model = Recorder(batches=batches, val_batches=2)
    fit = trainer(tmp_path, ReduceOnPlateau(patience=2, factor=0.5), **run)
    fit.fit(model)
    assert model.used == used
    assert fit.optimizers[0].param_groups[0]["lr"] == final


def test_a_stale_value_is_not_judged_again(tmp_path: Path) -> None:
    class Sometimes(Recorder):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            if self.trainer.current_epoch % 2 == 0:
                self.log("val_loss", 1.0)

    model = Sometimes(batches=1, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau(patience=1, factor=0.5), max_epochs=6).fit(model)
    assert model.used == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]  # judged after epochs 0, 2 and 4


def test_warmup_then_plateau_judges_only_after_the_warmup(tmp_path: Path) -> None:
    model = Recorder(batches=2, val_batches=1)
    schedule = ReduceOnPlateau(patience=1, factor=0.5, interval="step", warmup="2 epochs", warmup_start_factor=0.5)
    trainer(tmp_path, schedule, max_epochs=5).fit(model)
    # checks after updates 4, 6 and 8 count; the first of them is the best
    assert model.used == [0.5, 0.625, 0.75, 0.875, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("where", ["on_epoch", "on_train_epoch_end"])
def test_a_metric_that_arrives_late_is_judged_as_of_its_own_epoch(where: str, tmp_path: Path) -> None:
    model = Metrics(where, batches=1)
    trainer(tmp_path, ReduceOnPlateau("train_metric", patience=1, factor=0.5, warmup=3), max_epochs=6).fit(model)
    assert model.used == [0.25, 0.5, 0.75, 1.0, 1.0, 0.5]


def test_a_mean_of_the_last_checks_is_judged() -> None:
    """Means of two: 4, 3.5, 3.5, 3.25, 3.5, 4; each 3.5 is a check without improvement, and so is 4."""
    metrics = [4.0, 3.0, 4.0, 2.5, 4.5, 3.5]
    assert reductions(metrics, smoothing=2) == [0, 0, 0, 0, 0, 1]
    assert reductions(metrics) == [0, 0, 0, 0, 0, 1]
    assert reductions(metrics, smoothing=2, patience=1) == [0, 0, 1, 1, 2, 3]


def test_an_exponential_average_is_judged() -> None:
    """With weight 0.5 by hand: sums 2, 2, 3, 2.5, 3.5 over weights 1/2, 3/4, 7/8, 15/16, 31/32."""
    metrics = [4.0, 2.0, 4.0, 2.0, 4.5]
    averages = [2.0 / 0.5, 2.0 / 0.75, 3.0 / 0.875, 2.5 / 0.9375, 3.5 / 0.96875]
    assert averages == pytest.approx([4.0, 2.6667, 3.4286, 2.6667, 3.6129], abs=1e-4)
    assert reductions(metrics, smoothing=0.5, patience=1, threshold=0.0) == [0, 0, 1, 2, 3]
    assert reductions(metrics, smoothing=0.5, patience=1, threshold=0.1, mode="max") == [0, 1, 2, 3, 4]


def test_a_value_that_is_not_finite_does_not_enter_the_average() -> None:
    with pytest.warns(UserWarning, match="counts as no improvement"):
        assert reductions([4.0, math.nan, 3.0, 2.9], smoothing=3, patience=1) == [0, 1, 1, 1]  # means 4, 3.5, 3.3


@pytest.mark.filterwarnings("ignore:.*counts as no improvement")
def test_divergence_may_reduce_at_once() -> None:
    metrics = [1.0, math.nan, math.inf, 0.5, 0.4, -math.inf]
    assert reductions(metrics, patience=3, on_nan="reduce") == [0, 1, 2, 2, 2, 3]
    assert reductions(metrics, patience=3, on_nan="reduce", cooldown=1) == [0, 1, 1, 1, 1, 2]
    assert reductions(metrics, patience=3) == [0, 0, 0, 0, 0, 0]


EDGES: dict[str, tuple[dict[str, Any], list[float], list[float]]] = {  # arguments, metrics, LRs of each epoch
    "negative": (
        {"threshold": 0.01},
        [-10.0, -9.95, -10.05, -10.5, -10.5, -10.5],
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25],
    ),
    "negative-max": ({"mode": "max", "threshold": 0.01}, [-10.0, -10.05, -9.95, -9.5], [1.0, 1.0, 1.0, 0.5, 0.5]),
    "nan": ({}, [1.0, math.nan, math.nan, 0.5, 0.6], [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]),
    "inf": ({}, [math.inf, math.inf, 3.0, 2.0], [1.0, 1.0, 0.5, 0.5, 0.5]),
    "-inf": ({}, [1.0, -math.inf, -math.inf, 0.5], [1.0, 1.0, 1.0, 0.5, 0.5]),
    "max-inf": ({"mode": "max"}, [1.0, math.inf, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0, 0.5]),
}


@pytest.mark.filterwarnings("ignore:.*counts as no improvement")
@pytest.mark.parametrize(("arguments", "metrics", "lrs"), EDGES.values(), ids=EDGES)
def test_edges_in_a_fit(arguments: Any, metrics: list[float], lrs: list[float], tmp_path: Path) -> None:
    model = Recorder(batches=1, val_batches=1)
    model.val_metrics = list(metrics)
    run = trainer(tmp_path, ReduceOnPlateau(patience=2, factor=0.5, **arguments), max_epochs=len(metrics))
    run.fit(model)
    assert [*model.used, run.optimizers[0].param_groups[0]["lr"]] == lrs


def test_the_fit_ends_when_the_metric_stalls_at_the_floor(tmp_path: Path) -> None:
    """Reductions after epochs 2 and 4 reach the floor; the stall after epoch 6 ends the fit."""
    model = Recorder(batches=1, val_batches=1)
    schedule = ReduceOnPlateau(patience=2, factor=0.5, min_lr=0.3, stop_when_exhausted=True)
    run = trainer(tmp_path, schedule, max_epochs=99)
    run.fit(model)
    assert model.used == [1.0] * 3 + [0.5] * 2 + [0.3] * 2
    assert [(decision.epoch, decision.old, decision.new) for decision in schedule.journal] == [
        (2, 1.0, 0.5),
        (4, 0.5, 0.3),
        (6, 0.3, 0.3),
    ]
    assert schedule.journal[-1].reason.endswith("the LR is min_lr (0.3) already, so the fit stops")


def test_a_stall_at_the_floor_changes_nothing(tmp_path: Path) -> None:
    model, schedule = Recorder(batches=1, val_batches=1), ReduceOnPlateau(patience=1, factor=0.5, min_lr=0.5)
    trainer(tmp_path, schedule, max_epochs=6).fit(model)
    assert model.used == [1.0, 1.0] + [0.5] * 4
    assert [decision.epoch for decision in schedule.journal] == [1]


def test_an_end_needs_a_floor() -> None:
    rule = "ReduceOnPlateau: 'min_lr' must be a number > 0 with stop_when_exhausted=True, got 0.0."
    with pytest.raises(ValueError, match=rule):
        ReduceOnPlateau(stop_when_exhausted=True)


@pytest.mark.parametrize("check_on_train_epoch_end", [False, True])
def test_a_metric_of_training_and_validation_alike(check_on_train_epoch_end: bool, tmp_path: Path) -> None:
    """``loss`` is constant in validation, twice an epoch, and falls in training."""

    class Both(Recorder):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("loss", 1.0 / (1 + self.current_epoch), on_step=False, on_epoch=True)
            return super().training_step(batch, batch_idx)

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("loss", 5.0)

    model = Both(batches=2, val_batches=1)
    schedule = ReduceOnPlateau("loss", patience=2, factor=0.5, check_on_train_epoch_end=check_on_train_epoch_end)
    trainer(tmp_path, schedule, val_check_interval=0.5, max_epochs=3).fit(model)
    if check_on_train_epoch_end:
        assert model.used == [1.0] * 6
    else:
        assert model.used == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


def test_several_validations_an_epoch_may_be_judged_as_one(tmp_path: Path) -> None:
    model = Recorder(batches=4, val_batches=1)
    schedule = ReduceOnPlateau(patience=1, factor=0.5, check_on_train_epoch_end=True)
    trainer(tmp_path, schedule, val_check_interval=0.25, max_epochs=3).fit(model)
    assert model.used == [1.0] * 8 + [0.5] * 4
