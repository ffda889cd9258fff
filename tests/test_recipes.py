"""The recipes run as a user runs them, small."""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lightning_lrsched
from lightning_lrsched import LRSchedule
from recipes import compare, extend, gan, mlp, published, reactions, xor

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(ROOT.glob("recipes/configs/*.yaml"))
SMALL = ["--seeds", "2", "--hidden", "4", "--accelerator", "cpu", "--devices", "1"]


def scalars(run: Path, tag: str) -> list[tuple[int, float]]:
    """The (step, value) points of one run's event file."""
    events = EventAccumulator(str(run)).Reload()
    return [(point.step, point.value) for point in events.Scalars(tag)]


def test_xor_prints_one_row_per_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xor.main([*SMALL, "--epochs", "3", "--logdir", str(tmp_path)])
    out, _ = capsys.readouterr()
    header, *rows, _, _, last = out.splitlines()
    assert header.split() == ["schedule", "converged", "epochs:", "median", "(range)", "claimed"]
    assert [row.split()[0] for row in rows] == list(xor.SCHEDULES)
    assert [row.split()[-1] for row in rows] == ["70", "60", "50", "50", "40", "-"]
    assert all(" of 2 " in row for row in rows)
    assert last == f"tensorboard --logdir {tmp_path}"
    runs = {str(file.parent.relative_to(tmp_path)) for file in tmp_path.rglob("events.out.tfevents.*")}
    assert runs == {*xor.SCHEDULES} | {f"{name}/planned" for name in xor.SCHEDULES if name != "constant"}


def test_xor_logs_the_learning_rate_of_every_epoch(tmp_path: Path) -> None:
    xor.main([*SMALL, "--epochs", "41", "--schedule", "step", "--logdir", str(tmp_path)])
    lr = scalars(tmp_path / "step", "lr-Adam")
    val_loss = scalars(tmp_path / "step", "val_loss")
    assert [value for _, value in lr] == pytest.approx([0.1] * 20 + [0.01] * 20 + [0.001])
    assert [step for step, _ in lr] == [step for step, _ in val_loss] == list(range(41))


