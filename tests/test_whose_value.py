"""Whose value: parts that serve twice, subclasses of composites, mixed groups, raw optimizers, scaled groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from models import Recorder, lrs_of_fit, saver, trainer
from test_changed_pace import cosine, resumed
from test_manual import GAN, halvings

from lightning_lrsched import (
    BackOffOnSpike,
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    ExponentialDecay,
    LRSchedule,
    OneCycle,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
)


def two_groups(params: Any) -> Any:
    weight, bias = params
    return torch.optim.SGD([{"params": [weight], "name": "w"}, {"params": [bias], "name": "b"}], lr=1.0)


# ---- one part in several places


def test_a_pure_part_in_two_composites_has_a_stretch_in_each(tmp_path: Path) -> None:
    """8 updates: in one it has the first 4, in the other the last 6."""
    part = CosineAnnealing(interval="step")
    rest = Constant(0.25, interval="step")
    ends = SequentialSchedule([part, rest], [4], interval="step", param_groups="w")
    begins = SequentialSchedule([rest, part], [2], interval="step", param_groups="b")
    used = lrs_of_fit(tmp_path, ends, begins, model=Recorder(two_groups, batches=8), max_epochs=1)
    assert [lrs[0] for lrs in used] == pytest.approx([cosine(t / 4) for t in range(4)] + [0.25] * 4)
    assert [lrs[1] for lrs in used] == pytest.approx([0.25] * 2 + [cosine(t / 6) for t in range(6)])


def test_a_pure_part_at_two_depths_has_a_stretch_at_each(tmp_path: Path) -> None:
    """8 updates: once over all of them, once over the last 4."""
    part = CosineAnnealing(interval="step")
    inner = SequentialSchedule([Constant(interval="step"), part], [4], interval="step")
    used = lrs_of_fit(
        tmp_path, ProductSchedule([part, inner], interval="step"), model=Recorder(batches=8), max_epochs=1
    )
    assert used == pytest.approx(
        [cosine(t / 8) for t in range(4)] + [cosine(t / 8) * cosine(t / 4 - 1) for t in range(4, 8)]
    )


REACTIVE = {
    "ReduceOnPlateau": lambda: ReduceOnPlateau(),
    "CooldownOnPlateau": lambda: CooldownOnPlateau(1),
    "BackOffOnSpike": lambda: BackOffOnSpike(),
}


@pytest.mark.parametrize("name", REACTIVE)
def test_one_memory_at_two_depths_is_refused(name: str) -> None:
    part = REACTIVE[name]()
    inner = SequentialSchedule([Constant(), part], [1])
    with pytest.raises(ValueError, match=name):
        ProductSchedule([part, inner])


@pytest.mark.parametrize("name", REACTIVE)
def test_one_memory_in_two_composites_is_refused(name: str, tmp_path: Path) -> None:
    part = REACTIVE[name]()
    first = ProductSchedule([StepDecay(1), part], param_groups="w")
    second = ProductSchedule([Constant(), part], param_groups="b")
    model = Recorder(two_groups, val_batches=1)
    with pytest.raises(MisconfigurationException, match=name):
        trainer(tmp_path, first, second, max_epochs=1).fit(model)
    assert model.used == []


# ---- a subclass of a composite


class HalfTheProduct(ProductSchedule):
    def lr_at(self, t: int, base_lr: float) -> float:
        return super().lr_at(t, base_lr) / 2


class HalfTheSequence(SequentialSchedule):
    def lr_at(self, t: int, base_lr: float) -> float:
        return super().lr_at(t, base_lr) / 2


def half_the_product() -> LRSchedule:
    return HalfTheProduct([StepDecay(1, 0.5, interval="step"), Constant(interval="step")], interval="step")


def half_the_sequence() -> LRSchedule:
    return HalfTheSequence([Constant(interval="step"), Constant(0.25, interval="step")], [2], interval="step")


OVERRIDDEN: dict[str, tuple[Any, list[float]]] = {
    "product": (half_the_product, [0.5, 0.25, 0.125, 0.0625]),
    "sequence": (half_the_sequence, [0.5, 0.5, 0.125, 0.125]),
    "part": (
        lambda: SequentialSchedule([Constant(interval="step"), half_the_product()], [1], interval="step"),
        [1.0, 0.5, 0.25, 0.125],
    ),
}


@pytest.mark.parametrize(("make", "lrs"), OVERRIDDEN.values(), ids=OVERRIDDEN)
def test_a_subclass_of_a_composite_that_overrides_lr_at_is_obeyed(make: Any, lrs: list[float], tmp_path: Path) -> None:
    assert lrs_of_fit(tmp_path, make(), model=Recorder(batches=4), max_epochs=1) == lrs
    assert make().preview(epochs=1, steps_per_epoch=4) == lrs


# ---- the momentum of mixed groups


class MuonWithAdam(torch.optim.Optimizer):
    """Some groups have a momentum and some have betas; it moves nothing."""

    def __init__(self, params: Any, *, adam_first: bool) -> None:
        weight, bias = params
        muon = {"params": [weight], "lr": 1.0, "momentum": 0.8}
        adam = {"params": [bias], "lr": 1.0, "betas": (0.4, 0.99)}
        super().__init__([adam, muon] if adam_first else [muon, adam], {})
        self.seen: list[list[Any]] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        closure()
        self.seen.append([group.get("momentum", group.get("betas")) for group in self.param_groups])


@pytest.mark.parametrize(
    "adam_first",
    [False, True],  # True is a control, green before issue 12
    ids=["momentum first", "betas first"],
)
def test_the_momentum_of_mixed_groups(adam_first: bool, tmp_path: Path) -> None:
    schedule = ExponentialDecay(gamma=0.5, hyperparameter="momentum", interval="step")
    fit = trainer(tmp_path, schedule, max_epochs=1)
    fit.fit(Recorder(lambda params: MuonWithAdam(params, adam_first=adam_first), batches=3))
    optimizer: Any = fit.optimizers[0]
    muon, adam = [0.8, 0.4, 0.2], [(0.4, 0.99), (0.2, 0.99), (0.1, 0.99)]
    assert optimizer.seen == [[a, m] if adam_first else [m, a] for m, a in zip(muon, adam, strict=True)]
    assert [sorted({"momentum", "betas"} & group.keys()) for group in optimizer.param_groups] == (
        [["betas"], ["momentum"]] if adam_first else [["momentum"], ["betas"]]
    )


def test_the_momentum_of_mixed_groups_against_the_lr(tmp_path: Path) -> None:
    """A control, green before issue 12: 4 updates, the peak at t = 2."""
    schedule = OneCycle(interval="step", pct_start=0.5, shape="linear", momentum=(0.5, 0.75))
    fit = trainer(tmp_path, schedule, max_epochs=1)
    fit.fit(Recorder(lambda params: MuonWithAdam(params, adam_first=False), batches=4))
    optimizer: Any = fit.optimizers[0]
    assert optimizer.seen == [[m, (m, 0.99)] for m in (0.75, 0.625, 0.5, 0.625)]


# ---- optimizers in manual optimization


class Raw(GAN):
    """Steps torch's own optimizers, of which the Trainer's global_step knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = True


