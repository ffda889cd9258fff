"""Schedules made of schedules: one after another, and multiplied."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import chain, pairwise, repeat
from typing import Any, cast

from typing_extensions import Unpack

from ..callback import Watching
from ..fit.fit import Fit
from ..fit.messages import refusal
from ..formula import checks
from ..formula.curves import Moment, Table, times, value_of
from ..formula.memory import Reactive
from ..formula.timeline import ALONE, Mark, Run
from ..measure import Span
from ..placed import Placed, Position, Stretch
from ..schedule import CommonArguments, LRSchedule


class _Whole(Placed):
    """A composite in its run, with its parts in theirs."""

    parts: list[Placed]

    def leaves(self) -> list[Placed]:
        return [leaf for part in self.parts for leaf in part.leaves()]

    def reached(self, place: int, bases: set[float]) -> dict[float, float]:
        """The base values of a part, for each of the whole."""
        return {base: base for base in bases}

    def bases_of(self, leaf: Placed, bases: set[float]) -> set[float]:
        place = next(i for i, part in enumerate(self.parts) if leaf in part.leaves())
        return self.parts[place].bases_of(leaf, set(self.reached(place, bases).values()))

    def notes(self, base: float) -> list[str]:
        return [note for i, part in enumerate(self.parts) for note in part.notes(self.reached(i, {base})[base])]

    def told(self, given: LRSchedule, end: Position | None) -> list[str]:
        found = super().told(given, end)
        for i, (part, placed) in enumerate(zip(cast(_Composite, given).parts, self.parts, strict=True)):
            for duration in placed.told(part, end):
                name, _, length = duration.partition(": ")
                found.append(f"{name} of part {i} ({type(part).__name__}): {length}")
        return found

    def foreseen(self) -> bool:
        return super().foreseen() and all(part.foreseen() for part in self.parts)

    def by_plan(self) -> bool:
        return super().by_plan() or any(part.by_plan() for part in self.parts)

    def corners(self, end: Position) -> set[tuple[int, int]]:
        return super().corners(end).union(*(part.corners(end) for part in self.parts))

    def lengths(self) -> dict[str, Any]:
        of_parts = [
            (f"{name} of part {i} ({type(part.schedule).__name__})", length)
            for i, part in enumerate(self.parts)
            for name, length in part.lengths().items()
        ]
        return super().lengths() | dict(of_parts)


class _Sequence(_Whole):
    """``starts`` are those of the parts after the first."""

    starts: tuple[Mark, ...]
    continuous: bool

    def part_at(self, position: Position) -> Placed:
        return self.parts[sum(position[start.clock] >= start[start.clock] for start in self.starts)]

    def own_moments(self, stretch: Stretch, bases: set[float]) -> Iterator[Moment]:
        # of two starts by different clocks the second may come first
        cuts = sorted(bisect_left(stretch[start.clock], start[start.clock]) for start in self.starts)
        ends = [0, *cuts, len(stretch[0])]
        pieces = [[places[begin:end] for places in stretch] for begin, end in pairwise(ends)]
        return chain.from_iterable(self._of_part(i, piece, bases) for i, piece in enumerate(pieces) if piece[0])

    def _of_part(self, place: int, stretch: Stretch, bases: set[float]) -> Iterator[Moment]:
        if not (place and self.continuous):
            return self.parts[place].moments(stretch, bases)
        reached = self.reached(place, bases)
        return (_from(reached, moment) for moment in self.parts[place].moments(stretch, set(reached.values())))

    def reached(self, place: int, bases: set[float]) -> dict[float, float]:
        lrs = super().reached(place, bases)
        for part, end in zip(self.parts[:place], self.starts[:place], strict=True) if self.continuous else ():
            lrs = _from(lrs, part.moment(end, set(lrs.values())))
        return lrs

    def own_active(self, position: Position) -> dict[Placed, int]:
        return self.part_at(position).active(position)

    def decays(self, position: Position) -> bool:
        return self.part_at(position).decays(position)


def _from(reached: dict[float, float], moment: Moment) -> Table:
    """What a part says whose base values are what the part before has reached."""
    return {base: value_of(moment, lr) for base, lr in reached.items()}


def _product(one: Moment, other: Moment, bases: set[float]) -> Moment:
    if isinstance(one, tuple) and not (one[1] or one[2]):  # no more than a factor
        return times(other, one[0])
    if isinstance(other, tuple) and not (other[1] or other[2]):
        return times(one, other[0])
    return {base: value_of(one, base) * value_of(other, base) / base if base else 0.0 for base in bases}


class _Product(_Whole):
    def own_moments(self, stretch: Stretch, bases: set[float]) -> Iterator[Moment]:
        first, *others = (part.moments(stretch, bases) for part in self.parts)
        return reduce(lambda product, part: map(_product, product, part, repeat(bases)), others, first)

    def own_active(self, position: Position) -> dict[Placed, int]:
        return {leaf: t for part in self.parts for leaf, t in part.active(position).items()}

    def decays(self, position: Position) -> bool:
        return any(part.decays(position) for part in self.parts)


class _Composite(Watching, LRSchedule):
    """A schedule whose parts say the LR; the composite owns the parameter groups."""

    def __init__(self, parts: Sequence[LRSchedule], **common: Unpack[CommonArguments]) -> None:
        rule = "a list of two or more schedules"
        several = isinstance(parts, Sequence) and len(parts) > 1
        if not several or not all(isinstance(part, LRSchedule) for part in parts):
            checks.refuse(self, "parts", rule, parts)
        self.parts = tuple(parts)
        super().__init__(**common)
        self.checkpoint_before_decay = any(part.checkpoint_before_decay for part in self.parts)
        for part in self.parts:
            if part.interval not in (None, self.interval or "epoch"):
                whole = self.interval or "epoch"
                rule = f"schedules with interval={whole!r}, as their whole has, or none (durations keep their own unit)"
                checks.refuse(self, "parts", rule, part)
            if (part.optimizer, part.param_groups, part.hyperparameter) != (None, None, "lr") or part.replace_scheduler:
                rule = "schedules without optimizer, param_groups, hyperparameter and replace_scheduler of their own"
                checks.refuse(self, "parts", rule, part)
            if part.momentum is not None:
                checks.refuse(self, "parts", "schedules that leave the momentum alone", part)
        leaves = self.reactive()
        for leaf in leaves:
            if sum(other is leaf for other in leaves) > 1:
                checks.refuse(self, "parts", "different schedules, as far as they have a memory", leaf)

    def __setattr__(self, name: str, value: object) -> None:
        before = vars(self).get("fit")
        super().__setattr__(name, value)
        fit = vars(self).get("fit")
        if fit is not before or (name == "parts" and fit is not None):
            for part in self.parts:  # so that an argument of a part that is set during a fit applies too
                part.fit = fit

    def refuse_in_fit(self, fit: Fit, name: str, value: object) -> None:
        super().refuse_in_fit(fit, name, value)
        if name == "parts":
            leaves = [leaf for part in cast(Sequence[LRSchedule], value) for leaf in part.reactive()]
            if leaves != self.reactive():
                raise refusal(self, "the 'parts' with a memory stay the same during a fit. Set them before.")

    def moment_at(self, t: int, bases: set[float]) -> Moment:
        warmup = self.length("warmup")
        return next(self.place(ALONE, Mark(-warmup, -warmup)).own_moments([(t,), (t,)], bases))

    def floor(self) -> tuple[str, float]:
        return max((part.floor() for part in self.parts), key=lambda named: named[1])

    def reach(self) -> int:
        return super().reach() + max(part.reach() for part in self.parts)

    def reactive(self) -> list[Reactive]:
        return [leaf for part in self.parts for leaf in part.reactive()]


class SequentialSchedule(_Composite):
    r"""One schedule after another.

    .. code-block:: text

          ╭──────┐
         ╱       └───┐
        ╱            └─────

    Until the first milestone the first part says the LR, then the second, and so on. Each part counts from its own
    start, its warmup included, and a part that is open (``t_max=None``) fills its stretch.

    >>> from lightning_lrsched import Constant, StepDecay
    >>> sequence = SequentialSchedule([Constant(0.1), StepDecay(2, 0.5)], milestones=[3])
    >>> [sequence.lr_at(t, base_lr=1.0) for t in (0, 2, 3, 4, 5)]
    [0.1, 0.1, 1.0, 1.0, 0.5]
    >>> onwards = SequentialSchedule([Constant(0.1), StepDecay(2, 0.5)], milestones=[3], continuous=True)
    >>> [onwards.lr_at(t, base_lr=1.0) for t in (0, 2, 3, 4, 5)]
    [0.1, 0.1, 0.1, 0.1, 0.05]

    Args:
        parts: Two or more schedules with the ``interval`` of the sequence, and without ``optimizer``,
            ``param_groups``, ``hyperparameter`` and momentum of their own. They may be sequences and products. One that
            monitors a metric, as :class:`ReduceOnPlateau` does, must be the last. What a part watches it judges only
            in its own stretch, and what it decides stands in the ``journal`` of the whole.
        milestones: One fewer than parts: positive durations from the sequence's start, strictly rising; their units may
            differ. A part begins at t = milestone.
        continuous: The base LR of a part is the LR that the part before has come to at t = milestone, group by group.
            A floor of its own that lies above that it holds. False: every part has the base LR of the group.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`; ``warmup`` comes before all parts.

    Raises:
        ValueError: parts or milestones break their rule.
        MisconfigurationException: at the start of a fit, when milestones of different units turn out not to rise.

    ``continuous=True`` is OLMo-core's ``SequentialScheduler``, and what mmengine's schedulers do, window after window.
    ``torch.optim.lr_scheduler.SequentialLR`` refuses a plateau and some nesting, and its parts overwrite each other's
    LR while they are made.
    """

    durations = ("milestones",)

    def __init__(
        self,
        parts: Sequence[LRSchedule],
        milestones: Sequence[int | str],
        *,
        continuous: bool = False,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(parts, **common)
        self.continuous = checks.flag(self, "continuous", continuous)
        self.milestones = checks.positions(self, "milestones", milestones)
        if len(self.milestones) != len(self.parts) - 1:
            checks.refuse(self, "milestones", f"a list of {len(self.parts) - 1}, one fewer than parts", milestones)
        if any(leaf.monitor is not None for part in self.parts[:-1] for leaf in part.reactive()):
            checks.refuse(self, "parts", "schedules of which only the last monitors a metric", parts)

    def floor(self) -> tuple[str, float]:
        return self.parts[0].floor() if self.continuous else super().floor()

    def stand(self, run: Run, start: Mark, begin: Mark, clock: int, found: dict[str, Span], end: Mark | None) -> Placed:
        placed = _Sequence(self, start, begin, clock)
        placed.starts, placed.continuous = found["milestones"].marks, self.continuous
        stretches = zip(self.parts, [begin, *placed.starts], [*placed.starts, end], strict=True)
        placed.parts = [part.place(run, first, last, self.interval) for part, first, last in stretches]
        self.parts = tuple(part.schedule for part in placed.parts)
        return placed


class ProductSchedule(_Composite):
    r"""Schedules multiplied, each as a factor of the base LR.

    ``lr(t) = base * product of part(t) / base``. A constant LR with a warmup, multiplied with anything, is a warmup
    over it that takes no time from it.

    >>> from lightning_lrsched import ExponentialDecay, StepDecay
    >>> product = ProductSchedule([StepDecay(2, 0.5), ExponentialDecay(gamma=0.1)])
    >>> [product.lr_at(t, base_lr=1.0) for t in (0, 1, 2)]
    [1.0, 0.1, 0.005000000000000001]

    Args:
        parts: Two or more schedules with the ``interval`` of the product, and without ``optimizer``, ``param_groups``,
            ``hyperparameter`` and momentum of their own. They may be sequences and products. What a part decides stands
            in the ``journal`` of the whole.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`; ``warmup`` comes before all parts.

    Raises:
        ValueError: the parts break their rule.
    """

    def __init__(self, parts: Sequence[LRSchedule], **common: Unpack[CommonArguments]) -> None:
        super().__init__(parts, **common)

    def stand(self, run: Run, start: Mark, begin: Mark, clock: int, found: dict[str, Span], end: Mark | None) -> Placed:
        placed = _Product(self, start, begin, clock)
        placed.parts = [part.place(run, begin, end, self.interval) for part in self.parts]
        self.parts = tuple(part.schedule for part in placed.parts)
        return placed
