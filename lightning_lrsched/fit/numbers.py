"""A number of a parameter group: a key's, or an element's of a tuple."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor

Group: TypeAlias = dict[str, Any]


def where(group: Group, name: str) -> tuple[str, int | None]:
    """The key, and the place in a tuple: "betas[1]" is at 1, and "momentum" at 0 of the betas where there are betas."""
    if name == "momentum" and "betas" in group:
        return "betas", 0
    element = re.fullmatch(r"(.+)\[(\d+)\]", name) if name[-1] == "]" else None
    return (name, None) if element is None else (element[1], int(element[2]))


def read(group: Group, name: str) -> Any:
    """None: the group has no such number."""
    key, place = where(group, name)
    there = group.get(key)
    if place is None:
        return there
    return there[place] if isinstance(there, Sequence) and place < len(there) else None


def put(group: Group, name: str, value: float) -> None:
    key, place = where(group, name)
    there = read(group, name)
    if isinstance(there, Tensor):
        there.fill_(value)
    elif place is None:
        group[key] = value
    else:
        group[key] = (*group[key][:place], value, *group[key][place + 1 :])


def is_plain(group: Group, name: str) -> bool:
    """Whether a value is put by ``group[name] = value`` and nothing more."""
    return where(group, name)[1] is None and not isinstance(group.get(name), Tensor)


def names(group: Group) -> list[str]:
    """All that a group holds beside its parameters, each element of a tuple by its own name."""
    found = []
    for key in group.keys() - {"params"}:
        there = group[key]
        found += [f"{key}[{i}]" for i in range(len(there))] if isinstance(there, (tuple, list)) else [key]
    return found
