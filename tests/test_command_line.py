"""The command line, as a user types it."""

from __future__ import annotations

import csv
import inspect
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pytest

import lightning_lrsched
from lightning_lrsched import LRSchedule
from lightning_lrsched.__main__ import answer, main, schedules, thinned, turning_points
from lightning_lrsched.formula.pictures import Curve
from lightning_lrsched.schedule import FlooredSchedule

COSINE = ["preview", "CosineAnnealing", "--interval=step", "--epochs=90", "--steps-per-epoch=100", "--base-lr", "0.1"]


def output(*arguments: str) -> list[str]:
    return answer(list(arguments)).split("\n")


def rows(lines: list[str]) -> list[list[str]]:
    """The table below the chart."""
    start = next(i for i, line in enumerate(lines) if line.strip() == "epoch")
    return [line.split() for line in lines[start + 1 :]]


def test_list_has_a_line_for_every_schedule_that_fits_a_terminal() -> None:
    lines = output("list")
    assert [line.split()[0] for line in lines] == list(schedules())
    assert all(len(line) <= 80 and line.endswith(".") for line in lines)


def test_the_preview_is_a_call_a_chart_and_the_turning_points() -> None:
    lines = output(*COSINE, "--warmup=5 epochs")
    assert lines[0] == "CosineAnnealing(interval='step', warmup='5 epochs')"
    assert all(len(line) <= 80 for line in lines)
    # the ramp's first stair is 0.1 / 501; one step before its end a cosine of 8500 steps is 0.1 * sin^2(pi/2 / 8500)
    end = 0.1 * math.sin(math.pi / 2 / 8500) ** 2
    assert rows(lines) == [
        ["step", "epoch", "LR"],
        ["0", "0", f"{0.1 / 501:.6g}"],
        ["500", "5", "0.1"],
        ["8999", "89.99", f"{end:.6g}"],
    ]


def test_a_schedule_by_epoch_with_arguments_of_its_own() -> None:
    lines = output("preview", "StepDecay", "--epochs", "7", "--step-size", "3", "--gamma=0.5")
    assert rows(lines) == [["epoch", "LR"], ["0", "1"], ["3", "0.5"], ["6", "0.25"]]


def test_lists_and_nested_schedules() -> None:
    keyframes = output("preview", "Keyframes", "--positions=[0, 2 epochs]", "--values=[1, 0.5]", "--epochs=4")
    assert rows(keyframes) == [["epoch", "LR"], ["0", "1"], ["2", "0.5"], ["3", "0.5"]]
    parts = "[{class_path: Constant, init_args: {factor: 0.1}}, {class_path: StepDecay, init_args: {step_size: 2}}]"
    sequence = output("preview", "SequentialSchedule", f"--parts={parts}", "--milestones=[3]", "--epochs=6")
    assert rows(sequence) == [["epoch", "LR"], ["0", "0.1"], ["3", "1"], ["5", "0.1"]]
    custom = output("preview", "CustomSchedule", "--function=operator.mul", "--epochs=3", "--base-lr=0.5")
    assert rows(custom) == [["epoch", "LR"], ["0", "0"], ["2", "1"]]


def test_many_turning_points_are_cut_in_the_middle() -> None:
    table = rows(output("preview", "CyclicalLR", "--eta-min=0", "--step-size=1", "--epochs=99"))
    assert len(table) == 1 + 8 + 1 + 8
    assert table[8:11] == [["7", "1"], ["...", "..."], ["91", "1"]]


def test_files(tmp_path: Path) -> None:
    matplotlib.use("Agg")
    png, table = tmp_path / "lr.png", tmp_path / "lr.csv"
    output(*COSINE[:3], "--epochs=1", "--steps-per-epoch=4", f"--png={png}", f"--csv={table}")
    assert png.read_bytes().startswith(b"\x89PNG")
    with table.open(newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["step", "epoch", "LR"]
    assert [float(line[1]) for line in lines] == [0.0, 0.25, 0.5, 0.75]
    assert [float(line[2]) for line in lines] == pytest.approx(
        [1.0, 0.5 + math.sqrt(2) / 4, 0.5, 0.5 - math.sqrt(2) / 4]
    )
    output("preview", "Constant", "--epochs=2", f"--csv={table}")
    assert table.read_text() == "epoch,LR\n0,1.0\n1,1.0\n"


def test_a_minus_writes_every_value_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "StepDecay", "--step-size=1", "--epochs=3", "--csv", "-"]) == 0
    assert capsys.readouterr().out == "epoch,LR\n0,1.0\n1,0.1\n2,0.010000000000000002\n"


def test_several_names_share_a_chart_and_take_the_arguments_that_they_have() -> None:
    lines = output("preview", "Constant", "StepDecay", "--step-size", "2", "--factor=0.5", "--epochs=4", "--gamma=0.5")
    assert lines[:2] == ["a  Constant(factor=0.5)", "b  StepDecay(step_size=2, gamma=0.5)"]
    chart = [line.split("┤")[1] for line in lines if "┤" in line]
    assert set(chart[0]) == {"b", " ", "│"}  # the base LR, which only one of them has
    assert any("a" in line and "b" in line for line in chart)
    longest = output("preview", "StepDecay", "CosineAnnealing", "--step-size=50")  # four periods are longer than 100
    assert longest[-2].split()[-1] == "200"


