"""What the package says, word for word: of words that are other systems', of a run, of a change in its middle."""

from __future__ import annotations

import inspect
import logging
import pydoc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from models import LayerWise, Recorder, trainer

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    CosineRestarts,
    CustomSchedule,
    CyclicalLR,
    GreedyLR,
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
    WarmupStableDecay,
)

# ---- the words of other systems

ELSEWHERE: list[tuple[Callable[..., LRSchedule], dict[str, Any], str]] = [
    (CosineRestarts, {"t_initial": 5}, "CosineRestarts: no argument 't_initial'. Did you mean t_0=5?"),
    (CosineRestarts, {"cycle_limit": 5}, "CosineRestarts: no argument 'cycle_limit'. Did you mean cycles=5?"),
    (CosineRestarts, {"cycle_mul": 2}, "CosineRestarts: no argument 'cycle_mul'. Did you mean t_mult=2?"),
    (PowerDecay, {"decay_steps": 5}, "PowerDecay: no argument 'decay_steps'. Did you mean timescale=5?"),
    (GreedyLR, {"min_lr": 0.1}, "GreedyLR: no argument 'min_lr'. Did you mean min_lr_ratio=0.1 / base LR?"),
    (GreedyLR, {"max_lr": 2.0}, "GreedyLR: no argument 'max_lr'. Did you mean max_lr_ratio=2.0 / base LR?"),
    (
        ReduceOnPlateau,
        {"min_lr_ratio": 0.1},
        "ReduceOnPlateau: no argument 'min_lr_ratio'. Did you mean min_lr=0.1 * base LR?",
    ),
    (CosineAnnealing, {"T_max": 90}, "CosineAnnealing: no argument 'T_max'. Did you mean t_max=90?"),
    (
        CosineAnnealing,
        {"num_warmup_steps": 500},
        "CosineAnnealing: no argument 'num_warmup_steps'. Did you mean warmup='500 steps'?",
    ),
    (
        CosineAnnealing,
        {"warmup_epochs": 5},
        "CosineAnnealing: no argument 'warmup_epochs'. Did you mean warmup='5 epochs'?",
    ),
    (
        CosineAnnealing,
        {"warmup_ratio": 0.025},
        "CosineAnnealing: no argument 'warmup_ratio'. Did you mean warmup='2.5%'?",
    ),
    (
        CosineAnnealing,
        {"warmup_ratio": "some"},
        "CosineAnnealing: no argument 'warmup_ratio'. Did you mean warmup='some%'?",
    ),
    (
        CosineAnnealing,
        {"last_epoch": -1},
        "CosineAnnealing: no argument 'last_epoch'. The position is the Trainer's, also after a resume.",
    ),
    (
        CosineAnnealing,
        {"learning_rate": 0.1},
        "CosineAnnealing: no argument 'learning_rate'. The base LR is the optimizer's, from configure_optimizers.",
    ),
    (CosineAnnealing, {"min_lr": 1e-5}, "CosineAnnealing: no argument 'min_lr'. Did you mean eta_min=1e-05?"),
    (CosineRestarts, {"t_0": 3, "T_mult": 2}, "CosineRestarts: no argument 'T_mult'. Did you mean t_mult=2?"),
    (
        CyclicalLR,
        {"eta_min": 0.1, "step_size": 3, "max_lr": 1.0},
        "CyclicalLR: no argument 'max_lr'. Did you mean eta_max=1.0?",
    ),
    (OneCycle, {"total_steps": 90}, "OneCycle: no argument 'total_steps'. Did you mean t_max=90?"),
    (
        OneCycle,
        {"anneal_strategy": "linear"},
        "OneCycle: no argument 'anneal_strategy'. Did you mean shape='linear'?",
    ),
    (ReduceOnPlateau, {"min_delta": 0.1}, "ReduceOnPlateau: no argument 'min_delta'. Did you mean threshold=0.1?"),
    (ReduceOnPlateau, {"gamma": 0.5}, "ReduceOnPlateau: no argument 'gamma'. Did you mean factor=0.5?"),
    (LRSchedule, {"steepness": 3}, "LRSchedule: no argument 'steepness'. It takes interval, warmup, "),
]


