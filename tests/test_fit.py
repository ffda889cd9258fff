"""The LR that every update really used: against pencil and paper, and against torch's own schedulers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from models import Recorder, lrs_of_fit, trainer
from torch.optim import lr_scheduler as native

from lightning_lrsched import (
    CosineAnnealing,
    CosineRestarts,
    CyclicalLR,
    ExponentialDecay,
    LRSchedule,
    ReduceOnPlateau,
    StepDecay,
)

HALF_ROOT = math.sqrt(2) / 4  # (1 + cos(pi / 4)) / 2 = 1/2 + HALF_ROOT

# one validation an epoch, so that patience=2 of ours (1 of torch's) reduces after epochs 2 and 4
VAL_LOSS = [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


@dataclass
class Row:
    ours: Callable[..., LRSchedule]
    torch: Callable[[Any], Any]
    hand: list[float]  # the LR at t = 0, 1, ... for base LR 1, worked out by hand
    same_doubles: bool  # whether torch's recursion gives the very same doubles


ROWS = {
    "step": Row(
        lambda **common: StepDecay(2, 0.5, **common),
        lambda optimizer: native.StepLR(optimizer, 2, 0.5),
        [1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 16],
        True,
    ),
    "exponential": Row(
        lambda **common: ExponentialDecay(gamma=0.9, **common),
        lambda optimizer: native.ExponentialLR(optimizer, 0.9),
        [1, 0.9, 0.81, 0.729, 0.6561, 0.59049, 0.531441],
        False,
    ),
    "cosine": Row(
        lambda **common: CosineAnnealing(24, eta_min=0.2, **common),
        lambda optimizer: native.CosineAnnealingLR(optimizer, 24, 0.2),
        # every third of them is on the unit circle's 12 easy angles; the others by 0.2 + 0.8 * cos^2(angle / 2)
        [0.2 + 0.8 * math.cos(math.pi * t / 48) ** 2 for t in range(24)] + [0.2],
        False,
    ),
    "restarts": Row(
        lambda **common: CosineRestarts(2, 2, eta_min=0.2, **common),
        lambda optimizer: native.CosineAnnealingWarmRestarts(optimizer, 2, 2, 0.2),
        [1, 0.6, 1, 0.6 + 0.8 * HALF_ROOT, 0.6, 0.6 - 0.8 * HALF_ROOT, 1],
        False,
    ),
    "cyclical": Row(
        lambda **common: CyclicalLR(0.25, 1.0, step_size=2, step_size_down=4, **common),
        lambda optimizer: native.CyclicLR(optimizer, 0.25, 1.0, 2, 4, cycle_momentum=False),
        [0.25, 0.625, 1, 0.8125, 0.625, 0.4375, 0.25, 0.625, 1],
        False,
    ),
    "plateau": Row(
        lambda **common: ReduceOnPlateau(factor=0.5, patience=2, **common),
        lambda optimizer: {
            "scheduler": native.ReduceLROnPlateau(optimizer, factor=0.5, patience=1),
            "monitor": "val_loss",
        },
        [1, 1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 4],
        True,
    ),
}


def model_for(name: str, configure: Any = None) -> Recorder:
    model = Recorder(configure or (lambda params: torch.optim.SGD(params, lr=1.0)), val_batches=name == "plateau")
    model.val_metrics = list(VAL_LOSS)
    return model


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("name", ROWS)
def test_lrs_are_those_worked_by_hand(name: str, interval: Any, accumulate: int, tmp_path: Any) -> None:
    epochs, updates = 7, math.ceil(7 / accumulate)
    model = model_for(name)
    used = lrs_of_fit(
        tmp_path,
        ROWS[name].ours(interval=interval),
        model=model,
        max_epochs=epochs,
        accumulate_grad_batches=accumulate,
    )
    by_epoch = interval == "epoch" or name == "plateau"
    positions = [t // updates if by_epoch else t for t in range(epochs * updates)]
    known = [(lr, ROWS[name].hand[t]) for lr, t in zip(used, positions, strict=True) if t < len(ROWS[name].hand)]
    assert len(known) >= 7
    for lr, by_hand in known:
        assert lr == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("name", ROWS)
def test_lrs_and_weights_equal_those_under_torchs_scheduler(
    name: str, interval: Any, accumulate: int, tmp_path: Any
) -> None:
    run = {"max_epochs": 3, "accumulate_grad_batches": accumulate}
    row = ROWS[name]

    def configure(params: Any) -> Any:
        optimizer = torch.optim.SGD(params, lr=1.0)
        scheduler = row.torch(optimizer)
        config = scheduler if isinstance(scheduler, dict) else {"scheduler": scheduler, "interval": interval}
        return {"optimizer": optimizer, "lr_scheduler": config}

    theirs = model_for(name, configure)
    trainer(tmp_path, **run).fit(theirs)
    ours = model_for(name)
    trainer(tmp_path, row.ours(interval=interval), **run).fit(ours)

    assert ours.used == pytest.approx(theirs.used, rel=1e-12)
    assert (ours.used == theirs.used) or not row.same_doubles
    for mine, native_weight in zip(ours.parameters(), theirs.parameters(), strict=True):
        if row.same_doubles:
            assert torch.equal(mine, native_weight)
        else:
            torch.testing.assert_close(mine, native_weight, rtol=1e-6, atol=0.0)


def test_warmup_rises_evenly_to_the_first_value_and_the_schedule_starts_there(tmp_path: Any) -> None:
    used = lrs_of_fit(tmp_path, StepDecay(2, 0.5, interval="step", warmup=4), max_epochs=1, model=Recorder(batches=8))
    assert used == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 0.5, 0.5], rel=1e-15)
    assert used[4] == 1.0


def test_warmup_from_a_stated_factor(tmp_path: Any) -> None:
    schedule = ExponentialDecay(gamma=0.5, interval="step", warmup=4, warmup_start_factor=0.0)
    assert lrs_of_fit(tmp_path, schedule, max_epochs=1) == [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.25]


def test_warmup_and_cosine_fill_the_run_and_end_on_the_floor(tmp_path: Any) -> None:
    model = Recorder()
    fit = trainer(tmp_path, CosineAnnealing(interval="step", warmup="1 epochs", eta_min=0.125), max_epochs=3)
    fit.fit(model)
    assert model.used[7] == 1.0  # warmup of one epoch, 7 updates
    assert model.used[14] == pytest.approx(0.5625)  # half of the 14 that are left
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.125


def test_momentum_swings_against_the_lr(tmp_path: Any) -> None:
    def run(make: Any, warmup: int = 0) -> list[Any]:
        model = Recorder(make, batches=5 + warmup)
        schedule = CyclicalLR(0.1, 1.0, step_size=2, momentum=(0.8, 0.9), interval="step", warmup=warmup)
        trainer(tmp_path, schedule, max_epochs=1).fit(model)
        return model.first_momenta

    swing = [0.9, 0.85, 0.8, 0.85, 0.9]
    assert run(lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9)) == pytest.approx(swing)
    assert run(lambda p: torch.optim.AdamW(p, lr=1.0)) == [pytest.approx((m, 0.999)) for m in swing]
    # a warmup warms the LR only
    assert run(lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9), 3) == pytest.approx([0.9, 0.9, 0.9, *swing])


def test_a_momentum_that_is_cycled_from_mid_run_on(tmp_path: Any) -> None:
    class Cycles(Recorder):
        def on_train_batch_end(self, *args: Any) -> None:
            if self.trainer.global_step == 2:
                schedule.momentum = (0.8, 0.9)

    model = Cycles(lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.5), batches=6)
    schedule = CyclicalLR(0.1, 1.0, step_size=2, interval="step")
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    assert model.first_momenta == pytest.approx([0.5, 0.5, 0.8, 0.85, 0.9, 0.85])


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
def test_every_cyclical_mode_equals_torchs(mode: Any) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    theirs = native.CyclicLR(optimizer, 0.25, 1.0, 3, 5, mode=mode, gamma=0.95, base_momentum=0.5, max_momentum=0.9)
    ours = CyclicalLR(0.25, 1.0, step_size=3, step_size_down=5, mode=mode, gamma=0.95, momentum=(0.5, 0.9))
    for t in range(40):
        assert ours.lr_at(t, base_lr=1.0) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        assert ours.momentum_at(t) == pytest.approx(optimizer.param_groups[0]["momentum"], rel=1e-12)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("warmup", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("name", ROWS)
def test_tiny_runs_have_finite_lrs(name: str, interval: Any, total: int, warmup: int, tmp_path: Any) -> None:
    if name == "cosine":
        schedule: LRSchedule = CosineAnnealing(interval=interval, warmup=warmup)
    else:
        schedule = ROWS[name].ours(interval=interval, warmup=warmup)
    model = model_for(name)
    model.batches = 1
    used = lrs_of_fit(tmp_path, schedule, model=model, max_epochs=total)
    assert len(used) == total
    assert all(math.isfinite(lr) and 0 <= lr <= 1 for lr in used)


@pytest.mark.parametrize("name", ROWS)
def test_fast_dev_run(name: str, tmp_path: Any) -> None:
    assert len(lrs_of_fit(tmp_path, ROWS[name].ours(), model=model_for(name), fast_dev_run=True)) == 1


def test_limit_of_one_training_batch(tmp_path: Any) -> None:
    schedule = CosineAnnealing(interval="step")
    assert lrs_of_fit(tmp_path, schedule, max_epochs=2, limit_train_batches=1) == pytest.approx([1.0, 0.5])
