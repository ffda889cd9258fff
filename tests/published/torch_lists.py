"""The LRs and momenta that torch's own tests expect: test/optim/test_lrscheduler.py of pytorch/pytorch, at 01f9ef32.

Data only. Its optimizer is an SGD of two groups with LRs of 0.05 and 0.5, which change at the start of an epoch, or of
a batch for the cyclical ones. Where the source writes a formula and not a number, the formula stands here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

TESTS = 135  # test functions in the file


class Published(NamedTuple):
    """What one test expects of the first group, or of both; ``metrics`` are what a plateau is told after each epoch."""

    call: str
    lrs: tuple[Sequence[float], ...]
    momenta: tuple[Sequence[float], ...] = ()
    metrics: Sequence[float] = ()
    bases: tuple[float, float] = (0.05, 0.5)


class Walk(NamedTuple):
    """What one test expects at these epochs, in this order: of each its place in its cycle, and the cycle's length."""

    call: str
    epochs: Sequence[float]
    cycles: Sequence[tuple[float, int]]


def both(lrs: Sequence[float]) -> tuple[Sequence[float], ...]:
    """The second group's LRs are ten times the first's."""
    return lrs, [10 * lr for lr in lrs]


def half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def restarts(base: float, *cycles: int) -> list[float]:
    return [half_cosine(base, 1e-10, t / length) for length in cycles for t in range(length)][:100]


ANNEALED = [half_cosine(0.05, 1e-10, t / 10) for t in range(10)]
FLAT, THIRDS = [0.5] * 20, [1.0] * 3 + [0.1] * 3 + [0.01] * 3 + [0.001]
RISE = [0.4, 0.55, 0.7, 0.85]  # LinearLR(start_factor=0.4, total_iters=4)

