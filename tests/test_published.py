"""The LRs that the tests of torch, Composer and fvcore expect, out of this package's schedules in real Trainers.

``published/`` holds their numbers. Here stand the schedule that each case is in this package, and why a case is left
out. The conventions that differ, and what the tables below make of them:

- torch's plateau reduces after ``patience + 1`` checks without improvement: its patience=p is patience=p+1 here.
- torch's OneCycleLR ends at ``total_steps - 1`` and peaks at ``pct_start * total_steps - 1``: 9 and 2 of its
  total_steps=10 with pct_start=0.3 are t_max=9 and pct_start=2/9 here.
- torch's lists of momenta go up to 22, where no optimizer's momentum lies: they are divided by 32 here.
- torch gives CyclicLR lists for its groups; here each group has its schedule.
- torch's SWALR has no counterpart; what it does to the LR is a sequence that ends in keyframes.
- Composer's milestones and t_max count from the start of the run, here from the end of the warmup. Its warmup begins
  at 0. Its scale_schedule_ratio multiplies all durations but those in parts of the run and the warmup; here they are
  written multiplied. Its ExponentialScheduler falls with every batch, by gamma an epoch. Its runs of up to 4 000 000
  batches are runs of a Trainer whose count of updates is wound forward. The other tests of its file hold no LRs.
- fvcore's schedulers are functions of the fraction of the run, from absolute start values; here the start value, or
  where that is 0 the end value, is the base LR.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from models import Recorder, trainer
from published import composer_cases, fvcore_lists, torch_lists
from published.torch_lists import Published
from torch import nn

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    CosineRestarts,
    CustomSchedule,
    CyclicalLR,
    ExponentialDecay,
    Keyframes,
    LRSchedule,
    MultiStepDecay,
    OneCycle,
    PolynomialDecay,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
)

# ---- torch

Ours = dict[str, list[LRSchedule]]
Product, Sequential = ProductSchedule, SequentialSchedule
FROM_04 = {"warmup": 4, "warmup_start_factor": 0.4}

DECAYS: Ours = {
    "test_step_lr": [StepDecay(3)],
    "test_get_last_lr_step_lr": [StepDecay(3)],
    "test_multi_step_lr": [MultiStepDecay([2, 5, 9])],
    "test_get_last_lr_multi_step_lr": [MultiStepDecay([2, 5, 9])],
    "test_constantlr": [Constant(0.5, duration=5)],
    "test_get_last_lr_constantlr": [Constant(0.5, duration=5)],
    "test_linearlr": [Constant(warmup=4, warmup_start_factor=0.5)],
    "test_get_last_lr_linearlr": [Keyframes([0, 4], [1 / 4, 3 / 5])],
    "test_exp_lr": [ExponentialDecay(gamma=0.9)],
    "test_poly_lr": [PolynomialDecay(5, power=0.9)],
    "test_cos_anneal_lr": [CosineAnnealing(10, eta_min=1e-10)],
    "test_lambda_lr": [
        CustomSchedule(lambda t, base_lr: base_lr * 0.9**t, param_groups=0),
        CustomSchedule(lambda t, base_lr: base_lr * 0.8**t, param_groups=1),
    ],
    "test_multiplicative_lr": [
        ExponentialDecay(gamma=0.9, param_groups=0),
        ExponentialDecay(gamma=0.8, param_groups=1),
    ],
    **{
        f"test_CosineAnnealingWarmRestarts_lr1[T_mult={t_mult}]": [CosineRestarts(10, t_mult, eta_min=1e-10)]
        for t_mult in (1, 2, 4)
    },
    # SWALR's LR of an epoch is in force from the next one on
    "test_swalr_no_anneal": [Sequential([Constant(), Keyframes([0], [0.01], unit="lr")], [6])],
    "test_swalr_cosine_anneal_after_multiplicative": [
        Sequential(
            [ExponentialDecay(gamma=0.9), Keyframes([0, 5], [base * 0.9**5, 0.01], unit="lr", shape="cosine")],
            milestones=[5],
            param_groups=group,
        )
        for group, base in enumerate((0.05, 0.5))
    ],
    "test_swalr_linear_anneal_after_multiplicative": [
        Sequential(
            [ExponentialDecay(gamma=0.9), Keyframes([0, 4], [base * 0.9**5, swa_lr], unit="lr")],
            milestones=[5],
            param_groups=group,
        )
        for group, (base, swa_lr) in enumerate(((0.05, 0.01), (0.5, 0.02)))
    ],
}

COMPOSED: Ours = {
    "test_sequentiallr1": [Sequential([ExponentialDecay(gamma=0.8), StepDecay(4)], [3])],
    "test_sequentiallr2": [Sequential([Constant(0.1, 3), ExponentialDecay(gamma=0.9)], [3])],
    "test_sequentiallr3": [Sequential([Constant(0.1, 3), ExponentialDecay(gamma=0.8), StepDecay(2)], [3, 6])],
    "test_get_last_lr_sequentiallr": [
        Sequential([Constant(0.1, 3), ExponentialDecay(gamma=0.8), StepDecay(2)], [3, 6])
    ],
    "test_sequentiallr4": [Sequential([Constant(), Constant(0.1)], [10])],
    "test_sequentiallr5": [
        Sequential([Product([Keyframes([0, 5], [0.1, 1.0]), Constant(0.1, 5)]), Constant(0.5, 5)], [5])
    ],
    "test_sequentiallr_does_not_alias_lr_and_initial_lr": [
        Sequential([Keyframes([0, 4], [0.1, 0.8]), Keyframes([0, 4], [0.8, 0.1])], [4])
    ],
    "test_chained_lr1": [StepDecay(3)],
    "test_chained_lr2": [Constant(warmup=3, warmup_start_factor=0.4)],
    "test_chained_lr3": [Product([Constant(warmup=3, warmup_start_factor=0.4), MultiStepDecay([4, 8, 10])])],
    "test_chained_lr4": [Product([ExponentialDecay(gamma=0.9), Constant(0.2, 4), StepDecay(3)])],
    "test_chained_lr5": [Product([PolynomialDecay(5, power=0.9), Constant(0.1, 5)])],
    "test_compound_step_and_multistep_lr": [Product([StepDecay(3), MultiStepDecay([2, 5, 9])])],
    "test_compound_step_and_exp_lr": [Product([StepDecay(3), ExponentialDecay(gamma=0.9)])],
    "test_compound_exp_and_multistep_lr": [Product([MultiStepDecay([2, 5, 9]), ExponentialDecay(gamma=0.9)])],
    "test_compound_exp_and_linearlr": [Product([Keyframes([0, 4], [0.4, 0.9]), ExponentialDecay(gamma=0.9)])],
    "test_compound_step_and_constantlr": [Product([StepDecay(3), Constant(0.4, 4)])],
    "test_compound_linearlr_and_multistep_lr": [Product([MultiStepDecay([2, 5, 9]), Constant(**FROM_04)])],
    "test_compound_cosanneal_and_step_lr": [Product([CosineAnnealing(10, eta_min=1e-10), StepDecay(3)])],
    "test_compound_cosanneal_and_multistep_lr": [
        Product([CosineAnnealing(10, eta_min=1e-10), MultiStepDecay([2, 5, 9])])
    ],
    "test_compound_cosanneal_and_linearlr": [Product([Constant(**FROM_04), CosineAnnealing(10, eta_min=1e-10)])],
    "test_compound_cosanneal_and_exp_lr": [Product([CosineAnnealing(10, eta_min=1e-10), ExponentialDecay(gamma=0.1)])],
}

# patience is torch's and one more
ABSOLUTE = {"threshold_mode": "abs", "patience": 6}
RELATIVE = {"threshold": 0.1, "patience": 6, "cooldown": 5}
PLATEAUS: Ours = {
    "test_reduce_lr_on_plateau1": [ReduceOnPlateau(threshold=0.01, cooldown=5, **ABSOLUTE)],
    "test_reduce_lr_on_plateau2": [ReduceOnPlateau(threshold=0.1, **ABSOLUTE)],
    "test_reduce_lr_on_plateau3": [ReduceOnPlateau(mode="max", cooldown=5, **ABSOLUTE)],
    "test_reduce_lr_on_plateau4": [ReduceOnPlateau(mode="max", patience=4, threshold=0.1)],
    "test_reduce_lr_on_plateau5": [ReduceOnPlateau(mode="max", **RELATIVE)],
    "test_reduce_lr_on_plateau6": [ReduceOnPlateau(threshold=0.1, patience=11)],
    "test_reduce_lr_on_plateau7": [ReduceOnPlateau(**RELATIVE)],
    "test_reduce_lr_on_plateau8": [
        ReduceOnPlateau(mode="max", min_lr=0.4, param_groups=0, **RELATIVE),
        ReduceOnPlateau(mode="max", min_lr=0.3, param_groups=1, **RELATIVE),
    ],
    "test_add_param_group_does_not_break_reduce_lr_on_plateau[min_lr=scalar]": [ReduceOnPlateau(**RELATIVE)],
}
PLATEAU_PRODUCTS: Ours = {
    "test_compound_reduce_lr_on_plateau1": [
        Product([ReduceOnPlateau(threshold=0.01, cooldown=5, **ABSOLUTE), StepDecay(3)])
    ],
    "test_compound_reduce_lr_on_plateau4": [
        Product([ReduceOnPlateau(mode="max", patience=4, threshold=0.1), CosineAnnealing(10, eta_min=1e-10)])
    ],
}

MOMENTUM_UNIT = 32


def swung(low: float, high: float, **arguments: Any) -> CyclicalLR:
    """The momentum swings between the same two numbers."""
    momentum = low / MOMENTUM_UNIT, high / MOMENTUM_UNIT
    return CyclicalLR(low, high, momentum=momentum, interval="step", **arguments)


def one_cycle(**arguments: Any) -> OneCycle:
    return OneCycle(25.0, t_max=9, momentum=(1 / MOMENTUM_UNIT, 22 / MOMENTUM_UNIT), interval="step", **arguments)


EXP_RANGE = {"mode": "exp_range", "gamma": 0.9}
CYCLES: Ours = {
    "test_cycle_lr_triangular_mode_one_lr": [swung(1, 5, step_size=4)],
    "test_cycle_lr_triangular_mode_one_lr_no_momentum": [CyclicalLR(1, 5, step_size=4, interval="step")],
    "test_cycle_lr_with_momentumless_optimizer": [CyclicalLR(1, 5, step_size=4, interval="step")],
    "test_cycle_lr_triangular2_mode_one_lr": [swung(1, 5, step_size=4, mode="triangular2")],
    "test_cycle_lr_exp_range_mode_one_lr": [swung(1, 5, step_size=4, **EXP_RANGE)],
    "test_cycle_lr_triangular_mode": [
        swung(1, 5, step_size=4, param_groups=0),
        swung(2, 6, step_size=4, param_groups=1),
    ],
    "test_cycle_lr_triangular2_mode": [
        swung(1, 5, step_size=4, mode="triangular2", param_groups=0),
        swung(3, 7, step_size=4, mode="triangular2", param_groups=1),
    ],
    "test_cycle_lr_exp_range_mode": [
        swung(1, 5, step_size=4, param_groups=0, **EXP_RANGE),
        swung(5, 12, step_size=4, param_groups=1, **EXP_RANGE),
    ],
    "test_cycle_lr_triangular_mode_step_size_up_down": [swung(1, 5, step_size=4, step_size_down=6)],
    "test_cycle_lr_triangular2_mode_step_size_up_down": [
        swung(1, 5, step_size=2, step_size_down=6, mode="triangular2", param_groups=0),
        swung(3, 7, step_size=2, step_size_down=6, mode="triangular2", param_groups=1),
    ],
    "test_cycle_lr_exp_range_mode_step_size_up_down": [swung(1, 5, step_size=2, step_size_down=6, **EXP_RANGE)],
    "test_onecycle_lr_linear_annealing": [one_cycle(pct_start=2 / 9, final_div_factor=2, shape="linear")],
    "test_cycle_lr_with_adam": [one_cycle(pct_start=2 / 9, final_div_factor=2, shape="linear")],
    "test_onecycle_lr_linear_annealing_three_phases": [
        one_cycle(pct_start=3 / 9, final_div_factor=4, shape="linear", three_phase=True)
    ],
    "test_onecycle_lr_cosine_annealing": [one_cycle(pct_start=2 / 9, final_div_factor=2)],
}

# a cycle of 10 epochs counted in tenths
WALKS = {
    **{f"test_CosineAnnealingWarmRestarts_lr2[T_mult={n}]": CosineRestarts(100, n, eta_min=1e-10) for n in (1, 2, 4)},
    **{f"test_CosineAnnealingWarmRestarts_lr3[T_mult={n}]": CosineRestarts(100, n, eta_min=1e-10) for n in (1, 2, 3)},
}

REFUSED = {
    "test_cycle_lr_invalid_mode": partial(CyclicalLR, 0, 0, step_size=2000, mode="CATS"),
    "test_onecycle_lr_invalid_anneal_strategy": partial(OneCycle, 1e-3, t_max=9, shape="CATS"),
    "test_onecycle_lr_invalid_pct_start": partial(OneCycle, 1e-3, t_max=9, pct_start=1.1),
    "test_multiplicative_lr_with_lr_lambda": partial(CustomSchedule, 0.95),
}
REFUSED_BY_RUN = {
    "test_onecycle_lr_cannot_calculate_total_steps": (OneCycle(1e-3), torch.optim.SGD, "'t_max'"),
    "test_cycle_lr_cycle_momentum_fail_with_momentumless_optimizer": (
        swung(1, 5, step_size=2000),
        torch.optim.Rprop,
        "momentum",
    ),
}


def why(reason: str, *cases: str) -> dict[str, str]:
    return dict.fromkeys(cases, reason)


TORCH_LEFT_OUT = {
    **why(
        "the list of another test over again, walked with the deprecated step(epoch)",
        "test_constantlr_with_epoch",
        "test_linearlr_with_epoch",
        "test_multi_step_lr_with_epoch",
    ),
    **why("the list of test_onecycle_lr_cosine_annealing over again", "test_onecycle_lr_legacy_state_dict"),
    **why(
        "its list is never compared: `targets = targets[1:]` leaves none of one; and it multiplies a reduction after"
        " check i by the other factor before it, which no run does",
        "test_compound_reduce_lr_on_plateau2",
        "test_compound_reduce_lr_on_plateau3",
        "test_compound_reduce_lr_on_plateau5",
    ),
    **why(
        "a floor for a group that is not there yet; else the list of [min_lr=scalar]",
        "test_add_param_group_does_not_break_reduce_lr_on_plateau[min_lr=list]",
    ),
    **why(
        "no numbers: torch's recursive form against torch's closed form",
        *(
            f"test_closed_form_{of}"
            for of in ("step_lr", "linearlr", "constantlr", "multi_step_lr", "exp_lr", "poly_lr", "cos_anneal_lr")
        ),
    ),
    **why(
        "no numbers: that step(2) twice is step(2) once, which a function of the position cannot break",
        *(
            f"test_{of}_is_constant_for_constant_epoch"
            for of in ("step_lr", "exponential_lr", "constantlr", "linear_linearlr", "polynomial_lr")
        ),
    ),
    **why(
        "no numbers: one torch scheduler against another",
        "test_cos_anneal_lr_continue",
        "test_chained_lr2_get_last_lr_before_step",
        "test_lr_scheduler_checkpoint",
        "test_lr_scheduler_checkpoint_on_plateau",
        "test_reduce_lr_on_plateau_get_last_lr_before_step",
    ),
    **why(
        "no numbers: that it starts; its numbers are test_cycle_lr_with_adam's",
        "test_cycle_lr_cycle_momentum_with_beta1_optimizer",
    ),
    **why("no numbers but a bound, on two schedulers stepped in turn", "test_cosine_then_cyclic"),
    **why(
        "torch's own argument: a start factor of 0 or above 1 is allowed here",
        "test_linearlr_start_factor_limits1",
        "test_linearlr_start_factor_limits2",
    ),
    **why("torch's own argument: scale_fn", "test_cycle_lr_scale_fn_restored_from_state_dict"),
    **why("torch's own arguments: SWALR's", "test_swalr_hypers"),
    **why("torch's own attribute: T_cur", "test_CosineAnnealingWarmRestarts_T_cur_reset"),
    **why(
        "the interface of torch's schedulers, without numbers: get_lr(), last_epoch, initial_lr",
        "test_error_when_getlr_has_epoch",
        "test_raise_error_when_last_epoch_is_greater_than_0_and_initial_lr_is_not_specified",
        "test_add_param_group_errors_reduce_lr_on_plateau",
        "test_constant_initial_lr",
        "test_constant_initial_params_cyclelr",
        "test_constant_initial_params_onecyclelr",
        "test_constant_initial_params_swalr",
        "test_reduce_lr_on_plateau_preserves_lr_type",
    ),
    **why(
        "the order of scheduler.step() and optimizer.step(), which is the Trainer's here",
        "test_old_pattern_warning",
        "test_old_pattern_warning_with_arg",
        "test_old_pattern_warning_resuming",
        "test_old_pattern_warning_resuming_with_arg",
        "test_old_pattern_warning_with_overridden_optim_step",
        "test_new_pattern_no_warning",
        "test_new_pattern_no_warning_with_arg",
        "test_new_pattern_no_warning_with_overridden_optim_step",
        "test_sequentiallr_no_warnings",
    ),
    **why(
        "references and garbage, without numbers",
        "test_no_cyclic_references",
        "test_no_cyclic_references_in_step",
        "test_cycle_lr_removed_after_out_of_scope",
    ),
    **why(
        "the state of torch's schedulers, without numbers; test_resume.py is about ours",
        "test_step_lr_state_dict",
        "test_multi_step_lr_state_dict",
        "test_exp_step_lr_state_dict",
        "test_cosine_lr_state_dict",
        "test_reduce_lr_on_plateau_state_dict",
        "test_lambda_lr_state_dict_fn",
        "test_lambda_lr_state_dict_obj",
        "test_CosineAnnealingWarmRestarts_lr_state_dict",
        "test_swa_lr_state_dict",
        "test_cycle_lr_state_dict_picklable",
        "test_lr_scheduler_state_dict_load",
    ),
}

TORCH_TABLES: list[tuple[Any, Any]] = [
    (torch_lists.DECAYS, DECAYS),
    (torch_lists.COMPOSED, COMPOSED),
    (torch_lists.PLATEAUS, PLATEAUS),
    (torch_lists.PLATEAU_PRODUCTS, PLATEAU_PRODUCTS),
    (torch_lists.CYCLES, CYCLES),
    (torch_lists.WALKS, WALKS),
]


def of(published: dict[str, Published], ours: Ours) -> list[Any]:
    return [pytest.param(published[case], ours[case], id=case) for case in published]


class TwoGroups(Recorder):
    """Linear regression whose weight and bias have an LR each; ``momenta`` are those of each update.

    As in torch's tests the second LR is a tensor, where the optimizer can have one.
    """

    def __init__(self, case: Published, optimizer: Any = torch.optim.SGD, **kw: Any) -> None:
        super().__init__(**kw)
        self.case, self.optimizer = case, optimizer
        self.val_metrics = list(case.metrics)
        self.momenta: list[list[float]] = []

    def configure_optimizers(self) -> Any:
        first, second = self.case.bases
        lrs = [first, torch.tensor(second) if self.optimizer is torch.optim.SGD else second]
        return self.optimizer([{"params": [p], "lr": lr} for p, lr in zip(self.parameters(), lrs, strict=True)])

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        groups = optimizer.param_groups
        self.momenta.append([group["betas"][0] if "betas" in group else group["momentum"] for group in groups])


def approx(expected: Iterable[float]) -> Any:
    """torch's tests allow 1e-5; a tensor LR is a float32."""
    return pytest.approx(list(expected), rel=1e-6, abs=1e-15)


