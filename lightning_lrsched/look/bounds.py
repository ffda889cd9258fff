"""Between which LRs to cycle: read off the curve of an LR range test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..formula.pictures import Curve, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST = 20
BETA = 0.98  # of the running mean in which lr_find keeps its losses
FALL = 0.05  # of the peak: what counts as a fall,
SCATTER = 5.0  # if it is so many times the scatter of the losses, too
START = 0.1  # of the fall: how much of it is made where it starts
RISE = 0.1  # of the fall: what counts as a rise


class RangeTest(Protocol):
    """What ``Tuner.lr_find`` returns."""

    results: dict[str, Any]


class _Reading(NamedTuple):
    lrs: list[float]
    losses: list[float]  # of single updates, smoothed
    peak: int
    start: int
    end: int

    @property
    def fall(self) -> float:
        return self.losses[self.peak] - self.losses[self.end]


def cyclical_bounds(finder: RangeTest) -> tuple[float, float]:
    """The bounds ``(eta_min, eta_max)`` of a :class:`CyclicalLR`, or peak and start of a :class:`OneCycle`.

    ``finder = Tuner(trainer).lr_find(model, ...)`` trains with an LR that rises from update to update. Smith's rule
    cycles from where the loss starts to fall to where it starts to rise or gets ragged. In numbers:

    1. The losses of the single updates are worked out of the running mean (over 50 updates) in which ``lr_find`` keeps
       them, and smoothed over a twentieth of the points. Losses that are not finite are left out.
    2. The fall is that from a peak, the highest loss so far, to the lowest one before a new peak, once that is 5 % of
       the peak or more, and five times the scatter (the median distance of the losses from the smoothed ones) or more.
    3. ``eta_min`` is the last LR on it at which no more than 10 % of it is made.
    4. ``eta_max`` is the LR of the lowest loss before the loss climbs by 10 % of the fall, looked for from the middle
       of the fall on. NaN or an infinity after the last finite loss is a climb, too.

    >>> from types import SimpleNamespace
    >>> lrs = [10 ** (-4 + i / 25) for i in range(101)]
    >>> losses = [2.0] * 40 + [2.0 - i / 20 for i in range(30)] + [0.5 + i for i in range(31)]
    >>> means, kept = [], 0.0
    >>> for i, loss in enumerate(losses):  # as lr_find does
    ...     kept = 0.98 * kept + 0.02 * loss
    ...     means.append(kept / (1 - 0.98 ** (i + 2)))
    >>> eta_min, eta_max = cyclical_bounds(SimpleNamespace(results={"lr": lrs, "loss": means}))
    >>> lrs.index(eta_min), lrs.index(eta_max)  # the corners are at 40 and 70
    (42, 68)

    Args:
        finder: What ``lr_find`` returned, with 20 finite losses or more.

    Returns:
        ``(eta_min, eta_max)``, two of the LRs that were tried. A loss that falls from the first LR on gives that LR, or
        one close to it.

    Raises:
        ValueError: there are too few losses, or the curve does not fall, or does not rise again.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3.
    """
    reading = _read(finder)
    return reading.lrs[reading.start], reading.lrs[reading.end]


def plot_bounds(finder: RangeTest, *, ax: Axes | None = None) -> tuple[Figure, Axes]:
    """Draw the loss over the LR, as :func:`cyclical_bounds` sees it, and mark both bounds.

    Args:
        finder: As for :func:`cyclical_bounds`.
        ax: Axes to draw into. None: new ones.

    Returns:
        The figure and the axes.

    Raises:
        ValueError: as :func:`cyclical_bounds`.
        ModuleNotFoundError: matplotlib, the extra ``[plot]``, is not installed.
    """
    reading = _read(finder)
    low, high = reading.losses[reading.end], reading.losses[reading.peak]
    marks = [("eta_min", reading.lrs[reading.start]), ("eta_max", reading.lrs[reading.end])]
    reach = [low - reading.fall / 10, high + reading.fall / 2]  # a loss that explodes would flatten the rest
    curves = [Curve("loss, smoothed", reading.lrs, reading.losses)]
    fig, ax = draw([*curves, *(Curve(f"{name} = {lr:.3g}", [lr, lr], reach) for name, lr in marks)], "LR", "loss", ax)
    ax.set_xscale("log")
    ax.set_ylim(*reach)
    return fig, ax


def _read(finder: RangeTest) -> _Reading:
    lrs, means = list(finder.results["lr"]), list(finder.results["loss"])
    finite = [(float(lr), float(mean)) for lr, mean in zip(lrs, means, strict=False) if math.isfinite(mean)]
    if len(finite) < FEWEST:
        raise ValueError(
            f"cyclical_bounds: lr_find must give at least {FEWEST} finite losses, got {len(finite)}. Raise its"
            " num_training, give it more batches, or pass early_stop_threshold=None."
        )
    lrs = [lr for lr, _ in finite]
    single = _of_single_updates([mean for _, mean in finite])
    losses = _smoothed(single, max(len(finite) // 40, 1))
    scatter = median(abs(a - b) for a, b in zip(single, losses, strict=True))
    if (found := _fall(losses, SCATTER * scatter)) is None:
        raise ValueError(
            f"cyclical_bounds: the loss does not fall between LR {lrs[0]:g} and {lrs[-1]:g}. Give lr_find a lower"
            " min_lr, or a higher max_lr."
        )
    peak, low = found
    fall = losses[peak] - losses[low]
    start = max(i for i in range(peak, low) if losses[i] >= losses[peak] - START * fall)
    middle = next(i for i in range(peak, low + 1) if losses[i] <= losses[peak] - fall / 2)
    end, rises = _lowest(losses, middle, RISE * fall)
    if not rises and math.isfinite(means[-1]):
        raise ValueError(
            f"cyclical_bounds: the loss does not rise again up to LR {lrs[-1]:g}. Give lr_find a higher max_lr."
        )
    return _Reading(lrs, losses, peak, start, end)


def _fall(losses: Sequence[float], least: float) -> tuple[int, int] | None:
    """The peak and the lowest point of the first fall that counts."""

    def counts(peak: int, low: int) -> bool:
        return losses[peak] - losses[low] > max(FALL * abs(losses[peak]), least)

    peak = low = 0
    for i, loss in enumerate(losses):
        if loss > losses[peak]:
            if counts(peak, low):
                break
            peak = low = i
        elif loss < losses[low]:
            low = i
    return (peak, low) if counts(peak, low) else None


def _lowest(losses: Sequence[float], middle: int, climb: float) -> tuple[int, bool]:
    """The lowest point from ``middle`` on before a climb, and whether there is one."""
    low = middle
    for i in range(middle, len(losses)):
        if losses[i] >= losses[low] + climb:
            return low, True
        if losses[i] < losses[low]:
            low = i
    return low, False


def _of_single_updates(means: Sequence[float]) -> list[float]:
    """Undo ``lr_find``'s running mean, whose correction for its start is one update ahead."""
    sums = [mean * (1.0 - BETA ** (i + 2)) for i, mean in enumerate(means)]
    return [(now - BETA * before) / (1.0 - BETA) for before, now in zip([0.0, *sums], sums, strict=False)]


def _smoothed(values: list[float], reach: int) -> list[float]:
    """The mean of each value and its ``reach`` neighbours on either side."""
    windows = [values[max(i - reach, 0) : i + reach + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]
