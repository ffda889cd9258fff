"""The one grammar of errors: class, argument, rule, what came."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import cache
from numbers import Integral, Real
from pkgutil import resolve_name
from typing import Any, NoReturn, TypeGuard

from .durations import parse

# beyond what any run needs, and far from where floats overflow
LARGEST = 2**63 - 1
GREATEST = 1e100


def refuse(owner: object, argument: str, rule: str, value: object) -> NoReturn:
    raise ValueError(f"{type(owner).__name__}: '{argument}' must be {rule}, got {value!r}.")


def is_number(value: object) -> TypeGuard[Real]:
    """Of any library; bools and strings are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[Integral]:
    return isinstance(value, Integral) and not isinstance(value, bool)


def number(owner: object, argument: str, value: object, rule: str, holds: Callable[[float], bool]) -> float:
    """A finite float for which ``holds``."""
    if is_number(value):
        try:
            as_float = float(value)
        except OverflowError:  # an int beyond every float
            as_float = math.inf
        if abs(as_float) <= GREATEST and holds(as_float):
            return as_float
        if math.isfinite(as_float) and holds(as_float):
            refuse(owner, argument, f"at most {GREATEST:g}", value)
    refuse(owner, argument, rule, value)


def number_or_none(
    owner: object, argument: str, value: object, rule: str, holds: Callable[[float], bool]
) -> float | None:
    return None if value is None else number(owner, argument, value, rule, holds)


def factors(owner: object, argument: str, value: object, count: int | None = None) -> float | tuple[float, ...]:
    """One that recurs and does not raise, or a list, of ``count`` where that is given."""
    rule = f"a number in (0, 1], or a list of {'' if count is None else f'{count} '}numbers > 0"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if count not in (None, len(value)):
            refuse(owner, argument, rule, value)
        return tuple(number(owner, argument, each, rule, lambda x: x > 0) for each in value)
    return number(owner, argument, value, rule, lambda x: 0 < x <= 1)


def whole(owner: object, argument: str, value: object, *, at_least: int, or_none: str = "") -> int:
    """An int from ``at_least`` on; ``or_none`` says what None would mean where it is allowed."""
    if is_whole(value) and operator.index(value) >= at_least:
        if operator.index(value) > LARGEST:
            refuse(owner, argument, f"at most {LARGEST}", value)
        return operator.index(value)
    rule = {0: "an integer >= 0", 1: "a positive integer"}.get(at_least, f"an integer >= {at_least}")
    refuse(owner, argument, f"{rule} or None ({or_none})" if or_none else rule, value)


def whole_or_none(owner: object, argument: str, value: object, none: str, *, at_least: int) -> int | None:
    """``none`` says what None means."""
    return None if value is None else whole(owner, argument, value, at_least=at_least, or_none=none)


def duration(owner: object, argument: str, value: object, *, at_least: int = 1, or_none: str = "") -> int | str:
    """Intervals, or a string with a unit that becomes intervals at the start of a fit."""
    if isinstance(value, float) and 0 < value < 1:
        refuse(owner, argument, f"an integer or a duration such as '{100 * value:g}%'", value)
    if not isinstance(value, str):
        return whole(owner, argument, value, at_least=at_least, or_none=or_none)
    parsed = parse(value)
    if parsed is None or (parsed[0] == 0 and at_least > 0):
        refuse(owner, argument, "a duration such as '5 epochs', '500 steps', '9_000 samples' or '10%'", value)
    return value


def duration_or_none(owner: object, argument: str, value: object, none: str) -> int | str | None:
    return None if value is None else duration(owner, argument, value, or_none=none)


def durations(owner: object, argument: str, value: object, *, at_least: int = 1) -> tuple[int | str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not len(value):
        refuse(owner, argument, "a list of durations", value)
    return tuple(duration(owner, argument, each, at_least=at_least) for each in value)


def positions(owner: object, argument: str, value: object, *, at_least: int = 1) -> tuple[int | str, ...]:
    """Several durations, as far as they are in intervals strictly rising."""
    found = durations(owner, argument, value, at_least=at_least)
    if all(isinstance(each, int) for each in found) and list(found) != sorted(set(found)):
        refuse(owner, argument, "strictly rising", value)
    return found


def interval(owner: object, argument: str, value: object) -> Any:
    """What a schedule counts: a word, a function, or the name to import one by."""
    if value is None or callable(value):
        return value
    if isinstance(value, str) and (
        value in ("epoch", "step", "second") or ("." in value and callable(imported(value)))
    ):
        return value
    rule = "'epoch', 'step', 'second', a function of the Trainer or its import name, or None (as its whole)"
    refuse(owner, argument, rule, value)


@cache
def imported(name: str) -> object:
    """What a dotted name stands for; None: nothing."""
    try:
        return resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return None


def choice(owner: object, argument: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        refuse(owner, argument, " or ".join(repr(name) for name in allowed), value)
    return value


def smoothing(owner: object, argument: str, value: object) -> float | int:
    """The weight of an exponential average, or the number of values of a mean."""
    if is_whole(value) and operator.index(value) >= 1:
        return whole(owner, argument, value, at_least=1)
    rule = "a weight in [0, 1) or a number of checks, an integer >= 1"
    return number(owner, argument, value, rule, lambda x: 0 <= x < 1)


def flag(owner: object, argument: str, value: object) -> bool:
    if not isinstance(value, bool):
        refuse(owner, argument, "True or False", value)
    return value


def which(owner: object, argument: str, value: object, *, several: str = "") -> int | str:
    """The index or the name of one of several things."""
    if isinstance(value, str) and value:
        return value
    if is_whole(value) and operator.index(value) >= 0:
        return operator.index(value)
    refuse(owner, argument, f"an index (from 0), a name{several} or None (all of them)", value)


def which_of(owner: object, argument: str, value: object) -> tuple[int | str, ...] | None:
    """Indices and names; None is all of them."""
    if value is None:
        return None
    listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value)
    each: Sequence[object] = value if listed else [value]  # type: ignore[assignment]
    return tuple(which(owner, argument, one, several=", a list of them") for one in each)


def name(owner: object, argument: str, value: object, rule: str) -> str:
    if not isinstance(value, str) or not value:
        refuse(owner, argument, rule, value)
    return value


def names(owner: object, argument: str, value: object, rule: str) -> str | tuple[str, ...]:
    """One name, or several different ones."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        return name(owner, argument, value, f"{rule}, or a list of them")
    found = tuple(name(owner, argument, each, f"{rule}, or a list of them") for each in value)
    if not found or len(set(found)) < len(found):
        refuse(owner, argument, f"{rule}, or a list of different ones", value)
    return found


def low_high(owner: object, argument: str, value: object) -> tuple[float, float] | None:
    """The pair between which a momentum swings."""
    if value is None:
        return None
    rule = "a pair (low, high) of numbers with 0 <= low <= high < 1, or None"
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence) or len(value) != 2:
        refuse(owner, argument, rule, value)
    low, high = value
    if not (all(map(is_number, value)) and 0 <= low <= high < 1):
        refuse(owner, argument, rule, value)
    return float(low), float(high)
