"""Pictures of curves: numbers and labels in, ``(fig, ax)`` or a few bytes of SVG out. Knows no schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Curve(NamedTuple):
    """The points of one curve, to be joined by straight lines."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


def stairs(label: str, values: Sequence[float]) -> Curve:
    """Value i holds from i to i + 1.

    >>> stairs("", [0.5, 0.1])
    Curve(label='', x=[0, 1, 1, 2], y=[0.5, 0.5, 0.1, 0.1])
    """
    x = [edge for i in range(len(values)) for edge in (i, i + 1)]
    return Curve(label, x, [value for value in values for _ in range(2)])


def axes() -> Axes:
    """New axes in a figure of their own."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ModuleNotFoundError("Pictures are drawn by matplotlib: pip install matplotlib") from error
    ax: Axes = pyplot.figure(layout="constrained").subplots()
    return ax


def draw(curves: Iterable[Curve], xlabel: str, ylabel: str, ax: Axes | None = None) -> tuple[Figure, Axes]:
    """Draw the curves into ``ax``, or into new axes, and return them with their figure."""
    # room for long labels, clear of every curve
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0)}
    ax, legend = (axes(), above) if ax is None else (ax, {"loc": "upper right"})
    for curve in curves:
        ax.plot(curve.x, curve.y, label=curve.label)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend(**legend, frameon=False)
    figure: Any = ax.figure
    return figure, ax


WIDTH, HEIGHT, MARGIN = 240, 100, 8


def svg(curve: Curve) -> str:
    """One curve as a small picture that needs no library; its frame runs from 0 to the highest value.

    >>> svg(Curve("up", [0, 1], [0.0, 2.0])).count("<polyline")
    1
    """
    start, end, top = curve.x[0], curve.x[-1], max(curve.y) or 1.0
    width, height = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    scaled = [
        (MARGIN + width * (x - start) / (end - start), MARGIN + height * (1.0 - y / top))
        for x, y in zip(curve.x, curve.y, strict=True)
    ]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in scaled)
    floor = HEIGHT - MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"<title>{escape(curve.label)}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<path d="M{MARGIN},{floor}H{WIDTH - MARGIN}" stroke="#bbb"/>'
        f'<polyline points="{points}" fill="none" stroke="#7b2ff7" stroke-width="2" stroke-linejoin="round"/></svg>\n'
    )
