"""A schedule's constructor arguments, read back from the attributes of the same names."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache, partial
from inspect import Parameter, Signature, signature
from numbers import Integral
from typing import Any, TypeVar

from .checks import is_number
from .words import way_out

T = TypeVar("T")


@lru_cache(maxsize=256)
def parameters(cls: type) -> dict[str, Parameter]:
    """The parameters of the constructor, those that ``**common`` hands on to the base class, by keyword, included."""
    found: dict[str, Parameter] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base):
            own = [p for p in signature(vars(base)["__init__"]).parameters.values() if p.name != "self"]
            new = [p for p in own if p.kind is not p.VAR_KEYWORD and p.name not in found]
            found |= {p.name: p.replace(kind=p.KEYWORD_ONLY) if found else p for p in new}
            if all(p.kind is not p.VAR_KEYWORD for p in own):
                break
    return found


def refuse_unknown(cls: type, given: dict[str, Any]) -> None:
    """A keyword that no constructor takes is reported of the class that was called."""
    for name, value in given.items():
        known = parameters(cls)
        if name not in known:
            raise TypeError(f"{cls.__name__}: no argument {name!r}. {way_out(name, value, known)}") from None


def refuse_optimizers(cls: type, given: Iterable[object]) -> None:
    """Torch's schedulers are called with one."""
    if any(hasattr(value, "param_groups") and hasattr(value, "zero_grad") for value in given):
        way = "optimizer=<its index> picks one of several"
        raise TypeError(f"{cls.__name__}: pass no optimizer, those of configure_optimizers are driven; {way}.")


class Signed(ABCMeta):
    """Classes that show their arguments by name, those of their base classes too, and in ``help()`` what is theirs.

    Without it ``help(CosineAnnealing)`` lists every hook of Lightning's, and its signature ends in ``**floored``.
    """

    def __call__(cls: type[T], *given: Any, **named: Any) -> T:
        refuse_optimizers(cls, (*given, *named.values()))
        try:
            made: T = type.__call__(cls, *given, **named)
            return made
        except TypeError:  # where an argument is missing too, Python tells only of that one
            refuse_unknown(cls, named)
            raise

    @property
    def __signature__(cls) -> Signature:
        return Signature(list(parameters(cls).values()))

    def __dir__(cls) -> list[str]:
        new = {name for name in vars(cls) if not any(hasattr(base, name) for base in cls.__bases__)}
        return sorted({*new, "lr_at", "preview", "plot"})


def arguments(schedule: Any) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in parameters(schedule.__class__) if hasattr(schedule, name)}


def checked(schedule: Any, name: str, value: object) -> object:
    """What the constructor makes of one argument beside the others, or a base class's, where it can be called so."""
    given = arguments(schedule) | {name: value}
    for cls in schedule.__class__.__mro__:
        known = parameters(cls)
        if name in known:
            with suppress(TypeError):  # where one is missing, or is also what the constructor itself hands on
                return getattr(cls(**{k: v for k, v in given.items() if k in known}), name)
    return value


def by_name(value: object) -> object:
    """Functions as the names they can be imported by, which stay the same in all processes; numbers as Python's own."""
    if isinstance(value, partial):
        return f"partial({by_name(value.func)}, *{value.args}, **{value.keywords})"
    if is_number(value):
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
