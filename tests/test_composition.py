"""Schedules composed in a run: sequences, products, several hyperparameters, groups by pattern."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from models import Recorder, saver, trainer
from test_logging import points
from torch import nn

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    CustomSchedule,
    CyclicalLR,
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


class Watched(Recorder):
    """Also records the weight decay of each update; ``val_loss`` depends on the position alone."""

    def __init__(self, configure: Any = None, **kw: Any) -> None:
        super().__init__(configure or (lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=0.5)), **kw)
        self.decays: list[Any] = []

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.decays.append([group["weight_decay"] for group in optimizer.param_groups])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", [1.0, 0.9, 0.8, 0.8, 0.8, 0.8][self.trainer.current_epoch])


def test_multi_step_in_epochs_behind_a_warmup_in_steps(tmp_path: Path) -> None:
    """Torch's LambdaLR over 4 steps and MultiStepLR over epochs overwrite each other; these do not."""
    model = Recorder(batches=4)
    steps = MultiStepDecay(["1 epochs", "2 epochs"], interval="step")
    warmup = Constant(warmup=3, interval="step")
    trainer(tmp_path, ProductSchedule([warmup, steps], interval="step"), max_epochs=3).fit(model)
    assert model.used == pytest.approx([0.25, 0.5, 0.75, 1.0] + [0.1] * 4 + [0.01] * 4)


def whole() -> list[LRSchedule]:
    """Warmup of 3 steps, then MultiStep in epochs, then a plateau; beside it a cosine of the weight decay."""
    parts = [
        MultiStepDecay(["1 epochs", "5 steps"], gamma=0.5, interval="step"),
        ReduceOnPlateau(patience=1, factor=0.1, interval="step"),
    ]
    lr = SequentialSchedule(parts, milestones=["2 epochs"], interval="step", warmup="3 steps", param_groups="a*")
    other = StepDecay(8, 0.5, interval="step", param_groups="b")
    return [lr, other, CosineAnnealing(4, interval="step", hyperparameter="weight_decay", eta_min=0.1)]


def two_groups(params: Any) -> Any:
    weight, bias = params
    groups = [{"params": [weight], "name": "a1"}, {"params": [bias], "name": "b", "lr": 0.25}]
    return torch.optim.AdamW(groups, lr=1.0, weight_decay=0.5)


def test_all_of_it_together_equals_lists_worked_by_hand_also_resumed(tmp_path: Path) -> None:
    def run(*callbacks: Any, ckpt_path: Path | None = None) -> tuple[list[Any], list[Any]]:
        model = Watched(two_groups, batches=4, val_batches=1)
        trainer(tmp_path, *whole(), *callbacks, max_epochs=6).fit(model, ckpt_path=ckpt_path)
        return model.used, model.decays

    used, decays = run(saver(tmp_path, "on_train_batch_start"))
    # The warmup ends at update 3. From there "1 epochs" are 4 updates, so the LR halves at 7 and at 8, and the plateau
    # begins 2 epochs later, at update 11.
    a = [0.25, 0.5, 0.75] + [1.0] * 4 + [0.5] + [0.25] * 3
    # From there: base LR; the check after epoch 2 is its first, those after epochs 3, 4 and 5 do not improve.
    a += [1.0] * 5 + [0.1] * 4 + [0.01] * 4
    b = [0.25] * 8 + [0.125] * 8 + [0.0625] * 8
    assert [lr for lr, _ in used] == pytest.approx(a)
    assert [lr for _, lr in used] == pytest.approx(b)
    half_root = 2**0.5 / 4
    fall = [0.5, 0.3 + 0.4 * half_root, 0.3, 0.3 - 0.4 * half_root] + [0.1] * 20
    assert decays == [pytest.approx([value] * 2) for value in fall]
    for step in range(1, 24):
        tail = run(ckpt_path=tmp_path / f"{step}.ckpt")
        assert tail == (used[step:], decays[step:]), step


def test_milestones_that_do_not_rise_in_this_run_are_refused(tmp_path: Path) -> None:
    schedule = MultiStepDecay(["5 steps", "1 epochs"], interval="step")
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, schedule, max_epochs=1).fit(Recorder(batches=4))
    assert str(refused.value) == (
        "MultiStepDecay: 'milestones' must be strictly rising, got ('5 steps', '1 epochs'): (5, 4)."
    )


