"""A resumed run continues bit for bit, the code that runs wins over the checkpoint, and a checkpoint stays readable."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from models import Recorder, saver, trainer
from test_fit import ROWS

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    ExponentialDecay,
    LRSchedule,
    ProductSchedule,
    ReduceOnPlateau,
    StepDecay,
)

VAL_LOSS = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.4]


class ByPosition(Recorder):
    """Validation gives a metric that depends on the position alone, so that a resumed run sees the same ones."""

    stop_at = -1

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.trainer.global_step == self.stop_at:
            raise RuntimeError("the power went out")
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", torch.tensor(VAL_LOSS[self.trainer.current_epoch]))


def schedule_of(name: str, **common: Any) -> LRSchedule:
    return CosineAnnealing(**common) if name == "cosine" else ROWS[name].ours(**common)


@pytest.mark.parametrize("moment", ["on_train_batch_end", "on_validation_end", "on_train_epoch_end", "on_exception"])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("name", ROWS)
def test_resume_continues_bit_for_bit(name: str, interval: Any, accumulate: int, moment: str, tmp_path: Path) -> None:
    """From after every batch, those inside an accumulation window included, every validation, epoch and exception."""

    def run(*callbacks: Any, stop_at: int = -1, ckpt_path: Path | None = None) -> tuple[list[float], dict[str, Any]]:
        model = ByPosition(batches=5, val_batches=name == "plateau" or moment == "on_validation_end")
        model.stop_at = stop_at
        schedule = schedule_of(name, interval=interval, warmup=2)
        fit = trainer(tmp_path, schedule, *callbacks, max_epochs=4, accumulate_grad_batches=accumulate)
        try:
            fit.fit(model, ckpt_path=ckpt_path)
        except RuntimeError:
            assert stop_at >= 0
        return model.used, schedule.state_dict()

    full, state = run()
    assert len(full) == {1: 20, 3: 8}[accumulate]
    run(saver(tmp_path, moment), stop_at=5 if moment == "on_exception" else -1)
    checkpoints = list(tmp_path.glob("*.ckpt"))
    per_moment = {"on_train_batch_end": len(full), "on_exception": 1}
    assert len(checkpoints) >= per_moment.get(moment, 4)
    for path in checkpoints:
        if name == "plateau" and moment == "on_train_batch_end" and int(path.stem) % (len(full) // 4) == 0:
            continue  # test_lightning_forgets_a_validation_that_was_due
        tail, state_after = run(ckpt_path=path)
        assert tail == full[int(path.stem) :], path.stem
        if tail:
            assert state_after == state


def test_lightning_forgets_a_validation_that_was_due(tmp_path: Path) -> None:
    """A checkpoint of ``on_train_batch_end`` after an epoch's last batch: Lightning resumes with the next epoch.

    The check that this validation would have been never happens. When Lightning mends that, this test fails, and the
    exception in ``test_resume_continues_bit_for_bit`` can go.
    """
    run = {"max_epochs": 3}
    trainer(tmp_path, saver(tmp_path), **run).fit(ByPosition(batches=2, val_batches=1))
    validated: list[int] = []

    class Seen(ByPosition):
        def on_validation_end(self) -> None:
            validated.append(self.trainer.global_step)

    trainer(tmp_path, num_sanity_val_steps=0, **run).fit(Seen(batches=2, val_batches=1), ckpt_path=tmp_path / "2.ckpt")
    assert validated == [4, 6]


@pytest.mark.parametrize("name", ROWS)
def test_the_state_is_primitives_that_weights_only_loads(name: str, tmp_path: Path) -> None:
    model = ByPosition(batches=2, val_batches=1)
    trainer(tmp_path, schedule_of(name, interval="step"), saver(tmp_path), max_epochs=4).fit(model)
    checkpoint = torch.load(tmp_path / "8.ckpt", weights_only=True)
    assert [key for key in checkpoint["callbacks"] if key.startswith(type(schedule_of(name)).__name__)]


def halved(tmp_path: Path, *schedules: LRSchedule, **run: Any) -> tuple[list[float], list[str]]:
    """LRs and warnings of a run that resumes from 4 batches under ``schedules[0]`` with ``schedules[1]``."""
    first, second = schedules
    trainer(tmp_path, first, saver(tmp_path), max_epochs=1).fit(Recorder(batches=4))
    model = Recorder(batches=4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(tmp_path, second, **{"max_epochs": 2, **run}).fit(model, ckpt_path=tmp_path / "4.ckpt")
    return model.used, [str(w.message) for w in caught if "changed since" in str(w.message)]


def test_a_changed_argument_applies_and_is_told_once(tmp_path: Path) -> None:
    used, told = halved(
        tmp_path, CosineAnnealing(4, interval="step"), CosineAnnealing(8, eta_min=0.0, interval="step", log_lr=False)
    )
    assert used == pytest.approx([0.5, 0.30865828381745511, 0.14644660940672624, 0.038060233744356645])
    assert told == [
        "CosineAnnealing: changed since the checkpoint, the new values apply: t_max: 4 -> 8; LR 0.146447 -> 0.5."
    ]


def test_unchanged_arguments_are_not_told(tmp_path: Path) -> None:
    used, told = halved(tmp_path, CosineAnnealing(8, interval="step"), CosineAnnealing(8, interval="step"))
    assert used == pytest.approx([0.5, 0.30865828381745511, 0.14644660940672624, 0.038060233744356645])
    assert told == []


def test_a_longer_run_under_an_open_t_max_is_told(tmp_path: Path) -> None:
    used, told = halved(tmp_path, CosineAnnealing(interval="step"), CosineAnnealing(interval="step"))
    assert used == pytest.approx([0.5, 0.30865828381745511, 0.14644660940672624, 0.038060233744356645])
    assert told == [
        "CosineAnnealing: changed since the checkpoint, the new values apply: t_max: 4 -> 8; LR 0.146447 -> 0.5."
    ]


def test_another_interval_counts_anew_in_its_own_unit(tmp_path: Path) -> None:
    used, told = halved(tmp_path, StepDecay(1, 0.5, interval="step"), StepDecay(1, 0.5))
    assert used == [0.5] * 4
    assert told == [
        "StepDecay: changed since the checkpoint, the new values apply: interval: 'step' -> 'epoch'; LR 0.125 -> 0.5."
    ]


def test_a_new_base_lr_in_the_code_wins_over_the_restored_optimizer(tmp_path: Path) -> None:
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), saver(tmp_path), max_epochs=1).fit(Recorder(batches=2))
    model = Recorder(lambda params: torch.optim.SGD(params, lr=8.0), batches=2)
    fit = trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=2)
    with pytest.warns(UserWarning, match="the new values apply: base LR of SGD: 1.0 -> 8.0."):
        fit.fit(model, ckpt_path=tmp_path / "2.ckpt")
    assert model.used == [2.0, 1.0]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
@pytest.mark.parametrize("first", [None, StepDecay(1, 0.5, interval="step")])
def test_without_a_state_the_position_is_the_trainers(first: Any, tmp_path: Path, caplog: Any) -> None:
    callbacks = [] if first is None else [first]
    trainer(tmp_path, *callbacks, saver(tmp_path), max_epochs=1).fit(Recorder(batches=3))
    model = Recorder(batches=3)
    fit = trainer(tmp_path, ExponentialDecay(gamma=0.5, interval="step"), max_epochs=2)
    fit.fit(model, ckpt_path=tmp_path / "3.ckpt")
    assert model.used == [0.125, 0.0625, 0.03125]
    assert [r.message for r in caplog.records if "the checkpoint has no state" in r.message] == [
        "ExponentialDecay: the checkpoint has no state of it; it goes on at the Trainer's position, epoch 1, step 3."
    ]


def test_a_state_that_comes_after_on_fit_start_is_taken(tmp_path: Path) -> None:
    """FSDP and DeepSpeed restore the callbacks after ``on_fit_start``."""
    from lightning.pytorch.strategies import SingleDeviceStrategy

    class Late(SingleDeviceStrategy):
        restore_checkpoint_after_setup = True

    run = {"max_epochs": 4}
    callbacks = ReduceOnPlateau(patience=1, factor=0.5), saver(tmp_path, "on_validation_end")
    full = ByPosition(batches=2, val_batches=1)
    trainer(tmp_path, *callbacks, **run).fit(full)
    assert full.used == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    for step in (2, 4, 6):
        model = ByPosition(batches=2, val_batches=1)
        schedule = ReduceOnPlateau(patience=1, factor=0.5)
        late = trainer(tmp_path, schedule, strategy=Late(device=torch.device("cpu")), **run)
        late.fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
        assert model.used == full.used[step:]


def test_two_instances_find_their_own_state_whatever_their_order(tmp_path: Path) -> None:
    def groups(params: Any) -> Any:
        weight, bias = params
        return torch.optim.SGD([{"params": [weight], "name": "weight"}, {"params": [bias], "name": "bias"}], lr=1.0)

    def run(*order: int, **fit: Any) -> list[Any]:
        slow = ReduceOnPlateau(patience=2, factor=0.5, param_groups="weight")
        fast = ReduceOnPlateau(patience=1, factor=0.5, param_groups="bias")
        model = ByPosition(groups, batches=2, val_batches=1)
        schedules = [(slow, fast)[i] for i in order]
        trainer(tmp_path, *schedules, saver(tmp_path), max_epochs=4).fit(model, **fit)
        return model.used

    full = run(0, 1)
    assert full[-1] == [0.5, 0.25]
    assert run(1, 0, ckpt_path=tmp_path / "5.ckpt") == full[5:]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_a_memory_survives_when_the_schedule_names_its_groups_otherwise(tmp_path: Path) -> None:
    trainer(tmp_path, ReduceOnPlateau(patience=1, factor=0.5), saver(tmp_path), max_epochs=4).fit(
        ByPosition(batches=1, val_batches=1)
    )
    model = ByPosition(batches=1, val_batches=1)
    schedule = ReduceOnPlateau(patience=1, factor=0.5, optimizer=0)
    with pytest.warns(UserWarning, match="optimizer: None -> 0"):
        trainer(tmp_path, schedule, max_epochs=5).fit(model, ckpt_path=tmp_path / "3.ckpt")
    assert model.used[0] == 0.5
    assert schedule.reductions >= 1


def of_group(*groups: int | str) -> list[ReduceOnPlateau]:
    return [ReduceOnPlateau(patience=1, factor=0.5, param_groups=group) for group in groups]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`", "ignore:ReduceOnPlateau")
@pytest.mark.parametrize(
    ("before", "after"),
    [([ReduceOnPlateau(patience=1, factor=0.5)], [0, 1]), (of_group(0, 1), [0, "rest"])],
    ids=["one is split in two", "one of two names its group otherwise"],
)
def test_a_memory_that_nobody_else_claims_is_taken_over(before: Any, after: Any, tmp_path: Path) -> None:
    class Two(ByPosition):
        def configure_optimizers(self) -> Any:
            weight, bias = self.layer.parameters()
            return torch.optim.SGD([{"params": [weight]}, {"params": [bias], "name": "rest"}], lr=1.0)

    def run(epochs: int, *callbacks: Any, **resume: Any) -> list[Any]:
        model = Two(batches=1, val_batches=1)
        trainer(tmp_path, *callbacks, max_epochs=epochs).fit(model, **resume)
        return model.used

    full = run(6, *before, saver(tmp_path, "on_train_epoch_end"))
    assert full[4] != [1.0, 1.0]
    assert run(6, *of_group(*after), ckpt_path=tmp_path / "3.ckpt") == full[3:]


def test_a_checkpoint_that_is_tested_after_a_fit_is_no_resume(tmp_path: Path) -> None:
    class Tested(ByPosition):
        def test_step(self, batch: Any, batch_idx: int) -> None:
            pass

    def used(*paths: Path) -> list[Any]:
        model, schedule = Tested(batches=1, val_batches=1), ReduceOnPlateau(patience=1, factor=0.5)
        fit = trainer(tmp_path, schedule, saver(tmp_path), max_epochs=4)
        fit.fit(model)
        journal = [*schedule.journal]
        for path in paths:
            fit.test(model, model.val_dataloader(), ckpt_path=path, verbose=False)
        assert schedule.journal == journal != []
        fit.fit_loop.max_epochs = 6
        fit.fit(model)
        return model.used

    assert used(tmp_path / "1.ckpt") == used()


def plateau() -> ReduceOnPlateau:
    return ReduceOnPlateau(patience=1, factor=0.5)


def in_product() -> ProductSchedule:
    return ProductSchedule([Constant(), plateau()])


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (plateau, in_product, "schedule: ReduceOnPlateau -> ProductSchedule"),
        (in_product, plateau, "schedule: ProductSchedule -> ReduceOnPlateau"),
    ],
    ids=["into", "out of"],
)
def test_a_memory_goes_into_a_product_and_out_of_it(before: Any, after: Any, change: str, tmp_path: Path) -> None:
    def run(schedule: Any, *callbacks: Any, **resume: Any) -> list[Any]:
        model = ByPosition(batches=1, val_batches=1)
        trainer(tmp_path, schedule, *callbacks, max_epochs=6).fit(model, **resume)
        return [*model.used, *(decision.reason for decision in schedule.journal)]

    full = run(before(), saver(tmp_path, "on_train_epoch_end"))
    assert full[4] != 1.0
    with pytest.warns(
        UserWarning, match=rf"changed since the checkpoint, the new values apply: {change}; the LR stays"
    ):
        assert run(after(), ckpt_path=tmp_path / "3.ckpt") == full[3:]
