"""What holds for every schedule: a row in ``cases.CASES`` buys all of it."""

from __future__ import annotations

import copy
import math
import pickle
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import cases
import pytest
import torch
from cases import CASES, ROOT_2, Case
from hypothesis import given, settings
from hypothesis import strategies as st

import lightning_lrsched
from lightning_lrsched import (
    CosineAnnealing,
    CosineRestarts,
    CustomSchedule,
    CyclicalLR,
    ExponentialDecay,
    InverseSqrt,
    LRSchedule,
    StepDecay,
)
from lightning_lrsched.formula.curves import value_of, values_of
from lightning_lrsched.formula.timeline import Pace, Run
from lightning_lrsched.placed import Placed

RUN = Run(epochs=12, pace=Pace(((0, 5),)))
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def placed(case: Case, **common: Any) -> Placed:
    return case.make(**common).place(RUN)


def made(case: Case, **common: Any) -> LRSchedule:
    return placed(case, **common).schedule


def test_every_public_schedule_has_a_row_with_hand_worked_values() -> None:
    public = {getattr(lightning_lrsched, name) for name in lightning_lrsched.__all__ if name[0].isupper()}
    assert {type(case.make()) for case in CASES if case.hand} == public - {LRSchedule}


@every_case
def test_values_are_those_worked_by_hand(case: Case) -> None:
    schedule = made(case)
    assert {t: schedule.lr_at(t, 1.0) for t in case.hand} == pytest.approx(case.hand, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=lambda case: case.name)
def test_values_are_torchs(case: Case) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    assert case.torch is not None
    theirs, ours = case.torch(optimizer), made(case)
    for t in range(100):
        assert ours.lr_at(t, 1.0) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-12), t
        optimizer.step()
        theirs.step()


@every_case
def test_values_stay_in_bounds_and_hold_past_the_end(case: Case) -> None:
    schedule = made(case)
    low, high = case.bounds
    assert all(low <= schedule.lr_at(t, 1.0) <= high * (1 + 1e-15) for t in range(10_001))
    assert math.isfinite(schedule.lr_at(10**15, 1.0))


@every_case
@settings(max_examples=25, deadline=None)
@given(positions=st.lists(st.integers(0, 10**6), min_size=2, max_size=6), base_lr=st.floats(0.02, 10.0))
def test_a_value_depends_on_the_position_alone(case: Case, positions: list[int], base_lr: float) -> None:
    schedule, before = made(case), repr(made(case))
    forth = [schedule.lr_at(t, base_lr) for t in positions]
    back = [schedule.lr_at(t, base_lr) for t in reversed(positions)]
    assert forth == back[::-1] == [made(case).lr_at(t, base_lr) for t in positions]
    assert repr(schedule) == before


@every_case
def test_the_value_of_many_groups_is_the_value_of_each(case: Case) -> None:
    moment = placed(case, warmup=2).moment
    bases = [0.9**i for i in range(20)]
    for t in range(12):
        assert values_of(moment((t, t), set(bases)), bases) == [
            value_of(moment((t, t), {base}), base) for base in bases
        ]


@every_case
def test_warmup_ends_on_the_first_value_and_starts_where_it_is_told(case: Case) -> None:
    plain, warmed = placed(case), placed(case, warmup=4)
    first = value_of(plain.moment((0, 0), {1.0}), 1.0)
    assert value_of(warmed.moment((0, 0), {1.0}), 1.0) == pytest.approx(first / 5)
    assert value_of(warmed.moment((4, 4), {1.0}), 1.0) == first
    halfway = placed(case, warmup=4, warmup_start_factor=0.5).moment((2, 2), {1.0})
    assert value_of(halfway, 1.0) == pytest.approx(0.75 * first)


@pytest.mark.parametrize(
    ("arguments", "first_lrs"),
    [
        ({"warmup_start_factor": 3.0}, [3, 2.5, 2, 1.5, 1]),
        ({"warmup_start_lr": 3.0}, [3, 2.5, 2, 1.5, 1]),
        ({"warmup_shape": "cosine", "warmup_start_factor": 0.0}, [0, 0.5 - ROOT_2 / 4, 0.5, 0.5 + ROOT_2 / 4, 1]),
        ({"warmup_shape": "cosine", "warmup_start_lr": 0.2}, [0.2, 0.6 - 0.2 * ROOT_2, 0.6, 0.6 + 0.2 * ROOT_2, 1]),
        ({"warmup_shape": "cosine"}, [0.2, 0.6 - 0.2 * ROOT_2, 0.6, 0.6 + 0.2 * ROOT_2, 1]),
        ({"warmup_shape": "1-sqrt", "warmup_start_factor": 0.0}, [0, 1 - math.sqrt(0.75), 1 - ROOT_2 / 2, 0.5, 1]),
        ({"warmup_shape": "exponential", "warmup_start_factor": 1e-4}, [1e-4, 1e-3, 1e-2, 1e-1, 1]),
    ],
    ids=str,
)
def test_warmups(arguments: dict[str, Any], first_lrs: list[float]) -> None:
    warmed = CosineRestarts(4, warmup=4, **arguments)
    assert warmed.preview(6) == pytest.approx([*first_lrs, 0.5 + ROOT_2 / 4], abs=1e-15)


