"""What a fit knows of a schedule: these names and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from lightning.pytorch import Trainer

from ..formula.curves import Moment
from ..formula.decisions import Decision
from ..formula.durations import Unit
from ..formula.memory import Reactive
from ..formula.timeline import Run
from .history import Record
from .ownership import Owner

Position = tuple[int, int]  # intervals made, and the place in the plan


class Leaf(Protocol):
    """A reactive schedule as it stands in a run."""

    clock: int

    @property
    def reactive(self) -> Reactive: ...


class Placed(Protocol):
    """A schedule with its durations in intervals, as it stands in a run."""

    def moment(self, position: Position, bases: set[float]) -> Moment: ...
    def momentum(self, position: Position) -> float: ...
    def leaves(self) -> Sequence[Leaf]: ...
    def active(self, position: Position) -> dict[Any, int]: ...
    def decays(self, position: Position) -> bool: ...
    def by_plan(self) -> bool: ...
    def notes(self, base: float) -> list[str]: ...
    def told(self, given: Any, end: Sequence[int] | None) -> list[str]: ...
    def corners(self, end: Sequence[int]) -> set[tuple[int, int]]: ...
    def lengths(self) -> dict[str, Any]: ...
    def values(self, positions: Iterable[Position], bases: list[float]) -> list[list[float]]: ...
    def moments(self, positions: Iterable[Position], bases: set[float]) -> Iterator[Moment]: ...


class Schedule(Owner, Protocol):
    """A schedule among the Trainer's callbacks."""

    log_lr: bool
    prog_bar: bool
    checkpoint_before_decay: bool
    journal: list[Decision]
    record: Record
    changes: dict[str, tuple[object, object]]
    restored: bool
    fit: Any

    @property
    def counts(self) -> Unit: ...
    @property
    def state_key(self) -> str: ...
    def reading(self, trainer: Trainer) -> int: ...
    def floor(self) -> tuple[str, float]: ...
    def reactive(self) -> list[Reactive]: ...
    def place(self, run: Run) -> Placed: ...
    def begin_anew(self) -> None: ...
