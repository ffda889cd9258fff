"""Keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Line, Shape, interpolate
from ..schedule import CommonArguments, LRSchedule


class Keyframes(LRSchedule):
    r"""The LR along a list of points.

    .. code-block:: text

           ╱╲
          ╱  ╲____
         ╱        ╲
        ╱          ╲__

    Between two points ``lr`` follows a straight line or half a cosine, or stays on the value of the first ("step");
    before the first point it has the first value, after the last one the last.

    >>> frames = Keyframes(positions=[0, 2, 6], values=[0.0, 1.0, 0.5])
    >>> [frames.lr_at(t, base_lr=0.1) for t in (0, 1, 2, 4, 6, 7)]
    [0.0, 0.05, 0.1, 0.07500000000000001, 0.05, 0.05]

    Args:
        positions: Durations from the schedule's start, from 0 on and strictly rising; their units may differ.
        values: A number >= 0 for each position.
        unit: What the values are: ``"factor"`` of each group's base LR, or ``"lr"``.
        shape: ``"linear"``, ``"cosine"`` or ``"step"``.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: the positions do not rise, or there is not one value >= 0 for each.
        MisconfigurationException: at the start of a fit, when positions of different units turn out not to rise.
    """

    durations = ("positions",)
    from_zero = ("warmup", "positions")

    def __init__(
        self,
        positions: Sequence[int | str],
        values: Sequence[float],
        *,
        unit: Literal["factor", "lr"] = "factor",
        shape: Shape = "linear",
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self.positions = checks.positions(self, "positions", positions, at_least=0)
        rule = f"a list of {len(self.positions)} numbers >= 0, one for each position"
        if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != len(self.positions):
            checks.refuse(self, "values", rule, values)
        self.values = tuple(checks.number(self, "values", value, rule, lambda x: x >= 0) for value in values)
        self.unit = cast(Literal["factor", "lr"], checks.choice(self, "unit", unit, ("factor", "lr")))
        self.shape = cast(Shape, checks.choice(self, "shape", shape, ("linear", "cosine", "step")))

    def line(self, t: int) -> Line:
        points = list(zip(self.lengths("positions"), self.values, strict=True))
        value = interpolate(points, t, self.shape)
        return Line(value) if self.unit == "factor" else Line(0.0, value)
