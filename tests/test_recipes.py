"""The recipes run as a user runs them, small."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recipes import gan, reactions, xor

SMALL = ["--seeds", "2", "--hidden", "4", "--accelerator", "cpu", "--devices", "1"]


def scalars(run: Path, tag: str) -> list[tuple[int, float]]:
    """The (step, value) points of one run's event file."""
    events = EventAccumulator(str(run)).Reload()
    return [(point.step, point.value) for point in events.Scalars(tag)]


def test_xor_prints_one_row_per_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xor.main([*SMALL, "--epochs", "3", "--logdir", str(tmp_path)])
    out, _ = capsys.readouterr()
    header, *rows, last = out.splitlines()
    assert header.split() == ["schedule", "converged", "epochs:", "median", "(range)", "said"]
    assert [row.split()[0] for row in rows] == list(xor.SCHEDULES)
    assert [row.split()[-1] for row in rows] == ["70", "60", "50", "50", "40", "-"]
    assert all(" of 2 " in row for row in rows)
    assert last == f"tensorboard --logdir {tmp_path}"
    runs = {str(file.parent.relative_to(tmp_path)) for file in tmp_path.rglob("events.out.tfevents.*")}
    assert runs == {f"{name}/seed{seed}" for name in xor.SCHEDULES for seed in (0, 1)}


def test_xor_logs_the_learning_rate_of_every_epoch(tmp_path: Path) -> None:
    xor.main([*SMALL, "--epochs", "41", "--schedule", "step", "--logdir", str(tmp_path)])
    lr = scalars(tmp_path / "step/seed0", "lr-Adam")
    val_loss = scalars(tmp_path / "step/seed0", "val_loss")
    assert [value for _, value in lr] == pytest.approx([0.1] * 20 + [0.01] * 20 + [0.001])
    assert [step for step, _ in lr] == [step for step, _ in val_loss] == list(range(41))


def test_xor_converges_on_a_wide_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xor.main([*SMALL, "--hidden", "8", "--epochs", "40", "--schedule", "cosine", "--logdir", str(tmp_path)])
    assert "2 of 2" in capsys.readouterr().out
    assert scalars(tmp_path / "cosine/seed1", "val_loss")[-1][1] < xor.LOSS_BOUND
    assert scalars(tmp_path / "cosine/seed1", "val_accuracy")[-1][1] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--schedule", "cosin"], "argument --schedule: invalid choice: 'cosin' (choose from"),
        (["--seeds", "0"], "--seeds, --hidden and --epochs must be at least 1"),
    ],
)
def test_xor_refuses_what_it_cannot_run(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        xor.main(arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_reactions_prints_a_table_for_each_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--seeds", "1", "--epochs", "12", "--accelerator", "cpu", "--logdir", str(tmp_path)]
    reactions.main([*small, "--only", "spike"])
    head, *rows, empty, last = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "spike"
    assert [row[:18].rstrip() for row in rows] == list(reactions.EXPERIMENTS["spike"][1])
    assert (empty, last) == ("", f"tensorboard --logdir {tmp_path}")
    losses = {row[:18].rstrip(): float(row[18:].split()[0]) for row in rows}
    assert losses["SGD, loss"] < losses["SGD"]
    decided = EventAccumulator(str(tmp_path / "spike/SGD, loss/seed0"), size_guidance={"tensors": 0}).Reload()
    assert "loss is" in str(decided.Tensors("BackOffOnSpike/journal/text_summary")[0])


def test_a_reduction_is_false_while_the_loss_falls() -> None:
    falling = [1.0 / (1 + epoch) for epoch in range(10)]
    assert reactions.is_false(falling, 9)
    assert not reactions.is_false([*falling[:3], *[0.25] * 20], 22)


def test_xor_search_prints_a_row_for_each_width_and_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xor, "SELECTION_SEEDS", range(1000, 1001))
    xor.main([*SMALL, "--search", "--epochs", "2", "--logdir", str(tmp_path)])
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["hidden", "schedule", "converged", "epochs:", "median", "(range)", "setting"]
    assert [tuple(row.split()[:2]) for row in rows] == [(hidden, name) for hidden in "248" for name in xor.SCHEDULES]
    assert all(" of 2 " in row and " LR 0." in row for row in rows)
    assert last == f"tensorboard --logdir {tmp_path}"
    assert scalars(tmp_path / "hidden8/cosine/seed1", "val_loss")


def test_every_schedule_of_the_search_has_as_many_settings() -> None:
    assert list(xor.SEARCHED) == list(xor.SCHEDULES)
    assert {len(values) for _, values, _ in xor.SEARCHED.values()} == {2}
    lrs = {lr * factor for lr in xor.SEARCHED_LRS for factor in xor.SEARCHED["constant"][1]}
    assert len(lrs) == 2 * len(xor.SEARCHED_LRS)


def test_gan_logs_two_schedules_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan, "LRS", (0.001,))
    gan.main(["--seeds", "2", "--steps", "41", "--logdir", str(tmp_path)])
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["LR", "modes", "of", "8", "better", "good", "samples,", "%", "better"]
    assert [row.split()[0] for row in rows] == list(gan.ROWS)
    assert rows[1].count(" of 2") == 2
    assert last == f"tensorboard --logdir {tmp_path}"
    run = tmp_path / "schedules-lr0.001/seed0"
    generator = [value for _, value in scalars(run, "lr-Adam")]
    discriminator = [value for _, value in scalars(run, "lr-Adam-1")]
    assert generator[0] == discriminator[0] == pytest.approx(0.001)
    assert discriminator[1] == pytest.approx(0.001)
    assert generator[1] < 0.0006
    constant = tmp_path / "constant-lr0.001/seed0"
    for tag in ("lr-Adam", "lr-Adam-1"):
        assert [value for _, value in scalars(constant, tag)] == pytest.approx([0.001] * 3)
    assert {"g_loss", "d_loss"} <= set(EventAccumulator(str(run)).Reload().Tags()["scalars"])
    assert EventAccumulator(str(run)).Reload().Tags()["images"] == ["samples"]


def test_gan_counts_modes_and_good_samples() -> None:
    model = gan.GAN(lr=0.001)
    model.sample = lambda count: gan.MODES[:4].repeat(count // 8, 1).repeat(2, 1)  # type: ignore[method-assign]
    model.on_train_end()
    assert (model.modes, model.good) == (4, 100.0)


def test_gan_refuses_what_it_cannot_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        gan.main(["--steps", "1"])
    assert "--seeds must be at least 1 and --steps at least 2" in capsys.readouterr().err
