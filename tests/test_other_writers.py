"""Others who write the LR: for each the documented outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    LearningRateFinder,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.tuner import Tuner
from models import Recorder, saver, trainer
from test_logging import points
from torch.utils.data import DataLoader

from lightning_lrsched import Constant, CosineAnnealing, ExponentialDecay, ReduceOnPlateau, StepDecay

pytestmark = [
    # a finder trains one run inside another
    pytest.mark.filterwarnings("ignore:.*`log_every_n_steps`"),
    pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`"),
]


finder_hands_on = pytest.mark.skipif(
    lightning.__version__.startswith(("2.5.0", "2.5.1", "2.5.2", "2.5.3")),
    reason="the LearningRateFinder of this Lightning is refused",
)


class Tunable(Recorder):
    def __init__(self, batches: int = 6, schedulers: Any = None) -> None:
        super().__init__(batches=batches)
        self.lr, self.batch_size = 1.0, 2
        self.schedulers = schedulers

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr)
        return optimizer if self.schedulers is None else ([optimizer], self.schedulers(optimizer))

    def train_dataloader(self) -> Any:
        data = torch.randn(self.batches * 2, 2, generator=torch.Generator().manual_seed(1))
        return DataLoader(data, batch_size=self.batch_size)  # type: ignore[arg-type]


def after_search(model: Tunable) -> list[float]:
    """The first LRs of the run itself, after those of the search, in shares of the suggestion."""
    assert model.lr != 1.0
    return [lr / model.lr for lr in model.used[-model.batches :][:6]]


def test_swa_takes_over_and_is_told_once(tmp_path: Path, caplog: Any) -> None:
    model = Recorder(batches=2)
    swa = StochasticWeightAveraging(swa_lrs=0.3, swa_epoch_start=3, annealing_epochs=1, annealing_strategy="linear")
    trainer(tmp_path, StepDecay(1, 0.5), swa, max_epochs=6).fit(model)
    assert model.used[:6] == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert model.used[8:] == [0.3] * 4
    assert model.used[6] == model.used[7]  # nobody alternates within an epoch
    told = [m for m in caplog.messages if m.startswith("StepDecay") and " at first" not in m]
    assert told == ["StepDecay: SWALR was installed on SGD during the fit and owns its LR from here on."]


def test_nothing_is_logged_of_what_swa_has_taken_over(tmp_path: Path) -> None:
    swa = StochasticWeightAveraging(swa_lrs=0.3, swa_epoch_start=3, annealing_epochs=1)
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    fit = trainer(tmp_path, StepDecay(1, 0.5), swa, logger=logger, log_every_n_steps=1, max_epochs=6)
    fit.fit(Recorder(batches=2))
    assert points(tmp_path / "run") == [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.5)]


def test_weight_averaging_leaves_the_lr_alone(tmp_path: Path) -> None:
    averaging = pytest.importorskip("lightning.pytorch.callbacks.weight_averaging", reason="needs Lightning 2.6")
    model = Recorder(batches=2)
    trainer(tmp_path, averaging.EMAWeightAveraging(), StepDecay(1, 0.5), max_epochs=3).fit(model)
    assert model.used == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


@finder_hands_on
@pytest.mark.parametrize("order", [1, -1])
def test_lr_finder_before_or_after_the_schedule(order: int, tmp_path: Path, recwarn: Any) -> None:
    finder = LearningRateFinder(num_training_steps=30, early_stop_threshold=None)
    model = Tunable(batches=32)
    schedule = StepDecay(2, 0.5, interval="step")
    trainer(tmp_path, *[finder, schedule][::order], max_epochs=1).fit(model)
    assert after_search(model) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert not [w for w in recwarn if "changed since" in str(w.message)]


@pytest.mark.parametrize("version", ["2.5.0", "2.5.1.post0", "2.5.2", "2.5.3"])
def test_the_lr_finder_of_an_old_lightning_is_refused(version: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Before 2.5.4 the optimizer had, after the search, the LR from before it."""
    monkeypatch.setattr(lightning, "__version__", version)
    fit = trainer(tmp_path, LearningRateFinder(num_training_steps=5), StepDecay(1), max_epochs=1)
    with pytest.raises(MisconfigurationException, match=rf"StepDecay: the LearningRateFinder of lightning {version} "):
        fit.fit(Tunable(batches=8))


