"""What a schedule costs: ours beside torch's scheduler with a LearningRateMonitor, and beside no schedule at all.

    python -m tests.benchmarks.overhead --json overhead.json

Every side runs in a real ``Trainer.fit``. Its second batch stops there, and one loop, the same for all sides, drives
what the Trainer does about the LR in a batch: the hooks that the callback overrides, the calls that step torch's
schedulers, the counters. The ratio compares what a schedule adds to such a batch, so the column ``none`` is taken off
both sides; ``trainer.fit`` is compared as it is. "Inside a fit" nothing is driven: the Trainer trains, and each hook is
timed where it stands. The sides take turns, and the medians over the rounds count. Times depend on the machine; ratios
hardly do.
"""

from __future__ import annotations

import argparse
import compileall
import gc
import io
import json
import logging
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR
from torch.utils.data import DataLoader

import lightning_lrsched
from lightning_lrsched import Constant, CosineAnnealing, LRSchedule, ProductSchedule, ReduceOnPlateau, StepDecay

from ..cases import CASES

LONG = 10**7  # intervals: no run here comes to the end of its schedule
BATCHES = {1: 2000, 10: 1000, 200: 200, 1000: 50}  # driven in one round, by the number of groups
SIDES = ("ours", "native", "none")
HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)

Inside = Callable[[Trainer], bool | None]


@dataclass(frozen=True)
class Pair:
    """One schedule, as ours and as torch has it."""

    ours: Callable[[], Callback]
    native: Callable[[Optimizer], LRScheduler]


CHANGING = Pair(lambda: CosineAnnealing(LONG, interval="step"), lambda optimizer: CosineAnnealingLR(optimizer, LONG))
UNCHANGED = Pair(lambda: StepDecay(LONG, interval="step"), lambda optimizer: StepLR(optimizer, LONG))
PLATEAU = replace(UNCHANGED, ours=lambda: ReduceOnPlateau(interval="step"))


@dataclass(frozen=True)
class Case:
    """A run: how many parameter groups, which schedule, how often it is logged, and the ratio to reach."""

    name: str
    groups: int = 1
    pair: Pair = CHANGING
    every: int = 50
    layer_wise: bool = False
    target: float | None = None
    tensor_lrs: bool = False
    inside: float | None = None  # the ratio to reach inside a fit


PER_BATCH = (
    Case("1 group, log every 50", target=0.33, inside=0.36),
    Case("1 group, log every step", every=1, target=0.75),
    Case("10 equal groups, log every 50", 10),
    Case("10 equal groups, log every step", 10, every=1),
    Case("10 layer-wise groups, log every 50", 10, layer_wise=True),
    Case("10 layer-wise groups, log every step", 10, every=1, layer_wise=True),
    Case("200 equal groups, log every 50", 200, target=0.10),
    Case("200 equal groups, log every step", 200, every=1, target=0.05),
    Case("200 layer-wise groups, log every 50", 200, layer_wise=True, target=0.10, inside=0.07),
    Case("200 layer-wise groups, log every step", 200, every=1, layer_wise=True, target=0.05, inside=0.02),
    Case("1000 equal groups, log every 50", 1000),
    Case("1000 equal groups, log every step", 1000, every=1),
    Case("1000 layer-wise groups, log every 50", 1000, layer_wise=True),
    Case("1000 layer-wise groups, log every step", 1000, every=1, layer_wise=True),
    Case("1 group, LR unchanged (StepDecay)", 1, UNCHANGED),
    Case("1000 groups, LR unchanged (StepDecay)", 1000, UNCHANGED, target=0.02, inside=0.01),
    Case("1000 groups, LR unchanged (ReduceOnPlateau)", 1000, PLATEAU, target=0.02),
)


