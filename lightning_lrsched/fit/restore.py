"""The weights and the optimizers' state of the best check: what this rank holds of them is kept and put back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Trainer

from . import shards

CPU = torch.device("cpu")


def keep(trainer: Trainer) -> dict[str, Any]:
    """A copy of the weights, and of each optimizer's state without its groups: hyperparameters are the schedules'."""
    # a validation ends in inference mode, whose tensors no optimizer could write to later
    with torch.inference_mode(False):
        kept: dict[str, Any] = deepcopy(move_data_to_device(_held(trainer), CPU))
        return kept


def take(trainer: Trainer, kept: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds whole: of each tensor what this rank holds."""
    mine: dict[str, Any] = move_data_to_device(shards.like(_held(trainer), kept), CPU)
    return mine


def put_back(trainer: Trainer, kept: dict[str, Any]) -> None:
    """The inverse. Parameters that joined an optimizer in between begin anew there."""
    module = trainer.lightning_module
    with torch.inference_mode(False):
        module.load_state_dict(kept["state_dict"], strict=module.strict_loading)
        for optimizer, state in zip(trainer.optimizers, kept["states"], strict=True):
            groups = optimizer.param_groups
            # a copy, for the optimizer may go on with the very tensors that it is given
            optimizer.load_state_dict({**optimizer.state_dict(), "state": deepcopy(state)})
            optimizer.param_groups = groups


def _held(trainer: Trainer) -> dict[str, Any]:
    return {
        "state_dict": trainer.lightning_module.state_dict(),
        "states": [optimizer.state_dict()["state"] for optimizer in trainer.optimizers],
    }
