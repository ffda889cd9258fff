"""The base of every schedule: its position ``t``, its durations in intervals, its warmup, and one pure formula."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Iterable, Sequence
from copy import deepcopy
from html import escape
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, cast, overload

from lightning.fabric.utilities.exceptions import MisconfigurationException
from typing_extensions import Self, Unpack

from . import _checks
from .callback import LRCallback
from .curves import Line, Table, ramp
from .durations import Interval, Pace, RunLength, parse
from .groups import Moment
from .ownership import refusal, title
from .plots import Curve, draw, stairs, svg
from .reactive.base import Reactive

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class CommonArguments(TypedDict, total=False):
    """The keyword arguments that every schedule takes; :class:`LRSchedule` explains them."""

    interval: Interval
    warmup: int | str
    warmup_start_factor: float | None
    optimizer: int | str | None
    param_groups: str | int | Sequence[str | int] | None
    hyperparameter: str
    log_lr: bool
    prog_bar: bool
    replace_scheduler: bool


class LRSchedule(LRCallback, ABC):
    """A learning-rate schedule that is a Lightning callback. Subclass it and write one pure method, ``lr_at``.

    >>> class Halving(LRSchedule):
    ...     def lr_at(self, t, base_lr):
    ...         return base_lr / 2**t
    >>> [Halving(interval="step").lr_at(t, base_lr=0.1) for t in (0, 1, 2)]
    [0.1, 0.05, 0.025]

    Args:
        interval: What ``t`` counts, and how often the LR changes: ``"epoch"`` or ``"step"``. A step is one optimizer
            update, never a micro-batch of an accumulation window.
        warmup: A duration, in intervals or as ``"5 epochs"``, ``"500 steps"``, ``"10%"`` (of the run). The LR rises
            linearly to the schedule's first value, which it has exactly at t = warmup; the schedule's own t starts
            there. Longer than the run: the run ends on the ramp.
        warmup_start_factor: Where the ramp starts, as a factor in [0, 1] of the schedule's first value.
            None: 1 / (warmup + 1), an even ramp that never trains at LR 0.
        optimizer: Index of one optimizer, or the name of its class where that is unique. None: all of them.
        param_groups: Names (the group's key ``name``), patterns of names such as ``"backbone*"``, or indices. A group
            that comes later and fits is driven too: it keeps the LR it came with for its first interval, and then
            follows the curve in proportion, through any floor. None: all.
        hyperparameter: What is scheduled in place of the LR: ``"weight_decay"``, ``"momentum"`` (``betas[0]`` where the
            optimizer has betas) or any other key of the groups that holds a number. "LR" and ``base_lr`` then stand for
            it and for the value that ``configure_optimizers`` gave it.
        log_lr: Send the LR to the Trainer's loggers, under the names that LearningRateMonitor uses.
        prog_bar: Show the LR in Lightning's progress bars.
        replace_scheduler: Take off, for this fit, a torch scheduler that ``configure_optimizers`` attached to the same
            optimizer; the base LR is then the group's ``initial_lr``. False: such a scheduler is refused.

    Raises:
        ValueError: in the constructor, when a value breaks its rule.
        MisconfigurationException: at the start of a fit, when the schedule and the run do not fit together.
    """

    #: the arguments that are durations from the schedule's start on
    durations: ClassVar[tuple[str, ...]] = ()
    #: the arguments that are durations that recur, such as a cycle
    periods: ClassVar[tuple[str, ...]] = ()
    #: the duration that is the rest of the run when it is None
    fills_run: str = ""

    def __init__(
        self,
        *,
        interval: Interval = "epoch",
        warmup: int | str = 0,
        warmup_start_factor: float | None = None,
        optimizer: int | str | None = None,
        param_groups: str | int | Sequence[str | int] | None = None,
        hyperparameter: str = "lr",
        log_lr: bool = True,
        prog_bar: bool = False,
        replace_scheduler: bool = False,
    ) -> None:
        super().__init__(interval, optimizer, param_groups, hyperparameter, log_lr, prog_bar, replace_scheduler)
        self.warmup = _checks.duration(self, "warmup", warmup, at_least=0)
        self.warmup_start_factor = None
        if warmup_start_factor is not None:
            self.warmup_start_factor = _checks.number(
                self, "warmup_start_factor", warmup_start_factor, "a number in [0, 1] or None", lambda x: 0 <= x <= 1
            )

    _is_line: ClassVar[bool] = True

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._is_line = cls.lr_at is LRSchedule.lr_at

    def line(self, t: int) -> Line:
        """The LR at interval ``t`` as a line in the base LR: how this package's own schedules say their formula.

        It is worked out once for all parameter groups. A formula that is no line overrides ``lr_at`` instead.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement lr_at(t, base_lr).")

    def lr_at(self, t: int, base_lr: float) -> float:
        """The LR at interval ``t`` of the schedule, which starts after the warmup.

        Args:
            t: Intervals since the schedule began, from 0 on.
            base_lr: The LR that ``configure_optimizers`` gave the parameter group.
        """
        return self.line(t).at(base_lr)

    def length(self, argument: str) -> int:
        """The duration ``argument`` in intervals."""
        known = self._lengths
        length = known[argument] if argument in known else getattr(self, argument)
        return length if isinstance(length, int) else cast(int, self._resolved(argument))

    def lengths(self, argument: str) -> tuple[int, ...]:
        """The durations of the list ``argument``, in intervals."""
        lengths: tuple[int, ...] = self._resolved(argument)
        return lengths

    def _resolved(self, argument: str) -> Any:
        if argument in self._lengths:
            return self._lengths[argument]
        value = getattr(self, argument)
        if _is_resolved(value):
            return value
        raise refusal(
            self,
            f"'{argument}' is {value!r}, which only a Trainer can turn into intervals, at the start of a fit. Pass an"
            " integer to use the schedule without one.",
        )

    # ---- seen without a Trainer

    @overload
    def preview(self, epochs: int, steps_per_epoch: int | None = None, *, base_lr: float = 1.0) -> list[float]: ...

    @overload
    def preview(
        self, epochs: int, steps_per_epoch: int | None = None, *, base_lr: Sequence[float]
    ) -> list[list[float]]: ...

    def preview(
        self, epochs: int, steps_per_epoch: int | None = None, *, base_lr: float | Sequence[float] = 1.0
    ) -> list[float] | list[list[float]]:
        """The LRs of a run of this length, from its start, with no Trainer and no change to the schedule.

        >>> class Halving(LRSchedule):
        ...     def lr_at(self, t, base_lr):
        ...         return base_lr / 2**t
        >>> Halving().preview(epochs=3, base_lr=0.4)
        [0.4, 0.2, 0.1]
        >>> Halving(interval="step", warmup="1 epoch").preview(epochs=2, steps_per_epoch=3, base_lr=[0.8])
        [[0.2, 0.4, 0.6000000000000001, 0.8, 0.4, 0.2]]

        A schedule that watches a metric shows its curve without reactions.

        Args:
            epochs: Epochs of the run, >= 1.
            steps_per_epoch: Optimizer updates an epoch, >= 1. None: unknown, which will do for ``interval="epoch"``
                while no duration is in steps.
            base_lr: The base LR, >= 0 and not under the schedule's floor, or a list of several.

        Returns:
            The LR of each interval: ``epochs`` of them, or with ``interval="step"`` ``epochs * steps_per_epoch``. For
            several base LRs a list of them each.

        Raises:
            ValueError: an argument breaks its rule.
            MisconfigurationException: the schedule does not fit a run of this length.
        """
        given = base_lr if isinstance(base_lr, Sequence) and not isinstance(base_lr, str) else [base_lr]
        bases = [self._base(base) for base in given]
        total, twin = self._planned(epochs, steps_per_epoch)
        lrs = twin._values(range(total), bases)
        return lrs if given is base_lr else lrs[0]

    def plot(
        self,
        epochs: int,
        steps_per_epoch: int | None = None,
        *,
        base_lr: float | Sequence[float] = 1.0,
        ax: Axes | None = None,
    ) -> tuple[Figure, Axes]:
        """Draw what :meth:`preview` gives, over the epochs, with matplotlib.

        Args:
            epochs: As for :meth:`preview`.
            steps_per_epoch: As for :meth:`preview`.
            base_lr: As for :meth:`preview`; several give a curve each.
            ax: Axes to draw into. None: new ones.

        Returns:
            The figure and the axes.

        Raises:
            ModuleNotFoundError: matplotlib, the extra ``[plot]``, is not installed.
        """
        return draw(self._curves(epochs, steps_per_epoch, base_lr), "epoch", title(self.hyperparameter), ax)

    def _curves(self, epochs: int, steps_per_epoch: int | None, base_lr: float | Sequence[float]) -> list[Curve]:
        several = isinstance(base_lr, Sequence)
        bases = base_lr if isinstance(base_lr, Sequence) else [base_lr]
        lrs = self.preview(epochs, steps_per_epoch, base_lr=bases)
        labels = [f"{self!r}, base_lr={base!r}" if several else repr(self) for base in bases]
        return [self._curve(label, values, steps_per_epoch) for label, values in zip(labels, lrs, strict=True)]

    def _curve(self, label: str, lrs: list[float], steps_per_epoch: int | None) -> Curve:
        """A preview's values over the epochs."""
        if self.interval == "epoch":
            return stairs(label, lrs)
        return Curve(label, [step / cast(int, steps_per_epoch) for step in range(len(lrs))], lrs)

    def _repr_html_(self) -> str:
        """What a notebook shows: the constructor call, and the curve in a run in which most of it happens."""
        call = f"<code>{escape(repr(self))}</code>"
        try:
            return f"{call}<br>{svg(self._curves(self._reach() or 100, 1, 1.0)[0])}"
        except (MisconfigurationException, ValueError):  # it needs to know the run, or other base LRs
            return call

    def _reach(self) -> int:
        """Intervals in which most of the curve happens: four warmups or periods, a little more than a duration.

        0 where it says nothing of the kind, and 100 where it fills the run.
        """
        reach = [100 if self.fills_run and getattr(self, self.fills_run) is None else 0]
        for argument in ("warmup", *self.durations, *self.periods):
            value = getattr(self, argument)
            for each in value if isinstance(value, tuple) else (value,):
                amount, unit = parse(each) or (0, "") if isinstance(each, str) else (each or 0, "")
                times = 1.25 if argument in self.durations else 4
                reach.append(0 if unit == "%" else math.ceil(times * amount))
        return max(reach)

    def _base(self, base_lr: object) -> float:
        argument, floor = self._floor()
        rule = f"a number >= {argument} ({floor!r})" if floor else "a number >= 0"
        return _checks.number(self, "base_lr", base_lr, rule, lambda x: x >= floor)

    def _planned(self, epochs: int, steps_per_epoch: int | None) -> tuple[int, Self]:
        """The intervals of a run, and a copy of the schedule as it would begin that run."""
        epochs = _checks.whole(self, "epochs", epochs, at_least=1)
        pace = None
        if steps_per_epoch is not None or self.interval == "step":
            pace = Pace(((0, _checks.whole(self, "steps_per_epoch", steps_per_epoch, at_least=1)),))
        run = RunLength(epochs, None, pace, "steps_per_epoch is not given")
        twin = deepcopy(self)
        twin._begin_anew()
        twin._lengths = twin._begin(run)
        return cast(int, run.total(self.interval)), twin

    def _values(self, positions: Iterable[int], bases: list[float]) -> list[list[float]]:
        """For each base value, the values at these positions."""
        moment, distinct = self._moment, set(bases)
        if len(bases) == 1:
            base = bases[0]
            return [[moment(t, distinct).at(base) for t in positions]]
        return [list(values) for values in zip(*(moment(t, distinct).of(bases) for t in positions), strict=True)]

    # ---- plumbing

    def _moment(self, t: int, bases: set[float]) -> Moment:
        warmup = self.length("warmup")
        if t < warmup:
            return self._own_moment(0, bases).times(ramp(t, warmup, self.warmup_start_factor))
        return self._own_moment(t - warmup, bases)

    def _own_moment(self, t: int, bases: set[float]) -> Moment:
        if self._is_line:
            return self.line(t)
        return Table({base: self._checked(t, base) for base in bases})

    def _checked(self, t: int, base: float) -> float:
        lr = self.lr_at(t, base)
        if not (isinstance(lr, Real) and math.isfinite(lr) and lr >= 0.0):
            raise refusal(self, f"lr_at({t}, {base!r}) must return a finite number >= 0, got {lr!r}.")
        return float(lr)

    def _reactive(self) -> list[Reactive]:
        return [self] if isinstance(self, Reactive) else []

    def _active(self, t: int) -> dict[Reactive, int]:
        warmup = self.length("warmup")
        return self._own_active(t - warmup) if t >= warmup else {}

    def _own_active(self, t: int) -> dict[Reactive, int]:
        return dict.fromkeys(self._reactive(), t)

    def _momentum(self, t: int) -> float:
        return self.momentum_at(max(t - self.length("warmup"), 0))

    def momentum_at(self, t: int) -> float:
        """The momentum at interval ``t``, where the schedule cycles one."""
        raise NotImplementedError

    def _begin(self, run: RunLength, start: int = 0, end: int | None = None) -> dict[str, Any]:
        """Durations in intervals, for a schedule that starts at ``start`` and has until ``end`` (None: the run's)."""
        lengths: dict[str, Any] = {"warmup": self._whole(run, "warmup", self.warmup, start)}
        begin = start + lengths["warmup"]
        for argument in (*self.durations, *self.periods):
            value = getattr(self, argument)
            if value is None and argument == self.fills_run:
                lengths[argument] = max(self._end(run, argument, end) - begin, 1)
            elif isinstance(value, tuple):
                lengths[argument] = tuple(self._whole(run, argument, each, begin) for each in value)
                if list(lengths[argument]) != sorted(set(lengths[argument])):
                    raise refusal(self, f"'{argument}' must be strictly rising, got {value!r}: {lengths[argument]}.")
            elif value is not None:
                lengths[argument] = self._whole(run, argument, value, begin if argument in self.durations else None)
        return {argument: n for argument, n in lengths.items() if not _is_resolved(getattr(self, argument))}

    def _end(self, run: RunLength, argument: str, end: int | None) -> int:
        total = run.total(self.interval) if end is None else end
        if total is None:
            raise refusal(
                self,
                f"'{argument}' is None (the whole run), but the Trainer does not know how many {self.interval}s the run"
                f" has: {run.unknown}. Pass {argument}=<number of {self.interval}s>.",
            )
        return total

    def _whole(self, run: RunLength, argument: str, value: int | str, start: int | None) -> int:
        _checks.duration(self, argument, value, at_least=0)  # a user's own schedule may not have looked
        intervals = run.intervals(value, self.interval, start)
        if intervals is None:
            why = run.unknown or f"the number of {self.interval}s an epoch changes during the run"
            raise refusal(
                self,
                f"'{argument}' is {value!r}, which the Trainer cannot turn into {self.interval}s: {why}."
                f" Pass {argument}=<number of {self.interval}s>.",
            )
        if intervals > _checks.LARGEST:
            raise refusal(self, f"'{argument}' must be at most {_checks.LARGEST} {self.interval}s, got {value!r}.")
        if intervals.denominator != 1:
            below = int(intervals)
            several = isinstance(getattr(self, argument), tuple)
            near = " or ".join(str(n) if several else f"{argument}={n}" for n in (below, below + 1) if n)
            by_step = ", or interval='step'" if self.interval == "epoch" else ""
            raise refusal(
                self,
                f"'{argument}' must be a whole number of {self.interval}s, got {value!r}, which is"
                f" {float(intervals):g} {self.interval}s in this run. Pass {near}{by_step}.",
            )
        return int(intervals)


def _is_resolved(value: object) -> bool:
    """Whether a duration is in intervals already."""
    return isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(each, int) for each in value))


