"""The parameter groups of one optimizer that a schedule drives: base values, groups that came late, tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor
from torch.optim import Optimizer

from .curves import Line, Table

Moment: TypeAlias = Line | Table
Group: TypeAlias = dict[str, Any]


def read(group: Group, hyperparameter: str) -> Any:
    """The group's value; "momentum" is the first of the betas where the optimizer has betas. None: it has none."""
    if hyperparameter == "momentum" and "betas" in group:
        return group["betas"][0]
    return group.get(hyperparameter)


def put(group: Group, hyperparameter: str, value: float) -> None:
    there = read(group, hyperparameter)
    if isinstance(there, Tensor):
        there.fill_(value)
    elif hyperparameter == "momentum" and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group[hyperparameter] = value


class Selection(NamedTuple):
    """Groups by index, by name or by a pattern of names such as ``"backbone*"``; None: all of them."""

    wanted: tuple[str | int, ...] | None

    def of(self, groups: list[Group]) -> list[int]:
        if self.wanted is None:
            return list(range(len(groups)))
        return [i for i, group in enumerate(groups) if any(matches(wanted, i, group) for wanted in self.wanted)]


def matches(wanted: str | int, index: int, group: Group) -> bool:
    if isinstance(wanted, int):
        return wanted == index
    name = str(group.get("name", ""))
    return name == wanted or fnmatchcase(name, wanted)


def _identity(index: int, group: Group) -> int:
    """What a group is known by: its first parameter, which stays the same object when groups move or are replaced."""
    return id(group["params"][0]) if group["params"] else index


class LateGroup(NamedTuple):
    """A group added during the run: the value it came with, when, and the share of its base in force just then."""

    value: float
    t: int
    share: float


class DrivenGroups:
    """The groups of one optimizer of which one schedule writes a hyperparameter.

    Holds no group: ``Optimizer.load_state_dict`` replaces them all.
    """

    def __init__(self, index: int, optimizer: Optimizer, selection: Selection, hyperparameter: str = "lr") -> None:
        self.index = index
        self.optimizer = optimizer
        self.hyperparameter = hyperparameter
        self.late: dict[int, LateGroup] = {}
        self.t: int | None = None
        self.steps_begun = 0  # of the optimizer, and not ended
        self.values: list[float] = []
        self.selection = selection
        self.members: list[int] = []
        self.bases: list[float] = []
        self._identities: list[int] = []
        self._count_in()
        self._look()

    def groups(self) -> list[Group]:
        groups: list[Group] = self.optimizer.param_groups
        return groups if len(self.members) == len(groups) else [groups[index] for index in self.members]

    def _look(self) -> None:
        self.moment: Moment | None = None  # the last one written
        self.momentum: float | None = None
        self._pinned = False  # whether a late group is in its first interval
        self._list = self.optimizer.param_groups
        self._count = len(self._list)
        self._whole = len(self.members) == self._count
        self._plain = self.hyperparameter in self._list[0] and not any(
            isinstance(read(group, self.hyperparameter), Tensor) for group in self._list
        )
        self.distinct = {*self.bases, self._reference(self.late)}

    @property
    def base_range(self) -> tuple[float, float]:
        """The lowest and the highest base value of the plain groups."""
        plain = [base for index, base in zip(self.members, self.bases, strict=True) if index not in self.late]
        return min(plain, default=0.0), max(plain, default=0.0)

    @property
    def changed(self) -> bool:
        """Whether groups came, went or were replaced since the last look."""
        groups = self.optimizer.param_groups
        return groups is not self._list or len(groups) != self._count

    def restore(self, late: dict[int, LateGroup]) -> None:
        """Take the groups as they are before the first batch; ``late`` came during the run, in an earlier process."""
        self.t = None
        self._count_in()
        self.late = {index: group for index, group in late.items() if index in self.members}
        self._look()

    def hold(self) -> None:
        """Leave the values as the checkpoint has put them."""
        self.values = [float(read(group, self.hyperparameter)) for group in self.groups()]

    def adopt(self, t: int, moment_of: Callable[[set[float]], Moment]) -> None:
        """Take the groups as they are during the run: new ones came at ``t``, and keep their value there."""
        new = self._count_in()
        reference = self._reference(new.keys() | self.late.keys())
        share = moment_of({reference}).at(reference) / reference or 1.0  # 0 has no multiples
        self.late |= {index: LateGroup(base, t, share) for index, base in new.items()}
        self._look()

    def _count_in(self) -> dict[int, float]:
        """Note the values of groups that came, and forget those that went."""
        groups: list[Group] = self.optimizer.param_groups
        known = dict(zip(self._identities, self.bases, strict=True))
        before = dict(zip(self._identities, self.members, strict=True))
        self.members = self.selection.of(groups)
        self._identities = [_identity(index, groups[index]) for index in self.members]
        places = dict(zip(self._identities, self.members, strict=True))
        new = {places[i]: float(read(groups[places[i]], self.hyperparameter)) for i in places if i not in known}
        self.bases = [known[i] if i in known else new[index] for i, index in places.items()]
        self.late = {places[i]: self.late[index] for i, index in before.items() if index in self.late and i in places}
        return new

    def _reference(self, late: Iterable[int]) -> float:
        """The base value whose curve late groups follow: that of a plain group, where there is one."""
        positive = {i: base for i, base in zip(self.members, self.bases, strict=True) if base > 0.0}
        plain = [base for i, base in positive.items() if i not in set(late)]
        return next(iter([*plain, *positive.values()]), 1.0)

    def write(self, t: int, moment: Moment) -> bool:
        """Put the values of ``t`` in force; False where they are in force already."""
        self.t = t
        pinned = bool(self.late) and any(t == late.t for late in self.late.values())
        if moment == self.moment and pinned == self._pinned:
            return False
        self.moment, self._pinned = moment, pinned
        self.values = self.values_at(t, moment)
        self._assign()
        return True

    def values_at(self, t: int, moment: Moment) -> list[float]:
        values = moment.of(self.bases)
        if self.late:
            reference = self._reference(self.late)
            share = moment.at(reference) / reference
            for index, late in self.late.items():
                value = late.value if t == late.t else late.value * (share / late.share)
                values[self.members.index(index)] = value
        return values

    def in_force(self, place: int) -> float:
        """What the coming update finds, an edit by other code included; tensors are not read back."""
        index = self.members[place]
        there = read(self.optimizer.param_groups[index], self.hyperparameter)
        return self.values[place] if isinstance(there, Tensor) else float(there)

    def write_momentum(self, value: float) -> None:
        if value != self.momentum:
            self.momentum = value
            for group in self.groups():
                put(group, "momentum", value)

    def rewrite(self) -> bool:
        """Put back values that other code has edited; tensors are not read back."""
        found = [read(group, self.hyperparameter) for group in self.groups()]
        if all(isinstance(there, Tensor) or there == value for there, value in zip(found, self.values, strict=True)):
            return False
        self._plain = False  # look at each group before writing
        self._assign()
        return True

    def _assign(self) -> None:
        key = self.hyperparameter
        if self._plain:
            groups = self._list if self._whole else self.groups()
            for group, value in zip(groups, self.values):  # noqa: B905 (strict costs as much as one group)
                group[key] = value
            return
        written = set()
        for group, value in zip(self.groups(), self.values, strict=True):
            there = read(group, key)
            if not (isinstance(there, Tensor) and id(there) in written):  # two groups may share one tensor
                written.add(id(there))
                put(group, key, value)
