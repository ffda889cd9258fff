"""Where schedules meet Lightning: when a value is written, who else writes it, what a checkpoint keeps.

The only file that knows Lightning's hooks.
"""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from . import _checks
from ._arguments import arguments, by_name, constructor_call
from .dashboard import open_dashboard
from .durations import Interval, Pace, RunLength
from .groups import DrivenGroups, Moment
from .history import History
from .journal import Decision
from .logbook import Logbook, logged_step
from .monitor import Monitor
from .ownership import TakenOff, claim, refuse_high_floor, refuse_shared, title, unclaimed
from .reactions import Reactions
from .reactive.base import Reactive

# arguments that do not change the curve: a resume with other values is nobody's concern
_NO_CURVE = ("log_lr", "prog_bar", "replace_scheduler")


@dataclass
class _Fit:
    """All that lasts for one fit only."""

    driven: list[DrivenGroups]
    manual: bool
    found: list[object]  # what LR finders had found when last looked
    reactions: Reactions | None  # of a schedule that reacts
    point: int | None = None  # the x of a point that is logged once its update is made
    first_batch: bool = True  # of an epoch, or of what is left of one after a restart
    epoch_began: bool = False
    steps: int = 0  # the Trainer's updates up to the last batch
    edited: bool = False  # whether other code's edit of a value was told
    scale: float | None = None  # of the GradScaler, after the last update
    logbook: Logbook | None = None
    progress: Any = None  # counts the Trainer's updates: trainer.global_step is six properties further away
    watched: bool = False  # whether a callback may look at the LR at any batch
    hooks: list[RemovableHandle] = field(default_factory=list)
    unclaimed: set[str] = field(default_factory=set)  # groups that no schedule drives, named already


