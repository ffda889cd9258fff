"""Reduce and rewind: what ``restore_best`` puts back, against a training loop of torch's alone."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from models import Recorder, saver, trainer
from torch import Tensor, nn

from lightning_lrsched import BackOffOnSpike, ProductSchedule, ReduceOnPlateau, StepDecay

METRICS = [2.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5]  # best at epoch 1; with patience 2, reductions after epochs 3 and 5
OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "adam": lambda params: torch.optim.Adam(params, lr=0.1),
    "tensor": lambda params: torch.optim.AdamW(params, lr=torch.tensor(0.1)),
    "rprop": lambda params: torch.optim.Rprop(params, lr=0.1),
}


class Net(Recorder):
    def __init__(self, configure: Any = OPTIMIZERS["sgd"], **kw: Any) -> None:
        super().__init__(configure, **{"batches": 3, "val_batches": 1, **kw})
        self.norm = nn.BatchNorm1d(1)  # its running averages are no parameters

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.norm(self.layer(batch)) - batch.sum(1, keepdim=True)).pow(2).mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", METRICS[self.trainer.current_epoch])


def by_hand(configure: Any, epochs: int) -> dict[str, Any]:
    """The weights after so many epochs, with all of epoch 1 but the LR put back after epochs 3 and 5."""
    net = Net(configure)
    optimizer = net.configure_optimizers()
    best: Any = None
    for epoch in range(epochs):
        for index, batch in enumerate(net.train_dataloader()):
            net.training_step(batch, index).backward()
            optimizer.step()
            optimizer.zero_grad()
        if epoch == 1:
            best = deepcopy((net.state_dict(), optimizer.state_dict()["state"]))
        if epoch in (3, 5):
            weights, state = deepcopy(best)
            net.load_state_dict(weights)
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * 0.5
    return net.state_dict()


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def rewinding(**arguments: Any) -> ReduceOnPlateau:
    return ReduceOnPlateau(patience=2, factor=0.5, restore_best=True, **arguments)


@pytest.mark.parametrize("configure", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_weights_and_optimizer_state_come_back_and_a_resume_remembers_them(configure: Any, tmp_path: Path) -> None:
    full, schedule = Net(configure), rewinding()
    fit = trainer(tmp_path, schedule, saver(tmp_path, "on_train_epoch_end"), max_epochs=7)
    fit.fit(full)
    lrs = [0.1] * 12 + [0.05] * 6 + [0.025] * 3
    assert full.used == [pytest.approx(lr) for lr in lrs]
    assert same(full.state_dict(), by_hand(configure, 7))
    assert [decision.epoch for decision in schedule.journal] == [3, 5]
    assert all("the weights of the best check are put back" in decision.reason for decision in schedule.journal)
    for epoch in range(1, 7):
        assert torch.load(tmp_path / f"{3 * epoch}.ckpt", weights_only=True)
        model = Net(configure)
        trainer(tmp_path, rewinding(), max_epochs=7).fit(model, ckpt_path=tmp_path / f"{3 * epoch}.ckpt")
        assert model.used == full.used[3 * epoch :]
        assert same(model.state_dict(), full.state_dict()), epoch


def test_a_tensor_lr_stays_the_same_object(tmp_path: Path) -> None:
    seen = set()

    class Look(Callback):
        def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
            seen.add(id(trainer.optimizers[0].param_groups[0]["lr"]))

    trainer(tmp_path, rewinding(), Look(), max_epochs=5).fit(Net(OPTIMIZERS["tensor"]))
    assert len(seen) == 1


def test_an_open_accumulation_window_is_closed_first(tmp_path: Path) -> None:
    """Windows of 2 batches, a validation after each batch: the third check, in mid-window, decides."""
    weights: list[Any] = []

    class Open(Net):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            weights.append(deepcopy(self.state_dict()))

        def validation_step(self, batch: Tensor, batch_idx: int) -> None:
            self.log("val_loss", [1.0, 2.0, 2.0, 2.0][len(weights) - 1])

    run = {"max_epochs": 1, "accumulate_grad_batches": 2, "val_check_interval": 1}
    model = Open(batches=4)
    trainer(tmp_path, rewinding(), num_sanity_val_steps=0, **run).fit(model)
    assert model.used == [0.1, 0.1]  # the window that was open when the check came keeps its LR
    final = model.state_dict()
    assert torch.equal(final["layer.weight"], weights[1]["layer.weight"])  # of the best check, after batch 0
    assert torch.equal(weights[2]["layer.weight"], weights[3]["layer.weight"])
    assert not torch.equal(weights[2]["layer.weight"], final["layer.weight"])


def test_a_group_that_came_in_between_begins_anew(tmp_path: Path) -> None:
    class Grows(Net):
        def __init__(self) -> None:
            super().__init__(lambda p: torch.optim.SGD(list(p)[:2], lr=0.1, momentum=0.9))

        def on_train_epoch_start(self) -> None:
            if self.current_epoch == 2:
                group = {"params": list(self.norm.parameters()), "lr": 0.1}
                self.trainer.optimizers[0].add_param_group(group)

    model, schedule = Grows(), rewinding()
    fit = trainer(tmp_path, schedule, max_epochs=4)
    fit.fit(model)
    assert model.used[-1] == [0.1, 0.1]
    assert [group["lr"] for group in fit.optimizers[0].param_groups] == [0.05, 0.05]
    assert fit.optimizers[0].state_dict()["state"].keys() == {0, 1}
    assert schedule.memory.kept is not None
    assert same(model.state_dict(), schedule.memory.kept["state_dict"])


def test_in_manual_optimization_under_a_product(tmp_path: Path) -> None:
    class Manual(Net):
        automatic_optimization = False

        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(super().training_step(batch, batch_idx))
            optimizer.step()
            return torch.tensor(0.0)

    schedule = ProductSchedule([rewinding(interval="step"), StepDecay(99, interval="step")], interval="step")
    model = Manual()
    trainer(tmp_path, schedule, max_epochs=7).fit(model)
    assert same(model.state_dict(), by_hand(OPTIMIZERS["sgd"], 7))


def test_without_a_best_check_nothing_is_put_back(tmp_path: Path) -> None:
    class Diverges(Net):
        def validation_step(self, batch: Tensor, batch_idx: int) -> None:
            self.log("val_loss", float("nan"))

    schedule = rewinding(on_nan="reduce")
    with pytest.warns(UserWarning, match="which counts as no improvement"):
        trainer(tmp_path, schedule, max_epochs=2).fit(Diverges())
    assert [decision.reason for decision in schedule.journal] == ["val_loss is nan"] * 2


def test_the_average_comes_back_with_the_weights() -> None:
    """Means of two: 1.0, 0.9, then 1.1 and 1.3 as 1.2 and 1.4 come; the reduction leaves 0.9, of 1.0 and 0.8."""
    schedule = rewinding(smoothing=2)
    schedule.memory.kept = {}
    for value in (1.0, 0.8, 1.4, 1.2):
        schedule.check(value)
    assert (schedule.reductions, schedule.memory.best, schedule.memory.average[2]) == (1, 0.9, (1.0, 0.8))
    schedule.check(0.98)  # with 0.8 a mean of 0.89
    assert schedule.memory.best == pytest.approx(0.89)


@pytest.mark.parametrize(
    ("schedule", "rule"),
    [
        (rewinding(), "ReduceOnPlateau: 'restore_best' must be False"),
        (BackOffOnSpike("grad_norm"), "BackOffOnSpike: 'watch' must be 'loss'"),
    ],
)
def test_a_strategy_whose_shards_have_no_name_is_refused(
    schedule: Any, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = trainer(tmp_path, schedule, max_epochs=1)
    monkeypatch.setattr(type(fit.strategy), "restore_checkpoint_after_setup", True)
    why = "under SingleDeviceStrategy, whose shards do not say which part of the model they are. Those of "
    with pytest.raises(MisconfigurationException, match=f"{rule} {why}ModelParallelStrategy, by fully_shard, do."):
        fit.fit(Net())


def test_an_optimizer_that_shards_its_state_is_refused(tmp_path: Path) -> None:
    class Zero(torch.optim.SGD):
        def consolidate_state_dict(self, to: int = 0) -> None:
            """As ZeroRedundancyOptimizer has it."""

    rule = "'restore_best' must be False with Zero, which tells the state of its shard only to rank zero."
    with pytest.raises(MisconfigurationException, match=rule):
        trainer(tmp_path, rewinding(), max_epochs=1).fit(Net(lambda params: Zero(params, lr=0.1)))
