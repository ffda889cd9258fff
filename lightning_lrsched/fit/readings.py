"""Numbers of a single update, read from the device when they are judged and not before."""

from __future__ import annotations

from typing import cast

import torch
from lightning.pytorch import Trainer
from torch import Tensor


class Reading:
    """``factor`` times a number on its way from the device; ``float`` waits for that number and for nothing else.

    On several ranks it is the mean over them.
    """

    def __init__(self, trainer: Trainer, number: Tensor, factor: float = 1.0) -> None:
        number = number.detach().reshape(())
        if trainer.world_size > 1:
            number = cast(Tensor, trainer.strategy.reduce(number.double(), reduce_op="mean"))
        self._factor = factor
        self._arrived: torch.cuda.Event | None = None
        if number.is_cuda:
            self._number = torch.empty((), dtype=number.dtype, pin_memory=True).copy_(number, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()
        else:
            self._number = number.clone()

    def __float__(self) -> float:
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._number.item() * self._factor

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)  # a copy is the number itself
