"""A schedule's constructor arguments, read back from the attributes of the same names."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache, partial
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any


@lru_cache(maxsize=256)
def parameters(cls: type) -> dict[str, Parameter]:
    """The parameters of the constructor, those that ``**common`` hands on to the base class included."""
    found: dict[str, Parameter] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base):
            own = [p for p in signature(vars(base)["__init__"]).parameters.values() if p.name != "self"]
            found |= {p.name: p for p in own if p.kind is not p.VAR_KEYWORD and p.name not in found}
            if all(p.kind is not p.VAR_KEYWORD for p in own):
                break
    return found


def refuse_unknown(cls: type, given: dict[str, Any]) -> None:
    """A keyword that no constructor takes is reported of the class that was called."""
    for name in given:
        known = parameters(cls)
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" It takes {', '.join(known)}."
            raise TypeError(f"{cls.__name__}: no argument {name!r}.{hint}")


def arguments(schedule: Any) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in parameters(schedule.__class__) if hasattr(schedule, name)}


def by_name(value: object) -> object:
    """Functions as the names they can be imported by, which stay the same in all processes; numbers as Python's own."""
    if isinstance(value, partial):
        return f"partial({by_name(value.func)}, *{value.args}, **{value.keywords})"
    if isinstance(value, Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, Integral) else float(value)
    if type(value) is list:
        return [by_name(each) for each in value]
    if type(value) is tuple:
        return tuple(by_name(each) for each in value)
    if type(value) is dict:
        return {key: by_name(each) for key, each in value.items()}
    if callable(value) and not isinstance(value, type):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    return value


def _same(value: object, other: object) -> bool:
    try:
        return bool(value == other)
    except (TypeError, ValueError):  # of arrays, whose == is no truth value
        return repr(value) == repr(other)


def fingerprint(schedule: object, without: tuple[str, ...]) -> dict[str, Any]:
    """The arguments in primitives of Python's own, which any checkpoint can hold and compare."""
    given = {k: by_name(v) for k, v in arguments(schedule).items() if k not in without}
    return {k: v if type(v) in (bool, int, float, str, type(None)) else repr(v) for k, v in given.items()}


def constructor_call(schedule: Any) -> str:
    known = parameters(schedule.__class__)
    given = [f"{k}={by_name(v)!r}" for k, v in arguments(schedule).items() if not _same(v, known[k].default)]
    return f"{type(schedule).__name__}({', '.join(given)})"