DECAYS = {
    "test_step_lr": Published("StepLR(gamma=0.1, step_size=3)", both([0.05] * 3 + [0.005] * 3 + [5e-4] * 3 + [5e-5])),
    "test_get_last_lr_step_lr": Published(
        "StepLR(3, gamma=0.1)", ([0.1] * 3 + [0.01] * 3 + [0.001] * 3 + [0.0001],), bases=(0.1, 0.1)
    ),
    "test_multi_step_lr": Published(
        "MultiStepLR(gamma=0.1, milestones=[2, 5, 9])", both([0.05] * 2 + [0.005] * 3 + [5e-4] * 4 + [5e-5] * 3)
    ),
    "test_get_last_lr_multi_step_lr": Published(
        "MultiStepLR(gamma=0.1, milestones=[2, 5, 9])", both([0.05] * 2 + [0.005] * 3 + [5e-4] * 4 + [5e-5])
    ),
    "test_constantlr": Published("ConstantLR(factor=1/2, total_iters=5)", both([0.025] * 5 + [0.05] * 5)),
    "test_get_last_lr_constantlr": Published("ConstantLR(factor=1/2, total_iters=5)", both([0.025] * 5 + [0.05] * 5)),
    "test_linearlr": Published(
        "LinearLR(start_factor=1/2, total_iters=4)", both([0.025, 0.03125, 0.0375, 0.04375] + [0.05] * 6)
    ),
    "test_get_last_lr_linearlr": Published(
        "LinearLR(start_factor=1/4, end_factor=3/5, total_iters=4)",
        both([0.0125, 0.016875, 0.02125, 0.025625] + [0.03] * 6),
    ),
    "test_exp_lr": Published("ExponentialLR(gamma=0.9)", both([0.05 * 0.9**t for t in range(10)])),
    "test_poly_lr": Published(
        "PolynomialLR(power=0.9, total_iters=5)", both([0.05 * (1 - t / 5) ** 0.9 for t in range(5)] + [0.0] * 5)
    ),
    "test_cos_anneal_lr": Published("CosineAnnealingLR(T_max=10, eta_min=1e-10)", both(ANNEALED)),
    "test_lambda_lr": Published(
        "LambdaLR(lr_lambda=[lambda x: 0.9**x, lambda x: 0.8**x])",
        ([0.05 * 0.9**t for t in range(10)], [0.4 * 0.8**t for t in range(10)]),
        bases=(0.05, 0.4),
    ),
    "test_multiplicative_lr": Published(
        "MultiplicativeLR(lr_lambda=[lambda x: 0.9, lambda x: 0.8])",
        ([0.05 * 0.9**t for t in range(10)], [0.4 * 0.8**t for t in range(10)]),
        bases=(0.05, 0.4),
    ),
    "test_CosineAnnealingWarmRestarts_lr1[T_mult=1]": Published(
        "CosineAnnealingWarmRestarts(T_0=10, T_mult=1, eta_min=1e-10)",
        (restarts(0.05, *[10] * 10), restarts(0.5, *[10] * 10)),
    ),
    "test_CosineAnnealingWarmRestarts_lr1[T_mult=2]": Published(
        "CosineAnnealingWarmRestarts(T_0=10, T_mult=2, eta_min=1e-10)",
        (restarts(0.05, 10, 20, 40, 80), restarts(0.5, 10, 20, 40, 80)),
    ),
    "test_CosineAnnealingWarmRestarts_lr1[T_mult=4]": Published(
        "CosineAnnealingWarmRestarts(T_0=10, T_mult=4, eta_min=1e-10)",
        (restarts(0.05, 10, 40, 160), restarts(0.5, 10, 40, 160)),
    ),
    "test_swalr_no_anneal": Published(
        "SWALR(anneal_epochs=1, swa_lr=0.01) from epoch 5 on", ([0.05] * 6 + [0.01] * 4, [0.5] * 6 + [0.01] * 4)
    ),
    "test_swalr_cosine_anneal_after_multiplicative": Published(
        "MultiplicativeLR(lambda epoch: 0.9), from epoch 5 on SWALR(anneal_epochs=5, swa_lr=0.01)",
        tuple(
            [base * 0.9**t for t in range(6)]
            + [half_cosine(base * 0.9**5, 0.01, t / 5) for t in (1, 2, 3, 4)]
            + [0.01] * 5
            for base in (0.05, 0.5)
        ),
    ),
    "test_swalr_linear_anneal_after_multiplicative": Published(
        "MultiplicativeLR(lambda epoch: 0.9), from epoch 5 on"
        " SWALR(anneal_epochs=4, anneal_strategy='linear', swa_lr=[0.01, 0.02])",
        tuple(
            [base * 0.9**t for t in range(6)]
            + [base * 0.9**5 * (1 - t / 4) + swa_lr * t / 4 for t in (1, 2, 3)]
            + [swa_lr] * 6
            for base, swa_lr in ((0.05, 0.01), (0.5, 0.02))
        ),
    ),
}

