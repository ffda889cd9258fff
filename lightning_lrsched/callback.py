"""Where schedules meet Lightning: its hooks, each handed on to the fit, and what a checkpoint keeps."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property, wraps
from numbers import Integral
from typing import Any, ClassVar, cast

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer
from typing_extensions import Self

from .fit.callbacks import callbacks_of, is_a
from .fit.changes import Change, Words
from .fit.fit import Fit, begin
from .fit.history import Record
from .fit.lightning import Callback
from .fit.messages import refusal
from .fit.ownership import refuse_high_floor
from .fit.protocol import Placed
from .fit.shards import whole
from .formula import checks
from .formula.arguments import Signed, by_name, checked, constructor_call, fingerprint, parameters
from .formula.decisions import Decision
from .formula.durations import Interval, Unit
from .formula.memory import Reactive
from .formula.timeline import Run
from .formula.words import meant

FORMAT = 1  # of what a checkpoint keeps

# arguments that do not change the curve: a resume with other values is nobody's concern
_NO_CURVE = ("log_lr", "prog_bar", "replace_scheduler", "checkpoint_before_decay")


class Copied(Callback):
    """A callback that is copied and pickled without the fit that it is in."""

    record: Record
    journal: list[Decision]

    def twin(self) -> Self:
        """A copy that shares the memory."""
        twin = object.__new__(type(self))
        vars(twin).update(self._own())
        return twin

    def __copy__(self) -> Self:
        twin = self.twin()
        vars(twin).update({k: deepcopy(v) for k, v in vars(self).items() if k in ("record", "journal", "memory")})
        return twin

    def _own(self) -> dict[str, Any]:
        # Lightning hangs the module's log methods on every callback
        own = {k: v for k, v in vars(self).items() if k not in ("log", "log_dict")}
        return own | {"fit": None, "trained_by": None}

    def __getstate__(self) -> dict[str, Any]:
        """In primitives: who loads a pickle with ``weights_only`` has to allow the classes of the schedules only."""
        state = self._own() | {"changes": {}, "record": self.record.state(), "journal": [*map(tuple, self.journal)]}
        return state | {"memory": self.memory.state()} if isinstance(self, Reactive) else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        journal = [Decision(*decision) for decision in state["journal"]]
        vars(self).update(state | {"record": Record.of(state["record"]), "journal": journal})
        if isinstance(self, Reactive):
            self.memory = self.memory_type(**state["memory"])


class LRCallback(Copied, metaclass=Signed):
    """A callback that owns a hyperparameter of some parameter groups and asks a subclass what it should be."""

    momentum: tuple[float, float] | None = None
    #: what is counted where ``interval`` is None and no whole says otherwise
    usual_interval: ClassVar[Unit] = "epoch"
    #: whether a checkpoint is saved when a decay begins
    checkpoint_before_decay: bool = False

    def __init__(
        self,
        interval: Interval | None,
        optimizer: int | str | None,
        param_groups: str | int | Sequence[str | int] | None,
        hyperparameter: str | Sequence[str],
        log_lr: bool,
        prog_bar: bool,
        replace_scheduler: bool,
    ) -> None:
        self.interval: Interval | None = checks.interval(self, "interval", interval)
        self.optimizer = None if optimizer is None else checks.which(self, "optimizer", optimizer)
        self.param_groups = checks.which_of(self, "param_groups", param_groups)
        self.hyperparameter = checks.names(self, "hyperparameter", hyperparameter, "the key of a parameter group")
        self.log_lr = checks.flag(self, "log_lr", log_lr)
        self.prog_bar = checks.flag(self, "prog_bar", prog_bar)
        self.replace_scheduler = checks.flag(self, "replace_scheduler", replace_scheduler)
        self.fit: Fit | None = None
        self.trained_by: weakref.ref[Trainer] | None = None  # the Trainer of the last fit
        self.record = Record()
        self.changes: dict[str, Change] = {}  # what is not as it was in the checkpoint
        self.restored = False
        #: what a reactive schedule has decided in this run, in order
        self.journal: list[Decision] = []

    # ---- what a subclass says

    @abstractmethod
    def place(self, run: Run) -> Placed:
        """The schedule as it stands in a run, its durations in intervals."""

    @abstractmethod
    def reactive(self) -> list[Reactive]:
        """The schedules with a memory in it."""

    def floor(self) -> tuple[str, float]:
        """Argument and value of the floor that no base value may lie under."""
        return "", 0.0

    def refuse_in_fit(self, fit: Fit, name: str, value: object) -> None:
        """Refuse a value of an argument that is right by itself, but not in this fit."""
        if name == self.floor()[0]:
            refuse_high_floor(self, name, cast(float, value), fit.values.driven)

    def begin_anew(self) -> None:
        self.journal.clear()
        for schedule in self.reactive():
            schedule.forget()

    def __setattr__(self, name: str, value: object) -> None:
        """An argument that is set during a fit is checked as in the constructor, and applies from the next batch on."""
        fit = None if name == "fit" else vars(self).get("fit")
        if fit is not None and name in parameters(type(self)):
            # whose values are driven, by what clock, and what is watched
            if name in {*parameters(LRCallback)}.union(*(reactive.meaning for reactive in self.reactive())):
                raise refusal(self, f"'{name}' stays as it is during a fit. Set it before.")
            value = checked(self, name, value)
            self.refuse_in_fit(fit, name, value)
            for each in fit.company.fits:  # a part may stand in several of them
                each.stale, each.plan_shown = True, False
        elif fit is not None and not hasattr(self, name) and (hint := meant(name, value, parameters(type(self)))):
            raise refusal(self, f"no argument {name!r}. {hint}")
        super().__setattr__(name, value)
        if fit is not None:
            fit.stale = True

    @property
    def numbers(self) -> tuple[str, ...]:
        """What it drives: the number that follows its curve, and those that keep in proportion to it."""
        return (self.hyperparameter,) if isinstance(self.hyperparameter, str) else self.hyperparameter

    @property
    def counts(self) -> Unit:
        """What the schedule counts; a function counts intervals of its own."""
        if self.interval is None:
            return self.usual_interval
        word = isinstance(self.interval, str) and "." not in self.interval
        return cast(Unit, self.interval) if word else "interval"

    def reading(self, trainer: Trainer) -> int:
        """What the function of the interval tells, which must be a whole number that never falls."""
        function = checks.imported(self.interval) if isinstance(self.interval, str) else self.interval
        value = cast(Any, function)(trainer)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < self.record.reading:
            rule = f"a whole number that never falls (it was {self.record.reading})"
            raise refusal(self, f"'interval', {by_name(function)}, must return {rule}, got {value!r}.")
        self.record.reading = int(value)
        return self.record.reading

    # ---- identity and state

    def __repr__(self) -> str:
        return constructor_call(self)

    @cached_property  # the Trainer asks for it at every hook
    def state_key(self) -> str:
        whose = {"optimizer": self.optimizer, "param_groups": self.param_groups}
        given = {k: v for k, v in whose.items() if v is not None}
        if self.numbers[0] != "lr":
            given["hyperparameter"] = self.numbers[0]
        return f"{type(self).__qualname__}{given or ''}"

    # not "stateful" to the Trainer, so that two of one class are refused by our message when the fit starts
    @wraps(Callback.state_dict)
    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        if self.fit is not None:
            self.fit.note()
        return {
            "format": FORMAT,
            "hyperparameter": self.numbers[0],
            "record": self.record.state(),
            "memories": whole([schedule.remembered(self.counts) for schedule in self.reactive()]),
            "journal": [tuple(decision) for decision in self.journal],
            "arguments": self._fingerprint(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        _refuse_format(self, state_dict)
        self.record.become(self._record_of(state_dict))
        self.journal[:] = [Decision(*decision) for decision in state_dict["journal"]]
        now, saved = self._fingerprint(), state_dict["arguments"]
        self.changes = {k: (saved.get(k), now[k]) for k in now if saved.get(k) != now[k]}
        self._remember(list(state_dict["memories"]))
        self.restored = True

    def _record_of(self, state: dict[str, Any]) -> Record:
        record = Record.of(state["record"])
        same = state["arguments"].get("interval") == self._fingerprint().get("interval")
        return record if same else record.by_another_clock()

    def _fingerprint(self) -> dict[str, Any]:
        told = fingerprint(self, without=_NO_CURVE)
        return told | {"interval": self.counts} if self.interval is None and "interval" in told else told

    def _remember(self, memories: list[dict[str, Any]]) -> None:
        """Give each reactive schedule the memory of its kind that means the same; where there is none, it is told."""
        for schedule in self.reactive():
            of_kind = [memory for memory in memories if memory["kind"] == type(schedule).__name__]
            fitting = next((memory for memory in of_kind if not schedule.other_meaning(memory, self.counts)), None)
            if fitting is not None:
                schedule.remember(fitting)
                memories.remove(fitting)
            elif of_kind:
                other = schedule.other_meaning(of_kind[0], self.counts)
                then = ", ".join(f"{k}={old!r}" for k, (old, _) in other.items())
                self.changes[f"memory of {type(schedule).__name__}"] = (Words(f"of {then}"), Words("begun anew"))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # torch makes a step of its own to learn the state of a sharded optimizer that has none, which is no update
        self.record.updates = dict(checkpoint["callbacks"][self.state_key]["record"]["updates"])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        states: dict[str, Any] = checkpoint["callbacks"]
        if trainer.state.fn != "fit" and self.trained_by is not None and self.trained_by() is trainer:
            states.pop(self.state_key, None)  # a checkpoint that is tested between two fits is no resume
            return
        self._forget()
        ours = {k: state for k, state in states.items() if isinstance(state, dict) and {"format", "record"} <= {*state}}
        # where another schedule trained before, its record of the run serves as well
        for state in ours.values():
            _refuse_format(self, state)
            self.record.take_over(self._record_of(state), state["hyperparameter"] == self.numbers[0])
        if self.state_key not in states and (key := _unclaimed(self, ours, trainer)) is not None:
            self.load_state_dict(ours[key])
            if _class(key) != _class(self.state_key):  # whose arguments are others
                self.changes = {k: v for k, v in self.changes.items() if k not in parameters(type(self))}
                self.changes["schedule"] = Words(_class(key)), Words(_class(self.state_key))

    def _forget(self) -> None:
        """Begin a new run."""
        self.record.become(Record())
        self.begin_anew()

    def _close(self) -> None:
        if self.fit is not None:
            self.fit.close()
        self.fit = None

    # ---- Lightning's hooks

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        self._close()
        last = self.trained_by() if self.trained_by is not None else None
        if last is not trainer or trainer.fit_loop.total_batch_idx < 0:
            self._forget()
        self.trained_by = weakref.ref(trainer)
        self.record.late.clear()  # the optimizers and callbacks are new; a checkpoint tells what came late
        self.record.yielded.clear()
        self.changes, self.restored = {}, False
        # First among the callbacks, after the tuners: BackboneFinetuning restores its groups' LRs in on_fit_start,
        # and LearningRateMonitor logs what it finds in on_train_batch_start. The list is replaced, not changed:
        # the Trainer is iterating over it.
        trainer.callbacks = sorted(callbacks_of(trainer), key=_rank)  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        begin(schedules_of(trainer), trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.fit is not None:
            self.fit.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.fit is not None:
            self.fit.epoch_starts()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if (fit := self.fit) is not None:
            fit.batch_starts(batch_idx)
        elif self.trained_by is None or self.trained_by() is not trainer:  # no setup
            way_out = "Set an argument of the schedule that was there from the start, or begin another fit."
            raise refusal(self, f"{self!r} came into trainer.callbacks during the fit. {way_out}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.fit is not None:
            self.fit.batch_ends(batch_idx)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.fit is not None and _of_the_fit(trainer):
            self.fit.validation_starts()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.fit is not None:
            self.fit.validation_ends(_of_the_fit(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.fit is not None:
            self.fit.epoch_ends()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.fit is not None:
            self.fit.end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self.fit is not None and trainer.world_size == 1:  # else the other ranks may not be there to be asked
            self.fit.note()
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()


class Watching(Callback):
    """The hooks of a callback that may watch each single update."""

    fit: Fit | None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if self.fit is not None:
            self.fit.loss(loss)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self.fit is not None:
            self.fit.gradient(optimizer)


def _refuse_format(schedule: LRCallback, state: dict[str, Any]) -> None:
    if state.get("format") != FORMAT:
        raise refusal(
            schedule,
            f"the checkpoint's state has format {state.get('format')!r}, and this version reads {FORMAT}. Resume it"
            " with the version that wrote it, or delete the state from checkpoint['callbacks'].",
        )
    if missing := sorted({"hyperparameter", "record", "memories", "journal", "arguments"} - state.keys()):
        raise refusal(schedule, f"the checkpoint's state lacks {', '.join(missing)}.")


def _class(state_key: str) -> str:
    return state_key.partition("{")[0]


def _unclaimed(schedule: LRCallback, states: dict[str, Any], trainer: Trainer) -> str | None:
    """The key of the one state that no schedule has, and that means this one, by its class or else by its memories.

    So that none is lost because the schedule now says otherwise whose values it drives, is split in several, or is a
    part of another now.
    """
    claimed, number = {each.state_key for each in schedules_of(trainer)}, schedule.numbers[0]
    left = {k: state for k, state in states.items() if k not in claimed and state["hyperparameter"] == number}
    kinds = {type(each).__name__ for each in schedule.reactive()}
    of_class = [key for key in left if _class(key) == _class(schedule.state_key)]
    of_kind = [key for key in left if kinds & {memory["kind"] for memory in left[key]["memories"]}]
    related = of_class or of_kind
    return related[0] if len(related) == 1 else None


def _of_the_fit(trainer: Trainer) -> bool:
    """Whether a validation is one of the fit's own."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def schedules_of(trainer: Trainer) -> list[LRCallback]:
    return [callback for callback in callbacks_of(trainer) if isinstance(callback, LRCallback)]


def _rank(callback: Callback) -> int:
    if is_a(callback, "LearningRateFinder") or is_a(callback, "BatchSizeFinder"):
        return 0
    return 1 if isinstance(callback, LRCallback) else 2