def check(recorded: list[Any], expected: Sequence[Sequence[float]]) -> None:
    for group, values in enumerate(expected):
        assert [found[group] for found in recorded] == approx(values)


@pytest.mark.parametrize(("case", "ours"), of(torch_lists.DECAYS, DECAYS) + of(torch_lists.COMPOSED, COMPOSED))
def test_torch_lists(case: Published, ours: list[LRSchedule], tmp_path: Path) -> None:
    model = TwoGroups(case, batches=1)
    trainer(tmp_path, *ours, max_epochs=len(case.lrs[0])).fit(model)
    check(model.used, case.lrs)


@pytest.mark.parametrize(("case", "ours"), of(torch_lists.CYCLES, CYCLES))
def test_torch_cycles(case: Published, ours: list[LRSchedule], tmp_path: Path) -> None:
    optimizer = torch.optim.Adam if case.call.endswith("on an Adam") else torch.optim.SGD
    model = TwoGroups(case, optimizer, batches=len(case.lrs[0]))
    trainer(tmp_path, *ours, max_epochs=1).fit(model)
    check(model.used, case.lrs)
    check(model.momenta, [[momentum / MOMENTUM_UNIT for momentum in momenta] for momenta in case.momenta])


class ThirdGroup(Callback):
    """Adds a group in epoch 8."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.current_epoch == 8:
            parameter = nn.Parameter(torch.rand(2, 3))
            trainer.optimizers[0].add_param_group({"params": [parameter], "lr": 0.05})


@pytest.mark.parametrize(("case", "ours"), of(torch_lists.PLATEAUS, PLATEAUS))
def test_torch_plateaus(case: Published, ours: list[LRSchedule], tmp_path: Path) -> None:
    model = TwoGroups(case, batches=1, val_batches=1)
    others = [ThirdGroup()] if case.call.endswith("a third group comes in epoch 8") else []
    run = trainer(tmp_path, *ours, *others, max_epochs=len(case.metrics))
    run.fit(model)
    final = [float(group["lr"]) for group in run.optimizers[0].param_groups]
    check([*model.used[1:], final], case.lrs)


@pytest.mark.parametrize(("case", "ours"), of(torch_lists.PLATEAU_PRODUCTS, PLATEAU_PRODUCTS))
def test_torch_plateaus_in_products(case: Published, ours: list[LRSchedule], tmp_path: Path) -> None:
    model = TwoGroups(case, batches=1, val_batches=1)
    trainer(tmp_path, *ours, max_epochs=len(case.lrs[0])).fit(model)
    check(model.used, case.lrs)


@pytest.mark.parametrize("case", WALKS)
def test_torch_walks(case: str) -> None:
    """Fractions of an epoch and jumps back, which no Trainer makes: the formula alone."""
    walk, restarts = torch_lists.WALKS[case], WALKS[case]
    for base in (0.05, 0.5):
        expected = [torch_lists.half_cosine(base, 1e-10, t / length) for t, length in walk.cycles]
        assert [restarts.lr_at(round(10 * epoch), base) for epoch in walk.epochs] == approx(expected)


@pytest.mark.parametrize("case", REFUSED)
def test_torch_refusals(case: str) -> None:
    with pytest.raises(ValueError, match=f"^{REFUSED[case].func.__name__}: '.*' must be .*, got "):
        REFUSED[case]()


@pytest.mark.parametrize("case", REFUSED_BY_RUN)
def test_torch_refusals_by_the_run(case: str, tmp_path: Path) -> None:
    schedule, optimizer, what = REFUSED_BY_RUN[case]
    model = TwoGroups(Published("", ()), optimizer, batches=1)
    with pytest.raises(MisconfigurationException, match=f"^{type(schedule).__name__}: .*{what}"):
        trainer(tmp_path, schedule, max_epochs=-1).fit(model)


def test_every_torch_test_is_run_or_left_out() -> None:
    for published, ours in TORCH_TABLES:
        assert list(published) == list(ours)
    run = {*REFUSED, *REFUSED_BY_RUN, *(case for published, _ in TORCH_TABLES for case in published)}
    assert not run & set(TORCH_LEFT_OUT)
    assert (len(run), len(TORCH_LEFT_OUT)) == (79, 63)
    assert len({case.split("[")[0] for case in (*run, *TORCH_LEFT_OUT)}) == torch_lists.TESTS


# ---- Composer

STEP: dict[str, Any] = {"interval": "step"}


def warm(warmup: int | str) -> dict[str, Any]:
    return {"interval": "step", "warmup": warmup, "warmup_start_factor": 0.0}


COMPOSER: list[LRSchedule] = [
    StepDecay(10, **STEP),
    StepDecay("0.2%", 0.8, **STEP),
    StepDecay("1 epoch", 0.5, **STEP),
    StepDecay(5, 0.5, **STEP),
    MultiStepDecay([10, 30, 70], **STEP),
    MultiStepDecay([100, "1 epoch", "1%"], 0.5, **STEP),
    MultiStepDecay([400, "4 epochs", "1%"], 0.5, **STEP),
    PolynomialDecay(**STEP),
    Keyframes([0, "100%"], [0.0, 2.0], **STEP),
    Keyframes([0, "25%"], [0.0, 1.0], **STEP),
    Keyframes([0, "25%"], [0.0, 1.0], **STEP),
    ExponentialDecay(gamma=0.5 ** (1 / 1000), **STEP),
    ExponentialDecay(gamma=0.5 ** (1 / 2000), **STEP),
    CosineAnnealing(**STEP),
    CosineAnnealing(30, eta_min_ratio=0.5, **STEP),
    CosineAnnealing(6, eta_min_ratio=0.5, **STEP),
    CosineRestarts(30, **STEP),
    CosineRestarts("0.3%", 1.5, **STEP),
    CosineRestarts("15 epochs", 2, eta_min_ratio=0.5, **STEP),
    PolynomialDecay(power=2.0, **STEP),
    PolynomialDecay(100, power=2.0, eta_min_ratio=0.5, **STEP),
    PolynomialDecay(50, power=2.0, eta_min_ratio=0.5, **STEP),
    MultiStepDecay([20 - 10, 40 - 10], **warm(10)),
    MultiStepDecay([1000 - 10, 2000 - 10], 0.5, **warm(10)),
    MultiStepDecay([1000 - 5, 2000 - 5], 0.5, **warm(5)),
    Constant(**warm("1000 epochs")),
    Constant(**warm("500 epochs")),
    Constant(3.0, **warm("500 epochs")),
    Constant(3.0, **warm("500 epochs")),
    Constant(**warm("0.05%")),
    Constant(3.0, **warm("500 epochs")),
    Constant(**warm("1000 epochs")),
    PolynomialDecay(**warm("500 epochs")),
    Keyframes([0, "1 epoch"], [3.0, 2.0], **warm("500 epochs")),  # t_max is 501 epochs
    PolynomialDecay(**warm("0.05%")),
    PolynomialDecay(**warm(500)),
    PolynomialDecay(**warm(250)),
    PolynomialDecay(**warm("1000 epochs")),
    CosineAnnealing(**warm("90%")),
    CosineAnnealing(eta_min_ratio=0.5, **warm("90%")),
    CosineAnnealing(eta_min_ratio=0.5, **warm("90%")),
    CosineAnnealing(**warm("1000 epochs")),
    PolynomialDecay(power=2.0, **warm("90%")),
    PolynomialDecay(power=2.0, eta_min_ratio=0.5, **warm("90%")),
    PolynomialDecay(power=2.0, eta_min_ratio=0.5, **warm("90%")),
    PolynomialDecay(power=2.0, **warm("1000 epochs")),
]


class Clock(Callback):
    """Winds the Trainer's count of updates forward between the batches, and stops after the last of ``times``."""

    def __init__(self, times: list[int]) -> None:
        self.times = times

    def wind(self, trainer: Trainer, batch: int) -> None:
        loop = trainer.fit_loop.epoch_loop
        loop.automatic_optimization.optim_progress.optimizer.step.total.completed = self.times[batch]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.wind(trainer, 0)  # once the schedule has seen the epoch begin where it should

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx + 1 < len(self.times):
            self.wind(trainer, batch_idx + 1)
        else:
            trainer.should_stop = True


