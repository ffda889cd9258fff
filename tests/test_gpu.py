"""On a GPU: tensor LRs that nothing waits for, CUDA graphs, and the strategies that need one.

What does not need a GPU runs on the CPU as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from models import Recorder, lrs_of_fit, saver, sgd, trainer
from sharded import EPOCHS, fit, plateau

from lightning_lrsched import BackOffOnSpike, CosineAnnealing, ExponentialDecay

needs_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
ACCELERATORS = ["cpu", pytest.param("gpu", marks=needs_gpu)]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature"),
    pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True"),
]


def adamw(params: Any) -> torch.optim.Optimizer:
    """Two groups with a tensor LR each, on the device of their parameters."""
    groups: list[dict[str, Any]] = [
        {"params": [parameter], "lr": torch.tensor(lr, device=parameter.device)}
        for parameter, lr in zip(params, (0.5, 0.25), strict=True)
    ]
    return torch.optim.AdamW(groups, capturable=groups[0]["lr"].is_cuda)


@contextmanager
def synchronization_refused() -> Iterator[None]:
    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


class Guarded(CosineAnnealing):
    """Raises where one of its hooks of a batch waits for the GPU."""

    def on_train_batch_start(self, *args: Any) -> None:
        with synchronization_refused():
            super().on_train_batch_start(*args)

    def on_train_batch_end(self, *args: Any) -> None:
        with synchronization_refused():
            super().on_train_batch_end(*args)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_guard_notices_a_synchronization() -> None:
    with pytest.raises(RuntimeError, match="synchronizing"), synchronization_refused():
        torch.ones((), device="cuda").item()


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_no_hook_waits_for_the_gpu_and_the_lrs_are_the_same(accelerator: str, tmp_path: Path) -> None:
    run = {"max_epochs": 2, "log_every_n_steps": 1, "logger": TensorBoardLogger(tmp_path)}
    schedule = Guarded(interval="step", warmup=3)
    used = lrs_of_fit(tmp_path, schedule, model=Recorder(adamw), accelerator=accelerator, **run)
    floats = lrs_of_fit(tmp_path, CosineAnnealing(interval="step", warmup=3), max_epochs=2)
    assert used == [[float(torch.tensor(lr * base)) for base in (0.5, 0.25)] for lr in floats]


class Captured(Recorder):
    """The third update captures the optimizer's step in a CUDA graph; the further ones replay it."""

    def __init__(self, capture: bool) -> None:
        super().__init__(adamw, batches=10)
        self.capture = capture
        self.graph: Any = None

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        optimizer.zero_grad(set_to_none=False)  # a graph reads the gradients where they were

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        optimizer_closure()
        if not self.capture or len(self.used) < 2:
            optimizer.optimizer.step()
        else:
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    optimizer.optimizer.step()
            self.graph.replay()
        self.used.append([float(group["lr"]) for group in optimizer.param_groups])


@pytest.mark.parametrize(("accelerator", "capture"), [("cpu", False), pytest.param("gpu", True, marks=needs_gpu)])
def test_a_captured_step_follows_the_schedule(accelerator: str, capture: bool, tmp_path: Path) -> None:
    models = [Captured(capture=False), Captured(capture)]
    for model in models:
        schedule = ExponentialDecay(gamma=0.5, interval="step")
        trainer(tmp_path, schedule, accelerator=accelerator, max_epochs=1).fit(model)
        assert model.used == [[0.5 * 0.5**t, 0.25 * 0.5**t] for t in range(10)]
    eager, captured = (torch.cat([p.detach().cpu().flatten() for p in model.parameters()]) for model in models)
    torch.testing.assert_close(captured, eager)


@pytest.mark.filterwarnings("ignore")  # the strategies' own, about a single process
@pytest.mark.parametrize(
    ("accelerator", "strategy"),
    [("cpu", "ddp"), *(pytest.param("gpu", strategy, marks=needs_gpu) for strategy in ("ddp", "fsdp", "deepspeed"))],
)
def test_distributed_strategies_train_at_the_same_lrs(accelerator: str, strategy: str, tmp_path: Path) -> None:
    if strategy == "deepspeed":
        pytest.importorskip("deepspeed")
    try:
        model = Recorder(sgd)
        used = lrs_of_fit(
            tmp_path,
            CosineAnnealing(interval="step"),
            model=model,
            accelerator=accelerator,
            strategy=strategy,
            max_epochs=2,
        )
    finally:
        torch.distributed.destroy_process_group()
    assert used == lrs_of_fit(tmp_path, CosineAnnealing(interval="step"), max_epochs=2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("columns", [False, True], ids=["fully_shard", "tensor parallel"])
def test_shards_on_a_gpu_come_back_from_host_memory(columns: bool, tmp_path: Path) -> None:
    """NCCL does not reach into host memory, where the best check is kept. One rank holds each shard, all of it."""
    sharded: dict[str, Any] = {"columns": columns, "accelerator": "gpu"}
    try:
        full = fit(1, tmp_path, plateau(), saver(tmp_path, "on_train_epoch_end"), **sharded)
        for step in range(2, 2 * EPOCHS, 2):
            resumed = fit(1, tmp_path, plateau(), checkpoint=tmp_path / f"{step}.ckpt", **sharded)
            assert resumed["used"] == full["used"][step:]
            torch.testing.assert_close(resumed["weights"], full["weights"])
        guards = [BackOffOnSpike("grad_norm", window=99, interval="step") for _ in range(2)]
        on_gpu = fit(1, tmp_path, guards[0], **sharded)
        assert on_gpu["used"] == fit(1, tmp_path, guards[1])["used"]
        assert guards[0].memory.values == pytest.approx(guards[1].memory.values, rel=1e-3)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("strategy", ["fsdp", "deepspeed"])
@pytest.mark.parametrize(
    "schedule", [plateau(), BackOffOnSpike("grad_norm", lag=True)], ids=["restore_best", "grad_norm"]
)
def test_what_flat_shards_cannot_do_is_refused(strategy: str, schedule: Any, tmp_path: Path) -> None:
    if strategy == "deepspeed":
        pytest.importorskip("deepspeed")
    try:
        with pytest.raises(MisconfigurationException, match="whose shards do not say which part of the model they are"):
            trainer(tmp_path, schedule, accelerator="gpu", strategy=strategy, max_epochs=1).fit(Recorder(sgd))
    finally:
        torch.distributed.destroy_process_group()
