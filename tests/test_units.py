"""Time in the units that people think in: shares that round, samples, seconds, a clock of one's own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from models import Recorder, lrs_of_fit, saver, trainer
from ranks import environment
from test_edges_of_a_run import Streams
from torch.utils.data import DataLoader

from lightning_lrsched import (
    BackOffOnSpike,
    BatchSizeScaling,
    Constant,
    CosineAnnealing,
    CosineRestarts,
    LRSchedule,
    MultiStepDecay,
    OneCycle,
    PolynomialDecay,
    ProductSchedule,
    SequentialSchedule,
    StepDecay,
    preview_fit,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*changed since the checkpoint")


# ---- rounding


@pytest.mark.parametrize(
    ("duration", "steps", "intervals"),
    [("10%", 1173, 117), ("10%", 5, 1), ("30%", 5, 2), ("1%", 10, 1), ("50%", 3, 2), ("0.5 epochs", 5, 3)],
)
def test_a_share_is_rounded_to_the_nearest_halves_up_and_at_least_one(
    duration: str, steps: int, intervals: int
) -> None:
    lrs = StepDecay(duration, 0.5, interval="step").preview(1, steps)
    assert lrs == [0.5 ** (t // intervals) for t in range(steps)]


def test_a_warmup_may_be_rounded_to_nothing() -> None:
    assert Constant(warmup="4%", interval="step").preview(1, 10) == [1.0] * 10
    assert Constant(warmup="5%", interval="step").preview(1, 10) == [0.5] + [1.0] * 9


def test_what_everyone_writes(tmp_path: Path) -> None:
    """The README's cosine on 1 173 steps: the ramp takes 117, its last stair is 117 / 118."""
    lrs = CosineAnnealing(interval="step", warmup="10%").preview(1, 1173)
    assert (lrs[0], lrs[116], lrs[117]) == (1 / 118, 117 / 118, 1.0)
    assert lrs[117 + 528] == pytest.approx(0.5)  # half of the 1 056 that are left


@pytest.mark.parametrize(
    "schedule",
    [
        CosineAnnealing(interval="step", warmup="10%"),
        CosineAnnealing(warmup="10%"),
        OneCycle(interval="step", warmup="3%"),
        SequentialSchedule([Constant(), StepDecay("10%"), CosineAnnealing()], ["20%", "70%"], interval="step"),
        MultiStepDecay(["10%", "15%"], interval="step"),
    ],
)
def test_a_fast_dev_run_just_runs(schedule: LRSchedule, tmp_path: Path) -> None:
    assert len(lrs_of_fit(tmp_path, schedule, fast_dev_run=True)) == 1


# ---- one interval for all parts


def test_parts_count_what_their_whole_counts_at_any_depth(tmp_path: Path) -> None:
    inner = ProductSchedule([StepDecay(2, 0.5), BackOffOnSpike(window=99)])
    outer = SequentialSchedule([Constant(0.5), inner], [2], interval="step")
    assert lrs_of_fit(tmp_path, outer, model=Recorder(batches=6), max_epochs=1) == [0.5, 0.5, 1.0, 1.0, 0.5, 0.5]
    assert SequentialSchedule([Constant(0.5), StepDecay(1, 0.5)], [2]).preview(4) == [0.5, 0.5, 1.0, 0.5]
    assert repr(inner) == "ProductSchedule(parts=(StepDecay(step_size=2, gamma=0.5), BackOffOnSpike(window=99)))"


def test_an_interval_said_or_left_out_is_no_change(tmp_path: Path, recwarn: Any) -> None:
    trainer(tmp_path, StepDecay(1, 0.5), saver(tmp_path), max_epochs=1).fit(Recorder(batches=1))
    fit = trainer(tmp_path, StepDecay(1, 0.5, interval="epoch"), max_epochs=2)
    fit.fit(Recorder(batches=1), ckpt_path=tmp_path / "1.ckpt")
    assert not [w for w in recwarn if "changed since" in str(w.message)]