def test_open_parts_fill_their_stretch_at_any_depth(tmp_path: Path) -> None:
    def open_cosine() -> CosineAnnealing:
        return CosineAnnealing(interval="step")

    inner = SequentialSchedule([open_cosine(), open_cosine()], milestones=["2 steps"], interval="step")
    outer = SequentialSchedule([inner, open_cosine()], milestones=["1 epochs"], interval="step")
    model = Recorder(batches=6)
    fit = trainer(tmp_path, outer, max_epochs=2)
    fit.fit(model)
    root = 2**0.5 / 4
    six = [1.0, 0.75 + (3**0.5 - 1.5) / 4, 0.75, 0.5, 0.25]  # t = 0 .. 4 of 6, the second at 30 degrees
    assert model.used[:6] == pytest.approx([1.0, 0.5, 1.0, 0.5 + root, 0.5, 0.5 - root])
    assert [model.used[i] for i in (6, 8, 9, 10)] == pytest.approx([six[0], *six[2:]])
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0


def onwards(interval: str) -> LRSchedule:
    """Two groups of 1.0 and 0.25: down to a half each, then a nested whole that ends in a plateau with a floor."""
    last = ReduceOnPlateau(patience=1, factor=0.5, min_lr=0.1, stop_when_exhausted=True)
    inner = SequentialSchedule([MultiStepDecay(["1 epochs"], 0.8), last], ["2 epochs"], continuous=True)
    parts = [PolynomialDecay(t_max="4 epochs"), inner]
    return SequentialSchedule(parts, ["2 epochs"], continuous=True, interval=interval)


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_parts_go_on_from_the_lr_reached_also_resumed(interval: str, tmp_path: Path) -> None:
    def run(*callbacks: Any, ckpt_path: Path | None = None) -> list[Any]:
        model = Recorder(two_groups, batches=2, val_batches=1)
        trainer(tmp_path, onwards(interval), *callbacks, max_epochs=12).fit(model, ckpt_path=ckpt_path)
        return model.used

    used = run(saver(tmp_path, "on_train_batch_start"))
    fall = {"epoch": [1.0, 1.0, 0.75, 0.75], "step": [1.0, 0.875, 0.75, 0.625]}[interval]
    # 0.5 and 0.125 are reached, then 0.4 and 0.1: the second is at the floor. The best is the first validation
    # of its stretch, in steps that at the end of epoch 3; the third reduction finds no group above the floor: the end.
    held = {"epoch": 4, "step": 2}[interval]
    first = [*fall, 0.5, 0.5, *[0.4] * held, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    second = [*(lr / 4 for lr in fall), 0.125, 0.125, *[0.1] * (held + 6)]
    assert [a for a, _ in used] == pytest.approx(first)
    assert [b for _, b in used] == pytest.approx(second)
    for step in range(1, len(used)):
        assert run(ckpt_path=tmp_path / f"{step}.ckpt") == used[step:], step


def test_only_the_first_part_of_a_continuous_sequence_has_its_floor_under_the_base(tmp_path: Path) -> None:
    """The others' may lie above what is reached, and then they hold it."""
    parts = [CosineAnnealing(2, eta_min=0.25), CosineAnnealing(2, eta_min=0.5), Keyframes([0, 2], [0.1, 1.0])]
    schedule = SequentialSchedule(parts, [2, 4], continuous=True, warmup=1, warmup_start_factor=0.5)
    assert schedule.preview(9, base_lr=[0.25, 1.0]) == [
        pytest.approx([0.125, 0.25, 0.25, 0.5, 0.5, 0.05, 0.275, 0.5, 0.5]),
        pytest.approx([0.5, 1.0, 0.625, 0.5, 0.5, 0.05, 0.275, 0.5, 0.5]),
    ]
    with pytest.raises(ValueError, match=r"'base_lr' must be a number >= eta_min \(0.25\), got 0.2."):
        schedule.preview(9, base_lr=0.2)
    model = Recorder(batches=1)
    trainer(tmp_path, schedule, max_epochs=9).fit(model)
    assert model.used == schedule.preview(9)


def test_a_swing_from_what_is_reached_does_not_go_under_its_lower_lr() -> None:
    """As long as that lies higher, there is nothing to swing."""
    swing = CyclicalLR(0.5, step_size=2)
    low, high = (SequentialSchedule([Constant(reached), swing], [1], continuous=True) for reached in (0.25, 1.0))
    assert low.preview(6) == [0.25, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert high.preview(6) == [1.0, 0.5, 0.75, 1.0, 0.75, 0.5]


def test_a_plateau_in_a_sequence_judges_only_in_its_own_stretch(tmp_path: Path) -> None:
    model = Recorder(batches=1, val_batches=1)
    parts = [Constant(0.5), ReduceOnPlateau(patience=1, factor=0.5)]
    trainer(tmp_path, SequentialSchedule(parts, milestones=[3]), max_epochs=7).fit(model)
    # the check after epoch 3 is the first, the next ones do not improve
    assert model.used == [0.5, 0.5, 0.5, 1.0, 1.0, 0.5, 0.25]


def test_a_plateau_under_a_warmup_as_a_product(tmp_path: Path) -> None:
    model = Recorder(batches=1, val_batches=1)
    parts = [Constant(warmup=3), ReduceOnPlateau(patience=1, factor=0.5)]
    trainer(tmp_path, ProductSchedule(parts), max_epochs=5).fit(model)
    assert model.used == [0.25, 0.5, 0.375, 0.25, 0.125]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_momentum_is_a_hyperparameter(kind: Any, tmp_path: Path) -> None:
    extra = {"betas": (0.5, 0.75)} if kind is torch.optim.AdamW else {"momentum": 0.5}
    schedule = StepDecay(1, 0.5, interval="step", hyperparameter="momentum")
    model = Recorder(lambda p: kind(p, lr=1.0, **extra), batches=3)
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    momenta = [0.5, 0.25, 0.125]
    assert model.first_momenta == ([(m, 0.75) for m in momenta] if "betas" in extra else momenta)
    assert model.used == [1.0] * 3


def test_hyperparameters_are_logged_under_their_own_names(tmp_path: Path) -> None:
    schedules = [StepDecay(1, 0.5), StepDecay(1, 0.1, hyperparameter="weight_decay")]
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    trainer(tmp_path, *schedules, logger=logger, max_epochs=2).fit(Watched(batches=2))
    assert points(tmp_path / "run", "lr-AdamW") == [(0, 1.0), (2, 0.5)]
    assert points(tmp_path / "run", "weight_decay-AdamW") == [(0, 0.5), (2, pytest.approx(0.05))]


def refusal(tmp_path: Path, *schedules: LRSchedule) -> str:
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, *schedules, max_epochs=1).fit(Watched(batches=2))
    return str(refused.value)


def test_one_owner_for_each_hyperparameter(tmp_path: Path) -> None:
    assert "both schedule the weight_decay of optimizer 0 (AdamW), parameter group 0" in refusal(
        tmp_path,
        StepDecay(1, hyperparameter="weight_decay"),
        CosineAnnealing(hyperparameter="weight_decay"),
    )
    assert "both schedule the momentum of optimizer 0 (AdamW), parameter group 0" in refusal(
        tmp_path,
        StepDecay(1, hyperparameter="momentum"),
        CyclicalLR(0.1, step_size=2, momentum=(0.1, 0.9)),
    )


@pytest.mark.parametrize("key", ["decay", "betas", "foreach"])
def test_a_key_that_the_optimizer_lacks_is_refused_with_those_it_has(key: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, StepDecay(1, hyperparameter=key)) == (
        f"StepDecay: AdamW has no number {key!r} to schedule. It has: betas[0], betas[1], eps, lr, weight_decay."
    )


class Named(Recorder):
    """Groups "backbone.1", "backbone.2" and "head", and a "backbone.3" that joins after 2 updates."""

    def __init__(self) -> None:
        super().__init__(batches=5)
        self.parts = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(3)])

    def configure_optimizers(self) -> Any:
        names = ["backbone.1", "backbone.2", "head"]
        parts = [list(self.layer.parameters()), [self.parts[0]], [self.parts[1]]]
        return torch.optim.SGD([{"params": p, "name": n} for p, n in zip(parts, names, strict=True)], lr=1.0)

    def on_train_batch_end(self, *args: Any) -> None:
        if self.trainer.global_step == 2:
            self.trainer.optimizers[0].add_param_group({"params": [self.parts[2]], "name": "backbone.3", "lr": 0.25})


