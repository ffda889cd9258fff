"""The bounds read off an LR range test: hand-made curves with known corners, and real runs of Lightning's lr_find."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import matplotlib
import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.tuner import Tuner
from matplotlib import pyplot
from models import trainer
from torch.utils.data import DataLoader, TensorDataset

from lightning_lrsched import cyclical_bounds, plot_bounds

NAN = float("nan")
Curve = Callable[[float], float]


def found(loss: Curve, points: int = 200, low: float = -5, high: float = 1) -> Any:
    """What lr_find would return for a loss that depends on the exponent of the LR: its running mean."""
    lrs = [10 ** (low + (high - low) * i / (points - 1)) for i in range(points)]
    means, kept = [], 0.0
    for i, lr in enumerate(lrs):
        kept = 0.98 * kept + 0.02 * loss(math.log10(lr))
        means.append(kept / (1 - 0.98 ** (i + 2)))
    return SimpleNamespace(results={"lr": lrs, "loss": means})


def corners(exponent: float) -> float:
    """Flat down to 10**-3, then a straight line down to 10**-1, then a steep one up."""
    if exponent < -3:
        return 2.0
    return 2.0 - 0.75 * (exponent + 3) if exponent < -1 else 0.5 + 3.0 * (exponent + 1)


def ragged(exponent: float) -> float:
    """The same fall, and a long floor with teeth."""
    return corners(exponent) if exponent < -1 else 0.5 + 0.4 * (math.floor(20 * exponent) % 4 > 1)


def noisy(exponent: float) -> float:
    return corners(exponent) + 0.03 * math.sin(1e5 * exponent)


def diverging(exponent: float) -> float:
    return corners(exponent) if exponent < -1 else NAN


@pytest.mark.parametrize("loss", [corners, ragged, noisy, diverging], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("points", [60, 100, 300])
def test_known_corners_are_found(loss: Curve, points: int) -> None:
    eta_min, eta_max = cyclical_bounds(found(loss, points))
    # 10 % of the fall is a fifth of a decade; smoothing over a twentieth of 6 decades reaches 0.15 to either side
    assert -3.1 < math.log10(eta_min) < -2.6
    assert -1.25 < math.log10(eta_max) < -0.9


def test_the_bounds_are_lrs_that_were_tried() -> None:
    finder = found(corners)
    assert set(cyclical_bounds(finder)) <= set(finder.results["lr"])


def test_a_second_valley_does_not_count() -> None:
    def two_valleys(exponent: float) -> float:
        return corners(exponent) if exponent < 0 else 3.5 - 3.4 * exponent

    assert cyclical_bounds(found(two_valleys)) == cyclical_bounds(found(corners))


def test_a_negative_loss_has_bounds_too() -> None:
    assert cyclical_bounds(found(lambda x: corners(x) - 10.0)) == cyclical_bounds(found(corners))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda x: 2.0 - 0.2 * x, "does not rise again up to LR 10. Give lr_find a higher max_lr."),
        (lambda x: 2.0 + 0.2 * x, "does not fall between LR 1e-05 and 10. Give lr_find a lower min_lr"),
        (lambda x: 2.0, "does not fall between LR 1e-05 and 10."),
        (lambda x: 0.0, "does not fall between LR 1e-05 and 10."),
        (lambda x: corners(min(x, -1.0)), "does not rise again up to LR 10."),
        (lambda x: 2.0 - 0.04 * (-3 < x < -1), "does not fall between LR 1e-05 and 10."),
    ],
    ids=["falling", "rising", "flat", "zero", "held", "dented"],
)
def test_a_curve_without_bounds_is_refused(loss: Curve, message: str) -> None:
    with pytest.raises(ValueError, match=r"^cyclical_bounds: the loss ") as error:
        cyclical_bounds(found(loss))
    assert message in str(error.value)


@pytest.mark.parametrize("finder", [found(corners, 19), found(lambda x: NAN if x > -4.5 else 1.0)])
def test_too_few_losses_are_refused(finder: Any) -> None:
    with pytest.raises(ValueError, match=r"must give at least 20 finite losses, got (19|17)\. Raise its num_training"):
        cyclical_bounds(finder)


def test_the_plot_marks_both_bounds() -> None:
    matplotlib.use("Agg")
    finder = found(corners)
    eta_min, eta_max = cyclical_bounds(finder)
    given = pyplot.subplots()
    for fig, ax in (plot_bounds(finder), plot_bounds(finder, ax=given[1])):
        assert ax.figure is fig
        loss, low, high = ax.lines
        assert list(loss.get_xdata()) == finder.results["lr"]
        assert (set(low.get_xdata()), set(high.get_xdata())) == ({eta_min}, {eta_max})
        assert [ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()] == ["log", "LR", "loss"]
    pyplot.close("all")


class Classifier(LightningModule):
    """Two layers on three clouds of points, and every loss they had."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.lr, self.kind = 0.1, kind
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
        self.losses: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        make = torch.optim.SGD if self.kind == "SGD" else torch.optim.Adam
        return make(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> Any:
        labels = torch.arange(3).repeat(200)
        centres = torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
        return DataLoader(TensorDataset(centres[labels] + torch.randn(600, 2), labels), batch_size=32, shuffle=True)


@pytest.fixture
def lr_find(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def find(model: LightningModule) -> Any:
        tuner = Tuner(trainer(tmp_path, max_epochs=99))
        return tuner.lr_find(model, min_lr=1e-6, max_lr=100, num_training=120, update_attr=False)

    return find


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "least", "most"), [("SGD", 0.1, 10.0), ("Adam", 0.005, 1.0)])
def test_real_range_tests(kind: str, least: float, most: float, seed: int, lr_find: Any) -> None:
    torch.manual_seed(seed)
    eta_min, eta_max = cyclical_bounds(lr_find(Classifier(kind)))
    assert least / 100 < eta_min < eta_max / 3
    assert least < eta_max < most


def test_the_losses_of_single_updates_are_those_of_the_model(lr_find: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where Lightning changes its running mean, which the bounds undo."""
    from lightning_lrsched.look.bounds import _of_single_updates

    torch.manual_seed(0)
    model = Classifier("SGD")
    means = lr_find(model).results["loss"]
    assert _of_single_updates(means) == pytest.approx(model.losses[: len(means)], rel=1e-6)
