"""Mistakes are refused by name, with the way out, before the first batch: every message word for word."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from models import Recorder, trainer
from torch.utils.data import DataLoader, IterableDataset

from lightning_lrsched import (
    CosineAnnealing,
    CosineRestarts,
    CyclicalLR,
    ExponentialDecay,
    Keyframes,
    LRSchedule,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    TanhDecay,
)


def two_groups(params: Any) -> Any:
    weight, bias = params
    return torch.optim.SGD([{"params": [weight], "name": "head"}, {"params": [bias], "lr": 0.01}], lr=1.0)


def scheduled(params: Any) -> Any:
    optimizer = torch.optim.SGD(params, lr=1.0)
    return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1)}


class Endless(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Any:
        while True:
            yield torch.zeros(2)


class Stream(Recorder):
    def train_dataloader(self) -> Any:
        return DataLoader(Endless(), batch_size=2)


def refusal(tmp_path: Any, *callbacks: Any, model: Recorder | None = None, **run: Any) -> str:
    model = model or Recorder()
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, *callbacks, **{"max_epochs": 1, **run}).fit(model)
    assert model.used == []
    return str(refused.value)


def test_two_schedules_for_one_lr(tmp_path: Any) -> None:
    assert refusal(tmp_path, StepDecay(3), CosineAnnealing(eta_min=0.5)) == (
        "StepDecay: StepDecay(step_size=3) and CosineAnnealing(eta_min=0.5) both schedule the LR of optimizer 0 (SGD),"
        " parameter group 0. Remove one, or tell them apart by 'optimizer' or 'param_groups'."
    )


def test_two_schedules_that_share_one_group(tmp_path: Any) -> None:
    schedules = StepDecay(3, param_groups=["head", 1]), ExponentialDecay(gamma=0.5, param_groups=1)
    assert refusal(tmp_path, *schedules, model=Recorder(two_groups)) == (
        "StepDecay: StepDecay(step_size=3, param_groups=('head', 1)) and ExponentialDecay(gamma=0.5, param_groups=(1,))"
        " both schedule the LR of optimizer 0 (SGD), parameter group 1. Remove one, or tell them apart by 'optimizer'"
        " or 'param_groups'."
    )


def test_two_of_one_class(tmp_path: Any) -> None:
    assert refusal(tmp_path, StepDecay(3), StepDecay(4)) == (
        "StepDecay: StepDecay(step_size=3) and StepDecay(step_size=4) both schedule the LR of optimizer 0 (SGD),"
        " parameter group 0. Remove one, or tell them apart by 'optimizer' or 'param_groups'."
    )


def test_a_schedule_beside_a_torch_scheduler(tmp_path: Any) -> None:
    assert refusal(tmp_path, StepDecay(3), model=Recorder(scheduled)) == (
        "StepDecay: configure_optimizers attached StepLR to SGD, and two cannot own one LR. Remove one, or pass"
        " StepDecay(..., replace_scheduler=True) to take StepLR off."
    )


def test_an_unknown_group(tmp_path: Any) -> None:
    assert refusal(tmp_path, StepDecay(3, param_groups=["head", "tail"]), model=Recorder(two_groups)) == (
        "StepDecay: parameter group 'tail' does not exist. There are: in optimizer 0 (SGD) 0 ('head'), 1."
    )
    assert refusal(tmp_path, StepDecay(3, param_groups=2), model=Recorder(two_groups)) == (
        "StepDecay: parameter group 2 does not exist. There are: in optimizer 0 (SGD) 0 ('head'), 1."
    )


def test_a_pattern_that_fits_nothing_is_warned_about(tmp_path: Any) -> None:
    model = Recorder(two_groups)
    with pytest.warns(UserWarning, match="no parameter group fits") as told:
        trainer(tmp_path, StepDecay(1, param_groups="hed*"), max_epochs=1).fit(model)
    assert str(told[0].message) == (
        "StepDecay: no parameter group fits 'hed*' yet, so that nothing is scheduled until one does. There are: in"
        " optimizer 0 (SGD) 0 ('head'), 1."
    )


def test_an_unknown_optimizer(tmp_path: Any) -> None:
    assert refusal(tmp_path, StepDecay(3, optimizer=1)) == (
        "StepDecay: optimizer 1 does not exist. There are: 0 (SGD)."
    )
    assert refusal(tmp_path, StepDecay(3, optimizer="Adam")) == (
        "StepDecay: optimizer 'Adam' does not exist. There are: 0 (SGD)."
    )


@pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`")
def test_no_optimizer(tmp_path: Any) -> None:
    assert refusal(tmp_path, StepDecay(3), model=Recorder(lambda params: None)) == (
        "StepDecay: there is no optimizer to schedule: configure_optimizers returned none."
    )


@pytest.mark.parametrize(
    ("run", "model", "why"),
    [
        ({"max_epochs": -1}, Recorder, "neither max_epochs nor max_steps is set"),
        ({"max_epochs": -1, "max_time": {"seconds": 1}}, Recorder, "neither max_epochs nor max_steps is set"),
        ({"max_epochs": 2}, Stream, "the training data has no length"),
    ],
)
def test_a_run_without_an_end(run: dict[str, Any], model: Any, why: str, tmp_path: Any) -> None:
    or_epochs = ", or interval='epoch'" if run["max_epochs"] > 0 else ""
    assert refusal(tmp_path, CosineAnnealing(interval="step"), model=model(), **run) == (
        "CosineAnnealing: 't_max' is None (the whole run), but the Trainer does not know how many steps the run has:"
        f" {why}. Pass t_max=<number of steps>{or_epochs}."
    )
    with_end = CosineAnnealing(3, interval="step", eta_min=0.5)
    fitted = model()
    trainer(tmp_path, with_end, **{**run, "max_steps": 4}).fit(fitted)
    assert fitted.used == pytest.approx([1.0, 0.875, 0.625, 0.5])


def test_a_floor_above_a_base_lr(tmp_path: Any) -> None:
    for schedule, argument in [
        (CosineAnnealing(3, eta_min=0.02), "eta_min"),
        (CosineRestarts(3, eta_min=0.02), "eta_min"),
        (CyclicalLR(0.02, step_size=3), "eta_min"),
        (ReduceOnPlateau(min_lr=0.02), "min_lr"),
    ]:
        assert refusal(tmp_path, schedule, model=Recorder(two_groups)) == (
            f"{type(schedule).__name__}: '{argument}' must not lie above the base LR of a parameter group, got 0.02,"
            " but SGD (pg2) has 0.01. Lower it, or leave the group out by 'param_groups'."
        )


def test_momentum_of_an_optimizer_without(tmp_path: Any) -> None:
    schedule = CyclicalLR(0.1, step_size=3, momentum=(0.8, 0.9))
    assert refusal(tmp_path, schedule, model=Recorder(lambda params: torch.optim.Adagrad(params, lr=1.0))).startswith(
        "CyclicalLR: Adagrad has no number 'momentum' to schedule. It has: eps, initial_accumulator_value, lr, "
    )


def test_a_unit_that_is_too_fine_for_the_interval(tmp_path: Any) -> None:
    assert refusal(tmp_path, StepDecay("10 steps"), max_epochs=3) == (
        "StepDecay: 'step_size' must be a whole number of epochs, got '10 steps', which is 1.42857 epochs in this run."
        " Pass step_size=1 or step_size=2, or interval='step'."
    )


def no_one_length(tmp_path: Any) -> str:
    schedule = CosineRestarts("1 epochs", interval="step")
    return refusal(tmp_path, schedule, GradientAccumulationScheduler({0: 1, 2: 7}), max_epochs=4)


def test_a_cycle_in_epochs_that_have_no_one_length_in_steps(tmp_path: Any) -> None:
    assert no_one_length(tmp_path).startswith(
        "CosineRestarts: 't_0' is '1 epochs', which the Trainer cannot turn into steps: "
    )


def test_a_cycle_without_one_length_is_refused_with_the_right_reason(tmp_path: Any) -> None:
    assert no_one_length(tmp_path).endswith(
        ": the number of steps an epoch changes, or has changed. Pass t_0=<number of steps>, or interval='epoch'."
    )


def test_steps_that_are_whole_epochs_are_as_good_as_epochs_and_half_ones_are_not(tmp_path: Any) -> None:
    model = Recorder(batches=2)
    trainer(tmp_path, StepDecay("4 steps", 0.5), max_epochs=4).fit(model)
    assert model.used == [1.0] * 4 + [0.5] * 4
    assert "'3 steps', which is 1.5 epochs" in refusal(tmp_path, StepDecay("3 steps"), model=Recorder(batches=2))


def test_a_metric_that_nothing_logs(tmp_path: Any) -> None:
    model = Recorder(val_batches=1)
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, ReduceOnPlateau("val_los"), max_epochs=3).fit(model)
    assert str(refused.value) == (
        "ReduceOnPlateau: 'monitor' must be a logged metric, got 'val_los'. Did you mean 'val_loss'?"
        " There are: lr-SGD, train_loss, val_loss."
    )
    assert len(model.used) == 7  # one epoch with its validation, and not a batch more


def test_a_metric_that_nothing_logs_beside_endless_data(tmp_path: Any) -> None:
    """No epoch will end, so that the first validation has to tell."""
    model = Stream(val_batches=1)
    with pytest.raises(
        MisconfigurationException, match=r"must be a logged metric, got 'val_los'. Did you mean 'val_loss'"
    ):
        trainer(tmp_path, ReduceOnPlateau("val_los"), max_epochs=1, max_steps=8, val_check_interval=2).fit(model)
    assert len(model.used) == 2


def test_a_formula_that_gives_no_lr(tmp_path: Any) -> None:
    class Broken(LRSchedule):
        def lr_at(self, t: int, base_lr: float) -> float:
            return base_lr - t

    model = Recorder()
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, Broken(interval="step"), max_epochs=1).fit(model)
    assert str(refused.value) == "Broken: lr_at(2, 1.0) must return a finite number >= 0, got -1.0."
    assert model.used == [1.0, 0.0]


VALUES: list[tuple[Callable[[], LRSchedule], str]] = [
    (lambda: StepDecay(0), "StepDecay: 'step_size' must be a positive integer, got 0."),
    (lambda: StepDecay(1.5), "StepDecay: 'step_size' must be a positive integer, got 1.5."),  # type: ignore[arg-type]
    (lambda: StepDecay(True), "StepDecay: 'step_size' must be a positive integer, got True."),
    (
        lambda: StepDecay("5"),
        "StepDecay: 'step_size' must be a duration such as '5 epochs', '500 steps', '9_000 samples' or '10%', got '5'.",
    ),
    (lambda: StepDecay(1, 0), "StepDecay: 'gamma' must be a number in (0, 1], got 0."),
    (lambda: StepDecay(1, 1.1), "StepDecay: 'gamma' must be a number in (0, 1], got 1.1."),
    (lambda: StepDecay(1, float("nan")), "StepDecay: 'gamma' must be a number in (0, 1], got nan."),
    (
        lambda: StepDecay(1, interval="steps"),  # type: ignore[arg-type]
        "StepDecay: 'interval' must be 'epoch', 'step', 'second', a function of the Trainer or its import name, or None"
        " (as its whole), got 'steps'.",
    ),
    (lambda: StepDecay(1, warmup=-1), "StepDecay: 'warmup' must be an integer >= 0, got -1."),
    (
        lambda: StepDecay(1, warmup="a while"),
        "StepDecay: 'warmup' must be a duration such as '5 epochs', '500 steps', '9_000 samples' or '10%',"
        " got 'a while'.",
    ),
    (
        lambda: StepDecay(1, warmup_start_factor=-1),
        "StepDecay: 'warmup_start_factor' must be a number >= 0 or None, got -1.",
    ),
    (
        lambda: StepDecay(1, warmup_start_lr=-0.1),
        "StepDecay: 'warmup_start_lr' must be a number >= 0 or None, got -0.1.",
    ),
    (
        lambda: StepDecay(1, warmup_start_lr=0, warmup_start_factor=0.5),
        "StepDecay: 'warmup_start_lr' must be None beside warmup_start_factor=0.5, got 0.",
    ),
    *(
        (
            partial(StepDecay, 1, warmup_shape="exponential", **start),
            "StepDecay: 'warmup_shape' must be 'linear', 'cosine' or '1-sqrt' where the warmup does not start from a"
            " factor > 0, got 'exponential'.",
        )
        for start in ({"warmup_start_factor": 0.0}, {"warmup_start_lr": 0.1})
    ),
    (
        lambda: Keyframes([0, 1], [0.0, 1.0], shape="exponential"),
        "Keyframes: 'values' must be a list of 2 numbers > 0, one for each position, got 0.0.",
    ),
    (
        lambda: OneCycle(pct_start=0.4, pct_final=0.3),
        "OneCycle: 'pct_final' must be a number in [pct_start (0.4), 1] or None, got 0.3.",
    ),
    (
        lambda: OneCycle(three_phase=True, pct_final=0.9),
        "OneCycle: 'pct_final' must be None beside three_phase=True, got 0.9.",
    ),
    (
        lambda: TanhDecay(lower=3.0),
        "TanhDecay: 'upper' must be a number > lower (3.0), got 3.0.",
    ),
    (lambda: CosineRestarts([]), "CosineRestarts: 't_0' must be a list of durations, got []."),
    (lambda: CosineRestarts(), "CosineRestarts: 'cycles' must be a positive integer beside t_0=None, got None."),
    (lambda: CosineRestarts([3, 4], cycles=2), "CosineRestarts: 'cycles' must be None beside t_0=[3, 4], got 2."),
    (lambda: CosineRestarts([3, 4], 2), "CosineRestarts: 't_mult' must be 1 beside t_0=[3, 4], got 2."),
    (lambda: CosineRestarts(cycles=2, t_mult=2), "CosineRestarts: 't_mult' must be 1 beside t_0=None, got 2."),
    (lambda: CosineRestarts(3, t_max=9), "CosineRestarts: 't_max' must be None beside t_0=3, got 9."),
    (
        lambda: CosineRestarts(3, cycle_warmup_start_factor=1.5),
        "CosineRestarts: 'cycle_warmup_start_factor' must be a number in [0, 1] or None, got 1.5.",
    ),
    (
        lambda: StepDecay(1, optimizer=-1),
        "StepDecay: 'optimizer' must be an index (from 0), a name or None (all of them), got -1.",
    ),
    (
        lambda: StepDecay(1, param_groups=[-1]),
        "StepDecay: 'param_groups' must be an index (from 0), a name, a list of them or None (all of them), got -1.",
    ),
    (lambda: StepDecay(1, log_lr=1), "StepDecay: 'log_lr' must be True or False, got 1."),  # type: ignore[arg-type]
    (
        lambda: StepDecay(1, replace_scheduler="no"),  # type: ignore[arg-type]
        "StepDecay: 'replace_scheduler' must be True or False, got 'no'.",
    ),
    (
        lambda: ExponentialDecay(),
        "ExponentialDecay: 'k' must be given alone, or 'gamma' in its place, got (None, None).",
    ),
    (
        lambda: ExponentialDecay(1.0, gamma=0.5),
        "ExponentialDecay: 'k' must be given alone, or 'gamma' in its place, got (1.0, 0.5).",
    ),
    (lambda: ExponentialDecay(-0.1), "ExponentialDecay: 'k' must be a number >= 0, got -0.1."),
    (lambda: ExponentialDecay(gamma=2), "ExponentialDecay: 'gamma' must be a number in (0, 1], got 2."),
    (
        lambda: CosineAnnealing(t_max=-5),
        "CosineAnnealing: 't_max' must be a positive integer or None (the whole run), got -5.",
    ),
    (lambda: CosineAnnealing(eta_min=-1), "CosineAnnealing: 'eta_min' must be a number >= 0, got -1."),
    (
        lambda: CosineAnnealing(eta_min_ratio=1.5),
        "CosineAnnealing: 'eta_min_ratio' must be a number in [0, 1] or None, got 1.5.",
    ),
    (
        lambda: CosineAnnealing(eta_min=0.1, eta_min_ratio=0.5),
        "CosineAnnealing: 'eta_min_ratio' must be None beside eta_min=0.1, got 0.5.",
    ),
    (lambda: CosineRestarts(0), "CosineRestarts: 't_0' must be a positive integer, got 0."),
    (lambda: CosineRestarts(1, 0), "CosineRestarts: 't_mult' must be a number > 0, got 0."),
    (
        lambda: CosineRestarts(1, decay=0),
        "CosineRestarts: 'decay' must be a number in (0, 1], or a list of numbers > 0, got 0.",
    ),
    (lambda: CyclicalLR(-1, step_size=1), "CyclicalLR: 'eta_min' must be a number >= 0, got -1."),
    (
        lambda: CyclicalLR(1, 0.5, step_size=1),
        "CyclicalLR: 'eta_max' must be a number >= eta_min (1.0) or None (each group's own LR), got 0.5.",
    ),
    (lambda: CyclicalLR(0, step_size=0), "CyclicalLR: 'step_size' must be a positive integer, got 0."),
    (
        lambda: CyclicalLR(0, step_size=1, step_size_down=0),
        "CyclicalLR: 'step_size_down' must be a positive integer or None (the same), got 0.",
    ),
    (
        lambda: CyclicalLR(0, step_size=1, mode="square"),  # type: ignore[arg-type]
        "CyclicalLR: 'mode' must be 'triangular' or 'triangular2' or 'exp_range' or 'cosine', got 'square'.",
    ),
    (lambda: CyclicalLR(0, step_size=1, gamma=2), "CyclicalLR: 'gamma' must be a number in (0, 1], got 2."),
    (
        lambda: CyclicalLR(0, step_size=1, momentum=(0.9, 0.8)),
        "CyclicalLR: 'momentum' must be a pair (low, high) of numbers with 0 <= low <= high < 1, or None,"
        " got (0.9, 0.8).",
    ),
    (lambda: ReduceOnPlateau(""), "ReduceOnPlateau: 'monitor' must be the name of a metric, got ''."),
    (
        lambda: ReduceOnPlateau(mode="auto"),  # type: ignore[arg-type]
        "ReduceOnPlateau: 'mode' must be 'min' or 'max', got 'auto'.",
    ),
    (lambda: ReduceOnPlateau(factor=1), "ReduceOnPlateau: 'factor' must be a number in (0, 1), got 1."),
    (lambda: ReduceOnPlateau(patience=0), "ReduceOnPlateau: 'patience' must be a positive integer, got 0."),
    (lambda: ReduceOnPlateau(threshold=-1), "ReduceOnPlateau: 'threshold' must be a number >= 0, got -1."),
    (
        lambda: ReduceOnPlateau(threshold_mode="x"),  # type: ignore[arg-type]
        "ReduceOnPlateau: 'threshold_mode' must be 'rel' or 'abs', got 'x'.",
    ),
    (lambda: ReduceOnPlateau(cooldown=-1), "ReduceOnPlateau: 'cooldown' must be an integer >= 0, got -1."),
    (lambda: ReduceOnPlateau(min_lr=-1), "ReduceOnPlateau: 'min_lr' must be a number >= 0, got -1."),
]


@pytest.mark.parametrize(("make", "message"), VALUES, ids=[message for _, message in VALUES])
def test_a_wrong_value_is_refused_in_the_constructor(make: Callable[[], LRSchedule], message: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        make()
    assert str(refused.value) == message


@pytest.mark.parametrize("length", [-3, 2.5, "x", None])
def test_a_duration_of_ones_own_schedule_is_checked_too(length: Any, tmp_path: Any) -> None:
    class Mine(LRSchedule):
        periods = ("length_of_it",)

        def __init__(self, length_of_it: Any) -> None:
            super().__init__()
            self.length_of_it = length_of_it

        def lr_at(self, t: int, base_lr: float) -> float:
            return base_lr * 0.5 ** (t / self.length("length_of_it"))

    with pytest.raises((ValueError, MisconfigurationException), match="Mine: 'length_of_it' "):
        trainer(tmp_path, Mine(length), max_epochs=1).fit(Recorder())


def test_a_schedule_without_a_formula_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"LRSchedule must implement lr_at\(t, base_lr\)"):
        LRSchedule().lr_at(0, 1.0)


def test_a_length_that_only_a_run_knows() -> None:
    with pytest.raises(
        MisconfigurationException, match="'t_max' is None, which only a Trainer can turn into intervals"
    ):
        CosineAnnealing().lr_at(0, 1.0)
