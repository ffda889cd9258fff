"""What a reactive schedule decides, the record of it, and the word for what it changes."""

from __future__ import annotations

from typing import NamedTuple


def title(hyperparameter: str) -> str:
    return "LR" if hyperparameter == "lr" else hyperparameter


class Reaction(NamedTuple):
    """What a schedule makes of a value that it has seen."""

    reason: str = ""  # of a decision, with its numbers; empty: nothing was decided
    at: int | None = None  # the t from which on the decision shows in full; None: at once
    keep: bool = False  # the weights of now are the best so far
    restore: bool = False  # put back the weights that were kept
    stop: bool = False  # end the fit
    skip: bool = False  # the update that is being made is not to be made


class Decision(NamedTuple):
    """An entry of ``schedule.journal``.

    ``old`` and ``new`` are the values before and after the decision, of the parameter group that has the highest.

    >>> print(Decision(step=700, epoch=6, hyperparameter="lr", old=0.1, new=0.05, reason="val_loss is nan"))
    epoch 6, step 700: lr 0.1 -> 0.05: val_loss is nan
    """

    step: int
    epoch: int
    hyperparameter: str
    old: float
    new: float
    reason: str

    def __str__(self) -> str:
        change = f"{self.hyperparameter} {self.old:.6g} -> {self.new:.6g}"
        return f"epoch {self.epoch}, step {self.step}: {change}: {self.reason}"
