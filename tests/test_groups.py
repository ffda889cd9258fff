"""Parameter groups that come and go, layer-wise LRs, and tensor LRs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from cases import CASES
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import BackboneFinetuning
from models import LayerWise, Recorder, saver, trainer
from torch import Tensor, nn

from lightning_lrsched import Constant, CosineAnnealing, ExponentialDecay, ReduceOnPlateau, StepDecay
from lightning_lrsched.fit.groups import DrivenGroups, Selection


class Grows(Recorder):
    """A second group with its own LR joins the optimizer after ``after`` updates."""

    def __init__(self, after: int = 2, hook: str = "on_train_batch_end", lr: float = 0.1, **kw: Any) -> None:
        super().__init__(**kw)
        self.late = nn.Linear(2, 1)
        self.after, self.hook, self.lr = after, hook, lr

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.layer.parameters(), lr=1.0)

    def grow(self) -> None:
        optimizer: Any = self.trainer.optimizers[0]
        if self.trainer.global_step == self.after and len(optimizer.param_groups) == 1:
            optimizer.add_param_group({"params": list(self.late.parameters()), "lr": self.lr})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.regrow = len(checkpoint["optimizer_states"][0]["param_groups"]) == 2

    def on_fit_start(self) -> None:
        if getattr(self, "regrow", False):
            self.trainer.optimizers[0].add_param_group({"params": list(self.late.parameters()), "lr": 7.0})

    def on_train_batch_end(self, *args: Any) -> None:
        if self.hook == "on_train_batch_end":
            self.grow()

    def on_train_batch_start(self, *args: Any) -> None:
        if self.hook == "on_train_batch_start":
            self.grow()

    @property
    def late_lrs(self) -> list[float]:
        return [lrs[1] for lrs in self.used if isinstance(lrs, list)]


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_train_batch_start"])
def test_a_late_group_keeps_its_lr_once_and_then_follows_in_proportion(hook: str, tmp_path: Path) -> None:
    model = Grows(hook=hook, batches=6)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(model)
    assert model.used[:2] == [1.0, 0.5]
    assert model.late_lrs[0] == 0.1
    assert model.late_lrs == pytest.approx([0.1, 0.05, 0.025, 0.0125])


def test_a_late_group_by_epochs(tmp_path: Path) -> None:
    model = Grows(after=3, batches=2)  # in the middle of epoch 1
    trainer(tmp_path, StepDecay(1, 0.5), max_epochs=4).fit(model)
    assert model.late_lrs == pytest.approx([0.1, 0.05, 0.05, 0.025, 0.025])


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`", "ignore:StepDecay")
@pytest.mark.parametrize("after", [StepDecay(1, 0.25), ExponentialDecay(gamma=0.25)], ids=["the same", "another"])
def test_a_late_groups_first_step_is_no_epoch_of_a_resume_by_epochs(after: Any, tmp_path: Path) -> None:
    save = saver(tmp_path, "on_train_epoch_end")
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), save, max_epochs=4).fit(Grows(batches=2))
    tail = Grows(batches=2)
    trainer(tmp_path, after, max_epochs=4).fit(tail, ckpt_path=tmp_path / "4.ckpt")
    # it came after 2 steps, at 1/4 of the others' base, which epochs 2 and 3 take to 1/16 and 1/64
    assert tail.late_lrs == pytest.approx([0.025, 0.025, 0.00625, 0.00625])


def test_a_floor_and_a_warmup_scale_a_late_group_with_the_rest(tmp_path: Path) -> None:
    model = Grows(after=1, batches=6)
    trainer(tmp_path, CosineAnnealing(2, eta_min=0.5, interval="step", warmup=3), max_epochs=1).fit(model)
    plain = [lrs[0] for lrs in model.used if isinstance(lrs, list)]
    assert plain == pytest.approx([0.5, 0.75, 1.0, 0.75, 0.5])
    assert model.late_lrs == pytest.approx([0.1, 0.15, 0.2, 0.15, 0.1])


def test_an_lr_of_zero_has_no_multiples(tmp_path: Path) -> None:
    """A group that comes while the schedule stands at 0 counts its LR as a base LR."""
    model = Grows(after=1, batches=6)
    schedule = StepDecay(2, 0.5, interval="step", warmup=2, warmup_start_factor=0.0)
    model.after = 0
    model.hook = "on_train_batch_start"
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    assert model.late_lrs == pytest.approx([0.1, 0.05, 0.1, 0.1, 0.05, 0.05])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_schedule_takes_a_late_group_also_after_a_resume(case: Any, tmp_path: Path) -> None:
    def run(*callbacks: Any, ckpt_path: Path | None = None) -> list[Any]:
        model = Grows(batches=3, val_batches=1)
        schedule = case.make(interval="step")
        trainer(tmp_path, schedule, *callbacks, max_epochs=3).fit(model, ckpt_path=ckpt_path)
        return model.used

    full = run(saver(tmp_path))
    assert full[2][1] == 0.1
    assert all(lr >= 0 for lrs in full[2:] for lr in lrs)
    for step in (1, 4, 5, 7):  # the checkpoint of step 2 is saved just before the group comes
        assert run(ckpt_path=tmp_path / f"{step}.ckpt") == full[step:], step


@pytest.mark.parametrize("first", [True, False], ids=["schedule first", "finetuning first"])
def test_backbone_finetuning(first: bool, tmp_path: Path) -> None:
    class Finetuned(Recorder):
        def __init__(self) -> None:
            super().__init__(batches=2)
            self.backbone = nn.Linear(2, 2)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(filter(lambda p: p.requires_grad, self.parameters()), lr=1.0)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.layer(self.backbone(batch)).pow(2).mean() * 1e-3

    def run(*callbacks: Any, ckpt_path: Path | None = None) -> list[Any]:
        own = [
            StepDecay(1, 0.5),
            BackboneFinetuning(unfreeze_backbone_at_epoch=2, backbone_initial_ratio_lr=0.1, lambda_func=lambda e: 3.0),
        ]
        model = Finetuned()
        trainer(tmp_path, *own[:: 1 if first else -1], *callbacks, max_epochs=5).fit(model, ckpt_path=ckpt_path)
        return model.used

    full = run(saver(tmp_path))
    assert full[:4] == [1.0, 1.0, 0.5, 0.5]
    assert full[4:] == [pytest.approx([lr, lr / 10]) for lr in (0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625)]
    # at 4 Lightning resumes inside epoch 2 without its on_train_epoch_start, and BackboneFinetuning never unfreezes
    for step in (1, 2, 3, 5, 6, 7, 8, 9):
        assert run(ckpt_path=tmp_path / f"{step}.ckpt") == full[step:], step


def test_a_replaced_list_of_groups_is_driven_on(tmp_path: Path) -> None:
    class Replaces(Recorder):
        def on_train_batch_end(self, *args: Any) -> None:
            optimizer: Any = self.trainer.optimizers[0]
            optimizer.load_state_dict(optimizer.state_dict())
            optimizer.param_groups = [dict(group) for group in optimizer.param_groups]

    model = Replaces()
    trainer(tmp_path, StepDecay(2, 0.5, interval="step"), max_epochs=1).fit(model)
    assert model.used == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_two_hundred_layer_wise_lrs_keep_their_ratios(tmp_path: Path) -> None:
    lrs = [0.9**i for i in range(200)]

    model = LayerWise(lrs)
    trainer(tmp_path, ExponentialDecay(gamma=0.5, interval="step"), max_epochs=1).fit(model)
    assert model.used == [[lr * 0.5**t for lr in lrs] for t in range(7)]


def test_a_formula_that_ends_is_followed_that_far(tmp_path: Path) -> None:
    class Ends(StepDecay):
        def formula(self) -> Any:
            return [(1.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.25, 0.0, 0.0)].__getitem__

    model = Recorder()
    with pytest.raises(IndexError):
        trainer(tmp_path, Ends(1, interval="step"), max_epochs=1).fit(model)
    assert model.used == [1.0, 0.5, 0.25]


def test_only_where_intervals_come_one_by_one_the_next_ones_are_worked_out(tmp_path: Path) -> None:
    asked: list[int] = []

    class Noting(StepDecay):
        def formula(self) -> Any:
            line = super().formula()
            return lambda t: (asked.append(t), line(t))[1]

    model, schedule = Recorder(batches=30), Noting(100, 0.5, interval=lambda trainer: 100 * trainer.global_step)
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    assert model.used[:6] == [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125]
    assert {*asked} == {100 * t for t in range(31)}


def test_of_many_groups_fewer_values_are_worked_out_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lightning_lrsched.fit.groups.AHEAD_IN_ALL", 5)
    driven = DrivenGroups(0, LayerWise([1.0, 0.5, 0.25]).configure_optimizers(), Selection(None))
    driven.foresee(0, map(StepDecay(1, 0.5).formula(), range(10)))
    assert driven.coming == {0: [1.0, 0.5, 0.25], 1: [0.5, 0.25, 0.125]}
    driven.foresee(0, map(StepDecay(10, 0.5).formula(), range(10)))
    assert [*driven.coming] == [*range(10)]
    model = LayerWise([1.0, 0.5])
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(model)
    assert model.used == [[0.5**t, 0.5 ** (t + 1)] for t in range(7)]


def test_some_groups_by_name_and_index_leave_the_others_alone(tmp_path: Path) -> None:
    def groups(params: Any) -> Any:
        weight, bias = params
        return torch.optim.SGD([{"params": [weight], "name": "w"}, {"params": [bias], "name": "b"}], lr=1.0)

    for selection in ("b", ["b"], 1, [1, "b"]):
        model = Recorder(groups, batches=3)
        trainer(tmp_path, StepDecay(1, 0.5, interval="step", param_groups=selection), max_epochs=1).fit(model)
        assert model.used == [[1.0, 1.0], [1.0, 0.5], [1.0, 0.25]]


class TensorLR(Recorder):
    def __init__(self, shared: bool = False, capturable: bool = True) -> None:
        super().__init__()
        self.shared, self.capturable = shared, capturable
        self.tensors: list[set[int]] = []

    def configure_optimizers(self) -> Any:
        weight, bias = self.parameters()
        one = torch.tensor(0.5)
        groups = [{"params": [weight], "lr": one}, {"params": [bias], "lr": one if self.shared else torch.tensor(0.25)}]
        return torch.optim.SGD(groups, fused=True)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        assert all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)
        self.tensors.append({id(group["lr"]) for group in optimizer.param_groups})


@pytest.mark.parametrize("shared", [False, True])
def test_tensor_lrs_are_written_in_place_and_stay_the_same_objects(shared: bool, tmp_path: Path) -> None:
    model = TensorLR(shared)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(model)
    other = 0.5 if shared else 0.25
    assert model.used == [[0.5 / 2**t, other / 2**t] for t in range(7)]
    assert len(model.tensors[0]) == (1 if shared else 2)
    assert all(tensors == model.tensors[0] for tensors in model.tensors)


def test_an_edit_beside_a_tensor_is_undone_and_the_tensor_stays(tmp_path: Path) -> None:
    class Mixed(TensorLR):
        """The second group has a plain LR, which other code edits after every update."""

        def configure_optimizers(self) -> Any:
            optimizer = super().configure_optimizers()
            optimizer.param_groups[1]["lr"] = 0.25
            return optimizer

        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            Recorder.optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure)
            self.tensors.append({id(optimizer.param_groups[0]["lr"])})
            optimizer.param_groups[1]["lr"] = 7.0

    model = Mixed()
    trainer(tmp_path, StepDecay(1, 0.5), max_epochs=3, limit_train_batches=1).fit(model)
    assert model.used == [[0.5, 0.25], [0.25, 0.125], [0.125, 0.0625]]
    trainer(tmp_path, StepDecay(9, 0.5), max_epochs=2, limit_train_batches=1).fit(edited := Mixed())
    assert edited.used == [[0.5, 0.25]] * 2
    assert len(set.union(*edited.tensors)) == 1


def test_a_shared_tensor_is_written_once_an_update(tmp_path: Path, monkeypatch: Any) -> None:
    fills: list[float] = []
    fill = Tensor.fill_
    model = TensorLR(shared=True)

    class Counts(Callback):
        def on_train_start(self, *args: Any) -> None:
            monkeypatch.setattr(Tensor, "fill_", lambda t, value: (fills.append(value), fill(t, value))[1])

    trainer(tmp_path, Counts(), StepDecay(1, 0.5, interval="step", log_lr=False), max_epochs=1).fit(model)
    monkeypatch.undo()
    assert [value for value in fills if 0 < value < 0.5] == [0.5 / 2**t for t in range(1, 8)]


def test_tensor_lrs_are_not_read_back_in_the_hot_path(tmp_path: Path, monkeypatch: Any) -> None:
    schedule = StepDecay(1, 0.5, interval="step", log_lr=False)
    read: list[Any] = []
    inside = [False]

    class Brackets(Callback):
        """Notes readings of tensors while the schedule's own hook runs."""

        def on_train_start(self, *args: Any) -> None:
            hook = schedule.on_train_batch_start

            def watched(*args: Any) -> None:
                inside[0] = True
                hook(*args)
                inside[0] = False

            monkeypatch.setattr(schedule, "on_train_batch_start", watched)
            for name in ("item", "__float__", "__eq__", "tolist", "cpu"):
                real = getattr(Tensor, name)

                def noted(tensor: Tensor, *args: Any, real: Any = real) -> Any:
                    if inside[0]:
                        read.append(tensor)
                    return real(tensor, *args)

                monkeypatch.setattr(Tensor, name, noted)

    model = TensorLR()
    trainer(tmp_path, schedule, Brackets(), max_epochs=2).fit(model)
    monkeypatch.undo()
    assert len(model.used) == 14
    assert read == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore:Guards may run slower on Python 3.13.0")
