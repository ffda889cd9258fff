"""Which numbers of a group a schedule drives: elements of tuples, and several in proportion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from models import Recorder, saver, trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_dashboard import planned
from test_logging import points
from torch import nn

from lightning_lrsched import (
    Constant,
    CosineAnnealing,
    CyclicalLR,
    Keyframes,
    LRSchedule,
    PolynomialDecay,
    ReduceOnPlateau,
    StepDecay,
    preview_fit,
)

KEYS = ("lr", "weight_decay", "betas")


class Groups(Recorder):
    """Records what each update finds of every group; a group joins after so many updates of this process."""

    def __init__(self, configure: Any, joins_after: int = 0, **kw: Any) -> None:
        super().__init__(configure, **kw)
        self.new = nn.Parameter(torch.zeros(1))
        self.joins_after = joins_after
        self.found: list[list[tuple[Any, ...]]] = []

    def configure_optimizers(self) -> Any:
        return self.configure(self.layer.parameters())

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.found.append([tuple(group.get(key) for key in KEYS) for group in optimizer.param_groups])

    def on_train_batch_end(self, *args: Any) -> None:
        if self.trainer.global_step == self.joins_after:
            self.join(self.trainer.optimizers[0])

    def join(self, optimizer: Any) -> None:
        optimizer.add_param_group({"params": [self.new], "lr": 0.5, "weight_decay": 0.3})


def adamw(params: Any) -> Any:
    weight, bias = params
    groups = [{"params": [weight], "lr": 0.3, "weight_decay": 0.1}, {"params": [bias], "lr": 0.7, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.5, 0.75))


def test_an_element_of_a_tuple(tmp_path: Path) -> None:
    rise = Keyframes([0, 4], [0.5, 0.75], unit="lr", interval="step", hyperparameter="betas[1]")
    model = Groups(lambda params: torch.optim.AdamW(params, lr=1.0, betas=(0.25, 0.75)), batches=6)
    schedules = [rise, StepDecay(2, 0.5, interval="step", hyperparameter="momentum"), Constant()]
    fit = trainer(tmp_path, *schedules, logger=TensorBoardLogger(tmp_path, name="", version="run"), max_epochs=1)
    fit.fit(model)
    firsts = [0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]
    seconds = [0.5, 0.5625, 0.625, 0.6875, 0.75, 0.75]
    assert [group[2] for (group,) in model.found] == list(zip(firsts, seconds, strict=True))
    assert points(tmp_path / "run", "betas_1-AdamW") == [(0, 0.5)]
    assert float(fit.callback_metrics["betas_1-AdamW"]) == 0.75
    (layout,) = (
        EventAccumulator(str(tmp_path / "run"), size_guidance={"tensors": 0})
        .Reload()
        .Tensors("custom_scalars__config__")
    )
    assert b"betas_1-" in layout.tensor_proto.string_val[0]


def test_three_betas_and_a_key_of_its_own(tmp_path: Path) -> None:
    """As AdEMAMix has them: alpha rises to its value, and so does the third beta."""

    class Three(torch.optim.SGD):
        def __init__(self, params: Any) -> None:
            super().__init__(params, lr=1.0)
            self.param_groups[0] |= {"betas": [0.5, 0.5, 0.75], "alpha": 8.0}

    model = Groups(Three, batches=5)
    alpha = Constant(warmup=4, warmup_start_factor=0.0, interval="step", hyperparameter="alpha")
    third = Keyframes([0, 2], [0.5, 0.75], unit="lr", interval="step", hyperparameter="betas[2]")
    seen: list[Any] = []
    model.on_before_optimizer_step = lambda optimizer: seen.append(  # type: ignore[method-assign,assignment]
        (optimizer.param_groups[0]["alpha"], tuple(optimizer.param_groups[0]["betas"]))
    )
    trainer(tmp_path, alpha, third, max_epochs=1).fit(model)
    assert [alpha for alpha, _ in seen] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert [betas for _, betas in seen] == [(0.5, 0.5, third) for third in (0.5, 0.625, 0.75, 0.75, 0.75)]


def both(**arguments: Any) -> LRSchedule:
    return CosineAnnealing(8, eta_min=0.05, interval="step", hyperparameter=["lr", "weight_decay"], **arguments)


def test_several_numbers_in_proportion_also_resumed(tmp_path: Path) -> None:
    """The floor is an LR: 0.3 comes down to a sixth, so its weight decay does."""

    def run(*callbacks: Any, ckpt_path: Path | None = None) -> Groups:
        model = Groups(adamw, joins_after=3, batches=5)
        if ckpt_path is not None and int(ckpt_path.stem) >= 3:
            model.configure = lambda params: joined(model, params)
        trainer(tmp_path, both(warmup=1), *callbacks, max_epochs=2).fit(model, ckpt_path=ckpt_path)
        return model

    def joined(model: Groups, params: Any) -> Any:
        optimizer = adamw(params)
        model.join(optimizer)
        return optimizer

    full = run(saver(tmp_path, "on_train_batch_start"))
    lrs = CosineAnnealing(8, eta_min=0.05, interval="step", warmup=1).preview(2, 5, base_lr=[0.3, 0.7])
    for update, (a, b, *_) in enumerate(full.found):
        assert a[:2] == (lrs[0][update], 0.1 * (lrs[0][update] / 0.3)), update
        assert b[:2] == (lrs[1][update], 0.0), update
    assert full.found[1][0][:2] == (0.3, 0.1)
    assert full.found[9][0][:2] == pytest.approx((0.05, 0.1 / 6))
    late = [group for _, _, *rest in full.found for group in rest]
    assert late[0][:2] == (0.5, 0.3)  # as it came
    assert [wd for _, wd, _ in late] == pytest.approx([0.6 * lr for lr, _, _ in late])
    assert late[-1][0] < 0.1
    for step in (1, 2, 4, 6, 9):
        assert run(ckpt_path=tmp_path / f"{step}.ckpt").found == full.found[step:], step


def test_they_are_logged_planned_and_foreseen(tmp_path: Path) -> None:
    schedule = StepDecay(2, 0.5, interval="step", hyperparameter=("lr", "weight_decay"))
    fit = trainer(
        tmp_path,
        schedule,
        logger=TensorBoardLogger(tmp_path, name="", version="run"),
        max_epochs=1,
        log_every_n_steps=1,
    )
    model = Groups(adamw, batches=4)
    foreseen = preview_fit(fit, model)
    fit.fit(model)
    decays = [group[1] for group, _ in model.found]
    assert decays == [0.1, 0.1, 0.05, 0.05]
    assert foreseen["weight_decay-AdamW/pg1"] == decays
    assert [y for _, y in points(tmp_path / "run", "weight_decay-AdamW/pg1")] == pytest.approx(decays)
    assert planned(tmp_path / "run/planned", "weight_decay-AdamW/pg1") == [
        (step, pytest.approx(value)) for step, value in enumerate(decays)
    ]
    assert float(fit.callback_metrics["weight_decay-AdamW/pg1"]) == 0.025  # that of the next update


def test_they_follow_decisions_and_edits_are_undone(tmp_path: Path, caplog: Any) -> None:
    class Edits(Groups):
        def on_train_epoch_start(self) -> None:
            self.trainer.optimizers[0].param_groups[0]["weight_decay"] = 9.0

    schedule = ReduceOnPlateau(patience=1, factor=0.5, hyperparameter=["lr", "weight_decay", "betas[0]"])
    model = Edits(lambda params: torch.optim.AdamW(params, lr=1.0, weight_decay=0.25), batches=1, val_batches=1)
    trainer(tmp_path, schedule, max_epochs=4).fit(model)
    assert [group for (group,) in model.found] == [
        (1.0, 0.25, (0.9, 0.999)),
        (1.0, 0.25, (0.9, 0.999)),
        (0.5, 0.125, (0.45, 0.999)),
        (0.25, 0.0625, (0.225, 0.999)),
    ]
    assert [(decision.hyperparameter, decision.new) for decision in schedule.journal] == [
        ("lr", 0.5),
        ("lr", 0.25),
        ("lr", 0.125),
    ]
    assert sum("other code changed the weight_decay of AdamW;" in message for message in caplog.messages) == 1


def test_beside_a_base_of_zero_the_others_stay(tmp_path: Path) -> None:
    configure = lambda params: torch.optim.AdamW(params, lr=0.0, weight_decay=0.25)  # noqa: E731
    model = Groups(configure, batches=3)
    schedule = PolynomialDecay(2, interval="step", hyperparameter=["lr", "weight_decay"])
    trainer(tmp_path, schedule, max_epochs=1).fit(model)
    assert [group[:2] for (group,) in model.found] == [(0.0, 0.25)] * 3


def test_a_tensor_stays_the_object_it_is(tmp_path: Path) -> None:
    decay = torch.tensor(0.5)

    def configure(params: Any) -> Any:
        optimizer = torch.optim.SGD(params, lr=1.0)
        optimizer.param_groups[0]["extra"] = (decay, 1.0)
        return optimizer

    schedule = StepDecay(1, 0.5, interval="step", hyperparameter=["lr", "extra[0]"])
    trainer(tmp_path, schedule, max_epochs=1).fit(Recorder(configure, batches=3))
    assert float(decay) == 0.0625  # half of a half in three steps, the last after the last update


def test_a_checkpoint_of_the_lr_alone_serves_both_and_the_change_is_told(tmp_path: Path) -> None:
    alone = CosineAnnealing(8, eta_min=0.05, interval="step")
    trainer(tmp_path, alone, saver(tmp_path, "on_train_batch_start"), max_epochs=1).fit(Groups(adamw, batches=5))
    model = Groups(adamw, batches=5)
    with pytest.warns(UserWarning, match=r"hyperparameter: 'lr' -> .*weight_decay"):
        trainer(tmp_path, both(), max_epochs=1).fit(model, ckpt_path=tmp_path / "4.ckpt")
    assert model.found[0][0][:2] == pytest.approx((0.175, 0.1 * 0.175 / 0.3))


def test_a_late_group_of_such_a_checkpoint_keeps_its_other_numbers_too(tmp_path: Path) -> None:
    alone = StepDecay(1, 0.5, interval="step")
    trainer(tmp_path, alone, saver(tmp_path, "on_train_batch_start"), max_epochs=1).fit(Groups(adamw, 2, batches=4))
    model = Groups(adamw, batches=4)

    def joined(params: Any) -> Any:
        optimizer = adamw(params)
        model.join(optimizer)
        return optimizer

    model.configure = joined
    schedule = StepDecay(1, 0.5, interval="step", hyperparameter=["lr", "weight_decay"])
    with pytest.warns(UserWarning, match="hyperparameter: 'lr' -> "):
        trainer(tmp_path, schedule, max_epochs=1).fit(model, ckpt_path=tmp_path / "3.ckpt")
    assert [group[:2] for group in model.found[0]] == [(0.0375, 0.0125), (0.0875, 0.0), (0.25, 0.15)]


def test_beside_a_monitor_of_the_lr_the_other_numbers_are_logged(tmp_path: Path) -> None:
    schedule = StepDecay(1, 0.5, hyperparameter=["lr", "weight_decay"])
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    fit = trainer(tmp_path, schedule, LearningRateMonitor(), logger=logger, max_epochs=1)
    fit.fit(Groups(lambda params: torch.optim.AdamW(params, lr=1.0, weight_decay=0.5), batches=1))
    assert points(tmp_path / "run", "weight_decay-AdamW") == [(0, 0.5)]
    assert points(tmp_path / "run", "lr-AdamW") == [(0, 1.0)]  # once
    assert "weight_decay-AdamW" in fit.callback_metrics


def test_the_lr_scale_of_a_group_multiplies_an_lr_that_follows_another_number_too(tmp_path: Path) -> None:
    class Scaled(Groups):
        def join(self, optimizer: Any) -> None:
            optimizer.add_param_group({"params": [self.new], "lr": 0.5, "weight_decay": 0.3, "lr_scale": 0.5})

    def scaled(params: Any) -> Any:
        return torch.optim.AdamW([{"params": list(params), "lr_scale": 0.5}], lr=1.0, weight_decay=0.1)

    model = Scaled(scaled, 2, batches=4)
    halving = StepDecay(1, 0.5, interval="step", hyperparameter=["weight_decay", "lr"])
    trainer(tmp_path, halving, max_epochs=1).fit(model)
    assert [[group[:2] for group in groups] for groups in model.found] == [
        [(0.5, 0.1)],
        [(0.25, 0.05)],
        [(0.125, 0.025), (0.5, 0.3)],  # which comes as it is
        [(0.0625, 0.0125), (0.25, 0.15)],
    ]


@pytest.mark.parametrize(
    ("schedules", "message"),
    [
        (
            [StepDecay(1, hyperparameter="betas[2]")],
            "AdamW has no number 'betas[2]' to schedule. It has: betas[0], betas[1], eps, lr, weight_decay.",
        ),
        ([StepDecay(1, hyperparameter="betas")], "AdamW has no number 'betas' to schedule. It has: betas[0], betas[1]"),
        ([StepDecay(1, hyperparameter="lr[0]")], "AdamW has no number 'lr[0]' to schedule."),
        (
            [StepDecay(1, hyperparameter=["momentum", "betas[0]"])],
            "StepDecay: 'momentum' and 'betas[0]' are the same number of AdamW. Name it once.",
        ),
        (
            [StepDecay(1, hyperparameter="betas[0]"), CyclicalLR(0.1, step_size=2, momentum=(0.1, 0.9))],
            "both schedule the betas[0] of optimizer 0 (AdamW), parameter group 0.",
        ),
        (
            [StepDecay(1, hyperparameter="weight_decay"), StepDecay(1, hyperparameter=["lr", "weight_decay"])],
            "both schedule the weight_decay of optimizer 0 (AdamW), parameter group 0.",
        ),
    ],
)
def test_what_is_no_number_or_has_two_owners_is_refused(
    schedules: list[LRSchedule], message: str, tmp_path: Path
) -> None:
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, *schedules, max_epochs=1).fit(Groups(adamw))
    assert message in str(refused.value)


@pytest.mark.parametrize("value", [["lr", "lr"], [], ["lr", 1], 3, [""]])
def test_what_names_no_numbers_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="'hyperparameter' must be the key of a parameter group, or a list of"):
        StepDecay(1, hyperparameter=value)