class Model(LightningModule):
    """One trained layer; each further parameter group holds a parameter that gets no gradient."""

    def __init__(self, case: Case, side: str, inside: Inside | None) -> None:
        super().__init__()
        self.case, self.side, self.inside = case, side, inside
        self.layer = nn.Linear(2, 1)
        self.idle = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(case.groups - 1)])

    def configure_optimizers(self) -> Any:
        groups: list[dict[str, Any]] = [{"params": params} for params in (self.layer.parameters(), *self.idle)]
        for number, group in enumerate(groups):
            lr = 0.1 * 0.995**number if self.case.layer_wise else 0.1
            group["lr"] = torch.tensor(lr, device=self.device) if self.case.tensor_lrs else lr
        optimizer: Optimizer = SGD(groups, momentum=0.9)
        if self.case.tensor_lrs:
            optimizer = AdamW(groups, capturable=self.device.type == "cuda")
        if self.side != "native":
            return optimizer
        scheduler = self.case.pair.native(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> int | None:
        if self.inside is None or batch_idx == 0:
            return None
        return None if self.inside(self.trainer) else -1  # ends the epoch, and with it the fit

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch).square().mean()
        self.log("val_loss", loss)  # what ReduceOnPlateau looks at
        return loss


def fit(
    case: Case, side: str, *, batches: int = 2, inside: Inside | None = None, epochs: int = 1, logged: bool = True
) -> Trainer:
    """A whole fit; ``inside`` is called in each batch but the first, and says whether it goes on."""
    callbacks: dict[str, list[Callback]] = {"ours": [case.pair.ours()], "native": [], "none": []}
    if logged:
        callbacks["native"].append(LearningRateMonitor())
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="gpu" if case.tensor_lrs and torch.cuda.is_available() else "cpu",
            devices=1,
            max_epochs=epochs,
            callbacks=callbacks[side],
            logger=TensorBoardLogger(folder) if logged else False,
            log_every_n_steps=case.every,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(Model(case, side, inside), DataLoader(torch.ones(batches, 2)))  # type: ignore[arg-type]
    return trainer


def drive(trainer: Trainer, batches: int) -> None:
    """What the Trainer does about the LR in so many batches."""
    loop = trainer.fit_loop.epoch_loop
    updates = loop.automatic_optimization.optim_progress.optimizer.step
    optimizer = trainer.optimizers[0]

    def hooks(**arguments: tuple[object, ...]) -> list[Callable[[], None]]:
        return [
            partial(getattr(callback, name), trainer, trainer.lightning_module, *values)
            for name, values in arguments.items()
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if getattr(type(callback), name) is not getattr(Callback, name)
        ]

    before = hooks(
        on_train_batch_start=(None, 0),
        on_before_zero_grad=(optimizer,),
        on_before_backward=(None,),
        on_after_backward=(),
        on_before_optimizer_step=(optimizer,),
    )
    after = hooks(on_train_batch_end=(None, None, 0))
    for _ in range(batches):
        for hook in before:
            hook()
        updates.increment_completed()
        loop.update_lr_schedulers("step", update_plateau_schedulers=False)
        for hook in after:
            hook()
        loop.update_lr_schedulers("step", update_plateau_schedulers=True)
        loop._batches_that_stepped += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()


# ---- what is measured