def test_xor_converges_on_a_wide_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xor.main([*SMALL, "--hidden", "8", "--epochs", "40", "--schedule", "cosine", "--logdir", str(tmp_path)])
    assert "2 of 2" in capsys.readouterr().out
    assert scalars(tmp_path / "cosine", "val_loss")[-1][1] < xor.LOSS_BOUND
    assert scalars(tmp_path / "cosine", "val_accuracy")[-1][1] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--schedule", "cosin"], "argument --schedule: invalid choice: 'cosin' (choose from"),
        (["--seeds", "0"], "--seeds, --hidden and --epochs must be at least 1"),
        (["--search", "--hidden", "4"], "--search takes 2, 4 and 8 hidden units: --hidden does not go with it"),
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
    decided = EventAccumulator(str(tmp_path / "spike/SGD, loss"), size_guidance={"tensors": 0}).Reload()
    assert "loss is" in str(decided.Tensors("BackOffOnSpike/journal/text_summary")[0])


def test_a_reduction_is_false_while_the_loss_falls() -> None:
    falling = [1.0 / (1 + epoch) for epoch in range(10)]
    assert reactions.is_false(falling, 9)
    assert not reactions.is_false([*falling[:3], *[0.25] * 20], 22)


def fit_mlp(tmp_path: Path, *arguments: str, batches: int = 2) -> None:
    folder = [f"--trainer.default_root_dir={tmp_path}", "--checkpoint.dirpath", str(tmp_path)]
    small = [
        f"--trainer.limit_train_batches={batches}",
        "--trainer.max_epochs=4",
        "--trainer.enable_model_summary=false",
    ]
    quick = ["--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.enable_progress_bar=false"]
    run_mlp(*folder, *small, *quick, *arguments)


def run_mlp(*arguments: str) -> None:
    with patch.object(sys, "argv", ["mlp.py", "fit", *arguments]):
        mlp.main()


@pytest.mark.filterwarnings("ignore:.*`config.yaml` already exists")
@pytest.mark.parametrize("config", CONFIGS, ids=[config.stem for config in CONFIGS])
def test_mlp_trains_with_each_config(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit_mlp(tmp_path, "--config", str(config))
    assert "test_accuracy" in capsys.readouterr().out
    (run,) = (tmp_path / "lightning_logs/mlp").iterdir()
    assert scalars(run, "lr-Adam")


def test_the_configs_name_every_family() -> None:
    """A file of schedules is a family; CustomSchedule takes a function, which YAML cannot write."""
    text = " ".join(config.read_text() for config in CONFIGS)
    public = [cls for cls in vars(lightning_lrsched).values() if isinstance(cls, type) and cls is not LRSchedule]
    named = {cls.__module__ for cls in public if f"lightning_lrsched.{cls.__name__}\n" in text + "\n"}
    assert {cls.__module__ for cls in public} - named == {"lightning_lrsched.schedules.custom"}


def test_mlp_swaps_the_schedule_from_the_command_line_and_resumes(tmp_path: Path) -> None:
    cyclical = [
        "--trainer.callbacks+=CyclicalLR",
        "--trainer.callbacks.eta_min=0.0003",
        "--trainer.callbacks.step_size=1",
    ]
    fit_mlp(tmp_path, *cyclical)
    (run,) = (tmp_path / "lightning_logs/mlp").iterdir()
    assert [lr for _, lr in scalars(run, "lr-Adam")] == pytest.approx([0.0003, 0.003, 0.0003, 0.003])
    last = str(tmp_path / "last.ckpt")
    fit_mlp(tmp_path, *cyclical, "--trainer.max_epochs=6", "--ckpt_path", last)
    second = max((tmp_path / "lightning_logs/mlp").iterdir())
    # of epochs 4 and 5 the first update each, and the tenth of the run
    assert scalars(second, "lr-Adam") == [
        (8, pytest.approx(0.0003)),
        (9, pytest.approx(0.0003)),
        (10, pytest.approx(0.003)),
    ]


def test_mlp_options_make_the_module(tmp_path: Path) -> None:
    module = mlp.MLP(hidden=(8, 4), batch_norm=False, dropout=0.5, init="xavier", optimizer="momentum", lr=0.1, l2=0.01)
    kinds = [type(layer).__name__ for layer in module.net]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    bound = math.sqrt(2 / (64 + 8))  # the standard deviation of Xavier's rule
    assert module.linears[0].weight.std().item() == pytest.approx(bound, rel=0.15)
    optimizer = module.configure_optimizers()
    assert [optimizer.defaults[key] for key in ("lr", "momentum", "weight_decay")] == [0.1, 0.9, 0.01]
    kinds = {name: type(mlp.MLP(optimizer=name).configure_optimizers()).__name__ for name in mlp.OPTIMIZERS}
    assert list(kinds.values()) == ["SGD", "SGD", "RMSprop", "Adam", "AdamW"]


def test_the_digits_are_split_in_equal_shares() -> None:
    data = mlp.Digits()
    data.setup("fit")
    assert [len(part) for part in (data.train, data.val, data.test)] == [1077, 360, 360]
    shares = [part.tensors[1].bincount() / len(part) for part in (data.train, data.val, data.test)]
    assert all(abs(share - shares[0]).max() < 0.005 for share in shares)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trainer.callbacks+=StepDecay", "--trainer.callbacks.step_size=-5"], "must be a positive integer, got -5."),
        (["--trainer.callbacks+=StepDecay", "--trainer.callbacks.stepsize=5"], "Option 'stepsize' is not accepted"),
        (
            ["--trainer.callbacks+=CosineAnnealing", "--trainer.callbacks.interval=steps"],
            "or None (as its whole), got 'steps'.",
        ),
        (["--trainer.callbacks+=CyclicLR"], "CyclicLR"),
        (["--modle.lr=1"], "unrecognized arguments: --modle.lr=1"),
    ],
)
def test_mlp_says_in_one_line_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run_mlp(*arguments)
    (line,) = str(ended.value).splitlines()
    assert line.startswith("error: ")
    assert line.endswith(message)


