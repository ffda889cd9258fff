"""The parameter groups of one optimizer that a schedule drives: base values, groups that came late, tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import Tensor
from torch.optim import Optimizer

from ..formula.curves import Moment, value_of, values_of
from .numbers import Group, is_plain, put, read


def base_value(group: Group, hyperparameter: str) -> float:
    """What ``configure_optimizers`` gave the group; an LR times ``lr_scale``, the key of timm's layer-wise decay."""
    value = float(read(group, hyperparameter))
    return value * float(group.get("lr_scale", 1.0)) if hyperparameter == "lr" else value


def matches(wanted: str | int, index: int, group: Group) -> bool:
    if isinstance(wanted, int):
        return wanted == index
    name = str(group.get("name", ""))
    return name == wanted or fnmatchcase(name, wanted)


class Selection:
    """Groups by index, by name or by a pattern of names such as ``"backbone*"``; None: all of them."""

    def __init__(self, wanted: tuple[str | int, ...] | None) -> None:
        self.wanted = wanted

    def of(self, groups: list[Group]) -> list[int]:
        if self.wanted is None:
            return list(range(len(groups)))
        return [i for i, group in enumerate(groups) if any(matches(wanted, i, group) for wanted in self.wanted)]

    def of_new(self, groups: list[Group]) -> list[int]:
        """As far as names tell: an index means the groups that there were in the beginning."""
        names = None if self.wanted is None else tuple(one for one in self.wanted if isinstance(one, str))
        return Selection(names).of(groups)


AHEAD_IN_ALL = 2**15  # values that are worked out at once at most


class LateGroup(NamedTuple):
    """A group added during the run: the value it came with, when, and the share of its base in force just then."""

    value: float
    t: int
    share: float
    others: tuple[tuple[str, float], ...] = ()  # names and values of the numbers that keep in proportion


@dataclass(eq=False, repr=False)
class Member:
    """One driven group. What it is known by is its first parameter, which stays when groups move or are replaced."""

    index: int
    identity: int
    base: float
    others: dict[str, float]  # base values of the numbers that keep in proportion
    late: LateGroup | None = None


