"""Where schedules meet Lightning: whose LR, when it is written, who else writes it, what a checkpoint keeps.

The only file that knows Lightning's hooks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, cast

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from . import _checks
from ._arguments import arguments, constructor_call
from .durations import Interval, Pace, RunLength
from .groups import DrivenGroups, LateGroup, Moment
from .logbook import Logbook, logged_step

# arguments that do not change the curve: a resume with other values is nobody's concern
_NO_CURVE = ("log_lr", "replace_scheduler")


@dataclass
class _History:
    """What the Trainer does not know and a checkpoint therefore keeps: facts of the optimizers, not of a schedule."""

    updates: dict[int, int] = field(default_factory=dict)  # of each optimizer, in manual optimization
    skipped: int = 0  # updates that a GradScaler skipped
    late: dict[int, dict[int, LateGroup]] = field(default_factory=dict)  # by optimizer and group
    restart: tuple[int, float] | None = None  # t and base LR at which an LR finder began the schedule anew
    logged: int = -1  # the last x of the loggers

    def state(self) -> dict[str, Any]:
        late = {index: {i: tuple(group) for i, group in groups.items()} for index, groups in self.late.items()}
        return {**vars(self), "updates": dict(self.updates), "late": late}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> _History:
        late = {index: {i: LateGroup(*group) for i, group in groups.items()} for index, groups in state["late"].items()}
        return cls(**{**state, "updates": dict(state["updates"]), "late": late})


@dataclass
class _Fit:
    """All that lasts for one fit only."""

    driven: list[DrivenGroups]
    manual: bool
    first_batch: bool = True  # of an epoch, or of what is left of one after a restart
    epoch_began: bool = False
    edited: bool = False  # whether other code's edit of an LR was told
    found: list[object] = field(default_factory=list)  # what LR finders had found when last looked
    scale: float | None = None  # of the GradScaler, after the last update
    logbook: Logbook | None = None
    hooks: list[RemovableHandle] = field(default_factory=list)
    # the monitored metric: its values before the epoch and before the validation, which count no more
    stale: object = None
    stale_in_validation: object = None
    validated: bool = False
    from_validation: bool = False
    judged_epoch: int = -1
    epochs: int = 0


class LRCallback(Callback, ABC):
    """A callback that owns the LR of some parameter groups and asks a subclass what it should be."""

    monitor: str | None = None
    momentum: tuple[float, float] | None = None

    def __init__(
        self,
        interval: Interval,
        optimizer: int | str | None,
        param_groups: str | int | Sequence[str | int] | None,
        log_lr: bool,
        replace_scheduler: bool,
    ) -> None:
        self.interval: Interval = cast(Interval, _checks.choice(self, "interval", interval, ("epoch", "step")))
        self.optimizer = _checks.which(self, "optimizer", optimizer)
        if param_groups is not None:
            several = not isinstance(param_groups, str) and isinstance(param_groups, Sequence) and len(param_groups)
            groups = cast(Sequence[Any], param_groups) if several else [param_groups]
            self.param_groups: tuple[str | int, ...] | None = tuple(
                cast(str | int, _checks.which(self, "param_groups", group)) for group in groups
            )
        else:
            self.param_groups = None
        self.log_lr = _checks.flag(self, "log_lr", log_lr)
        self.replace_scheduler = _checks.flag(self, "replace_scheduler", replace_scheduler)
        self._fit: _Fit | None = None
        self._forget()

    # ---- what a subclass says

    @abstractmethod
    def _begin(self, run: RunLength) -> dict[str, int]:
        """Turn the durations into intervals; returns those that depend on the run."""

    @abstractmethod
    def _moment(self, t: int, base_lrs: set[float]) -> Moment:
        """The LR in force at ``t``, for each base LR."""

    def _momentum(self, t: int) -> float:
        raise NotImplementedError

    def _floor(self) -> tuple[str, float]:
        """Argument and value of the floor that no base LR may lie under."""
        return "", 0.0

    def _judge(self, value: float, t: int) -> None:
        """React to a fresh value of the monitored metric."""

    def _forget(self) -> None:
        """Begin a new run."""
        self._history = _History()
        self._lengths: dict[str, int] = {}  # the arguments that depend on the run, in intervals
        self._saved_lengths: dict[str, int] = {}
        self._changed: dict[str, tuple[object, object]] = {}  # arguments that differ from the checkpoint's
        self._restored = False

    # ---- identity and state

    def __repr__(self) -> str:
        return constructor_call(self)

    def __getstate__(self) -> dict[str, Any]:
        # Lightning hangs the module's log methods on every callback
        return {k: v for k, v in vars(self).items() if k not in ("log", "log_dict")} | {"_fit": None}

    @property
    def state_key(self) -> str:
        whose = {"optimizer": self.optimizer, "param_groups": self.param_groups}
        given = {k: v for k, v in whose.items() if v is not None}
        return f"{type(self).__qualname__}{given or ''}"

    def state_dict(self) -> dict[str, Any]:
        return {"lr_history": self._history.state(), "arguments": self._fingerprint(), "lengths": dict(self._lengths)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._history = _History.of(state_dict["lr_history"])
        now, saved = self._fingerprint(), state_dict["arguments"]
        self._changed |= {k: (saved.get(k), now[k]) for k in now if saved.get(k) != now[k]}
        self._saved_lengths |= state_dict["lengths"]
        self._restored = True

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # where another schedule trained before, its record of the optimizers serves as well
        for state in checkpoint["callbacks"].values():
            if isinstance(state, dict) and "lr_history" in state:
                updates = self._history.updates
                self._history = _History.of(state["lr_history"])
                self._history.updates |= updates

    def _fingerprint(self) -> dict[str, Any]:
        plain = (bool, int, float, str, type(None))
        return {k: v if isinstance(v, plain) else repr(v) for k, v in arguments(self).items() if k not in _NO_CURVE}

    def _refuse(self, message: str) -> MisconfigurationException:
        return MisconfigurationException(f"{type(self).__name__}: {message}")

    # ---- the start of a fit

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        if trainer.global_step == 0:
            self._forget()
        # First among the callbacks, after the tuners: BackboneFinetuning restores its groups' LRs in on_fit_start,
        # and LearningRateMonitor logs what it finds in on_train_batch_start. The list is replaced, not changed:
        # the Trainer is iterating over it.
        trainer.callbacks = sorted(_callbacks(trainer), key=_rank)  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_fit()
        selection = self._selection(trainer.optimizers)
        self._refuse_other_schedules(trainer, selection)
        replaced = self._take_off_schedulers(trainer, [trainer.optimizers[index] for index in selection])
        driven = [DrivenGroups(i, trainer.optimizers[i], groups, replaced) for i, groups in selection.items()]
        for groups in driven:
            self._check_groups(groups)
        self._fit = _Fit(driven, manual=not pl_module.automatic_optimization, found=_found(trainer))

    def _selection(self, optimizers: list[Optimizer]) -> dict[int, tuple[int, ...] | None]:
        """Which groups of which optimizers: None stands for all, those that come later included."""
        if not any(optimizer.param_groups for optimizer in optimizers):
            raise self._refuse("there is no optimizer to schedule: configure_optimizers returned none.")
        kinds = [type(optimizer).__name__ for optimizer in optimizers]
        if self.optimizer is None:
            indices = list(range(len(optimizers)))
        elif self.optimizer in kinds:
            indices = [i for i, kind in enumerate(kinds) if kind == self.optimizer]
        else:
            indices = [self.optimizer] if isinstance(self.optimizer, int) and self.optimizer < len(kinds) else []
        if len(indices) != 1 and self.optimizer is not None:
            there = ", ".join(f"{i} ({kind})" for i, kind in enumerate(kinds))
            problem = "fits several optimizers" if indices else "does not exist"
            raise self._refuse(f"optimizer {self.optimizer!r} {problem}. There are: {there}.")
        return {index: self._select_groups(index, optimizers[index]) for index in indices}

    def _select_groups(self, index: int, optimizer: Optimizer) -> tuple[int, ...] | None:
        if self.param_groups is None:
            return None
        names = [group.get("name") for group in optimizer.param_groups]
        selected = []
        for wanted in self.param_groups:
            found = [i for i, name in enumerate(names) if wanted in (i, name)]
            if not found:
                there = ", ".join(f"{i} ({name!r})" if name else str(i) for i, name in enumerate(names))
                kind = type(optimizer).__name__
                raise self._refuse(
                    f"parameter group {wanted!r} does not exist in optimizer {index} ({kind}). There are: {there}."
                )
            selected += found
        return tuple(sorted(set(selected)))

    def _refuse_other_schedules(self, trainer: Trainer, mine: dict[int, tuple[int, ...] | None]) -> None:
        for other in _callbacks(trainer):
            if not isinstance(other, LRCallback) or other is self:
                continue
            theirs = other._selection(trainer.optimizers)
            for index in sorted(mine.keys() & theirs.keys()):
                every = range(len(trainer.optimizers[index].param_groups))
                if shared := sorted(set(mine[index] or every) & set(theirs[index] or every)):
                    kind = type(trainer.optimizers[index]).__name__
                    raise self._refuse(
                        f"{self!r} and {other!r} both schedule the LR of optimizer {index} ({kind}), parameter group"
                        f" {shared[0]}. Remove one, or tell them apart by 'optimizer' or 'param_groups'."
                    )

    def _take_off_schedulers(self, trainer: Trainer, optimizers: list[Optimizer]) -> bool:
        configs = trainer.strategy.lr_scheduler_configs
        attached = [c for c in configs if any(c.scheduler.optimizer is optimizer for optimizer in optimizers)]
        for config in attached:
            scheduler = type(config.scheduler).__name__
            if not self.replace_scheduler:
                raise self._refuse(
                    f"configure_optimizers attached {scheduler} to {type(config.scheduler.optimizer).__name__}, and two"
                    f" cannot own one LR. Remove one, or pass {type(self).__name__}(..., replace_scheduler=True) to"
                    f" take {scheduler} off."
                )
            rank_zero_info(f"{type(self).__name__}: took {scheduler} off for this fit.")
            if trainer.lightning_module.automatic_optimization:
                configs.remove(config)
            else:  # the module steps it by hand
                config.scheduler = cast(Any, _TakenOff(config.scheduler.optimizer))
        return bool(attached)

    def _check_groups(self, groups: DrivenGroups) -> None:
        argument, floor = self._floor()
        kind = type(groups.optimizer).__name__
        for group, base_lr in zip(groups.groups(), groups.base_lrs, strict=True):
            if base_lr < floor:
                name = group.get("name", f"pg{groups.optimizer.param_groups.index(group) + 1}")
                raise self._refuse(
                    f"'{argument}' must not lie above the base LR of a parameter group, got {floor!r}, but {kind}"
                    f" ({name}) has {base_lr!r}. Lower it, or leave the group out by 'param_groups'."
                )
            if self.momentum is not None and not {"betas", "momentum"} & set(group):
                keys = ", ".join(sorted(set(group) - {"params"}))
                raise self._refuse(f"'momentum' needs an optimizer with momentum or betas; {kind} has: {keys}.")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        if not self._restored and trainer.global_step and trainer.ckpt_path:
            rank_zero_info(f"{type(self).__name__}: not in the checkpoint; its position is the Trainer's.")
        if fit.manual:
            for groups in fit.driven:
                self._count_updates(trainer, fit, groups)
        elif trainer.scaler is not None:
            fit.scale = trainer.scaler.get_scale()
        self._lengths = self._begin(_run_length(trainer, fit.manual))
        self._tell_changes()
        if self._history.restart is not None:
            for groups in fit.driven:
                groups.base_lrs = [self._history.restart[1]] * len(groups.base_lrs)
        for groups in fit.driven:
            groups.restore(self._history.late.get(groups.index, {}))
        if self.log_lr and not any(_is_a(callback, "LearningRateMonitor") for callback in _callbacks(trainer)):
            fit.logbook = Logbook(trainer, type(self).__name__, self._history.logged)
            fit.logbook.name(fit.driven, self.momentum is not None)
        self._apply(trainer, fit)

    def _tell_changes(self) -> None:
        """Promise 3: the code that runs wins, and one warning says what it changed."""
        lengths = {k: v for k, v in self._saved_lengths.items() if k not in self._changed}
        self._changed |= {k: (v, self._lengths[k]) for k, v in lengths.items() if self._lengths.get(k, v) != v}
        if self._changed:
            changes = ", ".join(f"{k}: {old!r} -> {new!r}" for k, (old, new) in self._changed.items())
            rank_zero_warn(f"{type(self).__name__}: changed since the checkpoint, the new values apply: {changes}.")
        self._changed, self._saved_lengths = {}, {}

    # ---- the run

    def _t(self, trainer: Trainer, fit: _Fit, groups: DrivenGroups) -> int:
        if self.interval == "epoch":
            t = trainer.current_epoch
        elif fit.manual:
            t = self._history.updates[groups.index]
        else:
            t = trainer.global_step - self._history.skipped
        return t if self._history.restart is None else t - self._history.restart[0]

    def _apply(self, trainer: Trainer, fit: _Fit) -> None:
        """Put the LRs of now in force."""
        t = None
        for groups in fit.driven:
            if t is None or fit.manual:
                t = self._t(trainer, fit, groups)
            if groups.t != t or groups.changed:
                self._write(fit, groups, t)

    def _write(self, fit: _Fit, groups: DrivenGroups, t: int) -> None:
        if groups.changed:
            self._adopt(fit, groups, t)
        if groups.write(t, self._moment(t, groups.distinct)) and fit.logbook is not None:
            fit.logbook.publish(fit.driven.index(groups), groups.lrs)
        if self.momentum is not None:
            groups.write_momentum(self._momentum(t))

    def _adopt(self, fit: _Fit, groups: DrivenGroups, t: int) -> None:
        groups.adopt(t, self._moment(t, groups.distinct))
        self._history.late[groups.index] = groups.late
        if fit.logbook is not None:
            fit.logbook.name(fit.driven, self.momentum is not None)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        fit.first_batch = fit.epoch_began = True
        self._begin_anew_after_finder(trainer, fit)
        if self.monitor is not None:
            self._look_between_epochs(trainer, fit)
        self._apply(trainer, fit)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if (fit := self._fit) is None:
            return
        first, fit.first_batch = fit.first_batch, False
        if first:
            self._look_for_other_writers(trainer, fit)
        self._apply(trainer, fit)
        if first:
            self._undo_edits(fit)
        if (book := fit.logbook) is not None:
            step = logged_step(trainer)
            if book.due(step, fit.epoch_began):
                book.write(step, fit.driven)
                self._history.logged = step
            fit.epoch_began = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (fit := self._fit) is None:
            return
        for groups in fit.driven:
            if groups.changed and groups.t is not None:  # a group that came inside the batch
                self._adopt(fit, groups, groups.t)
        if fit.scale is not None:
            # fused optimizers skip inside their step, so only the falling scale tells
            scale = cast(Any, trainer.scaler).get_scale()
            self._history.skipped += scale < fit.scale
            fit.scale = scale

    def _count_updates(self, trainer: Trainer, fit: _Fit, groups: DrivenGroups) -> None:
        """In manual optimization each optimizer has its own clock, which may tick several times a batch."""
        index = groups.index
        if index not in self._history.updates:
            share = trainer.global_step // len(trainer.optimizers)
            self._history.updates[index] = share
            if trainer.global_step and len(trainer.optimizers) > 1:
                rank_zero_warn(
                    f"{type(self).__name__}: the checkpoint does not say how many of its {trainer.global_step} updates"
                    f" optimizer {index} made; taking an equal share, {share}."
                )

        def after_step(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            found_inf = getattr(optimizer, "found_inf", None)  # what a GradScaler tells a fused optimizer
            if found_inf is None or not found_inf.item():
                self._history.updates[index] += 1
                if self.interval == "step":
                    self._write(fit, groups, self._t(trainer, fit, groups))

        fit.hooks.append(groups.optimizer.register_step_post_hook(after_step))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        if self.monitor is not None:
            self._look_between_epochs(trainer, fit)
        self._apply(trainer, fit)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._end_fit()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._end_fit()

    def _end_fit(self) -> None:
        if self._fit is not None:
            for hook in self._fit.hooks:
                hook.remove()
        self._fit = None

    # ---- other writers: they act when an epoch starts, so its first batch looks for them

    def _look_for_other_writers(self, trainer: Trainer, fit: _Fit) -> None:
        for config in trainer.lr_scheduler_configs:
            taken = [groups for groups in fit.driven if config.scheduler.optimizer is groups.optimizer]
            if not taken or isinstance(config.scheduler, _TakenOff):
                continue
            rank_zero_info(
                f"{type(self).__name__}: {type(config.scheduler).__name__} was installed on"
                f" {type(taken[0].optimizer).__name__} during the fit and owns its LR from here on."
            )
            fit.driven.remove(taken[0])
            if fit.logbook is not None:
                fit.logbook.name(fit.driven, self.momentum is not None)

    def _undo_edits(self, fit: _Fit) -> None:
        for groups in fit.driven:
            if groups.rewrite() and not fit.edited:
                fit.edited = True
                rank_zero_info(
                    f"{type(self).__name__}: other code changed an LR of {type(groups.optimizer).__name__}; the"
                    " schedule put its own back, as it will at every change and every epoch."
                )

    def _begin_anew_after_finder(self, trainer: Trainer, fit: _Fit) -> None:
        found = _found(trainer)
        if all(now is before for now, before in zip(found, fit.found, strict=True)):
            return
        fit.found = found
        self._history.restart = None
        for groups in fit.driven:
            lr = float(groups.groups()[0]["lr"])
            self._history.restart = (self._t(trainer, fit, groups), lr)
            groups.base_lrs = [lr] * len(groups.base_lrs)
            groups.restore({})
            self._history.late.pop(groups.index, None)

    # ---- the monitored metric: each value is judged once, when it is new

    def _in_validation(self, trainer: Trainer) -> _Fit | None:
        """The fit, where its own validation ran and the metric matters."""
        fits = self.monitor is not None and trainer.state.fn == "fit" and not trainer.sanity_checking
        return self._fit if fits else None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._in_validation(trainer)) is not None:
            fit.stale_in_validation = trainer.callback_metrics.get(str(self.monitor))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._in_validation(trainer)) is None:
            return
        fit.validated = True
        if self._judge_if_new(trainer, fit, fit.stale_in_validation):
            fit.from_validation = True
        elif self.monitor not in trainer.callback_metrics and math.isinf(trainer.num_training_batches):
            raise self._missing(trainer)  # no epoch will end and bring a training metric

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is not None and self.monitor is not None and not fit.from_validation:
            self._judge_if_new(trainer, fit, fit.stale)

    def _look_between_epochs(self, trainer: Trainer, fit: _Fit) -> None:
        ended = trainer.current_epoch - 1
        if not fit.from_validation and ended >= 0 and fit.judged_epoch != ended:
            # what a module logs in its own on_train_epoch_end arrives only now
            judged = self._judge_if_new(trainer, fit, fit.stale, ended)
            never = not judged and fit.judged_epoch < 0 and fit.epochs > 0
            if never and (fit.validated or not trainer.enable_validation):
                raise self._missing(trainer)
        fit.epochs += 1
        fit.stale = trainer.callback_metrics.get(str(self.monitor))

    def _judge_if_new(self, trainer: Trainer, fit: _Fit, stale: object, epoch: int | None = None) -> bool:
        value = trainer.callback_metrics.get(str(self.monitor))
        new = value is not None and value is not stale
        number = float(value) if value is not None and new else 0.0
        if trainer.world_size > 1:  # every rank asks, so that none waits for an answer
            news, number = self._mean_over_ranks(trainer, new, number)
            if 0.0 < news < 1.0:
                raise self._refuse(f"the metric {self.monitor!r} is missing on some of the {trainer.world_size} ranks.")
            new = news == 1.0
        if not new:
            return False
        fit.judged_epoch = trainer.current_epoch if epoch is None else epoch
        for groups in fit.driven[:1]:
            self._judge(number, self._t(trainer, fit, groups))
        for groups in fit.driven:
            self._write(fit, groups, self._t(trainer, fit, groups))
        return True

    def _mean_over_ranks(self, trainer: Trainer, new: bool, number: float) -> tuple[float, float]:
        here = torch.tensor([float(new), number], dtype=torch.float64, device=trainer.strategy.root_device)
        mean = cast(Tensor, trainer.strategy.reduce(here, reduce_op="mean"))
        return float(mean[0]), float(mean[1])

    def _missing(self, trainer: Trainer) -> MisconfigurationException:
        there = sorted(trainer.callback_metrics)
        near = get_close_matches(str(self.monitor), there, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return self._refuse(
            f"'monitor' must be a logged metric, got {self.monitor!r}.{hint} There are: {', '.join(there) or 'none'}."
        )


class _TakenOff:
    """Stands where a torch scheduler stood that the module goes on stepping by hand."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, *args: Any, **kwargs: Any) -> None:
        pass

    def get_last_lr(self) -> list[Any]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