def test_mlp_runs_on_two_processes(tmp_path: Path) -> None:
    two = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"]
    small = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=2", "--trainer.enable_progress_bar=false"]
    config = ROOT / "recipes/configs/cosine.yaml"
    clean = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT")}
    run = subprocess.run(
        [sys.executable, "-m", "recipes.mlp", "fit", "--config", str(config), *two, *small],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Starting with 2 processes" in run.stderr
    assert run.stdout.splitlines()[-1] == "tensorboard --logdir lightning_logs/mlp"
    (logs,) = (tmp_path / "lightning_logs/mlp").iterdir()
    # the warmup of 2 epochs is the whole run: 4 updates, of which the log has the first of each epoch
    assert [lr for _, lr in scalars(logs, "lr-Adam")] == pytest.approx([0.003 / 5, 0.003 * 3 / 5])


def test_compare_trains_every_schedule() -> None:
    public = {name for name in lightning_lrsched.__all__ if name[0].isupper()} - {
        "LRSchedule",
        "BatchSizeScaling",  # a constant LR at another base
    }
    assert compare.SCHEDULES.keys() == public
    assert all(type(make()).__name__ == name for name, make in compare.SCHEDULES.items())


@pytest.mark.parametrize("schedule", compare.SCHEDULES)
def test_compare_trains_a_setting(schedule: str, tmp_path: Path) -> None:
    args = argparse.Namespace(logdir=str(tmp_path), accelerator="cpu", epochs=1)
    result = compare.train(compare.Setting("adam", schedule), 0.01, 0, args)
    assert len(result.losses) == len(result.accuracies) == len(result.lrs) == 1
    assert 0.1 < result.test_accuracy <= 1.0


def test_compare_counts_epochs_until_95_percent() -> None:
    def result(loss: float, *accuracies: float) -> compare.Result:
        return compare.Result([1.0, loss], list(accuracies), [0.1], 0.9)

    assert (result(0.5, 0.9, 0.95, 0.96).epochs, result(0.5, 0.9).epochs) == (2, math.inf)
    assert (result(0.5).loss, result(math.nan).loss) == (0.5, math.inf)


def test_compare_prints_tables_claims_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: compare.SCHEDULES[name] for name in ("Constant", "StepDecay")}
    monkeypatch.setattr(compare, "SCHEDULES", few)
    monkeypatch.setattr(compare, "CLAIMS", compare.CLAIMS[:1])
    compare.main(
        [
            "--seeds",
            "1",
            "--epochs",
            "1",
            "--workers",
            "1",
            "--accelerator",
            "cpu",
            "--logdir",
            str(tmp_path),
        ]
    )
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out if "(" in line] == ["Constant", "StepDecay"] * 2
    assert "step decay suits SGD with momentum:" in out
    assert out[-2:] == [f"{tmp_path}/compare.png", f"tensorboard --logdir {tmp_path}"]
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_xor_search_prints_a_row_for_each_width_and_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xor, "SELECTION_SEEDS", range(1000, 1001))
    small = [each for each in SMALL if each not in ("--hidden", "4")]
    xor.main([*small, "--search", "--epochs", "2", "--logdir", str(tmp_path)])
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["hidden", "schedule", "converged", "epochs:", "median", "(range)", "setting"]
    assert [tuple(row.split()[:2]) for row in rows] == [(hidden, name) for hidden in "248" for name in xor.SCHEDULES]
    assert all(" of 2 " in row and " LR 0." in row for row in rows)
    assert last == f"tensorboard --logdir {tmp_path}"
    assert scalars(tmp_path / "hidden8/cosine", "val_loss")


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
    run = tmp_path / "schedules"
    generator = [value for _, value in scalars(run, "lr-Adam")]
    discriminator = [value for _, value in scalars(run, "lr-Adam-1")]
    assert generator[0] == discriminator[0] == pytest.approx(0.001)
    assert discriminator[1] == pytest.approx(0.001)
    assert generator[1] < 0.0006
    constant = tmp_path / "constant"
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


def test_extend_prints_the_lrs_of_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    """4 epochs and 4 more. Cosines at 0, 45, 90 and 135 degrees, and over eight and, after a warmup, three epochs."""
    extend.main(["--epochs", "4", "--more", "4"])
    head, *rows = [line for line in capsys.readouterr().out.splitlines() if line]
    assert head.split() == ["epoch", *map(str, range(8)), "loss"]
    lrs = [" ".join(row[7:55].split()) for row in rows if not row.startswith(("Cosine", "Warmup"))]
    cosine = "0.100 0.085 0.050 0.015"
    assert lrs[:2] == [cosine, "0.050 0.031 0.015 0.004"]
    assert lrs[2:4] == [cosine, "0.050 0.100 0.075 0.025"]
    assert lrs[4:] == ["0.100 0.100 0.100 0.100", "0.100 0.100 0.100 0.100 0.050"]
    told = [row for row in rows if row.startswith(("Cosine", "Warmup"))]
    assert [row.rpartition("; ")[2] for row in told] == ["LR 0.0146447 -> 0.05.", "the LR stays."]


