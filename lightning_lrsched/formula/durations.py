"""Durations: "5 epochs", "500 steps", "10%", "50_000 samples" and "30 minutes" as an amount and a unit.

An *interval* is what a schedule counts: an epoch, a step, a second, or what a function of the Trainer counts. A step is
one optimizer update.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

Unit = Literal["epoch", "step", "second", "interval"]  # of which the last is that of a function
Interval = Literal["epoch", "step", "second"] | str | Callable[[Any], int]  # a function may be given by its name

_NUMBER = r"\d(?:[\d_]{0,20}\d)?(?:\.\d{1,18})?(?:e\+?\d{1,2})?"
_UNITS = r"epochs?|steps?|samples?|seconds?|minutes?|hours?|%"
_DURATION = rf"\s*({_NUMBER})\s*({_UNITS})\s*"
_SECONDS = {"minute": 60, "hour": 3600}


def parse(duration: str) -> tuple[Fraction, str] | None:
    """Amount and unit ("epoch", "step", "sample", "second" or "%"); None where the string is no duration.

    >>> parse("5 epochs"), parse("2.5%"), parse("soon")
    ((Fraction(5, 1), 'epoch'), (Fraction(5, 2), '%'), None)
    >>> parse("1_000 steps"), parse("1e6 samples"), parse("1.5 hours")
    ((Fraction(1000, 1), 'step'), (Fraction(1000000, 1), 'sample'), (Fraction(5400, 1), 'second'))
    """
    match = re.fullmatch(_DURATION, duration, re.ASCII | re.IGNORECASE)
    if match is None:
        return None
    amount, unit = Fraction(match[1].replace("_", "")), match[2].lower().rstrip("s")
    return (amount * _SECONDS[unit], "second") if unit in _SECONDS else (amount, unit)