def test_a_compiled_step_recompiles_at_most_once_over_1000_lrs() -> None:
    from torch._dynamo.testing import CompileCounter

    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = torch.optim.SGD([weight], lr=torch.tensor(1.0))
    driven = DrivenGroups(0, optimizer, Selection(None))
    schedule = ExponentialDecay(gamma=0.99)
    counter = CompileCounter()
    torch._dynamo.reset()

    @torch.compile(backend=counter)
    def step() -> None:
        optimizer.step()

    driven.foresee(0, map(schedule.formula(), range(1000)))
    for t in range(1000):
        driven.put(t)
        step()
    torch._dynamo.reset()
    assert counter.frame_count <= 2
    assert float(weight.detach()[0]) == pytest.approx(1 - (1 - 0.99**1000) / 0.01, rel=1e-4)


class Joins(Recorder):
    """A named group joins before the first batch of epoch 1."""

    def __init__(self, name: str = "backbone.x", **kw: Any) -> None:
        super().__init__(**kw)
        self.late, self.name = nn.Linear(2, 1), name

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD([{"params": list(self.layer.parameters()), "name": "head"}], lr=1.0)

    def on_train_epoch_start(self) -> None:
        if self.trainer.current_epoch == 1:
            self.join()

    def join(self) -> None:
        group = {"params": list(self.late.parameters()), "name": self.name, "lr": 0.5, "weight_decay": 0.25}
        self.trainer.optimizers[0].add_param_group(group)


