"""The one table of schedules: a row for every public one, more where one has several modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch.optim import lr_scheduler as native

from lightning_lrsched import (
    REX,
    BackOffOnSpike,
    BatchSizeScaling,
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    CosineRestarts,
    CustomSchedule,
    CyclicalLR,
    ExponentialDecay,
    GreedyLR,
    HyperbolicLR,
    InverseSqrt,
    Keyframes,
    LRSchedule,
    MultiStepDecay,
    OneCycle,
    PolynomialDecay,
    PowerDecay,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
    TanhDecay,
    WarmupStableDecay,
)

ROOT_2 = math.sqrt(2)


class Case(NamedTuple):
    """``make(**common)`` makes a schedule that moves within 6 epochs as within 12 steps, from base LRs of 0.1 on.

    ``hand`` holds LRs for base LR 1, worked out with pencil and paper; ``torch`` makes torch's scheduler with the same
    values, where torch has one; ``bounds`` hold for base LR 1 at any t.
    """

    name: str
    make: Callable[..., LRSchedule]
    hand: dict[int, float]
    torch: Callable[[Any], Any] | None = None
    bounds: tuple[float, float] = (0.0, 1.0)


def reciprocal(t: int, base_lr: float) -> float:
    return base_lr / (t + 1)


def sequence(interval: Any = "epoch", **common: Any) -> LRSchedule:
    parts = [Constant(0.5, interval=interval), PolynomialDecay(interval=interval)]
    inner = SequentialSchedule(parts, milestones=[1], interval=interval)
    outer = [inner, StepDecay(2, 0.5, interval=interval)]
    return SequentialSchedule(outer, milestones=[3], interval=interval, **common)


def onwards(interval: Any = "epoch", **common: Any) -> LRSchedule:
    parts = [PolynomialDecay(t_max=4), CosineAnnealing(2, eta_min=0.01), Constant(0.5, 1)]
    return SequentialSchedule(parts, milestones=[2, 4], continuous=True, interval=interval, **common)


def warmed_plateau(interval: Any = "epoch", **common: Any) -> LRSchedule:
    parts = [Constant(0.1, interval=interval), ReduceOnPlateau(patience=1, factor=0.5, interval=interval)]
    return SequentialSchedule(parts, milestones=[2], interval=interval, **common)


def product(interval: Any = "epoch", **common: Any) -> LRSchedule:
    parts = [Constant(warmup=3, interval=interval), CosineAnnealing(4, eta_min=0.01, interval=interval)]
    return ProductSchedule(parts, interval=interval, **common)


CASES = (
    Case("back-off", partial(BackOffOnSpike, hold=2, recovery=2, window=2), {0: 1, 99: 1}),
    Case("batch-size", partial(BatchSizeScaling, 256, batch_size=64), {0: 0.25, 99: 0.25}),
    Case("batch-size-sqrt", partial(BatchSizeScaling, 256, "sqrt", batch_size=64), {0: 0.5, 99: 0.5}),
    Case("constant", partial(Constant, 0.5, 2), {0: 0.5, 1: 0.5, 2: 1, 9: 1}, lambda o: native.ConstantLR(o, 0.5, 2)),
    Case("cooldown", partial(CooldownOnPlateau, 4), {}),
    Case("cooldown-length", partial(CooldownOnPlateau, 10, t_max=12), {0: 1, 2: 1, 3: 0.9, 7: 0.5, 12: 0, 13: 0}),
    Case("cosine", CosineAnnealing, {}),
    Case(
        "cosine-length",
        partial(CosineAnnealing, t_max=4, eta_min_ratio=0.01),
        # 0.01 + 0.99 * (1 + cos) / 2 at 0, 45, 90, 135 and 180 degrees
        {0: 1, 1: 0.505 + 0.2475 * ROOT_2, 2: 0.505, 3: 0.505 - 0.2475 * ROOT_2, 4: 0.01, 5: 0.01, 99: 0.01},
    ),
    Case(
        "cosine-long",
        partial(CosineAnnealing, t_max=120, eta_min=0.02),
        {0: 1, 40: 0.755, 60: 0.51, 80: 0.265, 120: 0.02},  # 60, 90 and 120 degrees
        lambda o: native.CosineAnnealingLR(o, 120, 0.02),
        (0.02, 1.0),
    ),
    Case("cosine-power", partial(CosineAnnealing, t_max=4, power=2, k_decay=1), {0: 1, 2: 0.25, 4: 0, 5: 0}),
    Case("cosine-k", partial(CosineAnnealing, t_max=4, k_decay=2.0), {0: 1, 2: 0.5 + ROOT_2 / 4, 4: 0, 9: 0}),
    Case(
        "restarts",
        partial(CosineRestarts, t_0=2, t_mult=2, eta_min=0.02),
        {0: 1, 1: 0.51, 2: 1, 3: 0.51 + 0.245 * ROOT_2, 4: 0.51, 5: 0.51 - 0.245 * ROOT_2, 6: 1, 14: 1, 30: 1},
        lambda o: native.CosineAnnealingWarmRestarts(o, 2, 2, 0.02),
        (0.02, 1.0),
    ),
    Case(
        "restarts-decay",
        partial(CosineRestarts, t_0=2, decay=0.5, eta_min_ratio=0.25),
        {0: 1, 1: 0.625, 2: 0.5, 3: 0.375, 4: 0.25, 5: 0.25, 99: 0.25},
    ),
    Case(
        "restarts-shorter",  # cycles of 4, 2, 1, 1, ... intervals
        partial(CosineRestarts, t_0=4, t_mult=0.5),
        {0: 1, 2: 0.5, 4: 1, 5: 0.5, 6: 1, 7: 1, 8: 1, 99: 1},
    ),
    Case(
        "restarts-warmup",  # each cycle of 4: up by thirds, then two intervals of cosine
        partial(CosineRestarts, t_0=4, cycle_warmup=2),
        {0: 1 / 3, 1: 2 / 3, 2: 1, 3: 0.5, 4: 1 / 3, 6: 1},
    ),
    Case(
        "restarts-list",
        partial(CosineRestarts, [2, 4], decay=[0.8], eta_min_ratio=0.1),
        {0: 1, 1: 0.55, 2: 0.8, 4: 0.45, 5: 0.1 + 0.35 * (1 - ROOT_2 / 2), 6: 0.1, 99: 0.1},
    ),
    Case("restarts-cycles", partial(CosineRestarts, 2, 2, cycles=2), {0: 1, 1: 0.5, 2: 1, 4: 0.5, 6: 0, 99: 0}),
    Case("restarts-run", partial(CosineRestarts, cycles=3), {}),
    Case(
        "restarts-equal",  # cycles of 1.5 intervals: 0, 120, 60, 0, ... degrees
        partial(CosineRestarts, cycles=4, t_max=6),
        {0: 1, 1: 0.25, 2: 0.75, 3: 1, 4: 0.25, 5: 0.75, 6: 0, 99: 0},
    ),
    Case(
        "restarts-warmup-from-0",  # the second peak, 0.16, has decayed below the floor
        partial(
            CosineRestarts, 4, decay=0.16, cycle_warmup=2, cycle_warmup_start_factor=0.0, power=2.0, eta_min_ratio=0.2
        ),
        {0: 0, 1: 0.5, 2: 1, 3: 0.4, 4: 0, 5: 0.1, 6: 0.2, 7: 0.2, 8: 0},
    ),
    Case("custom", partial(CustomSchedule, reciprocal), {0: 1, 1: 0.5, 3: 0.25, 9: 0.1}),
    Case(
        "cyclical",
        partial(CyclicalLR, eta_min=0.01, eta_max=0.1, step_size=2, step_size_down=1),
        {0: 0.01, 1: 0.055, 2: 0.1, 3: 0.01, 4: 0.055},
        lambda o: native.CyclicLR(o, 0.01, 0.1, 2, 1, cycle_momentum=False),
        (0.01, 0.1),
    ),
    Case(
        "cyclical-triangular2",
        partial(CyclicalLR, eta_min=0.01, step_size=1, mode="triangular2"),
        {0: 0.01, 1: 1, 2: 0.01, 3: 0.505, 4: 0.01, 5: 0.2575},
        lambda o: native.CyclicLR(o, 0.01, 1.0, 1, mode="triangular2", cycle_momentum=False),
        (0.01, 1.0),
    ),
    Case(
        "cyclical-exp",
        partial(CyclicalLR, eta_min=0.01, step_size=2, mode="exp_range", gamma=0.9),
        {0: 0.01, 1: 0.4555, 2: 0.8119, 4: 0.01},
        lambda o: native.CyclicLR(o, 0.01, 1.0, 2, mode="exp_range", gamma=0.9, cycle_momentum=False),
        (0.01, 1.0),
    ),
    Case(
        "cyclical-momentum",
        partial(CyclicalLR, eta_min=0.0, step_size=2, mode="cosine", momentum=(0.8, 0.9)),
        {0: 0, 1: 0.5, 2: 1, 3: 0.5, 4: 0},
    ),
    Case(
        "cyclical-high",
        partial(CyclicalLR, eta_min=0.01, eta_max=0.1, step_size=2, step_size_down=1, start="high"),
        {0: 0.1, 1: 0.01, 2: 0.055, 3: 0.1, 4: 0.01},
        bounds=(0.01, 0.1),
    ),
    Case(
        "cyclical-high-triangular2",
        partial(CyclicalLR, eta_min=0.01, step_size=2, start="high", mode="triangular2"),
        {0: 1, 1: 0.505, 2: 0.01, 3: 0.2575, 4: 0.505, 6: 0.01, 8: 0.2575},
    ),
    Case(
        "cyclical-growing",  # cycles of 3, 4 and 6 intervals, of which a third is the rise
        partial(CyclicalLR, eta_min=0.01, step_size=1, step_size_down=2, t_mult=1.5),
        {0: 0.01, 1: 1, 2: 0.505, 3: 0.01, 4: 0.7525, 5: 0.7525, 7: 0.01, 8: 0.505, 9: 1, 13: 0.01},
    ),
    Case(
        "exponential",
        partial(ExponentialDecay, gamma=0.9),
        {0: 1, 1: 0.9, 2: 0.81, 3: 0.729},
        lambda o: native.ExponentialLR(o, 0.9),
    ),
    Case("exponential-k", partial(ExponentialDecay, k=0.1), {0: 1, 1: 0.9048374180359595, 10: 0.36787944117144233}),
    Case(
        "exponential-floor",
        partial(ExponentialDecay, gamma=0.5, eta_min=0.02),
        {2: 0.25, 5: 0.03125, 6: 0.02, 99: 0.02},
    ),
    Case("hyperbolic", partial(HyperbolicLR, 5), {0: 1, 1: 0.8, 4: 0.2, 5: 0, 6: 0, 99: 0}),
    # f(0) = sqrt(2 * 8) / 5 and f(1) = sqrt(1 * 7) / 5
    Case("hyperbolic-short", partial(HyperbolicLR, 5, t_max=2), {0: 1, 1: 0.2 + math.sqrt(7) / 5, 2: 0.2, 9: 0.2}),
    Case("inverse-sqrt-floor", partial(InverseSqrt, 4, eta_min_ratio=0.6), {0: 1, 5: 2 / 3, 12: 0.6, 60: 0.6}),
    Case("greedy", partial(GreedyLR, patience=1, factor=0.5, min_lr_ratio=0.25, reset_start=2), {0: 1, 99: 1}),
    Case("inverse-sqrt", partial(InverseSqrt, 4), {0: 1, 12: 0.5, 32: 1 / 3, 60: 0.25}),
    Case("noam", partial(InverseSqrt, 4, shift=1, d_model=16), {0: 0.25, 3: 0.125, 8: 1 / 12}),
    Case(
        "keyframes",
        partial(Keyframes, [1, 3, 7], [0.5, 1.0, 0.0]),
        {0: 0.5, 1: 0.5, 2: 0.75, 3: 1, 4: 0.75, 6: 0.25, 7: 0, 9: 0},
    ),
    Case(
        "keyframes-exponential",
        partial(Keyframes, [0, 2, 4], [0.01, 1.0, 0.25], shape="exponential"),
        {0: 0.01, 1: 0.1, 2: 1, 3: 0.5, 4: 0.25, 9: 0.25},
    ),
    Case("keyframes-step", partial(Keyframes, [0, 2], [0.1, 0.5], unit="lr", shape="step"), {0: 0.1, 1: 0.1, 2: 0.5}),
    Case(
        "multi-step",
        partial(MultiStepDecay, [2, 5], 0.1),
        {0: 1, 1: 1, 2: 0.1, 4: 0.1, 5: 0.01, 99: 0.01},
        lambda o: native.MultiStepLR(o, [2, 5], 0.1),
    ),
    Case(
        "multi-step-floor",
        partial(MultiStepDecay, [1, 2], [0.1, 0.1], eta_min_ratio=0.05),
        {0: 1, 1: 0.1, 2: 0.05, 9: 0.05},
    ),
    Case("multi-step-list", partial(MultiStepDecay, [1, 2], [0.5, 0.2]), {0: 1, 1: 0.5, 2: 0.1, 3: 0.1}),
    Case(
        "one-cycle",
        partial(OneCycle, t_max=10, pct_start=0.2, div_factor=4, final_div_factor=25),
        # 1/4 to 1 over 2 intervals, then to 1/100 over 8, along half cosines
        {0: 0.25, 1: 0.625, 2: 1, 4: 0.505 + 0.2475 * ROOT_2, 6: 0.505, 10: 0.01, 11: 0.01},
    ),
    Case(
        "one-cycle-three-phase",
        partial(OneCycle, 0.5, t_max=8, pct_start=0.25, div_factor=5, shape="linear", three_phase=True),
        {0: 0.1, 1: 0.3, 2: 0.5, 3: 0.3, 4: 0.1, 6: 0.050005, 8: 1e-5, 9: 1e-5},
    ),
    Case(
        "one-cycle-no-descent",
        partial(OneCycle, t_max=10, pct_start=0.2, pct_final=0.2, div_factor=4, final_div_factor=4, shape="linear"),
        {0: 0.25, 1: 0.625, 2: 0.25, 6: 0.15625, 10: 0.0625, 11: 0.0625},
    ),
    Case(
        "one-cycle-final",
        partial(
            OneCycle, 0.8, t_max=10, pct_start=0.2, pct_final=0.7, div_factor=4, final_div_factor=4, shape="linear"
        ),
        {0: 0.2, 1: 0.5, 2: 0.8, 3: 0.68, 7: 0.2, 8: 0.15, 9: 0.1, 10: 0.05, 11: 0.05},
    ),
    Case(
        "plateau",
        partial(ReduceOnPlateau, patience=1, factor=0.5, min_lr=0.001),
        {0: 1, 99: 1},
    ),
    Case("plateau-patient", partial(ReduceOnPlateau, patience=2, cooldown=1), {0: 1, 99: 1}),
    Case("polynomial", PolynomialDecay, {}),
    Case(
        "polynomial-square",
        partial(PolynomialDecay, t_max=4, power=2.0),
        {0: 1, 1: 9 / 16, 2: 1 / 4, 3: 1 / 16, 4: 0, 5: 0},
        lambda o: native.PolynomialLR(o, 4, 2.0),
    ),
    Case("polynomial-k", partial(PolynomialDecay, 4, power=2.0, k_decay=2.0), {0: 1, 2: 0.5625, 4: 0, 5: 0}),
    Case(
        "polynomial-cycle",
        partial(PolynomialDecay, 4, cycle=True, eta_min_ratio=0.2),
        {0: 1, 2: 0.6, 4: 0.2, 5: 0.2 + 0.8 * 3 / 8, 8: 0.2, 9: 0.2 + 0.8 * 3 / 12, 12: 0.2},
    ),
    Case("power-rate", partial(PowerDecay, 4, decay_rate=0.5, exponent=1.0), {0: 1, 8: 0.5, 24: 0.25}),
    Case("power", partial(PowerDecay, 1, exponent=0.5), {0: 1, 3: 0.5, 15: 0.25}),
    Case(
        "power-cooldown",
        partial(PowerDecay, 1, exponent=1.0, cooldown=4, t_max=5, eta_min_ratio=0.1),
        {0: 1, 1: 0.5, 2: 0.4, 3: 0.3, 4: 0.2, 5: 0.1, 9: 0.1},
    ),
    Case("product", product, {0: 0.25, 1: 0.5 * (0.505 + 0.2475 * ROOT_2), 2: 0.75 * 0.505, 4: 0.01, 9: 0.01}),
    Case("rex", REX, {}),
    Case("rex-length", partial(REX, 4, eta_min_ratio=0.1), {0: 1, 2: 0.7, 4: 0.1, 9: 0.1}),
    Case("sequence", sequence, {0: 0.5, 1: 1, 2: 0.5, 3: 1, 4: 1, 5: 0.5, 7: 0.25}),
    # down to a half; from there to the floor; and half of that, then all of it
    Case("sequence-onwards", onwards, {0: 1, 1: 0.75, 2: 0.5, 3: 0.255, 4: 0.005, 5: 0.01, 99: 0.01}),
    Case("sequence-plateau", warmed_plateau, {0: 0.1, 1: 0.1, 2: 1, 99: 1}),
    Case(
        "step",
        partial(StepDecay, step_size=2, gamma=0.5),
        {0: 1, 1: 1, 2: 0.5, 3: 0.5, 4: 0.25},
        lambda o: native.StepLR(o, 2, 0.5),
    ),
    Case("step-floor", partial(StepDecay, 2, eta_min=0.02), {0: 1, 2: 0.1, 4: 0.02, 99: 0.02}, bounds=(0.02, 1.0)),
    Case("tanh", TanhDecay, {}),
    Case(
        "tanh-length",  # (1 - tanh(x)) / 2 is 1 / (1 + exp(2 * x)); x goes from -2 to 2
        partial(TanhDecay, 4, lower=-2.0, upper=2.0, eta_min_ratio=0.2),
        {0: 0.2 + 0.8 / (1 + math.exp(-4)), 2: 0.6, 3: 0.2 + 0.8 / (1 + math.exp(2)), 4: 0.2, 9: 0.2},
    ),
    Case("wsd", partial(WarmupStableDecay, 2), {}),
    *(
        Case(f"wsd-{shape}", partial(WarmupStableDecay, 4, shape=shape, t_max=6, eta_min_ratio=0.0625), hand)
        for shape, hand in {
            "linear": {0: 1, 2: 1, 4: 0.53125, 6: 0.0625, 9: 0.0625},
            "cosine": {0: 1, 2: 1, 4: 0.53125, 6: 0.0625},
            "1-sqrt": {0: 1, 2: 1, 3: 0.53125, 6: 0.0625},
            "square": {0: 1, 2: 1, 4: 0.765625, 6: 0.0625},
            "exponential": {0: 1, 2: 1, 3: 0.5, 4: 0.25, 6: 0.0625},
        }.items()
    ),
)
