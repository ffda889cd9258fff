"""Other people's models and callbacks beside ours, each left out where its package is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from models import Recorder, lrs_of_fit, trainer
from others import CASES, Case, tried

import lightning_lrsched
from lightning_lrsched import CosineAnnealing, StepDecay

pytestmark = [pytest.mark.others, pytest.mark.filterwarnings("default")]  # their warnings are theirs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.package)
def test_every_update_of_other_peoples_models_uses_the_previews_lr(case: Case, tmp_path: Path) -> None:
    if case.version is None:
        pytest.skip(f"{case.package} is not installed")
    outcome = tried(case, tmp_path)
    assert outcome.right
    assert outcome.resumed
    ours = {name for name in outcome.unsafe if name.startswith(lightning_lrsched.__name__)}
    assert ours <= {f"{CosineAnnealing.__module__}.CosineAnnealing"}  # of a package that pickles the callbacks


class Tuned(Recorder):
    """Two parameters, and an optimizer for those that are thawed."""

    def __init__(self) -> None:
        super().__init__(
            lambda _: torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=1.0), batches=2
        )


def tuner(**second_phase: Any) -> Any:
    """The bias is trained alone for an epoch; then the weight joins."""
    package = pytest.importorskip("finetuning_scheduler")
    phases = {
        0: {"params": ["layer.bias"], "max_transition_epoch": 1},
        1: {"params": ["layer.weight"], "lr": 0.8, "max_transition_epoch": 4, **second_phase},
    }
    return package.FinetuningScheduler(phases, epoch_transitions_only=True, restore_best=False, allow_untested=True)


# of the same kind, for it resumes with the kind of configure_optimizers
NEW = {"optimizer_init": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.3}}}


@pytest.mark.parametrize("second_phase", [{}, {"new_optimizer": NEW}], ids=["same optimizer", "new optimizer"])
def test_finetuning_scheduler_says_what_is_trained_and_the_schedule_at_which_lr(
    second_phase: dict[str, Any], tmp_path: Path
) -> None:
    """A group that joins keeps the LR of its phase for its first interval, and follows the curve from there."""
    used = [1.0] * 2 + [[0.5, 0.8]] * 2 + [[0.25, 0.4]] * 2 + [[0.125, 0.2]] * 2
    # no Checkpoint: it takes the first one for its own
    save = LambdaCallback(on_train_batch_end=lambda t, *_: t.save_checkpoint(tmp_path / f"{t.global_step}.ckpt"))
    run = {"max_epochs": 4, "enable_checkpointing": True}  # which it needs
    assert lrs_of_fit(tmp_path, StepDecay(1, 0.5), tuner(**second_phase), save, model=Tuned(), **run) == used
    for step in (3, 4, 5, 6, 7):
        model = Tuned()
        trainer(tmp_path, StepDecay(1, 0.5), tuner(**second_phase), **run).fit(
            model, ckpt_path=tmp_path / f"{step}.ckpt"
        )
        assert model.used == used[step:]
