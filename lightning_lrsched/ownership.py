"""Whose LR: the optimizers and groups that a schedule names, and the refusal of a second owner."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, cast

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from .groups import DrivenGroups, Group, Selection, matches, put, read


class Owner(Protocol):
    """What a schedule says of whose values it writes."""

    optimizer: int | str | None
    param_groups: tuple[str | int, ...] | None
    hyperparameter: str
    momentum: tuple[float, float] | None
    replace_scheduler: bool


def refusal(owner: object, message: str) -> MisconfigurationException:
    return MisconfigurationException(f"{type(owner).__name__}: {message}")


def hyperparameters(owner: Owner) -> set[str]:
    return {owner.hyperparameter} | ({"momentum"} if owner.momentum is not None else set())


def claim(owner: Owner, trainer: Trainer, others: Iterable[Owner]) -> list[DrivenGroups]:
    """The groups that ``owner`` drives in this fit, refused where they are not its own or not there."""
    optimizers = trainer.optimizers
    mine = _select(owner, optimizers)
    for other in others:
        refuse_shared(owner, other, mine, _select(other, optimizers), optimizers)
    for index, selection in mine.items():
        groups: list[Group] = optimizers[index].param_groups
        _refuse_missing(owner, optimizers[index], [groups[i] for i in selection.of(groups)])
    if "lr" in hyperparameters(owner):
        _take_off(owner, trainer, [optimizers[index] for index in mine])
    key = owner.hyperparameter
    return [DrivenGroups(index, optimizers[index], selection, key) for index, selection in mine.items()]


def _select(owner: Owner, optimizers: list[Optimizer]) -> dict[int, Selection]:
    if not any(optimizer.param_groups for optimizer in optimizers):
        raise refusal(owner, "there is no optimizer to schedule: configure_optimizers returned none.")
    kinds = [type(optimizer).__name__ for optimizer in optimizers]
    wanted = owner.optimizer
    indices = [i for i, kind in enumerate(kinds) if wanted is None or wanted in (i, kind)]
    if wanted is not None and len(indices) != 1:
        there = ", ".join(f"{i} ({kind})" for i, kind in enumerate(kinds))
        problem = "fits several optimizers" if indices else "does not exist"
        way_out = " Pass its index." if indices else ""
        raise refusal(owner, f"optimizer {wanted!r} {problem}. There are: {there}.{way_out}")
    for group in owner.param_groups or ():
        _refuse_unknown(owner, group, {i: optimizers[i] for i in indices})
    selection = Selection(owner.param_groups)
    if any(_is_pattern(group) for group in owner.param_groups or ()):
        return dict.fromkeys(indices, selection)  # a group that fits may come to any of them
    return {i: selection for i in indices if selection.of(optimizers[i].param_groups)}


def _is_pattern(group: str | int) -> bool:
    return isinstance(group, str) and bool(set(group) & set("*?["))


def _refuse_unknown(owner: Owner, wanted: str | int, optimizers: dict[int, Optimizer]) -> None:
    found = [matches(wanted, i, g) for optimizer in optimizers.values() for i, g in enumerate(optimizer.param_groups)]
    if any(found):
        return
    there = "; ".join(
        f"in optimizer {index} ({type(optimizer).__name__}) "
        + ", ".join(f"{i} ({g['name']!r})" if "name" in g else str(i) for i, g in enumerate(optimizer.param_groups))
        for index, optimizer in optimizers.items()
    )
    if _is_pattern(wanted):
        rank_zero_warn(
            f"{type(owner).__name__}: no parameter group fits {wanted!r} yet, so that nothing is scheduled until one"
            f" does. There are: {there}."
        )
    else:
        raise refusal(owner, f"parameter group {wanted!r} does not exist. There are: {there}.")


def refuse_shared(
    owner: Owner, other: Owner, mine: dict[int, Selection], theirs: dict[int, Selection], optimizers: list[Optimizer]
) -> None:
    for key in sorted(hyperparameters(owner) & hyperparameters(other)):
        for index in sorted(mine.keys() & theirs.keys()):
            groups: list[Group] = optimizers[index].param_groups
            if shared := sorted(set(mine[index].of(groups)) & set(theirs[index].of(groups))):
                raise refusal(
                    owner,
                    f"{owner!r} and {other!r} both schedule the {title(key)} of optimizer {index}"
                    f" ({type(optimizers[index]).__name__}), parameter group {shared[0]}. Remove one, or tell them"
                    " apart by 'optimizer' or 'param_groups'.",
                )


def _refuse_missing(owner: Owner, optimizer: Optimizer, groups: list[Group]) -> None:
    for key in sorted(hyperparameters(owner)):
        for group in groups:
            value = read(group, key)
            if not _is_number(value):
                there = ", ".join(
                    sorted(k for k, v in group.items() if k not in ("name", "initial_lr") and _is_number(v))
                )
                kind = type(optimizer).__name__
                raise refusal(owner, f"{kind} has no number {key!r} to schedule. It has: {there}.")


def _is_number(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _take_off(owner: Owner, trainer: Trainer, optimizers: list[Optimizer]) -> None:
    configs = trainer.strategy.lr_scheduler_configs
    for config in [c for c in configs if any(c.scheduler.optimizer is optimizer for optimizer in optimizers)]:
        if isinstance(config.scheduler, TakenOff):
            continue
        scheduler, optimizer = type(config.scheduler).__name__, config.scheduler.optimizer
        if not owner.replace_scheduler:
            raise refusal(
                owner,
                f"configure_optimizers attached {scheduler} to {type(optimizer).__name__}, and two cannot own one LR."
                f" Remove one, or pass {type(owner).__name__}(..., replace_scheduler=True) to take {scheduler} off.",
            )
        rank_zero_info(f"{type(owner).__name__}: took {scheduler} off for this fit.")
        for group, last in zip(optimizer.param_groups, config.scheduler.get_last_lr(), strict=True):
            if "initial_lr" in group and float(group["lr"]) == float(last):  # else an LR finder has set it since
                put(group, "lr", float(group["initial_lr"]))
        if trainer.lightning_module.automatic_optimization:
            configs.remove(config)
        else:  # the module steps it by hand
            config.scheduler = cast(Any, TakenOff(optimizer))


class TakenOff:
    """Stands where a torch scheduler stood that the module goes on stepping by hand."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, *args: Any, **kwargs: Any) -> None:
        pass

    def get_last_lr(self) -> list[Any]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