def test_a_warmup_from_an_lr_starts_every_group_there_and_passes_under_a_floor() -> None:
    schedule = CosineAnnealing(4, eta_min=0.2, warmup=2, warmup_start_lr=0.1)
    expected = {0.2: [0.1, 0.15, 0.2], 0.4: [0.1, 0.25, 0.4], 1.0: [0.1, 0.55, 1.0]}
    for lrs, base in zip(schedule.preview(3, base_lr=list(expected)), expected, strict=True):
        assert lrs == pytest.approx(expected[base])
    on_its_floor = InverseSqrt(4, d_model=16, eta_min=0.5, warmup=2, warmup_start_lr=0.1)
    assert on_its_floor.preview(3) == pytest.approx([0.1, 0.3, 0.5])
    no_line = CustomSchedule(cases.reciprocal, warmup=2, warmup_start_lr=0.2)
    assert no_line.preview(4) == pytest.approx([0.2, 0.6, 1.0, 0.5])


def test_a_list_of_cycles_in_several_units() -> None:
    cycles = CosineRestarts(["1 epoch", 4, "50%"], decay=[0.5, 2.0], interval="step")
    halves = [(1 + math.cos(math.pi * s / 3)) / 2 for s in range(3)], [1, 0.5 + ROOT_2 / 4, 0.5, 0.5 - ROOT_2 / 4]
    sixths = [(1 + math.cos(math.pi * s / 6)) / 2 for s in range(5)]
    expected = [*halves[0], *(lr / 2 for lr in halves[1]), *sixths]
    assert cycles.preview(4, steps_per_epoch=3) == pytest.approx(expected)
    assert cycles.place(RUN).by_plan()  # a change of pace concerns the whole list


@every_case
def test_pickle_copy_and_repr_give_the_same_schedule(case: Case) -> None:
    schedule = case.make(interval="step", warmup="10%")
    scope = {name: getattr(lightning_lrsched, name) for name in lightning_lrsched.__all__} | {"cases": cases}
    rebuilt = eval(repr(schedule), scope)
    twins = [pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), rebuilt]
    for twin in twins:
        assert repr(twin) == repr(schedule)
        assert twin.state_dict() == schedule.state_dict()
    positions = [(t, t) for t in range(20)]
    for twin in twins:
        assert twin.place(RUN).values(positions, [1.0]) == schedule.place(RUN).values(positions, [1.0])


# ---- far out: the same formulas in exact arithmetic

FAR = [10**12, 10**12 + 1, 10**12 + 12345, 2**40 - 1]


def half_cosine(share: Fraction) -> Decimal:
    """(1 + cos(pi * share)) / 2 to 40 digits, by the series."""
    with localcontext() as context:
        context.prec = 50
        pi = Decimal("3.14159265358979323846264338327950288419716939937511")
        x = pi * Decimal(share.numerator) / Decimal(share.denominator)
        term = total = Decimal(1)
        for n in range(1, 40):
            term *= -x * x / ((2 * n - 1) * (2 * n))
            total += term
        return (1 + total) / 2


@pytest.mark.parametrize("t", FAR)
@pytest.mark.parametrize(("t_0", "t_mult"), [(1000, 1), (7, 2), (10, 3), (999_983, 1), (10, 1.5)])
def test_cosine_restarts_far_out(t: int, t_0: int, t_mult: float) -> None:
    length, start = Fraction(t_0), 0
    if t_mult == 1:
        start = t // t_0 * t_0
    while start + int(length) <= t and t_mult != 1:
        start += int(length)
        length *= Fraction(str(t_mult))
    expected = half_cosine(Fraction(t - start, int(length)))
    assert CosineRestarts(t_0, t_mult).lr_at(t, 1.0) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("t_0", [1, 3, 10, 11])
@pytest.mark.parametrize("t_mult", [2, 3, 7, 1.5, 1.1])
def test_restart_borders_are_exact_at_any_length(t_0: int, t_mult: float) -> None:
    schedule, border, length = CosineRestarts(t_0, t_mult), 0, Fraction(t_0)
    for _ in range(40):
        border += max(int(length), 1)
        length *= Fraction(str(t_mult))
        assert schedule.lr_at(border, 1.0) == 1.0
        before = schedule.lr_at(border - 1, 1.0)
        assert before < 1.0 or schedule.cycles_at()(border - 1)[2] == 1


@pytest.mark.parametrize("t", FAR)
@pytest.mark.parametrize(("up", "down"), [(10, 10), (7, 3), (2000, 8000)])
def test_cyclical_far_out(t: int, up: int, down: int) -> None:
    s = t % (up + down)
    height = Fraction(s, up) if s <= up else Fraction(up + down - s, down)
    expected = Fraction(1, 8) + Fraction(7, 8) * height
    schedule = CyclicalLR(0.125, 1.0, step_size=up, step_size_down=down)
    assert schedule.lr_at(t, 1.0) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("t", FAR)
def test_step_far_out(t: int) -> None:
    gamma = Fraction(0.999999)  # the double that the schedule has
    n = t // 10**8
    with localcontext() as context:
        context.prec = 60
        expected = (Decimal(gamma.numerator) / Decimal(gamma.denominator)) ** n
    assert StepDecay(10**8, 0.999999).lr_at(t, 1.0) == pytest.approx(float(expected), rel=1e-12)


def test_no_drift_after_a_million_steps() -> None:
    """torch multiplies its last LR a million times; a formula does not."""
    gamma = Fraction(0.9999995)
    with localcontext() as context:
        context.prec = 60
        expected = (Decimal(gamma.numerator) / Decimal(gamma.denominator)) ** 10**6
    assert ExponentialDecay(gamma=0.9999995).lr_at(10**6, 1.0) == pytest.approx(float(expected), rel=1e-12)
