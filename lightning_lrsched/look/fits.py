"""What is asked before a run: several schedules in one picture, and the LRs of this very Trainer's fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy, deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.utilities.exceptions import _TunerExitException
from lightning.pytorch.utilities.seed import isolate_rng

from ..fit.callbacks import callbacks_of, is_a
from ..fit.groups import DrivenGroups
from ..fit.lightning import MisconfigurationException
from ..fit.logbook import group_names
from ..fit.numbers import read
from ..fit.position import run_of
from ..fit.values import Values
from ..formula.decisions import title
from ..formula.pictures import draw
from ..formula.timeline import Run
from ..schedule import LRSchedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_schedules(
    schedules: Sequence[LRSchedule],
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    *,
    base_lr: float | Sequence[float] = 1.0,
    ax: Axes | None = None,
) -> tuple[Figure, Axes]:
    """Draw several schedules into one picture, over the epochs of one run, with matplotlib.

    Args:
        schedules: Schedules, per-epoch and per-step ones together.
        epochs: As for :meth:`LRSchedule.preview`.
        steps_per_epoch: As for :meth:`LRSchedule.preview`.
        base_lr: As for :meth:`LRSchedule.preview`; several give each schedule a curve each.
        ax: Axes to draw into. None: new ones.

    Returns:
        The figure and the axes.

    Raises:
        ValueError: an argument breaks its rule.
        MisconfigurationException: a schedule does not fit a run of this length.
        ModuleNotFoundError: matplotlib, the extra ``[plot]``, is not installed.
    """
    curves = [curve for schedule in schedules for curve in schedule.curves(epochs, steps_per_epoch, base_lr)]
    names = dict.fromkeys(title(schedule.numbers[0]) for schedule in schedules)
    axes = dict.fromkeys(schedule.axis(steps_per_epoch) for schedule in schedules)
    return draw(curves, ", ".join(axes), ", ".join(names), ax)


# callbacks that set LRs or let groups join, or train before the fit begins
_UNFORESEEABLE = ("LearningRateFinder", "BatchSizeFinder", "StochasticWeightAveraging", "BaseFinetuning")


def preview_fit(
    trainer: Trainer,
    model: LightningModule,
    train_dataloaders: Any = None,
    val_dataloaders: Any = None,
    datamodule: Any = None,
) -> dict[str, list[float]]:
    """The values of every optimizer update that ``trainer.fit`` would make with these arguments, and no update made.

    The fit is begun, and ended just before its first batch: the data is prepared, ``setup``, ``configure_model``,
    ``configure_optimizers`` and ``on_fit_start`` run, and ``teardown``. No training or validation step runs, nothing
    is logged or saved, and of the callbacks only the schedules and a GradientAccumulationScheduler take part, the
    schedules as copies. Afterwards the random state, the Trainer and the schedules are as before, so that a fit gives
    the LRs and weights that it would have given.

    >>> from lightning.pytorch.demos.boring_classes import BoringModel
    >>> from lightning_lrsched import StepDecay
    >>> schedule = StepDecay(2, 0.5, interval="step", replace_scheduler=True)
    >>> trainer = Trainer(max_epochs=2, limit_train_batches=2, callbacks=[schedule])
    >>> preview_fit(trainer, BoringModel())
    {'lr-SGD': [0.1, 0.1, 0.05, 0.05]}

    Args:
        trainer: The Trainer, with the schedules among its callbacks. One that has trained already: what a further fit
            adds.
        model: As for ``trainer.fit``.
        train_dataloaders: As for ``trainer.fit``.
        val_dataloaders: As for ``trainer.fit``.
        datamodule: As for ``trainer.fit``.

    Returns:
        For each name under which a fit logs, such as ``"lr-SGD/pg1"``, the value of each update. The LR of every group
        is there, driven by a schedule or constant, and what else a schedule drives: ``"weight_decay-AdamW"``,
        ``"momentum-SGD"``. Left out is the LR of an optimizer that a torch scheduler drives. Empty, if the fit would
        make no update.

    Raises:
        MisconfigurationException: what the fit itself would refuse; manual optimization and a run of unknown length,
            for the number of updates is then known to nobody; a callback of Lightning that changes LRs or groups
            during the fit; and a strategy that spawns its processes.

    What only the training shows is not in it: reactions to a metric, EarlyStopping, ``max_time``, updates that a
    GradScaler skips, groups and LRs that code of your own changes.
    """
    given = callbacks_of(trainer)
    if is_a(cast(Any, trainer.strategy.launcher), "_MultiProcessingLauncher"):
        raise _refusal("a strategy that spawns its processes keeps the fit's facts in them. Preview it with 'ddp'.")
    found: dict[str, list[float]] = {}

    def begin(trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        _refuse_unforeseeable([*given, *callbacks_of(trainer)], pl_module)
        trainer.callbacks = [*filter(_takes_part, callbacks_of(trainer)), probe]  # type: ignore[attr-defined]

    def look(trainer: Trainer, pl_module: LightningModule) -> None:
        found.update(_foreseen(trainer))
        raise _TunerExitException  # how Lightning itself leaves a fit early: torn down, and no error

    probe = LambdaCallback(setup=begin, on_train_start=look)
    with _untouched(trainer), suppress(_TunerExitException):  # a pytorch_lightning Trainer lets it through
        trainer.callbacks = [probe, *map(_copy, filter(_takes_part, given))]  # type: ignore[attr-defined]
        trainer.fit(model, train_dataloaders, val_dataloaders, datamodule)
    return found


def _refusal(message: str) -> MisconfigurationException:
    return MisconfigurationException(f"preview_fit: {message}")


def _refuse_unforeseeable(callbacks: Iterable[Callback], model: LightningModule) -> None:
    if not model.automatic_optimization:
        raise _refusal(
            "in manual optimization only the module knows how often an optimizer steps. Use"
            " schedule.preview(epochs, steps_per_epoch, base_lr) of each schedule."
        )
    for schedule in (callback for callback in callbacks if isinstance(callback, LRSchedule)):
        if schedule.counts in ("second", "interval"):
            raise _refusal(
                f"{type(schedule).__name__} counts by a clock that only the fit shows. Take it off to preview."
            )
    for name in _UNFORESEEABLE:
        if any(is_a(callback, name) for callback in callbacks):
            raise _refusal(f"{name} changes LRs or groups in ways that only the fit shows. Take it off to preview.")


def _takes_part(callback: Callback) -> bool:
    return isinstance(callback, LRSchedule) or is_a(callback, "GradientAccumulationScheduler")


def _copy(callback: Callback) -> Callback:
    twin = deepcopy(callback)
    if isinstance(callback, LRSchedule):
        cast(LRSchedule, twin).trained_by = callback.trained_by  # whose next fit goes on from its last
    return twin


@contextmanager
def _untouched(trainer: Trainer) -> Iterator[None]:
    """Nothing is logged, profiled or validated, and afterwards the random state and the Trainer are as before."""
    strategy = trainer.strategy
    attributes = [(trainer, name) for name in ("callbacks", "loggers", "profiler", "num_sanity_val_steps", "state")]
    attributes += [(cast(Any, strategy), name) for name in ("optimizers", "lr_scheduler_configs")]
    before = [(owner, name, getattr(owner, name)) for owner, name in attributes]
    generators: list[tuple[torch.Generator, torch.Tensor]] = []
    process = strategy.process_dataloader

    def note_generators(loader: Any) -> Any:
        for holder in (loader, getattr(loader, "sampler", None)):
            if isinstance(generator := getattr(holder, "generator", None), torch.Generator):
                generators.append((generator, generator.get_state()))
        return process(loader)

    trainer.loggers = [DummyLogger()] if trainer.loggers else []
    cast(Any, trainer).profiler = PassThroughProfiler()
    trainer.num_sanity_val_steps = 0
    trainer.state = copy(trainer.state)
    random_state = isolate_rng()
    random_state.__enter__()
    try:
        with patch.object(strategy, "process_dataloader", note_generators):
            yield
    finally:
        random_state.__exit__(None, None, None)  # by hand, for it restores nothing after an error
        for generator, state in reversed(generators):
            generator.set_state(state)
        for owner, name, value in before:
            setattr(owner, name, value)


def _foreseen(trainer: Trainer) -> dict[str, list[float]]:
    """Everything is in place for the first batch: what each update of the run will find."""
    fits = [(s, s.fit) for s in callbacks_of(trainer) if isinstance(s, LRSchedule) and s.fit is not None]
    run = run_of(trainer)
    epochs = _epochs_of_updates(trainer, run, any(schedule.counts == "epoch" for schedule, _ in fits))
    found: dict[str, list[float]] = {}
    scheduled = [config.scheduler.optimizer for config in trainer.lr_scheduler_configs]
    for names, optimizer in zip(group_names(trainer.optimizers, "lr"), trainer.optimizers, strict=True):
        if optimizer not in scheduled:
            lrs = [float(group["lr"]) for group in optimizer.param_groups]
            found |= {name: [lr] * len(epochs) for name, lr in zip(names, lrs, strict=True)}
    for schedule, fit in fits:
        passed = [epoch - epochs[0] for epoch in epochs] if schedule.counts == "epoch" else range(len(epochs))
        for groups in fit.values.driven:
            for number, columns in _coming(schedule, fit.values, groups, passed[-1] + 1).items():
                names = group_names(trainer.optimizers, number)[groups.index]
                for member, column in zip(groups.members, columns, strict=True):
                    there = read(groups.optimizer.param_groups[member.index], number)
                    if isinstance(there, torch.Tensor):  # which rounds
                        column = torch.tensor(column, dtype=there.dtype).tolist()
                    found[names[member.index]] = [column[i] for i in passed]
    return found


def _coming(schedule: LRSchedule, values: Values, groups: DrivenGroups, intervals: int) -> dict[str, list[list[float]]]:
    """The values of the next intervals, for each number that the schedule drives and each group."""
    made, planned = values.progress.now(groups.index)
    stretch = range(made, made + intervals), range(planned, planned + intervals)
    lead = values.placed.values(stretch, groups.bases)
    found = {
        number: [[groups.number_at(number, place, lr) for lr in lrs] for place, lrs in enumerate(lead)]
        for number in (groups.hyperparameter, *groups.others)
    }
    if schedule.momentum is not None:
        momenta = [values.placed.momentum(position) for position in zip(*stretch, strict=True)]
        found["momentum"] = [momenta] * len(groups.members)
    return found


def _epochs_of_updates(trainer: Trainer, run: Run, needed: bool) -> list[int]:
    """The epoch of each update that is left of the run; without a pace, as many zeros, if only their number counts."""
    left = None if run.steps is None else run.steps - trainer.global_step
    if run.pace is None and left is not None and run.epochs is None and not needed:
        return [0] * left
    if run.pace is None or (left is None and run.epochs is None):
        raise _refusal(f"the number of updates is not known: {run.unknown}. Pass max_steps, or limit_train_batches.")
    epochs: list[int] = []
    for epoch in count(trainer.current_epoch) if run.epochs is None else range(trainer.current_epoch, run.epochs):
        if left is not None and len(epochs) >= left:
            break
        epochs += [epoch] * int(run.pace.steps(epoch + 1) - run.pace.steps(epoch))
    return epochs[:left]