COMPOSED = {
    "test_sequentiallr1": Published(
        "SequentialLR([ExponentialLR(gamma=0.8), StepLR(gamma=0.1, step_size=4)], milestones=[3])",
        ([0.05, 0.04, 0.032] + [0.05] * 4 + [0.005] * 4 + [5e-4] * 4 + [5e-5] * 4,),
    ),
    "test_sequentiallr2": Published(
        "SequentialLR([ConstantLR(factor=0.1, total_iters=3), ExponentialLR(gamma=0.9)], milestones=[3])",
        ([0.005] * 3 + [0.05 * 0.9**t for t in range(10)],),
    ),
    "test_sequentiallr3": Published(
        "SequentialLR([ConstantLR(factor=0.1, total_iters=3), ExponentialLR(gamma=0.8), StepLR(gamma=0.1,"
        " step_size=2)], milestones=[3, 6])",
        ([0.005] * 3 + [0.05, 0.04, 0.032] + [0.05] * 2 + [0.005] * 2 + [5e-4] * 2,),
    ),
    "test_get_last_lr_sequentiallr": Published(
        "SequentialLR([ConstantLR(factor=0.1, total_iters=3), ExponentialLR(gamma=0.8), StepLR(gamma=0.1,"
        " step_size=2)], milestones=[3, 6])",
        both([0.005] * 3 + [0.05, 0.04, 0.032] + [0.05] * 2 + [0.005] * 2 + [5e-4] * 2),
    ),
    "test_sequentiallr4": Published(
        "SequentialLR([ConstantLR(factor=1), ConstantLR(factor=0.1)], milestones=[10]): the first LR",
        ([0.1],),
        bases=(0.1, 0.1),
    ),
    "test_sequentiallr5": Published(
        "SequentialLR([ChainedScheduler([LinearLR(start_factor=0.1, total_iters=5), ConstantLR(factor=0.1,"
        " total_iters=5)]), ConstantLR(factor=0.5, total_iters=5)], milestones=[5])",
        ([0.0005, 0.0014, 0.0023, 0.0032, 0.0041] + [0.025] * 5,),
    ),
    "test_sequentiallr_does_not_alias_lr_and_initial_lr": Published(
        "SequentialLR([LinearLR(0.1, 0.8, total_iters=4), LinearLR(0.8, 0.1, total_iters=4)], milestones=[4])",
        ([0.2, 0.55, 0.9, 1.25, 1.6, 1.25, 0.9, 0.55],),
        bases=(2.0, 2.0),
    ),
    "test_chained_lr1": Published(
        "ChainedScheduler([StepLR(gamma=0.1, step_size=3)])", ([0.05 * factor for factor in THIRDS],)
    ),
    "test_chained_lr2": Published(
        "ChainedScheduler([LinearLR(start_factor=0.4, total_iters=3)])", ([0.02, 0.03, 0.04] + [0.05] * 9,)
    ),
    "test_chained_lr3": Published(
        "ChainedScheduler([LinearLR(start_factor=0.4, total_iters=3), MultiStepLR(milestones=[4, 8, 10], gamma=0.1)])",
        ([0.02, 0.03, 0.04, 0.05] + [0.005] * 4 + [0.0005] * 2,),
    ),
    "test_chained_lr4": Published(
        "ChainedScheduler([ExponentialLR(gamma=0.9), ConstantLR(factor=0.2, total_iters=4), StepLR(gamma=0.1,"
        " step_size=3)])",
        (
            [0.05 * 0.2 * 0.9**t for t in range(3)]
            + [0.05 * 0.2 * 0.9**3 * 0.1]
            + [0.05 * 0.9**t * 0.1 for t in range(4, 6)]
            + [0.05 * 0.9**t * 0.01 for t in range(6, 9)],
        ),
    ),
    "test_chained_lr5": Published(
        "ChainedScheduler([PolynomialLR(power=0.9, total_iters=5), ConstantLR(factor=0.1)])",
        ([0.005 * (1 - t / 5) ** 0.9 for t in range(5)] + [0.0] * 5,),
    ),
    "test_compound_step_and_multistep_lr": Published(
        "StepLR(gamma=0.1, step_size=3), MultiStepLR(gamma=0.1, milestones=[2, 5, 9])",
        ([0.05] * 2 + [0.005] + [5e-4] * 2 + [5e-5] + [5e-6] * 3 + [5e-8],),
    ),
    "test_compound_step_and_exp_lr": Published(
        "StepLR(gamma=0.1, step_size=3), ExponentialLR(gamma=0.9)",
        both([0.05 * factor * 0.9**t for t, factor in enumerate(THIRDS)]),
    ),
    "test_compound_exp_and_multistep_lr": Published(
        "MultiStepLR(gamma=0.1, milestones=[2, 5, 9]), ExponentialLR(gamma=0.9)",
        both([base * 0.9**t for t, base in enumerate([0.05] * 2 + [0.005] * 3 + [5e-4] * 4 + [5e-5])]),
    ),
    "test_compound_exp_and_linearlr": Published(
        "LinearLR(start_factor=0.4, end_factor=0.9, total_iters=4), ExponentialLR(gamma=0.9)",
        both([0.05 * 0.9**t * factor for t, factor in enumerate([0.4, 0.525, 0.65, 0.775] + [0.9] * 6)]),
    ),
    "test_compound_step_and_constantlr": Published(
        "StepLR(gamma=0.1, step_size=3), ConstantLR(factor=0.4, total_iters=4)",
        both([0.02] * 3 + [0.002] + [0.005] * 2 + [5e-4] * 3 + [5e-5]),
    ),
    "test_compound_linearlr_and_multistep_lr": Published(
        "MultiStepLR(gamma=0.1, milestones=[2, 5, 9]), LinearLR(start_factor=0.4, total_iters=4)",
        both([0.05 * 0.4, 0.05 * 0.55, 0.005 * 0.7, 0.005 * 0.85, 0.005] + [5e-4] * 4 + [5e-5]),
    ),
    "test_compound_cosanneal_and_step_lr": Published(
        "CosineAnnealingLR(T_max=10, eta_min=1e-10), StepLR(gamma=0.1, step_size=3)",
        both([lr * factor for lr, factor in zip(ANNEALED, THIRDS, strict=True)]),
    ),
    "test_compound_cosanneal_and_multistep_lr": Published(
        "CosineAnnealingLR(T_max=10, eta_min=1e-10), MultiStepLR(gamma=0.1, milestones=[2, 5, 9])",
        both([lr * f for lr, f in zip(ANNEALED, [1.0] * 2 + [0.1] * 3 + [0.01] * 4 + [0.001], strict=True)]),
    ),
    "test_compound_cosanneal_and_linearlr": Published(
        "LinearLR(start_factor=0.4, total_iters=4), CosineAnnealingLR(T_max=10, eta_min=1e-10)",
        both([lr * factor for lr, factor in zip(ANNEALED, [*RISE, *[1.0] * 6], strict=True)]),
    ),
    "test_compound_cosanneal_and_exp_lr": Published(
        "CosineAnnealingLR(T_max=10, eta_min=1e-10), ExponentialLR(gamma=0.1)",
        both([lr * 0.1**t for t, lr in enumerate(ANNEALED)]),
    ),
}