@pytest.mark.parametrize(("cls", "given", "message"), ELSEWHERE, ids=[message for _, _, message in ELSEWHERE])
def test_a_word_of_another_system(cls: Any, given: dict[str, Any], message: str) -> None:
    if cls is LRSchedule:

        class Own(LRSchedule):
            def lr_at(self, t: int, base_lr: float) -> float:
                return base_lr

        cls, message = Own, message.replace("LRSchedule", "Own")
    with pytest.raises(TypeError) as refused:
        cls(**given)
    assert str(refused.value).startswith(message)
    assert message.endswith(", ") or str(refused.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: WarmupStableDecay(num_decay_steps=9),
            "WarmupStableDecay: no argument 'num_decay_steps'. Did you mean decay=9?",
        ),
        (lambda: CyclicalLR(0.1, step_size_up=9), "CyclicalLR: no argument 'step_size_up'. Did you mean step_size=9?"),
        (lambda: StepDecay(), "StepDecay.__init__() missing 1 required positional argument: 'step_size'"),
    ],
)
def test_a_word_of_another_system_where_an_argument_is_missing_too(make: Any, message: str) -> None:
    with pytest.raises(TypeError) as refused:
        make()
    assert str(refused.value) == message
    assert refused.value.__suppress_context__ == ("Did you mean" in message)


@pytest.mark.parametrize(
    "make",
    [
        lambda sgd: CosineAnnealing(sgd, 90),  # type: ignore[call-arg]
        lambda sgd: CosineAnnealing(sgd, T_max=90),  # type: ignore[call-arg]
        lambda sgd: CosineAnnealing(optimizer=sgd),
    ],
)
def test_an_optimizer_is_not_passed(make: Any) -> None:
    with pytest.raises(TypeError) as refused:
        make(torch.optim.SGD([torch.zeros(1)], lr=0.1))
    assert str(refused.value) == (
        "CosineAnnealing: pass no optimizer, those of configure_optimizers are driven; optimizer=<its index> picks one"
        " of several."
    )


def test_a_share_of_the_run_is_written_in_percent() -> None:
    with pytest.raises(ValueError, match=r"got 0\.05") as refused:
        CosineAnnealing(warmup=0.05)  # type: ignore[arg-type]
    assert str(refused.value) == "CosineAnnealing: 'warmup' must be an integer or a duration such as '5%', got 0.05."


# ---- signatures


def test_a_signature_names_every_argument() -> None:
    common = "interval, warmup, warmup_start_factor, warmup_start_lr, warmup_shape, "
    common += "optimizer, param_groups, hyperparameter, log_lr, prog_bar, "
    assert ", ".join(inspect.signature(LRSchedule).parameters) == f"{common}replace_scheduler"
    assert ", ".join(inspect.signature(CosineAnnealing).parameters) == (
        f"t_max, power, k_decay, eta_min, eta_min_ratio, {common}replace_scheduler"
    )
    assert ", ".join(inspect.signature(ReduceOnPlateau).parameters).startswith("monitor, mode, factor, patience, ")


def test_the_signature_of_a_class_of_ones_own() -> None:
    class Mine(StepDecay):
        def __init__(self, *notes: str, gamma: float = 0.5, **rest: Any) -> None:
            super().__init__(gamma=gamma, **rest)

    signature = str(inspect.signature(Mine))
    assert signature.startswith("(*notes: 'str', gamma: 'float' = 0.5, step_size: 'int | str', eta_min:")
    assert Mine(step_size=3).gamma == 0.5


def test_help_fits_on_two_screens() -> None:
    shown = pydoc.render_doc(CosineAnnealing, renderer=pydoc.plaintext)
    assert len(shown.splitlines()) <= 100
    assert all(f" {name}(self" in shown for name in ("lr_at", "preview", "plot"))
    assert "on_train_batch_start" not in shown
    assert " reductions" in pydoc.render_doc(ReduceOnPlateau, renderer=pydoc.plaintext)
    assert "on_train_batch_start" in dir(StepDecay(3))  # which completion asks


