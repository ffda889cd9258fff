"""GreedyLR: transformers' value for value, and the edges of its bounds, its waiting and its reset by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from models import Recorder, saver, trainer
from published.transformers_greedy import RUNS, STREAMS

from lightning_lrsched import Constant, GreedyLR, ProductSchedule, SequentialSchedule, StepDecay

BASES = (0.1, 0.01)


def ours(mode: str = "min", patience: int = 10, warmup: int = 0, smooth: bool = False, **theirs: Any) -> GreedyLR:
    """The call here for their arguments, at the base LRs of the recorded runs."""
    low, high = theirs.pop("min_lr", [0.001])[0] / BASES[0], theirs.pop("max_lr", [1.0])[0] / BASES[0]
    window = theirs.pop("window_size", 50)
    return GreedyLR(
        mode=mode,  # type: ignore[arg-type]
        patience=patience + 1,
        rise_cooldown=warmup,
        smoothing=window if smooth else 0,
        min_lr_ratio=low,
        max_lr_ratio=high,
        **theirs,
    )


@pytest.mark.parametrize(("stream", "arguments", "recorded"), RUNS)
def test_values_are_those_of_transformers(stream: str, arguments: dict[str, Any], recorded: Any) -> None:
    schedule, lrs = ours(**arguments), []
    expected = [each for times, *each in recorded for _ in range(times)]
    for value in STREAMS[stream]:
        schedule.check(value)
        lrs.append([schedule.lr_at(0, base) for base in BASES[: len(expected[0])]])
    assert lrs == [pytest.approx(each, rel=1e-8) for each in expected]
    assert len({lr for lr, *_ in lrs}) > 4  # it was moved to and fro


@pytest.mark.parametrize(("stream", "arguments", "recorded"), RUNS)
def test_the_recorded_values_are_transformers(stream: str, arguments: dict[str, Any], recorded: Any) -> None:
    optimization = pytest.importorskip("transformers.optimization")
    expected = [each for times, *each in recorded for _ in range(times)]
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in BASES[: len(expected[0])]]
    optimizer = torch.optim.SGD(groups)
    schedule = optimization.GreedyLR(optimizer, eps=0.0, **arguments)
    for value, lrs in zip(STREAMS[stream], expected, strict=True):
        schedule.step(value)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(lrs, rel=1e-8)


def heights(schedule: GreedyLR, values: list[float]) -> list[float]:
    found = []
    for value in values:
        schedule.check(value)
        found.append(schedule.height)
    return found


def test_its_edges_by_hand() -> None:
    bound: dict[str, Any] = {"patience": 1, "factor": 0.5, "min_lr_ratio": 0.5, "max_lr_ratio": 2.0}
    # a rise starts the falls in a row anew: at the bottom, risen, at the bottom again, and the second fall there
    values = [9.0, 9.0, 9.0, 8.0, 8.0, 8.0, 8.0]
    assert heights(GreedyLR(reset_start=2, **bound), values) == [2.0, 1.0, 0.5, 1.0, 0.5, 1.0, 2.0]
    assert heights(GreedyLR(reset_start=None, **bound), values) == [2.0, 1.0, 0.5, 1.0, 0.5, 0.5, 0.5]
    # a value that waits is not judged, and does not become the best
    values = [9.0, 5.0, 8.0, 9.0, 9.0, 7.0]
    assert heights(GreedyLR(rise_cooldown=1, **bound), values) == [2.0, 2.0, 2.0, 2.0, 1.0, 2.0]
    assert heights(GreedyLR(cooldown=1, **bound), values) == [2.0, 2.0, 1.0, 1.0, 0.5, 0.5]
    # at the start of a new count both counts are new
    bound["patience"] = 2
    assert heights(GreedyLR(**bound), [9.0, 8.0, 7.0, 7.0, 6.0, 6.0, 6.0]) == [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0]


@pytest.mark.filterwarnings("ignore:.*is nan, which counts as no improvement")
def test_a_nan_is_no_improvement_and_spoils_no_average() -> None:
    schedule = GreedyLR(patience=1, factor=0.5, smoothing=2, cooldown=1)
    values = [4.0, float("nan"), float("nan"), 3.0, 4.0]  # judged, judged, waits, judged as 3.5, judged as 3.5
    assert heights(schedule, values) == [2.0, 1.0, 1.0, 2.0, 1.0]


class Metric(Recorder):
    def __init__(self, metrics: list[float]) -> None:
        super().__init__(self.two_groups, batches=1, val_batches=1)
        self.metrics = metrics

    @staticmethod
    def two_groups(params: Any) -> Any:
        return torch.optim.SGD([{"params": [param], "lr": lr} for param, lr in zip(params, (1.0, 0.25), strict=True)])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.metrics[self.trainer.current_epoch])


def test_the_journal_has_every_change_and_none_at_a_bound(tmp_path: Path) -> None:
    schedule = GreedyLR(patience=1, factor=0.5, min_lr_ratio=0.5, max_lr_ratio=2.0, reset_start=2)
    model = Metric([5.0, 4.0, 4.0, 4.0, 4.0, 4.0])
    trainer(tmp_path, schedule, max_epochs=6).fit(model)
    assert [lr for lr, _ in model.used] == [1.0, 2.0, 2.0, 1.0, 0.5, 1.0]
    assert [lr for _, lr in model.used] == [0.25, 0.5, 0.5, 0.25, 0.125, 0.25]
    stalled = "no improvement of val_loss in 1 check: 4 is not below 4, best 4"
    assert schedule.journal == [
        (1, 0, "lr", 1.0, 2.0, "val_loss improved once, to 5"),
        (3, 2, "lr", 2.0, 1.0, stalled),
        (4, 3, "lr", 1.0, 0.5, stalled),
        (5, 4, "lr", 0.5, 1.0, f"{stalled}; begins anew"),
        (6, 5, "lr", 1.0, 2.0, "val_loss improved once, to 4"),
    ]


def test_as_a_part_it_reacts_in_its_own_stretch_and_multiplies(tmp_path: Path) -> None:
    greedy = GreedyLR(patience=1, factor=0.5)
    parts = [Constant(0.5), ProductSchedule([StepDecay(2, 0.1), greedy])]
    model = Metric([1.0, 2.0, 1.5, 1.0, 3.0])
    trainer(tmp_path, SequentialSchedule(parts, [2], continuous=True), max_epochs=5).fit(model)
    assert [lr for lr, _ in model.used] == pytest.approx([0.5, 0.5, 0.5, 1.0, 0.2])


def test_bounds_that_have_changed_hold_at_once(tmp_path: Path) -> None:
    metrics = [3.0, 2.0, 1.0, 1.0]
    trainer(tmp_path, GreedyLR(patience=1, factor=0.5), saver(tmp_path, "on_validation_end"), max_epochs=2).fit(
        Metric(metrics)
    )
    model = Metric(metrics)
    with pytest.warns(UserWarning, match=r"max_lr_ratio: 10.0 -> 3.0; LR 4 -> 3."):
        trainer(tmp_path, GreedyLR(patience=1, factor=0.5, max_lr_ratio=3.0), max_epochs=4).fit(
            model, ckpt_path=tmp_path / "2.ckpt"
        )
    assert [lr for lr, _ in model.used] == [3.0, 3.0]
    assert model.trainer.optimizers[0].param_groups[0]["lr"] == 1.5
