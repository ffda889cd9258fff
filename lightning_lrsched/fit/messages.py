"""What is said to a person: first the class that says it, then the message."""

from __future__ import annotations

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from .lightning import MisconfigurationException

CALLER = 5  # frames up: it is the caller of these functions who says it


def refusal(owner: object, message: str) -> MisconfigurationException:
    return MisconfigurationException(_by(owner, message))


def warn(owner: object, message: str) -> None:
    rank_zero_warn(_by(owner, message), stacklevel=CALLER)


def info(owner: object, message: str) -> None:
    rank_zero_info(_by(owner, message), stacklevel=CALLER)


def _by(owner: object, message: str) -> str:
    return f"{type(owner).__name__}: {message}"
