"""TensorBoard as a dashboard: LR and loss on one page, the planned curves as pictures, calls and decisions as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info

from ..formula.decisions import title
from ..formula.pictures import Curve, axes, draw
from .logbook import logged_step
from .ownership import hyperparameters
from .protocol import Schedule
from .values import Values

POINTS = 500  # of a picture, about


def send_text(trainer: Trainer, tag: str, text: str) -> None:
    """To each logger that can show text."""
    for add_text in _those_that_can(trainer, "add_text"):
        add_text(tag, text, logged_step(trainer))


def open_dashboard(trainer: Trainer, begun: Sequence[tuple[Schedule, Values]]) -> None:
    """Write, for all the schedules of a fit at once, what their page and their tabs need."""
    if not begun or not trainer.is_global_zero:
        return
    keys = sorted({key for schedule, _ in begun for key in hyperparameters(schedule)})
    for add_custom_scalars in _those_that_can(trainer, "add_custom_scalars"):
        add_custom_scalars(_layout(keys))
    for schedule, values in begun:
        send_text(trainer, f"{schedule.state_key}/call", f"`{schedule!r}`")
        for add_figure in _those_that_can(trainer, "add_figure"):
            if (picture := _picture(schedule, values)) is not None:
                add_figure(f"{schedule.state_key}/planned", picture, logged_step(trainer))


def _those_that_can(trainer: Trainer, do: str) -> list[Callable[..., None]]:
    """The method of each logger's experiment that has it, as TensorBoard's writer has."""
    experiments = [getattr(logger, "experiment", None) for logger in trainer.loggers]
    # asked of the class, for Lightning's dummies of a fast_dev_run and of other ranks have whatever they are asked for
    return [getattr(experiment, do) for experiment in experiments if hasattr(type(experiment), do)]


def _layout(keys: list[str]) -> dict[str, dict[str, list[Any]]]:
    # TensorBoard matches an expression with the beginning of a tag; what a module calls its losses is its own affair
    tags = {title(key): f"{key}-" for key in keys}
    beside = {"LR": tags.pop("LR"), "loss": ".*[Ll]oss"} if "LR" in tags else {"loss": ".*[Ll]oss"}
    return {"Schedules": {name: ["Multiline", [tag]] for name, tag in (beside | tags).items()}}


def _picture(schedule: Schedule, values: Values) -> Any:
    """The planned curve of the highest and the lowest base value, over the run; None: it cannot be drawn."""
    end = values.progress.run.end(schedule.counts)
    bases = {base for groups in values.driven for base in groups.bases}
    record = schedule.record
    another = record.restart is not None or len(values.progress.run.knots) > 1 or bool(schedule.journal)
    if end is None or not bases or another:  # so that t or the curve is not what it was
        return None
    try:
        curves, xlabel = _curves(schedule, values, sorted({max(bases), min(bases)}, reverse=True), end.planned)
        ax = axes(on_screen=False)
    except Exception as error:  # of matplotlib that is missing, or of a user's formula where the fit may never come
        rank_zero_info(f"{type(schedule).__name__}: no picture of the planned curve goes to TensorBoard. {error}")
        return None
    return draw(curves, xlabel, title(schedule.hyperparameter), ax)[0]


def _curves(schedule: Schedule, values: Values, bases: list[float], total: int) -> tuple[list[Curve], str]:
    """In steps, as TensorBoard's curves are, as far as the Trainer knows how many an epoch has."""
    places = range(0, total, -(-total // POINTS))
    columns = [values.placed.moment((t, t), set(bases)).of(bases) for t in places]
    pace = values.progress.run.pace
    x: list[float] = list(places)
    xlabel: str = schedule.counts
    if schedule.counts == "epoch":  # each value holds for its epoch
        x = [float(edge) for t in places for edge in (t, min(t + places.step, total))]
        columns = [column for column in columns for _ in range(2)]
        if pace is not None:
            x, xlabel = [float(pace.steps(int(epoch))) for epoch in x], "step"
    labels = [f"base {title(schedule.hyperparameter)} {base:g}" for base in bases]
    return [Curve(label, x, list(y)) for label, y in zip(labels, zip(*columns, strict=True), strict=True)], xlabel
