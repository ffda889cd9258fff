"""Every row of recipes/MIGRATING.md: its call in a real Trainer, against what the other system makes of its own."""

from __future__ import annotations

import json
import re
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from models import Recorder, trainer
from published import record_curves
from published.record_curves import Row

import lightning_lrsched

ROWS = record_curves.rows()
RECORDED: dict[str, dict[str, list[float]]] = json.loads(record_curves.FILE.read_text())
PER_UPDATE = {"transformers", "Keras", "optax", "Composer"}  # these say interval="step"
PUBLIC = {name: getattr(lightning_lrsched, name) for name in lightning_lrsched.__all__ if name[0].isupper()}


def close(expected: list[float], system: str) -> Any:
    """Keras counts in 32 bits; of the others twelve digits are recorded."""
    return pytest.approx(expected, rel=0.0, abs=1e-7 if system == "Keras" else 1e-11)


@pytest.mark.filterwarnings("ignore:The epoch parameter in")  # torch 2.4's own SequentialLR gives it
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.system}-{row.there}")
def test_a_row_has_the_same_lrs_on_both_sides(row: Row, tmp_path: Path) -> None:
    by_step = row.system in PER_UPDATE
    names = {name: partial(cls, interval="step") for name, cls in PUBLIC.items()} if by_step else PUBLIC
    schedule = eval(row.here, dict(names))
    watches = hasattr(schedule, "monitor")
    batches = row.steps if by_step and not watches else 1
    model = Recorder(partial(torch.optim.SGD, lr=1.0), batches=batches, val_batches=int(watches))
    model.val_metrics = list(record_curves.METRICS)
    trainer(tmp_path, schedule, max_epochs=row.steps // batches).fit(model)
    there = record_curves.values(row) if row.system == "torch" else RECORDED[row.system][row.there]
    assert len(model.used) == row.steps
    assert model.used == close(there, row.system)


@pytest.mark.parametrize("system", RECORDED)
def test_the_recorded_values_are_those_of_the_system(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("KERAS_BACKEND", "torch"), ("KERAS_FLOATX", "float64"), ("JAX_ENABLE_X64", "1")):
        monkeypatch.setenv(name, value)
    for module in record_curves.SYSTEMS[system][1:]:
        pytest.importorskip(module)
    for row in ROWS:
        if row.system == system:
            assert record_curves.values(row) == close(RECORDED[system][row.there], system), row.there


def test_every_row_is_recorded_and_none_besides() -> None:
    systems = list(record_curves.SYSTEMS)
    assert [row.system for row in ROWS] == sorted([row.system for row in ROWS], key=systems.index)
    assert set(RECORDED) == set(systems) - {"torch"}
    for system, curves in RECORDED.items():
        assert list(curves) == ["version", *(row.there for row in ROWS if row.system == system)]


def test_every_line_of_a_table_is_a_row() -> None:
    lines = re.findall(r"^\| `", record_curves.GUIDE.read_text(), re.MULTILINE)
    assert len(lines) == len(ROWS)


def test_no_scheduler_of_torch_is_forgotten() -> None:
    torchs = vars(import_module("torch.optim.lr_scheduler"))
    public = set(torchs["__all__"]) - {"LRScheduler"}
    named = set(re.findall(r"\w+", " ".join(row.there for row in ROWS if row.system == "torch")))
    assert public <= named
