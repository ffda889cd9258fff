"""Another number of updates an epoch than before: every schedule goes on at its share of the run, and ends with it."""

from __future__ import annotations

import math
import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from models import Recorder, saver, trainer
from torch.utils.data import DataLoader

from lightning_lrsched import (
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    LRSchedule,
    MultiStepDecay,
    PolynomialDecay,
    PowerDecay,
    ProductSchedule,
    SequentialSchedule,
    StepDecay,
)
from lightning_lrsched.formula.timeline import MADE, PLANNED, START, Mark, Pace, Run


def cosine(share: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * share))


def cosines(first: int, last: int, of: int) -> Any:
    return pytest.approx([cosine(t / of) for t in range(first, last)])


class Process(NamedTuple):
    used: list[Any]
    left: float  # the LR after the fit
    told: list[str]  # what it warned of in the name of a schedule


def resumed(
    tmp_path: Path, ckpt: int | None, *callbacks: Any, model: Recorder, keep: str | None = None, **run: Any
) -> Process:
    """A process that goes on from ``ckpt`` (None: begins); ``keep`` is the hook after which it saves checkpoints."""
    savers = [saver(tmp_path, keep)] if keep else []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = trainer(tmp_path, *callbacks, *savers, **run)
        fit.fit(model, ckpt_path=None if ckpt is None else tmp_path / f"{ckpt}.ckpt")
    told = [str(w.message) for w in caught if re.match(r"[A-Z]\w+: ", str(w.message))]
    return Process(model.used, float(fit.optimizers[0].param_groups[0]["lr"]), told)


def open_cosine() -> CosineAnnealing:
    return CosineAnnealing(interval="step")


def changed(tmp_path: Path, make: Any, epochs: int = 2, batches: int = 8, **run: Any) -> Process:
    """4 epochs of 8 updates, stopped after some; then the rest under another pace."""
    resumed(tmp_path, None, make(), model=Recorder(batches=8), keep="on_train_epoch_end", max_epochs=4)
    return resumed(tmp_path, 8 * epochs, make(), model=Recorder(batches=batches), **{"max_epochs": 4, **run})


SLOWER = {
    "accumulation": {"accumulate_grad_batches": 2},
    "fewer batches, or twice the ranks": {"batches": 4},
    "a limit": {"limit_train_batches": 4},
    "half of them": {"limit_train_batches": 0.5},
}


@pytest.mark.parametrize("how", SLOWER.values(), ids=SLOWER)
def test_half_the_updates_an_epoch_go_on_at_the_share_of_the_run(how: dict[str, Any], tmp_path: Path) -> None:
    process = changed(tmp_path, open_cosine, **how)
    assert process.used == cosines(8, 16, of=16)
    assert process.left == 0.0


def test_twice_the_updates_an_epoch_do_not_take_the_lr_back_up(tmp_path: Path) -> None:
    process = changed(tmp_path, open_cosine, batches=16)
    assert process.used == cosines(32, 64, of=64)
    assert process.left == 0.0


@pytest.mark.parametrize(("batches", "begin", "end"), [(4, 20, 24), (16, 32, 48)])
def test_a_power_law_in_raw_steps_stays_in_them_though_its_cooldown_ends_with_the_run(
    batches: int, begin: int, end: int, tmp_path: Path
) -> None:
    process = changed(tmp_path, lambda: PowerDecay(4, exponent=1.0, cooldown="25%", interval="step"), batches=batches)
    law = [4 / (4 + t) for t in range(begin + 1)]
    rest = [law[begin] * (end - t) / (end - begin) for t in range(begin, end)]
    assert process.used == pytest.approx([*law[16:begin], *rest])
    assert process.left == 0.0
    assert len(process.told) == 1
    assert "t_max: 32 ->" in process.told[0]


def test_a_run_at_another_pace_that_stops_in_an_epoch_stays_at_its_place(tmp_path: Path) -> None:
    """In the last one, of which 2 of 4 updates are made."""

    class Stops(Recorder):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            self.trainer.should_stop = (self.trainer.current_epoch, batch_idx) == (3, 1)

    resumed(tmp_path, None, open_cosine(), model=Recorder(batches=8), keep="on_train_epoch_end", max_epochs=4)
    process = resumed(tmp_path, 16, open_cosine(), model=Stops(batches=4), max_epochs=4)
    assert process.used == cosines(8, 14, of=16)
    assert process.left == pytest.approx(cosine(14 / 16))