class FlooredArguments(CommonArguments, total=False):
    """The keyword arguments of every schedule that has a floor; :class:`FlooredSchedule` explains them."""

    eta_min: float
    eta_min_ratio: float | None


class FlooredSchedule(LRSchedule):
    """A schedule that comes down to a floor.

    Args:
        eta_min: The floor, as an LR >= 0.
        eta_min_ratio: The floor, as a ratio in [0, 1] of each group's base LR, in place of ``eta_min``.
        **common: The arguments of :class:`LRSchedule`.
    """

    def __init__(
        self, *, eta_min: float = 0.0, eta_min_ratio: float | None = None, **common: Unpack[CommonArguments]
    ) -> None:
        super().__init__(**common)
        self.eta_min = _checks.number(self, "eta_min", eta_min, "a number >= 0", lambda x: x >= 0)
        self.eta_min_ratio = None
        if eta_min_ratio is not None:
            if self.eta_min:
                _checks.refuse(self, "eta_min_ratio", f"None beside eta_min={self.eta_min!r}", eta_min_ratio)
            self.eta_min_ratio = _checks.number(
                self, "eta_min_ratio", eta_min_ratio, "a number in [0, 1] or None", lambda x: 0 <= x <= 1
            )

    def above_floor(self, height: float, peak: float = 1.0) -> Line:
        """From the floor at ``height`` 0 to ``peak`` times the base LR at 1, both exact."""
        rest = 1.0 - height
        if (ratio := self.eta_min_ratio) is None:
            return Line(peak * height, self.eta_min * rest, self.eta_min)
        return Line(max(peak, ratio) * height + ratio * rest)

    def _floor(self) -> tuple[str, float]:
        return "eta_min", self.eta_min


# jsonargparse, that is LightningCLI and --help, looks here for what **common and **floored mean
CommonArguments.__doc__ = LRSchedule.__doc__
_floors = str(FlooredSchedule.__doc__).partition("Args:\n")[2].partition("        **common")[0]
FlooredArguments.__doc__ = str(LRSchedule.__doc__).replace("Args:\n", f"Args:\n{_floors}")