@pytest.mark.parametrize("interval", [np.arange(2), torch.ones(2), 3, "", "no.such.function", b"epoch"])
def test_what_is_no_interval_is_refused(interval: Any) -> None:
    with pytest.raises(ValueError, match="StepDecay: 'interval' must be 'epoch', 'step', 'second', a function of the"):
        StepDecay(1, interval=interval)


# ---- samples: a batch of Recorder's loader has two


@pytest.mark.parametrize(
    ("accumulate", "lrs"),
    # 6 batches an epoch: 8 samples are 4 batches, or with three of them an update 4 / 6 of 2 updates
    [(1, [1.0] * 4 + [0.5] * 4 + [0.25] * 4), (3, [1.0, 0.5, 0.25, 0.125])],
)
def test_samples_are_batches_are_updates(accumulate: int, lrs: list[float], tmp_path: Path) -> None:
    schedule = StepDecay("8 samples", 0.5, interval="step")
    run = {"max_epochs": 2, "accumulate_grad_batches": accumulate}
    assert lrs_of_fit(tmp_path, schedule, model=Recorder(batches=6), **run) == lrs


def test_samples_of_a_schedule_by_epochs(tmp_path: Path) -> None:
    model = Recorder(batches=1)
    assert lrs_of_fit(tmp_path, StepDecay("4 samples", 0.5), model=model, max_epochs=4) == [1.0, 1.0, 0.5, 0.5]


@pytest.mark.filterwarnings("ignore:When using `Trainer.accumulate_grad_batches != 1.`")
def test_samples_under_an_accumulation_that_changes(tmp_path: Path) -> None:
    """Epochs of 4 batches: 4 updates, then 2 each; 16 samples are 2 epochs, the first 6 updates."""
    model = Recorder(batches=4)
    schedule = MultiStepDecay(["16 samples"], 0.5, interval="step")
    scheduler = GradientAccumulationScheduler({1: 2})
    trainer(tmp_path, schedule, scheduler, max_epochs=3).fit(model)
    assert model.used == [1.0] * 6 + [0.5] * 2


def test_samples_go_on_at_their_share_with_another_batch_size(tmp_path: Path) -> None:
    class Bigger(Recorder):
        def train_dataloader(self) -> Any:
            return DataLoader(torch.zeros(16, 2), batch_size=4)  # type: ignore[arg-type]

    def schedule() -> LRSchedule:
        return MultiStepDecay(["24 samples", "40 samples"], 0.5, interval="step")

    trainer(tmp_path, schedule(), saver(tmp_path), max_epochs=3).fit(Recorder(batches=8))
    for step, used in ((8, [1.0] * 2 + [0.5] * 4 + [0.25] * 2), (16, [0.5] * 2 + [0.25] * 2)):
        model = Bigger()
        trainer(tmp_path, schedule(), max_epochs=3).fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
        assert model.used == used


def test_samples_go_on_at_their_share_with_data_of_another_size(tmp_path: Path) -> None:
    """64 samples are four epochs of 8 batches; half of them are done, and the other half takes two epochs of 16."""

    def schedule() -> LRSchedule:
        return PolynomialDecay("64 samples", interval="step")

    trainer(tmp_path, schedule(), saver(tmp_path, "on_train_epoch_end"), max_epochs=6).fit(Recorder(batches=8))
    model = Recorder(batches=16)
    trainer(tmp_path, schedule(), saver(tmp_path, "on_train_epoch_end"), max_epochs=6).fit(
        model, ckpt_path=tmp_path / "16.ckpt"
    )
    assert model.used == [0.5 - t / 64 for t in range(32)] + [0.0] * 32
    again = Recorder(batches=16)
    trainer(tmp_path, schedule(), max_epochs=6).fit(again, ckpt_path=tmp_path / "32.ckpt")
    assert again.used == model.used[16:]

    checkpoint = torch.load(tmp_path / "8.ckpt", weights_only=True)
    del checkpoint["callbacks"]["PolynomialDecay"]["record"]["run"]["samples"]  # as none had it in November 2026
    torch.save(checkpoint, tmp_path / "old.ckpt")
    old = Recorder(batches=8)
    trainer(tmp_path, schedule(), max_epochs=6).fit(old, ckpt_path=tmp_path / "old.ckpt")
    assert old.used == [0.75 - t / 32 for t in range(24)] + [0.0] * 16


