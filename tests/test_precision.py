"""fp16: an update that the GradScaler skipped is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from models import Recorder, saver, trainer

from lightning_lrsched import ExponentialDecay, StepDecay


class Overflows(Recorder):
    """The loss of batches 0 and 1 is infinite."""

    def __init__(self, fused: bool, manual: bool = False) -> None:
        super().__init__(lambda params: torch.optim.AdamW(params, lr=1.0, fused=fused), batches=4)
        self.automatic_optimization = not manual
        self.bad = {0, 1}

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.layer(batch).float().pow(2).mean() * (float("inf") if batch_idx in self.bad else 1.0)
        if self.automatic_optimization:
            return loss
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        return None


def fp16() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=4.0))


@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
@pytest.mark.parametrize("fused", [False, True])
def test_skipped_updates_do_not_count(fused: bool, manual: bool, tmp_path: Path) -> None:
    model = Overflows(fused, manual)
    fit = trainer(tmp_path, StepDecay(1, 0.5, interval="step"), plugins=[fp16()], max_epochs=1)
    fit.fit(model)
    assert model.used == [1.0, 1.0, 1.0, 0.5]
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.25
    assert fit.global_step == 4


@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
@pytest.mark.parametrize("fused", [False, True])
def test_the_skipped_ones_are_remembered_in_a_checkpoint(fused: bool, manual: bool, tmp_path: Path) -> None:
    run = {"max_epochs": 2}
    full = Overflows(fused, manual)
    schedule = StepDecay(1, 0.5, interval="step")
    trainer(tmp_path, schedule, saver(tmp_path), plugins=[fp16()], **run).fit(full)
    for step in range(1, 8):
        model = Overflows(fused, manual)
        fit = trainer(tmp_path, StepDecay(1, 0.5, interval="step"), plugins=[fp16()], **run)
        fit.fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
        assert model.used == full.used[step:], step


def test_without_a_scaler_nothing_is_counted(tmp_path: Path) -> None:
    model = Overflows(fused=False)
    schedule = StepDecay(1, 0.5, interval="step")
    trainer(tmp_path, schedule, precision="bf16-mixed", max_epochs=1).fit(model)
    assert model.used == [1.0, 0.5, 0.25, 0.125]
    assert schedule.state_dict()["record"]["skipped"] == 0


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_another_schedule_knows_of_the_skipped_ones(tmp_path: Path) -> None:
    """Two of the first 4 updates are."""
    run = {"max_epochs": 2}
    first = Overflows(fused=False)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), saver(tmp_path), plugins=[fp16()], **run).fit(first)
    model = Overflows(fused=False)
    model.bad = set()
    fit = trainer(tmp_path, ExponentialDecay(gamma=0.5, interval="step"), plugins=[fp16()], **run)
    fit.fit(model, ckpt_path=tmp_path / "4.ckpt")
    assert model.used == [0.25, 0.125, 0.0625, 0.03125]
