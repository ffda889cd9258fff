"""The Trainer's callbacks, known by their names."""

from __future__ import annotations

from typing import Any, cast

from lightning.pytorch import Callback, Trainer


def is_a(callback: object, name: str) -> bool:
    """By name, since ``lightning.pytorch`` and ``pytorch_lightning`` have a class each."""
    return any(cls.__name__ == name for cls in type(callback).__mro__)


def callbacks_of(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks


def looks_at_any_batch(callback: Callback) -> bool:
    """Lightning's own callbacks look at metrics when an epoch or a validation has ended; only a checkpoint by step or
    time, and what others wrote, may look in between."""
    if is_a(callback, "ModelCheckpoint") and not cast(Any, callback).every_n_epochs:
        return True
    package = type(callback).__module__.partition(".")[0]
    return package not in ("lightning", "pytorch_lightning") or is_a(callback, "LambdaCallback")
