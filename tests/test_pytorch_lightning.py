"""The callbacks in the other of the two packages that Lightning is, whichever is imported first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, warnings
from pathlib import Path
import torch
{imports}
from lightning_lrsched import CosineAnnealing, ReduceOnPlateau, StepDecay, preview_fit
from pytorch_lightning.cli import LightningCLI
from pytorch_lightning.utilities.exceptions import MisconfigurationException

warnings.simplefilter("ignore")


class Module(pytorch_lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.used = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        optimizer.step(closure=optimizer_closure)
        self.used.append(optimizer.param_groups[0]["lr"])

    def training_step(self, batch, batch_idx):
        return self.layer(batch).pow(2).mean() * 1e-3

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", 1.0)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(8, 2), batch_size=2)

    val_dataloader = train_dataloader


QUIET = dict(accelerator="cpu", max_epochs=3, logger=False, enable_progress_bar=False, enable_model_summary=False)


def trainer(*callbacks):
    return pytorch_lightning.Trainer(**QUIET, enable_checkpointing=len(callbacks) > 1, callbacks=list(callbacks))


def run(*callbacks, **fit):
    module = Module()
    trainer(*callbacks).fit(module, **fit)
    return module.used


keep = pytorch_lightning.callbacks.ModelCheckpoint(".", "{step}", every_n_train_steps=1, save_top_k=-1)
assert run(StepDecay(1, 0.5, interval="step"), keep) == [0.5**t for t in range(12)]
assert run(StepDecay(1, 0.5, interval="step"), ckpt_path="step=5.ckpt") == [0.5**t for t in range(5, 12)]
assert run(ReduceOnPlateau(patience=1, factor=0.5)) == [1.0] * 8 + [0.5] * 4
assert preview_fit(trainer(StepDecay(1, 0.5)), Module()) == {"lr-SGD": [1.0] * 4 + [0.5] * 4 + [0.25] * 4}

Path("fit.yaml").write_text(
    "trainer: {callbacks: [{class_path: lightning_lrsched.StepDecay, init_args: {step_size: 1, gamma: 0.5}}]}"
)
cli = LightningCLI(Module, trainer_defaults=QUIET, args=["fit", "--config=fit.yaml"])
assert cli.model.used == [1.0] * 4 + [0.5] * 4 + [0.25] * 4

try:
    run(CosineAnnealing(optimizer=3))
except MisconfigurationException as error:
    assert "optimizer 3 does not exist" in str(error)
else:
    raise AssertionError
print("done")
"""
IMPORTS = {
    "itself first": "import pytorch_lightning\nimport lightning_lrsched",
    "sorted": "import lightning_lrsched\nimport pytorch_lightning",
    "after both": "import lightning.pytorch\nimport pytorch_lightning\nimport lightning_lrsched",
}


@pytest.mark.parametrize("imports", IMPORTS.values(), ids=IMPORTS)
def test_fits_a_cli_and_refusals_are_those_of_pytorch_lightning(imports: str, tmp_path: Path) -> None:
    script = SCRIPT.replace("{imports}", imports)
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.stdout.endswith("done\n"), run.stderr
