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
        self.lrs: list[float] = []
        self._look()

    def groups(self) -> list[Group]:
        groups: list[Group] = self.optimizer.param_groups
        return groups if self.selected is None else [groups[index] for index in self.selected]

    def _look(self) -> None:
        self.moment: Moment | None = None  # the last one written
        self.momentum: float | None = None
        self._list = self.optimizer.param_groups
        self._count = len(self._list)
        self._has_tensors = any(isinstance(group["lr"], Tensor) for group in self._list)
        self.distinct = set(self.base_lrs)

    @property
    def changed(self) -> bool:
        """Whether groups came, went or were replaced since the last look."""
        groups = self.optimizer.param_groups
        return groups is not self._list or len(groups) != self._count

    def restore(self, late: dict[int, LateGroup]) -> None:
        """Take the groups as they are before the first batch; ``late`` came during the run, in an earlier process."""
        self.t = None
        self._count_in()
        self.late = {index: group for index, group in late.items() if index < len(self.base_lrs)}
        self._look()

    def adopt(self, t: int, moment: Moment) -> None:
        """Take the groups as they are during the run: new ones came at ``t``, and keep their LR there."""
        share = self._share(moment) or 1.0  # an LR of 0 has no multiples
        for index in self._count_in():
            self.late[index] = LateGroup(self.base_lrs[index], t, share)
        self.late = {index: group for index, group in self.late.items() if index < len(self.base_lrs)}
        self._look()

    def _count_in(self) -> range:
        """Note the LR of groups that came, and forget those that went."""
        known = len(self.base_lrs)
        if self.selected is None:
            groups = self.optimizer.param_groups
            self.base_lrs = self.base_lrs[: len(groups)] + [float(group["lr"]) for group in groups[known:]]
        return range(known, len(self.base_lrs))

    def _share(self, moment: Moment) -> float:
        """The share of its base LR that a plain group trains at."""
        for index, base_lr in enumerate(self.base_lrs):
            if index not in self.late and base_lr > 0.0:
                return moment.at(base_lr) / base_lr
        return 1.0

    def write(self, t: int, moment: Moment) -> bool:
        """Put the LRs of ``t`` in force; False where they are in force already."""
        self.t = t
        if moment == self.moment:
            return False
        self.moment = moment
        self.lrs = moment.of(self.base_lrs)
        if self.late:
            share = self._share(moment)
            for index, late in self.late.items():
                self.lrs[index] = late.lr if t == late.t else late.lr * (share / late.share)
        self._assign(self.lrs)
        return True

    def write_momentum(self, value: float) -> None:
        if value == self.momentum:
            return
        self.momentum = value
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
        self._has_tensors = True  # look at each group before writing
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