def test_extend_refuses_what_it_cannot_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        extend.main(["--more", "3"])
    assert "--epochs and --more must be at least 4" in capsys.readouterr().err


HIGH = (1 + math.sqrt(0.5)) / 2  # of a half cosine after a quarter of it; after a third it is at 0.75
#: by pencil from the papers: what each curve, or its first parameter group, is at these updates
BY_HAND: dict[str, list[dict[int, float]]] = {
    # from 0.1 to 3.2 in 5 epochs of 156, and a tenth at epochs 30, 60 and 80
    "ResNet-50": [{0: 0.1, 390: 1.65, 780: 3.2, 4679: 3.2, 4680: 0.32, 9359: 0.32, 9360: 0.032, 12480: 3.2e-3}],
    # 0.001 * 1024 / 256 from epoch 5 on, of 50 epochs of 1251
    "ViT-L, fine-tuned": [{0: 0.0, 2085: 4e-3 / 3, 6255: 4e-3, 6255 + 18765: 0.75 * 4e-3 + 0.25 * 1e-6}],
    # 0.0005 * 1024 / 256 from epoch 10 on, of 100
    "DINO": [
        {0: 0.0, 6255: 1e-3, 12510: 2e-3, 68805: (2e-3 + 1e-6) / 2},
        {0: 0.04, 31275: 0.4 - 0.36 * HIGH, 62550: 0.22, 125099: 0.4},
    ],
    "BERT": [{0: 0.0, 5_000: 5e-5, 10_000: 1e-4, 505_000: 5e-5, 999_999: 1e-4 / 990_000}],
    "T5": [{0: 0.01, 10_000: 0.01, 40_000: 0.005, 2**18: 1 / 512, 2**19 - 1: 1 / math.sqrt(2**19 - 1)}],
    "GPT-3 175B": [{0: 0.0, 39: 2e-5, 117: 6e-5, 81_250: 6e-6, 93_749: 6e-6}],
    "Llama 3 405B": [{0: 0.0, 4_000: 4e-5, 8_000: 8e-5, 306_000: 8e-7 + 7.92e-5 * HIGH, 604_000: 4.04e-5}],
    "MiniCPM": [{0: 0.0, 2_000: 0.01, 263_000: 0.01, 268_000: 0.005, 273_000: 0.0025, 278_000: 0.00125}],
    "nanoGPT speedrun": [
        {0: 0.04, 1313: 0.04, 1594: 0.02, 1874: 0.04 / 562},
        {0: 0.85, 250: 0.9, 500: 0.95, 1874: 0.95},
    ],
    # 3 of 300 epochs of 1849, and to a hundredth
    "YOLOv5": [
        {0: 0.0, 1849: 0.01 / 3, 5547: 0.01, 554_699: 1e-4 + 0.0099 / 549_153},
        {0: 0.1, 1849: 0.07, 5547: 0.01, 554_699: 1e-4 + 0.0099 / 549_153},
    ],
}


@pytest.mark.parametrize(("name", "recipe"), published.RECIPES.items())
def test_a_published_curve_has_the_numbers_of_its_paper(name: str, recipe: published.Recipe) -> None:
    for curve, expected in zip(recipe.curves, BY_HAND[name], strict=True):
        found = published.values(recipe, curve)
        assert {step: found[0][step] for step in expected} == pytest.approx(expected, rel=1e-6)


def test_a_layer_of_the_vit_has_three_quarters_of_the_lr_of_the_next() -> None:
    recipe = published.RECIPES["ViT-L, fine-tuned"]
    peaks = [max(lrs) for lrs in published.values(recipe, recipe.curves[0])]
    assert len(peaks) == 24 + 2
    assert peaks[0] == 4e-3
    assert peaks[1:] == pytest.approx([0.75 * peak for peak in peaks[:-1]])


def test_published_prints_a_row_for_each_curve_and_draws_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "curves.png"
    published.main(["--png", str(file)])
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["recipe", "value", "first", "highest", "last", "source"]
    assert list(dict.fromkeys(row[:18].rstrip() for row in rows)) == list(BY_HAND)
    assert rows[0][18:].split()[:4] == ["LR", "0.1", "3.2", "0.0032"]
    assert last == str(file)
    assert file.stat().st_size > 10_000