@finder_hands_on
def test_lr_finder_that_searches_again_at_an_epoch(tmp_path: Path) -> None:
    """The subclass of Lightning's documentation: base = the new suggestion and t = 0, also after a resume."""
    suggestions: list[float] = []

    class AtEpochs(LearningRateFinder):
        def on_fit_start(self, *args: Any) -> None:
            return

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch in (0, 2):
                self.lr_find(trainer, pl_module)
                suggestions.append(pl_module.lr)

    def finder() -> LearningRateFinder:
        return AtEpochs(num_training_steps=20, early_stop_threshold=None)

    class Marks(Tunable):
        marks: list[int]

        def on_train_epoch_start(self) -> None:
            if len(self.trainer.callbacks) > 1:  # not inside the search
                self.marks = [*getattr(self, "marks", []), len(self.used)]

    def run(*callbacks: Any, ckpt_path: Path | None = None) -> Marks:
        model = Marks(batches=22)
        schedule = StepDecay(1, 0.5, interval="step")
        trainer(tmp_path, finder(), schedule, *callbacks, max_epochs=4).fit(model, ckpt_path=ckpt_path)
        return model

    model = run(saver(tmp_path))
    epochs = [model.used[mark : mark + 22] for mark in model.marks]
    first, second = suggestions
    assert epochs[0] == [first / 2**t for t in range(22)]
    assert epochs[1] == [first / 2**t for t in range(22, 44)]
    assert epochs[2] == [second / 2**t for t in range(22)]
    assert epochs[3] == [second / 2**t for t in range(22, 44)]
    assert run(ckpt_path=tmp_path / "86.ckpt").used == [second / 2**42, second / 2**43]


def test_tuner_lr_find_then_fit(tmp_path: Path) -> None:
    model = Tunable(batches=32)
    fit = trainer(tmp_path, StepDecay(2, 0.5, interval="step"), max_epochs=1)
    Tuner(fit).lr_find(model, num_training=30, early_stop_threshold=None)
    fit.fit(model)
    assert after_search(model) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_batch_size_finder(tmp_path: Path) -> None:
    model = Tunable(batches=8)
    finder = BatchSizeFinder(mode="power", steps_per_trial=1, init_val=2, max_trials=2)
    schedule = CosineAnnealing(interval="step")
    trainer(tmp_path, schedule, finder, max_epochs=2).fit(model)
    updates = 2 * (16 // model.batch_size)
    assert model.used[-updates] == 1.0
    middle = model.used[-updates // 2]
    assert middle == pytest.approx(0.5)


def test_replace_scheduler_takes_torchs_off_for_the_fit(tmp_path: Path, caplog: Any) -> None:
    def warmup(optimizer: Any) -> list[Any]:
        return [torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)]

    model = Tunable(schedulers=warmup)
    fit = trainer(tmp_path, StepDecay(2, 0.5, interval="step", replace_scheduler=True), saver(tmp_path), max_epochs=1)
    fit.fit(model)
    assert model.used == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]  # from 1.0, not from the 0.1 that LinearLR had set
    assert fit.lr_scheduler_configs == []
    assert "StepDecay: took LinearLR off for this fit." in caplog.messages
    resumed = Tunable(schedulers=warmup)
    schedule = StepDecay(2, 0.5, interval="step", replace_scheduler=True)
    trainer(tmp_path, schedule, max_epochs=1).fit(resumed, ckpt_path=tmp_path / "3.ckpt")
    assert resumed.used == [0.5, 0.25, 0.25]


def test_replace_scheduler_keeps_a_stand_in_for_a_module_that_steps_by_hand(tmp_path: Path) -> None:
    class ByHand(Tunable):
        def __init__(self) -> None:
            super().__init__(schedulers=lambda optimizer: [torch.optim.lr_scheduler.StepLR(optimizer, 1)])
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            optimizer: Any = self.optimizers()
            scheduler: Any = self.lr_schedulers()
            self.used.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
            assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]

    model = ByHand()
    schedule = StepDecay(2, 0.5, interval="step", replace_scheduler=True)
    trainer(tmp_path, schedule, saver(tmp_path), max_epochs=1).fit(model)
    assert model.used == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    resumed = ByHand()
    schedule = StepDecay(2, 0.5, interval="step", replace_scheduler=True)
    trainer(tmp_path, schedule, max_epochs=1).fit(resumed, ckpt_path=tmp_path / "4.ckpt")
    assert resumed.used == [0.25, 0.25]