def microseconds_a_batch(case: Case, batches: int, side: str) -> float:
    taken = []

    def inside(trainer: Trainer) -> None:
        drive(trainer, batches // 10)
        gc.collect()
        begin = time.perf_counter()
        drive(trainer, batches)
        taken.append(time.perf_counter() - begin)

    fit(case, side, inside=inside)
    return taken[0] / batches * 1e6


def microseconds_inside(case: Case, batches: int, side: str) -> float:
    """The same in a fit that goes on: each call timed by itself, with the caches as cold as training leaves them.

    What the timing costs is told by a callback that does nothing, in the places where no other is timed: right after
    another the clock would be warm, and cost half.
    """
    spent: list[float] = []
    idle: list[float] = []

    def timed(function: Callable[..., Any], taken: list[float]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            begin = time.thread_time()  # of this thread alone: a turn of another process would hide all the rest
            result = function(*arguments, **keywords)
            taken.append(time.thread_time() - begin)
            return result

        return call

    def inside(trainer: Trainer) -> bool:
        loop: Any = trainer.fit_loop.epoch_loop
        if loop.batch_idx == batches // 10:
            if side == "native":  # elsewhere there is none to step
                loop.update_lr_schedulers = timed(loop.update_lr_schedulers, spent)
            nothing = Callback()
            for name in HOOKS:
                overriding = [
                    callback
                    for callback in trainer.callbacks  # type: ignore[attr-defined]
                    if getattr(type(callback), name) is not getattr(Callback, name)
                ]
                for callback in overriding or [nothing]:
                    setattr(callback, name, timed(getattr(callback, name), spent if overriding else idle))
            trainer.callbacks.append(nothing)  # type: ignore[attr-defined]
        return True

    fit(case, side, batches=batches + batches // 10, inside=inside)
    return (sum(spent) - len(spent) * statistics.median(idle)) / batches * 1e6


def milliseconds_of_fit(case: Case, batches: int, side: str) -> float:
    begin = time.perf_counter()
    fit(case, side, batches=batches)
    return (time.perf_counter() - begin) * 1e3


def milliseconds_of_start_and_end(case: Case, logged: bool, side: str) -> float:
    """A fit that could go on for long, and so has a curve to plan, and is left in its second batch."""

    def leave(trainer: Trainer) -> bool:
        trainer.should_stop = True
        return False

    begin = time.perf_counter()
    fit(case, side, inside=leave, epochs=1000, logged=logged)
    return (time.perf_counter() - begin) * 1e3


def bytes_of_fit(case: Case, side: str) -> int:
    """What Python holds of a fit in its second batch."""
    held = []

    def look(trainer: Trainer) -> bool:
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        trainer.should_stop = True
        return False

    gc.collect()
    tracemalloc.start()
    fit(case, side, inside=look, epochs=1000)
    tracemalloc.stop()
    return held[0]


def seconds_of_preview(schedule: LRSchedule, steps: int) -> float:
    begin = time.perf_counter()
    schedule.preview(100, steps // 100)
    return time.perf_counter() - begin


def seconds_of_torch(steps: int) -> float:
    """The LRs of so many steps from torch's scheduler, without a Trainer."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = CosineAnnealingLR(optimizer, steps)
    begin = time.perf_counter()
    for _ in range(steps):
        scheduler.get_last_lr()
        scheduler.step()
    return time.perf_counter() - begin


def milliseconds_of_import() -> float:
    """In a fresh process, after ``import lightning.pytorch``, from bytecode as an installed package has it."""
    code = (
        "import time, lightning.pytorch\n"
        "begin = time.perf_counter()\n"
        "import lightning_lrsched\n"
        "print((time.perf_counter() - begin) * 1e3)"
    )
    compileall.compile_dir(Path(lightning_lrsched.__file__).parent, quiet=1)
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def bytes_in_checkpoint(make: Callable[..., Callback]) -> int:
    """By how much a schedule's state makes a checkpoint larger."""

    def size(content: object) -> int:
        file = io.BytesIO()
        torch.save(content, file)
        return file.tell()

    ours = partial(make, interval="step", warmup="10%", warmup_start_factor=0.1, optimizer=0, param_groups=[0])
    trainer = fit(Case("", pair=replace(UNCHANGED, ours=ours)), "ours", batches=10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "last.ckpt")
        trainer.save_checkpoint(path)
        checkpoint = torch.load(path, weights_only=True)
    return size(checkpoint) - size({**checkpoint, "callbacks": {}})


def bytes_grown(case: Case, steps: int, side: str) -> int:
    """What Python holds after so many steps, more than after the first thousand."""
    held = []

    def inside(trainer: Trainer) -> None:
        tracemalloc.start()
        for batches in (1000, steps):
            drive(trainer, batches)
            trainer.logger.save()  # type: ignore[union-attr]
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()

    fit(case, side, inside=inside)
    return held[1] - held[0]


# ---- the table

HEAD = f"{'case':<60}{'unit':>6}{'ours':>11}{'native':>11}{'none':>11}{'ratio':>8}{'target':>10}"


@dataclass(frozen=True)
class Row:
    """The medians of one case. The target is for the ratio or what is above native, if given, else for our figure."""

    case: str
    unit: str
    ours: float
    native: float | None = None
    none: float | None = None
    ratio: float | None = None
    target: float | None = None
    above: float | None = None

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        figure = next(figure for figure in (self.ratio, self.above, self.ours) if figure is not None)
        return "pass" if figure <= self.target else "MISS"

    def __str__(self) -> str:
        figures = "".join(f"{'' if x is None else f'{x:,.1f}':>11}" for x in (self.ours, self.native, self.none))
        ratio = "" if self.above is None else f"{self.above:+.1f}"
        ratio = ratio if self.ratio is None else f"{self.ratio:.3f}"
        target = "" if self.target is None else f"<= {self.target:g}"
        return f"{self.case:<60}{self.unit:>6}{figures}{ratio:>8}{target:>10} {self.verdict}".rstrip()


def in_turn(rounds: int, measure: Callable[[str], float]) -> tuple[float, float, float]:
    """The median of each side, measured once in every round."""
    taken = [[measure(side) for side in SIDES] for _ in range(rounds)]
    ours, native, none = (statistics.median(figures) for figures in zip(*taken, strict=True))
    return ours, native, none


def rows(rounds: int, steps: int, quick: bool, tensor_lrs: bool) -> Iterator[Row]:
    for case in PER_BATCH:
        case = replace(case, tensor_lrs=tensor_lrs)
        batches = 10 if quick else BATCHES[case.groups]
        ours, native, none = in_turn(rounds, partial(microseconds_a_batch, case, batches))
        yield Row(case.name, "us", ours, native, none, (ours - none) / (native - none), case.target)
    for case in PER_BATCH:
        if case.inside is not None:
            batches = 10 if quick else 500  # ten points of the loggers
            ours, native, none = in_turn(rounds, partial(microseconds_inside, case, batches))
            ratio = (ours - none) / (native - none)
            yield Row(f"inside a fit: {case.name}", "us", ours, native, none, ratio, case.inside)
    for groups, logged, most in ((1, False, 2.0), (200, False, None), (1, True, 10.0), (200, True, 15.0)):
        name = f"start and end, {'TensorBoard' if logged else 'no logger'}, groups: {groups}"
        ours, native, none = in_turn(rounds, partial(milliseconds_of_start_and_end, Case("", groups), logged))
        yield Row(name, "ms", ours, native, none, target=most, above=ours - native)
    for groups in (1, 200):
        ours, native, none = (bytes_of_fit(Case("", groups), side) for side in SIDES)
        yield Row(f"memory of a fit, groups: {groups}", "bytes", ours, native, none, above=ours - native)
    length = 1000 if quick else 10**6
    slowest, name = max((seconds_of_preview(case.make(interval="step"), length), case.name) for case in CASES)
    native = seconds_of_torch(length)
    yield Row(f"preview of {length:,} steps, slowest ({name})", "s", slowest, native, target=1.0)
    parts = [Constant(warmup=100, interval="step"), CosineAnnealing(interval="step"), StepDecay(1000, interval="step")]
    took = seconds_of_preview(ProductSchedule(parts, interval="step"), length)
    yield Row("preview, a product of three", "s", took, native, target=2.0)
    for groups in (1, 200):
        case, batches = Case("", groups, tensor_lrs=tensor_lrs), 10 if quick else 500
        ours, native, none = in_turn(rounds, partial(milliseconds_of_fit, case, batches))
        yield Row(f"trainer.fit of {batches} batches, groups: {groups}", "ms", ours, native, none, ours / native)
    imports = [milliseconds_of_import() for _ in range(rounds)]
    yield Row("import", "ms", statistics.median(imports), target=15)
    largest, name = max((bytes_in_checkpoint(case.make), case.name) for case in CASES)
    yield Row(f"checkpoint, the largest state ({name})", "bytes", largest, target=2048)
    ours, native, none = (bytes_grown(Case("", tensor_lrs=tensor_lrs), steps, side) for side in SIDES)
    # the loggers' own comes and goes; one float kept for every logged point would be 480,000
    yield Row(f"memory growth in {steps:,} steps", "bytes", ours, native, none, target=16384)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each side is measured; the medians count")
    parser.add_argument("--steps", type=int, default=10**6, help="the steps over which memory is watched")
    parser.add_argument("--tensor-lrs", action="store_true", help="AdamW with tensor LRs, on a GPU if there is one")
    parser.add_argument("--quick", action="store_true", help="one small round of everything, just to see it run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    options = parser.parse_args()
    rounds, steps = (1, 1000) if options.quick else (options.rounds, options.steps)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")

    about = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() and options.tensor_lrs else "cpu",
        "rounds": rounds,
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()), HEAD, sep="\n")
    table = []
    for row in rows(rounds, steps, options.quick, options.tensor_lrs):
        print(row, flush=True)
        table.append({**asdict(row), "verdict": row.verdict})
    if options.json:
        options.json.write_text(json.dumps({**about, "rows": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
