"""What a person finds in TensorBoard, read back through its own server, and in a browser."""

from __future__ import annotations

import importlib
import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from board import CHROMIUM, DRIVER, Board, browser, opened, tensorboard
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, RichProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from models import Recorder, saver, trainer
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    CustomSchedule,
    CyclicalLR,
    ExponentialDecay,
    ReduceOnPlateau,
    StepDecay,
)


def two_groups(params: Any) -> Any:
    weight, bias = params
    return torch.optim.SGD([{"params": [weight], "lr": 0.5}, {"params": [bias], "lr": 0.25}], weight_decay=0.5)


class Losing(Recorder):
    """Its validation loss never falls."""

    def __init__(self) -> None:
        super().__init__(two_groups, batches=3, val_batches=1)


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


def test_the_planned_curves_are_pictures(board: Board) -> None:
    tags = board.get("images", "tags")["run"]
    assert tags.keys() == {"ReduceOnPlateau/planned", "ExponentialDecay{'hyperparameter': 'weight_decay'}/planned"}
    for tag in tags:
        (sample,) = board.get("images", "images", run="run", tag=tag, sample=0)
        picture = Image.open(io.BytesIO(board.raw(f"data/plugin/images/individualImage?{sample['query']}")))
        assert min(picture.size) > 300
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10


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
        page = opened(chromium, board, "images", "ReduceOnPlateau/planned")
        assert "ExponentialDecay{'hyperparameter': 'weight_decay'}/planned" in page


def written(folder: Path) -> Any:
    return EventAccumulator(str(folder), size_guidance={"tensors": 0, "images": 0}).Reload()


def test_beside_a_monitor_there_is_a_page_too_and_without_logging_none(tmp_path: Path) -> None:
    for version, schedule in (("monitored", CosineAnnealing()), ("silent", CosineAnnealing(log_lr=False))):
        logger = TensorBoardLogger(tmp_path, name="", version=version)
        others = [LearningRateMonitor()] if version == "monitored" else []
        trainer(tmp_path, schedule, *others, logger=logger, max_epochs=2).fit(Recorder(batches=1))
        tags = written(tmp_path / version).Tags()
        assert ("custom_scalars__config__" in tags["tensors"]) == (version == "monitored")
        assert tags["images"] == (["CosineAnnealing/planned"] if version == "monitored" else [])


def test_a_run_without_an_end_has_no_picture(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    model = Recorder(batches=2)
    run = {"logger": logger, "max_epochs": -1, "max_time": {"seconds": 1}}
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), **run).fit(model)
    assert written(tmp_path / "run").Tags()["images"] == []


def test_a_formula_that_ends_before_the_run_leaves_out_the_picture_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    stop = EarlyStopping("lr-SGD", stopping_threshold=0.6, check_on_train_epoch_end=True)
    model = Recorder(batches=1)
    schedule = CustomSchedule(lambda t, base_lr: [1.0, 0.5, 0.25][t])
    with caplog.at_level(logging.INFO):
        trainer(tmp_path, schedule, stop, logger=logger, max_epochs=9).fit(model)
    assert model.used == [1.0, 0.5]
    assert caplog.text.count("CustomSchedule: no picture of the planned curve goes to TensorBoard. list index") == 1


def test_a_plan_that_has_been_reacted_to_is_not_drawn_anew(tmp_path: Path) -> None:
    run = {"max_epochs": 3, "logger": TensorBoardLogger(tmp_path, name="", version="first")}
    losing = Recorder(batches=1, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau(patience=1), saver(tmp_path, "on_validation_end"), **run).fit(losing)
    assert written(tmp_path / "first").Tags()["images"] == ["ReduceOnPlateau/planned"]
    run |= {"logger": TensorBoardLogger(tmp_path, name="", version="second")}
    resumed = Recorder(batches=1, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau(patience=1), **run).fit(resumed, ckpt_path=tmp_path / "2.ckpt")
    assert written(tmp_path / "second").Tags()["images"] == []


def test_an_epoch_of_the_plan_is_as_long_as_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    dashboard = importlib.import_module("lightning_lrsched.fit.dashboard")
    original = dashboard.draw
    monkeypatch.setattr(
        dashboard, "draw", lambda curves, *rest: drawn.append((curves, rest[0])) or original(curves, *rest)
    )
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    trainer(tmp_path, StepDecay(1, 0.5), logger=logger, max_epochs=2).fit(Recorder(two_groups, batches=3))
    ((curves, xlabel),) = drawn
    assert xlabel == "step"
    assert [(list(curve.x), curve.y) for curve in curves] == [
        ([0.0, 3.0, 3.0, 6.0], [0.5, 0.5, 0.25, 0.25]),
        ([0.0, 3.0, 3.0, 6.0], [0.25, 0.25, 0.125, 0.125]),
    ]


def test_without_matplotlib_there_is_no_picture_and_an_info(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    with caplog.at_level(logging.INFO):
        trainer(tmp_path, CosineAnnealing(), logger=logger, max_epochs=2).fit(Recorder(batches=1))
    assert caplog.text.count('pip install "lightning-lrsched[plot]"') == 1
    assert "custom_scalars__config__" in written(tmp_path / "run").Tags()["tensors"]


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
    assert written(tmp_path / "run").Tags()["images"] == ["ReduceOnPlateau/planned"]


def test_fast_dev_run_writes_and_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dashboard = importlib.import_module("lightning_lrsched.fit.dashboard")
    monkeypatch.setattr(dashboard, "axes", None)
    trainer(tmp_path, CosineAnnealing(t_max=5), logger=TensorBoardLogger(tmp_path), fast_dev_run=True).fit(Recorder())
    assert list(tmp_path.rglob("events*")) == []


@pytest.mark.parametrize("bar", [TQDMProgressBar, RichProgressBar])
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
