"""The guard against spikes: which update is slowed down, and for how long."""

from __future__ import annotations

import math
import pickle
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy
from models import Recorder, saver, trainer
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_lrsched import BackOffOnSpike, CosineAnnealing, ProductSchedule, SequentialSchedule, StepDecay
from lightning_lrsched.fit import reactions
from lightning_lrsched.fit.readings import Reading

#: the LRs from a spike on: 2 intervals at a tenth, 2 stairs, and back
BACK = [0.1, 0.1, 0.4, 0.7, 1.0]


def guard(**arguments: Any) -> BackOffOnSpike:
    return BackOffOnSpike(**{"threshold": 3.0, "hold": 2, "recovery": 2, "window": 3, "interval": "step", **arguments})


class Plays(Recorder):
    """The loss is given by the number of the batch: ``values``, 1 elsewhere; if ``steep``, the gradient's norm too."""

    def __init__(self, values: dict[int, float], batches: int = 12, steep: bool = False) -> None:
        super().__init__(batches=batches)
        self.values, self.steep = values, steep

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        value = self.values.get(self.current_epoch * self.batches + batch_idx, 1.0)
        bias = self.layer.bias.sum()
        return (bias - bias.detach()) * (value if self.steep else 1.0) + value + 0.0 * self.layer.weight.sum()


class Manual(Plays):
    automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()


class Remembers(torch.optim.SGD):
    """Notes the LR of each of its steps, as its gradients are there."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.used: list[float] = []

    def step(self, closure: Any = None) -> Any:
        loss = closure()
        self.used.append(self.param_groups[0]["lr"])
        super().step()
        return loss


def lrs(tmp_path: Path, schedule: Any, model: Recorder, **kw: Any) -> list[float]:
    trainer(tmp_path, schedule, **{"max_epochs": 1, **kw}).fit(model)
    return [pytest.approx(lr) for lr in model.used]


@pytest.mark.parametrize("watch", ["loss", "grad_norm"])
def test_the_update_of_the_spike_itself_is_slowed_down(watch: Any, tmp_path: Path) -> None:
    schedule = guard(watch=watch)
    assert lrs(tmp_path, schedule, Plays({4: 3.5}, steep=True)) == [1.0] * 4 + BACK + [1.0] * 3
    assert schedule.journal == [(4, 0, "lr", 1.0, 0.1, f"{watch} is 3.5, 3.5 times the highest of the last 3, 1")]


class Descends(Plays):
    """Notes the bias after each update, which has momentum."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, steep=True, **kw)
        self.configure = lambda params: torch.optim.SGD(params, lr=1.0, momentum=0.5)
        self.went: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        self.went.append(self.layer.bias.item())


def descent(lrs: list[float], gradients: list[float | None]) -> list[float]:
    """The same by hand; None: nothing happens."""
    bias, velocity, went = 0.0, 0.0, []
    for lr, gradient in zip(lrs, gradients, strict=True):
        if gradient is not None:
            velocity = 0.5 * velocity + gradient
            bias -= lr * velocity
        went.append(bias)
    return went


@pytest.mark.parametrize("clip", [None, 100.0])
@pytest.mark.parametrize("watch", ["loss", "grad_norm"])
def test_the_update_of_a_spike_is_not_made(watch: Any, clip: float | None, tmp_path: Path) -> None:
    """Nor does the momentum take its gradient up; a second spike in the hold is dropped as well."""
    model = Descends({4: 9.0, 5: 90.0})
    torch.nn.init.zeros_(model.layer.bias)
    used = [1.0] * 4 + [0.1, *BACK] + [1.0] * 2
    assert lrs(tmp_path, guard(watch=watch), model, gradient_clip_val=clip) == used
    assert model.went == pytest.approx(descent(used, [1.0] * 4 + [None, None] + [1.0] * 6))