def test_groups_by_pattern_also_those_that_come_later(tmp_path: Path, caplog: Any) -> None:
    model = Named()
    schedule = StepDecay(1, 0.5, interval="step", param_groups="backbone.[13]")
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    assert model.used == [
        [1.0, 1.0, 1.0],
        [0.5, 1.0, 1.0],
        [0.25, 1.0, 1.0, 0.25],
        [0.125, 1.0, 1.0, 0.125],
        [0.0625, 1.0, 1.0, 0.0625],
    ]
    assert [m for m in caplog.messages if m.startswith("No schedule")] == [
        "No schedule drives the LR of optimizer 0 (SGD) group 1 ('backbone.2'), optimizer 0 (SGD) group 2 ('head'):"
        " it stays as it is."
    ]


@pytest.mark.filterwarnings("ignore:StepDecay. no parameter group fits '..3' yet")
def test_a_pattern_may_wait_for_its_first_group(tmp_path: Path) -> None:
    model = Named()
    trainer(tmp_path, StepDecay(1, 0.5, interval="step", param_groups="*.3"), max_epochs=1).fit(model)
    assert [lrs[3:] for lrs in model.used] == [[], [], [0.25], [0.125], [0.0625]]
    assert all(lrs[:3] == [1.0] * 3 for lrs in model.used)