def test_a_reduction_reaches_a_group_that_has_just_come(tmp_path: Path) -> None:
    model = Joins(batches=1, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau(patience=1, factor=0.5), max_epochs=4).fit(model)
    assert model.used == [1.0, [1.0, 0.5], [0.5, 0.25], [0.25, 0.125]]


@pytest.mark.filterwarnings("ignore:.* no parameter group fits")
def test_a_group_that_comes_under_two_schedules_is_refused(tmp_path: Path) -> None:
    model = Joins(batches=1)
    schedules = StepDecay(1, 0.5, param_groups=["head", "*.x"]), Constant(param_groups="backbone*")
    with pytest.raises(
        MisconfigurationException, match=r"both schedule the LR of optimizer 0 .SGD., parameter group 1"
    ):
        trainer(tmp_path, *schedules, max_epochs=3).fit(model)
    assert model.used == [1.0]


def test_a_group_keeps_its_base_when_another_is_deleted(tmp_path: Path) -> None:
    class Deletes(Recorder):
        def configure_optimizers(self) -> Any:
            weight, bias = self.parameters()
            return torch.optim.SGD([{"params": [weight]}, {"params": [bias], "lr": 0.25}], lr=1.0)

        def on_train_epoch_start(self) -> None:
            if self.trainer.current_epoch == 2:
                del self.trainer.optimizers[0].param_groups[0]

    model = Deletes(batches=1)
    trainer(tmp_path, StepDecay(1, 0.5), max_epochs=4).fit(model)
    assert model.used == [[1.0, 0.25], [0.5, 0.125], 0.0625, 0.03125]