class Edits(Callback):
    """A user's own hand on the LR, at the start of batch 3."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 3:
            trainer.optimizers[0].param_groups[0]["lr"] *= 10


def test_an_edit_of_the_lr_lasts_until_the_schedules_next_change(tmp_path: Path) -> None:
    model = Recorder(batches=6)
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    schedule = StepDecay(3, 0.5, interval="step")
    trainer(tmp_path, schedule, Edits(), max_epochs=1, logger=logger, log_every_n_steps=1).fit(model)
    assert model.used == [1.0, 1.0, 1.0, 5.0, 5.0, 5.0]
    assert points(tmp_path / "run")[4:] == [(4, 5.0), (5, 5.0)]  # the edit comes after the point of batch 3
    model = Recorder(batches=6)
    trainer(tmp_path, StepDecay(2, 0.5, interval="step"), Edits(), max_epochs=1).fit(model)
    assert model.used == [1.0, 1.0, 0.5, 5.0, 0.25, 0.25]


def test_an_edit_is_undone_at_the_next_epoch_at_the_latest_and_told_once(tmp_path: Path, caplog: Any) -> None:
    model = Recorder(batches=6)
    trainer(tmp_path, StepDecay(5, 0.5), Edits(), max_epochs=3).fit(model)
    assert model.used == [1.0, 1.0, 1.0, 10.0, 10.0, 10.0] + [1.0] * 12
    assert [m for m in caplog.messages if m.startswith("StepDecay") and " at first" not in m] == [
        "StepDecay: other code changed the LR of SGD; the schedule put its own back, as it will at every change and"
        " every epoch."
    ]


def test_plateau_reductions_survive_a_warmup_and_an_edit(tmp_path: Path) -> None:
    model = Recorder(batches=2, val_batches=1)
    schedule = ReduceOnPlateau(patience=1, factor=0.5, warmup=2)
    trainer(tmp_path, schedule, Edits(), max_epochs=6).fit(model)
    thirds = [1 / 3, 1 / 3, 2 / 3, 2 / 3 * 10]
    assert model.used == pytest.approx([*thirds, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25])


def test_a_scheduler_without_initial_lr_is_taken_off_too(tmp_path: Path) -> None:
    def plateau(optimizer: Any) -> list[Any]:
        return [{"scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer), "monitor": "train_loss"}]

    model = Tunable(batches=2, schedulers=plateau)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step", replace_scheduler=True), max_epochs=1).fit(model)
    assert model.used == [1.0, 0.5]


def test_two_schedules_that_split_an_optimizer_find_the_configured_lrs(tmp_path: Path) -> None:
    class Split(Recorder):
        def configure_optimizers(self) -> Any:
            weight, bias = self.parameters()
            optimizer = torch.optim.SGD([{"params": [weight]}, {"params": [bias]}], lr=1.0)
            return [optimizer], [torch.optim.lr_scheduler.LinearLR(optimizer, 0.1)]

    model = Split(batches=1)
    halves = [Constant(param_groups=i, replace_scheduler=True) for i in (0, 1)]
    trainer(tmp_path, *halves, max_epochs=1).fit(model)
    assert model.used == [[1.0, 1.0]]


@finder_hands_on
def test_the_finders_suggestion_wins_over_a_scheduler_that_is_taken_off(tmp_path: Path) -> None:
    def step(optimizer: Any) -> list[Any]:
        return [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    model = Tunable(batches=32, schedulers=step)
    finder = LearningRateFinder(num_training_steps=30, early_stop_threshold=None)
    trainer(tmp_path, finder, Constant(interval="step", replace_scheduler=True), max_epochs=1).fit(model)
    assert after_search(model) == [1.0] * 6


def test_edits_in_several_epochs_are_told_once(tmp_path: Path, caplog: Any) -> None:
    class EveryEpoch(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx == 1:
                trainer.optimizers[0].param_groups[0]["lr"] *= 10

    model = Recorder(batches=2)
    trainer(tmp_path, Constant(), EveryEpoch(), max_epochs=4).fit(model)
    assert model.used == [1.0, 10.0] * 4
    assert len([text for text in caplog.messages if "other code changed the LR of SGD" in text]) == 1


class SearchesAtEpoch2(LearningRateFinder):
    """Of which only the outcome matters here: a suggestion of 0.02, or none."""

    finds = 0.02

    def on_fit_start(self, *args: Any) -> None:
        return

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 2:
            self.optimal_lr = type("Found", (), {"suggestion": lambda found: self.finds})()
            if self.finds:
                trainer.optimizers[0].param_groups[0]["lr"] = self.finds


@finder_hands_on
def test_a_search_in_mid_run_leaves_the_rest_of_the_run_to_an_open_schedule(tmp_path: Path) -> None:
    model = Tunable(batches=1)
    fit = trainer(tmp_path, SearchesAtEpoch2(), CosineAnnealing(), max_epochs=4)
    fit.fit(model)
    assert model.used[2:] == pytest.approx([0.02, 0.01])
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0


@finder_hands_on
@pytest.mark.parametrize("numbers", [["lr", "momentum"], ["momentum", "lr"]])
def test_a_search_in_mid_run_is_for_the_lr_of_several_numbers(numbers: list[str], tmp_path: Path) -> None:
    model = Recorder(lambda params: torch.optim.SGD(params, lr=1.0, momentum=0.5), batches=1)
    trainer(tmp_path, SearchesAtEpoch2(), StepDecay(1, 0.5, hyperparameter=numbers), max_epochs=4).fit(model)
    assert model.used == [1.0, 0.5, 0.02, 0.01]
    assert model.first_momenta == [0.5, 0.25, 0.5, 0.25]


@finder_hands_on
def test_a_search_in_mid_run_empties_a_plateaus_memory(tmp_path: Path) -> None:
    class Validated(Tunable):
        def val_dataloader(self) -> Any:
            return DataLoader(torch.zeros(1, 2), batch_size=1)  # type: ignore[arg-type]

    model = Validated(batches=1)
    trainer(tmp_path, SearchesAtEpoch2(), ReduceOnPlateau(patience=1, factor=0.5), max_epochs=5).fit(model)
    assert model.used == [1.0, 1.0, 0.02, 0.02, 0.01]


@finder_hands_on
@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint")
def test_another_schedule_goes_on_from_the_search_of_before(tmp_path: Path) -> None:
    model, resumed = Tunable(batches=1), Tunable(batches=1)
    keep = saver(tmp_path, "on_train_epoch_end")
    trainer(tmp_path, SearchesAtEpoch2(), StepDecay(1, 0.5), keep, max_epochs=5).fit(model)
    assert model.used == [1.0, 0.5, 0.02, 0.01, 0.005]
    run = trainer(tmp_path, SearchesAtEpoch2(), ExponentialDecay(gamma=0.5), max_epochs=5)
    run.fit(resumed, ckpt_path=tmp_path / "3.ckpt")
    assert resumed.used == [0.01, 0.005]


@finder_hands_on
def test_a_search_that_finds_nothing_changes_nothing(tmp_path: Path) -> None:
    finder = SearchesAtEpoch2()
    finder.finds = None
    model = Tunable(batches=1)
    trainer(tmp_path, finder, StepDecay(1, 0.5), max_epochs=4).fit(model)
    assert model.used == [1.0, 0.5, 0.25, 0.125]


class ByHand(Tunable):
    def __init__(self) -> None:
        super().__init__(batches=2)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        optimizer: Any = self.optimizers()
        self.used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()


def test_swa_in_manual_optimization_owns_the_lr_alone(tmp_path: Path) -> None:
    model = ByHand()
    swa = StochasticWeightAveraging(swa_lrs=0.3, swa_epoch_start=2)
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), swa, Edits(), max_epochs=4).fit(model)
    assert len(set(model.used[5:])) == 1


class FindsForAll(SearchesAtEpoch2):
    """It sets every group, as Lightning's does."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        if trainer.current_epoch == 2:
            for group in trainer.optimizers[0].param_groups:
                group["lr"] = self.finds


