"""What stands in TensorBoard and in the Trainer's metrics is what the updates used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from models import LayerWise, Recorder, trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from lightning_lrsched import CosineAnnealing, CyclicalLR, ExponentialDecay, LRSchedule, StepDecay


def points(folder: Path, tag: str = "lr-SGD") -> list[tuple[int, float]]:
    """(step, value), in the order in which they were written; a resumed run adds a file."""

    def age(path: Path) -> tuple[int, int]:  # the name ends with a count, which sorts as a number only
        return int(path.name.split(".")[3]), int(path.name.split(".")[-1])

    found: list[tuple[int, float]] = []
    for path in sorted(folder.glob("events.out.tfevents.*"), key=age):
        events = EventAccumulator(str(path))
        events.Reload()
        if tag in events.Tags()["scalars"]:
            found += [(event.step, event.value) for event in events.Scalars(tag)]
    return found


def used_points(model: Recorder) -> list[tuple[int, float]]:
    """(step, LR) of the updates, the LR rounded to 32 bits as TensorBoard stores it."""
    return [(step, float(torch.tensor(lr))) for step, lr in zip(model.steps, model.used, strict=True)]


def tensorboard(tmp_path: Path) -> TensorBoardLogger:
    return TensorBoardLogger(tmp_path, name="", version="run")


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_every_point_is_the_lr_that_its_update_used(interval: Any, accumulate: int, tmp_path: Path) -> None:
    model = Recorder()
    fit = trainer(
        tmp_path,
        ExponentialDecay(gamma=0.9, interval=interval),
        logger=tensorboard(tmp_path),
        max_epochs=3,
        log_every_n_steps=1,
        accumulate_grad_batches=accumulate,
    )
    fit.fit(model)
    assert points(tmp_path / "run") == used_points(model)
    assert [step for step, _ in points(tmp_path / "run", "train_loss")] == sorted(set(model.steps))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("stop", [3, 7, 8, 11])
def test_points_go_on_rising_after_a_resume(stop: int, accumulate: int, tmp_path: Path) -> None:
    class Stop(Callback):
        def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
            if trainer.fit_loop.epoch_loop.total_batch_idx + 1 == stop:
                trainer.save_checkpoint(tmp_path / "stop.ckpt")
                raise RuntimeError("the power went out")

    run = {"max_epochs": 2, "log_every_n_steps": 1, "accumulate_grad_batches": accumulate}
    first, second = Recorder(), Recorder()
    fit = trainer(tmp_path, StepDecay(2, 0.5, interval="step"), Stop(), logger=tensorboard(tmp_path), **run)
    with pytest.raises(RuntimeError, match="the power"):
        fit.fit(first)
    fit = trainer(tmp_path, StepDecay(2, 0.5, interval="step"), logger=tensorboard(tmp_path), **run)
    fit.fit(second, ckpt_path=tmp_path / "stop.ckpt")
    there = points(tmp_path / "run")
    assert there == used_points(first) + used_points(second)
    assert [step for step, _ in there] == list(range(len(there)))


def test_a_short_epoch_has_a_point_at_the_default_cadence(tmp_path: Path) -> None:
    model = Recorder(batches=4)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), logger=tensorboard(tmp_path), max_epochs=2).fit(model)
    assert points(tmp_path / "run") == [(0, 1.0), (4, 0.0625)]


def test_a_cadence_of_its_own_is_not_invented(tmp_path: Path) -> None:
    model = Recorder(batches=12)
    fit = trainer(
        tmp_path, CosineAnnealing(interval="step"), logger=tensorboard(tmp_path), max_epochs=2, log_every_n_steps=5
    )
    fit.fit(model)
    assert [step for step, _ in points(tmp_path / "run")] == [0, 4, 9, 12, 14, 19]
    assert points(tmp_path / "run") == [p for p in used_points(model) if p[0] in (0, 4, 9, 12, 14, 19)]


def test_names_are_learning_rate_monitors(tmp_path: Path) -> None:
    def makes() -> dict[str, Any]:
        def sgd(params: Any, **names: str) -> Any:
            weight, bias = params
            groups: list[dict[str, Any]] = [{"params": [weight]}, {"params": [bias], "lr": 0.5}]
            for group, name in zip(groups, names.values(), strict=False):
                group["name"] = name
            return torch.optim.SGD(groups, lr=1.0)

        return {
            "one": lambda p: torch.optim.SGD(p, lr=1.0),
            "groups": sgd,
            "named": lambda p: sgd(p, a="head", b="tail"),
            "half named": lambda p: sgd(p, a="head"),
            "one named": lambda p: torch.optim.AdamW([{"params": list(p), "name": "all"}], lr=1.0),
        }

    for case, configure in makes().items():
        for which, callbacks in {"ours": [StepDecay(1)], "monitor": [LearningRateMonitor()]}.items():
            logger = TensorBoardLogger(tmp_path, name=case, version=which)
            trainer(tmp_path, *callbacks, logger=logger, max_epochs=1).fit(Recorder(configure))
        tags = {}
        for which in ("ours", "monitor"):
            events = EventAccumulator(str(tmp_path / case / which))
            events.Reload()
            tags[which] = {tag for tag in events.Tags()["scalars"] if tag.startswith("lr-")}
        assert tags["ours"] == tags["monitor"] != set(), case


class TwoOptimizers(Recorder):
    automatic_optimization = False

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.other = nn.Linear(2, 1)

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(self.layer.parameters(), lr=1.0), torch.optim.SGD(self.other.parameters(), lr=0.5)]

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.step()


def test_a_second_optimizer_of_a_class_has_a_number(tmp_path: Path) -> None:
    trainer(tmp_path, StepDecay(1, 0.5), logger=tensorboard(tmp_path), max_epochs=2).fit(TwoOptimizers())
    assert points(tmp_path / "run", "lr-SGD") == [(0, 1.0), (7, 0.5)]
    assert points(tmp_path / "run", "lr-SGD-1") == [(0, 0.5), (7, 0.25)]


def test_momentum_is_logged_beside_the_lr(tmp_path: Path) -> None:
    schedule = CyclicalLR(0.5, 1.0, step_size=1, momentum=(0.5, 0.75), interval="step")
    configure = lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9)  # noqa: E731
    fit = trainer(tmp_path, schedule, logger=tensorboard(tmp_path), max_epochs=1, log_every_n_steps=1)
    fit.fit(Recorder(configure, batches=3))
    assert points(tmp_path / "run", "momentum-SGD") == [(0, 0.75), (1, 0.5), (2, 0.75)]


def test_beside_a_monitor_the_schedule_leaves_logging_to_it(tmp_path: Path) -> None:
    for order in (1, -1):
        callbacks: list[Any] = [LearningRateMonitor("step"), StepDecay(2, 0.5, interval="step")][::order]
        model = Recorder()
        folder = tmp_path / str(order)
        fit = trainer(tmp_path, *callbacks, logger=tensorboard(folder), max_epochs=1, log_every_n_steps=1)
        fit.fit(model)
        assert points(folder / "run") == used_points(model)


def test_two_loggers_both_get_the_points(tmp_path: Path) -> None:
    loggers = [tensorboard(tmp_path), CSVLogger(tmp_path, name="", version="csv")]
    model = Recorder()
    schedule = StepDecay(2, 0.5, interval="step")
    trainer(tmp_path, schedule, logger=loggers, max_epochs=1, log_every_n_steps=1).fit(model)
    assert points(tmp_path / "run") == used_points(model)
    header, *rows = (tmp_path / "csv" / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("lr-SGD")
    assert [float(row.split(",")[column]) for row in rows if row.split(",")[column]] == model.used


def test_log_lr_false_logs_nothing(tmp_path: Path) -> None:
    fit = trainer(tmp_path, StepDecay(1, log_lr=False), logger=tensorboard(tmp_path), max_epochs=1)
    fit.fit(Recorder())
    assert points(tmp_path / "run") == []
    assert "lr-SGD" not in fit.callback_metrics


def test_the_lr_names_checkpoints_and_stops_training(tmp_path: Path) -> None:
    """Also at steps that are not logged, and without any logger."""
    names = ModelCheckpoint(tmp_path, filename="{step}-{lr-SGD:.4f}", every_n_train_steps=3, save_top_k=-1)
    stop = EarlyStopping("lr-SGD", stopping_threshold=0.1, check_on_train_epoch_end=True, patience=100)
    model = Recorder(batches=4)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), names, stop, max_epochs=10).fit(model)
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {
        "step=3-lr-SGD=0.2500.ckpt",
        "step=6-lr-SGD=0.0312.ckpt",
    }
    assert len(model.used) == 8  # the first epoch ends at 0.125, the second at 0.0078


def test_a_checkpoint_by_steps_alone_is_named_by_the_lr_in_force(tmp_path: Path) -> None:
    names = ModelCheckpoint(tmp_path, filename="{step}-{lr-SGD:.4f}", every_n_train_steps=2, save_top_k=-1)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), names, max_epochs=1).fit(Recorder(batches=4))
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"step=2-lr-SGD=0.5000.ckpt", "step=4-lr-SGD=0.1250.ckpt"}


def lr_tags(folder: Path) -> set[str]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag for tag in events.Tags()["scalars"] if tag.startswith("lr-")}


def test_many_groups_share_a_curve_where_their_lrs_coincide(tmp_path: Path) -> None:
    trainer(tmp_path, StepDecay(1), logger=tensorboard(tmp_path), max_epochs=1).fit(LayerWise([1.0, 0.5] * 6))
    assert lr_tags(tmp_path / "run") == {"lr-SGD/pg1", "lr-SGD/pg2"}


def test_of_many_curves_the_extremes_are_logged(tmp_path: Path, caplog: Any) -> None:
    lrs = [2.0**-i for i in range(12)]
    trainer(tmp_path, StepDecay(1), logger=tensorboard(tmp_path), max_epochs=1).fit(LayerWise(lrs))
    assert lr_tags(tmp_path / "run") == {"lr-SGD/pg1", "lr-SGD/pg12"}
    assert (
        "StepDecay: 12 different curves; logging the lowest (lr-SGD/pg12) and the highest (lr-SGD/pg1)."
        " Add a LearningRateMonitor() to log them all." in caplog.messages
    )


class Quiet(LRSchedule):
    """A user's own schedule."""

    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr / (t + 1)


