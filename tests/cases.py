"""One row per public schedule, more where one has several modes: the tests that take every schedule read them here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from lightning_lrsched import (
    CosineAnnealing,
    CosineRestarts,
    CyclicalLR,
    ExponentialDecay,
    LRSchedule,
    ReduceOnPlateau,
    StepDecay,
)


class Case(NamedTuple):
    """``make(**common)`` makes a schedule that moves within 6 epochs as within 12 steps, from base LRs of 0.1 on."""

    name: str
    make: Callable[..., LRSchedule]


CASES = (
    Case("cosine", CosineAnnealing),
    Case("cosine-length", partial(CosineAnnealing, t_max=3, eta_min_ratio=0.01)),
    Case("restarts", partial(CosineRestarts, t_0=2, t_mult=2, eta_min=0.001, decay=0.9)),
    Case("cyclical", partial(CyclicalLR, eta_min=0.01, eta_max=0.1, step_size=2, step_size_down=1)),
    Case("cyclical-triangular2", partial(CyclicalLR, eta_min=0.01, step_size=1, mode="triangular2")),
    Case("cyclical-exp", partial(CyclicalLR, eta_min=0.01, step_size=2, mode="exp_range", gamma=0.9)),
    Case("cyclical-momentum", partial(CyclicalLR, eta_min=0.0, step_size=2, mode="cosine", momentum=(0.8, 0.9))),
    Case("exponential", partial(ExponentialDecay, gamma=0.9)),
    Case("exponential-k", partial(ExponentialDecay, k=0.1)),
    Case("plateau", partial(ReduceOnPlateau, patience=1, factor=0.5, min_lr=0.001)),
    Case("plateau-patient", partial(ReduceOnPlateau, patience=2, cooldown=1)),
    Case("step", partial(StepDecay, step_size=2, gamma=0.5)),
)
