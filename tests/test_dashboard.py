"""What a person finds in TensorBoard, read back through its own server, and in a browser."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from board import CHROMIUM, DRIVER, Board, browser, opened, tensorboard
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, RichProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from models import LayerWise, Recorder, saver, trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    CustomSchedule,
    CyclicalLR,
    ExponentialDecay,
    OneCycle,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
    WarmupStableDecay,
)


def two_groups(params: Any) -> Any:
    weight, bias = params
    return torch.optim.SGD([{"params": [weight], "lr": 0.5}, {"params": [bias], "lr": 0.25}], weight_decay=0.5)


class Losing(Recorder):
    """Its validation loss never falls."""

    def __init__(self) -> None:
        super().__init__(two_groups, batches=3, val_batches=1)


class Manual(Recorder):
    def __init__(self) -> None:
        super().__init__(batches=3)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        self.optimizers().step()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Losing]:
    folder, model = tmp_path_factory.mktemp("logs"), Losing()
    schedules = [
        ReduceOnPlateau(patience=2, factor=0.5, interval="step", warmup="2 epochs"),
        ExponentialDecay(gamma=0.5, hyperparameter="weight_decay"),
    ]
    logger = TensorBoardLogger(folder, name="", version="run")
    trainer(folder, *schedules, logger=logger, log_every_n_steps=1, max_epochs=6).fit(model)
    return folder, model


@pytest.fixture(scope="module")
def board(run: tuple[Path, Losing]) -> Iterator[Board]:
    with tensorboard(run[0]) as server:
        yield server


def test_one_page_shows_the_schedules_and_the_losses(board: Board) -> None:
    (page,) = board.get("custom_scalars", "layout")["category"]
    assert [(chart["title"], *chart["multiline"]["tag"]) for chart in page["chart"]] == [
        ("LR", "lr-"),
        ("loss", ".*[Ll]oss"),
        ("weight_decay", "weight_decay-"),
    ]
    for tag, curves in {
        "lr-": {"lr-SGD/pg1", "lr-SGD/pg2"},
        "weight_decay-": {"weight_decay-SGD/pg1", "weight_decay-SGD/pg2"},
        ".*[Ll]oss": {"train_loss", "val_loss"},
    }.items():
        found = board.get("custom_scalars", "scalars", run="run", tag=tag)
        assert found["regex_valid"]
        assert found["tag_to_events"].keys() == curves


def test_each_point_is_the_lr_that_was_used(board: Board, run: tuple[Path, Losing]) -> None:
    for group in (0, 1):
        points = board.get("scalars", "scalars", run="run", tag=f"lr-SGD/pg{group + 1}")
        assert [step for _, step, _ in points] == list(range(18))
        assert [lr for _, _, lr in points] == pytest.approx([lrs[group] for lrs in run[1].used], rel=1e-6)


def test_the_planned_curve_is_a_run_beside_the_fits_under_the_same_tags(board: Board) -> None:
    assert board.get("scalars", "tags").keys() == {"run", "run/planned"}
    curves = {"lr-SGD/pg1", "lr-SGD/pg2", "weight_decay-SGD/pg1", "weight_decay-SGD/pg2"}
    assert board.get("scalars", "tags")["run/planned"].keys() == curves
    # six stairs of a ramp, and then what is not yet known to be reduced
    for group, base in (("pg1", 0.5), ("pg2", 0.25)):
        points = board.get("scalars", "scalars", run="run/planned", tag=f"lr-SGD/{group}")
        assert [step for _, step, _ in points] == list(range(18))
        assert [lr for _, _, lr in points] == pytest.approx([base * min((t + 1) / 7, 1) for t in range(18)])
    assert board.get("custom_scalars", "scalars", run="run/planned", tag="lr-")["tag_to_events"].keys() == {
        "lr-SGD/pg1",
        "lr-SGD/pg2",
    }


def test_calls_and_decisions_are_texts(board: Board) -> None:
    (call,) = board.get("text", "text", run="run", tag="ReduceOnPlateau/call/text_summary")
    assert "ReduceOnPlateau(factor=0.5, patience=2, interval='step', warmup='2 epochs')" in call["text"]
    decisions = board.get("text", "text", run="run", tag="ReduceOnPlateau/journal/text_summary")
    # the checks of epochs 0 and 1 end before update 6, where the warmup does; that of epoch 1 is of it
    assert [text["step"] for text in decisions] == [11, 17]
    assert "lr 0.5 -&gt; 0.25: no improvement of val_loss in 2 checks" in decisions[0]["text"]


@pytest.mark.skipif(not (CHROMIUM.is_file() and DRIVER.is_file()), reason="needs Debian's chromium and chromium-driver")
def test_a_browser_finds_the_charts(board: Board) -> None:
    with browser() as chromium:
        page = opened(chromium, board, "custom_scalars", "Schedules", "Matches (2)")
        assert all(title in page for title in ("LR", "weight_decay", "loss"))
        words = ("4 cards", "run/planned", "lr-SGD", "weight_decay-SGD")
        page = opened(chromium, board, "timeseries", *words, tagFilter="SGD")
        assert all(word in page for word in words)


def written(folder: Path) -> Any:
    return EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0}).Reload()


def planned(folder: Path, tag: str = "lr-SGD") -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in written(folder).Scalars(tag)]


def board_of(folder: Path, version: str = "run") -> TensorBoardLogger:
    return TensorBoardLogger(folder, name="", version=version)


def test_beside_a_monitor_there_is_a_page_too_and_without_logging_none(tmp_path: Path) -> None:
    for version, schedule in (("monitored", CosineAnnealing()), ("silent", CosineAnnealing(log_lr=False))):
        others = [LearningRateMonitor()] if version == "monitored" else []
        run = {"logger": board_of(tmp_path, version), "max_epochs": 2}
        trainer(tmp_path, schedule, *others, **run).fit(Recorder(batches=1))
        tags = written(tmp_path / version).Tags()
        assert ("custom_scalars__config__" in tags["tensors"]) == (version == "monitored")
        assert (tmp_path / version / "planned").is_dir() == (version == "monitored")
    assert planned(tmp_path / "monitored/planned") == [(0, 1.0), (1, 0.5)]


def test_a_run_without_an_end_has_no_plan(tmp_path: Path) -> None:
    run = {"logger": board_of(tmp_path), "max_epochs": -1, "max_time": {"seconds": 1}}
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), **run).fit(Recorder(batches=2))
    assert not (tmp_path / "run/planned").exists()


def test_a_formula_that_ends_before_the_run_leaves_out_the_plan_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = EarlyStopping("lr-SGD", stopping_threshold=0.6, check_on_train_epoch_end=True)
    model = Recorder(batches=1)
    schedule = CustomSchedule(lambda t, base_lr: [1.0, 0.5, 0.25][t])
    with caplog.at_level(logging.INFO):
        trainer(tmp_path, schedule, stop, logger=board_of(tmp_path), max_epochs=9).fit(model)
    assert model.used == [1.0, 0.5]
    assert caplog.text.count("CustomSchedule: no planned curve goes to TensorBoard. list index out of range") == 1
    assert not (tmp_path / "run/planned").exists()


def test_an_epoch_of_the_plan_is_as_long_as_its_steps(tmp_path: Path) -> None:
    trainer(tmp_path, StepDecay(1, 0.5), logger=board_of(tmp_path), max_epochs=2).fit(Recorder(two_groups, batches=3))
    folder = tmp_path / "run/planned"
    assert planned(folder, "lr-SGD/pg1") == [(0, 0.5), (2, 0.5), (3, 0.25), (5, 0.25)]
    assert planned(folder, "lr-SGD/pg2") == [(0, 0.25), (2, 0.25), (3, 0.125), (5, 0.125)]


def test_every_corner_of_a_long_curve_is_in_the_plan_at_its_place(tmp_path: Path) -> None:
    """10,000 steps in 200 points, and both sides of each corner."""

    def plan_of(schedule: Any) -> dict[int, float]:
        stop = EarlyStopping("train_loss", stopping_threshold=1e9, check_on_train_epoch_end=True)  # after one epoch
        name = schedule.state_key
        run = {"logger": board_of(tmp_path, name), "max_epochs": 1000}
        trainer(tmp_path, schedule, stop, **run).fit(Recorder(batches=10))
        found = planned(tmp_path / name / "planned")
        assert 200 <= len(found) <= 220
        assert [step for step, _ in found] == sorted({step for step, _ in found})
        return dict(found)

    steps = plan_of(StepDecay(3333, 0.5, interval="step"))
    assert [steps[step] for step in (0, 3332, 3333, 6665, 6666, 9998, 9999)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    cycle = plan_of(OneCycle(interval="step", pct_start=0.1234, div_factor=4, shape="linear"))
    assert (cycle[0], max(cycle, key=cycle.__getitem__), cycle[1234]) == (0.25, 1234, 1.0)
    swing = plan_of(CyclicalLR(0.0, step_size=1777, step_size_down=1111, interval="step"))
    assert [swing[step] for step in (0, 1777, 2888, 4665, 5776, 7553, 8664)] == [0, 1, 0, 1, 0, 1, 0]
    parts = [Constant(0.5, interval="step"), WarmupStableDecay("7%", interval="step")]
    whole = plan_of(SequentialSchedule(parts, milestones=[2221], interval="step", warmup=333))
    # a milestone counts from the end of the warmup
    assert [whole[step] for step in (332, 333, 2553, 2554, 9300)] == pytest.approx([0.5 * 333 / 334, 0.5, 0.5, 1, 1])
    assert whole[9999] == pytest.approx(1 / 700)


def test_a_plan_of_many_groups_has_the_lowest_and_the_highest(tmp_path: Path) -> None:
    run = {"logger": board_of(tmp_path), "max_epochs": 2}
    trainer(tmp_path, StepDecay(1, 0.5), **run).fit(LayerWise([2.0**-i for i in range(12)]))
    assert set(written(tmp_path / "run/planned").Tags()["scalars"]) == {"lr-SGD/pg1", "lr-SGD/pg12"}


@pytest.mark.filterwarnings("ignore:StepDecay. changed since the checkpoint")
def test_a_resume_and_a_changed_argument_leave_the_old_plan_as_it_was(tmp_path: Path) -> None:
    run = {"logger": board_of(tmp_path), "max_epochs": 4}
    first = Recorder(batches=1)
    trainer(tmp_path, StepDecay(1, 0.5), saver(tmp_path), **run).fit(first)
    for gamma in (0.5, 0.25):
        run = {"logger": board_of(tmp_path), "max_epochs": 4}
        trainer(tmp_path, StepDecay(1, gamma), **run).fit(Recorder(batches=1), ckpt_path=tmp_path / "2.ckpt")
    assert sorted(path.name for path in (tmp_path / "run").glob("planned*")) == [
        "planned",
        "planned-from-step-2",
        "planned-from-step-2-2",
    ]
    assert planned(tmp_path / "run/planned") == [(0, 1.0), (1, 0.5), (2, 0.25), (3, 0.125)]
    assert planned(tmp_path / "run/planned-from-step-2") == [(2, 0.25), (3, 0.125)]
    assert planned(tmp_path / "run/planned-from-step-2-2") == [(2, 0.0625), (3, 0.015625)]


def test_after_a_decision_the_plan_is_what_is_left_of_it(tmp_path: Path) -> None:
    run = {"max_epochs": 4, "logger": board_of(tmp_path, "first")}
    losing = Recorder(batches=1, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau(patience=1, factor=0.5), saver(tmp_path, "on_validation_end"), **run).fit(losing)
    assert planned(tmp_path / "first/planned") == [(step, 1.0) for step in range(4)]
    run |= {"logger": board_of(tmp_path, "second")}
    resumed = Recorder(batches=1, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau(patience=1, factor=0.5), **run).fit(resumed, ckpt_path=tmp_path / "2.ckpt")
    assert planned(tmp_path / "second/planned-from-step-2") == [(2, 0.5), (3, 0.5)]


@pytest.mark.filterwarnings("ignore:CosineAnnealing. changed since the checkpoint")
@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_a_plan_after_a_changed_pace_is_what_the_updates_then_use(interval: Any, tmp_path: Path) -> None:
    """4 epochs of 6 updates, left after 8 of them, then of 3 batches: two are left of epoch 1."""
    schedule = lambda: CosineAnnealing(interval=interval, warmup="1 epoch")  # noqa: E731
    run = {"max_epochs": 4, "log_every_n_steps": 1}
    trainer(tmp_path, schedule(), saver(tmp_path), logger=False, **run).fit(Recorder(batches=6))
    resumed = Recorder(batches=3)
    trainer(tmp_path, schedule(), logger=board_of(tmp_path), **run).fit(resumed, ckpt_path=tmp_path / "8.ckpt")
    there = dict(planned(tmp_path / "run/planned-from-step-8"))
    used = dict(zip(resumed.steps, resumed.used, strict=True))
    assert max(there) == max(used)
    assert there == pytest.approx({step: used[step] for step in there})
    assert there.keys() == used.keys() or interval == "epoch"


def test_with_late_groups_the_plan_is_written_anew(tmp_path: Path) -> None:
    class Joins(Callback):
        def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
            if trainer.current_epoch == 2:
                extra = torch.nn.Parameter(torch.zeros(1))
                trainer.optimizers[0].add_param_group({"params": [extra], "lr": 0.5})

    run = {"logger": board_of(tmp_path), "max_epochs": 4}
    trainer(tmp_path, StepDecay(1, 0.5), Joins(), **run).fit(Recorder(batches=2))
    assert planned(tmp_path / "run/planned")[-1] == (7, 0.125)
    # it keeps its LR for the interval in which it came, and follows then
    folder = tmp_path / "run/planned-from-step-4"
    assert planned(folder, "lr-SGD/pg1") == [(4, 0.25), (5, 0.25), (6, 0.125), (7, 0.125)]
    assert planned(folder, "lr-SGD/pg2") == [(4, 0.5), (5, 0.5), (6, 0.25), (7, 0.25)]


def test_with_an_argument_that_is_set_during_the_fit_the_plan_is_written_anew(tmp_path: Path) -> None:
    """From the next epoch on, and only for an argument."""
    part = StepDecay(2, 0.5)
    whole = ProductSchedule([part, Constant()], interval="step")

    class Sets(Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
            whole.own = part.own = trainer.global_step  # type: ignore[attr-defined]
            if trainer.global_step == 5:
                part.gamma = 0.25

    model = Recorder(batches=4)
    trainer(tmp_path, whole, Sets(), logger=board_of(tmp_path), max_epochs=3).fit(model)
    assert sorted(path.name for path in (tmp_path / "run").glob("planned*")) == ["planned", "planned-from-step-8"]
    assert planned(tmp_path / "run/planned-from-step-8") == [*zip(range(8, 12), model.used[8:], strict=True)]


def test_in_manual_optimization_epochs_have_a_plan_and_steps_have_none(tmp_path: Path) -> None:
    for interval in ("epoch", "step"):
        run = {"logger": board_of(tmp_path, interval), "max_epochs": 2}
        trainer(tmp_path, StepDecay(1, 0.5, interval=interval), **run).fit(Manual())  # type: ignore[arg-type]
    assert planned(tmp_path / "epoch/planned") == [(0, 1.0), (2, 1.0), (3, 0.5), (5, 0.5)]
    assert not (tmp_path / "step/planned").exists()


def test_a_fit_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    trainer(tmp_path, CosineAnnealing(), logger=board_of(tmp_path), max_epochs=2).fit(Recorder(batches=1))
    assert planned(tmp_path / "run/planned") == [(0, 1.0), (1, 0.5)]


class Bare(Logger):
    """Knows metrics only."""

    name, version = "bare", 0

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[float]] = {}

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self.seen.setdefault(name, []).append(value)


def test_other_loggers_get_what_they_can_show(tmp_path: Path) -> None:
    loggers = [Bare(), CSVLogger(tmp_path, name="csv"), TensorBoardLogger(tmp_path, name="", version="run")]
    schedule = ReduceOnPlateau(patience=1, factor=0.5)
    trainer(tmp_path, schedule, logger=loggers, max_epochs=3).fit(Recorder(batches=1, val_batches=1))
    assert loggers[0].seen["lr-SGD"] == [1.0, 1.0, 0.5]
    assert "lr-SGD" in (tmp_path / "csv/version_0/metrics.csv").read_text()
    assert planned(tmp_path / "run/planned") == [(0, 1.0), (1, 1.0), (2, 1.0)]


def test_fast_dev_run_writes_nothing(tmp_path: Path) -> None:
    trainer(tmp_path, CosineAnnealing(t_max=5), logger=TensorBoardLogger(tmp_path), fast_dev_run=True).fit(Recorder())
    assert list(tmp_path.rglob("events*")) == []


@pytest.mark.parametrize(
    "bar",
    [
        TQDMProgressBar,
        pytest.param(
            RichProgressBar,
            marks=pytest.mark.skipif(
                lightning.__version__.startswith(("2.5.0", "2.5.1", "2.5.2")), reason="needs rich older than 14.1"
            ),
        ),
    ],
)
def test_a_progress_bar_shows_the_lr_in_force(bar: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[tuple[Any, float]] = []

    class Watched(bar):  # type: ignore[misc]
        def get_metrics(self, trainer: Any, pl_module: Any) -> Any:
            metrics = super().get_metrics(trainer, pl_module)
            lr = trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else None
            if trainer.training and lr is not None:
                shown.append((metrics["lr-SGD"], lr))
            return metrics

    schedule = StepDecay(1, 0.1, interval="step", prog_bar=True)
    run = {"enable_progress_bar": True, "max_epochs": 2, "logger": False}
    trainer(tmp_path, schedule, Watched(refresh_rate=1), **run).fit(Recorder(batches=3))
    assert len(shown) >= 6
    assert all(text == f"{lr:.3g}" for text, lr in shown)
    captured = capsys.readouterr()
    assert "lr-SGD" in captured.out + captured.err
    assert "1e-05" in captured.out + captured.err


def test_the_bar_shows_it_with_log_lr_off_and_groups_by_name(tmp_path: Path) -> None:
    run = trainer(tmp_path, Constant(0.5, log_lr=False, prog_bar=True), max_epochs=1)
    run.fit(Recorder(two_groups, batches=1))
    assert run.progress_bar_metrics == {"lr-SGD/pg1": "0.25", "lr-SGD/pg2": "0.125"}
    assert "lr-SGD/pg1" not in run.callback_metrics


def test_a_cycled_momentum_has_a_chart(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    schedule = CyclicalLR(0.1, 1.0, step_size=2, momentum=(0.5, 0.75))
    model = Recorder(lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9), batches=1)
    trainer(tmp_path, schedule, logger=logger, max_epochs=2).fit(model)
    layout = written(tmp_path / "run").Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    assert b"momentum-" in layout
