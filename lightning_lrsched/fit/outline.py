"""What a schedule comes to in this run, in one line when the fit starts."""

from __future__ import annotations

from contextlib import suppress

from lightning.pytorch.utilities import rank_zero_info

from ..formula.decisions import title
from .groups import DrivenGroups
from .messages import info
from .plan import places
from .protocol import Schedule
from .values import Values


def tell_outline(schedule: Schedule, values: Values) -> None:
    """What its parts have to say; the durations that the run decides, or cuts; the LRs of the highest group."""
    for note in values.placed.notes(max((base for groups in values.driven for base in groups.bases), default=0.0)):
        rank_zero_info(note)
    groups = max(values.driven, key=lambda groups: max(groups.values, default=-1.0), default=None)
    if groups is not None and groups.values:
        durations = values.placed.told(schedule, values.progress.run.end(schedule.counts))
        lrs = ", ".join(f"{lr:.6g} at {which}" for which, lr in _heights(schedule, values, groups).items())
        told = "; ".join([*durations, f"{title(schedule.numbers[0])} {lrs}"])
        info(schedule, f"{told}.")


def _heights(schedule: Schedule, values: Values, groups: DrivenGroups) -> dict[str, float]:
    """The first LR, and of a curve that neither reacts nor is a user's formula the last, and the highest of a chart."""
    first, base = max(groups.values), max(groups.bases)
    end, now = values.progress.run.end(schedule.counts), groups.made
    if end is None or now is None or not values.placed.foreseen():
        return {"first": first}
    with suppress(Exception):  # of a formula that has no value there, where the run may never come
        ahead = values.progress.stretch(places(values, now, end) or [now])
        (lrs,) = values.placed.values(ahead, [base])
        return {"first": first, "most": max(first, *lrs), "last": lrs[-1]}
    return {"first": first}