def test_one_warning_names_both_paces_and_both_lrs(tmp_path: Path) -> None:
    told = changed(tmp_path, open_cosine, batches=4).told
    assert len(told) == 1
    assert "steps an epoch: 8 -> 4" in told[0]
    assert "epochs of the run" not in told[0]
    assert "t_max" not in told[0]
    before, after = (float(number) for number in re.findall(r"\d+\.\d+", told[0].partition(" LR ")[2]))
    assert before in (0.549009, 0.5)  # of the last update, t = 15 of 32, or of the next, t = 16
    assert after == 0.5


def test_other_epochs_are_told_beside_another_pace(tmp_path: Path) -> None:
    process = changed(tmp_path, open_cosine, batches=4, max_epochs=6)
    assert len(process.told) == 1
    assert "epochs of the run: 4 -> 6" in process.told[0]


def test_each_of_two_schedules_tells_it_once(tmp_path: Path) -> None:
    def schedules() -> list[LRSchedule]:
        return [Constant(interval="step"), CosineAnnealing(interval="step", hyperparameter="weight_decay")]

    run = {"max_epochs": 4}
    resumed(tmp_path, None, *schedules(), model=Recorder(batches=8), keep="on_train_epoch_end", **run)
    told = resumed(tmp_path, 16, *schedules(), model=Recorder(batches=4), **run).told
    names = [text.partition(":")[0] for text in told if "steps an epoch: 8 -> 4" in text]
    assert names.count("CosineAnnealing") == 1
    assert names.count("Constant") <= 1  # which no pace changes


def test_changed_arguments_are_told_with_both_lrs(tmp_path: Path) -> None:
    run = {"max_epochs": 2}
    first, second = StepDecay(8, 0.5, interval="step"), StepDecay(2, 0.25, interval="step")
    resumed(tmp_path, None, first, model=Recorder(batches=4), keep="on_train_epoch_end", **run)
    used, _, told = resumed(tmp_path, 4, second, model=Recorder(batches=4), **run)
    assert used == [0.0625, 0.0625, 0.015625, 0.015625]
    assert len(told) == 1
    start = "StepDecay: changed since the checkpoint, the new values apply: "
    assert told[0].startswith(start)
    arguments, _, lrs = told[0].removeprefix(start).partition("; ")
    assert set(arguments.split(", ")) == {"step_size: 8 -> 2", "gamma: 0.5 -> 0.25"}
    assert lrs.startswith("LR 1 -> 0.0625")


def test_an_unchanged_pace_is_not_told(tmp_path: Path) -> None:
    """A control, green before issue 12: twice the batches in windows of 2 are as many updates."""
    used, _, told = changed(tmp_path, open_cosine, batches=16, accumulate_grad_batches=2)
    assert used == cosines(16, 32, of=32)
    assert told == []


# ---- durations in epochs, in percent and open ones


def sequence() -> SequentialSchedule:
    return SequentialSchedule(
        [Constant(interval="step"), CosineAnnealing(interval="step")], ["1 epochs"], interval="step"
    )


def product() -> ProductSchedule:
    return ProductSchedule(
        [CosineAnnealing("2 epochs", eta_min=0.5, interval="step"), StepDecay("1 epochs", 0.5, interval="step")],
        interval="step",
    )


# after 1 of 4 epochs of 8 updates, at 4 an epoch: t = 4 to 15 of 16
SHARES: dict[str, tuple[Any, list[float]]] = {
    "a period in epochs": (lambda: StepDecay("2 epochs", 0.5, interval="step"), [1.0] * 4 + [0.5] * 8),
    "milestones in percent": (
        lambda: MultiStepDecay(["50%", "75%"], 0.5, interval="step"),
        [1.0] * 4 + [0.5] * 4 + [0.25] * 4,
    ),
    "a warmup in epochs": (
        lambda: CosineAnnealing(interval="step", warmup="2 epochs"),  # 1/9 to 8/9 under the ramp of 8 updates
        [(t + 1) / 9 for t in range(4, 8)] + [cosine(t / 8) for t in range(8)],
    ),
    "a warmup in percent": (
        lambda: Constant(interval="step", warmup="50%"),
        [(t + 1) / 9 for t in range(4, 8)] + [1.0] * 8,
    ),
    "a sequence": (sequence, [cosine(t / 12) for t in range(12)]),
    "a product": (
        product,
        [(0.5 + 0.5 * cosine(t / 8)) * 0.5 for t in range(4, 8)] + [0.5 * 0.25] * 4 + [0.5 * 0.125] * 4,
    ),
}


