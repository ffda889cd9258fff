"""Loggers of other makers, offline: what they wrote is read back. Each is left out where its package is not there."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest
from lightning.pytorch.loggers import CometLogger, CSVLogger, MLFlowLogger, WandbLogger
from models import Recorder, trainer

from lightning_lrsched import ReduceOnPlateau

pytestmark = [pytest.mark.others, pytest.mark.filterwarnings("default")]  # their warnings are theirs


class Read(NamedTuple):
    """What a run's files hold."""

    points: list[tuple[int, float]]  # x and value of lr-SGD
    texts: dict[str, list[str]]


def of_csv(logger: Any, folder: Path) -> Read:
    with open(logger.experiment.metrics_file_path) as file:
        return Read([(int(row["step"]), float(row["lr-SGD"])) for row in csv.DictReader(file) if row["lr-SGD"]], {})


def comet(folder: Path) -> Any:
    import comet_ml

    # Lightning's own online=False writes nothing in 2.6.6; the logger takes over an experiment that is running
    comet_ml.start(online=False, experiment_config=comet_ml.ExperimentConfig(offline_directory=str(folder)))
    return CometLogger()


def of_comet(logger: Any, folder: Path) -> Read:
    logger.experiment.end()
    (path,) = folder.glob("*.zip")
    points, texts = [], defaultdict(list)
    with ZipFile(path) as archive:
        for message in map(json.loads, archive.read("messages.json").splitlines()):
            payload = message["payload"]
            if payload.get("metric", {}).get("metricName") == "lr-SGD":
                points.append((payload["metric"]["step"], payload["metric"]["metricValue"]))
            elif payload.get("upload_type") == "text-sample":
                texts[payload["metadata"]["tag"]].append(archive.read(payload["file_path"]).decode())
    return Read(points, texts)


def of_mlflow(logger: Any, folder: Path) -> Read:
    client, run = logger.experiment, logger.run_id
    files = [file.path for part in client.list_artifacts(run) for file in client.list_artifacts(run, part.path)]
    texts = {file: Path(client.download_artifacts(run, file)).read_text().splitlines() for file in files}
    points = [(metric.step, metric.value) for metric in client.get_metric_history(run, "lr-SGD")]
    return Read(points, {file.removesuffix(".txt"): lines for file, lines in texts.items()})


def of_wandb(logger: Any, folder: Path) -> Read:
    import wandb

    logger.experiment.finish()
    wandb.teardown()  # or the file may lack its end
    (run,) = folder.glob("wandb/offline-run-*")
    (path,) = run.glob("*.wandb")
    histories = [record.history.item for record in _records(path) if record.WhichOneof("record_type") == "history"]
    rows = [{"/".join(item.nested_key): json.loads(item.value_json) for item in items} for items in histories]
    tables = sorted((run / "files/media/table").rglob("*.json"), key=lambda file: int(file.name.split("_")[1]))
    texts = {
        f"{table.parent.name}/{table.name.split('_')[0]}": [text for (text,) in json.loads(table.read_text())["data"]]
        for table in tables
    }
    return Read([(row["trainer/global_step"], row["lr-SGD"]) for row in rows if "lr-SGD" in row], texts)


def _records(path: Path) -> Iterator[Any]:
    """Of a file of wandb's, which is LevelDB's log: parts of records in blocks of 32 KiB, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts = path.read_bytes(), 7, b""
    while at < len(content):
        if (left := 32768 - at % 32768) < 7:  # too little for a part
            at += left
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # the whole record, or the last part of it
            yield Record.FromString(parts)
            parts = b""


class Case(NamedTuple):
    package: str
    make: Callable[[Path], Any]
    read: Callable[[Any, Path], Read]
    shows_text: bool = True


CASES = {
    "CSV": Case("lightning", lambda folder: CSVLogger(folder), of_csv, shows_text=False),
    "Comet": Case("comet_ml", comet, of_comet),
    "MLflow": Case("mlflow", lambda folder: MLFlowLogger(save_dir=str(folder / "mlruns")), of_mlflow),
    "MLflow's database": Case(
        "mlflow",
        lambda folder: MLFlowLogger(
            tracking_uri=f"sqlite:///{folder}/mlflow.db", artifact_location=str(folder / "runs")
        ),
        of_mlflow,
    ),
    "W&B": Case("wandb", lambda folder: WandbLogger(save_dir=folder, offline=True), of_wandb),
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # which MLflow 3 asks for before it writes a folder
    monkeypatch.setenv("WANDB_SILENT", "true")


def check(cases: list[Case], folder: Path) -> None:
    """Train with all these loggers, and compare what they wrote with what was used and decided."""
    loggers, model = [case.make(folder) for case in cases], Recorder(batches=3, val_batches=1)
    schedule = ReduceOnPlateau(patience=1, factor=0.5, param_groups=0)
    trainer(folder, schedule, logger=loggers, max_epochs=4, log_every_n_steps=1).fit(model)
    assert model.used == [1.0] * 6 + [0.5] * 3 + [0.25] * 3
    decisions = [str(decision) for decision in schedule.journal]
    assert [decision[:17] for decision in decisions] == ["epoch 1, step 6: ", "epoch 2, step 9: ", "epoch 3, step 12:"]
    for case, logger in zip(cases, loggers, strict=True):
        read = case.read(logger, folder)
        assert read.points == list(zip(range(12), model.used, strict=True))
        if case.shows_text:
            name = (
                "ReduceOnPlateau-param_groups-0-" if case.read is of_mlflow else "ReduceOnPlateau{'param_groups': (0,)}"
            )
            assert dict(read.texts) == {f"{name}/call": [f"`{schedule!r}`"], f"{name}/journal": decisions}


@pytest.mark.parametrize("name", CASES)
def test_points_and_texts_are_what_was_used_and_decided(name: str, tmp_path: Path) -> None:
    pytest.importorskip(CASES[name].package)
    check([CASES[name]], tmp_path)


def test_several_loggers_at_once_are_each_told_all(tmp_path: Path) -> None:
    check([case for case in CASES.values() if find_spec(case.package)], tmp_path)