def test_durations_in_samples_are_for_several_names_too() -> None:
    run = ("--interval=step", "--epochs=1", "--batch-size=10")
    lines = output("preview", "Constant", "CosineAnnealing", *run, "--warmup=500 samples")
    assert lines[0] == "a  Constant(interval='step', warmup='500 samples')"
    lines = output("preview", "Constant", "BatchSizeScaling", *run, "--reference=20")
    assert lines[0] == "a  Constant(interval='step')"


def test_an_epoch_has_a_hundred_steps_unless_told() -> None:
    assert rows(output("preview", "Constant", "--interval=step", "--epochs=2"))[-1] == ["199", "1.99", "1"]
    assert rows(output("preview", "CosineAnnealing", "--interval=step"))[-1][:2] == ["99", "0.99"]


def test_the_list_needs_no_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for missing in ("jsonargparse", "plotext"):
        monkeypatch.setitem(sys.modules, missing, None)
    assert main(["list"]) == 0
    assert "StepDecay" in capsys.readouterr().out


@pytest.mark.parametrize("name", schedules())
def test_help_explains_every_argument(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["preview", name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    schedule = schedules()[name]
    for base in [LRSchedule, *([FlooredSchedule] if issubclass(schedule, FlooredSchedule) else []), schedule]:
        for parameter in inspect.signature(base.__init__).parameters.values():  # those of this very class
            if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
                _, told = re.split(rf"\n  --{parameter.name}[ ,]", text)
                told = " ".join(told.partition("\n  --")[0].split())
                written = re.search(rf"^ +{parameter.name}: (.*)$", base.__doc__ or "", re.MULTILINE)
                assert written is not None
                assert written[1] in told
                assert "type: " in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "{list,preview}"),
        ("preview", "preview.schedule"),
        ("preview cosine", "there is no schedule 'cosine'. Did you mean CosineAnnealing or CosineRestarts?"),
        ("preview StepLR --epochs 3", "there is no schedule 'StepLR'. Did you mean StepDecay?"),
        ("preview Constant StepDcay", "there is no schedule 'StepDcay'. Did you mean StepDecay?"),
        ("preview Constant REX --csv=-", "--png and --csv are for one schedule; lightning_lrsched.plot_schedules"),
        ("preview Constant REX --stepsize 3", "--stepsize"),
        ("preview Wobble", "there is no schedule 'Wobble'. 'list' names them all."),
        ("preview StepDecay --epochs 3", "step_size"),
        ("preview StepDecay --step_size -3 --epochs 2", "StepDecay: 'step_size' must be a positive integer, got -3."),
        ("preview StepDecay --step_size 3 --epochs 0", "StepDecay: 'epochs' must be a positive integer, got 0."),
        ("preview StepDecay --step_size 3 --epochs 2 --intervall=step", "--intervall=step"),
        (
            "preview CosineAnnealing --eta_min 0.5 --base_lr 0.1 --epochs 2",
            "'base_lr' must be a number >= eta_min (0.5)",
        ),
        (
            "preview CosineAnnealing --warmup 5steps --steps-per-epoch 2 --epochs 30",
            "'warmup' must be a whole number of epochs",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lightning_lrsched", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_an_error_is_one_line_without_a_traceback() -> None:
    run = command("preview", "StepDecay", "--epochs=3", "--step_size=soon")
    assert (run.returncode, run.stdout) == (2, "")
    way_out = "must be a duration such as '5 epochs', '500 steps', '9_000 samples' or '10%', got 'soon'."
    assert run.stderr == f"error: StepDecay: 'step_size' {way_out}\n"


def test_a_pipe_gets_no_colours() -> None:
    run = command("preview", "StepDecay", "--epochs=3", "--step_size=2")
    assert (run.returncode, run.stderr) == (0, "")
    assert "\x1b" not in run.stdout


@pytest.mark.parametrize("missing", ["jsonargparse", "plotext"])
def test_without_the_extra_the_error_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["preview", "Constant", "--epochs=3"]) == 2
    assert capsys.readouterr().err == (
        'error: the command line needs jsonargparse and plotext: pip install "jsonargparse[signatures]" plotext\n'
    )


@pytest.mark.parametrize(
    ("lrs", "turns"),
    [
        ([1.0], [0]),
        ([1.0, 1.0, 1.0], [0, 2]),
        ([1.0, 1.0, 0.5, 0.5, 0.25], [0, 2, 4]),
        ([0.0, 0.5, 1.0, 0.5, 0.0], [0, 2, 4]),
        ([1.0, 0.5, 0.1, 1.0, 0.5, 0.1], [0, 2, 3, 5]),  # a restart
        ([1.0, 1.0, 1.0, 0.5, 0.0, 0.0], [0, 2, 4, 5]),  # warmup, stable, decay
    ],
)
def test_turning_points(lrs: Any, turns: list[int]) -> None:
    assert turning_points(lrs) == turns


def test_a_thinned_curve_keeps_spikes() -> None:
    spiked = [0.0] * 10_000
    spiked[4321], spiked[7000] = 5.0, -5.0
    thin = thinned(Curve("", range(10_000), spiked), 100)
    assert len(thin.y) <= 400
    assert {(4321, 5.0), (7000, -5.0), (0, 0.0), (9999, 0.0)} <= set(zip(thin.x, thin.y, strict=True))
    few = Curve("", [0, 1, 2], [1.0, 2.0, 3.0])
    assert (list(thinned(few, 100).x), list(thinned(few, 100).y)) == ([0, 1, 2], [1.0, 2.0, 3.0])


def test_every_public_schedule_is_there() -> None:
    public = {name for name in lightning_lrsched.__all__ if inspect.isclass(getattr(lightning_lrsched, name))}
    assert set(schedules()) == public - {"LRSchedule"}
