"""What the Trainer does not know and a checkpoint therefore keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .groups import LateGroup


@dataclass
class History:
    """Counts of the optimizers' updates, which any schedule may go on with, and what one schedule did to its groups."""

    updates: dict[int, int] = field(default_factory=dict)  # of each optimizer, in manual optimization
    skipped: int = 0  # updates that a GradScaler skipped
    late: dict[int, dict[int, LateGroup]] = field(default_factory=dict)  # by optimizer and group
    restart: tuple[int, int, float] | None = None  # epoch, step and base LR at which an LR finder began it anew
    logged: int = -1  # the last x of the loggers
    timed_from: tuple[int, float] | None = None  # t and seconds of the Trainer's Timer from which the pace is measured
    window_open: bool = False  # whether the last batch was inside an accumulation window, whose LR stays

    def state(self) -> dict[str, Any]:
        late = {index: {i: tuple(group) for i, group in groups.items()} for index, groups in self.late.items()}
        return {**vars(self), "updates": dict(self.updates), "late": late}

    def take_over(self, other: History, same: bool) -> None:
        """Go on where another schedule trained; ``same`` says whether it was of the same hyperparameter."""
        self.updates |= other.updates
        self.skipped = max(self.skipped, other.skipped)
        self.logged = max(self.logged, other.logged)
        if same:
            self.restart = other.restart or self.restart
            for index, groups in other.late.items():
                self.late.setdefault(index, {}).update(groups)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> History:
        late = {index: {i: LateGroup(*group) for i, group in groups.items()} for index, groups in state["late"].items()}
        return cls(**{**state, "updates": dict(state["updates"]), "late": late})