@pytest.mark.parametrize(
    ("case", "schedule"),
    [
        pytest.param(case, schedule, id=f"{number}-{case.call}")
        for number, (case, schedule) in enumerate(zip(composer_cases.CASES, COMPOSER, strict=True), start=1)
    ],
)
def test_composer_cases(case: composer_cases.Case, schedule: LRSchedule, tmp_path: Path) -> None:
    """A Trainer that knows how long the run is, and is moved through it."""
    model = Recorder(batches=composer_cases.BATCHES)
    run = trainer(tmp_path, Clock(case.batches), schedule, max_epochs=case.epochs)
    run.fit(model)
    assert run.estimated_stepping_batches == case.epochs * composer_cases.BATCHES
    assert model.used == pytest.approx(list(case.multipliers), rel=0.0, abs=composer_cases.TOLERANCE)


def test_every_composer_case_is_run() -> None:
    assert len(composer_cases.CASES) == len(COMPOSER) == 46


# ---- fvcore

FVCORE: dict[str, tuple[float, LRSchedule]] = {
    "composite::test_long_scheduler": (
        0.1,
        Sequential([Constant(), Constant(2.0), Constant(3.0), Constant(4.0)], ["20%", "60%", "70%"]),
    ),
    "composite::test_scheduler_lengths_within_epsilon_of_one": (0.1, Sequential([Constant(), Constant(2.0)], ["70%"])),
    "composite::test_scheduler_with_mixed_types[rescaled]": (
        0.42,
        Sequential(
            [
                Keyframes([0, 1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4, 0.5], unit="lr", shape="step"),
                CosineAnnealing(eta_min=0.0001),
            ],
            milestones=["50%"],
        ),
    ),
    "composite::test_linear_scheduler_no_gaps[rescaled]": (
        1.0,
        Sequential([Keyframes([0, "50%"], [0.0, 0.5]), Keyframes([0, "50%"], [0.5, 1.0])], ["50%"]),
    ),
    "constant::test_scheduler": (0.1, Constant()),
    "cosine::test_scheduler_as_decay": (0.1, CosineAnnealing()),
    "cosine::test_scheduler_as_warmup": (0.1, Keyframes([0, "100%"], [0.0, 1.0], shape="cosine")),
    "exponential::test_scheduler": (2.0, ExponentialDecay(gamma=0.1 ** (1 / 10))),
    "linear::test_scheduler[warmup]": (0.1, Constant(warmup="100%", warmup_start_factor=0.0)),
    "linear::test_scheduler[decay]": (0.1, PolynomialDecay()),
    "multi_step::test_scheduler": (0.1, MultiStepDecay([4, 6, 8])),
    "multi_step::test_default_config": (0.1, MultiStepDecay([3, 6, 9])),
    "polynomial::test_scheduler": (0.1, PolynomialDecay()),
    "step::test_scheduler": (0.1, StepDecay("25%")),
    "step_with_fixed_gamma::test_scheduler": (1.0, StepDecay("25%")),
}

