"""What the comparisons share: runs kept and resumed, ladders of LRs, the sign test, tables from kept figures."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from recipes import lab, report
from recipes.lab import Claim, Column, Lab, Outcome, Paired, Summary


class Setting(NamedTuple):
    name: str
    optimizer: str = "sgd"
    times: float | None = None

    @property
    def base(self) -> Setting:
        return Setting("constant") if self.times else self


class Result(NamedTuple):
    loss: float
    losses: list[float]
    lrs: list[float]


BEST = {"constant": 0.1, "low": 0.025, "high": 1.6, "diverges": 0.05}


def train(setting: Setting, lr: float, seed: int) -> Result:
    """A loss that is the higher the farther the LR is from the best one, in octaves."""
    if setting.name == "diverges" and lr > 0.07:
        return Result(math.inf, [], [lr])
    return Result(abs(math.log2(lr / BEST[setting.name])) + seed, [], [lr])


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Lab[Setting, Result]]:
    with Lab(train, Result, tmp_path / "folder/runs.jsonl", workers=1) as made:
        yield made


def test_a_ladder_is_climbed_until_both_neighbours_are_worse(small: Lab[Setting, Result]) -> None:
    lrs, results = small.compare(map(Setting, BEST), {"sgd": 0.1}, factor=2, tuning=(5, 6, 9), seeds=2)
    assert {setting.name: lr for setting, lr in lrs.items()} == {**BEST, "low": 0.025}
    assert results[Setting("high")] == [Result(0.0, [], [1.6]), Result(1.0, [], [1.6])]
    tried = sorted({json.loads(key)[1] for key in small.found if json.loads(key)[0][0] == "high"})
    assert tried == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]


def test_a_multiple_is_of_the_base_settings_lr(small: Lab[Setting, Result]) -> None:
    settings = [Setting("high", times=4.0), Setting("high")]
    lrs, _ = small.compare(settings, {"sgd": 0.2}, factor=2, tuning=(0,), seeds=1)
    assert list(lrs.values()) == [0.4, 1.6]  # 4 times the constant's 0.1


def test_a_run_that_was_kept_is_not_trained_again(small: Lab[Setting, Result]) -> None:
    first, second = (Setting("low"), 0.1, 0), (Setting("low"), 0.1, 1)
    found = small([first])
    small.file.write_text(small.file.read_text().replace("[2.0,", "[7.0,"))  # as only the file can know
    with Lab(train, Result, small.file, workers=1) as again:
        assert again([first, second]) == {first: Result(7.0, [], [0.1]), second: Result(3.0, [], [0.1])}
    assert found == {first: Result(2.0, [], [0.1])}
    assert len(small.file.read_text().splitlines()) == 2


def test_what_is_enough_is_the_exact_sign_test() -> None:
    """Two-sided: 2 of 32 outcomes for all of 5, 2 of 64 for all of 6; 22 of 1024 for 9 of 10, 112 for 8."""
    assert [lab.enough(pairs) for pairs in (1, 5, 6, 10, 20)] == [None, None, 6, 9, 15]


def test_a_verdict_needs_nine_of_ten() -> None:
    low, high = [0.5], [1.0]

    def verdict(side: list[float], other: list[float]) -> str:
        return str(Outcome("", "loss", Paired(side, other)))

    assert verdict(low * 10, high * 10) == "holds; loss 0.500 against 1.000, better in 10 of 10"
    assert verdict(low * 9 + high, high * 9 + low).startswith("holds; ")
    assert verdict(low * 8 + high * 2, high * 8 + low * 2).startswith("undecided; ")
    assert verdict(high * 10, low * 10).startswith("the reverse; ")
    assert verdict(low * 10, low * 10) == "undecided; loss 0.500 against 0.500, better in 5 of 10"
    assert verdict(low * 10, [math.inf] * 10).endswith("0.500 against inf, better in 10 of 10")
    assert verdict(low, high).startswith("undecided; ")
    assert str(Outcome("", "epochs", Paired([2.0], [3.0]))) == "undecided; epochs 2 against 3, better in 1 of 1"


def test_a_claim_of_an_effect_compares_changes() -> None:
    """A loss that rises by 0.25 gains over one that rises by 0.5, though it is higher."""
    losses = {"side": 1.0, "other": 0.75, "side_base": 0.75, "other_base": 0.25}
    results = {Setting(name): [Result(loss, [], [])] for name, loss in losses.items()}
    side, other, side_base, other_base = map(Setting, losses)
    assert Claim("a", side, other).outcome(results) == Outcome("a", "loss", Paired([1.0], [0.75]))
    effect = Claim("b", side, other, "loss", side_base, other_base)
    assert effect.settings == [side, other, side_base, other_base]
    assert effect.outcome(results) == Outcome("b", "change of loss", Paired([0.25], [0.5]))


def test_a_table_compares_with_the_constant_lr_seed_by_seed(tmp_path: Path) -> None:
    table = {
        "Constant": (0.1, {"loss": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "epochs": [1.0] * 6}),
        "CosineAnnealing": (0.25, {"loss": [0.5, 1.0, 1.5, 2.0, 2.5, 3.0], "epochs": [2.0] * 6}),
        "StepDecay": (0.1, {"loss": [1.0, 2.5, 2.5, 3.5, 4.5, math.inf], "epochs": [math.inf] * 6}),
    }
    columns = [Column("epochs", "g", 8, False), Column("loss", ".1f", 20)]
    claims = [Outcome("a cosine helps", "loss", Paired([0.5], [0.123456789]))]
    Summary(columns, "loss", {"task": table}, claims).save(tmp_path / "kept.json")
    kept = Summary.load(tmp_path / "kept.json")
    assert kept.claims == [Outcome("a cosine helps", "loss", Paired([0.5], [0.12346]))]
    head, *rows = [" ".join(line.split()) for line in kept.lines("task")]
    assert head == "task base LR epochs loss minus constant better"
    assert rows == [
        "Constant 0.1 1 3.5 (1.0 to 6.0) -",
        "CosineAnnealing 0.25 2 1.8 (0.5 to 3.0) -1.8 (-3.0 to -0.5) 6 of 6 *",
        "StepDecay 0.1 inf 3.0 (1.0 to inf) -0.2 (-0.5 to +inf) 3.5 of 6",
    ]
    assert kept.told()[-2:] == ["", f"a cosine helps:\n    {kept.claims[0]}"]


def test_the_tables_of_the_recipes_readme_are_those_of_the_kept_figures() -> None:
    readme = report.README.read_text()
    assert report.with_tables(readme) == readme
    shown = {(name, title) for _, name, title, _ in report.BLOCK.findall(readme)}
    kept = {name: Summary.load(report.FOLDER / f"results/{name}.json") for name in report.TASKS}
    assert shown == {(name, title) for name, summary in kept.items() for title in summary.tables} | {("claims", "")}


LONG_RUN = """
import os, sys, time
from pathlib import Path
from recipes.lab import Lab

def train(*job):
    Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(2)

if __name__ == "__main__":
    with Lab(train, tuple, Path(sys.argv[1]).with_name("runs"), workers=1) as lab:
        lab([("a", 0.1, 0), ("a", 0.1, 1), ("a", 0.1, 2)])
"""


def test_the_workers_end_with_a_comparison_that_is_ended(tmp_path: Path) -> None:
    script, told = tmp_path / "long_run.py", tmp_path / "pid"
    script.write_text(LONG_RUN)
    comparison = subprocess.Popen([sys.executable, str(script), str(told)], stderr=subprocess.DEVNULL)
    while not (told.exists() and told.read_text()):
        time.sleep(0.1)
    comparison.terminate()
    assert comparison.wait(timeout=60)
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
