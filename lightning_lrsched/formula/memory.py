"""What a schedule with a memory remembers, and what it says to the fit that asks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, SupportsFloat

from .decisions import Reaction

Watched = Literal["loss", "grad_norm"]


@dataclass(eq=False, repr=False)
class Memory:
    """All that a checkpoint keeps of one reactive schedule, in primitives and tensors."""

    #: whether the metric has ever had a value
    seen: bool = False
    #: a value of the metric that waits for its judgement
    waiting: float | None = None
    #: what was watched in the last update, where it is judged one update late
    late: SupportsFloat | None = None
    #: whether the metric is one that validations log
    from_validation: bool = False
    #: the weights and the optimizers' state of the best check
    kept: dict[str, Any] | None = None
    #: whether they are due back when the accumulation window of now has closed
    restore_due: bool = False

    def state(self) -> dict[str, Any]:
        return vars(self) | {"late": None if self.late is None else float(self.late)}


class Reactive(ABC):
    """A schedule that changes its curve by what it sees; its formula is pure in ``t`` and its memory."""

    #: a logged metric, judged whenever it is new
    monitor: str | None = None
    check_on_train_epoch_end: bool = False
    #: a value of each single update, judged before the update is made
    watch: Watched | None = None
    #: whether that is judged one update late
    lag: bool = False
    #: whether the schedule ends the fit, or begins something, when its time has come
    tells_time: ClassVar[bool] = False
    #: whether the weights of the best check come back at a decision
    restore_best: bool = False
    #: the arguments that give the memory its meaning: under others it begins anew
    meaning: ClassVar[tuple[str, ...]] = ()
    #: the fields of the memory that are a ``t``
    places: ClassVar[tuple[str, ...]] = ()

    memory_type: ClassVar[type[Memory]]
    memory: Memory

    def forget(self) -> None:
        """Empty the memory, which stays the same object: copies that stand in a run share it."""
        self._set(type(self.memory)())

    def remembered(self, unit: str) -> dict[str, Any]:
        """What a checkpoint keeps: the memory, and what it means."""
        memory = {k: v for k, v in self.memory.state().items() if k != "kept" or self.restore_best}
        return {"kind": type(self).__name__, "meaning": self._meaning(unit), "memory": memory}

    def other_meaning(self, remembered: dict[str, Any], unit: str) -> dict[str, tuple[object, object]]:
        """The arguments that gave another memory another meaning, then and now."""
        then, now = remembered["meaning"], self._meaning(unit)
        return {name: (then.get(name), now[name]) for name in now if then.get(name) != now[name]}

    def remember(self, remembered: dict[str, Any]) -> None:
        """Take back a memory."""
        known = {k: v for k, v in remembered["memory"].items() if k != "kept" or self.restore_best}
        self._set(type(self.memory)(**known))

    def _set(self, memory: Memory) -> None:
        vars(self.memory).update(vars(memory))

    def _meaning(self, unit: str) -> dict[str, Any]:
        """``unit`` is what the schedule counts, or its whole."""
        return {"interval": unit} | {name: getattr(self, name) for name in self.meaning}

    def move(self, ratio: float) -> None:
        """The pace has changed: a place in the curve is now ``ratio`` times as far from its start."""
        for name in self.places:
            if (place := getattr(self.memory, name)) is not None:
                setattr(self.memory, name, round(place * ratio))

    @abstractmethod
    def react(self, value: float, t: int, bases: set[float]) -> Reaction | None:
        """Judge a new value at the schedule's own ``t``; ``bases`` are the base values that it drives."""

    def tick(self, t: int, left: Callable[[], float | None]) -> Reaction | None:
        """Judge the time before interval ``t``; ``left()`` is how many more ``max_time`` allows, as far as known."""
        return None