FVCORE_LEFT_OUT = {
    **why(
        'interval_scaling="fixed" begins a part in its middle; a part begins at its own start here',
        "composite::test_scheduler_with_mixed_types[fixed]",
        "composite::test_scheduler_with_mixed_types[rescaled, fixed]",
        "composite::test_linear_scheduler_no_gaps[fixed]",
    ),
    **why(
        "no numbers: one fvcore scheduler against another",
        "cosine::test_scheduler_warmup_decay_match",
        "multi_step::test_optional_args",
    ),
    **why(
        "no numbers: refusals of fvcore's own arguments, lengths that sum up to 1 and num_updates",
        "composite::test_invalid_config",
        "multi_step::test_invalid_config",
        "step::test_invalid_config",
        "step_with_fixed_gamma::test_invalid_config",
    ),
}


@pytest.mark.parametrize("case", fvcore_lists.CASES)
def test_fvcore_lists(case: str, tmp_path: Path) -> None:
    (base, schedule), published = FVCORE[case], fvcore_lists.CASES[case]
    model = Recorder(partial(torch.optim.SGD, lr=base), batches=1)
    trainer(tmp_path, schedule, max_epochs=len(published.values)).fit(model)
    places = {"abs": 1e-15} if published.digits is None else {"rel": 0.0, "abs": 0.5001 * 10**-published.digits}
    assert model.used == pytest.approx(list(published.values), **places)


def test_every_fvcore_test_is_run_or_left_out() -> None:
    assert list(fvcore_lists.CASES) == list(FVCORE)
    assert not set(FVCORE) & set(FVCORE_LEFT_OUT)
    assert (len(FVCORE), len(FVCORE_LEFT_OUT)) == (15, 9)
    assert len({case.split("[")[0] for case in (*FVCORE, *FVCORE_LEFT_OUT)}) == fvcore_lists.TESTS