def test_a_bad_batch_spoils_its_accumulation_window_only(tmp_path: Path) -> None:
    model = Descends({6: 9.0})
    torch.nn.init.zeros_(model.layer.bias)
    used = [1.0] * 3 + BACK[:3]
    assert lrs(tmp_path, guard(), model, accumulate_grad_batches=2) == used
    assert model.went[1::2] == pytest.approx(descent(used, [1.0] * 3 + [None] + [1.0] * 2))


def test_in_manual_optimization_the_update_is_not_made(tmp_path: Path) -> None:
    class Both(Descends, Manual):
        pass

    model, schedule = Both({4: 9.0}), guard(watch="grad_norm")
    torch.nn.init.zeros_(model.layer.bias)
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    used = [1.0] * 4 + BACK + [1.0] * 3
    assert model.went == pytest.approx(descent(used, [1.0] * 4 + [None] + [1.0] * 7))


@pytest.mark.parametrize("watch", ["loss", "grad_norm"])
def test_with_a_lag_the_next_update_is_the_first_that_is_slow(watch: Any, tmp_path: Path) -> None:
    model, schedule = Descends({4: 9.0}), guard(watch=watch, lag=True)
    torch.nn.init.zeros_(model.layer.bias)
    used = [1.0] * 5 + BACK + [1.0] * 2
    assert lrs(tmp_path, schedule, model) == used
    assert model.went == pytest.approx(descent(used, [1.0] * 4 + [9.0] + [1.0] * 7))
    assert [decision.step for decision in schedule.journal] == [5]


