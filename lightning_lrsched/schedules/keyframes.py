"""Keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import ge, gt
from typing import Literal, cast, get_args

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Shape, interpolated, line
from ..schedule import CommonArguments, LRSchedule


class Keyframes(LRSchedule):
    r"""The LR along a list of points.

    .. code-block:: text

           ╱╲
          ╱  ╲____
         ╱        ╲
        ╱          ╲__

    Between two points ``lr`` follows a straight line or half a cosine, rises or falls by the same factor every interval
    ("exponential"), or stays on the value of the first ("step"); before the first point it has the first value, after
    the last one the last.

    >>> frames = Keyframes(positions=[0, 2, 6], values=[0.0, 1.0, 0.5])
    >>> [frames.lr_at(t, base_lr=0.1) for t in (0, 1, 2, 4, 6, 7)]
    [0.0, 0.05, 0.1, 0.07500000000000001, 0.05, 0.05]
    >>> rise = Keyframes([0, 4], [0.01, 1.0], shape="exponential")
    >>> [round(rise.lr_at(t, base_lr=1.0), 4) for t in (0, 1, 2, 4, 5)]
    [0.01, 0.0316, 0.1, 1.0, 1.0]

    Args:
        positions: Durations from the schedule's start, from 0 on and strictly rising; their units may differ.
        values: A number >= 0 for each position, > 0 with shape "exponential".
        unit: What the values are: ``"factor"`` of each group's base LR, or ``"lr"``.
        shape: ``"linear"``, ``"cosine"``, ``"exponential"`` or ``"step"``.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: the positions do not rise, or there is not one value >= 0 for each.
        MisconfigurationException: at the start of a fit, when positions of different units turn out not to rise.

    What rises is said here too: an LR range test is ``Keyframes([0, "100%"], [1e-7, 1.0], unit="lr",
    shape="exponential")``, and DINO's weight decay ``Keyframes([0, "100%"], [0.04, 0.4], unit="lr", shape="cosine",
    hyperparameter="weight_decay", param_groups=0)``, where group 1 is that of the biases, which keep none: values that
    are no factors are those of every driven group. So is any list of LRs, such as Chebyshev steps, with
    ``shape="step"``.
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
        self.shape = cast(Shape, checks.choice(self, "shape", shape, get_args(Shape)))
        sign, above = (">", gt) if shape == "exponential" else (">=", ge)
        rule = f"a list of {len(self.positions)} numbers {sign} 0, one for each position"
        if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != len(self.positions):
            checks.refuse(self, "values", rule, values)
        self.values = tuple(checks.number(self, "values", value, rule, lambda x: above(x, 0)) for value in values)
        self.unit = cast(Literal["factor", "lr"], checks.choice(self, "unit", unit, ("factor", "lr")))

    def formula(self) -> Formula:
        height = interpolated(list(zip(self.lengths("positions"), self.values, strict=True)), self.shape)
        return (lambda t: line(height(t))) if self.unit == "factor" else (lambda t: line(0.0, height(t)))
