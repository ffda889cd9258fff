"""Two gloo processes on the CPU: one LR on every rank, one advance an update."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ranks import environment

HERE = Path(__file__).parent


def run(strategy: str, devices: int, folder: Path, *checkpoint: Path) -> list[dict[str, Any]]:
    process = launch(strategy, devices, folder, *checkpoint)
    assert process.returncode == 0, process.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(devices)]


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


# The mean over the ranks of val_loss = (1 / (epoch + 1) + 1 or 1.2) / 2 falls at first and then only swings.
def expected_reductions(epochs: int) -> list[int]:
    """How often the plateau has reduced after each epoch, judged by pencil on the mean: patience 2, threshold 0."""
    best, bad, reductions, counts = float("inf"), 0, 0, []
    for epoch in range(epochs):
        mean = (1 / (epoch + 1) + 1.0 + 0.2 * (epoch % 2)) / 2
        best, bad = (mean, 0) if mean < best else (best, bad + 1)
        if bad >= 2:
            reductions, bad = reductions + 1, 0
        counts.append(reductions)
    return counts


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_both_ranks_have_the_same_lrs_and_resume_on_one(strategy: str, tmp_path: Path) -> None:
    first, second = run(strategy, 2, tmp_path / "two")
    assert first == second  # the weights, which the reductions put back, included
    assert first["after_validation"] == [0.5**n for n in expected_reductions(20)]
    # 2 batches over 2 ranks: one update an epoch, which advances the step schedule once
    assert [b for _, b in first["used"]] == [0.5 ** (t // 3) for t in range(20)]
    header, *rows = (tmp_path / "two" / "csv" / "metrics.csv").read_text().splitlines()
    logged = [row.split(",")[header.split(",").index("lr-SGD/b")] for row in rows]
    assert [float(lr) for lr in logged if lr] == [0.5 ** (t // 3) for t in range(20)]  # once, by rank zero

    (alone,) = run("auto", 1, tmp_path / "one", tmp_path / "two" / "10.ckpt")
    assert alone["used"][0] == first["used"][10]
    assert alone["after_validation"][0] <= first["after_validation"][9]


def test_a_checkpoint_of_one_rank_resumes_on_two(tmp_path: Path) -> None:
    run("auto", 1, tmp_path / "one")
    first, second = run("ddp", 2, tmp_path / "two", tmp_path / "one" / "10.ckpt")
    assert first == second
    assert first["used"][0][1] == 0.5 ** (10 // 3)


def test_a_spike_on_one_rank_slows_down_both(tmp_path: Path) -> None:
    first, second = run("ddp", 2, tmp_path / "spike")
    assert first == second
    assert [b for _, b in first["used"]] == pytest.approx([1.0] * 8 + [0.1] * 2 + [0.55] + [1.0] * 9)


def test_a_cooldown_begins_on_both(tmp_path: Path) -> None:
    first, second = run("ddp", 2, tmp_path / "cooldown")
    assert first == second
    # best at epoch 4, where the mean is (1 / 5 + 1) / 2, or sooner; the last of 5 intervals ends the run at the latest
    assert [b for _, b in first["used"]][-4:] == pytest.approx([0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_a_metric_that_is_missing_on_one_rank_fails_all_within_seconds(strategy: str, tmp_path: Path) -> None:
    started = time.monotonic()
    process = launch(strategy, 2, tmp_path / "missing")
    assert process.returncode != 0
    assert time.monotonic() - started < 60
    message = "ReduceOnPlateau: the metric 'val_loss' is missing on some of the 2 ranks."
    assert message in process.stderr