def plateau(call: str, lrs: tuple[Sequence[float], ...], metrics: Sequence[float]) -> Published:
    return Published(call, lrs, metrics=metrics, bases=(0.5, 0.5))


# the LRs are those after each check
PLATEAUS = {
    "test_reduce_lr_on_plateau1": plateau(
        "ReduceLROnPlateau(threshold_mode='abs', mode='min', threshold=0.01, patience=5, cooldown=5)",
        (FLAT,),
        metrics=[10 - i * 0.0167 for i in range(20)],
    ),
    "test_reduce_lr_on_plateau2": plateau(
        "ReduceLROnPlateau(patience=5, cooldown=0, threshold_mode='abs', mode='min', threshold=0.1)",
        ([0.5] * 6 + [0.05] * 7 + [0.005] * 7 + [0.0005] * 2,),
        metrics=[10 - i * 0.0165 for i in range(22)],
    ),
    "test_reduce_lr_on_plateau3": plateau(
        "ReduceLROnPlateau(mode='max', patience=5, cooldown=5, threshold_mode='abs')",
        ([0.5] * 8 + [0.05] * 11 + [0.005] * 3,),
        metrics=[-0.8] * 2 + [-0.234] * 20,
    ),
    "test_reduce_lr_on_plateau4": plateau(
        "ReduceLROnPlateau(mode='max', patience=3, threshold_mode='rel', threshold=0.1)",
        (FLAT,),
        metrics=[1.5 * 1.025**i for i in range(20)],
    ),
    "test_reduce_lr_on_plateau5": plateau(
        "ReduceLROnPlateau(mode='max', threshold_mode='rel', threshold=0.1, patience=5, cooldown=5)",
        ([0.5] * 6 + [0.05] * 11 + [0.005] * 3,),
        metrics=[1.5 * 1.005**i for i in range(20)],
    ),
    "test_reduce_lr_on_plateau6": plateau(
        "ReduceLROnPlateau(mode='min', threshold_mode='rel', threshold=0.1)",
        (FLAT,),
        metrics=[1.5 * 0.85**i for i in range(20)],
    ),
    "test_reduce_lr_on_plateau7": plateau(
        "ReduceLROnPlateau(mode='min', threshold_mode='rel', threshold=0.1, patience=5, cooldown=5)",
        ([0.5] * 6 + [0.05] * 11 + [0.005] * 3,),
        metrics=[1.0] * 7 + [0.6] + [0.5] * 12,
    ),
    "test_reduce_lr_on_plateau8": plateau(
        "ReduceLROnPlateau(mode='max', threshold_mode='rel', min_lr=[0.4, 0.3], threshold=0.1, patience=5, cooldown=5)",
        ([0.5] * 6 + [0.4] * 14, [0.5] * 6 + [0.3] * 14),
        metrics=[1.5 * 1.005**i for i in range(20)],
    ),
    "test_add_param_group_does_not_break_reduce_lr_on_plateau[min_lr=scalar]": plateau(
        "ReduceLROnPlateau(mode='min', threshold_mode='rel', threshold=0.1, patience=5, cooldown=5, min_lr=0);"
        " a third group comes in epoch 8",
        ([0.5] * 6 + [0.05] * 11 + [0.005] * 3,),
        metrics=[1.0] * 7 + [0.6] + [0.5] * 12,
    ),
}

