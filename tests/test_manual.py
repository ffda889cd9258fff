"""Manual optimization: each schedule counts the updates of its own optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from models import Recorder, saver, trainer
from torch import nn

from lightning_lrsched import CosineAnnealing, LRSchedule, StepDecay


class GAN(Recorder):
    """The generator steps every second batch, the discriminator three times a batch."""

    def __init__(self, generator: Any = torch.optim.SGD, discriminator: Any = torch.optim.Adam) -> None:
        super().__init__(batches=6)
        self.automatic_optimization = False
        self.discriminator = nn.Linear(2, 1)
        self.kinds = generator, discriminator
        self.raw = False
        self.used_by: dict[str, list[float]] = {"G": [], "D": []}

    def configure_optimizers(self) -> Any:
        generator, discriminator = self.kinds
        return [generator(self.layer.parameters(), lr=1.0), discriminator(self.discriminator.parameters(), lr=0.5)]

    def step(self, name: str, optimizer: Any) -> None:
        optimizer.zero_grad()
        loss = self.layer(torch.ones(2)).sum() + self.discriminator(torch.ones(2)).sum()
        self.manual_backward(loss)
        self.used_by[name].append(optimizer.param_groups[0]["lr"])
        optimizer.step()

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        g, d = self.optimizers(use_pl_optimizer=not self.raw)  # type: ignore[misc]
        if batch_idx % 2 == 0:
            self.step("G", g)
        for _ in range(3):
            self.step("D", d)


def halvings(first: float, n: int) -> list[float]:
    return [first / 2**i for i in range(n)]


@pytest.mark.parametrize("raw", [False, True], ids=["Lightning's optimizers", "torch's optimizers"])
def test_each_optimizer_has_its_own_clock(raw: bool, tmp_path: Path) -> None:
    model = GAN()
    model.raw = raw
    fit = trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1)
    fit.fit(model)
    assert model.used_by == {"G": halvings(1.0, 3), "D": halvings(0.5, 18)}
    assert [optimizer.param_groups[0]["lr"] for optimizer in fit.optimizers] == [1 / 2**3, 0.5 / 2**18]


class CallsItsBase(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        if self.param_groups[0].pop("fails", False):
            raise FloatingPointError
        return super().step(closure)


def test_a_step_that_calls_its_base_class_is_one(tmp_path: Path) -> None:
    """torch calls the hooks of both; one step that raises, and is caught, is none."""

    class Catches(GAN):
        def step(self, name: str, optimizer: Any) -> None:
            if name == "G" and not self.used_by["G"]:
                optimizer.param_groups[0]["fails"] = True
                with pytest.raises(FloatingPointError):
                    optimizer.step()
            super().step(name, optimizer)

    torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)  # from here on SGD.step has hooks of its own
    model = Catches(CallsItsBase)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(model)
    assert model.used_by["D"] == halvings(0.5, 18)
    # the step that raised is still open when the next one ends, and is closed before the next batch
    assert model.used_by["G"] == [1.0, 1.0, 0.5]


def test_a_schedule_per_optimizer_by_index_and_by_name(tmp_path: Path) -> None:
    schedules: list[LRSchedule] = [
        StepDecay(1, 0.5, interval="step", optimizer="SGD"),
        StepDecay(9, 0.1, interval="step", optimizer=1),
    ]
    model = GAN()
    trainer(tmp_path, *schedules, max_epochs=1).fit(model)
    assert model.used_by["G"] == halvings(1.0, 3)
    assert model.used_by["D"] == pytest.approx([0.5] * 9 + [0.05] * 9)


def test_a_name_that_fits_two_optimizers_is_refused(tmp_path: Path) -> None:
    model = GAN(torch.optim.SGD, torch.optim.SGD)
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, StepDecay(1, optimizer="SGD"), max_epochs=1).fit(model)
    assert (
        str(refused.value)
        == "StepDecay: optimizer 'SGD' fits several optimizers. There are: 0 (SGD), 1 (SGD). Pass its index."
    )


def test_epochs_are_the_trainers(tmp_path: Path) -> None:
    model = GAN()
    trainer(tmp_path, CosineAnnealing(), max_epochs=2).fit(model)
    assert model.used_by == {"G": [1.0] * 3 + [0.5] * 3, "D": [0.5] * 18 + [0.25] * 18}


def test_the_runs_length_in_updates_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, CosineAnnealing(interval="step"), max_epochs=1).fit(GAN())
    assert str(refused.value) == (
        "CosineAnnealing: 't_max' is None (the whole run), but the Trainer does not know how many steps the run has: in"
        " manual optimization only the module knows how often an optimizer steps. Pass t_max=<number of steps>, or"
        " interval='epoch'."
    )


def test_max_steps_is_the_length_where_there_is_one_optimizer(tmp_path: Path) -> None:
    class Alone(GAN):
        def configure_optimizers(self) -> Any:
            return super().configure_optimizers()[0]

        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            self.step("G", self.optimizers())

    model = Alone()
    trainer(tmp_path, CosineAnnealing(interval="step", eta_min=0.5), max_epochs=-1, max_steps=4).fit(model)
    assert model.used_by["G"] == pytest.approx([1.0, 0.75 + 0.25 * 0.5**0.5, 0.75, 0.75 - 0.25 * 0.5**0.5])


def test_resume_from_every_batch(tmp_path: Path) -> None:
    def run(ckpt_path: Path | None = None) -> dict[str, list[float]]:
        model = GAN()
        schedule = StepDecay(2, 0.5, interval="step", warmup=2)
        # saved under the Trainer's global_step, which adds up both optimizers
        fit = trainer(tmp_path, schedule, *([] if ckpt_path else [saver(tmp_path)]), max_epochs=2)
        fit.fit(model, ckpt_path=ckpt_path)
        return model.used_by

    full = run()
    assert (len(full["G"]), len(full["D"])) == (6, 36)
    assert len(list(tmp_path.glob("*.ckpt"))) == 12
    for path in tmp_path.glob("*.ckpt"):
        history = torch.load(path, weights_only=True)["callbacks"]["StepDecay"]["record"]
        tail = run(path)
        assert tail == {"G": full["G"][history["updates"][0] :], "D": full["D"][history["updates"][1] :]}, path


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_another_schedule_takes_over_the_counts_of_the_one_before(tmp_path: Path) -> None:
    trainer(tmp_path, CosineAnnealing(50, interval="step"), saver(tmp_path), max_epochs=1).fit(GAN())
    model = GAN()
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=2).fit(model, ckpt_path=tmp_path / "21.ckpt")
    assert model.used_by["G"][0] == 1.0 / 2**3
    assert model.used_by["D"][0] == 0.5 / 2**18


def test_counts_that_no_schedule_kept_are_shared_out_with_a_warning(tmp_path: Path) -> None:
    trainer(tmp_path, saver(tmp_path), max_epochs=1).fit(GAN())
    model = GAN()
    schedule = StepDecay(1, 0.5, interval="step", optimizer=0)
    with pytest.warns(UserWarning, match="how many of its 21 updates optimizer 0 made; taking an equal share, 10"):
        trainer(tmp_path, schedule, max_epochs=2).fit(model, ckpt_path=tmp_path / "21.ckpt")
    assert model.used_by["G"][0] == 1.0 / 2**10


def test_a_count_that_the_others_leave_no_choice_about_is_taken(tmp_path: Path) -> None:
    first = StepDecay(1, 0.5, interval="step", optimizer=0)
    trainer(tmp_path, first, saver(tmp_path), max_epochs=1).fit(GAN())
    model = GAN()
    both = StepDecay(1, 0.5, interval="step", optimizer=0), StepDecay(1, 0.5, interval="step", optimizer=1)
    trainer(tmp_path, *both, max_epochs=2).fit(model, ckpt_path=tmp_path / "21.ckpt")
    assert model.used_by["G"][0] == 1.0 / 2**3
    assert model.used_by["D"][0] == 0.5 / 2**18


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")  # LBFGS of torch 2.8
def test_lbfgs_with_several_updates_a_batch(tmp_path: Path) -> None:
    used: list[float] = []

    class Quasi(Recorder):
        def __init__(self) -> None:
            super().__init__(lambda params: torch.optim.LBFGS(params, lr=1.0, max_iter=2))
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            optimizer: Any = self.optimizers()

            def closure() -> Any:
                optimizer.zero_grad()
                loss = self.layer(batch).pow(2).mean()
                self.manual_backward(loss)
                return loss

            for _ in range(2):
                used.append(optimizer.param_groups[0]["lr"])
                optimizer.step(closure)

    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), max_epochs=1).fit(Quasi())
    assert used == halvings(1.0, 14)


def test_no_hook_stays_on_an_optimizer_after_a_fit(tmp_path: Path) -> None:
    class Fails(GAN):
        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            raise RuntimeError("no")

    for model in (GAN(), Fails()):
        fit = trainer(tmp_path, StepDecay(1, interval="step"), max_epochs=1)
        try:
            fit.fit(model)
        except RuntimeError:
            assert isinstance(model, Fails)
        assert [len(optimizer._optimizer_step_post_hooks) for optimizer in fit.optimizers] == [0, 0]


@pytest.mark.parametrize("max_epochs", [-1, 2])
def test_max_steps_is_no_length_where_it_adds_up_several_optimizers(max_epochs: int, tmp_path: Path) -> None:
    model = GAN()
    with pytest.raises(MisconfigurationException, match="does not know how many steps the run has: in manual"):
        trainer(tmp_path, CosineAnnealing(interval="step"), max_epochs=max_epochs, max_steps=30).fit(model)
    assert model.used_by == {"G": [], "D": []}
