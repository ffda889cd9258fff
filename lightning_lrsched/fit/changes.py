"""What has changed since the checkpoint, or since the last fit: told once, with the values before and after."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer

from ..formula.decisions import title
from ..formula.timeline import Run
from .messages import info, warn
from .protocol import Schedule
from .values import Values

Change = tuple[object, object]


class Words(str):
    """A text that is told without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def note_bases(schedule: Schedule, values: Values) -> dict[str, Change]:
    """Take note of the base values; those that were others before."""
    changed: dict[str, Change] = {}
    before, schedule.record.bases = schedule.record.bases, {g.index: g.base_range for g in values.driven}
    for groups in values.driven:
        old, new = before.get(groups.index, groups.base_range), groups.base_range
        if old != new:
            base = f"base {title(schedule.numbers[0])} of {type(groups.optimizer).__name__}"
            changed[base] = (old if old[0] < old[1] else old[0], new if new[0] < new[1] else new[0])
    return changed


def of_lengths(before: dict[str, Any], now: dict[str, Any], told: dict[str, Change]) -> dict[str, Change]:
    """The durations that the run makes others, unless an argument of that name is told already."""
    return {k: (v, now[k]) for k, v in before.items() if k in now and now[k] != v and k not in told}


def of_pace(before: Run, now: Run) -> dict[str, Change]:
    """The pace and the limit of a run that goes on at another pace."""
    changed: dict[str, Change] = {}
    paces = [Words(run.pace.rate(now.since)) for run in (before, now) if run.pace is not None]
    if paces[0] != paces[1]:
        changed["steps an epoch"] = (paces[0], paces[1])
    if before.epochs != now.epochs:
        changed["epochs of the run"] = (before.epochs, now.epochs)
    if not changed:  # in a later epoch, by another plan of the accumulation
        plans = [dict(run.pace.onwards(now.since)) for run in (before, now) if run.pace is not None]
        told = [", ".join(f"{n} from epoch {float(epoch):g} on" for epoch, n in plan.items()) for plan in plans]
        changed["steps an epoch"] = (Words(told[0]), Words(told[1]))
    return changed


def tell_of_no_state(schedule: Schedule, trainer: Trainer) -> None:
    """A resume from a checkpoint that knows nothing of the schedule."""
    if not schedule.restored and trainer.global_step and trainer.ckpt_path:
        info(
            schedule,
            "the checkpoint has no state of it; it goes on at the Trainer's position,"
            f" epoch {trainer.current_epoch}, step {trainer.global_step}.",
        )


def tell_of_reload(schedule: Schedule, changed: dict[str, Change]) -> None:
    """Once a fit, for the data may come with another length in every epoch."""
    changes = ", ".join(f"{k}: {old!r} -> {new!r}" for k, (old, new) in changed.items())
    info(schedule, f"the data has another length: {changes}. It goes on at its share.")


def tell(schedule: Schedule, before: dict[int, float]) -> None:
    """One warning for all; ``before`` holds the highest value of each optimizer before the change."""
    if not schedule.changes:
        return
    since = "the checkpoint" if schedule.restored else "the last fit"
    changes = ", ".join(f"{k}: {old!r} -> {new!r}" for k, (old, new) in schedule.changes.items())
    name, now = title(schedule.numbers[0]), schedule.record.values
    moves = {f"{before[i]:.6g} -> {now[i]:.6g}": None for i in before if i in now and before[i] != now[i]}
    lrs = f"; {name} {', '.join(moves)}" if moves else f"; the {name} stays" if before else ""
    warn(schedule, f"changed since {since}, the new values apply: {changes}{lrs}.")
