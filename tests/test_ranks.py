"""Two gloo processes on the CPU: one LR on every rank, one advance an update."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import environment

HERE = Path(__file__).parent


def run(strategy: str, devices: int, folder: Path, *checkpoint: Path) -> list[dict[str, Any]]:
    process = launch(strategy, devices, folder, *checkpoint)
    assert process.returncode == 0, process.stderr[-3000:]
    return used_in(folder, devices)


def used_in(folder: Path, ranks: int) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(ranks)]


def launch(strategy: str, devices: int, folder: Path, *checkpoint: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, str(HERE / "ranks.py"), strategy, str(devices), str(folder), *map(str, checkpoint)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# The mean over the ranks, (1 / (epoch + 1) + 1 + epoch / 10) / 2, is 1, 0.8, 0.767, and then 0.775, 0.8, 0.833 and so
# on: with patience 2 the plateau reduces after epochs 4, 6, 8, ..., 18.
REDUCTIONS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_both_ranks_have_the_same_lrs_and_resume_on_one(strategy: str, tmp_path: Path) -> None:
    first, second = run(strategy, 2, tmp_path / "two")
    assert first == second  # the weights, which the reductions put back, included
    assert first["after_validation"] == [0.5**n for n in REDUCTIONS]
    # 2 batches over 2 ranks: one update an epoch, which advances the step schedule once
    assert [b for _, b in first["used"]] == [0.5 ** (t // 3) for t in range(20)]
    header, *rows = (tmp_path / "two" / "csv" / "metrics.csv").read_text().splitlines()
    logged = [row.split(",")[header.split(",").index("lr-SGD/b")] for row in rows]
    assert [float(lr) for lr in logged if lr] == [0.5 ** (t // 3) for t in range(20)]  # once, by rank zero

    (alone,) = run("auto", 1, tmp_path / "one", tmp_path / "two" / "10.ckpt")
    # two updates an epoch now; the metric of rank 0, at most 1 / 11, goes on improving
    assert alone["used"] == [[0.5**3, 0.5 ** (t // 3)] for t in range(10, 30)]


def test_two_nodes_have_the_same_lrs_and_go_on(tmp_path: Path) -> None:
    """One process each, over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    fits = [str(HERE / "ranks.py")]
    for strategy in ("ddp", "sharded"):
        whole, rest = tmp_path / strategy, tmp_path / f"{strategy}-rest"
        whole.mkdir()
        rest.mkdir()
        fits += [strategy, "1", str(whole), ",", strategy, "1", str(rest), str(whole / "10.ckpt"), ","]
    nodes = [
        subprocess.Popen(
            [*torchrun, f"--node-rank={rank}", *fits[:-1]], env=environment(), stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    for node in nodes:
        _, errors = node.communicate(timeout=200)
        assert node.returncode == 0, errors[-3000:]

    for strategy in ("ddp", "sharded"):
        first, second = used_in(tmp_path / strategy, 2)
        assert first == second
        assert first["after_validation"] == [0.5**n for n in REDUCTIONS]
        assert [b for _, b in first["used"]] == [0.5 ** (t // 3) for t in range(20)]
        for resumed in used_in(tmp_path / f"{strategy}-rest", 2):
            assert resumed["used"] == first["used"][10:]
            assert resumed["weights"] == first["weights"]


def test_a_checkpoint_of_one_rank_resumes_on_two(tmp_path: Path) -> None:
    run("auto", 1, tmp_path / "one")
    first, second = run("ddp", 2, tmp_path / "two", tmp_path / "one" / "10.ckpt")
    assert first == second
    # 10 updates were 5 epochs with a best check of 1 / 5: none of the means is better, and every second one reduces
    assert first["used"] == [[0.5 ** ((epoch - 5) // 2), 0.5 ** ((epoch + 5) // 3)] for epoch in range(5, 20)]


def test_samples_and_percent_keep_their_place_from_two_ranks_to_one_and_back(tmp_path: Path) -> None:
    """An epoch has 4 samples: "16 samples" are 4 epochs and "60%" are 12, whatever the ranks."""

    def used(devices: int, name: str, *checkpoint: Path) -> list[float]:
        ranks = run("ddp" if devices == 2 else "auto", devices, tmp_path / name, *checkpoint)
        assert all(rank == ranks[0] for rank in ranks)
        return [b for _, b in ranks[0]["used"]]

    assert used(2, "units-two") == [1.0] * 4 + [0.5] * 8 + [0.25] * 8
    # two updates an epoch from epoch 10 on, and one again from epoch 11 on
    assert used(1, "units-one", tmp_path / "units-two" / "10.ckpt") == [0.5] * 4 + [0.25] * 16
    assert used(2, "units-back", tmp_path / "units-one" / "12.ckpt") == [0.5] + [0.25] * 8


def test_seconds_are_those_of_rank_zero(tmp_path: Path) -> None:
    first, second = run("ddp", 2, tmp_path / "seconds")
    assert first["used"] == second["used"]
    lrs = [b for _, b in first["used"]]
    assert lrs == sorted(lrs, reverse=True)
    assert len(set(lrs)) >= 3  # 20 batches take 3 seconds or more


def test_a_spike_on_one_rank_slows_down_both(tmp_path: Path) -> None:
    first, second = run("ddp", 2, tmp_path / "spike")
    assert first == second
    assert [b for _, b in first["used"]] == pytest.approx([1.0] * 8 + [0.1] * 2 + [0.55] + [1.0] * 9)


def test_greedy_rises_and_falls_on_both(tmp_path: Path) -> None:
    first, second = run("ddp", 2, tmp_path / "greedy")
    assert first == second
    # the means of epochs 0 and 1 improve; from epoch 3 on none does
    falls = [max(0.5 ** (n // 2), 0.01) for n in range(16)]
    assert first["after_validation"] == [1.0, 2.0, 2.0, 2.0, *falls]
    rest = tmp_path / "greedy-rest"
    for resumed in run("ddp", 2, rest, tmp_path / "greedy" / "10.ckpt"):
        assert resumed["used"] == first["used"][10:]


def test_a_cooldown_begins_on_both(tmp_path: Path) -> None:
    first, second = run("ddp", 2, tmp_path / "cooldown")
    assert first == second
    # the ninth check without improvement is that of epoch 11; the last of 5 intervals ends the run
    assert [b for _, b in first["used"]][-4:] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    (path,) = tmp_path.rglob("before-decay*")
    checkpoint = torch.load(path, weights_only=True)
    assert (path.name, checkpoint["global_step"]) == ("before-decay-step=12.ckpt", 12)


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_a_metric_that_is_missing_on_one_rank_fails_all_within_seconds(strategy: str, tmp_path: Path) -> None:
    started = time.monotonic()
    process = launch(strategy, 2, tmp_path / "missing")
    assert process.returncode != 0
    assert time.monotonic() - started < 60
    message = "ReduceOnPlateau: the metric 'val_loss' is missing on some of the 2 ranks."
    assert message in process.stderr