class DrivenGroups:
    """The groups of one optimizer of which one schedule writes a number, and with it ``others`` in proportion.

    ``Optimizer.load_state_dict`` replaces them all, and the list that they stand in.
    """

    def __init__(
        self, index: int, optimizer: Optimizer, selection: Selection, hyperparameter: str = "lr", *others: str
    ) -> None:
        self.index = index
        self.optimizer = optimizer
        self.hyperparameter = hyperparameter
        self.others = others
        self.selection = selection
        self.steps_begun = 0  # of the optimizer, and not ended
        self.members: list[Member] = []
        self._strangers: set[int] = set()
        self._count_in(selection.of(self._all()))
        # a checkpoint brings its own names along: what was not named at first is not ours later
        self._strangers = self._identities().keys() - {member.identity for member in self.members}
        self._look()

    def _all(self) -> list[Group]:
        groups: list[Group] = self.optimizer.param_groups
        return groups

    def groups(self) -> list[Group]:
        groups = self._all()
        return groups if len(self.members) == len(groups) else [groups[member.index] for member in self.members]

    def _look(self) -> None:
        """Note what follows from the members and their groups as they are now."""
        self.values: list[float] = []  # in force
        self._foreseen: tuple[Moment | None, list[float]] = None, []  # the last moment, and its values
        self.made: int | None = None  # the interval whose values are in force
        self.coming: dict[int, list[float]] = {}  # by interval, as far as they were worked out
        self.beside: dict[str, list[float]] = {}  # what was put of the others, and of a momentum of its own
        self.known, self._driven = self._all(), [*self.groups()]
        self.count, self.last = len(self.known), self.known[-1] if self.known else None
        self._plain = all(is_plain(group, self.hyperparameter) for group in self._driven)
        self._late = [(place, member.late) for place, member in enumerate(self.members) if member.late is not None]
        self._reference = self._base_that_leads(member for member in self.members if member.late is None)
        self.bases = [member.base for member in self.members]
        self.distinct = {*self.bases, self._reference}

    @property
    def base_range(self) -> tuple[float, float]:
        """The lowest and the highest base value of the groups that were there from the beginning."""
        plain = [member.base for member in self.members if member.late is None]
        return min(plain, default=0.0), max(plain, default=0.0)

    @property
    def late(self) -> dict[int, LateGroup]:
        return {member.index: member.late for member in self.members if member.late is not None}

    @property
    def changed(self) -> bool:
        """Whether groups came, went or were replaced since the last look."""
        groups, count = self.optimizer.param_groups, self.count
        return groups is not self.known or len(groups) != count or bool(count and groups[-1] is not self.last)

    def restore(self, late: dict[int, LateGroup]) -> None:
        """Take the groups as they are before the first batch; ``late`` came during the run, in an earlier process."""
        self._count_in(self.selection.of(self._all()))
        for member in self.members:
            member.late = late.get(member.index)
            came = {} if member.late is None else dict(member.late.others)
            member.others |= {number: came[number] for number in self.others if number in came}
        self._look()

    def begin_anew(self, lr: float) -> None:
        """All groups begin with the base LR that a search has found."""
        for member, group in zip(self.members, self.groups(), strict=True):
            base = lr * float(group.get("lr_scale", 1.0))
            if self.hyperparameter == "lr":
                member.base = base
            else:
                member.others["lr"] = base
        self.restore({})

    def hold(self) -> None:
        """Leave the values as the checkpoint has put them."""
        self.values = [float(read(group, self.hyperparameter)) for group in self.groups()]
        self.beside = {name: [float(read(group, name)) for group in self.groups()] for name in self.others}

    def adopt(self, t: int, moment_of: Callable[[set[float]], Moment]) -> None:
        """Take the groups as they are during the run: new ones came at ``t``, and keep their value there."""
        before = {member.identity for member in self.members}
        self._count_in(self.selection.of_new(self._all()))
        new = [member for member in self.members if member.identity not in before]
        plain = [member for member in self.members if member.identity in before and member.late is None]
        reference = self._base_that_leads(plain)
        share = value_of(moment_of({reference}), reference) / reference or 1.0  # 0 has no multiples
        groups = self._all()
        for member in new:  # just as it came, with no lr_scale
            member.base = float(read(groups[member.index], self.hyperparameter))
            member.others = {number: float(read(groups[member.index], number)) for number in self.others}
            member.late = LateGroup(member.base, t, share, tuple(member.others.items()))
        self._look()

    def _identities(self) -> dict[int, int]:
        """What each group is known by, and its index."""
        return {id(g["params"][0]) if g["params"] else -1 - i: i for i, g in enumerate(self._all())}

    def _count_in(self, fitting: list[int]) -> None:
        """Add the groups that fit, keep those that are known, and forget those that went."""
        groups, known = self._all(), {member.identity: member for member in self.members}
        self.members = []
        for identity, index in self._identities().items():
            if (member := known.get(identity)) is not None:
                member.index = index
                self.members.append(member)
            elif index in fitting and identity not in self._strangers:
                group = groups[index]
                others = {number: base_value(group, number) for number in self.others}
                self.members.append(Member(index, identity, base_value(group, self.hyperparameter), others))

    def _base_that_leads(self, plain: Iterable[Member]) -> float:
        """The base value whose curve late groups follow: that of a plain group, where there is one."""
        return next((member.base for member in [*plain, *self.members] if member.base > 0.0), 1.0)

    def forget(self) -> None:
        """What was worked out may be otherwise now."""
        self.made, self.coming = None, {}

    def foresee(self, t: int, moments: Iterable[Moment]) -> None:
        """Work out the values of the intervals from ``t`` on; where nothing changes, they are the same list."""
        (last, values), room = self._foreseen, AHEAD_IN_ALL
        self.coming = coming = {}
        try:
            for ahead, moment in enumerate(moments, t):
                if moment != last or self._late:
                    last, values = moment, self.values_at(ahead, moment)
                    room -= len(values)
                coming[ahead] = values
                if room < 0:
                    break
        except Exception:  # of a formula that has no value where the run may never come
            if not coming:
                raise
        self._foreseen = last, values

    def put(self, t: int) -> bool | None:
        """Put the values of interval ``t`` in force, and say whether that changed any.

        None: they are not worked out, or all groups were replaced. One that has come or gone can wait until the batch
        has ended, for it keeps its value that long.
        """
        values = self.coming.get(t)
        if values is None or self.optimizer.param_groups is not self.known:
            return None
        self.made = t
        if values is self.values:
            return False
        self.values = values
        if self._plain:
            name = self.hyperparameter
            for group, value in zip(self._driven, values):  # noqa: B905 (strict costs as much as one group)
                group[name] = value
        else:
            self._assign(self.hyperparameter)
        for number in self.others:
            self.write_beside(number, [self.number_at(number, place, lr) for place, lr in enumerate(values)])
        return True

    def values_at(self, t: int, moment: Moment) -> list[float]:
        found = values_of(moment, self.bases)
        for place, _ in self._late:
            found[place] = self.value_at(place, t, moment)
        return found

    def value_at(self, place: int, t: int, moment: Moment) -> float:
        late = self.members[place].late
        if late is None:
            return value_of(moment, self.bases[place])
        share = value_of(moment, self._reference) / self._reference
        return late.value if t == late.t else late.value * (share / late.share)

    def number_at(self, number: str, place: int, value: float) -> float:
        """A number of a group in which the one that leads is ``value``; beside a base of 0 it stays as it is."""
        if number == self.hyperparameter:
            return value
        member = self.members[place]
        base = member.base if member.late is None else member.late.value
        return member.others[number] * (value / base if base else 1.0)

    def bases_at(self, places: Iterable[int]) -> set[float]:
        """The base values that ``value_at`` needs for these places."""
        return {self.bases[place] for place in places} | {self._reference}

    def in_force(self, place: int, number: str) -> float:
        """What the coming update finds, an edit by other code included; tensors are not read back."""
        there, values = read(self._driven[place], number), self._put(number)
        return values[place] if isinstance(there, Tensor) and values else float(there)

    def _put(self, number: str) -> list[float]:
        """The values of one number that were put into the groups, if any were."""
        return self.values if number == self.hyperparameter else self.beside.get(number, [])

    def write_beside(self, name: str, values: list[float]) -> None:
        if values != self.beside.get(name):
            self.beside[name] = values
            self._assign(name)

    def rewrite(self) -> list[str]:
        """Put back the numbers that other code has edited; tensors are not read back."""
        edited = [name for name in (self.hyperparameter, *self.beside) if self._is_edited(name)]
        for name in edited:
            self._assign(name)
        self._plain &= not edited  # look at each group before writing
        return edited

    def _is_edited(self, name: str) -> bool:
        found = zip((read(group, name) for group in self.groups()), self._put(name), strict=True)
        return not all(isinstance(there, Tensor) or there == value for there, value in found)

    def _assign(self, name: str) -> None:
        written = set()
        for group, value in zip(self.groups(), self._put(name), strict=True):
            there = read(group, name)
            if not (isinstance(there, Tensor) and id(there) in written):  # two groups may share one tensor
                written.add(id(there))
                put(group, name, value)
