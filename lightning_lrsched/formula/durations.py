"""Durations: "5 epochs", "500 steps" and "10%" as an amount and a unit.

An *interval* is what a schedule counts, an epoch or a step; a step is one optimizer update.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

Interval = Literal["epoch", "step"]

_DURATION = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(epochs?|steps?|%)\s*", re.ASCII)


def parse(duration: str) -> tuple[Fraction, str] | None:
    """Amount and unit ("epoch", "step" or "%"); None where the string is no duration.

    >>> parse("5 epochs"), parse("2.5%"), parse("soon")
    ((Fraction(5, 1), 'epoch'), (Fraction(5, 2), '%'), None)
    """
    match = _DURATION.fullmatch(duration)
    return (Fraction(match[1]), match[2].rstrip("s")) if match else None