@pytest.mark.parametrize(("make", "lrs"), SHARES.values(), ids=SHARES)
def test_what_is_not_in_raw_steps_goes_on_at_its_share(make: Any, lrs: list[float], tmp_path: Path) -> None:
    assert changed(tmp_path, make, epochs=1, batches=4).used == pytest.approx(lrs)


def test_a_decay_every_two_epochs_after_two_epochs(tmp_path: Path) -> None:
    assert changed(tmp_path, lambda: StepDecay("2 epochs", 0.5, interval="step"), batches=4).used == [0.5] * 8


# ---- durations in raw steps


@pytest.mark.parametrize("step_size", [10, "10 steps"])
def test_a_period_in_raw_steps_stays_in_raw_steps(step_size: Any, tmp_path: Path) -> None:
    """A control, green before issue 12."""
    process = changed(tmp_path, lambda: StepDecay(step_size, 0.5, interval="step"), batches=4)
    assert process.used == [0.5] * 4 + [0.25] * 4  # t = 16 to 23


@pytest.mark.parametrize("warmup", [8, "8 steps"])
def test_a_cosine_after_a_warmup_in_raw_steps_goes_on_at_its_share_of_itself(warmup: Any, tmp_path: Path) -> None:
    """The cosine is 3 epochs long, of which 1 is done."""
    process = changed(tmp_path, lambda: CosineAnnealing(interval="step", warmup=warmup), batches=4)
    assert process.used == cosines(4, 12, of=12)


@pytest.mark.parametrize("warmup", [20, "20 steps"])
def test_a_warmup_in_raw_steps_that_is_under_way_ends_after_as_many_steps(warmup: Any, tmp_path: Path) -> None:
    """16 of its 20 updates are done; it takes 4 of the 8 that are left, and the cosine has the other 4."""
    process = changed(tmp_path, lambda: CosineAnnealing(interval="step", warmup=warmup), batches=4)
    assert process.used == pytest.approx([(t + 1) / 21 for t in range(16, 20)] + [cosine(t / 4) for t in range(4)])


@pytest.mark.filterwarnings("ignore:.*steps an epoch")
@pytest.mark.parametrize("max_epochs", [10, -1])
def test_a_run_that_max_steps_ends_stays_in_raw_steps(max_epochs: int, tmp_path: Path) -> None:
    """A control, green before issue 12."""
    run = {"max_epochs": max_epochs, "max_steps": 24}
    resumed(tmp_path, None, open_cosine(), model=Recorder(batches=8), keep="on_train_epoch_end", **run)
    process = resumed(tmp_path, 8, open_cosine(), model=Recorder(batches=4), **run)
    assert process.used == cosines(8, 24, of=24)
    assert process.left == 0.0


# ---- several changes


def test_a_chain_of_two_changes(tmp_path: Path) -> None:
    """An epoch at 8 updates, one at 4, and two at 16."""

    def run(ckpt: int | None, batches: int, epochs: int) -> Process:
        """Stopped by another hand after so many epochs."""

        class Stops(Recorder):
            def on_train_epoch_end(self) -> None:
                self.trainer.should_stop = self.trainer.current_epoch == epochs - 1

        model = Stops(batches=batches)
        return resumed(tmp_path, ckpt, open_cosine(), model=model, keep="on_train_epoch_end", max_epochs=4)

    assert run(None, batches=8, epochs=1).used == cosines(0, 8, of=32)
    second = run(8, batches=4, epochs=2)
    assert second.used == cosines(4, 8, of=16)
    assert len([text for text in second.told if "steps an epoch: 8 -> 4" in text]) == 1
    third = run(12, batches=16, epochs=4)
    assert third.used == cosines(32, 64, of=64)
    assert third.left == 0.0
    assert len([text for text in third.told if "steps an epoch: 4 -> 16" in text]) == 1