@finder_hands_on
def test_a_search_in_mid_run_gives_its_lr_to_a_late_group_too(tmp_path: Path) -> None:
    class Grows(Tunable):
        """A second group comes at the start of epoch 1."""

        def on_train_epoch_start(self) -> None:
            if self.trainer.current_epoch == 1:
                late = [torch.nn.Parameter(torch.zeros(1))]
                self.trainer.optimizers[0].add_param_group({"params": late, "lr": 0.5})

    model = Grows(batches=1)
    trainer(tmp_path, FindsForAll(), StepDecay(1, 0.5), max_epochs=4).fit(model)
    assert model.used == [1.0, [0.5, 0.5], [0.02, 0.02], [0.01, 0.01]]


@finder_hands_on
def test_a_search_in_mid_run_that_falls_under_the_floor_is_refused(tmp_path: Path) -> None:
    model = Tunable(batches=1)
    with pytest.raises(MisconfigurationException, match=r"'eta_min' must not lie above the base LR .*, got 0\.05, but"):
        trainer(tmp_path, FindsForAll(), CosineAnnealing(eta_min=0.05), max_epochs=4).fit(model)
    assert model.used == pytest.approx([1.0, 0.05 + 0.95 * (2 + 2**0.5) / 4])


class PutsAnotherOptimizer(Callback):
    """At the start of epoch 1 and after a restart, as FinetuningScheduler's new_optimizer does."""

    def put(self, trainer: Any) -> None:
        layer = trainer.lightning_module.layer
        groups = [{"params": [layer.weight]}, {"params": [layer.bias], "lr": 0.8}]
        trainer.strategy.optimizers = [torch.optim.Adagrad(groups, lr=0.3)]

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.ckpt_path:
            self.put(trainer)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1 and not isinstance(trainer.optimizers[0], torch.optim.Adagrad):
            self.put(trainer)