def _is_a(callback: Callback, name: str) -> bool:
    """By name, since ``lightning.pytorch`` and ``pytorch_lightning`` have a class each."""
    return any(cls.__name__ == name for cls in type(callback).__mro__)


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks


def _rank(callback: Callback) -> int:
    if _is_a(callback, "LearningRateFinder") or _is_a(callback, "BatchSizeFinder"):
        return 0
    return 1 if isinstance(callback, LRCallback) else 2


def _found(trainer: Trainer) -> list[object]:
    finders: list[Any] = [callback for callback in _callbacks(trainer) if _is_a(callback, "LearningRateFinder")]
    return [finder.optimal_lr for finder in finders]


def _run_length(trainer: Trainer, manual: bool) -> RunLength:
    epochs = None if trainer.max_epochs in (None, -1) else trainer.max_epochs
    steps = None if trainer.max_steps == -1 else trainer.max_steps
    if manual:
        why = "in manual optimization only the module knows how often an optimizer steps"
        if len(trainer.optimizers) > 1 and steps is not None:  # max_steps adds up all optimizers
            epochs = steps = None
        return RunLength(epochs, steps, None, why)
    batches = trainer.num_training_batches
    if math.isinf(batches):
        return RunLength(epochs, steps, None, "the training data has no length")
    several: list[Any] = [c for c in _callbacks(trainer) if _is_a(c, "GradientAccumulationScheduler")]
    factors = several[0].scheduling if several else {0: trainer.accumulate_grad_batches}
    pace = Pace(tuple((epoch, math.ceil(batches / factor)) for epoch, factor in sorted(factors.items())))
    return RunLength(epochs, steps, pace, "neither max_epochs nor max_steps is set")
