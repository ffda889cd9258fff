"""What the Trainer does not know and a checkpoint therefore keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .groups import LateGroup


@dataclass
class History:
    """Facts of the optimizers, not of a schedule: another one that takes over goes on with them."""

    updates: dict[int, int] = field(default_factory=dict)  # of each optimizer, in manual optimization
    skipped: int = 0  # updates that a GradScaler skipped
    late: dict[int, dict[int, LateGroup]] = field(default_factory=dict)  # by optimizer and group
    restart: tuple[int, float] | None = None  # t and base LR at which an LR finder began the schedule anew
    logged: int = -1  # the last x of the loggers

    def state(self) -> dict[str, Any]:
        late = {index: {i: tuple(group) for i, group in groups.items()} for index, groups in self.late.items()}
        return {**vars(self), "updates": dict(self.updates), "late": late}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> History:
        late = {index: {i: LateGroup(*group) for i, group in groups.items()} for index, groups in state["late"].items()}
        return cls(**{**state, "updates": dict(state["updates"]), "late": late})
