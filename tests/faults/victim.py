"""The training process that the fault harness ends in every way, and the server that forks it.

``python victim.py`` reads one job a line, as JSON, forks a process for it, or one for each of its ranks, ends one of
them when the job says so, and answers with its exit code and the seconds. Where one has ended early the others are
killed, as torchrun does. A fork costs milliseconds where a fresh process imports torch for seconds.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, TypedDict

import torch
from cases import CASES
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from models import Recorder, trainer
from torch import Tensor

DONE, ENDED, BROKEN = 0, 1, 2  # exit codes: the run is finished, the planned fault came, anything else


class Job(TypedDict, total=False):
    case: str
    common: dict[str, Any]
    accumulate: int
    val_check_interval: float
    folder: str  # of the checkpoints
    checkpoint: str | None  # to go on from; none: from the start
    record: str  # file of the updates that this process makes
    torn: bool  # write checkpoints slowly and in place; else as Lightning does, by a renamed temporary file
    save_on_exception: bool  # Lightning 2.6 does so in the middle of a batch, and loses count two restarts later
    signal: int  # what ends the process, and when, in seconds from its start
    after: float
    raise_at: int  # the batch of this process whose training_step raises
    full_at: int  # the checkpoint of this process that finds the disk full
    ranks: int  # processes that share each tensor; none: one process, which is not sharded
    rank: int  # the one of them that is ended


class PlannedError(Exception):
    """What training_step raises."""


class DiskFullError(OSError):
    """What writing a checkpoint raises."""


class Disk(TorchCheckpointIO):
    """A disk that is slow, shows half-written files, or fills up."""

    def __init__(self, job: Job) -> None:
        self.torn, self.until_full = job.get("torn", False), job.get("full_at", 0)

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        self.until_full -= 1
        full = self.until_full == 0
        if not self.torn and not full:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getvalue()
        with open(path, "wb", buffering=0) as file:
            for start in range(0, len(content) // (2 if full else 1), 1024):
                file.write(content[start : start + 1024])
                time.sleep(0.0005)
        if full:
            raise DiskFullError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


class Victim(Recorder):
    """Writes down at once the number of each update and what its optimizer step finds in each group."""

    def __init__(self, job: Job) -> None:
        super().__init__(batches=5, val_batches=2)
        self.until_raise = job.get("raise_at", 0)
        self.record = os.open(job["record"], os.O_WRONLY | os.O_CREAT)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        weight, bias = self.parameters()
        return torch.optim.SGD([{"params": [weight]}, {"params": [bias], "lr": 0.3}], lr=0.1, momentum=0.9)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        used = [[group["lr"], group["momentum"]] for group in optimizer.param_groups]
        os.write(self.record, json.dumps([self.trainer.global_step, used]).encode() + b"\n")
        optimizer.step(closure=optimizer_closure)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.until_raise -= 1
        if self.until_raise == 0:
            raise PlannedError
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        # of the position alone, so that every process finds the same; it improves once
        self.log("val_loss", torch.tensor(1.0 - 0.5 * (self.trainer.global_step >= 16)), sync_dist=True)


class ShardedVictim(Victim):
    def configure_model(self) -> None:
        from torch.distributed.fsdp import fully_shard

        fully_shard(self.layer)


def last_written(checkpoint: Path) -> Path:
    """Its file, or the last file of a folder of shards."""
    return checkpoint / "meta.pt" if checkpoint.is_dir() else checkpoint


def newest_readable(folder: Path) -> tuple[Path | None, int, list[str]]:
    """The newest checkpoint that loads, the update it stands at, and the names of newer ones that do not load."""
    unreadable = []
    for path in sorted(folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            return path, torch.load(last_written(path), weights_only=True)["global_step"], unreadable
        except Exception:  # torch raises half a dozen kinds
            unreadable.append(path.name)
    return None, 0, unreadable


class EpochEnd(ModelCheckpoint):
    """A class of its own, as Lightning takes two callbacks of one class and cadence for the same."""


class BatchEnd(ModelCheckpoint):
    """Saves after every batch but those that a validation or the end of the epoch follows, where others save.

    Lightning 2.6 leaves out that validation when it starts again there, and loses count of the epochs.
    """

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.val_check_batch and batch_idx + 1 < trainer.num_training_batches:
            super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)


def train(job: Job) -> None:
    ranks = job.get("ranks", 0)
    kind = {"plugins": [Disk(job)]}
    if ranks:
        kind = {"strategy": ModelParallelStrategy(ranks, 1, process_group_backend="gloo"), "devices": ranks}
    folder, always = job["folder"], {"save_top_k": -1, "save_on_exception": job.get("save_on_exception", False)}
    trainer(
        folder,
        next(case for case in CASES if case.name == job["case"]).make(**job["common"]),
        BatchEnd(folder, "{step}-batch", every_n_train_steps=1, **always),
        ModelCheckpoint(folder, "{step}-validation", every_n_epochs=1, save_on_train_epoch_end=False, **always),
        EpochEnd(folder, "{step}-epoch", every_n_epochs=1, save_on_train_epoch_end=True, **always),
        max_epochs=6,
        accumulate_grad_batches=job["accumulate"],
        val_check_interval=job["val_check_interval"],
        enable_checkpointing=True,
        **kind,
    ).fit((ShardedVictim if ranks else Victim)(job), ckpt_path=job.get("checkpoint"))


def in_child(job: Job) -> int:
    tempfile.tempdir = job["folder"]  # where Lightning writes before it renames
    try:
        train(job)
    except (PlannedError, DiskFullError, SIGTERMException):
        return ENDED
    except BaseException:
        traceback.print_exc()
        return BROKEN
    return DONE


def fork(job: Job, rank: int, port: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    if "ranks" in job:
        os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if rank != job.get("rank", 0):
        job["raise_at"] = 0
    if rank:
        job["record"] += f".{rank}"
    os._exit(in_child(job))


def run(job: Job) -> int:
    """The exit code: that of the rank to end or, where it is done, of one that is not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pids = [fork(job, rank, port) for rank in range(job.get("ranks", 1))]
    ended = pids.pop(job.get("rank", 0))
    if signal.sigtimedwait({signal.SIGCHLD}, job.get("after", 60.0)) is None:
        os.kill(ended, job.get("signal", signal.SIGKILL))
        signal.sigtimedwait({signal.SIGCHLD}, 60.0)
    code = exit_code(ended)
    for pid in pids:
        if code != DONE:
            os.kill(pid, signal.SIGKILL)
        other = exit_code(pid)
        code = code or other  # DONE is 0
    signal.sigtimedwait({signal.SIGCHLD}, 0)  # that of the others
    return code


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def serve() -> None:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("error")
    for harmless in (".*LeafSpec", "The '.*' does not have many", "Checkpoint directory .* exists", "You're resuming"):
        warnings.filterwarnings("ignore", harmless)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for line in sys.stdin:
        job: Job = json.loads(line)
        start = time.monotonic()
        code = run(job)
        print(json.dumps([code, time.monotonic() - start]), flush=True)


if __name__ == "__main__":
    serve()
