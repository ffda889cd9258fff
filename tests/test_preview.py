"""What a schedule shows without a Trainer, against real fits and pencil and paper."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from cases import CASES, Case
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from matplotlib import pyplot
from models import Recorder, lrs_of_fit, trainer

from lightning_lrsched import (
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    CustomSchedule,
    CyclicalLR,
    Keyframes,
    LRSchedule,
    OneCycle,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
    plot_schedules,
)


@pytest.fixture(autouse=True)
def no_screen() -> Iterator[None]:
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


@pytest.mark.filterwarnings("ignore:.* The fit ends without a single value of it")
@pytest.mark.parametrize("interval", ["epoch", "step"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_preview_holds_the_lrs_of_a_fit(case: Case, interval: Any, tmp_path: Any) -> None:
    schedule = case.make(interval=interval, warmup="25%")
    before = repr(schedule), schedule.state_dict()
    foreseen = schedule.preview(8, 3)
    assert (repr(schedule), schedule.state_dict()) == before
    used = lrs_of_fit(tmp_path, schedule, model=Recorder(batches=3), max_epochs=8)
    found = used[::3] if interval == "epoch" else used
    if isinstance(schedule, CooldownOnPlateau):  # has ended the fit with its decay
        foreseen = foreseen[: len(found)]
    if schedule.journal:  # up to the first decision
        first = schedule.journal[0].epoch if interval == "epoch" else schedule.journal[0].step
        foreseen, found = foreseen[:first], found[:first]
    assert foreseen == found


def test_several_base_lrs_have_a_list_each() -> None:
    assert StepDecay(1, 0.5).preview(2, base_lr=[1.0, 0.5]) == [[1.0, 0.5], [0.5, 0.25]]
    assert StepDecay(1, 0.5).preview(2, base_lr=(0.5,)) == [[0.5, 0.25]]


def test_durations_are_those_of_the_run_that_is_asked_for() -> None:
    schedule = SequentialSchedule([Constant(0.5), CosineAnnealing()], milestones=["50%"])
    assert schedule.preview(4) == pytest.approx([0.5, 0.5, 1.0, 0.5])
    assert schedule.preview(2) == [0.5, 1.0]
    assert StepDecay("4 steps", 0.5).preview(4, 2) == [1.0, 1.0, 0.5, 0.5]


def test_in_the_middle_of_a_fit_it_is_a_run_from_the_start_and_the_fit_goes_on(tmp_path: Any) -> None:
    class Asking(Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            assert schedule.preview(2, 5, base_lr=0.5) == pytest.approx([0.5 - 0.05 * t for t in range(10)])

    def fit(*callbacks: Any) -> list[Any]:
        model = Recorder()
        trainer(tmp_path, schedule, *callbacks, max_epochs=2).fit(model)
        return model.used

    schedule = Keyframes(["0%", "100%"], [1.0, 0.0], interval="step")
    assert fit(Asking()) == fit()


def test_a_plateau_shows_its_curve_without_reactions() -> None:
    plateau = ReduceOnPlateau(patience=1, factor=0.5, warmup=1)
    for value in (1.0, 1.0, 1.0):
        plateau.check(value)
    assert plateau.preview(4) == [0.5, 1.0, 1.0, 1.0]
    assert plateau.reductions == 2


@pytest.mark.parametrize(
    ("schedule", "run", "message"),
    [
        (StepDecay(1), {"epochs": 0}, "StepDecay: 'epochs' must be a positive integer, got 0."),
        (StepDecay(1), {"epochs": 2.0}, "StepDecay: 'epochs' must be a positive integer, got 2.0."),
        (
            StepDecay(1, interval="step"),
            {"epochs": 2},
            "StepDecay: 'steps_per_epoch' must be a positive integer, got None.",
        ),
        (StepDecay(1), {"epochs": 2, "base_lr": -1.0}, "StepDecay: 'base_lr' must be a number >= 0, got -1.0."),
        (StepDecay(1), {"epochs": 2, "base_lr": ["0.1"]}, "StepDecay: 'base_lr' must be a number >= 0, got '0.1'."),
        (StepDecay(1), {"epochs": 2, "base_lr": "0.1"}, "StepDecay: 'base_lr' must be a number >= 0, got '0.1'."),
        (
            CosineAnnealing(eta_min=0.5),
            {"epochs": 2, "base_lr": 0.1},
            "CosineAnnealing: 'base_lr' must be a number >= eta_min (0.5), got 0.1.",
        ),
        (
            StepDecay("20 steps"),
            {"epochs": 2},
            "StepDecay: 'step_size' is '20 steps', which the Trainer cannot turn into epochs: steps_per_epoch is not"
            " given. Pass step_size=<number of epochs>.",
        ),
    ],
)
def test_what_makes_no_run_is_refused(schedule: LRSchedule, run: Any, message: str) -> None:
    with pytest.raises((ValueError, MisconfigurationException)) as error:
        schedule.preview(**run)
    assert str(error.value) == message


def test_a_plot_has_epochs_below_and_returns_figure_and_axes() -> None:
    fig, ax = StepDecay(1, 0.5).plot(2)
    assert ax.figure is fig
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "LR")
    (line,) = ax.lines
    assert list(zip(*line.get_data(), strict=True)) == [(0, 1.0), (1, 1.0), (1, 0.5), (2, 0.5)]
    assert line.get_label() == "StepDecay(step_size=1, gamma=0.5)"


def test_a_plot_goes_into_given_axes() -> None:
    fig, ax = pyplot.subplots()
    step = CyclicalLR(0.0, step_size=2, interval="step")
    assert step.plot(2, 2, ax=ax) == (fig, ax)
    assert StepDecay(1, hyperparameter="weight_decay").plot(2, base_lr=[1.0, 0.5], ax=ax) == (fig, ax)
    assert list(zip(*ax.lines[0].get_data(), strict=True)) == [(0, 0.0), (0.5, 0.5), (1, 1.0), (1.5, 0.5)]
    assert [line.get_label().rpartition(", ")[2] for line in ax.lines[1:]] == ["base_lr=1.0", "base_lr=0.5"]
    assert ax.get_ylabel() == "weight_decay"


def test_per_step_and_per_epoch_schedules_share_one_picture() -> None:
    schedules = [CosineAnnealing(interval="step"), StepDecay(2), OneCycle(interval="step")]
    _, ax = plot_schedules(schedules, 4, 10, base_lr=0.1)
    assert [line.get_label() for line in ax.lines] == [repr(schedule) for schedule in schedules]
    assert [line.get_xdata()[-1] for line in ax.lines] == [3.9, 4, 3.9]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [repr(schedule) for schedule in schedules]


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="pip install matplotlib"):
        StepDecay(1).plot(2)


def polyline(html: str) -> list[list[float]]:
    (line,) = ElementTree.fromstring(html[html.index("<svg") :]).iter("{http://www.w3.org/2000/svg}polyline")
    return [[float(number) for number in point.split(",")] for point in line.attrib["points"].split()]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_notebook_shows_the_call_and_the_curve(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    html = case.make()._repr_html_()
    assert f"<code>{type(case.make()).__name__}(" in html
    points = polyline(html)
    assert len(points) > 1
    assert {x for x, _ in points} & {8.0, 232.0} == {8.0, 232.0}
    assert min(y for _, y in points) == 8.0
    assert len(html) < 20_000


def test_the_notebooks_curve_runs_through_four_periods() -> None:
    heights = [y for _, y in polyline(StepDecay(3, 0.5)._repr_html_())]
    # 84 pixels high above a margin of 8: the LR is 1, 1/2, 1/4 and 1/8, three epochs each
    assert heights == [y for y in (8.0, 50.0, 71.0, 81.5) for _ in range(6)]


def test_a_curve_that_no_nominal_run_can_show_is_the_call_alone() -> None:
    def gone(t: int, base_lr: float) -> float:
        return -1.0

    html = ProductSchedule([CustomSchedule(gone), StepDecay(2)])._repr_html_()
    assert html.startswith("<code>ProductSchedule(parts=(CustomSchedule(function=&#x27;")
    assert "<svg" not in html