def test_composites_refuse_parts_that_do_not_fit() -> None:
    step = StepDecay(1, interval="step")
    for parts, milestones, message in [
        ([StepDecay(1)], [], "SequentialSchedule: 'parts' must be a list of two or more schedules, got"),
        ([StepDecay(1), step], [1], "'parts' must be schedules with interval='epoch', as their whole has, or none"),
        ([StepDecay(1), StepDecay(1, optimizer=0)], [1], "'parts' must be schedules without optimizer, param_groups,"),
        ([StepDecay(1), OneCycle(momentum=(0.1, 0.2))], [1], "'parts' must be schedules that leave the momentum alone"),
        ([ReduceOnPlateau(), StepDecay(1)], [1], "'parts' must be schedules of which only the last monitors a metric"),
        ([StepDecay(1), StepDecay(1)], [1, 2], "'milestones' must be a list of 1, one fewer than parts, got [1, 2]."),
        ([StepDecay(1), StepDecay(1), StepDecay(1)], [2, 1], "'milestones' must be strictly rising, got [2, 1]."),
    ]:
        with pytest.raises(ValueError, match="must be") as refused:
            SequentialSchedule(parts, milestones)
        assert message in str(refused.value)
    plateau = ReduceOnPlateau()
    with pytest.raises(ValueError, match="different schedules, as far as they have a memory"):
        ProductSchedule([plateau, plateau])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1), "Constant: 'factor' must be a number >= 0, got -1."),
        (lambda: MultiStepDecay([]), "MultiStepDecay: 'milestones' must be a list of durations, got []."),
        (lambda: MultiStepDecay([1], [1, 2]), "'gamma' must be a number in (0, 1], or a list of 1 numbers > 0, got"),
        (lambda: OneCycle(1.0, max_lr_ratio=2.0), "'max_lr_ratio' must be None beside max_lr=1.0, got 2.0."),
        (lambda: OneCycle(three_phase=True, pct_start=0.6), "must be a number in [0, 0.5] with three phases, got 0.6."),
        (
            lambda: WarmupStableDecay(1, shape="exponential"),
            "'eta_min_ratio' must be a number in (0, 1] with shape='exponential', got None.",
        ),
        (lambda: Keyframes([0, 1], [1]), "'values' must be a list of 2 numbers >= 0, one for each position, got [1]."),
        (lambda: CustomSchedule("no.such.thing"), "or the name to import one by, got 'no.such.thing'."),
        (lambda: PowerDecay(1, exponent=0), "PowerDecay: 'exponent' must be a number > 0, got 0."),
    ],
)
def test_wrong_values_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        make()
    assert message in str(refused.value)


def test_a_cooldown_needs_an_end_and_a_power_law_none(tmp_path: Path) -> None:
    assert trainer(tmp_path, PowerDecay(1, interval="step"), max_steps=3, max_epochs=-1).fit(Recorder()) is None
    with pytest.raises(MisconfigurationException, match="'t_max' is None"):
        trainer(tmp_path, PowerDecay(1, cooldown=2, interval="step"), max_epochs=-1).fit(Recorder())


def test_a_custom_schedule_by_name_pickles_and_one_by_lambda_trains(tmp_path: Path) -> None:
    by_name = CustomSchedule("cases.reciprocal", interval="step")
    assert pickle.loads(pickle.dumps(by_name)).lr_at(3, 1.0) == 0.25
    model = Recorder(batches=3)
    trainer(tmp_path, CustomSchedule(lambda t, lr: lr / 2**t, interval="step"), max_epochs=1).fit(model)
    assert model.used == [1.0, 0.5, 0.25]


def test_a_part_with_a_memory_may_join_at_a_resume(tmp_path: Path) -> None:
    first = SequentialSchedule([Constant(0.5), Constant(0.25)], milestones=[1])
    trainer(tmp_path, first, saver(tmp_path), max_epochs=1).fit(Recorder(batches=1, val_batches=1))
    model = Recorder(batches=1, val_batches=1)
    second = SequentialSchedule([Constant(0.5), ReduceOnPlateau(patience=1, factor=0.5)], milestones=[1])
    with pytest.warns(UserWarning, match="changed since the checkpoint"):
        trainer(tmp_path, second, max_epochs=4).fit(model, ckpt_path=tmp_path / "1.ckpt")
    assert model.used == [1.0, 1.0, 0.5]


@pytest.mark.filterwarnings("ignore:CyclicalLR. no parameter group fits")
def test_momentum_waits_with_its_group(tmp_path: Path) -> None:
    schedule = CyclicalLR(0.1, 1.0, step_size=2, momentum=(0.5, 0.75), param_groups="late*", interval="step")
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    model = Recorder(lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9), batches=2)
    trainer(tmp_path, schedule, logger=logger, max_epochs=1).fit(model)
    assert model.used == [1.0, 1.0]
