"""How much of the run the Trainer's ``max_time`` leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Trainer

MEASURED = 0.1  # of max_time: before it, the pace is not known well enough


class Clock:
    """Turns the time left into intervals, at the mean pace of the run so far.

    ``timers`` are Lightning's ``Timer`` callbacks, ``spent`` the intervals and seconds of the processes before, and
    ``t`` where this one begins.
    """

    def __init__(self, timers: Sequence[Any], spent: tuple[int, float], t: int) -> None:
        self._timers = [timer for timer in timers if timer.time_remaining() is not None]
        self._before = spent
        self._t = t
        self._started = time.monotonic()

    def spent(self, t: int) -> tuple[int, float]:
        """Intervals and seconds up to ``t``, those of earlier processes included."""
        intervals, seconds = self._before
        return intervals + t - self._t, seconds + time.monotonic() - self._started

    def left(self, trainer: Trainer, t: int) -> float | None:
        """How many intervals are left; every rank gets the first one's answer. None: not known."""
        if not self._timers:
            return None
        intervals, seconds = self.spent(t)
        remaining, elapsed = min((timer.time_remaining(), timer.time_elapsed()) for timer in self._timers)
        known = intervals > 0 and elapsed >= MEASURED * (elapsed + remaining)
        left: float | None = trainer.strategy.broadcast(remaining * intervals / seconds if known else None)
        return left
