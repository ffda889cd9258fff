"""A run that is stopped and taken up by processes of another pace goes on at its share of the run, to the end.

A chain is one run in up to four processes. Each has its own accumulation, number of batches, batch size and world size
of 1 or 2, and goes on from the checkpoint that the one before saved at a random place, where it was ended. The
schedules are random too, composites among them. A plain run of the tests takes 30 chains; 600, and some on two real
ranks::

    python -m pytest tests/test_chains.py -m long

``CHAINS_SEED``, which a failure prints, makes the same chains again.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.strategies import SingleDeviceStrategy
from models import Recorder, trainer
from ranks import environment
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from lightning_lrsched import (
    REX,
    Constant,
    CosineAnnealing,
    CosineRestarts,
    CyclicalLR,
    ExponentialDecay,
    InverseSqrt,
    Keyframes,
    LRSchedule,
    MultiStepDecay,
    OneCycle,
    PolynomialDecay,
    ProductSchedule,
    SequentialSchedule,
    StepDecay,
    WarmupStableDecay,
)

SEED = int(os.environ.get("CHAINS_SEED", random.SystemRandom().randrange(2**32)))
PACES = (4, 8, 12)  # at each of them every duration below is a whole number of updates
TOLERANCE = 1e-9
STEP: dict[str, Any] = {"interval": "step"}


class Process(NamedTuple):
    """One process of a chain: what it trains with, and where it is ended."""

    batches: int  # of each rank
    accumulate: int
    world: int
    batch_size: int
    place: str  # "batch", "window" (the middle of one), "last batch", "validation", "epoch", or "" for the end
    after: int  # batches of this process, at the earliest

    @property
    def pace(self) -> int:
        return math.ceil(self.batches / self.accumulate)

    def left(self, batch: int) -> int:
        """Updates from this batch to the end of the epoch: after each full window, and after the last batch."""
        last = max(self.batches - 1, batch)  # Lightning may go on behind the last batch of a shorter loader, for one
        return sum((i + 1) % self.accumulate == 0 or i == last for i in range(batch, last + 1))


class Update(NamedTuple):
    epoch: int
    batch: int
    lr: float


class Chain:
    """Everything that the seed decides."""

    def __init__(self, kind: str, seed: str, changing: bool = True) -> None:
        dice = random.Random(seed)
        self.kind, self.seed, self.changing = kind, seed, changing
        self.epochs = dice.randint(3, 5)
        count = dice.randint(1, 4)
        self.processes = [self._process(dice, last=i == count - 1, ends=i >= count - 2) for i in range(count)]

    def _process(self, dice: random.Random, last: bool, ends: bool) -> Process:
        pace, accumulate = dice.choice([(p, a) for p in PACES for a in (1, 2, 3) if p * a <= 24])
        batches = pace * accumulate - dice.randrange(accumulate)
        if not self.changing:
            batches, accumulate = random.Random(self.seed).choice([(4, 1), (7, 2), (8, 2), (12, 3)])
        places = ["batch", "window", "validation", "epoch"]
        if ends and self.kind != "mixed":
            # From a checkpoint of a last batch Lightning begins the next epoch at that index, and loses count of the
            # epochs in whatever is resumed after it.
            places.append("last batch")
        place, after = "" if last else dice.choice(places), dice.randint(1, batches * self.epochs // 2)
        return Process(batches, accumulate, dice.randint(1, 2), dice.randint(1, 3), place, after)

    def schedule(self) -> LRSchedule:
        """A new instance of the one schedule of this chain."""
        dice = random.Random(self.seed)
        return mixed(dice) if self.kind == "mixed" else grown(dice, self.kind == "raw")

    def __repr__(self) -> str:
        return f"CHAINS_SEED={SEED}: {self.epochs} epochs of {self.schedule()!r}, {self.processes}"


def leaf(dice: random.Random, raw: bool, **common: Any) -> LRSchedule:
    """A schedule without parts, whose durations are all in updates, or all in epochs and shares of the run."""
    few, many = ([3, "4 steps"], [7, "12 steps"]) if raw else (["1 epochs", "25%"], ["2 epochs", "50%"])
    short, long = dice.choice(few), dice.choice(many)
    open_, floor = (long if raw else dice.choice([None, long])), dice.choice([0.0, 0.05])
    leaves = [
        lambda: CosineAnnealing(open_, eta_min=floor, **common),
        lambda: PolynomialDecay(open_, power=2.0, eta_min=floor, **common),
        lambda: REX(open_, eta_min=floor, **common),
        lambda: OneCycle(t_max=open_, pct_start=0.25, **common),
        lambda: WarmupStableDecay(short, t_max=open_, **common),
        lambda: StepDecay(short, 0.5, **common),
        lambda: MultiStepDecay([few[0], many[0]] if short in few[:1] else [few[1], many[1]], 0.3, **common),
        lambda: CosineRestarts(long, decay=0.5, eta_min=floor, **common),
        lambda: CyclicalLR(0.01, step_size=short, **common),
        lambda: Keyframes([0, few[0], many[0]], [0.5, 1.0, 0.2], **common),
        lambda: Constant(0.5, short, **common),
        lambda: InverseSqrt(short, **common),
        *([lambda: ExponentialDecay(gamma=0.95, **common)] if raw else []),
    ]
    return dice.choice(leaves)()


def grown(dice: random.Random, raw: bool, depth: int = 2) -> LRSchedule:
    """A leaf, or a composite of such as these, mostly without a warmup."""
    common = {**STEP, "warmup": dice.choice([0, 0, 3, "2 steps"] if raw else [0, 0, "1 epochs", "25%"])}
    shape = dice.choice(["leaf", "sequence", "product"]) if depth else "leaf"
    if shape == "leaf":
        return leaf(dice, raw, **common)
    parts = [grown(dice, raw, depth - 1) for _ in range(dice.randint(2, 3))]
    if shape == "product":
        return ProductSchedule(parts, **common)
    milestones = dice.choice([[5, 11], ["4 steps", 9]] if raw else [["1 epochs", "2 epochs"], ["25%", "50%"]])
    return SequentialSchedule(parts, milestones[: len(parts) - 1], **common)


def mixed(dice: random.Random) -> LRSchedule:
    """Raw updates beside the rest of the run; continuous, and with one value at the end whatever the way there."""
    few = dice.choice([4, 5, "6 steps"])
    decay = dice.choice([CosineAnnealing, PolynomialDecay, REX])
    floor = {"eta_min": dice.choice([0.0, 0.05])}
    schedules = [
        lambda: decay(**floor, warmup=few, **STEP),
        lambda: SequentialSchedule([Constant(**STEP), decay(**floor, **STEP)], [few], **STEP),
        lambda: ProductSchedule([Constant(warmup=few, **STEP), decay(**floor, **STEP)], **STEP),
        lambda: ProductSchedule([ExponentialDecay(gamma=0.95, **STEP), decay(**STEP)], warmup=few, **STEP),
    ]
    return dice.choice(schedules)()


class TwoRanks(SingleDeviceStrategy):
    """The first of two ranks, as a schedule sees it."""

    world_size = 2


class StoppedError(Exception):
    """The end of a process."""


class Stop(Checkpoint):
    def __init__(self, process: Process, path: Path) -> None:
        self.process, self.path, self.seen = process, path, 0

    def _reached(self, trainer: Any, place: str) -> None:
        in_last_epoch = trainer.current_epoch == trainer.max_epochs - 1 and place not in ("batch", "window")
        if self.seen >= self.process.after and self.process.place == place and not in_last_epoch:
            trainer.save_checkpoint(self.path)
            raise StoppedError

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen += 1
        if batch_idx + 1 >= self.process.batches:
            self._reached(trainer, "last batch")
        else:
            self._reached(trainer, "window" if (batch_idx + 1) % self.process.accumulate else "batch")

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self._reached(trainer, "validation")

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self._reached(trainer, "epoch")


class Worker(Recorder):
    def __init__(self, process: Process) -> None:
        super().__init__(batches=process.batches, val_batches=1)
        self.process, self.updates = process, list[Update]()

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.updates.append(Update(epoch, batch_idx, self.used[-1]))

    def train_dataloader(self) -> DataLoader[torch.Tensor]:
        size, world = self.process.batch_size, self.process.world
        data: Any = torch.ones(self.process.batches * size * world, 2)
        return DataLoader(data, size, sampler=DistributedSampler(data, world, self.trainer.global_rank))


def work(chain: Chain, process: Process, number: int, folder: Path, **how: Any) -> tuple[list[Update], float | None]:
    """What the process does, and the LR that it leaves behind; None where it was stopped."""
    if not how and process.world == 2:
        how = {"strategy": TwoRanks(torch.device("cpu"))}
    worker, stop = Worker(process), Stop(process, folder / f"{number}.ckpt")
    fit = trainer(
        folder,
        chain.schedule(),
        stop,
        max_epochs=chain.epochs,
        accumulate_grad_batches=process.accumulate,
        num_sanity_val_steps=0,
        **how,
    )
    try:
        fit.fit(worker, ckpt_path=folder / f"{number - 1}.ckpt" if number else None)
    except StoppedError:
        return worker.updates, None
    return worker.updates, fit.optimizers[0].param_groups[0]["lr"]


def work_on_two_ranks(chain: Chain, number: int, folder: Path) -> tuple[list[Update], float | None]:
    """The same by two processes, which ``python test_chains.py`` starts."""
    call = [sys.executable, __file__, chain.kind, chain.seed, str(number), str(folder)]
    subprocess.run(call, env=environment(), check=True, timeout=120, capture_output=True)
    updates, last = json.loads((folder / f"{number}.json").read_text())
    return [Update(*update) for update in updates], last


def shares(chain: Chain, made: list[list[Update]]) -> Iterator[tuple[Fraction, Process, float]]:
    """Each update's position in epochs, its process and its LR.

    What is left of an epoch is spread evenly over the updates that this process still makes in it.
    """
    position = Fraction(0)
    for process, updates in zip(chain.processes, made, strict=False):
        for epoch, batch, lr in updates:
            position = max(position, Fraction(epoch))
            yield position, process, lr
            position += max(epoch + 1 - position, Fraction(0)) / process.left(batch)


def check(chain: Chain, folder: Path, real: bool = False) -> None:
    made: list[list[Update]] = []
    last: float | None = None
    for number, process in enumerate(chain.processes):
        if real and process.world == 2:
            updates, last = work_on_two_ranks(chain, number, folder)
        else:
            updates, last = work(chain, process, number, folder)
        made.append(updates)
        if last is not None:  # the end of the run, which may come before the place to be stopped at
            break
    assert last is not None
    seen, schedule = list(shares(chain, made)), chain.schedule()
    if chain.kind == "raw":
        *curve, end = schedule.preview(len(seen) + 1, 1)
        assert [lr for *_, lr in seen] == curve
        assert last == end
        return

    plain, end = work(chain, process._replace(place=""), 0, folder)  # the whole run at the last pace
    paces = {process.pace, *(process.pace for _, process, _ in seen)}
    curves = {pace: [*schedule.preview(chain.epochs, pace), end, end] for pace in paces}
    assert [update.lr for update in plain] == curves[process.pace][:-2]
    assert last == end
    if chain.kind == "planned":
        for position, process, lr in seen:
            t, curve = math.floor(position * process.pace), curves[process.pace]
            near = curve[max(t - 1, 0) : t + 2]
            assert min(near) - TOLERANCE <= lr <= max(near) + TOLERANCE, (position, process)
        return

    assert all(0.0 <= lr <= 1.0 for *_, lr in seen)
    for (position, process, lr), (next_position, next_process, next_lr) in pairwise(seen):
        if process is not next_process:  # a jump may be one interval of the coarser pace, and half a one for rounding
            pace = min(process.pace, next_process.pace)
            steepest = max(abs(after - before) for before, after in pairwise(curves[pace]))
            intervals = max(float((next_position - position) * pace), 1.0) + 0.5
            assert abs(next_lr - lr) <= intervals * steepest + TOLERANCE, (position, process, next_process, lr, next_lr)


LONG = [pytest.mark.long, pytest.mark.timeout(600)]
KINDS = ["planned", "planned", "planned", "raw", "mixed"]


@pytest.mark.filterwarnings("ignore:.*changed since the checkpoint")
@pytest.mark.parametrize("number", [*range(30), *(pytest.param(n, marks=LONG) for n in range(30, 600))])
def test_a_chain_goes_on_at_its_share_of_the_run(number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "lightning.pytorch")
    chain = Chain(KINDS[number % 5], f"{SEED}-{number}", changing=number % 6 != 0)
    print(chain)
    check(chain, tmp_path)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*changed since the checkpoint")
@pytest.mark.parametrize("number", range(6))
def test_a_chain_on_two_real_ranks(number: int, tmp_path: Path) -> None:
    chain = Chain(KINDS[number % 5], f"{SEED}-real-{number}")
    print(chain)
    check(chain, tmp_path, real=True)


if __name__ == "__main__":
    kind, seed, number, folder = sys.argv[1:]
    torch.set_num_threads(1)
    whole = Chain(kind, seed)
    result = work(whole, whole.processes[int(number)], int(number), Path(folder), strategy="ddp", devices=2)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        (Path(folder) / f"{number}.json").write_text(json.dumps(result))