def test_samples_are_refused_where_the_loader_does_not_tell(tmp_path: Path) -> None:
    class Listed(Recorder):
        def train_dataloader(self) -> Any:
            return [torch.zeros(2, 2)] * 4

    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, StepDecay("8 samples", interval="step"), max_epochs=1).fit(Listed())
    assert str(refused.value) == (
        "StepDecay: 'step_size' is '8 samples', which the Trainer cannot turn into steps: the batch size of the"
        " training data is not known. Pass step_size=<number of steps>."
    )


# ---- seconds


class Watch:
    """A clock that only the training moves, by a quarter of a second a batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr("lightning_lrsched.fit.position.monotonic", lambda: self.now)


class Timed(Recorder):
    def __init__(self, watch: Watch, **kw: Any) -> None:
        super().__init__(**{"batches": 10, **kw})
        self.watch = watch

    def optimizer_step(self, *args: Any, **kw: Any) -> None:
        super().optimizer_step(*args, **kw)
        self.watch.now += 0.25


def test_a_run_on_a_time_budget_ends_its_curve_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watch, run = Watch(monkeypatch), {"max_epochs": -1, "max_time": timedelta(seconds=10)}
    model = Timed(watch)
    fit = trainer(tmp_path, CosineAnnealing(interval="second"), saver(tmp_path), **run)
    fit.fit(model)
    # four updates a second, of ten seconds
    assert model.used == pytest.approx([(1 + cos(pi * second / 10)) / 2 for second in range(10) for _ in range(4)])
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0
    for step in (3, 17, 30):
        watch.now += 1000.0  # between two processes no time is trained
        tail = Timed(watch)
        trainer(tmp_path, CosineAnnealing(interval="second"), **run).fit(tail, ckpt_path=tmp_path / f"{step}.ckpt")
        assert tail.used == model.used[step:], step


def linear(**kw: Any) -> PolynomialDecay:
    return PolynomialDecay(power=1, **kw)


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_a_schedule_in_the_place_of_another_knows_its_time_where_no_timer_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watch = Watch(monkeypatch)
    trainer(tmp_path, Constant(interval="second"), saver(tmp_path), max_steps=30).fit(Timed(watch))
    watch.now += 1000.0
    tail = Timed(watch)
    trainer(tmp_path, StepDecay(8, 0.5, interval="second"), max_steps=40).fit(tail, ckpt_path=tmp_path / "30.ckpt")
    assert tail.used == [1.0] * 2 + [0.5] * 8


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`", "ignore:PolynomialDecay")
@pytest.mark.parametrize(
    "before",
    [[], [linear(interval="second")], [CosineAnnealing(interval="second")], [linear(t_max=1000, interval="step")]],
    ids=["none", "of all groups", "another", "by steps"],
)
def test_a_schedule_that_begins_with_a_resume_knows_the_time_of_before(
    before: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watch, run = Watch(monkeypatch), {"max_epochs": -1, "max_time": timedelta(seconds=10)}
    trainer(tmp_path, *before, saver(tmp_path), **run).fit(Timed(watch))
    watch.now += 1000.0
    tail = Timed(watch)
    after = linear(interval="second", param_groups=0)
    trainer(tmp_path, after, **run).fit(tail, ckpt_path=tmp_path / "30.ckpt")
    assert tail.used == pytest.approx([0.3] * 2 + [0.2] * 4 + [0.1] * 4)


def test_durations_of_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watch, run = Watch(monkeypatch), {"max_epochs": -1, "max_time": timedelta(minutes=1)}
    model = Timed(watch)
    trainer(tmp_path, MultiStepDecay(["5 seconds", "0.5 minutes", "75%"], 0.5, interval="second"), **run).fit(model)
    assert model.used == [1.0] * 20 + [0.5] * 100 + [0.25] * 60 + [0.125] * 60


def test_the_seconds_of_an_accumulation_window_have_one_lr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Slow(Timed):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.seen = [*getattr(self, "seen", []), self.trainer.optimizers[0].param_groups[0]["lr"]]
            self.watch.now += 1.0
            return super().training_step(batch, batch_idx)

    model = Slow(Watch(monkeypatch), batches=6)
    trainer(tmp_path, StepDecay(1, 0.5, interval="second"), max_epochs=1, accumulate_grad_batches=3).fit(model)
    assert model.seen == [1.0] * 3 + [0.125] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CosineAnnealing(interval="second"), "how many seconds the run has: max_time is not set. Pass t_max="),
        (
            lambda: StepDecay("2 epochs", interval="second"),
            "into seconds: interval='second' counts time. Pass",
        ),
        (
            lambda: StepDecay("2 hours", interval="step"),
            "into steps: only interval='second' counts time. Pass",
        ),
        (
            lambda: StepDecay("10%", interval=lambda trainer: 0),
            "into intervals: how many there are only the function of its interval knows. Pass step_size=",
        ),
    ],
)
def test_a_unit_that_the_interval_does_not_know(make: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, make(), max_epochs=1).fit(Recorder())
    assert message in str(refused.value)


@pytest.mark.long
def test_a_run_on_a_time_budget_that_is_killed_twice(tmp_path: Path) -> None:
    """Whole seconds are counted, so that the last of 12 trains at (1 + cos(165 degrees)) / 2, 1.7 % of the first LR."""
    budget, checkpoint, lrs = 12, [], []
    for kill_after in (3.0, 4.0, None):
        call = [sys.executable, str(Path(__file__).with_name("budget.py")), str(tmp_path), str(budget), *checkpoint]
        process = subprocess.Popen(
            call, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        lines += process.communicate()[0].splitlines()
        lrs.append([float(line) for line in lines if line.strip()])
        saved = sorted(tmp_path.glob("*.ckpt"), key=lambda path: int(path.stem.partition("=")[2].partition("-")[0]))
        checkpoint = [str(saved[-1])]
    curve = [(1 + cos(pi * second / budget)) / 2 for second in range(budget + 1)]
    for process_lrs in lrs:
        assert process_lrs == sorted(process_lrs, reverse=True)
        assert all(min(abs(lr - value) for value in curve) < 1e-12 for lr in process_lrs)
    for before, after in pairwise(lrs):  # taken up at most the second before the kill
        assert curve.index(min(curve, key=lambda v: abs(v - after[0]))) in (
            (last := curve.index(min(curve, key=lambda v: abs(v - before[-1])))) - 1,
            last,
        )
    *_, last_update, end = lrs[-1]
    assert last_update <= 0.02
    assert end == 0.0


# ---- a clock of one's own


def tokens(trainer: Any) -> int:
    return int(trainer.lightning_module.tokens)


class Language(Recorder):
    """Guesses the next token, in batches of 3, 5, 2, 7, 1 and 6 of them."""

    lengths = (3, 5, 2, 7, 1, 6)

    def __init__(self) -> None:
        super().__init__(batches=6)
        self.embedding, self.head = torch.nn.Embedding(4, 8), torch.nn.Linear(8, 4)
        self.tokens = 0

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        logits = self.head(self.embedding(batch[0, :-1]))
        self.tokens += batch.shape[1] - 1
        return torch.nn.functional.cross_entropy(logits, batch[0, 1:])

    def train_dataloader(self) -> Any:
        texts: Any = [torch.arange(length + 1) % 4 for length in self.lengths]
        return DataLoader(texts, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["tokens"] = self.tokens

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.tokens = checkpoint["tokens"]


@pytest.mark.parametrize("interval", [tokens, "test_units.tokens"])
def test_the_lr_against_the_tokens_seen(interval: Any, tmp_path: Path) -> None:
    model = Language()
    trainer(tmp_path, CosineAnnealing(24, interval=interval), saver(tmp_path), max_epochs=1).fit(model)
    assert model.used == pytest.approx([(1 + cos(pi * seen / 24)) / 2 for seen in (0, 3, 8, 10, 17, 18)])
    tail = Language()
    trainer(tmp_path, CosineAnnealing(24, interval=interval), max_epochs=1).fit(tail, ckpt_path=tmp_path / "2.ckpt")
    # Lightning goes on at the third batch with the loader's first: 8 seen, then 3, 5 and 2 more
    assert tail.used == pytest.approx([(1 + cos(pi * seen / 24)) / 2 for seen in (8, 11, 16, 18)])


def batches(trainer: Any) -> int:
    return int(trainer.global_step)


def test_another_clock_may_read_less_than_the_one_before(tmp_path: Path) -> None:
    trainer(tmp_path, linear(t_max=24, interval=tokens), saver(tmp_path), max_epochs=1).fit(Language())
    tail, resumed = Language(), trainer(tmp_path, linear(t_max=6, interval=batches), max_epochs=1)
    with pytest.warns(UserWarning, match="interval: '.*tokens' -> '.*batches'"):
        resumed.fit(tail, ckpt_path=tmp_path / "2.ckpt")
    assert tail.used == pytest.approx([4 / 6, 3 / 6, 2 / 6, 1 / 6])


@pytest.mark.parametrize(
    ("readings", "what"), [([3, 2], "2"), ([0, 0.5], "0.5"), ([0, None], "None"), ([0, True], "True")]
)
def test_a_clock_that_falls_or_gives_no_whole_number_is_refused(readings: Any, what: str, tmp_path: Path) -> None:
    def clock(trainer: Any) -> Any:
        return readings[trainer.global_step]

    model = Recorder()
    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, StepDecay(1, interval=clock), max_epochs=1).fit(model)
    assert str(refused.value).endswith(
        f"clock, must return a whole number that never falls (it was {readings[0]}), got {what}."
    )
    assert len(model.used) == 1


# ---- the global batch


def test_the_base_lr_follows_the_global_batch_and_is_told_once(tmp_path: Path, caplog: Any) -> None:
    schedule = ProductSchedule([BatchSizeScaling(8), StepDecay(2, 0.5)], interval="step")
    lrs = lrs_of_fit(tmp_path, schedule, model=Recorder(batches=12), max_epochs=1, accumulate_grad_batches=3)
    assert lrs == [0.75, 0.75, 0.375, 0.375]  # 2 samples * 3 of 8
    told = [m for m in caplog.messages if m.startswith("BatchSizeScaling")]
    assert told == ["BatchSizeScaling: 1 -> 0.75: global batch 6, reference 8, linear."]


@pytest.mark.filterwarnings("ignore:When using `Trainer.accumulate_grad_batches != 1.`")
@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_the_accumulation_in_force_counts(interval: Any, tmp_path: Path) -> None:
    model = Recorder(batches=4)
    schedule = BatchSizeScaling(2, "sqrt", interval=interval)
    trainer(tmp_path, schedule, GradientAccumulationScheduler({1: 4}), max_epochs=3).fit(model)
    assert model.used == [1.0] * 4 + [2.0] * 2


def test_a_batch_size_that_nobody_tells_is_asked_for(tmp_path: Path) -> None:
    class Batches:
        def __len__(self) -> int:
            return 4

        def __iter__(self) -> Any:
            return iter([torch.zeros(4, 2)] * 4)

    class Listed(Recorder):
        def train_dataloader(self) -> Any:
            return Batches()

    with pytest.raises(MisconfigurationException) as refused:
        trainer(tmp_path, BatchSizeScaling(8), max_epochs=1).fit(Listed())
    assert str(refused.value) == (
        "BatchSizeScaling: 'batch_size' is None, and the loader does not tell its batch size. Pass batch_size=<number"
        " of samples of a batch>."
    )
    assert lrs_of_fit(tmp_path, BatchSizeScaling(8, batch_size=4), model=Listed(), max_epochs=1) == [0.5] * 4


# ---- every unit, resumed from every epoch

UNITS: dict[str, Callable[[], LRSchedule]] = {
    "percent": lambda: CosineAnnealing("70%", interval="step", warmup="13%"),
    "epochs": lambda: StepDecay("1.5 epochs", 0.5, interval="step"),
    "samples": lambda: MultiStepDecay(["10 samples", "33 samples"], 0.5, interval="step"),
    "samples by epochs": lambda: StepDecay("28 samples", 0.5),
    "steps": lambda: StepDecay("3 steps", 0.5, interval="step"),
    "batch size": lambda: ProductSchedule([BatchSizeScaling(8), CosineAnnealing()], interval="step"),
}


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("make", UNITS.values(), ids=UNITS)
def test_every_unit_goes_on_from_every_epoch(make: Any, accumulate: int, tmp_path: Path) -> None:
    run = {"max_epochs": 4, "accumulate_grad_batches": accumulate}
    full = Recorder(batches=7)
    trainer(tmp_path, make(), saver(tmp_path, "on_train_epoch_end"), **run).fit(full)
    assert len(set(full.used)) > 1
    updates = len(full.used) // 4
    for epoch in (1, 2, 3):
        model = Recorder(batches=7)
        trainer(tmp_path, make(), **run).fit(model, ckpt_path=tmp_path / f"{epoch * updates}.ckpt")
        assert model.used == full.used[epoch * updates :], epoch


# ---- the length where it is known


def test_endless_data_with_max_steps_beside_max_epochs_has_that_length(tmp_path: Path) -> None:
    model = Streams()
    lrs = lrs_of_fit(tmp_path, CosineAnnealing(interval="step"), model=model, max_epochs=9, max_steps=4)
    assert lrs == pytest.approx([(1 + cos(pi * t / 4)) / 2 for t in range(4)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: CosineAnnealing(interval="step", warmup="13%"),
        lambda: MultiStepDecay(["8 samples", "55%"], interval="step"),
        lambda: SequentialSchedule([Constant(0.5), CosineAnnealing()], ["20 samples"], interval="step"),
        lambda: StepDecay("12 samples", 0.5),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_preview_of_a_fit_knows_the_units(make: Any, accumulate: int, tmp_path: Path) -> None:
    run = {"max_epochs": 3, "accumulate_grad_batches": accumulate}
    foreseen = preview_fit(trainer(tmp_path, make(), **run), Recorder())["lr-SGD"]
    assert lrs_of_fit(tmp_path, make(), **run) == foreseen


@pytest.mark.parametrize("interval", ["second", tokens])
def test_the_preview_of_a_fit_refuses_what_only_the_fit_shows(interval: Any, tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException) as refused:
        preview_fit(trainer(tmp_path, StepDecay(1, interval=interval), max_epochs=1), Language())
    assert "StepDecay counts by a clock that only the fit shows" in str(refused.value)


# ---- seen without a length


def test_a_preview_without_a_length_shows_most_of_the_curve() -> None:
    assert len(StepDecay(3).preview()) == 12
    assert len(CosineRestarts([3] * 5).preview()) == 15  # all that are listed
    assert len(CosineAnnealing(interval="step", warmup=5).preview()) == 100
    assert StepDecay(2, 0.5).preview(base_lr=[1.0, 0.5])[1] == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]
    assert StepDecay(4, 0.5, interval="step").preview(steps_per_epoch=8) == [0.5 ** (t // 4) for t in range(16)]
    assert len(StepDecay("2 seconds", interval="second").preview(seconds=5)) == 5
    assert StepDecay("16 samples", 0.5, interval="step").preview(1, 6, batch_size=8) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert len(StepDecay(5, interval=tokens).preview()) == 20


def test_a_wrong_argument_is_told_before_a_missing_one() -> None:
    with pytest.raises(ValueError, match="'batch_size' must be a positive integer, got 0"):
        StepDecay(1, interval="step").preview(3, batch_size=0)
    with pytest.raises(ValueError, match="'steps_per_epoch' must be a positive integer, got None"):
        StepDecay(1, interval="step").preview(3)