@pytest.mark.parametrize("watch", ["loss", "grad_norm"])
def test_with_a_lag_nothing_waits_for_the_device(watch: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A device on which a number is there when the next one is asked for: nobody reads one before."""
    asked: list[Stub] = []

    class Stub(Reading):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            asked.append(self)

        def __float__(self) -> float:
            waits.append(self is asked[-1])
            return super().__float__()

    monkeypatch.setattr(reactions, "Reading", Stub)
    for lag in (False, True):
        waits: list[bool] = []
        lrs(tmp_path, guard(watch=watch, lag=lag), Plays({4: 9.0}, steep=True))
        assert waits == [not lag] * (12 - lag)


def test_alone_it_counts_steps() -> None:
    assert (BackOffOnSpike().counts, BackOffOnSpike(interval="epoch").counts) == ("step", "epoch")
    assert ProductSchedule([StepDecay(3), BackOffOnSpike()]).counts == "epoch"


def test_what_is_no_spike(tmp_path: Path) -> None:
    """Not above 3 times the highest; not while the window fills; not where the highest is no measure."""
    assert lrs(tmp_path, guard(), Plays({4: 3.0, 7: 2.0, 8: 0.1})) == [1.0] * 12
    assert lrs(tmp_path, guard(), Plays({1: 99.0, 2: 50.0})) == [1.0] * 12
    assert lrs(tmp_path, guard(), Plays({3: 2.0, 5: 6.0})) == [1.0] * 12  # one high value makes room for the next
    assert lrs(tmp_path, guard(), Plays(dict.fromkeys(range(12), -1.0) | {6: 99.0})) == [1.0] * 12


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_a_spike_from_the_first_update_on(value: float, tmp_path: Path) -> None:
    model, schedule = Plays({0: value}), guard()
    assert lrs(tmp_path, schedule, model) == [*BACK, *[1.0] * 7]
    assert schedule.journal[0].reason == f"loss is {value}"


def test_another_spike_begins_anew(tmp_path: Path) -> None:
    schedule = guard()
    # the one in the hold prolongs it without a decision; the one on the stairs is a decision
    assert lrs(tmp_path, schedule, Plays({4: 9.0, 5: math.inf})) == [1.0] * 4 + [0.1, *BACK] + [1.0] * 2
    assert len(schedule.journal) == 1
    assert lrs(tmp_path, schedule, Plays({4: 9.0, 6: 99.0})) == [1.0] * 4 + [0.1, 0.1, *BACK, 1.0]
    assert [(decision.old, decision.new) for decision in schedule.journal] == [(1.0, 0.1), (pytest.approx(0.4), 0.1)]


def test_a_value_that_stays_high_becomes_the_usual_one(tmp_path: Path) -> None:
    """The bounds that the value breaks are 3, 9 and 27, and each counts as the highest for the next."""
    model = Plays(dict.fromkeys(range(4, 12), 28.0))
    assert lrs(tmp_path, guard(), model) == [1.0] * 4 + [0.1, 0.1, *BACK, 1.0]


def test_an_epoch_is_slowed_down_at_once_and_to_its_end(tmp_path: Path) -> None:
    schedule = guard(interval="epoch", hold=1, recovery=1, factor=0.5)
    assert (
        lrs(tmp_path, schedule, Plays({4: 9.0}, batches=3), max_epochs=4)
        == [1.0] * 4 + [0.5] * 2 + [0.75] * 3 + [1.0] * 3
    )


def test_under_a_warmup_in_a_sequence_and_with_any_schedule(tmp_path: Path) -> None:
    # the warmup's values are not looked at, so that the window is full at update 5 only
    assert lrs(tmp_path, guard(warmup=2, hold=1, recovery=0), Plays({1: math.nan, 4: 3.5, 5: 11.0})) == [
        *[1 / 3, 2 / 3, 1.0, 1.0, 1.0, 0.1],
        *[1.0] * 6,
    ]
    cosine = CosineAnnealing(12, interval="step")
    product = ProductSchedule([cosine, guard()], interval="step")
    factors = [1.0] * 4 + BACK + [1.0] * 3
    expected = [(1 + math.cos(math.pi * t / 12)) / 2 * factor for t, factor in enumerate(factors)]
    assert lrs(tmp_path, product, Plays({4: 9.0})) == expected
    sequence = SequentialSchedule([guard(), StepDecay(5, 0.5, interval="step")], [6], interval="step")
    assert lrs(tmp_path, sequence, Plays({4: 9.0, 8: 9.0})) == [1.0] * 4 + [0.1, 0.1] + [1.0] * 5 + [0.5]


def test_the_window_of_an_accumulation_is_one_update(tmp_path: Path) -> None:
    """Windows of 2 batches: a spike in either makes it a slow one. The number of batches does not make the spike."""
    assert lrs(tmp_path, guard(), Plays({6: 9.0}), accumulate_grad_batches=2) == [1.0] * 3 + BACK[:3]
    assert lrs(tmp_path, guard(), Plays({7: 9.0}), accumulate_grad_batches=2) == [1.0] * 3 + BACK[:3]


@pytest.mark.filterwarnings("ignore:When using `Trainer.accumulate_grad_batches")
def test_a_growing_accumulation_is_no_spike(tmp_path: Path) -> None:
    model = Plays({}, batches=8)
    accumulation = GradientAccumulationScheduler({0: 8, 1: 1})
    trainer(tmp_path, guard(), accumulation, max_epochs=2).fit(model)
    assert model.used == [1.0] * 9


@pytest.mark.parametrize("watch", ["loss", "grad_norm"])
def test_in_manual_optimization(watch: Any, tmp_path: Path) -> None:
    model, schedule = Manual({4: 9.0}, steep=True), guard(watch=watch)
    model.configure = lambda params: Remembers(params, lr=1.0)
    fit = trainer(tmp_path, schedule, max_epochs=1)
    fit.fit(model)
    assert fit.optimizers[0].used == [pytest.approx(lr) for lr in [1.0] * 4 + BACK + [1.0] * 3]


def test_one_of_two_optimizers_by_its_gradient(tmp_path: Path) -> None:
    """The first one's gradient is a spike in batch 4, the second's never."""

    class Two(Recorder):
        automatic_optimization = False

        def __init__(self) -> None:
            super().__init__(lambda p: [torch.optim.SGD([next(p)], lr=1.0), torch.optim.SGD([next(p)], lr=1.0)], 8)
            self.seen: list[list[float]] = []

        def training_step(self, batch: Tensor, batch_idx: int) -> None:
            weight, bias = self.optimizers()
            self.manual_backward(self.layer.weight.sum() * (9.0 if batch_idx == 4 else 1.0) + self.layer.bias.sum())
            weight.step()
            bias.step()
            self.seen.append([o.param_groups[0]["lr"] for o in (weight, bias)])
            weight.zero_grad()
            bias.zero_grad()

    model = Two()
    both = [guard(watch="grad_norm", optimizer=0), guard(watch="grad_norm", optimizer=1, hold=1)]
    trainer(tmp_path, *both, max_epochs=1).fit(model)
    assert [len(schedule.journal) for schedule in both] == [1, 0]
    assert [decision.step for decision in both[0].journal] == [8]  # of both optimizers together
    assert {lrs[1] for lrs in model.seen} == {1.0}


def test_a_logged_point_is_the_lr_that_its_update_used(tmp_path: Path) -> None:
    for accumulate, expected in ((1, [1.0] * 4 + BACK + [1.0] * 3), (2, [1.0] * 3 + BACK[:3])):
        model, logger = Plays({7: 9.0} if accumulate == 2 else {4: 9.0}), CSVLogger(tmp_path, "", f"{accumulate}")
        run = {"logger": logger, "log_every_n_steps": 1, "accumulate_grad_batches": accumulate}
        assert lrs(tmp_path, guard(), model, **run) == expected
        header, *rows = Path(logger.log_dir, "metrics.csv").read_text().splitlines()
        points = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
        logged = {int(point["step"]): float(point["lr-SGD"]) for point in points if point.get("lr-SGD")}
        assert [logged[step] for step in range(len(expected))] == model.used


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("watch", ["loss", "grad_norm"])
def test_the_scale_of_fp16_is_no_spike(watch: Any, fused: bool, tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)  # doubles every other update
    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    model, schedule = Descends({9: 9.0}), guard(watch=watch, threshold=1.5)
    model.configure = lambda params: torch.optim.Adam(params, lr=1.0, betas=(0.0, 0.999), fused=fused)
    assert lrs(tmp_path, schedule, model, plugins=[plugin]) == [1.0] * 9 + BACK[:3]
    assert model.went[9] == model.went[8]
    assert [decision.reason for decision in schedule.journal] == [f"{watch} is 9, 9 times the highest of the last 3, 1"]


def test_a_gradient_that_the_scaler_skips_is_no_spike(tmp_path: Path) -> None:
    plugin = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=4.0))
    schedule = guard(watch="grad_norm")
    lrs(tmp_path, schedule, Plays({4: math.inf}, steep=True), plugins=[plugin])
    assert schedule.journal == []


def test_in_manual_optimization_too_a_point_is_the_lr_that_its_update_used(tmp_path: Path) -> None:
    schedule = ProductSchedule([StepDecay(1, 0.5, interval="step"), guard()], interval="step")
    logger = CSVLogger(tmp_path, "", "run")
    trainer(tmp_path, schedule, logger=logger, log_every_n_steps=1, max_epochs=1).fit(Manual({4: 9.0}))
    header, *rows = Path(logger.log_dir, "metrics.csv").read_text().splitlines()
    column = header.split(",").index("lr-SGD")
    used = [0.5**t * factor for t, factor in enumerate([1.0] * 4 + BACK + [1.0] * 3)]
    assert [float(row.split(",")[column]) for row in rows] == pytest.approx(used)


def test_a_loss_of_several_numbers_is_refused(tmp_path: Path) -> None:
    class Vector(Recorder):
        automatic_optimization = False

        def training_step(self, batch: Tensor, batch_idx: int) -> None:
            losses = self.layer(batch)
            self.manual_backward(losses, gradient=torch.ones_like(losses))

    message = "BackOffOnSpike: the loss must be one number, got 2. Pass watch='grad_norm'."
    with pytest.raises(MisconfigurationException, match=message):
        trainer(tmp_path, guard(), max_epochs=1).fit(Vector())


def test_sparse_gradients_have_a_norm(tmp_path: Path) -> None:
    class Sparse(Recorder):
        def __init__(self) -> None:
            super().__init__(batches=6)
            self.layer = torch.nn.Embedding(3, 1, sparse=True)

        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            return self.layer(torch.tensor([0, 0])).sum() * (9.0 if batch_idx == 4 else 1.0)

    schedule = guard(watch="grad_norm")
    assert lrs(tmp_path, schedule, Sparse()) == [1.0] * 4 + BACK[:2]
    assert schedule.journal[0].reason == "grad_norm is 18, 9 times the highest of the last 3, 2"  # both rows are row 0


def test_a_batch_of_nothing_leaves_no_window_open(tmp_path: Path) -> None:
    class Skips(Plays):
        def train_dataloader(self) -> Any:
            batches = [None if index == 2 else batch for index, batch in enumerate(super().train_dataloader())]
            return DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)

    schedule = ProductSchedule([StepDecay(1, 0.5, interval="step"), guard()], interval="step")
    with pytest.warns(UserWarning, match="train_dataloader yielded None"):
        assert lrs(tmp_path, schedule, Skips({}, batches=6)) == [0.5**t for t in range(5)]


@pytest.mark.parametrize("lag", [False, True])
def test_a_resume_between_any_two_updates(lag: bool, tmp_path: Path) -> None:
    values = {4: 9.0, 6: 99.0, 13: math.nan}
    full, first = Plays(values, batches=8), guard(lag=lag)
    trainer(tmp_path, first, saver(tmp_path), max_epochs=2).fit(full)
    for step in range(1, 16):
        model, second = Plays(values, batches=8), guard(lag=lag)
        trainer(tmp_path, second, max_epochs=2).fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
        assert model.used == full.used[step:], step
        assert str(second.journal) == str(first.journal)


@pytest.mark.parametrize("watch", ["loss", "grad_norm"])
def test_a_strategy_that_keeps_the_gradients_is_refused_without_a_lag(watch: Any, tmp_path: Path) -> None:
    class Keeps(SingleDeviceStrategy):
        @property
        def handles_gradient_accumulation(self) -> bool:
            return True

    run: dict[str, Any] = {"strategy": Keeps(device=torch.device("cpu")), "accelerator": "auto"}
    message = "BackOffOnSpike: Keeps keeps the gradients to itself, so that no update can be skipped. Pass lag=True."
    with pytest.raises(MisconfigurationException, match=message):
        lrs(tmp_path, guard(watch=watch), Plays({}), **run)
    late = lrs(tmp_path, guard(watch=watch, lag=True), Plays({4: 9.0}, steep=True), **run)
    assert late == [1.0] * 5 + BACK + [1.0] * 2


def test_a_copy_of_a_guard_with_a_lag_holds_the_number_itself(tmp_path: Path) -> None:
    schedule = guard(lag=True)
    lrs(tmp_path, schedule, Plays({11: 2.5}))
    assert copy(schedule).memory.late == pickle.loads(pickle.dumps(schedule)).memory.late == 2.5


def test_the_state_of_a_guard_with_a_lag_holds_a_number_after_the_fit_too(tmp_path: Path) -> None:
    schedule = guard(lag=True)
    fit = trainer(tmp_path, schedule, max_epochs=1)
    fit.fit(Plays({11: 2.5}))
    fit.save_checkpoint(tmp_path / "after.ckpt")
    checkpoint = torch.load(tmp_path / "after.ckpt", weights_only=True)
    assert checkpoint["callbacks"][schedule.state_key]["memories"][0]["memory"]["late"] == 2.5