class LRCallback(Callback, ABC):
    """A callback that owns a hyperparameter of some parameter groups and asks a subclass what it should be."""

    momentum: tuple[float, float] | None = None

    def __init__(
        self,
        interval: Interval,
        optimizer: int | str | None,
        param_groups: str | int | Sequence[str | int] | None,
        hyperparameter: str,
        log_lr: bool,
        prog_bar: bool,
        replace_scheduler: bool,
    ) -> None:
        self.interval: Interval = cast(Interval, _checks.choice(self, "interval", interval, ("epoch", "step")))
        self.optimizer = None if optimizer is None else _checks.which(self, "optimizer", optimizer)
        self.param_groups = _checks.which_of(self, "param_groups", param_groups)
        self.hyperparameter = _checks.name(self, "hyperparameter", hyperparameter, "the key of a parameter group")
        self.log_lr = _checks.flag(self, "log_lr", log_lr)
        self.prog_bar = _checks.flag(self, "prog_bar", prog_bar)
        self.replace_scheduler = _checks.flag(self, "replace_scheduler", replace_scheduler)
        self._fit: _Fit | None = None
        self._trainer: weakref.ref[Trainer] | None = None  # of the last fit
        self._lengths: dict[str, Any] = {}  # the arguments that depend on the run, in intervals
        self._saved_lengths: dict[str, Any] = {}
        self._bases: dict[int, tuple[float, float]] = {}  # lowest and highest base value, by optimizer
        self._saved_bases: dict[int, tuple[float, float]] = {}
        self._changed: dict[str, tuple[object, object]] = {}  # arguments that differ from the checkpoint's
        self._restored = False
        #: what a reactive schedule has decided in this run, in order
        self.journal: list[Decision] = []
        self._forget()

    # ---- what a subclass says

    @abstractmethod
    def _begin(self, run: RunLength) -> dict[str, Any]:
        """Turn the durations into intervals; returns those that depend on the run."""

    @abstractmethod
    def _moment(self, t: int, bases: set[float]) -> Moment:
        """The value in force at ``t``, for each base value."""

    def _momentum(self, t: int) -> float:
        raise NotImplementedError

    def _floor(self) -> tuple[str, float]:
        """Argument and value of the floor that no base value may lie under."""
        return "", 0.0

    def _reactive(self) -> list[Reactive]:
        """The schedules with a memory in it."""
        return []

    def _active(self, t: int) -> dict[Reactive, int]:
        """Those of them that react at ``t``, each with its own t."""
        return {}

    def _forget(self) -> None:
        """Begin a new run."""
        self._history = History()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.journal.clear()
        for schedule in self._reactive():
            schedule.begin_anew()

    # ---- identity and state

    def __repr__(self) -> str:
        return constructor_call(self)

    def __getstate__(self) -> dict[str, Any]:
        # Lightning hangs the module's log methods on every callback
        return {k: v for k, v in vars(self).items() if k not in ("log", "log_dict")} | {"_fit": None, "_trainer": None}

    @cached_property  # the Trainer asks for it at every hook
    def state_key(self) -> str:
        whose = {"optimizer": self.optimizer, "param_groups": self.param_groups}
        given = {k: v for k, v in whose.items() if v is not None}
        if self.hyperparameter != "lr":
            given["hyperparameter"] = self.hyperparameter
        return f"{type(self).__qualname__}{given or ''}"

    def state_dict(self) -> dict[str, Any]:
        return {
            "lr_history": self._history.state(),
            "memory": [(type(schedule).__name__, schedule.memory()) for schedule in self._reactive()],
            "journal": [tuple(decision) for decision in self.journal],
            "arguments": self._fingerprint(),
            "lengths": dict(self._lengths),
            "bases": dict(self._bases),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._history = History.of(state_dict["lr_history"])
        memories = list(state_dict["memory"])
        for schedule in self._reactive():
            names = [name for name, _ in memories]
            if (kind := type(schedule).__name__) in names:  # the first of its kind that is left
                schedule.remember(memories.pop(names.index(kind))[1])
        self.journal[:] = [Decision(*decision) for decision in state_dict["journal"]]
        now, saved = self._fingerprint(), state_dict["arguments"]
        self._changed |= {k: (saved.get(k), now[k]) for k in now if saved.get(k) != now[k]}
        self._saved_lengths |= state_dict["lengths"]
        self._saved_bases |= state_dict["bases"]
        self._restored = True

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._forget()
        # where another schedule trained before, its record of the optimizers serves as well
        for state in checkpoint["callbacks"].values():
            if isinstance(state, dict) and "lr_history" in state:
                same = state["arguments"]["hyperparameter"] == self.hyperparameter
                self._history.take_over(History.of(state["lr_history"]), same)
        # nor is a memory lost because the schedule now says otherwise whose LR it drives
        states = checkpoint["callbacks"]
        kin = [key for key in states if str(key).partition("{")[0] == type(self).__qualname__]
        alone = sum(type(schedule) is type(self) for schedule in _schedules(trainer)) == 1
        if self.state_key not in states and len(kin) == 1 and alone:
            self.load_state_dict(states[kin[0]])

    def _fingerprint(self) -> dict[str, Any]:
        plain = (bool, int, float, str, type(None))
        given = {k: by_name(v) for k, v in arguments(self).items() if k not in _NO_CURVE}
        return {k: v if isinstance(v, plain) else repr(v) for k, v in given.items()}

    # ---- the start of a fit

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        last = self._trainer() if self._trainer is not None else None
        if trainer.global_step == 0 or last is not trainer:
            self._forget()
        self._trainer = weakref.ref(trainer)
        self._history.late.clear()  # the optimizers are new; a checkpoint tells what came late
        self._lengths, self._bases, self._changed, self._restored = {}, {}, {}, False
        self._saved_lengths, self._saved_bases = {}, {}
        # First among the callbacks, after the tuners: BackboneFinetuning restores its groups' LRs in on_fit_start,
        # and LearningRateMonitor logs what it finds in on_train_batch_start. The list is replaced, not changed:
        # the Trainer is iterating over it.
        trainer.callbacks = sorted(_callbacks(trainer), key=_rank)  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_fit()
        driven = claim(self, trainer, [schedule for schedule in _schedules(trainer) if schedule is not self])
        refuse_high_floor(self, *self._floor(), driven)
        manual = not pl_module.automatic_optimization
        reactions = Reactions(self, trainer, driven, manual) if self._reactive() else None
        self._fit = _Fit(driven, manual, _found(trainer), reactions)
        self._tell_unclaimed(trainer, self._fit)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        if not self._restored and trainer.global_step and trainer.ckpt_path:
            rank_zero_info(
                f"{type(self).__name__}: the checkpoint has no state of it; it goes on at the Trainer's position, epoch"
                f" {trainer.current_epoch}, step {trainer.global_step}."
            )
        if fit.manual:
            for groups in fit.driven:
                self._count_updates(trainer, fit, groups)
        elif trainer.scaler is not None:
            fit.scale = trainer.scaler.get_scale()
        fit.progress = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress
        fit.steps = fit.progress.optimizer_steps
        self._measure(trainer, fit)
        for groups in fit.driven:
            if self._history.restart is not None:
                self._take_base(groups, self._history.restart[2])
            groups.restore(self._history.late.get(groups.index, {}))
        self._tell_changes(fit)
        monitored = self.hyperparameter == "lr" and any(_is_a(c, "LearningRateMonitor") for c in _callbacks(trainer))
        log = self.log_lr and not monitored
        if log or self.prog_bar:
            fit.logbook = Logbook(trainer, type(self).__name__, self._history.logged, log, self.prog_bar)
            fit.logbook.name(fit.driven, self.momentum is not None)
        fit.watched = self.prog_bar or any(_looks_at_any_batch(callback) for callback in _callbacks(trainer))
        if self._history.window_open:
            for groups in fit.driven:
                groups.hold()
        else:
            self._apply(trainer, fit)
        self._publish(fit, fit.driven)
        self._start_clock(trainer, fit)
        schedules = _schedules(trainer)
        if self is schedules[-1] and trainer.loggers:  # the last to begin speaks for all
            begun = [(s, s._fit.driven) for s in schedules if s.log_lr and s._fit is not None]
            open_dashboard(trainer, begun, _run_length(trainer, fit.manual))

    def _start_clock(self, trainer: Trainer, fit: _Fit) -> None:
        if fit.reactions is not None and fit.reactions.tells_time and fit.driven:
            fit.reactions.start_clock(_callbacks(trainer), self._t(trainer, fit, fit.driven[0]))

    def _measure(self, trainer: Trainer, fit: _Fit) -> None:
        """The durations in intervals, of what is left of the run where an LR finder began the schedule anew."""
        run = _run_length(trainer, fit.manual)
        self._lengths = self._begin(run if self._history.restart is None else run.after(*self._history.restart[:2]))

    def _tell_unclaimed(self, trainer: Trainer, fit: _Fit) -> None:
        """Name each group that no schedule drives, once: the first schedule speaks for all."""
        schedules = _schedules(trainer)
        if self is schedules[0]:
            free = [name for name in unclaimed(trainer.optimizers, schedules) if name not in fit.unclaimed]
            fit.unclaimed.update(free)
            if free:
                rank_zero_info(f"No schedule drives the LR of {', '.join(free)}: it stays as it is.")

    def _count_updates(self, trainer: Trainer, fit: _Fit, groups: DrivenGroups) -> None:
        """In manual optimization each optimizer has its own clock, which may tick several times a batch."""
        index = groups.index
        if index not in self._history.updates:
            known = self._history.updates
            unknown = len(trainer.optimizers) - len(known)
            share = (trainer.global_step - sum(known.values())) // unknown
            known[index] = share
            if trainer.global_step and unknown > 1:
                rank_zero_warn(
                    f"{type(self).__name__}: the checkpoint does not say how many of its {trainer.global_step} updates"
                    f" optimizer {index} made; taking an equal share, {share}."
                )

        def before_step(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            groups.steps_begun += 1

        def after_step(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            groups.steps_begun -= 1
            # torch calls the hooks once more for a step that calls its base class's
            if groups.steps_begun > 0 or groups not in fit.driven:  # or another scheduler has taken over
                return
            self._log_point(fit)
            if groups.changed and groups.t is not None:  # a group that came before this very step
                self._write(trainer, fit, groups, groups.t)
            found_inf = getattr(optimizer, "found_inf", None)  # what a GradScaler tells a fused optimizer
            if found_inf is None or not found_inf.item():
                self._history.updates[index] += 1
                if self.interval == "step":
                    self._write(trainer, fit, groups, self._t(trainer, fit, groups))

        fit.hooks.append(groups.optimizer.register_step_pre_hook(before_step))
        fit.hooks.append(groups.optimizer.register_step_post_hook(after_step))

    def _tell_changes(self, fit: _Fit) -> None:
        """The code that runs wins over the checkpoint, and one warning says what it changed."""
        lengths = {k: v for k, v in self._saved_lengths.items() if k not in self._changed}
        self._changed |= {k: (v, self._lengths[k]) for k, v in lengths.items() if self._lengths.get(k, v) != v}
        self._bases = {groups.index: groups.base_range for groups in fit.driven}
        for groups in fit.driven:
            old, new = self._saved_bases.get(groups.index, groups.base_range), groups.base_range
            if old != new:
                base = f"base {title(self.hyperparameter)} of {type(groups.optimizer).__name__}"
                self._changed[base] = (old if old[0] < old[1] else old[0], new if new[0] < new[1] else new[0])
        if self._changed:
            changes = ", ".join(f"{k}: {old!r} -> {new!r}" for k, (old, new) in self._changed.items())
            rank_zero_warn(f"{type(self).__name__}: changed since the checkpoint, the new values apply: {changes}.")
        self._changed, self._saved_lengths, self._saved_bases = {}, {}, {}

    # ---- the run

    def _t(self, trainer: Trainer, fit: _Fit, groups: DrivenGroups) -> int:
        if self.interval == "epoch":
            t = trainer.current_epoch
        elif fit.manual:
            t = self._history.updates[groups.index]
        else:
            t = fit.progress.optimizer_steps - self._history.skipped
        if self._history.restart is not None:
            epoch, step, _ = self._history.restart
            t -= epoch if self.interval == "epoch" else step
        return t

    def _apply(self, trainer: Trainer, fit: _Fit) -> None:
        """Put the values of now in force."""
        t = None
        for groups in fit.driven:
            if t is None or fit.manual:
                t = self._t(trainer, fit, groups)
                groups.steps_begun = 0  # one that has raised
            if groups.t != t or groups.changed:
                self._write(trainer, fit, groups, t)

    def _write(self, trainer: Trainer, fit: _Fit, groups: DrivenGroups, t: int) -> None:
        if groups.changed:
            self._adopt(trainer, fit, groups, t)
        if groups.write(t, self._moment(t, groups.distinct)) and fit.watched:
            self._publish(fit, [groups])
        if self.momentum is not None:
            groups.write_momentum(self._momentum(t))

    def _publish(self, fit: _Fit, driven: list[DrivenGroups]) -> None:
        """Let other callbacks see the values: at every change if one may look, else when Lightning's own do."""
        if fit.logbook is not None:
            for groups in driven:
                fit.logbook.publish(fit.driven.index(groups), groups.values)

    def _adopt(self, trainer: Trainer, fit: _Fit, groups: DrivenGroups, t: int) -> None:
        groups.adopt(t, lambda bases: self._moment(t, bases))
        self._history.late[groups.index] = groups.late
        for other in _schedules(trainer):
            if other is not self and other._fit is not None:
                theirs = {their.index: their.selection for their in other._fit.driven}
                refuse_shared(self, other, {groups.index: groups.selection}, theirs, trainer.optimizers)
        self._tell_unclaimed(trainer, fit)
        if fit.logbook is not None:
            fit.logbook.name(fit.driven, self.momentum is not None)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        fit.first_batch = fit.epoch_began = True
        self._begin_anew_after_finder(trainer, fit)
        self._check(trainer, fit, Monitor.between_epochs, late=True)
        self._apply(trainer, fit)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if (fit := self._fit) is None:
            return
        first, fit.first_batch = fit.first_batch, False
        if first:
            self._yield_to_schedulers(trainer, fit)
        if not self._history.window_open:
            if fit.reactions is not None:
                fit.reactions.restore()
            self._apply(trainer, fit)
            if first:
                self._undo_edits(fit)
        if (book := fit.logbook) is not None:
            step = logged_step(trainer)
            if book.due(step, fit.epoch_began):
                fit.point = step
                if fit.reactions is None or not fit.reactions.watches:  # else the update may yet be given another LR
                    self._log_point(fit)
            fit.epoch_began = False

    def _log_point(self, fit: _Fit) -> None:
        if fit.point is not None and fit.logbook is not None:
            fit.logbook.write(fit.point, fit.driven)
            self._history.logged, fit.point = fit.point, None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (fit := self._fit) is None:
            return
        for groups in fit.driven:
            if groups.changed and groups.t is not None:  # a group that came inside the batch
                self._write(trainer, fit, groups, groups.t)
        if fit.reactions is None and fit.scale is None:
            return
        steps = fit.progress.optimizer_steps
        if batch is not None:  # of which Lightning makes nothing
            self._history.window_open = not fit.manual and steps == fit.steps
        fit.steps = steps
        if fit.scale is not None and not self._history.window_open:
            # fused optimizers skip inside their step, so only the falling scale tells
            scale = cast(Any, trainer.scaler).get_scale()
            self._history.skipped += scale < fit.scale
            fit.scale = scale
        if self._history.window_open:
            return
        self._log_point(fit)
        if self.interval == "step":
            self._tick(trainer, fit)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        self._check(trainer, fit, Monitor.between_epochs, late=True)
        self._history.window_open = False
        if fit.reactions is not None:
            fit.reactions.restore()
        self._apply(trainer, fit)
        self._publish(fit, fit.driven)

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

    def _yield_to_schedulers(self, trainer: Trainer, fit: _Fit) -> None:
        for config in trainer.lr_scheduler_configs if self.hyperparameter == "lr" else ():
            taken = [groups for groups in fit.driven if config.scheduler.optimizer is groups.optimizer]
            if not taken or isinstance(config.scheduler, TakenOff):
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
                    f"{type(self).__name__}: other code changed the {title(self.hyperparameter)} of"
                    f" {type(groups.optimizer).__name__}; the schedule put its own back, as it will at every change"
                    " and every epoch."
                )

    def _begin_anew_after_finder(self, trainer: Trainer, fit: _Fit) -> None:
        before, fit.found = fit.found, _found(trainer)
        new = [now for now, old in zip(fit.found, before, strict=True) if now is not old]
        suggestion = cast(Any, new[-1]).suggestion() if new else None
        lrs = [float(group["lr"]) for optimizer in trainer.optimizers for group in optimizer.param_groups]
        if suggestion is None or any(lr != suggestion for lr in lrs):  # it found nothing, or was not to set it
            return
        self._history.restart = (trainer.current_epoch, trainer.global_step - self._history.skipped, suggestion)
        self._history.late.clear()
        self._history.timed_from = None
        self._begin_anew()
        self._measure(trainer, fit)
        for groups in fit.driven:
            self._take_base(groups, suggestion)
            groups.restore({})
        self._bases = {groups.index: groups.base_range for groups in fit.driven}
        refuse_high_floor(self, *self._floor(), fit.driven)
        if fit.logbook is not None:
            fit.logbook.name(fit.driven, self.momentum is not None)
        self._start_clock(trainer, fit)

    def _take_base(self, groups: DrivenGroups, lr: float) -> None:
        if self.hyperparameter == "lr":
            groups.bases = [lr] * len(groups.bases)

    # ---- what a reactive schedule sees

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is not None and fit.reactions is not None and _of_the_fit(trainer):
            fit.reactions.validation_starts()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        if _of_the_fit(trainer):
            self._check(trainer, fit, Monitor.validation_ends)
        self._publish(fit, fit.driven)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fit := self._fit) is None:
            return
        self._check(trainer, fit, Monitor.epoch_ends)
        if self.interval == "epoch":
            self._tick(trainer, fit, ahead=1)
        self._publish(fit, fit.driven)

    def _check(
        self, trainer: Trainer, fit: _Fit, look: Callable[[Monitor, Trainer], float | None], late: bool = False
    ) -> None:
        """Let a schedule that reacts judge its metrics; those that come late are of the epoch that has ended."""

        def t() -> int:
            return self._t(trainer, fit, fit.driven[0]) - (late and self.interval == "epoch")

        if fit.reactions is None or not fit.reactions.check(look, t):
            return
        if self._history.window_open:
            for groups in fit.driven:
                groups.t = None  # to be written when the window ends
        else:
            fit.reactions.restore()
            self._rewrite(trainer, fit)

    def _tick(self, trainer: Trainer, fit: _Fit, ahead: int = 0) -> None:
        if fit.reactions is not None and fit.driven:
            fit.reactions.tick(self._t(trainer, fit, fit.driven[0]) + ahead)

    def _rewrite(self, trainer: Trainer, fit: _Fit) -> None:
        """Put the values of now in force after a decision."""
        for groups in fit.driven:
            self._write(trainer, fit, groups, self._t(trainer, fit, groups))

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if (fit := self._fit) is None or fit.reactions is None or "loss" not in fit.reactions.watches:
            return
        if fit.driven and fit.reactions.loss(loss, self._t(trainer, fit, fit.driven[0])):
            self._rewrite(trainer, fit)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if (fit := self._fit) is None or fit.reactions is None or "grad_norm" not in fit.reactions.watches:
            return
        for groups in fit.driven:
            if groups.optimizer is optimizer and fit.reactions.gradient(optimizer, self._t(trainer, fit, groups)):
                self._rewrite(trainer, fit)


def _of_the_fit(trainer: Trainer) -> bool:
    """Whether a validation is one of the fit's own."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def _is_a(callback: Callback, name: str) -> bool:
    """By name, since ``lightning.pytorch`` and ``pytorch_lightning`` have a class each."""
    return any(cls.__name__ == name for cls in type(callback).__mro__)


def _looks_at_any_batch(callback: Callback) -> bool:
    """Lightning's own callbacks look at metrics when an epoch or a validation has ended; only a checkpoint by step or
    time, and what others wrote, may look in between."""
    if isinstance(callback, LRCallback):
        return False
    if _is_a(callback, "ModelCheckpoint") and not cast(Any, callback).every_n_epochs:
        return True
    package = type(callback).__module__.partition(".")[0]
    return package not in ("lightning", "pytorch_lightning") or _is_a(callback, "LambdaCallback")


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks


def _schedules(trainer: Trainer) -> list[LRCallback]:
    return [callback for callback in _callbacks(trainer) if isinstance(callback, LRCallback)]


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
