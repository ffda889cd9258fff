"""Runs that are ended in every way go on where they stood: with the LRs of the run that nothing interrupted.

A training process is killed (SIGKILL) at a random moment, terminated (SIGTERM), raises in ``training_step``, or finds
the disk full in the middle of a checkpoint; it is started again from its newest readable checkpoint until the run is
done. A plain run of the tests takes eight schedules through one such life each. Two ranks that share each tensor live
the same way, and one of them is ended. The full harness, at least 200 kills and 40 of a rank::

    python -m pytest tests/test_faults.py -m long
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytest
import torch
from cases import CASES
from faults.victim import DONE, ENDED, Job, last_written, newest_readable
from lightning.pytorch.callbacks import ModelCheckpoint
from models import Recorder, trainer

from lightning_lrsched import StepDecay

FAULTS = {"SIGKILL": 7, "SIGTERM": 1, "exception": 1, "disk full": 1}  # and how often each comes
ENDINGS = {  # the exit codes they lead to; a run may also be done before
    "SIGKILL": [-signal.SIGKILL],
    "SIGTERM": [-signal.SIGTERM, ENDED],
    "exception": [ENDED],
    "disk full": [ENDED],
}
FAULTS_PER_RUN = 3.0  # on average, were they spread over one uninterrupted run


class Server:
    """A process that has imported everything and forks the victims."""

    def __init__(self) -> None:
        script = Path(__file__).parent / "faults" / "victim.py"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, job: Job) -> tuple[int, float]:
        """Exit code and seconds of the process that does the job."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(job), file=self.process.stdin, flush=True)
        code, seconds = json.loads(self.process.stdout.readline())
        return code, seconds

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.end()


def updates(record: Path) -> list[tuple[int, Any]]:
    lines = record.read_text().splitlines() if record.exists() else []
    return [tuple(json.loads(line)) for line in lines]


def plan(fault: str, dice: random.Random, seconds: float) -> Job:
    if fault in ("SIGKILL", "SIGTERM"):
        return {"signal": getattr(signal, fault), "after": dice.expovariate(FAULTS_PER_RUN / seconds)}
    at = 1 + int(dice.expovariate(FAULTS_PER_RUN / 30))
    return {"raise_at": at} if fault == "exception" else {"full_at": at}


def uninterrupted(server: Server, folder: Path, life: Job) -> tuple[list[Any], float]:
    """What each update used, and the seconds that the run took."""
    code, seconds = server.run({**life, "folder": str(folder / "0"), "record": str(folder / "0.txt")})
    used = [used for _, used in updates(folder / "0.txt")]
    assert code == DONE
    assert len({str(each) for each in used}) > 1, "a schedule that does not move proves nothing"
    return used, seconds


def live(server: Server, folder: Path, life: Job, dice: random.Random, tally: Counter[str]) -> None:
    """One run that is ended again and again, compared with one that is not."""
    expected, seconds = uninterrupted(server, folder, life)
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    passed_over: set[str] = set()
    for attempt in itertools.count(1):
        checkpoint, position, unreadable = newest_readable(checkpoints)
        truncated = {path.name for path in checkpoints.glob("*.ckpt") if not zipfile.is_zipfile(last_written(path))}
        assert set(unreadable) <= truncated
        assert checkpoint is None or checkpoint.name not in truncated
        passed_over.update(unreadable)
        # shards are written past the plugin that stands for the disk; Lightning 2.6 hangs where a rank is terminated:
        # its handler broadcasts in the middle of other messages
        often = {fault: n for fault, n in FAULTS.items() if "ranks" not in life or fault in ("SIGKILL", "exception")}
        fault = dice.choices(list(often), list(often.values()))[0]
        job: Job = {
            **life,
            "folder": str(checkpoints),
            "record": str(folder / f"{attempt}.txt"),
            "checkpoint": checkpoint and str(checkpoint),
            "torn": dice.random() < 0.5,
            "rank": dice.randrange(life.get("ranks", 1)),
            **plan(fault, dice, seconds),
        }
        code, _ = server.run(job)
        made = updates(folder / f"{attempt}.txt")
        assert code in (DONE, *ENDINGS[fault]), f"{job} ended with {code}"
        assert [number for number, _ in made] == list(range(position, position + len(made))), job
        assert [used for _, used in made] == expected[position : position + len(made)], job
        for other in folder.glob(f"{attempt}.txt.*"):
            assert updates(other)[: len(made)] == made[: len(updates(other))], job
        tally["updates compared"] += len(made)
        if code == DONE:
            assert position + len(made) == len(expected), job
            break
        tally[fault] += 1
    tally.update({"runs": 1, "truncated checkpoints passed over": len(passed_over)})