def test_a_group_is_found_by_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    def groups(params: Any) -> Any:
        weight, bias = params
        return torch.optim.SGD([{"params": [weight], "name": "layer[0]"}, {"params": [bias]}], lr=1.0)

    model = Recorder(groups, batches=2)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step", param_groups="layer[0]"), max_epochs=1).fit(model)
    assert model.used == [[1.0, 1.0], [0.5, 1.0]]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_another_schedule_goes_on_with_the_late_groups_of_its_own_hyperparameter(tmp_path: Path) -> None:
    class Regrows(Joins):
        def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            self.regrow = len(checkpoint["optimizer_states"][0]["param_groups"]) == 2

        def on_fit_start(self) -> None:
            if getattr(self, "regrow", False):
                self.join()

    def run(lr: Any, *callbacks: Any, **fit: Any) -> list[Any]:
        model = Regrows(batches=1)
        decay = ExponentialDecay(gamma=0.9, hyperparameter="weight_decay")
        trainer(tmp_path, lr, decay, *callbacks, max_epochs=5).fit(model, **fit)
        return model.used

    full = run(ExponentialDecay(gamma=0.5), saver(tmp_path))
    assert full == [1.0, [0.5, 0.5], [0.25, 0.25], [0.125, 0.125], [0.0625, 0.0625]]
    assert run(StepDecay(1, 0.5), ckpt_path=tmp_path / "3.ckpt") == full[3:]


