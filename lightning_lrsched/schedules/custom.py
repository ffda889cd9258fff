"""A schedule from a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from typing_extensions import Unpack

from ..formula import checks
from ..schedule import CommonArguments, LRSchedule


class CustomSchedule(LRSchedule):
    r"""Any function of the position and the base LR.

    ``lr(t) = function(t, base)``.

    >>> CustomSchedule(lambda t, base_lr: base_lr / (t + 1)).lr_at(3, base_lr=1.0)
    0.25
    >>> CustomSchedule("operator.mul").lr_at(3, base_lr=0.5)
    1.5

    Noise on a schedule, the same in every run, is a factor in a :class:`~lightning_lrsched.ProductSchedule`:

    >>> from random import Random
    >>> def noise(t, base_lr, seed=42, width=0.1):
    ...     return base_lr * (1 + Random(f"{seed} {t}").uniform(-width, width))
    >>> [round(CustomSchedule(noise).lr_at(t, base_lr=1.0), 4) for t in (0, 1)]
    [0.998, 0.9348]

    Args:
        function: Takes ``t``, the intervals since the schedule began, and ``base_lr``; returns the LR, a finite number
            >= 0. A string is the name to import it by, as in a YAML file: ``"package.module.function"``. A schedule
            pickles when its function does, and always with a name.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: ``function`` can neither be called nor imported.
        MisconfigurationException: when the function returns something else.
    """

    def __init__(self, function: str | Callable[[int, float], float], **common: Unpack[CommonArguments]) -> None:
        super().__init__(**common)
        if not callable(checks.imported(function) if isinstance(function, str) else function):
            checks.refuse(self, "function", "a function of (t, base_lr), or the name to import one by", function)
        self.function = function

    def lr_at(self, t: int, base_lr: float) -> float:
        function: Any = checks.imported(self.function) if isinstance(self.function, str) else self.function
        return cast(float, function(t, base_lr))