TYPED = """
from lightning_lrsched import CosineAnnealing, LRSchedule, StepDecay
StepDecay(3, gamma=0.5, warmup="10%")
StepDecay(3, gama=0.5)
CosineAnnealing(T_max=3)
class Own(LRSchedule):
    pass
Own(warm_up=3)
"""


@pytest.mark.long
def test_a_type_checker_flags_a_wrong_keyword(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), "--follow-imports=silent", "typed.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert [line.split(":")[1] for line in run.stdout.splitlines() if "error" in line.split(" ")[1]] == ["4", "5", "8"]


# ---- the start of a fit


def infos(caplog: Any, tmp_path: Path, schedule: LRSchedule, model: Recorder | None = None, **run: Any) -> list[str]:
    with caplog.at_level(logging.INFO):
        trainer(tmp_path, schedule, **{"max_epochs": 3, **run}).fit(model or Recorder(batches=10))
    return [message for message in caplog.messages if message.startswith(type(schedule).__name__)]


# 30 updates in 3 epochs, base LR 1
OUTLINES: list[tuple[LRSchedule, str]] = [
    (StepDecay(1), "StepDecay: LR 1 at first, 1 at most, 0.01 at last."),
    (
        MultiStepDecay([1, 3], warmup=1),
        "MultiStepDecay: milestones: 1, 3 epochs, 1 more than the run has; LR 0.5 at first, 1 at most, 0.1 at last.",
    ),
    (
        MultiStepDecay(["50%"]),
        "MultiStepDecay: milestones: 50% = 2 epochs; LR 1 at first, 1 at most, 0.1 at last.",
    ),
    (
        WarmupStableDecay("20%", interval="step", warmup="10%"),
        "WarmupStableDecay: warmup: 10% = 3 steps; t_max: the rest after the warmup = 27 steps; decay: 20% = 6 steps;"
        " LR 0.25 at first, 1 at most, 0.166667 at last.",
    ),
    (
        Constant(interval="step", warmup="500 steps", warmup_start_factor=0.0),
        "Constant: warmup: 500 steps, 470 more than the run has; LR 0 at first, 0.058 at most, 0.058 at last.",
    ),
    (
        SequentialSchedule([Constant(0.5), CosineAnnealing("20 steps")], milestones=["50%"], interval="step"),
        "SequentialSchedule: milestones: 50% = 15 steps; t_max of part 1 (CosineAnnealing): 20 steps, 5 more than the"
        " run has; LR 0.5 at first, 1 at most, 0.206107 at last.",
    ),
    (
        ProductSchedule([Keyframes([0, 30], [0.0, 1.0]), PolynomialDecay(30)], interval="step"),
        "ProductSchedule: LR 0 at first, 0.25 at most, 0.0322222 at last.",
    ),
    (CosineAnnealing("1 epoch", warmup="1 epoch"), "CosineAnnealing: LR 0.5 at first, 1 at most, 0 at last."),
    (ReduceOnPlateau("train_loss"), "ReduceOnPlateau: LR 1 at first."),
]


@pytest.mark.parametrize(("schedule", "line"), OUTLINES, ids=[repr(schedule) for schedule, _ in OUTLINES])
def test_the_start_of_a_fit_tells_what_the_schedule_comes_to(
    schedule: LRSchedule, line: str, tmp_path: Path, caplog: Any
) -> None:
    assert infos(caplog, tmp_path, schedule) == [line]


def test_a_decay_that_its_warmup_shortens_is_told(tmp_path: Path, caplog: Any) -> None:
    schedule = WarmupStableDecay("20%", interval="step", warmup="90%")
    assert infos(caplog, tmp_path, schedule) == [
        "WarmupStableDecay: the decay of 6 steps is cut to the 3 left.",
        "WarmupStableDecay: warmup: 90% = 27 steps; t_max: the rest after the warmup = 3 steps; decay: 20% = 6 steps;"
        " LR 0.0357143 at first, 1 at most, 0.333333 at last.",
    ]