@pytest.mark.parametrize(
    "full", [False, pytest.param(True, marks=[pytest.mark.long, pytest.mark.timeout(3600)])], ids=["share", "full"]
)
def test_a_run_goes_on_where_it_was_ended(
    full: bool, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    dice, tally = random.Random(seed), Counter[str]()
    moving = [case for case in CASES if not case.name.startswith("batch-size")]  # which says one LR for all the run
    lives = list(itertools.product(moving, ["epoch", "step"], [1, 3]))
    dice.shuffle(lives)
    if not full:  # each time of other schedules
        lives = list({type(life[0].make()): life for life in lives}.values())[:8]
    number = 0
    while number < len(lives) or tally["SIGKILL"] < (200 if full else 15):
        case, interval, accumulate = lives[number % len(lives)]
        folder = tmp_path / str(number)
        folder.mkdir()
        life: Job = {
            "case": case.name,
            "common": {"interval": interval, "warmup": dice.choice([0, 2])},
            "accumulate": accumulate,
            "val_check_interval": dice.choice([1.0, 0.5]),
        }
        live(server, folder, life, dice, tally)
        number += 1
    with capsys.disabled():
        print(f"\nfaults (seed {seed}): " + ", ".join(f"{count} {what}" for what, count in sorted(tally.items())))


@pytest.mark.parametrize(
    "full", [False, pytest.param(True, marks=[pytest.mark.long, pytest.mark.timeout(3600)])], ids=["share", "full"]
)
def test_sharded_ranks_go_on_where_one_was_ended(
    full: bool, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    dice, tally = random.Random(seed), Counter[str]()
    lives = itertools.cycle([("plateau", {"restore_best": True}), ("step", {}), ("cooldown", {}), ("back-off", {})])
    while tally["SIGKILL"] < (40 if full else 1):
        name, arguments = next(lives)
        folder = tmp_path / str(tally["runs"])
        folder.mkdir()
        life: Job = {
            "case": name,
            "common": {"interval": dice.choice(["epoch", "step"]), **arguments},
            "accumulate": 1,  # within a window the same folder of shards is written over in place, and may be torn
            "val_check_interval": 1.0,
            "ranks": 2,
        }
        live(server, folder, life, dice, tally)
    with capsys.disabled():
        told = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
        print(f"\nfaults of two sharded ranks (seed {seed}): {told}")


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("name", ["plateau", "step"])
def test_a_run_goes_on_from_what_an_exception_saved(name: str, accumulate: int, server: Server, tmp_path: Path) -> None:
    life: Job = {
        "case": name,
        "common": {"interval": "step"},
        "accumulate": accumulate,
        "val_check_interval": 0.5,
        "save_on_exception": True,
    }
    expected, _ = uninterrupted(server, tmp_path, life)
    for raise_at in (5, 10, 14):
        folder, record = tmp_path / str(raise_at), tmp_path / f"{raise_at}.txt"
        code, _ = server.run({**life, "folder": str(folder), "record": str(record), "raise_at": raise_at})
        assert code == ENDED
        checkpoint, position, _ = newest_readable(folder)
        again = tmp_path / f"{raise_at}-again.txt"
        code, _ = server.run({**life, "folder": str(folder), "record": str(again), "checkpoint": str(checkpoint)})
        assert code == DONE
        assert updates(again) == list(enumerate(expected))[position:]


@pytest.mark.parametrize("left", [0, 1, 0.5, -1], ids=["nothing", "one byte", "half", "all but one byte"])
def test_a_truncated_checkpoint_is_named_and_nothing_of_it_is_loaded(
    left: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=5, save_top_k=-1)
    trainer(tmp_path, StepDecay(2), saving, max_epochs=2, enable_checkpointing=True).fit(Recorder())
    truncated = tmp_path / "step=10.ckpt"
    content = truncated.read_bytes()
    truncated.write_bytes(content[: int(left * len(content)) if isinstance(left, float) else left])

    assert newest_readable(tmp_path) == (tmp_path / "step=5.ckpt", 5, [truncated.name])

    model, schedule = Recorder(), StepDecay(2)
    weights, state = {k: v.clone() for k, v in model.state_dict().items()}, schedule.state_dict()
    refusals = (EOFError, OSError, RuntimeError, UnpicklingError)  # torch has one for each length
    with caplog.at_level(logging.INFO, "lightning.pytorch"), pytest.raises(refusals):
        trainer(tmp_path, schedule, max_epochs=2).fit(model, ckpt_path=truncated)
    assert f"Restoring states from the checkpoint path at {truncated}" in caplog.messages
    assert model.used == []
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert schedule.state_dict() == state