def test_another_schedule_knows_the_paces_of_the_one_before(tmp_path: Path) -> None:
    """An epoch at 8 updates, one at 4, and two at 16; update 10, where the new one's warmup ends, was in mid-epoch 1.

    That is 24 of 64 updates, so that 40 are left, of which 8 are done.
    """

    def run(ckpt: int | None, schedule: LRSchedule, batches: int, epochs: int) -> list[Any]:
        class Stops(Recorder):
            def on_train_epoch_end(self) -> None:
                self.trainer.should_stop = self.trainer.current_epoch == epochs - 1

        model = Stops(batches=batches)
        return resumed(tmp_path, ckpt, schedule, model=model, keep="on_train_epoch_end", max_epochs=4).used

    run(None, open_cosine(), batches=8, epochs=1)
    run(8, open_cosine(), batches=4, epochs=2)
    used = run(12, PolynomialDecay(interval="step", warmup=10), batches=16, epochs=4)
    assert used == pytest.approx([1.0 - t / 40 for t in range(8, 40)])


@pytest.mark.filterwarnings("ignore:When using `Trainer\\(accumulate_grad_batches != 1\\)` and overriding")
def test_a_chain_under_an_accumulation_that_changes_by_itself(tmp_path: Path) -> None:
    """8 batches are 4, 4, 8 and 8 updates an epoch; 4 batches are 2, 2, 4 and 4 of them."""

    def run(ckpt: int | None, batches: int) -> Process:
        callbacks = open_cosine(), GradientAccumulationScheduler({0: 2, 2: 1})
        model = Recorder(batches=batches)
        return resumed(tmp_path, ckpt, *callbacks, model=model, keep="on_train_epoch_end", max_epochs=4)

    processes = [run(None, 8), run(8, 4), run(12, 8)]  # 8: after 2 epochs; 8 + 4 = 12: after 3
    assert processes[0].used == cosines(0, 24, of=24)
    assert processes[1].used == cosines(4, 12, of=12)
    assert processes[2].used == cosines(16, 24, of=24)
    assert [process.left for process in processes] == [0.0] * 3


# ---- within one process


def test_a_loader_that_is_reloaded_with_another_length(tmp_path: Path) -> None:
    class Uneven(Recorder):
        """Epochs of 4, 2 and 5 batches."""

        def train_dataloader(self) -> Any:
            return DataLoader(torch.zeros([4, 2, 5][self.trainer.current_epoch] * 2, 2), batch_size=2)  # type: ignore[arg-type]

    process = resumed(tmp_path, None, open_cosine(), model=Uneven(), max_epochs=3, reload_dataloaders_every_n_epochs=1)
    ts = [t / 12 for t in range(4)] + [2 / 6, 3 / 6] + [t / 15 for t in range(10, 15)]
    assert process.used == pytest.approx([cosine(t) for t in ts])
    assert process.left == 0.0
    assert process.told == []  # the loader's doing, not that of a change between two fits


