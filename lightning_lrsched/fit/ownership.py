"""Whose values: the optimizers and groups that schedules name, and the refusal of a second owner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Protocol

from torch import Tensor
from torch.optim import Optimizer

from ..formula.checks import is_number
from ..formula.decisions import title
from .groups import DrivenGroups, Selection, matches
from .messages import refusal, warn
from .numbers import Group, names, read, where


class Owner(Protocol):
    """What a schedule says of whose values it writes."""

    optimizer: int | str | None
    param_groups: tuple[str | int, ...] | None
    momentum: tuple[float, float] | None
    replace_scheduler: bool

    @property
    def numbers(self) -> tuple[str, ...]: ...


Claim = dict[int, Selection]  # by optimizer
Taken = dict[int, list[int]]  # the groups, by optimizer


def hyperparameters(owner: Owner) -> tuple[str, ...]:
    return owner.numbers if owner.momentum is None else (*owner.numbers, "momentum")


# ---- questions


def _named(owner: Owner, optimizers: list[Optimizer]) -> list[int]:
    """The indices that ``optimizer`` names."""
    wanted = owner.optimizer
    return [i for i, optimizer in enumerate(optimizers) if wanted is None or wanted in (i, type(optimizer).__name__)]


def select(owner: Owner, optimizers: list[Optimizer]) -> Claim:
    """The optimizers that have groups of the owner's, or may get some."""
    selection, indices = Selection(owner.param_groups), _named(owner, optimizers)
    if any(_is_pattern(group) for group in owner.param_groups or ()):
        return dict.fromkeys(indices, selection)  # a group that fits may come to any of them
    return {i: selection for i in indices if selection.of(optimizers[i].param_groups)}


def _is_pattern(group: str | int) -> bool:
    return isinstance(group, str) and bool(set(group) & set("*?["))


def _is_number(value: object) -> bool:
    if type(value) is float:  # as nearly all are
        return True
    return value.numel() == 1 if isinstance(value, Tensor) else is_number(value)


def unclaimed(optimizers: list[Optimizer], taken: Iterable[tuple[Owner, Taken]]) -> list[str]:
    """The groups that no schedule of the LR drives, where there is one."""
    of_lr = [groups for owner, groups in taken if "lr" in owner.numbers]
    free: list[str] = []
    for index, optimizer in enumerate(optimizers) if of_lr else ():
        driven = {i for groups in of_lr for i in groups.get(index, ())}
        for i, group in enumerate(optimizer.param_groups):
            if i not in driven:
                name = f" ({group['name']!r})" if "name" in group else ""
                free.append(f"optimizer {index} ({type(optimizer).__name__}) group {i}{name}")
    return free


# ---- refusals


def claim(owners: Sequence[Owner], optimizers: list[Optimizer]) -> list[Claim]:
    """What each of the schedules of a fit drives, refused where it is not its own or not there."""
    if not any(optimizer.param_groups for optimizer in optimizers):
        raise refusal(owners[0], "there is no optimizer to schedule: configure_optimizers returned none.")
    for owner in owners:
        _refuse_unknown(owner, optimizers)
    claims = [select(owner, optimizers) for owner in owners]
    taken = [{i: wanted.of(optimizers[i].param_groups) for i, wanted in claimed.items()} for claimed in claims]
    refuse_shared(list(zip(owners, taken, strict=True)), optimizers)
    for owner, claimed in zip(owners, claims, strict=True):
        for index, selection in claimed.items():
            groups: list[Group] = optimizers[index].param_groups
            refuse_missing(owner, optimizers[index], [groups[i] for i in selection.of(groups)])
    return claims


