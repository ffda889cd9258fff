"""The parameter groups of one optimizer that a schedule drives: base LRs, groups that came late, floats and tensors."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from torch import Tensor
from torch.optim import Optimizer

from .curves import Line, Table

Moment: TypeAlias = Line | Table
Group: TypeAlias = dict[str, Any]


class LateGroup(NamedTuple):
    """A group added during the run: the LR it came with, when, and the share of the base LR in force just then."""

    lr: float
    t: int
    share: float


class DrivenGroups:
    """The groups of one optimizer whose LR one schedule writes.

    Holds no group: ``Optimizer.load_state_dict`` replaces them all.
    """

    def __init__(
        self, index: int, optimizer: Optimizer, selected: tuple[int, ...] | None, scheduler_taken_off: bool
    ) -> None:
        self.index = index
        self.optimizer = optimizer
        self.selected = selected
        self.late: dict[int, LateGroup] = {}
        # a torch scheduler leaves the LR that was configured as "initial_lr"
        configured = "initial_lr" if scheduler_taken_off else "lr"
        self.base_lrs = [float(group[configured]) for group in self.groups()]
        self.t: int | None = None
        self.moment: Moment | None = None
        self.lrs: list[float] = []
        self._look()

    def groups(self) -> list[Group]:
        groups: list[Group] = self.optimizer.param_groups
        return groups if self.selected is None else [groups[index] for index in self.selected]

    def _look(self) -> None:
        self._list = self.optimizer.param_groups
        self._count = len(self._list)
        self._has_tensors = any(isinstance(group["lr"], Tensor) for group in self._list)
        self.distinct = set(self.base_lrs)

    @property
    def changed(self) -> bool:
        """Whether groups came, went or were replaced since the last look."""
        groups = self.optimizer.param_groups
        return groups is not self._list or len(groups) != self._count

    def adopt(self, t: int, late: dict[int, LateGroup] | None = None) -> None:
        """Take the groups as they are now; those beyond the known ones came at ``t`` and keep their LR there.

        Before the first batch ``late`` says which came late in an earlier process; the others are plain groups.
        """
        if self.selected is None:
            del self.base_lrs[len(self.optimizer.param_groups) :]
            self.late = {index: group for index, group in self.late.items() if index < len(self.base_lrs)}
            for index, group in list(enumerate(self.optimizer.param_groups))[len(self.base_lrs) :]:
                lr = float(group["lr"])
                self.base_lrs.append(lr)
                if late is None:
                    self.late[index] = LateGroup(lr, t, self._share() or 1.0)  # an LR of 0 has no multiples
                elif index in late:
                    self.late[index] = late[index]
        self.moment = None
        self._look()

    def _share(self) -> float:
        """The share of its base LR that a plain group trains at."""
        for index, (lr, base_lr) in enumerate(zip(self.lrs, self.base_lrs, strict=False)):
            if index not in self.late and base_lr > 0.0:
                return lr / base_lr
        return 1.0

    def write(self, t: int, moment: Moment) -> bool:
        """Put the LRs of ``t`` in force; False where they are in force already."""
        self.t = t
        if moment == self.moment:
            return False
        self.moment = moment
        self.lrs = moment.of(self.base_lrs)
        if self.late:
            share = self._share()
            for index, late in self.late.items():
                self.lrs[index] = late.lr if t == late.t else late.lr * (share / late.share)
        self._assign(self.lrs)
        return True

    def write_momentum(self, value: float) -> None:
        for group in self.groups():
            if "betas" in group:
                group["betas"] = (value, *group["betas"][1:])
            else:
                group["momentum"] = value

    def rewrite(self) -> bool:
        """Put back LRs that other code has edited; tensors are not read back."""
        found = [group["lr"] for group in self.groups()]
        if all(isinstance(there, Tensor) or there == lr for there, lr in zip(found, self.lrs, strict=True)):
            return False
        self._look()
        self._assign(self.lrs)
        return True

    def _assign(self, lrs: list[float]) -> None:
        if not self._has_tensors:
            for group, lr in zip(self.groups(), lrs, strict=True):
                group["lr"] = lr
            return
        written = set()
        for group, lr in zip(self.groups(), lrs, strict=True):
            target = group["lr"]
            if not isinstance(target, Tensor):
                group["lr"] = lr
            elif id(target) not in written:  # two groups may share one tensor
                written.add(id(target))
                target.fill_(lr)