def halving(**kw: Any) -> StepDecay:
    return StepDecay(1, 0.5, interval="step", **kw)


def test_a_second_fit_of_raw_optimizers_goes_on(tmp_path: Path) -> None:
    model = Raw()
    run = trainer(tmp_path, halving(), max_epochs=1)
    for epochs in (1, 2, 3):
        run.fit_loop.max_epochs = epochs
        run.fit(model)
    assert model.used_by == {"G": halvings(1.0, 9), "D": halvings(0.5, 54)}


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_a_schedule_added_on_a_resume_of_raw_optimizers_begins_at_0(tmp_path: Path) -> None:
    """3 updates of the generator are known, and nothing of the discriminator."""
    first = halving(optimizer=0)
    resumed(tmp_path, None, first, model=Raw(), keep="on_train_epoch_end", max_epochs=1)
    both = halving(optimizer=0), halving(optimizer=1)
    model = Raw()
    told = resumed(tmp_path, 0, *both, model=model, max_epochs=2).told
    assert model.used_by == {"G": halvings(0.125, 3), "D": halvings(0.5, 18)}
    assert len([text for text in told if "optimizer 1" in text]) == 1


class Judged(GAN):
    """Has a validation, whose ``val_loss`` stays at 1.0; its optimizers stand in either order."""

    def __init__(self, slow_first: bool) -> None:
        super().__init__(torch.optim.SGD, torch.optim.SGD)
        self.val_batches, self.slow_first = 1, slow_first

    def configure_optimizers(self) -> Any:
        return super().configure_optimizers()[:: 1 if self.slow_first else -1]

    def optimizers(self, use_pl_optimizer: bool = True) -> Any:
        return super().optimizers(use_pl_optimizer)[:: 1 if self.slow_first else -1]  # type: ignore[index]


