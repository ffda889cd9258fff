"""A schedule's constructor arguments, read back from the attributes of the same names."""

from __future__ import annotations

from functools import partial
from inspect import Parameter, signature
from typing import Any


def _parameters(cls: type) -> dict[str, Parameter]:
    """The parameters of the constructor, those that ``**common`` hands on to the base class included."""
    found: dict[str, Parameter] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base):
            own = [p for p in signature(vars(base)["__init__"]).parameters.values() if p.name != "self"]
            found |= {p.name: p for p in own if p.kind is not p.VAR_KEYWORD and p.name not in found}
            if all(p.kind is not p.VAR_KEYWORD for p in own):
                break
    return found


def arguments(schedule: object) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in _parameters(type(schedule)) if hasattr(schedule, name)}


def by_name(value: object) -> object:
    """Functions as the names they can be imported by: those stay the same from process to process."""
    if isinstance(value, partial):
        return f"partial({by_name(value.func)}, *{value.args}, **{value.keywords})"
    if callable(value) and not isinstance(value, type):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    return value


def constructor_call(schedule: object) -> str:
    parameters = _parameters(type(schedule))
    given = [f"{k}={by_name(v)!r}" for k, v in arguments(schedule).items() if v != parameters[k].default]
    return f"{type(schedule).__name__}({', '.join(given)})"
