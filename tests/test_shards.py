"""Two gloo processes that share each tensor, by ``fully_shard`` or column by column, against one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from ranks import environment
from sharded import EPOCHS, SCHEDULES, fit, fits, plateau

pytest.importorskip("torch.distributed.fsdp", reason="a torch without processes")
pytestmark = pytest.mark.skipif(
    not hasattr(torch.distributed.fsdp, "fully_shard"), reason="fully_shard is public from torch 2.6 on"
)


class Seen(NamedTuple):
    alone: dict[str, Any]
    ranks: list[dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    alone = fits(1, one)
    command = [sys.executable, str(Path(__file__).parent / "sharded.py"), str(two), str(one)]
    process = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=280, check=False)
    assert process.returncode == 0, process.stderr[-3000:]
    return Seen(alone, [torch.load(two / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)], two)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(same, a, b))


@pytest.mark.parametrize("name", [*SCHEDULES, "late", "manual", "spike", "rewind", "columns, spike", "columns, rewind"])
def test_lrs_and_weights_are_those_of_one_process(name: str, seen: Seen) -> None:
    alone = seen.alone[name]
    assert len({str(lr) for lr in alone["used"]}) > 1 or name == "BatchSizeScaling"
    for rank in seen.ranks:
        assert rank[name]["used"] == alone["used"]
        torch.testing.assert_close(rank[name]["weights"], alone["weights"])


@pytest.mark.parametrize("name", ["spike", "columns, spike"])
def test_the_norm_is_that_of_the_whole_gradient(name: str, seen: Seen) -> None:
    first, second = seen.ranks
    assert first[name]["norms"] == second[name]["norms"]
    assert first[name]["norms"] == pytest.approx(seen.alone[name]["norms"], rel=1e-5)


@pytest.mark.parametrize("name", ["rewind", "columns, rewind"])
def test_each_rank_puts_back_what_it_held_at_the_best_check(name: str, seen: Seen) -> None:
    for rank in seen.ranks:
        checked, begun = rank[name]["checked"], rank[name]["begun"]
        assert same(begun[4], checked[1])  # of weights and of Adam's state, bit for bit
        assert not same(checked[3], checked[1])
        assert same(begun[3], checked[2])
    shards = [rank[name]["checked"][1][0]["layer.0.weight"] for rank in seen.ranks]
    assert [len(shard) for shard in shards] == [3, 2]
    assert torch.equal(torch.cat(shards), seen.ranks[0][name]["weights"]["layer.0.weight"])  # put back at the end, too


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("step", range(2, 2 * EPOCHS, 2))
def test_a_sharded_checkpoint_resumes_on_two_ranks(step: int, rank: int, seen: Seen) -> None:
    full, resumed = seen.ranks[rank]["rewind"], seen.ranks[rank]["two to two"][f"from {step}"]
    assert resumed["used"] == full["used"][step:]
    assert same(resumed["weights"], full["weights"])


def test_a_late_group_resumes(seen: Seen) -> None:
    for each in (seen.alone, *seen.ranks):
        assert each["joined"]["used"] == each["late"]["used"][8:]
        assert same(each["joined"]["weights"], each["late"]["weights"])
    assert seen.alone["late"]["used"][4] == [pytest.approx(0.1 * (1 + 0.5) / 2), 0.02]  # at 60 degrees of 12 updates


@pytest.mark.parametrize("step", range(2, 2 * EPOCHS, 2))
def test_a_checkpoint_of_one_process_resumes_on_two_ranks(step: int, seen: Seen) -> None:
    for rank in seen.ranks:
        resumed = rank["one to two"][f"from {step}"]
        assert resumed["used"] == seen.alone["rewind"]["used"][step:]
        torch.testing.assert_close(resumed["weights"], seen.alone["rewind"]["weights"])


@pytest.mark.parametrize("step", range(2, 2 * EPOCHS, 2))
def test_a_sharded_checkpoint_resumes_on_one_process(step: int, seen: Seen, tmp_path: Path) -> None:
    folder, file = seen.folder / "rewind" / f"{step}.ckpt", tmp_path / "one.ckpt"
    consolidate(folder, file)
    resumed = fit(1, tmp_path, plateau(), checkpoint=file)
    assert resumed["used"] == seen.alone["rewind"]["used"][step:]
    torch.testing.assert_close(resumed["weights"], seen.alone["rewind"]["weights"])


def consolidate(folder: Path, file: Path) -> None:
    """Lightning's own tool knows the checkpoints of FSDPStrategy only."""
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    dcp_to_torch_save(folder, file)
    shards = torch.load(file, weights_only=True)
    rest = torch.load(folder / "meta.pt", weights_only=True)
    torch.save({"state_dict": shards["state_dict"], "optimizer_states": [shards["optimizer_0"]], **rest}, file)
