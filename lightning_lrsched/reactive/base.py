"""What a schedule with a memory says to the callback that asks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from ..journal import Reaction

Watched = Literal["loss", "grad_norm"]


class Reactive(ABC):
    """A schedule that changes its curve by what it sees; its ``line`` is pure in ``t`` and its memory."""

    #: a logged metric, judged whenever it is new
    monitor: str | None = None
    check_on_train_epoch_end: bool = False
    #: a value of each single update, judged before the update is made
    watch: Watched | None = None
    #: whether the schedule ends the fit, or begins something, when its time has come
    tells_time: ClassVar[bool] = False
    #: whether the weights of the best check come back at a decision
    restore_best: bool = False
    #: those weights, with the optimizers' state
    kept: dict[str, Any] | None = None
    #: whether they are due back when the accumulation window of now has closed
    restore_due: bool = False
    #: a value of the metric that waits for the end of its epoch
    noted: float | None = None
    #: whether the metric is one that validations log
    from_validation: bool = False
    #: the attributes that a checkpoint keeps
    remembered: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def begin_anew(self) -> None:
        """Empty the memory."""

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps, in primitives and tensors."""
        memory = {name: getattr(self, name) for name in self.remembered}
        return memory | {"kept": self.kept, "restore_due": self.restore_due} if self.restore_best else memory

    def remember(self, memory: dict[str, Any]) -> None:
        """Take back what ``memory`` gave, as far as it is still wanted."""
        for name in self.memory().keys() & memory.keys():
            setattr(self, name, memory[name])

    @abstractmethod
    def react(self, value: float, t: int, bases: set[float]) -> Reaction | None:
        """Judge a new value at the schedule's own ``t``; ``bases`` are the base values that it drives."""

    def tick(self, t: int, left: Callable[[], float | None]) -> Reaction | None:
        """Judge the time before interval ``t``; ``left()`` is how many more ``max_time`` allows, as far as known."""
        return None