def refuse_high_floor(owner: Owner, argument: str, floor: float, driven: list[DrivenGroups]) -> None:
    for groups in driven:
        for index, group, base in zip(groups.members, groups.groups(), groups.bases, strict=True):
            if base < floor:
                kind, name = type(groups.optimizer).__name__, group.get("name", f"pg{index + 1}")
                raise refusal(
                    owner,
                    f"'{argument}' must not lie above the base {title(groups.hyperparameter)} of a parameter group, got"
                    f" {floor!r}, but {kind} ({name}) has {base!r}. Lower it, or leave the group out by"
                    " 'param_groups'.",
                )


def unclaimed(optimizers: list[Optimizer], owners: Iterable[Owner]) -> list[str]:
    """The groups that no schedule of the LR drives."""
    claimed = [_select(owner, optimizers) for owner in owners if owner.hyperparameter == "lr"]
    free: list[str] = []
    if not claimed:
        return free
    for index, optimizer in enumerate(optimizers):
        taken = {i for selection in claimed if index in selection for i in selection[index].of(optimizer.param_groups)}
        kind = type(optimizer).__name__
        for i, group in enumerate(optimizer.param_groups):
            if i not in taken:
                name = f" ({group['name']!r})" if "name" in group else ""
                free.append(f"optimizer {index} ({kind}) group {i}{name}")
    return free


def title(hyperparameter: str) -> str:
    return "LR" if hyperparameter == "lr" else hyperparameter
