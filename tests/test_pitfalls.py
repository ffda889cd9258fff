"""Where other systems' schedules go wrong, shape by shape; in brackets the system that did."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    InverseSqrt,
    LRSchedule,
    MultiStepDecay,
    OneCycle,
    PolynomialDecay,
    ReduceOnPlateau,
    WarmupStableDecay,
)
from lightning_lrsched.formula.timeline import ALONE


def lrs(schedule: LRSchedule, n: int, base: float = 1.0) -> list[float]:
    return schedule.place(ALONE).values((range(n), range(n)), [base])[0]


def test_one_cycle_is_neither_negative_nor_over_nor_divided_by_zero() -> None:
    """[torch] -0.143 at the end, an error after it, ZeroDivisionError where the rise takes one step."""
    for t_max in (1, 2, 3, 10):
        for pct_start in (0.0, 0.1, 0.5, 1.0):
            assert all(0.0 < lr <= 1.0 for lr in lrs(OneCycle(t_max=t_max, pct_start=pct_start), 30))


@pytest.mark.parametrize("make", [CosineAnnealing, PolynomialDecay, OneCycle])
def test_nothing_climbs_back_or_falls_under_its_end(make: Any) -> None:
    """[torch, transformers, Bolts, kozistr, torchtitan] cosine returns to the peak, linear turns negative."""
    schedule = make(t_max=5)
    end = schedule.lr_at(5, 1.0)
    assert [schedule.lr_at(t, 1.0) for t in (6, 7, 10, 10**6)] == [end] * 4


def test_milestones_fire_when_they_say() -> None:
    """[timm] one step early; [Keras] one step late."""
    assert lrs(MultiStepDecay([3, 6], 0.5), 8) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_an_absolute_floor_is_the_floor_of_every_group() -> None:
    """[transformers] divided by the optimizer's default LR: a group of a tenth ended at a tenth of it."""
    schedule = CosineAnnealing(4, eta_min=0.05)
    assert [schedule.lr_at(4, base) for base in (1.0, 0.1)] == [0.05, 0.05]


@pytest.mark.parametrize("warmup", [1, 2, 5])
def test_a_warmup_never_trains_at_zero_and_peaks_once_and_in_time(warmup: int) -> None:
    """[transformers, Bolts] LR 0 at first; [Bolts] the peak early and twice, an error at 1; [levanter] no 1 at all."""
    ramp = lrs(CosineAnnealing(10, warmup=warmup), warmup + 2)
    assert ramp[0] > 0.0
    assert ramp.index(max(ramp)) == warmup
    assert ramp.count(1.0) == 1


def test_no_warmup_and_a_warmup_from_zero() -> None:
    """[OLMo] ZeroDivisionError without a warmup; [mmengine] with one from 0."""
    assert lrs(Constant(warmup=0), 2) == [1.0, 1.0]
    assert lrs(Constant(warmup=2, warmup_start_factor=0.0), 3) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("shape", ["linear", "cosine", "1-sqrt", "square", "exponential"])
def test_every_cooldown_ends_on_its_floor_without_a_jump(shape: Any) -> None:
    """[kozistr] floor ignored, then a jump upwards; [OLMo] -2.0 after the end; [torchtitan] an error at decay 0."""
    values = lrs(WarmupStableDecay(10, shape=shape, t_max=20, eta_min_ratio=0.3), 30)
    assert values == sorted(values, reverse=True)
    assert values[20:] == [pytest.approx(0.3)] * 10
    assert max(a - b for a, b in pairwise(values)) < 0.25
    assert min(lrs(WarmupStableDecay(1, shape=shape, t_max=1, eta_min_ratio=0.3), 5)) == pytest.approx(0.3)


def test_an_inverse_root_goes_on_from_where_the_warmup_ends() -> None:
    """[NeMo] 1.0, then .707."""
    values = lrs(InverseSqrt(100, warmup=100), 103)
    assert values[100] == 1.0
    assert values[99] > 0.98
    assert values[101] > 0.99


def test_polynomials_stay_between_the_floor_and_the_base() -> None:
    """[kozistr] grew to 2.6 times the peak."""
    for power in (0.5, 1.0, 2.0, 5.0):
        assert all(0.0 <= lr <= 1.0 for lr in lrs(PolynomialDecay(50, power=power), 100))


def test_a_plateaus_floor_holds_for_every_group() -> None:
    """[ignite] dropped min_lr, and used that of the first group for the others."""
    schedule = ReduceOnPlateau(patience=1, factor=0.1, min_lr=0.05)
    for _ in range(6):
        schedule.check(1.0)
    assert [schedule.lr_at(0, base) for base in (1.0, 0.1)] == [0.05, 0.05]