def test_a_schedule_of_ones_own_is_logged_too(tmp_path: Path) -> None:
    model = Recorder()
    fit = trainer(tmp_path, Quiet(interval="step"), logger=tensorboard(tmp_path), max_epochs=1, log_every_n_steps=1)
    fit.fit(model)
    assert model.used == [1 / n for n in range(1, 8)]
    assert points(tmp_path / "run") == used_points(model)


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_points_go_on_rising_under_another_schedule(tmp_path: Path) -> None:
    """Stopped after batch 2, inside the window of update 1, whose point stands already."""

    class Stop(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx == 2:
                trainer.save_checkpoint(tmp_path / "stop.ckpt")
                raise RuntimeError("the power went out")

    run = {"max_epochs": 1, "log_every_n_steps": 1, "accumulate_grad_batches": 2}
    fit = trainer(tmp_path, StepDecay(1, 0.5, interval="step"), Stop(), logger=tensorboard(tmp_path), **run)
    with pytest.raises(RuntimeError, match="the power"):
        fit.fit(Recorder())
    other = ExponentialDecay(gamma=0.5, interval="step")
    fit = trainer(tmp_path, other, logger=tensorboard(tmp_path), **run)
    fit.fit(Recorder(), ckpt_path=tmp_path / "stop.ckpt")
    assert points(tmp_path / "run") == [(0, 1.0), (1, 0.5), (2, 0.25), (3, 0.125)]


def test_a_lambda_callback_sees_the_lr_of_every_update(tmp_path: Path) -> None:
    """It is Lightning's, but what it does is the user's."""
    seen: list[float] = []
    looks = LambdaCallback(
        on_train_batch_end=lambda trainer, *_: seen.append(float(trainer.callback_metrics["lr-SGD"]))
    )
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), looks, max_epochs=1).fit(Recorder(batches=3))
    assert seen == [1.0, 0.5, 0.25]
