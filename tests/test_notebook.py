"""The notebook of the recipes, executed as a person would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "recipes" / "schedules.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # Jupyter's own
def test_the_notebook_runs_and_shows_what_it_says() -> None:
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # nothing old is committed
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output["data"] for output in shown if "data" in output]
    assert "<svg" in data[0]["text/html"]
    assert any("image/png" in each for each in data)
    assert any("(630, 0.0227" in each["text/plain"] for each in data)  # 21 updates an epoch, from an even stair on
    told = [output["text"] for output in shown if output["output_type"] == "stream"]
    assert any("lr 0.5 -> 0.15: no improvement of val_loss" in text for text in told)
