"""Schedules made of schedules: one after another, and multiplied."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from math import prod
from typing import Any

from typing_extensions import Unpack

from . import _checks
from .curves import Line, Table
from .durations import RunLength
from .groups import Moment
from .reactive.base import Reactive
from .schedule import CommonArguments, LRSchedule


class _Composite(LRSchedule):
    """A schedule whose parts say the LR; the composite owns the parameter groups."""

    def __init__(self, parts: Sequence[LRSchedule], **common: Unpack[CommonArguments]) -> None:
        rule = "a list of two or more schedules"
        several = isinstance(parts, Sequence) and len(parts) > 1
        if not several or not all(isinstance(part, LRSchedule) for part in parts):
            _checks.refuse(self, "parts", rule, parts)
        self.parts = tuple(parts)
        super().__init__(**common)
        for part in self.parts:
            if part.interval != self.interval:
                rule = f"schedules with interval={self.interval!r}, as their whole has (durations keep their own unit)"
                _checks.refuse(self, "parts", rule, part)
            if (part.optimizer, part.param_groups, part.hyperparameter) != (None, None, "lr") or part.replace_scheduler:
                rule = "schedules without optimizer, param_groups, hyperparameter and replace_scheduler of their own"
                _checks.refuse(self, "parts", rule, part)
            if part.momentum is not None:
                _checks.refuse(self, "parts", "schedules that leave the momentum alone", part)
        if len({id(part) for part in self.parts}) < len(self.parts):
            _checks.refuse(self, "parts", "different schedules", parts)

    @abstractmethod
    def _own_moment(self, t: int, bases: set[float]) -> Moment: ...

    def lr_at(self, t: int, base_lr: float) -> float:
        return self._own_moment(t, {base_lr}).at(base_lr)

    def _floor(self) -> tuple[str, float]:
        argument, floor = max((part._floor() for part in self.parts), key=lambda named: named[1])
        return argument, floor

    def _reach(self) -> int:
        return super()._reach() + max(part._reach() for part in self.parts)

    def _begin_parts(self, run: RunLength, stretches: list[tuple[int, int | None]]) -> tuple[dict[str, Any], ...]:
        for part, (start, end) in zip(self.parts, stretches, strict=True):
            part._lengths = part._begin(run, start, end)
        return tuple(part._lengths for part in self.parts)

    def _reactive(self) -> list[Reactive]:
        return [leaf for part in self.parts for leaf in part._reactive()]


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

    Args:
        parts: Two or more schedules with the ``interval`` of the sequence, and without ``optimizer``,
            ``param_groups``, ``hyperparameter`` and momentum of their own. They may be sequences and products. One that
            monitors a metric, as :class:`ReduceOnPlateau` does, must be the last. What a part watches it judges only
            in its own stretch, and what it decides stands in the ``journal`` of the whole.
        milestones: One fewer than parts: positive durations from the sequence's start, strictly rising; their units may
            differ. A part begins at t = milestone.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`; ``warmup`` comes before all parts.

    Raises:
        ValueError: parts or milestones break their rule.
        MisconfigurationException: at the start of a fit, when milestones of different units turn out not to rise.

    ``torch.optim.lr_scheduler.SequentialLR`` refuses a plateau and some nesting, and its parts overwrite each other's
    LR while they are made.
    """

    durations = ("milestones",)

    def __init__(
        self, parts: Sequence[LRSchedule], milestones: Sequence[int | str], **common: Unpack[CommonArguments]
    ) -> None:
        super().__init__(parts, **common)
        self.milestones = _checks.positions(self, "milestones", milestones)
        if len(self.milestones) != len(self.parts) - 1:
            _checks.refuse(self, "milestones", f"a list of {len(self.parts) - 1}, one fewer than parts", milestones)
        if any(leaf.monitor is not None for part in self.parts[:-1] for leaf in part._reactive()):
            _checks.refuse(self, "parts", "schedules of which only the last monitors a metric", parts)

    def _own_moment(self, t: int, bases: set[float]) -> Moment:
        part, s = self._part_at(t)
        return part._moment(s, bases)

    def _own_active(self, t: int) -> dict[Reactive, int]:
        part, s = self._part_at(t)
        return part._active(s)

    def _part_at(self, t: int) -> tuple[LRSchedule, int]:
        """The part that says the LR at ``t``, and its own t."""
        milestones = self.lengths("milestones")
        place = bisect_right(milestones, t)
        return self.parts[place], t - (milestones[place - 1] if place else 0)

    def _begin(self, run: RunLength, start: int = 0, end: int | None = None) -> dict[str, Any]:
        lengths = super()._begin(run, start, end)
        begin = start + lengths.get("warmup", self.warmup)
        milestones = lengths.get("milestones", self.milestones)
        starts = [begin, *(begin + milestone for milestone in milestones)]
        lengths["parts"] = self._begin_parts(run, list(zip(starts, [*starts[1:], end], strict=True)))
        return lengths


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

    def _own_moment(self, t: int, bases: set[float]) -> Moment:
        factor, others = 1.0, []
        for moment in [part._moment(t, bases) for part in self.parts]:
            if isinstance(moment, Line) and not moment.offset and not moment.floor:
                factor *= moment.factor
            else:
                others.append(moment)
        if not others:
            return Line(factor)
        if len(others) == 1:
            return others[0].times(factor)
        return Table({base: base * factor * prod(m.at(base) / base for m in others) if base else 0.0 for base in bases})

    def _own_active(self, t: int) -> dict[Reactive, int]:
        return {leaf: s for part in self.parts for leaf, s in part._active(t).items()}

    def _begin(self, run: RunLength, start: int = 0, end: int | None = None) -> dict[str, Any]:
        lengths = super()._begin(run, start, end)
        begin = start + lengths.get("warmup", self.warmup)
        lengths["parts"] = self._begin_parts(run, [(begin, end)] * len(self.parts))
        return lengths
