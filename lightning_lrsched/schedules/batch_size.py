"""The base LR scaled with the global batch."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Literal, cast

from typing_extensions import Unpack

from ..formula import checks
from ..formula.curves import Formula, Line, line, value_of
from ..formula.durations import Interval
from ..formula.timeline import START, Mark, Run
from ..measure import not_known
from ..placed import Placed
from ..schedule import CommonArguments, LRSchedule


class BatchSizeScaling(LRSchedule):
    r"""The base LR in proportion to the global batch.

    .. code-block:: text

              ┌───────   (where the accumulation grows)
        ──────┘

    ``lr = base * global_batch / reference``, or ``base * sqrt(global_batch / reference)``. The global batch is the
    loader's batch times the accumulation in force times the data-parallel size. Multiply it with any schedule by
    :class:`~lightning_lrsched.ProductSchedule`. What it comes to is told once.

    >>> scaling = BatchSizeScaling(reference=256, batch_size=1024)
    >>> [scaling.lr_at(t, base_lr=0.1) for t in (0, 99)]
    [0.4, 0.4]
    >>> BatchSizeScaling(reference=256, rule="sqrt", batch_size=1024).lr_at(0, base_lr=0.1)
    0.2

    Args:
        reference: The global batch for which the base LR was found, a positive integer.
        rule: ``"linear"`` or ``"sqrt"``.
        batch_size: Samples of one batch of the loader on one rank, a positive integer, for loaders that do not tell.
            None: the loader's own.
        **common: The arguments of :class:`~lightning_lrsched.LRSchedule`.

    Raises:
        ValueError: a value is out of its range.
        MisconfigurationException: at the start of a fit whose loader does not tell its batch size, if ``batch_size`` is
            None.

    Source: Goyal et al., Accurate, Large Minibatch SGD, 2017 (linear); Krizhevsky, One weird trick for parallelizing
    convolutional neural networks, 2014 (square root).
    """

    def __init__(
        self,
        reference: int,
        rule: Literal["linear", "sqrt"] = "linear",
        *,
        batch_size: int | None = None,
        **common: Unpack[CommonArguments],
    ) -> None:
        super().__init__(**common)
        self.reference = checks.whole(self, "reference", reference, at_least=1)
        self.rule = cast(Literal["linear", "sqrt"], checks.choice(self, "rule", rule, ("linear", "sqrt")))
        self.batch_size = checks.whole_or_none(self, "batch_size", batch_size, "the loader's", at_least=1)
        self._batches: tuple[tuple[int, int | None], ...] = ((0, self.batch_size),)  # the global batch from each t on

    def formula(self) -> Formula:
        starts, lines = [start for start, _ in self._batches], [self._scaled(batch) for _, batch in self._batches]
        return lambda t: lines[bisect_right(starts, t) - 1]

    def _scaled(self, batch: int | None) -> Line:
        if batch is None:
            raise not_known(self, "batch_size", "only a Trainer knows the batch size of its loader", "samples")
        share = batch / self.reference
        return line(share if self.rule == "linear" else math.sqrt(share))

    def place(self, run: Run, start: Mark = START, end: Mark | None = None, interval: Interval | None = None) -> Placed:
        placed = super().place(run, start, end, interval)
        if run.alone:
            return placed
        batch = run.batch if self.batch_size is None else self.batch_size * run.ranks
        if batch is None:
            raise not_known(self, "batch_size", "the loader does not tell its batch size", "samples of a batch")
        stretches = []
        for epoch, windows in run.windows:
            length = run.length(f"{epoch} epochs", placed.schedule.counts, START) if epoch else (0, 0)
            if length is not None:  # else the epochs of the run cannot be told in what the schedule counts
                stretches.append((max(int(length[0]) - start[length[1]], 0), batch * windows))
        cast(BatchSizeScaling, placed.schedule)._batches = tuple(stretches)
        return placed

    def note(self, base: float) -> str:
        scaled = value_of(self.formula()(0), base)
        batch = self._batches[0][1]
        return f"{base:.6g} -> {scaled:.6g}: global batch {batch}, reference {self.reference}, {self.rule}"
