"""The weights and the optimizers' state of the best check: kept in host memory, and put back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Trainer

T = TypeVar("T")


def keep(trainer: Trainer) -> dict[str, Any]:
    """A copy of the weights, and of each optimizer's state without its groups: hyperparameters are the schedules'."""
    strategy = trainer.strategy
    # a validation ends in inference mode, whose tensors no optimizer could write to later
    with torch.inference_mode(False):
        return {
            "state_dict": _in_host_memory(strategy.lightning_module_state_dict()),
            "states": [_in_host_memory(strategy.optimizer_state(o)["state"]) for o in trainer.optimizers],
        }


def put_back(trainer: Trainer, kept: dict[str, Any]) -> None:
    """The inverse. Parameters that joined an optimizer in between begin anew there."""
    module = trainer.lightning_module
    with torch.inference_mode(False):
        trainer.strategy.load_model_state_dict(kept, strict=module.strict_loading)
        for optimizer, state in zip(trainer.optimizers, kept["states"], strict=True):
            groups = optimizer.param_groups
            # a copy, for the optimizer may go on with the very tensors that it is given
            optimizer.load_state_dict(
                {"state": deepcopy(state), "param_groups": optimizer.state_dict()["param_groups"]}
            )
            optimizer.param_groups = groups


def _in_host_memory(data: T) -> T:
    moved: T = move_data_to_device(data, torch.device("cpu"))
    return deepcopy(moved)
