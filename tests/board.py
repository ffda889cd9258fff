"""A real TensorBoard and a real browser: ``python -m tests.board`` redraws the README's picture of the dashboard."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
PICTURE = Path(__file__).parent / "pictures" / "tensorboard.png"
QUIET = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
PATIENCE = 60.0


class Board:
    """TensorBoard's HTTP interface."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, plugin: str, route: str, **query: Any) -> Any:
        content = self.raw(f"data/plugin/{plugin}/{route}?{urlencode(query)}")
        return json.loads(content)

    def raw(self, path: str) -> bytes:
        with urlopen(f"{self.address}/{path}", timeout=PATIENCE) as answer:
            content: bytes = answer.read()
        return content


def _answers(board: Board) -> bool:
    try:
        return bool(board.get("scalars", "tags"))
    except OSError:  # refused, or reset
        return False


@contextmanager
def tensorboard(folder: Path) -> Iterator[Board]:
    """A server on a loopback port that has read what lies in the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--host=127.0.0.1", f"--port={port}", f"--logdir={folder}"]
    server = subprocess.Popen([*command, "--load_fast=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        board, end = Board(f"http://127.0.0.1:{port}"), time.monotonic() + PATIENCE
        while not _answers(board):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"TensorBoard does not answer; see what this says: {' '.join(command)}")
            time.sleep(0.2)
        yield board
    finally:
        server.terminate()
        server.wait()


@contextmanager
def browser() -> Iterator[Any]:
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for switch in (*QUIET, "window-size=1300,900"):
        options.add_argument(f"--{switch}")
    driver = Chrome(options=options, service=ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def opened(driver: Any, board: Board, page: str, *words: str, **query: Any) -> str:
    """The text of a page of TensorBoard once these words stand there, in its nested shadows too."""
    driver.get("about:blank")
    driver.get(f"{board.address}/?{urlencode(query)}#{page}")
    text, end = "", time.monotonic() + PATIENCE
    while time.monotonic() < end and not all(word in text for word in words):
        time.sleep(0.5)
        text = driver.execute_script(
            """const read = node => (node.shadowRoot ? read(node.shadowRoot) : '') +
                 [...node.childNodes].map(c => c.nodeType == 3 ? c.data : read(c)).join(' ');
               return read(document.body)"""
        )
    return text


def train(folder: Path) -> None:
    """A run on the digits that backs off at spikes, is left halfway, resumed, and resumed with another floor."""
    import torch
    from lightning.pytorch import Trainer, seed_everything
    from lightning.pytorch.callbacks import LambdaCallback
    from lightning.pytorch.loggers import TensorBoardLogger

    from lightning_lrsched import BackOffOnSpike, CosineAnnealing, ProductSchedule
    from recipes.mlp import MLP, Digits

    def leave(trainer: Trainer, *_: Any) -> None:
        if trainer.current_epoch == 8:
            trainer.save_checkpoint(folder / "left.ckpt")
            trainer.should_stop = True

    torch.set_num_threads(1)
    floors = {"run": 0.0, "resumed": 0.0, "changed": 0.3}
    for version, floor in floors.items():
        seed_everything(0)
        annealing = CosineAnnealing(interval="step", warmup="2 epochs", eta_min_ratio=floor)
        guard = BackOffOnSpike(threshold=1.2, hold=5, window=8, interval="step")
        callbacks: list[Any] = [ProductSchedule([annealing, guard], interval="step")]
        callbacks += [LambdaCallback(on_train_epoch_end=leave)] if version == "run" else []
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=20,
            callbacks=callbacks,
            logger=TensorBoardLogger(folder, name="", version=version),
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
        )
        trainer.fit(MLP(l2=0.01), datamodule=Digits(), ckpt_path=None if version == "run" else folder / "left.ckpt")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as logs:
        train(Path(logs))
        with tensorboard(Path(logs)) as running, browser() as chromium:
            opened(chromium, running, "timeseries", "changed/planned", "lr-Adam", tagFilter="lr-", smoothing=0)
            for button in ("Toggle settings side pane", "Toggle full size mode"):
                chromium.find_element("css selector", f'[aria-label="{button}"]').click()
            time.sleep(4)  # the curves are drawn after the words
            chromium.save_screenshot(str(PICTURE))
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1024} KB")