def test_an_optimizer_in_the_place_of_another_goes_on_from_the_base_of_before(tmp_path: Path, caplog: Any) -> None:
    """And a group that joins with it keeps its LR for its first interval, and follows the curve from there."""
    used = [1.0] * 2 + [[0.5, 0.8]] * 2 + [[0.25, 0.4]] * 2

    def made() -> Recorder:
        model = Recorder(batches=2)
        model.configure = lambda _: torch.optim.SGD([model.layer.weight], lr=1.0)
        return model

    model = made()
    trainer(tmp_path, StepDecay(1, 0.5), PutsAnotherOptimizer(), saver(tmp_path), max_epochs=3).fit(model)
    assert model.used == used
    assert [message for message in caplog.messages if " place of " in message] == [
        "StepDecay: other code put Adagrad in the place of SGD. The schedule goes on with it, from the base LR that"
        " each group had."
    ]
    for step in (3, 4, 5):
        resumed = made()
        fit = trainer(tmp_path, StepDecay(1, 0.5), PutsAnotherOptimizer(), max_epochs=3)
        fit.fit(resumed, ckpt_path=tmp_path / f"{step}.ckpt")
        assert resumed.used == used[step:]


def test_the_updates_of_an_optimizer_in_the_place_of_another_are_counted_in_manual_optimization(tmp_path: Path) -> None:
    model = ByHand()
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), PutsAnotherOptimizer(), max_epochs=2).fit(model)
    assert model.used == [1.0, 0.5, 0.25, 0.125]


def test_an_optimizer_that_is_taken_away_is_driven_no_more(tmp_path: Path, caplog: Any) -> None:
    class TakesTheSecondAway(Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 1:
                trainer.strategy.optimizers = trainer.optimizers[:1]

    class Two(ByHand):
        def configure_optimizers(self) -> Any:
            return [torch.optim.SGD([parameter], lr=1.0) for parameter in self.layer.parameters()]

        def optimizers(self, use_pl_optimizer: bool = True) -> Any:
            found = super().optimizers()
            return found[0] if isinstance(found, list) else found

    model = Two()
    trainer(tmp_path, StepDecay(1, 0.5, interval="step"), TakesTheSecondAway(), max_epochs=2).fit(model)
    assert model.used == [1.0, 0.5, 0.25, 0.125]
    assert "StepDecay: other code took SGD away, which is driven no more." in caplog.messages


def test_an_optimizer_in_the_place_of_another_without_the_number_is_refused(tmp_path: Path) -> None:
    model = Recorder(lambda params: torch.optim.SGD(params, lr=1.0, momentum=0.9), batches=2)
    schedule = StepDecay(1, 0.5, hyperparameter="momentum")
    with pytest.raises(MisconfigurationException, match="StepDecay: Adagrad has no number 'momentum' to schedule"):
        trainer(tmp_path, schedule, PutsAnotherOptimizer(), max_epochs=2).fit(model)