def test_a_group_that_comes_before_a_manual_step_has_its_lr_for_that_step_alone(tmp_path: Path) -> None:
    class ByHand(Joins):
        def __init__(self) -> None:
            super().__init__(batches=5)
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            optimizer: Any = self.optimizers()
            if batch_idx == 2:
                self.join()
            self.used.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()

    model = ByHand()
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(model)
    assert model.used == [[1.0], [0.5], [0.25, 0.5], [0.125, 0.25], [0.0625, 0.125]]


@pytest.mark.filterwarnings("ignore:StepDecay. changed since the last fit")
def test_a_group_that_came_late_is_one_of_the_first_in_the_next_fit(tmp_path: Path) -> None:
    """The module then makes its optimizer with both."""

    class Keeps(Joins):
        def configure_optimizers(self) -> Any:
            optimizer: Any = super().configure_optimizers()
            if self.used:
                optimizer.add_param_group({"params": list(self.late.parameters()), "lr": 0.25})
            return optimizer

    model = Keeps(batches=1)
    fit = trainer(tmp_path, StepDecay(1, 0.5), max_epochs=2)
    fit.fit(model)
    fit.fit_loop.max_epochs = 4
    fit.fit(model)
    assert model.used == [1.0, [0.5, 0.5], [0.25, 0.0625], [0.125, 0.03125]]


def test_a_late_group_with_an_lr_scale_comes_with_its_lr_as_it_is(tmp_path: Path) -> None:
    class Scaled(Joins):
        def join(self) -> None:
            super().join()
            self.trainer.optimizers[0].param_groups[1]["lr_scale"] = 0.25

    model = Scaled(batches=1)
    trainer(tmp_path, StepDecay(1, 0.5), max_epochs=4).fit(model)
    assert model.used == [1.0, [0.5, 0.5], [0.25, 0.25], [0.125, 0.125]]


@pytest.mark.filterwarnings("ignore:StepDecay")
def test_the_names_that_a_checkpoint_brings_along_do_not_say_whose_lr_it_is(tmp_path: Path) -> None:
    def run(names: tuple[str, str], *callbacks: Any, **resume: Any) -> list[Any]:
        def groups(params: Any) -> torch.optim.Optimizer:
            return torch.optim.SGD([{"params": [p], "name": n, "lr": 1.0} for p, n in zip(params, names, strict=True)])

        model = Recorder(groups, batches=1)
        trainer(tmp_path, StepDecay(1, 0.5, param_groups="a"), *callbacks, max_epochs=4).fit(model, **resume)
        return model.used

    assert run(("a", "b"), saver(tmp_path)) == [[1.0, 1.0], [0.5, 1.0], [0.25, 1.0], [0.125, 1.0]]
    # now "a" is the second group, whose base LR is 1; the first stays where it was in epoch 1
    assert run(("b", "a"), ckpt_path=tmp_path / "2.ckpt") == [[0.5, 0.25], [0.5, 0.125]]
