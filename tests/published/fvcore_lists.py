"""The values that fvcore's tests expect: tests/param_scheduler/test_scheduler_*.py of facebookresearch/fvcore, at
242366fe.

Data only. A case is named by its file, without ``test_scheduler_``, and its test; value i of n is the one at the
fraction i / n of the run. ``digits`` is how many decimals the source rounds to; None: it compares exactly, or to 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

TESTS = 20  # test functions in the nine files


class Published(NamedTuple):
    call: str
    values: Sequence[float]
    digits: int | None = None


FALLING_COSINE = [0.0976, 0.0905, 0.0794, 0.0655, 0.05, 0.0345, 0.0206, 0.0095, 0.0024]
RISING_LINE = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09]

CASES = {
    "composite::test_long_scheduler": Published(
        "CompositeParamScheduler([Constant(0.1), Constant(0.2), Constant(0.3), Constant(0.4)],"
        " lengths=[0.2, 0.4, 0.1, 0.3])",
        [0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.4, 0.4, 0.4],
    ),
    "composite::test_scheduler_lengths_within_epsilon_of_one": Published(
        "CompositeParamScheduler([Constant(0.1), Constant(0.2)], lengths=[0.7, 0.2999])",
        [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2],
    ),
    "composite::test_scheduler_with_mixed_types[rescaled]": Published(
        "CompositeParamScheduler([StepParamScheduler(values=[0.1, 0.2, 0.3, 0.4, 0.5], num_updates=10),"
        " CosineParamScheduler(start_value=0.42, end_value=0.0001)], lengths=[0.5, 0.5])",
        [0.1, 0.2, 0.3, 0.4, 0.5, *(0.0001 + 0.4199 * (1 + math.cos(math.pi * i / 5)) / 2 for i in range(5))],
        digits=4,
    ),
    "composite::test_linear_scheduler_no_gaps[rescaled]": Published(
        "CompositeParamScheduler([Linear(start_value=0.0, end_value=0.5), Linear(start_value=0.5, end_value=1.0)],"
        " lengths=[0.5, 0.5])",
        [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
    ),
    "constant::test_scheduler": Published("ConstantParamScheduler(0.1)", [0.1] * 12),
    "cosine::test_scheduler_as_decay": Published(
        "CosineParamScheduler(start_value=0.1, end_value=0)", [0.1, *FALLING_COSINE], digits=4
    ),
    "cosine::test_scheduler_as_warmup": Published(
        "CosineParamScheduler(start_value=0, end_value=0.1)", [0.0, *reversed(FALLING_COSINE)], digits=4
    ),
    "exponential::test_scheduler": Published(
        "ExponentialParamScheduler(start_value=2.0, decay=0.1)",
        [2.0, 1.5887, 1.2619, 1.0024, 0.7962, 0.6325, 0.5024, 0.3991, 0.3170, 0.2518],
        digits=4,
    ),
    "linear::test_scheduler[warmup]": Published(
        "LinearParamScheduler(start_value=0.0, end_value=0.1)", [0.0, *RISING_LINE], digits=4
    ),
    "linear::test_scheduler[decay]": Published(
        "LinearParamScheduler(start_value=0.1, end_value=0.0)", [0.1, *reversed(RISING_LINE)], digits=4
    ),
    "multi_step::test_scheduler": Published(
        "MultiStepParamScheduler(num_updates=12, values=[0.1, 0.01, 0.001, 0.0001], milestones=[4, 6, 8])",
        [0.1] * 4 + [0.01] * 2 + [0.001] * 2 + [0.0001] * 4,
    ),
    "multi_step::test_default_config": Published(
        "MultiStepParamScheduler(num_updates=12, values=[0.1, 0.01, 0.001, 0.0001])",
        [0.1] * 3 + [0.01] * 3 + [0.001] * 3 + [0.0001] * 3,
    ),
    "polynomial::test_scheduler": Published(
        "PolynomialDecayParamScheduler(base_value=0.1, power=1)",
        [0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01],
        digits=2,
    ),
    "step::test_scheduler": Published(
        "StepParamScheduler(num_updates=12, values=[0.1, 0.01, 0.001, 0.0001])",
        [0.1] * 3 + [0.01] * 3 + [0.001] * 3 + [0.0001] * 3,
    ),
    "step_with_fixed_gamma::test_scheduler": Published(
        "StepWithFixedGammaParamScheduler(base_value=1, gamma=0.1, num_decays=3, num_updates=12)",
        [1.0] * 3 + [0.1] * 3 + [0.01] * 3 + [0.001] * 3,
    ),
}
