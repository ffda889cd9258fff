"""The benchmark runs and says something about every case; no time is asserted."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_benchmark_prints_its_table_and_writes_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.overhead", "--quick", "--json", str(tmp_path / "figures.json")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert len(run.stdout.splitlines()) == len(rows) + 2
    for row in rows:
        assert row["case"] in run.stdout
        assert all(
            math.isfinite(row[figure])
            for figure in ("ours", "native", "none", "ratio", "above")
            if row[figure] is not None
        )
        assert row["ours"] > 0 or row["unit"] == "bytes"
    assert {"pass", "MISS"} >= {row["verdict"] for row in rows if row["target"]}