def test_a_second_fit_of_the_same_trainer_with_a_shorter_loader(tmp_path: Path) -> None:
    schedule = CosineAnnealing(interval="step")
    run = trainer(tmp_path, schedule, max_epochs=2)
    run.fit(Recorder(batches=8))
    run.fit_loop.max_epochs = 4
    model = Recorder(batches=4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.fit(model)
    assert model.used == cosines(8, 16, of=16)
    assert len([w for w in caught if "steps an epoch: 8 -> 4" in str(w.message)]) == 1


# ---- stopped in the middle of an epoch, after batch 4 of 8 of epoch 1


def stopped_inside(tmp_path: Path, batches: int, **run: Any) -> Process:
    resumed(tmp_path, None, open_cosine(), model=Recorder(batches=8), keep="on_train_batch_end", max_epochs=4)
    return resumed(tmp_path, 12, open_cosine(), model=Recorder(batches=batches), max_epochs=4, **run)


def test_inside_an_epoch_the_share_goes_on_under_accumulation(tmp_path: Path) -> None:
    """Half of the epoch is left: 2 of its 4 updates."""
    process = stopped_inside(tmp_path, 8, accumulate_grad_batches=2)
    assert process.used == cosines(6, 16, of=16)
    assert process.left == 0.0
    assert len([text for text in process.told if "steps an epoch: 8 -> 4" in text]) == 1


@pytest.mark.parametrize(("batches", "left"), [(16, 12), (12, 8), (6, 2)])
def test_what_is_left_of_an_epoch_is_spread_over_the_updates_that_are_left(
    batches: int, left: int, tmp_path: Path
) -> None:
    """Lightning goes on at batch 4 of ``batches``, when half of the epoch is done."""
    used, at_the_end, told = stopped_inside(tmp_path, batches)
    assert len(used) == left + 2 * batches
    for update, lr in enumerate(used[:left]):
        t = (1.5 + 0.5 * update / left) * batches
        assert cosine((t + 1) / (4 * batches)) <= lr <= cosine((t - 1) / (4 * batches)), update
    assert used[:left] == sorted(used[:left], reverse=True)
    assert used[left:] == cosines(2 * batches, 4 * batches, of=4 * batches)
    assert at_the_end == 0.0
    assert len([text for text in told if f"steps an epoch: 8 -> {batches}" in text]) == 1


# ---- what comes late, and what was decided


def test_a_group_that_comes_late_at_another_pace_follows_by_its_updates(tmp_path: Path) -> None:
    """Before update 17, which is 9 of 24 in the plan; 17 of the plan is update 25."""

    class Grows(Recorder):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            if self.trainer.global_step == 17:
                late = [torch.nn.Parameter(torch.zeros(1))]
                self.trainer.optimizers[0].add_param_group({"params": late, "lr": 0.1})

    resumed(tmp_path, None, open_cosine(), model=Recorder(batches=8), keep="on_train_epoch_end", max_epochs=6)
    used = resumed(tmp_path, 16, open_cosine(), model=Grows(batches=4), max_epochs=6).used
    assert used[0] == pytest.approx(cosine(8 / 24))
    assert [lr for lr, _ in used[1:]] == cosines(9, 24, of=24)
    share = cosine(9 / 24)
    assert [lr for _, lr in used[1:]] == pytest.approx([0.1 * cosine(t / 24) / share for t in range(9, 24)])


class Flat(Recorder):
    """8 updates an epoch, or what is given, and a metric that never improves."""

    def __init__(self, batches: int = 8) -> None:
        super().__init__(batches=batches, val_batches=1)


def cooldown(decay: int | str) -> LRSchedule:
    """It begins with update 16, after the first bad check; the other part stays at 1."""
    parts = [
        StepDecay("9 epochs", 0.5, interval="step"),
        CooldownOnPlateau(decay, patience=1, interval="step"),
    ]
    return ProductSchedule(parts, interval="step")


@pytest.mark.parametrize(
    ("decay", "lrs"),
    [("2 epochs", [0.5, 0.375, 0.25, 0.125]), (16, [(32 - t) / 16 for t in range(24, 32)])],
    ids=["by the plan", "by the updates"],
)
def test_a_cooldown_that_has_begun_goes_on_at_another_pace(decay: Any, lrs: list[float], tmp_path: Path) -> None:
    """One epoch of it is left, or 8 updates."""
    resumed(tmp_path, None, cooldown(decay), model=Flat(), keep="on_train_epoch_end", max_epochs=6)
    process = resumed(tmp_path, 24, cooldown(decay), model=Flat(batches=4), max_epochs=6)
    assert process.used == pytest.approx(lrs)
    assert process.left == 0.0


def test_a_schedule_that_begins_with_a_resume_at_another_pace_takes_the_place_of_its_epoch(tmp_path: Path) -> None:
    resumed(tmp_path, None, model=Recorder(batches=8), keep="on_train_epoch_end", max_epochs=2)
    process = resumed(tmp_path, 16, open_cosine(), model=Recorder(batches=4), max_epochs=4)
    assert process.used == cosines(8, 16, of=16)
    assert process.left == 0.0


def test_milestones_of_a_schedule_that_begins_there_need_not_rise_in_their_own_measures(tmp_path: Path) -> None:
    """14 updates lie before the change; 3 epochs are 12 updates of the plan, which are 20 that are made."""
    resumed(tmp_path, None, model=Recorder(batches=8), keep="on_train_epoch_end", max_epochs=2)
    steps = MultiStepDecay([14, "3 epochs"], 0.5, interval="step")
    process = resumed(tmp_path, 16, steps, model=Recorder(batches=4), max_epochs=4)
    assert process.used == [0.5] * 4 + [0.25] * 4


def test_a_part_without_a_warmup_begins_where_its_whole_has_it() -> None:
    """Update 9 was at 4.5 of the plan and update 10 is at 8: 5 is reached with update 10, and stays 5 in the plan."""
    run = Run(5, pace=Pace(((0, 4),)), knots=((0, 0), (9, Fraction(9, 2)), (10, 8)), since=Fraction(9, 8))
    begin = run.at("step", START, 5, PLANNED)
    assert begin == Mark(10, 5, PLANNED)
    assert run.at("step", begin, 0, MADE) == Mark(10, 5, MADE)