def test_of_several_groups_the_highest_is_told_and_of_another_hyperparameter_its_name(
    tmp_path: Path, caplog: Any
) -> None:
    def decaying(params: Any) -> torch.optim.Optimizer:
        weight, bias = params
        return torch.optim.SGD([{"params": [weight], "weight_decay": 0.5}, {"params": [bias]}], lr=1.0)

    schedule = StepDecay(1, hyperparameter="weight_decay")
    told = "StepDecay: weight_decay 0.5 at first, 0.5 at most, 0.005 at last."
    assert infos(caplog, tmp_path, schedule, Recorder(decaying)) == [told]


def test_a_run_that_may_go_on_for_ever_has_a_first_lr_only(tmp_path: Path, caplog: Any) -> None:
    def stop(trainer: Trainer) -> None:
        trainer.should_stop = True

    with caplog.at_level(logging.INFO):
        trainer(tmp_path, StepDecay(1), At(3, stop), max_epochs=-1).fit(Recorder())
    assert "StepDecay: LR 1 at first." in caplog.messages


def test_a_formula_of_the_users_is_not_asked_ahead(tmp_path: Path, caplog: Any) -> None:
    asked: list[int] = []
    by_first: list[set[int]] = []
    noting = CustomSchedule(lambda t, base: (asked.append(t), base)[1])
    with caplog.at_level(logging.INFO):
        trainer(tmp_path, noting, At(1, lambda trainer: by_first.append({*asked})), max_epochs=3).fit(Recorder())
    assert "CustomSchedule: LR 1 at first." in caplog.messages
    assert by_first == [{0}]
    sequence = SequentialSchedule([Constant(0.5), CustomSchedule(lambda t, base: {}[t])], milestones=[2])
    with pytest.raises(KeyError):
        infos(caplog, tmp_path, sequence)
    assert "SequentialSchedule: LR 0.5 at first." in caplog.messages


# ---- metrics


def test_a_typo_is_told_at_the_first_validation_within_an_epoch(tmp_path: Path) -> None:
    model = Recorder(batches=8, val_batches=1)
    told = "ReduceOnPlateau: the first validation has logged no 'val_los'. Did you mean 'val_loss'?"
    with pytest.warns(UserWarning, match="first validation") as warned, pytest.raises(MisconfigurationException):
        trainer(tmp_path, ReduceOnPlateau("val_los"), max_epochs=2, val_check_interval=2).fit(model)
    assert [str(each.message) for each in warned if "validation" in str(each.message)] == [told]


def test_a_metric_that_is_no_typo_is_waited_for(tmp_path: Path) -> None:
    class Late(Recorder):
        def on_train_epoch_end(self) -> None:
            self.log("late_loss", 1.0)

    model = Late(batches=8, val_batches=1)
    trainer(tmp_path, ReduceOnPlateau("late_loss", patience=1), max_epochs=2, val_check_interval=2).fit(model)


class NoValidation(Recorder):
    val_dataloader = validation_step = None  # type: ignore[assignment]


def test_where_nothing_validates_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, ReduceOnPlateau("val_loss"), max_epochs=2).fit(NoValidation())
    assert str(refused.value) == (
        "ReduceOnPlateau: 'monitor' must be a logged metric, got 'val_loss'. Did you mean 'train_loss'? There are:"
        " lr-SGD, train_loss. Nothing validates in this fit: only training metrics come."
    )


def test_where_no_validation_was_due_no_other_metric_is_offered(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="without a single value") as warned:
        trainer(tmp_path, ReduceOnPlateau("val_loss"), max_epochs=2, check_val_every_n_epoch=3).fit(Recorder())
    told = [str(each.message) for each in warned if "single value" in str(each.message)]
    assert told == [
        "ReduceOnPlateau: 'monitor' must be a logged metric, got 'val_loss'. There are: lr-SGD, train_loss. No"
        " validation was due in this fit: see check_val_every_n_epoch. The fit ends without a single value of it."
    ]