def _refuse_unknown(owner: Owner, optimizers: list[Optimizer]) -> None:
    indices = _named(owner, optimizers)
    if owner.optimizer is not None and len(indices) != 1:
        there = ", ".join(f"{i} ({type(optimizer).__name__})" for i, optimizer in enumerate(optimizers))
        problem = "fits several optimizers" if indices else "does not exist"
        way_out = " Pass its index." if indices else ""
        raise refusal(owner, f"optimizer {owner.optimizer!r} {problem}. There are: {there}.{way_out}")
    for wanted in owner.param_groups or ():
        if not any(matches(wanted, i, g) for index in indices for i, g in enumerate(optimizers[index].param_groups)):
            there = "; ".join(_groups_of(index, optimizers[index]) for index in indices)
            if not _is_pattern(wanted):
                raise refusal(owner, f"parameter group {wanted!r} does not exist. There are: {there}.")
            warn(
                owner,
                f"no parameter group fits {wanted!r} yet, so that nothing is scheduled until"
                f" one does. There are: {there}.",
            )


def _groups_of(index: int, optimizer: Optimizer) -> str:
    names = [f"{i} ({g['name']!r})" if "name" in g else str(i) for i, g in enumerate(optimizer.param_groups)]
    return f"in optimizer {index} ({type(optimizer).__name__}) {', '.join(names)}"


def refuse_shared(taken: Sequence[tuple[Owner, Taken]], optimizers: list[Optimizer]) -> None:
    for (owner, mine), (other, theirs) in combinations(taken, 2):
        for key, also in product(hyperparameters(owner), hyperparameters(other)):
            for index in sorted(mine.keys() & theirs.keys()):
                groups = optimizers[index].param_groups
                both = sorted(set(mine[index]) & set(theirs[index]))
                if shared := [i for i in both if where(groups[i], key) == where(groups[i], also)]:
                    raise refusal(
                        owner,
                        f"{owner!r} and {other!r} both schedule the {title(key)} of optimizer {index}"
                        f" ({type(optimizers[index]).__name__}), parameter group {shared[0]}. Remove one, or tell them"
                        " apart by 'optimizer' or 'param_groups'.",
                    )


def refuse_missing(owner: Owner, optimizer: Optimizer, groups: list[Group]) -> None:
    kind = type(optimizer).__name__
    for key, also in combinations(hyperparameters(owner), 2):
        if any(where(group, key) == where(group, also) for group in groups):
            raise refusal(owner, f"{key!r} and {also!r} are the same number of {kind}. Name it once.")
    for key in hyperparameters(owner):
        for group in groups:
            if not _is_number(read(group, key)):
                has = sorted(name for name in names(group) if name != "initial_lr" and _is_number(read(group, name)))
                raise refusal(owner, f"{kind} has no number {key!r} to schedule. It has: {', '.join(has)}.")
            scale = group.get("lr_scale", 1.0)
            if key == "lr" and not (_is_number(scale) and 0.0 <= float(scale) < math.inf):
                raise refusal(owner, f"'lr_scale' of a group of {kind} must be a number >= 0, got {scale!r}.")


def refuse_high_floor(owner: Owner, argument: str, floor: float, driven: list[DrivenGroups]) -> None:
    for groups in driven if argument else ():
        for member, group in zip(groups.members, groups.groups(), strict=True):
            if member.base < floor:
                kind, name = type(groups.optimizer).__name__, group.get("name", f"pg{member.index + 1}")
                raise refusal(
                    owner,
                    f"'{argument}' must not lie above the base {title(groups.hyperparameter)} of a parameter group, got"
                    f" {floor!r}, but {kind} ({name}) has {member.base!r}. Lower it, or leave the group out by"
                    " 'param_groups'.",
                )


def refuse_shared_memory(memories: Iterable[tuple[object, object]]) -> None:
    """``memories`` are a schedule of the Trainer and a reactive one in it, each."""
    owners: dict[int, object] = {}
    for owner, reactive in memories:
        if owners.setdefault(id(reactive), owner) is not owner:
            raise refusal(
                reactive,
                f"one instance stands in {owners[id(reactive)]!r} and in {owner!r}, and has one memory only. Make one"
                " for each.",
            )