@pytest.mark.parametrize(
    "slow_first",
    [False, True],  # True is a control, green before issue 12
    ids=["the fast one first", "the slow one first"],
)
def test_a_plateau_waits_for_the_warmup_of_every_optimizer(slow_first: bool, tmp_path: Path) -> None:
    """The generator makes 3 updates an epoch, the discriminator 18, and each has a warmup of 6.

    So the check after epoch 1 is the first that counts, and the one after epoch 2 is bad.
    """
    schedule = ReduceOnPlateau(patience=1, factor=0.5, interval="step", warmup=6)
    model = Judged(slow_first)
    trainer(tmp_path, schedule, max_epochs=4).fit(model)
    ramp = [(t + 1) / 7 for t in range(6)]
    assert model.used_by["G"] == pytest.approx([*ramp, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5])
    assert model.used_by["D"] == pytest.approx([0.5 * share for share in ramp] + [0.5] * (12 + 18 + 18) + [0.25] * 18)


# ---- groups with an lr_scale


def scaled(params: Any) -> Any:
    weight, bias = params
    return torch.optim.SGD([{"params": [weight], "lr_scale": 0.25}, {"params": [bias]}], lr=1.0)


def test_the_lr_scale_of_a_group_multiplies_its_base_lr(tmp_path: Path) -> None:
    def run(*callbacks: Any, ckpt_path: Path | None = None) -> list[Any]:
        model = Recorder(scaled, batches=3)
        schedule = StepDecay(1, 0.5, interval="step")
        trainer(tmp_path, schedule, *callbacks, max_epochs=2).fit(model, ckpt_path=ckpt_path)
        return model.used

    full = run(saver(tmp_path))
    assert full == [[0.25 * 0.5**t, 0.5**t] for t in range(6)]
    for step in (1, 3, 5):
        assert run(ckpt_path=tmp_path / f"{step}.ckpt") == full[step:], step


def test_the_lr_scale_of_a_group_is_none_of_its_weight_decay(tmp_path: Path) -> None:
    """A control, green before issue 12."""

    def decayed(params: Any) -> Any:
        optimizer = scaled(params)
        for group in optimizer.param_groups:
            group["weight_decay"] = 0.5
        return optimizer

    schedule = StepDecay(1, 0.5, interval="step", hyperparameter="weight_decay")
    fit = trainer(tmp_path, schedule, max_epochs=1)
    fit.fit(Recorder(decayed, batches=2))
    assert [group["weight_decay"] for group in fit.optimizers[0].param_groups] == [0.125, 0.125]


def test_the_lr_scale_of_a_group_counts_once_in_every_fit(tmp_path: Path) -> None:
    """The module gives its optimizer, once made, to every fit."""

    class Keeps(Recorder):
        def configure_optimizers(self) -> Any:
            if not hasattr(self, "made"):
                self.made = scaled(self.parameters())
            for group in self.made.param_groups:
                group["lr"] = 1.0
            return self.made

    model = Keeps(batches=2)
    for _ in range(2):
        trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(model)
    assert model.used == [[0.25, 1.0], [0.125, 0.5]] * 2