@pytest.mark.parametrize(
    ("schedule", "values", "reason"),
    [
        (ReduceOnPlateau(patience=1), [1.0, 0.99995], "in 1 check: 0.99995 is not below 0.9999, best 1"),
        (ReduceOnPlateau(patience=2, threshold=0.5), [2.0, 1.5, 1.2], "in 2 checks: 1.2 is not below 1, best 2"),
        (
            ReduceOnPlateau(patience=1, mode="max", threshold=0.25, threshold_mode="abs"),
            [0.5, 0.75],
            "in 1 check: 0.75 is not above 0.75, best 0.5",
        ),
        # the last check alone would have been better; its mean with the two before is not
        (
            ReduceOnPlateau(patience=2, smoothing=2, threshold=0.0),
            [1.0, 3.0, 0.5],
            "in 2 checks: 1.75 (smoothed) is not below 1, best 1",
        ),
        (
            ReduceOnPlateau(patience=1, smoothing=0.5, threshold=0.0),
            [1.0, 4.0],
            "in 1 check: 3 (smoothed) is not below 1, best 1",
        ),
        (ReduceOnPlateau(patience=1), [float("nan")], "in 1 check: last nan, best none yet"),
        (ReduceOnPlateau(patience=1), [2.0, float("inf")], "in 1 check: last inf, best 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:ReduceOnPlateau. 'val_loss' is")
def test_the_journal_says_what_was_compared_with_what(
    schedule: ReduceOnPlateau, values: list[float], reason: str
) -> None:
    reactions = [schedule.react(value, 0, {1.0}) for value in values]
    assert [each.reason for each in reactions if each is not None] == [f"no improvement of val_loss {reason}"]


# ---- a change in mid-run


class At(Callback):
    """Does something after so many updates."""

    def __init__(self, step: int, do: Callable[[Trainer], object]) -> None:
        self.step, self.do = step, do

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            self.do(trainer)


def lrs_after(tmp_path: Path, schedule: LRSchedule, do: Callable[[Trainer], object]) -> list[float]:
    """Of two epochs of four updates, of which something is done after the third."""
    model = Recorder(batches=4)
    trainer(tmp_path, schedule, At(3, do), max_epochs=2).fit(model)
    return model.used


def test_an_argument_that_is_set_applies_from_the_next_batch_on(tmp_path: Path) -> None:
    by_step, by_epoch = StepDecay(2, 0.1, interval="step"), StepDecay(1, 0.1)
    halved = lrs_after(tmp_path, by_step, lambda trainer: setattr(by_step, "gamma", 0.5))
    assert halved == [1.0, 1.0, 0.1, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert lrs_after(tmp_path, by_epoch, lambda trainer: setattr(by_epoch, "gamma", 0.5)) == [1.0] * 4 + [0.5] * 4
    longer = StepDecay(2, 0.5, interval="step")
    slowed = lrs_after(tmp_path, longer, lambda trainer: setattr(longer, "step_size", "1 epoch"))
    assert slowed == [1.0, 1.0, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5]
    part = StepDecay(2, 0.1)
    whole = ProductSchedule([part, Constant()], interval="step")
    assert lrs_after(tmp_path, whole, lambda trainer: setattr(part, "gamma", 0.5)) == halved
    part.gamma = 7.0  # nobody's affair after the fit
    assert by_step.gamma == 0.5


def test_an_argument_of_a_part_in_two_schedules_applies_to_both_at_once(tmp_path: Path) -> None:
    part = Constant()
    first, second = (ProductSchedule([part, Constant()], param_groups=group, interval="step") for group in (0, 1))
    model = LayerWise([1.0, 1.0])
    set_after_three = At(3, lambda trainer: setattr(part, "factor", 0.5))
    trainer(tmp_path, first, second, set_after_three, max_epochs=1).fit(model)
    assert model.used == [[1.0, 1.0]] * 3 + [[0.5, 0.5]] * 4


def refused_after(tmp_path: Path, schedule: LRSchedule, do: Callable[[Trainer], object]) -> str:
    with pytest.raises((MisconfigurationException, ValueError)) as refused:
        lrs_after(tmp_path, schedule, do)
    return str(refused.value)


def test_an_argument_that_is_set_is_checked(tmp_path: Path) -> None:
    schedule = StepDecay(2, 0.1, interval="step")
    message = refused_after(tmp_path, schedule, lambda trainer: setattr(schedule, "gamma", -1.0))
    assert message == "StepDecay: 'gamma' must be a number in (0, 1], got -1.0."
    assert schedule.gamma == 0.1
    floored = CosineAnnealing(interval="step")
    message = refused_after(tmp_path, floored, lambda trainer: setattr(floored, "eta_min", 5.0))
    assert message.startswith("CosineAnnealing: 'eta_min' must not lie above the base LR of a parameter group, got 5.0")
    assert floored.eta_min == 0.0


def test_a_word_of_other_systems_that_is_set_in_mid_run_is_not_ignored(tmp_path: Path) -> None:
    schedule = CosineAnnealing(8, interval="step")
    message = refused_after(tmp_path, schedule, lambda trainer: setattr(schedule, "T_max", 4))
    assert message == "CosineAnnealing: no argument 'T_max'. Did you mean t_max=4?"
    message = refused_after(tmp_path, schedule, lambda trainer: setattr(schedule, "min_lr", 0.1))
    assert message == "CosineAnnealing: no argument 'min_lr'. Did you mean eta_min=0.1?"
    before = lrs_after(tmp_path, schedule, lambda trainer: None)
    assert lrs_after(tmp_path, schedule, lambda trainer: setattr(schedule, "note_of_mine", 1)) == before


def test_an_argument_is_checked_by_the_base_class_of_one_that_hands_on_arguments_of_its_own(tmp_path: Path) -> None:
    class Halving(StepDecay):
        def __init__(self, every: int, **common: Any) -> None:
            super().__init__(step_size=every, gamma=0.5, **common)
            self.every = every

    schedule = Halving(2, interval="step")
    used = lrs_after(tmp_path, schedule, lambda trainer: setattr(schedule, "gamma", 0.25))
    assert used == [1.0, 1.0, 0.5, 0.25, 0.0625, 0.0625, 0.25**3, 0.25**3]
    message = refused_after(tmp_path, schedule, lambda trainer: setattr(schedule, "gamma", -1.0))
    assert message == "StepDecay: 'gamma' must be a number in (0, 1], got -1.0."


@pytest.mark.parametrize(
    ("schedule", "name", "value"),
    [
        (StepDecay(2), "interval", "step"),
        (StepDecay(2), "param_groups", 0),
        (StepDecay(2), "log_lr", False),
        (ReduceOnPlateau("train_loss"), "monitor", "val_loss"),
        (ReduceOnPlateau("train_loss"), "smoothing", 0.5),
    ],
)
def test_what_stays_as_it_is_during_a_fit(schedule: LRSchedule, name: str, value: object, tmp_path: Path) -> None:
    message = refused_after(tmp_path, schedule, lambda trainer: setattr(schedule, name, value))
    assert message == f"{type(schedule).__name__}: '{name}' stays as it is during a fit. Set it before."
    setattr(schedule, name, value)  # as it may be between fits


def test_a_part_with_a_memory_neither_comes_nor_goes_during_a_fit(tmp_path: Path) -> None:
    plateau, rest = ReduceOnPlateau("train_loss"), [Constant(), Constant()]
    for parts, others in (([plateau, *rest], rest), (rest, [plateau, *rest])):
        whole = ProductSchedule(parts, interval="step")
        message = refused_after(tmp_path, whole, lambda trainer: setattr(whole, "parts", others))  # noqa: B023
        assert message == ("ProductSchedule: the 'parts' with a memory stay the same during a fit. Set them before.")
    whole = ProductSchedule([plateau, *rest], interval="step")
    parts = [Constant(0.5), plateau]
    assert lrs_after(tmp_path, whole, lambda trainer: setattr(whole, "parts", parts))[-1] == 0.5


def test_a_schedule_that_is_replaced_in_the_trainer_is_refused(tmp_path: Path) -> None:
    schedule = StepDecay(2, interval="step")

    def replace(trainer: Any) -> None:
        trainer.callbacks[trainer.callbacks.index(schedule)] = StepDecay(3)

    assert refused_after(tmp_path, schedule, replace) == (
        "StepDecay: StepDecay(step_size=3) came into trainer.callbacks during the fit. Set an argument of the schedule"
        " that was there from the start, or begin another fit."
    )