# the LRs are those before each check; torch writes them down, but slices them away before it compares
PLATEAU_PRODUCTS = {
    "test_compound_reduce_lr_on_plateau1": Published(
        "ReduceLROnPlateau(threshold_mode='abs', mode='min', threshold=0.01, patience=5, cooldown=5),"
        " StepLR(gamma=0.1, step_size=3)",
        ([0.5 * 0.1 ** (i // 3) for i in range(20)],),
        metrics=[10 - i * 0.0167 for i in range(20)],
        bases=(0.5, 0.5),
    ),
    "test_compound_reduce_lr_on_plateau4": Published(
        "ReduceLROnPlateau(mode='max', patience=3, threshold_mode='rel', threshold=0.1), CosineAnnealingLR(10, 1e-10)",
        (ANNEALED,),
        metrics=[1.5 * 1.025**i for i in range(20)],
        bases=(0.05, 0.05),
    ),
}

TRIANGLE = [1, 2, 3, 4, 5, 4, 3, 2, 1, 2, 3]
TRIANGLE2 = [1, 2, 3, 4, 5, 4, 3, 2, 1, 1.5, 2, 2.5, 3, 2.5, 2, 1.5, 1, 1.25, 1.5, 1.75, 2, 1.75]
SWING = [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75, 1]
SKEWED = [1, 2, 3, 4, 5, 13 / 3, 11 / 3, 3, 7 / 3, 5 / 3, 1]
SKEWED2 = [1, 3, 5, 13 / 3, 11 / 3, 3, 7 / 3, 5 / 3, 1, 2, 3, 8 / 3, 7 / 3, 2, 5 / 3, 4 / 3, 1, 1.5, 2]
SKEWED2 += [11 / 6, 10 / 6, 9 / 6, 8 / 6, 7 / 6]
SKEWED_SWING = [0, 0.5, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0, 0.5, 1, 5 / 6, 4 / 6]

FALL = [5, 4, 3, 2, 1, 2, 3, 4, 5, 4, 3]
FALL2 = [5, 4, 3, 2, 1, 2, 3, 4, 5, 4.5, 4, 3.5, 3, 3.5, 4, 4.5, 5, 4.75, 4.5, 4.25, 4, 4.25]
SKEWED_FALL = [5, 4, 3, 2, 1, 5 / 3, 7 / 3, 3, 11 / 3, 13 / 3, 5]
SKEWED_FALL2 = [5, 3, 1, 5 / 3, 7 / 3, 3, 11 / 3, 13 / 3, 5, 4, 3, 10 / 3, 11 / 3, 4, 13 / 3, 14 / 3, 5, 4.5, 4]
SKEWED_FALL2 += [25 / 6, 13 / 3, 4.5, 14 / 3, 29 / 6]


def swung(low: float, high: float, swing: Sequence[float]) -> list[float]:
    """Upwards from ``low`` where it is below ``high``, downwards where it is above."""
    return [low + height * (high - low) * 0.9**t for t, height in enumerate(swing)]


ANNEALED25 = [1, 13, 25, *(half_cosine(25, 0.5, t / 7) for t in (1, 2, 3, 4, 5, 6)), 0.5]
ANNEALED1 = [22, 11.5, 1, *(half_cosine(1, 22, t / 7) for t in (1, 2, 3, 4, 5, 6)), 22]
LINEAR25, LINEAR1 = [1, 13, 25, 21.5, 18, 14.5, 11, 7.5, 4, 0.5], [22, 11.5, 1, 4, 7, 10, 13, 16, 19, 22]

CYCLES = {
    "test_cycle_lr_triangular_mode_one_lr": Published(
        "CyclicLR(base_lr=1, max_lr=5, step_size_up=4, base_momentum=1, max_momentum=5, mode='triangular')",
        (TRIANGLE, TRIANGLE),
        (FALL, FALL),
    ),
    "test_cycle_lr_triangular_mode_one_lr_no_momentum": Published(
        "CyclicLR(base_lr=1, max_lr=5, step_size_up=4, cycle_momentum=False, mode='triangular')",
        (TRIANGLE, TRIANGLE),
        ([0] * 11, [0] * 11),
    ),
    "test_cycle_lr_with_momentumless_optimizer": Published(
        "CyclicLR(base_lr=1, max_lr=5, step_size_up=4, cycle_momentum=False, mode='triangular') on an Adam",
        (TRIANGLE, TRIANGLE),
    ),
    "test_cycle_lr_triangular2_mode_one_lr": Published(
        "CyclicLR(base_lr=1, max_lr=5, step_size_up=4, base_momentum=1, max_momentum=5, mode='triangular2')",
        (TRIANGLE2, TRIANGLE2),
        (FALL2, FALL2),
    ),
    "test_cycle_lr_exp_range_mode_one_lr": Published(
        "CyclicLR(base_lr=1, max_lr=5, step_size_up=4, base_momentum=1, max_momentum=5, mode='exp_range', gamma=0.9)",
        (swung(1, 5, SWING), swung(1, 5, SWING)),
        (swung(5, 1, SWING), swung(5, 1, SWING)),
    ),
    "test_cycle_lr_triangular_mode": Published(
        "CyclicLR(base_lr=[1, 2], max_lr=[5, 6], step_size_up=4, base_momentum=[1, 2], max_momentum=[5, 6],"
        " mode='triangular')",
        (TRIANGLE, [lr + 1 for lr in TRIANGLE]),
        (FALL, [momentum + 1 for momentum in FALL]),
    ),
    "test_cycle_lr_triangular2_mode": Published(
        "CyclicLR(base_lr=[1, 3], max_lr=[5, 7], step_size_up=4, base_momentum=[1, 3], max_momentum=[5, 7],"
        " mode='triangular2')",
        (TRIANGLE2, [lr + 2 for lr in TRIANGLE2]),
        (FALL2, [momentum + 2 for momentum in FALL2]),
    ),
    "test_cycle_lr_exp_range_mode": Published(
        "CyclicLR(base_lr=[1, 5], max_lr=[5, 12], step_size_up=4, base_momentum=[1, 5], max_momentum=[5, 12],"
        " mode='exp_range', gamma=0.9)",
        (swung(1, 5, SWING), swung(5, 12, SWING)),
        (swung(5, 1, SWING), swung(12, 5, SWING)),
    ),
    "test_cycle_lr_triangular_mode_step_size_up_down": Published(
        "CyclicLR(base_lr=1, max_lr=5, step_size_up=4, step_size_down=6, base_momentum=1, max_momentum=5,"
        " mode='triangular')",
        (SKEWED, SKEWED),
        (SKEWED_FALL, SKEWED_FALL),
    ),
    "test_cycle_lr_triangular2_mode_step_size_up_down": Published(
        "CyclicLR(base_lr=[1, 3], max_lr=[5, 7], step_size_up=2, step_size_down=6, base_momentum=[1, 3],"
        " max_momentum=[5, 7], mode='triangular2')",
        (SKEWED2, [lr + 2 for lr in SKEWED2]),
        (SKEWED_FALL2, [momentum + 2 for momentum in SKEWED_FALL2]),
    ),
    "test_cycle_lr_exp_range_mode_step_size_up_down": Published(
        "CyclicLR(base_lr=1, max_lr=5, step_size_up=2, step_size_down=6, base_momentum=1, max_momentum=5,"
        " mode='exp_range', gamma=0.9)",
        (swung(1, 5, SKEWED_SWING), swung(1, 5, SKEWED_SWING)),
        (swung(5, 1, SKEWED_SWING), swung(5, 1, SKEWED_SWING)),
    ),
    "test_onecycle_lr_linear_annealing": Published(
        "OneCycleLR(max_lr=25, final_div_factor=2, base_momentum=1, max_momentum=22, total_steps=10,"
        " anneal_strategy='linear')",
        (LINEAR25, LINEAR25),
        (LINEAR1, LINEAR1),
    ),
    "test_cycle_lr_with_adam": Published(
        "OneCycleLR(max_lr=25, final_div_factor=2, base_momentum=1, max_momentum=22, total_steps=10,"
        " anneal_strategy='linear'), beta1 as the momentum, on an Adam",
        (LINEAR25, LINEAR25),
        (LINEAR1, LINEAR1),
    ),
    "test_onecycle_lr_linear_annealing_three_phases": Published(
        "OneCycleLR(max_lr=25, div_factor=25, base_momentum=1, max_momentum=22, total_steps=10,"
        " anneal_strategy='linear', pct_start=0.4, final_div_factor=4, three_phase=True)",
        ([1, 9, 17, 25, 17, 9, 1, 0.75, 0.5, 0.25],) * 2,
        ([22, 15, 8, 1, 8, 15, 22, 22, 22, 22],) * 2,
    ),
    "test_onecycle_lr_cosine_annealing": Published(
        "OneCycleLR(max_lr=25, final_div_factor=2, base_momentum=1, max_momentum=22, total_steps=10)",
        (ANNEALED25, ANNEALED25),
        (ANNEALED1, ANNEALED1),
    ),
}


def tenths(*cycles: int) -> list[tuple[float, int]]:
    return [(tenth / 10, cycle) for cycle in cycles for tenth in range(10 * cycle)][:300]


WALKS = {
    **{
        f"test_CosineAnnealingWarmRestarts_lr2[T_mult={t_mult}]": Walk(
            f"CosineAnnealingWarmRestarts(T_0=10, T_mult={t_mult}, eta_min=1e-10)", [n / 10 for n in range(300)], cycles
        )
        for t_mult, cycles in {1: tenths(10, 10, 10), 2: tenths(10, 20), 4: tenths(10, 40)}.items()
    },
    "test_CosineAnnealingWarmRestarts_lr3[T_mult=1]": Walk(
        "CosineAnnealingWarmRestarts(T_0=10, T_mult=1, eta_min=1e-10)",
        [0, 1, 2, 3, 4, 5, 12, 27, 3, 4, 5, 6, 13],
        [(t, 10) for t in (0, 1, 2, 3, 4, 5, 2, 7, 3, 4, 5, 6, 3)],
    ),
    "test_CosineAnnealingWarmRestarts_lr3[T_mult=2]": Walk(
        "CosineAnnealingWarmRestarts(T_0=10, T_mult=2, eta_min=1e-10)",
        [0, 1, 2, 3, 4, 5, 25, 32, 33, 34, 80, 81, 3],
        list(zip((0, 1, 2, 3, 4, 5, 15, 2, 3, 4, 10, 11, 3), (*[10] * 6, 20, *[40] * 3, 80, 80, 10), strict=True)),
    ),
    "test_CosineAnnealingWarmRestarts_lr3[T_mult=3]": Walk(
        "CosineAnnealingWarmRestarts(T_0=10, T_mult=3, eta_min=1e-10)",
        [0, 0.1, 0.2, 0.3, 1.3, 2.3, 17.5, 18.5, 19.5, 29.5, 30.5, 31.5, 50],
        [
            *((t, 10) for t in (0, 0.1, 0.2, 0.3, 1.3, 2.3)),
            *((t, 30) for t in (7.5, 8.5, 9.5, 19.5, 20.5, 21.5)),
            (10, 90),
        ],
    ),
}
