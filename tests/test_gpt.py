"""The language model: its text, its decoder, its fits by the command line, killed and resumed, and what is compared."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import killed
import pytest
import torch
from ranks import environment
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.distributed import fsdp

from recipes import gpt, gpt_compare

ROOT = Path(__file__).parents[1]
TINY = [
    *("--data.context=8", "--data.batch_size=4", "--data.val_windows=8", "--data.train_bytes=2000"),
    *("--model.width=8", "--model.layers=1", "--model.heads=2", "--model.compiled=false"),
    *("--trainer.max_steps=6", "--trainer.val_check_interval=3", "--trainer.log_every_n_steps=1"),
    *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
]


def events(folder: Path) -> EventAccumulator:
    (run,) = (folder / "lightning_logs/gpt").iterdir()
    return EventAccumulator(str(run), size_guidance={"tensors": 0}).Reload()


def test_the_text_is_split_by_file() -> None:
    train, val = gpt.standard_library()
    assert 5 * len(val) < len(train)
    here = Path(os.__file__).read_bytes()  # a module of it
    assert (here in train) != (here in val)
    assert b"pytest" not in train[:100_000]


def test_windows_lie_side_by_side_and_share_a_byte() -> None:
    windows = gpt.StandardLibrary(context=4).windows(b"abcdefghijk")
    assert [bytes(window.tolist()) for window in windows] == [b"abcde", b"efghi"]


def test_validation_is_spread_over_its_text() -> None:
    data = gpt.StandardLibrary(val_windows=10)
    data.setup("fit")
    _, text = gpt.standard_library()
    apart = (len(text) - 1) // 64 // 10 * 64
    assert [bytes(window.tolist()) for window in data.val] == [text[i * apart : i * apart + 65] for i in range(10)]


def test_the_decoder_sees_only_what_came_before() -> None:
    torch.manual_seed(0)
    net = gpt.Decoder(context=6, width=8, layers=2, heads=2)
    text = torch.tensor([[1, 2, 3, 4, 5, 6]])
    other = text.clone()
    other[0, 3] = 99
    logits, others = net(text), net(other)
    assert logits.shape == (1, 6, 256)
    assert torch.equal(logits[:, :3], others[:, :3])
    assert not torch.isclose(logits[:, 3:], others[:, 3:]).all(-1).any()


def test_a_model_that_knows_nothing_needs_eight_bits_a_byte() -> None:
    model = gpt.GPT()
    torch.nn.init.zeros_(model.net.bytes.weight)  # embeds, and tells the logits
    assert model.loss(torch.arange(65)[None]).item() * gpt.BITS == pytest.approx(8.0)


def test_only_matrices_decay() -> None:
    model = gpt.GPT(width=8, layers=1, heads=2, weight_decay=0.3)
    matrices, vectors = model.configure_optimizers().param_groups
    assert (matrices["name"], matrices["weight_decay"]) == ("matrices", 0.3)
    assert (vectors["name"], vectors["weight_decay"]) == ("vectors", 0.0)
    # embeddings of 256 bytes and 64 positions, 3 + 1 + 4 + 4 squares of 8 x 8; three norms
    assert sum(p.numel() for p in matrices["params"]) == (256 + 64) * 8 + 12 * 64
    assert [p.numel() for p in vectors["params"]] == [8, 8, 8]
    momentum = gpt.GPT(optimizer="momentum").configure_optimizers()
    assert (type(momentum), momentum.defaults["momentum"]) == (torch.optim.SGD, 0.9)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("size", ["minute", "gpu"])
def test_a_size_trains_from_the_command_line(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ROOT / f"recipes/configs/gpt/{size}.yaml"
    times = ["--trainer.callbacks.t_max=128", "--trainer.callbacks.decay=64", "--trainer.callbacks.warmup=64"]
    folder = [f"--trainer.default_root_dir={tmp_path}", f"--checkpoint.dirpath={tmp_path}"]
    with patch.object(sys, "argv", ["gpt.py", "fit", "--config", str(config), *TINY, *times, *folder]):
        gpt.main()
    assert capsys.readouterr().out.splitlines()[-1] == f"tensorboard --logdir {tmp_path}/lightning_logs/gpt"
    seen = events(tmp_path)
    # 32 tokens an update: two of warmup from 1/65, two at the base LR, two of decay
    base = 0.004 if size == "minute" else 0.001
    lrs = [point.value / base for point in seen.Scalars("lr-AdamW/matrices")]
    assert lrs == pytest.approx([1 / 65, 33 / 65, 1, 1, 1, 0.5])
    assert [point.step for point in seen.Scalars("val_loss")] == [2, 5, 6]  # and after the fit
    last = torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert last["state_dict"]["tokens"] == 6 * 32


def test_a_sample_goes_on_from_a_context(tmp_path: Path) -> None:
    model = gpt.GPT(context=8, width=8, layers=1, heads=2)
    state = torch.get_rng_state()
    window = torch.tensor([[*b"def run("]])
    text = model.written(window, 40)
    assert len(text) == 40
    assert text == model.written(window, 40) != model.written(window + 1, 40)
    assert torch.equal(torch.get_rng_state(), state)  # the training's dice are not thrown
    with torch.no_grad():
        model.net.norm.weight.zero_()  # all bytes are equally likely
    assert len(set(model.written(window, 400))) > 100


@pytest.mark.parametrize("killed_in", [8, 14])
def test_killed_in_mid_epoch_and_resumed_it_is_the_same_fit(killed_in: int, tmp_path: Path) -> None:
    """The checkpoint of the third update before: in the first epoch of ten updates, and in the second."""
    whole = killed.fit(tmp_path / "whole")
    assert len(whole) == killed.UPDATES
    script = [sys.executable, str(Path(__file__).parent / "killed.py"), str(tmp_path / "killed"), str(killed_in)]
    process = subprocess.run(script, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == -9, process.stderr[-2000:]
    step = killed_in // 3 * 3
    assert step % killed.EPOCH
    assert killed.fit(tmp_path / "killed", ckpt_path=tmp_path / f"killed/step={step}.ckpt") == whole[step:]
    losses = {loss for loss, _ in whole}
    assert len(losses) == killed.UPDATES


def test_compare_tells_tables_claims_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: gpt_compare.SCHEDULES[name] for name in ("Constant", "OneCycle")}
    monkeypatch.setattr(gpt_compare, "SCHEDULES", few)
    monkeypatch.setattr(gpt_compare, "CLAIMS", gpt_compare.CLAIMS[-3:-1])
    small = ["--seeds", "1", "--steps", "10", "--workers", "1", "--accelerator", "cpu", "--logdir", str(tmp_path)]
    with patch.object(sys, "argv", ["gpt.py", "compare", *small]):
        gpt.main()
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out if "(" in line] == ["Constant", "OneCycle", "Constant", "Constant"]
    assert "a cycled momentum helps one-cycle:" in out
    assert out[-1] == f"{tmp_path}/compare.png"
    assert (tmp_path / "compare.png").stat().st_size > 10_000


@pytest.mark.parametrize("schedule", gpt_compare.SCHEDULES)
def test_compare_trains_a_setting(schedule: str) -> None:
    args = gpt_compare.arguments(["--steps", "10", "--accelerator", "cpu"])
    result = gpt_compare.train(gpt_compare.Setting(schedule, warmup=True), 0.01, 0, args)
    assert len(result.losses) == len(result.lrs) == gpt_compare.VALIDATIONS
    assert 3 < result.loss < 8.5
    assert result.loss == pytest.approx(result.losses[-1])
    assert result.half == result.losses[4]


def test_compare_schedules_weight_decay_and_cycles_momentum(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, float, float]] = []

    def step(self: torch.optim.AdamW, closure: object = None) -> None:
        matrices, vectors = self.param_groups
        seen.append((matrices["weight_decay"], vectors["weight_decay"], matrices["betas"][0]))
        closure()  # type: ignore[operator]

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    args = gpt_compare.arguments(["--steps", "10", "--accelerator", "cpu"])
    gpt_compare.train(gpt_compare.Setting("PolynomialDecay", also="weight_decay"), 0.01, 0, args)
    assert [decay for decay, _, _ in seen] == pytest.approx([0.1 - 0.01 * t for t in range(10)])
    assert {(vectors, beta) for _, vectors, beta in seen} == {(0.0, 0.9)}
    seen.clear()
    gpt_compare.train(gpt_compare.Setting("OneCycle", also="momentum"), 0.01, 0, args)
    betas = [beta for _, _, beta in seen]
    assert (betas[0], min(betas)) == pytest.approx((0.95, 0.85))
    assert math.isclose(seen[0][0], 0.1)


def test_compare_refuses_what_it_cannot_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        gpt_compare.main(["--steps", "9"])
    assert "--seeds and --workers must be at least 1 and --steps at least 10" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(fsdp, "fully_shard"), reason="fully_shard is public from torch 2.6 on")
def test_two_processes_share_the_weights(tmp_path: Path) -> None:
    """Two windows each are the four of one process: the same tokens, and so the same LRs."""
    halved = ["--data.batch_size=2", "--trainer.precision=32-true", f"--trainer.default_root_dir={tmp_path}"]
    times = ["--trainer.callbacks.t_max=128", "--trainer.callbacks.decay=64", "--trainer.callbacks.warmup=64"]
    config = ROOT / "recipes/configs/gpt/sharded.yaml"
    command = [sys.executable, "-m", "recipes.gpt", "fit", "--config", str(config), *TINY, *halved, *times]
    run = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Starting with 2 processes" in run.stderr
    seen = events(tmp_path)
    lrs = [point.value / 0.001 for point in seen.Scalars("lr-AdamW/matrices")]
    assert lrs == pytest.approx([1 / 65, 33 / 65, 1, 1, 1, 0.5])
    assert len(seen.Tensors("sample/text_summary")) == 3
