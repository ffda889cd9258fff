"""The base of every schedule: its arguments, its durations in intervals, its warmup, and one pure formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, cast, get_args, overload

from typing_extensions import Never, Unpack

from .callback import LRCallback
from .fit.lightning import MisconfigurationException
from .formula import checks
from .formula.arguments import refuse_unknown
from .formula.curves import Formula, Line, Moment, Ramp, ramp, recurring, value_of
from .formula.decisions import title
from .formula.durations import Interval, parse
from .formula.memory import Reactive
from .formula.pictures import Curve, draw, stairs, svg
from .formula.timeline import MADE, START, Mark, Pace, Run
from .measure import Span, open_duration, spans, warmup_end
from .placed import Placed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class CommonArguments(TypedDict, total=False):
    """The keyword arguments that every schedule takes; :class:`LRSchedule` explains them."""

    interval: Interval | None
    warmup: int | str
    warmup_start_factor: float | None
    warmup_start_lr: float | None
    warmup_shape: Ramp
    optimizer: int | str | None
    param_groups: str | int | Sequence[str | int] | None
    hyperparameter: str | Sequence[str]
    log_lr: bool
    prog_bar: bool
    replace_scheduler: bool


class LRSchedule(LRCallback):
    """A learning-rate schedule that is a Lightning callback. Subclass it and write one pure method, ``lr_at``.

    >>> class Halving(LRSchedule):
    ...     def lr_at(self, t, base_lr):
    ...         return base_lr / 2**t
    >>> [Halving(interval="step").lr_at(t, base_lr=0.1) for t in (0, 1, 2)]
    [0.1, 0.05, 0.025]

    Args:
        interval: What ``t`` counts, and how often the LR changes: ``"epoch"``, ``"step"``, ``"second"``, or a function
            of the Trainer (or the name to import it by) that gives a whole number which never falls, such as the tokens
            seen. A step is one optimizer update, never a micro-batch of an accumulation window; seconds are those that
            the fit has trained, earlier processes included, by rank zero's watch, and the run has ``max_time`` of them.
            None: for a part that of its whole, else ``"epoch"``.
        warmup: A duration, in intervals or as ``"5 epochs"``, ``"500 steps"``, ``"50_000 samples"``, ``"10%"`` (of the
            run), or with ``interval="second"`` as ``"30 minutes"``. It is rounded to the nearest interval. The LR goes
            to the schedule's first value, which it has exactly at t = warmup; the schedule's own t starts there. Longer
            than the run: the run ends on the ramp.
        warmup_start_factor: Where the ramp starts, as a factor >= 0 of the schedule's first value; from above 1 the LR
            comes down. None: 1 / (warmup + 1), an even ramp that never trains at LR 0.
        warmup_start_lr: Where the ramp starts, as an LR >= 0, in place of the factor.
        warmup_shape: With p from 0 to 1, the ramp's share ``p`` ("linear"), ``(1 - cos(pi * p)) / 2`` ("cosine") or
            ``1 - sqrt(1 - p)`` ("1-sqrt") of the way; "exponential" has the factor ``start ** (1 - p)``, from a
            ``warmup_start_factor`` > 0.
        optimizer: Index of one optimizer, or the name of its class where that is unique. None: all of them.
        param_groups: Names (the group's key ``name``), patterns of names such as ``"backbone*"``, or indices. A group
            that comes later and fits is driven too: it keeps the LR it came with for its first interval, and then
            follows the curve in proportion, through any floor. None: all.
        hyperparameter: What is scheduled in place of the LR: ``"weight_decay"``, ``"momentum"`` (``betas[0]`` where the
            optimizer has betas), any other key of the groups that holds a number, or an element of one that holds
            several, ``"betas[1]"``. "LR" and ``base_lr`` then stand for it and for the value that
            ``configure_optimizers`` gave it. A list, ``["lr", "weight_decay"]``: the first follows the curve, and the
            others keep in proportion to it, each from its own value on.
        log_lr: Send the LR to the Trainer's loggers, under the names that LearningRateMonitor uses.
        prog_bar: Show the LR in Lightning's progress bars.
        replace_scheduler: Take off, for this fit, a torch scheduler that ``configure_optimizers`` attached to the same
            optimizer; the base LR is then the group's ``initial_lr``. False: such a scheduler is refused.

    An argument that is set during a fit (``schedule.gamma = 0.5``) applies from the next batch on, as if it had been so
    from the start of the run. Whose values are driven, the interval and what is watched stay.

    Raises:
        ValueError: in the constructor, or where an argument is set later, when a value breaks its rule.
        MisconfigurationException: at the start of a fit, when the schedule and the run do not fit together.
    """

    #: the arguments that are durations from the schedule's start on
    durations: ClassVar[tuple[str, ...]] = ()
    #: the arguments that are durations that recur, such as a cycle
    periods: ClassVar[tuple[str, ...]] = ()
    #: the duration that is the rest of the run when it is None
    fills_run: str = ""
    #: the durations that may be 0
    from_zero: ClassVar[tuple[str, ...]] = ("warmup",)

    def __init__(
        self,
        *,
        interval: Interval | None = None,
        warmup: int | str = 0,
        warmup_start_factor: float | None = None,
        warmup_start_lr: float | None = None,
        warmup_shape: Ramp = "linear",
        optimizer: int | str | None = None,
        param_groups: str | int | Sequence[str | int] | None = None,
        hyperparameter: str | Sequence[str] = "lr",
        log_lr: bool = True,
        prog_bar: bool = False,
        replace_scheduler: bool = False,
        **unknown: Never,
    ) -> None:
        refuse_unknown(type(self), unknown)
        super().__init__(interval, optimizer, param_groups, hyperparameter, log_lr, prog_bar, replace_scheduler)
        self.warmup = checks.duration(self, "warmup", warmup, at_least=0)
        rule, holds = "a number >= 0 or None", lambda x: x >= 0
        self.warmup_start_factor = checks.number_or_none(self, "warmup_start_factor", warmup_start_factor, rule, holds)
        if warmup_start_lr is not None and warmup_start_factor is not None:
            checks.refuse(self, "warmup_start_lr", f"None beside {warmup_start_factor=}", warmup_start_lr)
        self.warmup_start_lr = checks.number_or_none(self, "warmup_start_lr", warmup_start_lr, rule, holds)
        self.warmup_shape = cast(Ramp, checks.choice(self, "warmup_shape", warmup_shape, get_args(Ramp)))
        if warmup_shape == "exponential" and (warmup_start_lr is not None or warmup_start_factor == 0):
            rule = "'linear', 'cosine' or '1-sqrt' where the warmup does not start from a factor > 0"
            checks.refuse(self, "warmup_shape", rule, warmup_shape)

    #: whether ``lr_at`` is the one below, so that one moment serves all parameter groups
    says_moments: ClassVar[bool] = True

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.says_moments = cls.lr_at is LRSchedule.lr_at

    def formula(self) -> Formula:
        """The LR at any interval as a line in the base LR: how this package's own schedules say their formula.

        What does not change with the interval is worked out before, and the line once for all parameter groups. A
        formula that is no line overrides ``lr_at`` instead.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement lr_at(t, base_lr).")

    def lr_at(self, t: int, base_lr: float) -> float:
        """The LR at interval ``t`` of the schedule, which starts after the warmup.

        Args:
            t: Intervals since the schedule began, from 0 on.
            base_lr: The LR that ``configure_optimizers`` gave the parameter group.
        """
        return value_of(self.moment_at(t, {base_lr}), base_lr)

    def moment_at(self, t: int, bases: set[float]) -> Moment:
        return self.formula()(t)

    def ramp(self, t: int, warmup: int) -> tuple[float, float]:
        """The warmup at ``t < warmup``: a factor of the schedule's first value, and an LR that is added."""
        if self.warmup_start_lr is None:
            return ramp(t, warmup, self.warmup_start_factor, self.warmup_shape), 0.0
        passed = ramp(t, warmup, 0.0, self.warmup_shape)
        return passed, self.warmup_start_lr * (1.0 - passed)

    def decay_begins(self) -> int | None:
        """The t from which on the LR comes down for good, where there is one, and it is known."""
        return None

    def length(self, argument: str) -> int:
        """The duration ``argument`` in intervals."""
        value = getattr(self, argument)
        if type(value) is int:  # as it is in a run
            return value
        if isinstance(value, Integral):
            return int(value)
        raise open_duration(self, argument)

    def lengths(self, argument: str) -> tuple[int, ...]:
        """The durations of the list ``argument``, in intervals."""
        value: tuple[int, ...] = getattr(self, argument)
        if all(type(each) is int or isinstance(each, Integral) for each in value):
            return tuple(value)
        raise open_duration(self, argument)

    def corners(self, end: int) -> list[int]:
        """Where the curve bends or jumps before ``end``, for whoever shows it by few points.

        These are the ends of the durations and the recurrences of the periods; a formula with other corners overrides
        it. Asked of a schedule that stands in a run.
        """
        found: list[int] = []
        for argument in self.durations:
            value = getattr(self, argument)
            found += value if isinstance(value, tuple) else [] if value is None else [value]
        for argument in self.periods:
            found += recurring(period, end) if (period := getattr(self, argument)) else []
        return found

    # ---- seen without a Trainer

    @overload
    def preview(
        self,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        *,
        base_lr: float = 1.0,
        batch_size: int | None = None,
        seconds: int | None = None,
    ) -> list[float]: ...

    @overload
    def preview(
        self,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        *,
        base_lr: Sequence[float],
        batch_size: int | None = None,
        seconds: int | None = None,
    ) -> list[list[float]]: ...

    def preview(
        self,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        *,
        base_lr: float | Sequence[float] = 1.0,
        batch_size: int | None = None,
        seconds: int | None = None,
    ) -> list[float] | list[list[float]]:
        """The LRs of a run of this length, without a Trainer, reactions to a metric, and changes to the schedule.

        >>> class Halving(LRSchedule):
        ...     def lr_at(self, t, base_lr):
        ...         return base_lr / 2**t
        >>> Halving().preview(epochs=3, base_lr=0.4)
        [0.4, 0.2, 0.1]
        >>> Halving(interval="step", warmup="1 epoch").preview(epochs=2, steps_per_epoch=3, base_lr=[0.8])
        [[0.2, 0.4, 0.6000000000000001, 0.8, 0.4, 0.2]]

        Args:
            epochs: Epochs of the run, >= 1. None: a run in which most of the curve happens.
            steps_per_epoch: Optimizer updates an epoch, >= 1. None: unknown, which will do for ``interval="epoch"``
                while no duration is in steps; without ``epochs``, 1.
            base_lr: The base LR, >= 0 and not under the schedule's floor, or a list of several.
            batch_size: Samples of one update, >= 1, for durations in samples. None: unknown.
            seconds: Seconds of the run, >= 1, with ``interval="second"``. None: as for ``epochs``.

        Returns:
            The LR of each interval: ``epochs`` of them, or with ``interval="step"`` ``epochs * steps_per_epoch``, or
            ``seconds``. For several base LRs a list of them each.

        Raises:
            ValueError: an argument breaks its rule.
            MisconfigurationException: the schedule does not fit a run of this length.
        """
        given = base_lr if isinstance(base_lr, Sequence) and not isinstance(base_lr, str) else [base_lr]
        bases = [self._base(base) for base in given]
        intervals, placed = self._planned(epochs, steps_per_epoch, batch_size, seconds)
        lrs = placed.values((intervals, intervals), bases)
        return lrs if given is base_lr else lrs[0]

    def plot(
        self,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        *,
        base_lr: float | Sequence[float] = 1.0,
        batch_size: int | None = None,
        seconds: int | None = None,
        ax: Axes | None = None,
    ) -> tuple[Figure, Axes]:
        """Draw what :meth:`preview` gives, over the epochs or what else the schedule counts, with matplotlib.

        Args:
            epochs: As for :meth:`preview`.
            steps_per_epoch: As for :meth:`preview`.
            base_lr: As for :meth:`preview`; several give a curve each.
            batch_size: As for :meth:`preview`.
            seconds: As for :meth:`preview`.
            ax: Axes to draw into. None: new ones.

        Returns:
            The figure and the axes.

        Raises:
            ModuleNotFoundError: matplotlib, the extra ``[plot]``, is not installed.
        """
        curves = self.curves(epochs, steps_per_epoch, base_lr, batch_size=batch_size, seconds=seconds)
        return draw(curves, self.axis(steps_per_epoch), title(self.numbers[0]), ax)

    def curves(
        self, epochs: int | None, steps_per_epoch: int | None, base_lr: float | Sequence[float], **run: int | None
    ) -> list[Curve]:
        several = isinstance(base_lr, Sequence)
        bases = base_lr if isinstance(base_lr, Sequence) else [base_lr]
        lrs = self.preview(epochs, steps_per_epoch, base_lr=bases, **run)
        labels = [f"{self!r}, base_lr={base!r}" if several else repr(self) for base in bases]
        return [self.curve(label, values, steps_per_epoch) for label, values in zip(labels, lrs, strict=True)]

    def curve(self, label: str, lrs: list[float], steps_per_epoch: int | None) -> Curve:
        """A preview's values over its axis."""
        if self.counts == "epoch":
            return stairs(label, lrs)
        return Curve(label, [t / (steps_per_epoch or 1) for t in range(len(lrs))], lrs)

    def axis(self, steps_per_epoch: int | None) -> str:
        """What a preview is drawn over: epochs, as far as it is known how many steps they have."""
        return "epoch" if self.counts == "step" and steps_per_epoch is not None else self.counts

    def _repr_html_(self) -> str:
        """What a notebook shows: the constructor call, and the curve in a run in which most of it happens."""
        call = f"<code>{escape(repr(self))}</code>"
        try:
            return f"{call}<br>{svg(self.curves(None, None, 1.0)[0])}"
        except (MisconfigurationException, ValueError):  # it needs to know the run, or other base LRs
            return call

    def reach(self) -> int:
        """Intervals in which most of the curve happens: four warmups or periods, or all, a little more than a duration.

        0 where it says nothing of the kind, and 100 where it fills the run.
        """
        reach = [100 if self.fills_run and getattr(self, self.fills_run) is None else 0]
        for argument in ("warmup", *self.durations, *self.periods):
            value = getattr(self, argument)
            listed = value if isinstance(value, tuple) else (value,)
            times = 1.25 if argument in self.durations else max(len(listed), 4)
            for each in listed:
                amount, unit = parse(each) or (0, "") if isinstance(each, str) else (each or 0, "")
                reach.append(0 if unit == "%" else math.ceil(times * amount))
        return max(reach)

    def _base(self, base_lr: object) -> float:
        argument, floor = self.floor()
        rule = f"a number >= {argument} ({floor!r})" if floor else "a number >= 0"
        return checks.number(self, "base_lr", base_lr, rule, lambda x: x >= floor)

    def _planned(
        self, epochs: int | None, steps_per_epoch: int | None, batch_size: int | None, seconds: int | None
    ) -> tuple[range, Placed]:
        """The intervals of a run, and the schedule as it would begin that run."""
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch, "batch_size": batch_size, "seconds": seconds}
        known = {k: checks.whole(self, k, value, at_least=1) for k, value in given.items() if value is not None}
        total = self.reach() or 100
        steps = known.get("steps_per_epoch", None if self.counts == "epoch" or epochs else 1)
        if self.counts == "step" and steps is None:
            checks.refuse(self, "steps_per_epoch", "a positive integer", None)
        epochs = known.get("epochs", -(-total // steps) if steps and self.counts == "step" else total)
        run = Run(
            epochs,
            pace=None if steps is None else Pace(((0, steps),)),
            unknown="steps_per_epoch is not given",
            seconds=known.get("seconds", total),
            samples=steps and batch_size and steps * batch_size,
            no_samples="batch_size and steps_per_epoch are not both given",
            batch=batch_size,
        )
        placed = self.place(run)
        for leaf in placed.leaves():
            leaf.reactive.memory = type(leaf.reactive.memory)()  # the copy's own: the schedule's stays as it is
        end = run.end(self.counts)
        return range(total if end is None else end.planned), placed

    # ---- in a run

    def place(self, run: Run, start: Mark = START, end: Mark | None = None, interval: Interval | None = None) -> Placed:
        """A copy with its durations in intervals, for a schedule at ``start`` that has until ``end``, or the run's.

        ``interval`` is that of its whole.
        """
        twin = self.twin()
        twin.interval = interval or self.interval
        begin = warmup_end(twin, run, start)
        found = twin.spans(run, begin, end)
        clock = twin.clock(found)
        twin.warmup = begin[begin.clock] - start[begin.clock]
        for argument, span in found.items():
            setattr(twin, argument, span.intervals(begin, clock))
        return twin.stand(run, start, begin, clock, found, end)

    def spans(self, run: Run, begin: Mark, end: Mark | None) -> dict[str, Span]:
        return spans(self, run, begin, end)

    def clock(self, found: dict[str, Span]) -> int:
        """The clock that it goes by: where one of its durations goes by the plan, that one."""
        return max((span.clock for span in found.values()), default=MADE)

    def stand(self, run: Run, start: Mark, begin: Mark, clock: int, found: dict[str, Span], end: Mark | None) -> Placed:
        """How a copy that has its durations in intervals stands in the run."""
        return Placed(self, start, begin, clock)

    def note(self, base: float) -> str:
        """What the start of a fit is to tell of the schedule; nothing, as a rule."""
        return ""

    def reactive(self) -> list[Reactive]:
        return [self] if isinstance(self, Reactive) else []

    def momentum_at(self, t: int) -> float:
        """The momentum at interval ``t``, where the schedule cycles one."""
        raise NotImplementedError


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
        self.eta_min = checks.number(self, "eta_min", eta_min, "a number >= 0", lambda x: x >= 0)
        if eta_min_ratio is not None and self.eta_min:
            checks.refuse(self, "eta_min_ratio", f"None beside eta_min={self.eta_min!r}", eta_min_ratio)
        rule, holds = "a number in [0, 1] or None", lambda x: 0 <= x <= 1
        self.eta_min_ratio = checks.number_or_none(self, "eta_min_ratio", eta_min_ratio, rule, holds)

    def above_floor(self, height: float, peak: float = 1.0) -> Line:
        """From the floor at ``height`` 0 to ``peak`` times the base LR at 1, both exact."""
        rest = 1.0 - height
        if (ratio := self.eta_min_ratio) is None:
            return peak * height, self.eta_min * rest, self.eta_min
        return max(peak, ratio) * height + ratio * rest, 0.0, 0.0

    def not_under_floor(self, factor: float) -> Line:
        """``factor`` times the base LR, or the floor where that is higher."""
        return max(factor, self.eta_min_ratio or 0.0), 0.0, self.eta_min

    def floor(self) -> tuple[str, float]:
        return "eta_min", self.eta_min


# jsonargparse, that is LightningCLI and --help, looks here for what **common and **floored mean
CommonArguments.__doc__ = LRSchedule.__doc__
_floors = str(FlooredSchedule.__doc__).partition("Args:\n")[2].partition("        **common")[0]
FlooredArguments.__doc__ = str(LRSchedule.__doc__).replace("Args:\n", f"Args:\n{_floors}")
