"""TensorBoard as a dashboard: LR and loss on one page, planned curves under the actual ones; texts for any logger."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import chain, count
from typing import Any, cast

from lightning.fabric.utilities.cloud_io import get_filesystem
from lightning.pytorch import Trainer

from ..formula.decisions import title
from .callbacks import is_a
from .logbook import logged_step, tag
from .messages import info
from .ownership import hyperparameters
from .plan import Plan, Point
from .protocol import Schedule
from .values import Values


def send_text(trainer: Trainer, tag: str, texts: Sequence[str]) -> None:
    """To each logger that can show text: the last one where they add up, and all where the next takes its place."""
    step = logged_step(trainer.fit_loop.epoch_loop)
    for add_text in _those_that_can(trainer, "add_text"):
        add_text(tag, texts[-1], step)
    for logger in cast("list[Any]", trainer.loggers):
        if is_a(logger, "CometLogger"):
            logger.experiment.log_text(texts[-1], step=step, metadata={"tag": tag})
        elif is_a(logger, "MLFlowLogger"):
            # it cannot fetch a file whose name has quotes
            logger.experiment.log_text(logger.run_id, "\n".join(texts), re.sub(r"[^\w/]+", "-", tag) + ".txt")
        elif is_a(logger, "WandbLogger"):
            logger.log_text(tag, columns=["text"], data=[[text] for text in texts], step=step)


def open_dashboard(trainer: Trainer, begun: Sequence[Schedule]) -> None:
    """Write, for all the schedules of a fit at once, what their page and their texts need."""
    if not begun or not trainer.is_global_zero:
        return
    keys = sorted({key for schedule in begun for key in hyperparameters(schedule)})
    for add_custom_scalars in _those_that_can(trainer, "add_custom_scalars"):
        add_custom_scalars(_layout(keys))
    for schedule in begun:
        send_text(trainer, f"{schedule.state_key}/call", [f"`{schedule!r}`"])


def show_plans(trainer: Trainer, begun: Sequence[tuple[Schedule, Values]]) -> None:
    """Write the curves to come, as a run of TensorBoard's own beside the fit's: each in the chart of the actual one.

    Other loggers get none: there a chart shows the runs of people, and points ahead of the fit would be a metric.
    """
    folders: list[Any] = [get_logdir() for get_logdir in _those_that_can(trainer, "get_logdir")]
    if not folders or not trainer.is_global_zero:
        return
    points = [point for schedule, values in begun for point in _plan(trainer, schedule, values)]
    step = logged_step(trainer.fit_loop.epoch_loop)
    for folder in folders if points else ():
        _write(_unused(os.path.join(folder, f"planned-from-step-{step}" if step else "planned")), points)


def _plan(trainer: Trainer, schedule: Schedule, values: Values) -> list[Point]:
    try:
        return Plan(trainer, schedule, values).points()
    except Exception as error:  # of a user's formula where the fit may never come
        info(schedule, f"no planned curve goes to TensorBoard. {error}")
        return []


def _unused(folder: str) -> str:
    """A plan never stands in another's place."""
    exists, numbered = get_filesystem(folder).exists, (f"{folder}-{number}" for number in count(2))
    return next(name for name in chain([folder], numbered) if not exists(name))


def _write(folder: str, points: list[Point]) -> None:
    """An event file at one go: a writer of TensorBoard's has a thread, which costs more than all of this."""
    # which a logger of TensorBoard's kind has loaded
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard import RecordWriter

    now, file = time.time(), BytesIO()
    records = RecordWriter(file)
    records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for step, lrs in points:
        summary = Summary(value=[Summary.Value(tag=name, simple_value=lr) for name, lr in lrs.items()])
        records.write(Event(wall_time=now, step=step, summary=summary).SerializeToString())
    files = get_filesystem(folder)
    files.makedirs(folder, exist_ok=True)
    files.pipe_file(os.path.join(folder, f"events.out.tfevents.{now:.0f}.planned"), file.getvalue())


def _those_that_can(trainer: Trainer, do: str) -> list[Callable[..., None]]:
    """The method of each logger's experiment that has it, as TensorBoard's writer has."""
    experiments = [getattr(logger, "experiment", None) for logger in trainer.loggers]
    # asked of the class, for Lightning's dummies of a fast_dev_run and of other ranks have whatever they are asked for
    return [getattr(experiment, do) for experiment in experiments if hasattr(type(experiment), do)]


def _layout(keys: list[str]) -> dict[str, dict[str, list[Any]]]:
    # TensorBoard matches an expression with the beginning of a tag; what a module calls its losses is its own affair
    tags = {title(key): f"{tag(key)}-" for key in keys}
    beside = {"LR": tags.pop("LR"), "loss": ".*[Ll]oss"} if "LR" in tags else {"loss": ".*[Ll]oss"}
    return {"Schedules": {name: ["Multiline", [tag]] for name, tag in (beside | tags).items()}}
