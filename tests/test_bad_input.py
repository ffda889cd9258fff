"""Whatever comes as an argument of a schedule is refused by name, or gives finite LRs >= 0: no third outcome.

Hypothesis draws wrong types and values for every argument of every schedule, read from its signature. A plain run of
the tests draws some hundreds; the full one draws 10 000 and more::

    python -m pytest tests/test_bad_input.py -m long
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, Case
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lightning.fabric.utilities.exceptions import MisconfigurationException

import lightning_lrsched
from lightning_lrsched import LRSchedule
from lightning_lrsched.formula.arguments import arguments, parameters
from lightning_lrsched.formula.curves import value_of
from lightning_lrsched.formula.timeline import Pace, Run

HUGE = 10**400  # an int beyond every float
LARGEST, TINIEST = 1.7976931348623157e308, 5e-324
BASE_LRS = (0.0, TINIEST, 1e-300, 0.1, 1e6)

EXTREMES = (TINIEST, LARGEST, HUGE, "0 epochs", [TINIEST, LARGEST], "9" * 400 + " steps")
RUNS = (Run(7, None, Pace(((0, 300),))), Run(None, 1001, Pace(((0, 4), (2, 1)))))

durations = st.builds("{} {}".format, st.integers(0, 60), st.sampled_from(["epochs", "steps", "%"]))
good = {
    "interval": st.sampled_from(["epoch", "step"]),
    "warmup": st.integers(0, 12) | durations,
    "warmup_start_factor": st.none() | st.floats(0.0, 2.0),
    "warmup_shape": st.sampled_from(["linear", "cosine", "1-sqrt", "exponential"]),
}
likely = st.one_of(
    st.integers(0, 12),
    st.floats(0.0, 1.0),
    st.sampled_from([*EXTREMES, 1e-300, 1e6]),
    durations,
    st.lists(st.integers(0, 30), min_size=1, max_size=3, unique=True).map(sorted),
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, LARGEST]), min_size=1, max_size=3),
    st.sampled_from(
        ["epoch", "step", "min", "max", "rel", "abs", "triangular2", "exp_range", "cosine", "operator.mul"]
    ),
    st.sampled_from(
        [None, True, False, (0.8, 0.9), ["a", 0], "lr", "1-sqrt", "exponential", "square", "factor", "low", "high"]
    ),
)
numbers = st.one_of(
    st.integers(-3, 12),
    st.integers(-HUGE, HUGE),
    st.floats(),
    st.floats(0.0, 1.0),
    st.sampled_from([-0.0, math.inf, -math.inf, math.nan, -HUGE, 2**63, -TINIEST, -LARGEST, 1e-300]),
)
texts = st.one_of(
    st.text(max_size=8),
    st.builds(
        "{}{}{}".format,
        st.one_of(numbers, st.sampled_from(["", "²", "٣", "1_0", "+1", "9" * 400, "0.0001", "33.3", "100"])),
        st.sampled_from(["", " ", "\n"]),
        st.sampled_from(["epochs", "epoch", "steps", "step", "%", "s", "batches", ""]),
    ),
)
scalars = st.builds(
    lambda kind, value: kind(value),
    st.sampled_from([np.int64, np.float32, np.float64, np.bool_, np.str_, Fraction, Decimal, complex, torch.tensor]),
    st.sampled_from([0, 1, 3]),
)
plain = st.one_of(numbers, texts, scalars, st.none(), st.booleans(), st.binary(max_size=3))
wrong = st.one_of(
    plain,
    st.lists(plain, max_size=3),
    st.tuples(plain, plain),
    st.dictionaries(st.text(max_size=3), plain, max_size=2),
    st.sets(st.integers(0, 3), max_size=2),
    st.sampled_from([len, lambda t: t, LRSchedule, object(), ..., range(2), np.arange(2), torch.ones(2), b"\x00\x00"]),
)


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    count = Counter[str]()
    yield count
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nbad input: {count.total()} draws: " + ", ".join(f"{n} {what}" for what, n in sorted(count.items())))


def outcome(case: Case, changed: dict[str, Any], run: Run) -> str:
    """What becomes of a schedule with these arguments changed; anything but a clean outcome is an error."""
    kind, given = type(case.make()), arguments(case.make()) | changed
    try:
        schedule = kind(**given)
    except ValueError as error:
        check_message(rf"{kind.__name__}: '(\w+)' must be .+?, got (.+)\.", given, str(error))
        return "refused in the constructor"
    try:
        placed = schedule.place(run)
    except MisconfigurationException as error:
        check_message(rf"{kind.__name__}: '(\w+)' (?:is|must be) (.+)\.", given, str(error))
        return "refused at the start of a fit"
    _, floor = schedule.floor()
    base_lrs = [base_lr for base_lr in BASE_LRS if base_lr >= floor]  # others are refused at the start of a fit
    for t in (*range(1000), 10**9):
        for leaf, own in placed.active((t, t)).items():
            leaf.reactive.react(1.0, own, set(base_lrs))
        moment = placed.moment((t, t), set(base_lrs))
        for base_lr in base_lrs:
            lr = value_of(moment, base_lr)
            assert math.isfinite(lr), (schedule, t, base_lr, lr)
            assert lr >= 0.0, (schedule, t, base_lr, lr)
        assert schedule.momentum is None or 0.0 <= placed.momentum((t, t)) < 1.0, (schedule, t)
    return "accepted"


def check_message(grammar: str, given: dict[str, Any], message: str) -> None:
    """It names the argument, and the value or that part of it which breaks the rule."""
    said = re.fullmatch(grammar, message, re.DOTALL)
    assert said, message
    came = given[said[1]]
    parts = came if isinstance(came, list | tuple | bytes | range) else ()
    assert any(shown in said[2] for value in (came, *parts) for shown in (repr(value), str(value))), message


EACH = [(case, argument) for case in CASES for argument in parameters(type(case.make()))]


@pytest.mark.parametrize(("case", "argument"), EACH, ids=lambda each: getattr(each, "name", each))
@pytest.mark.parametrize("examples", [2, pytest.param(150, marks=pytest.mark.long)])
def test_an_argument_is_refused_by_name_or_gives_finite_lrs(
    tally: Counter[str], case: Case, argument: str, examples: int
) -> None:
    for extreme in EXTREMES:
        tally[outcome(case, {argument: extreme}, RUNS[0])] += 1

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.booleans().flatmap({True: likely, False: wrong}.get),
        st.fixed_dictionaries({}, optional=good),
        st.sampled_from(RUNS),
    )
    def judge(value: Any, others: dict[str, Any], run: Run) -> None:
        assume(argument != "function" or not callable(value))  # somebody's own code may do anything
        tally[outcome(case, {**others, argument: value}, run)] += 1

    judge()


def test_every_public_schedule_has_a_row() -> None:
    public = {getattr(lightning_lrsched, name) for name in lightning_lrsched.__all__}
    schedules = {each for each in public if isinstance(each, type) and issubclass(each, LRSchedule)} - {LRSchedule}
    assert schedules == {type(case.make()) for case in CASES}
