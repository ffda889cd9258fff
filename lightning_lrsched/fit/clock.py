"""How much of the run the Trainer's ``max_time`` leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch import Trainer

MEASURED = 0.1  # of max_time: before it, the pace is not known well enough


class Clock:
    """Turns the time left into intervals, at the mean pace of the run so far.

    ``callbacks`` are the Trainer's: of those that tell the time left, as Lightning's ``Timer`` does across resumes, the
    first to end counts. ``measured_from`` is where the pace has been measured from, if it was; ``t`` is now.
    """

    def __init__(self, callbacks: Iterable[Any], measured_from: tuple[int, float] | None, t: int) -> None:
        timers = [c for c in callbacks if hasattr(c, "time_remaining") and c.time_remaining() is not None]
        self._timer = min(timers, key=lambda timer: timer.time_remaining(), default=None)
        self.measured_from = measured_from
        if self._timer is not None:
            elapsed: float = self._timer.time_elapsed()
            if measured_from is None or not elapsed:  # a timer that has not run yet knows nothing of what was before
                self.measured_from = (t, elapsed)

    def left(self, trainer: Trainer, t: int) -> float | None:
        """How many intervals are left; every rank gets the first one's answer. None: not known."""
        if self._timer is None or self.measured_from is None:
            return None
        remaining, elapsed = self._timer.time_remaining(), self._timer.time_elapsed()
        intervals, seconds = t - self.measured_from[0], elapsed - self.measured_from[1]
        known = intervals > 0 and seconds > 0 and elapsed >= MEASURED * (elapsed + remaining)
        left: float | None = trainer.strategy.broadcast(remaining * intervals / seconds if known else None)
        return left
