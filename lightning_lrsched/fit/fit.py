"""One fit of one schedule, from its beginning to its end: what is done at each of Lightning's moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from . import changes
from .branching import Branching
from .dashboard import open_dashboard, show_plans
from .groups import DrivenGroups
from .monitor import Monitor
from .outline import tell_outline
from .ownership import Claim, Owner, Taken, claim, refuse_high_floor, refuse_shared, refuse_shared_memory, unclaimed
from .position import Progress, batches_done, window_open
from .protocol import Schedule
from .reactions import Reactions, reactive_in
from .rivals import Rivals, refuse_old_finder, take_off
from .updates import count_updates
from .values import Values


class Fit:
    def __init__(self, schedule: Schedule, trainer: Trainer, claimed: Claim, company: Company) -> None:
        optimizers, numbers = trainer.optimizers, schedule.numbers
        driven = [DrivenGroups(index, optimizers[index], selection, *numbers) for index, selection in claimed.items()]
        refuse_high_floor(schedule, *schedule.floor(), driven)
        self.schedule = schedule
        self.started = False
        self.stale = False  # whether an argument of the schedule has changed
        self.plan_shown = False
        self.values = Values(schedule, trainer, driven, self._joined)
        self._trainer = trainer
        self._strategy = trainer.strategy
        self.company = company
        self._rivals = Rivals(schedule, trainer, self.values)
        self._reactions = Reactions(schedule, trainer, self.values) if schedule.reactive() else None
        self._branching = Branching(schedule, trainer, self.values)
        self._hooks: list[RemovableHandle] = []
        # whether a value may change inside an accumulation window, which is to have one
        self._restless = bool(schedule.reactive()) or schedule.counts in ("second", "interval")
        self._first_batch = True  # of an epoch, or of what is left of one after a restart
        self._epoch_began = False
        self._repaced = False  # whether a change of pace within this fit was told

    # ---- begin and end

    def start(self) -> None:
        """The checkpoint is restored, and the first batch is near."""
        schedule, trainer, record = self.schedule, self._trainer, self.schedule.record
        self.started = True
        changes.tell_of_no_state(schedule, trainer)
        self.values.progress = Progress(trainer, schedule)
        self._looks_at_updates = self._reactions is not None or self.values.progress.scaled
        self._rivals.follow()
        self._rivals.leave_to_others()
        self._hooks = count_updates(trainer, schedule, self.values, self.values.driven)
        self._enter()
        self._branching.start()
        self.values.open_logbook(self.company.schedules)
        before = dict(record.values)
        if window_open(trainer, batches_done(trainer)):
            for groups in self.values.driven:
                groups.hold()
        else:
            self.values.apply()
            self.values.note()
        tell_outline(schedule, self.values)
        changes.tell(schedule, before)
        schedule.changes.clear()
        self.values.publish()
        if self._reactions is not None:
            self._reactions.start()
        self.company.open_dashboard()

    def _enter(self) -> None:
        """Take the place in the run, and note what is not as it was."""
        schedule, record = self.schedule, self.schedule.record
        before = record.lengths
        moved = self._measure()
        for groups in self.values.driven:
            late = record.late.get(groups.index, {})
            groups.restore(late)
            if record.restart is not None and "lr" in schedule.numbers:
                groups.begin_anew(record.restart[2])
                groups.restore(late)
        told = schedule.changes
        told |= moved or changes.of_lengths(before, record.lengths, told)
        told |= changes.note_bases(schedule, self.values)

    def _measure(self) -> dict[str, changes.Change]:
        """Learn how long the run is and turn the durations into intervals; what has changed of the pace."""
        progress = self.values.progress
        moved = progress.measure()
        self._place()
        if moved is None or not self.values.placed.by_plan():
            return {}
        before, now = moved
        made = progress.steps(0)
        if self._reactions is not None and before.planned(made):
            self._reactions.move(float(now.planned(made) / before.planned(made)))
        return changes.of_pace(before, now)

    def _place(self) -> None:
        self.stale = False
        self._saves = self.schedule.checkpoint_before_decay
        self.values.place(self.schedule.place(self.values.progress.run))
        self.schedule.record.lengths = self.values.placed.lengths()

    def end(self) -> None:
        """The last batch is done."""
        self._check(Monitor.between_epochs, epochs_ago=1)
        if self.values.progress.arrive_at_the_end():
            self._place()
        if self._reactions is not None:
            self._reactions.restore()
            self._reactions.warn_if_never()
        self.values.apply()
        self.values.publish()

    def close(self) -> None:
        if self.started:
            self.values.note()
        for hook in self._hooks:
            hook.remove()

    # ---- epochs and batches

    def epoch_starts(self) -> None:
        self._first_batch = self._epoch_began = True
        self._begin_anew_after_finder()
        self._check(Monitor.between_epochs, epochs_ago=1)
        if self.values.progress.reloaded():
            moved = self._measure()
            if moved and not self._repaced:
                self._repaced, self.plan_shown = True, False
                changes.tell_of_reload(self.schedule, moved)
        else:
            self.values.progress.off_plan()
            self._place()  # for a part whose arguments have changed
        self.values.apply()

    def batch_starts(self, batch_idx: int) -> None:
        values, first = self.values, self._first_batch
        if values.optimizers is not self._strategy.optimizers:  # others come in another list
            self._hooks += count_updates(self._trainer, self.schedule, values, self._rivals.follow())
        if first:  # others act when an epoch starts
            self._first_batch = False
            self._rivals.leave_to_others()
            values.take_in()
            self.stale |= values.progress.arrive(batch_idx)
        if self.stale:
            self._place()
        if not self._restless or not window_open(self._trainer, batch_idx):
            if self._reactions is not None:
                self._reactions.restore()
            values.apply()
            if first:
                self._rivals.undo_edits()
        if first and self is self.company.fits[-1]:
            self.company.show_new_plans()
        logbook = values.logbook
        due = logbook is not None and logbook.due(first and self._epoch_began)
        if due and (self._reactions is None or not self._reactions.watches):
            values.log_point()  # else the update may yet be given another LR

    def batch_ends(self, batch_idx: int) -> None:
        for groups in self.values.driven:
            known, count = groups.known, groups.count  # looked at in place: a call at every batch would be felt
            if len(known) != count or (count and known[-1] is not groups.last):
                self.values.take_in()
        if self._looks_at_updates and not window_open(self._trainer, batch_idx + 1):
            self.values.progress.count_skipped()
            self.values.log_point()
            if self._reactions is not None and self.schedule.counts != "epoch":
                self._reactions.tick()
        if self._saves:
            self._branching.within_epoch()

    def epoch_ends(self) -> None:
        self._check(Monitor.epoch_ends)
        if self._reactions is not None and self.schedule.counts == "epoch":
            self._reactions.tick(ahead=1)
        self._branching.epoch_ends()
        self.values.publish()

    # ---- what a reactive schedule sees

    def validation_starts(self) -> None:
        if self._reactions is not None:
            self._reactions.validation_starts()

    def validation_ends(self, of_the_fit: bool) -> None:
        if of_the_fit:
            self._check(Monitor.validation_ends)
            if self._saves:
                self._branching.within_epoch()
        self.values.publish()

    def loss(self, loss: Tensor) -> None:
        reactions = self._reactions
        if reactions is not None and "loss" in reactions.watches and self.values.driven and reactions.loss(loss):
            self.values.rewrite()

    def gradient(self, optimizer: Optimizer) -> None:
        reactions = self._reactions
        if reactions is None or not reactions.watches:
            return
        for groups in self.values.driven:
            if groups.optimizer is optimizer and reactions.gradient(optimizer):
                self.values.rewrite()

    def note(self) -> None:
        """Put into record and memory what a checkpoint of now must hold: time, values, and metrics not yet judged."""
        if self.started:
            self.values.note()
            if self._reactions is not None:
                self._reactions.note_waiting()

    def _check(self, look: Callable[[Monitor], float | None], epochs_ago: int = 0) -> None:
        """Let a schedule that reacts judge its metrics; those that come late are of the epoch that has ended."""
        if self._reactions is None or not self._reactions.check(look, epochs_ago):
            return
        if window_open(self._trainer, batches_done(self._trainer)):
            for groups in self.values.driven:
                groups.forget()  # to be written when the window ends
        else:
            self._reactions.restore()
            self.values.rewrite()

    def _begin_anew_after_finder(self) -> None:
        schedule, trainer, record = self.schedule, self._trainer, self.schedule.record
        suggestion = self._rivals.newly_found()
        if suggestion is None:
            return
        record.restart = (trainer.current_epoch, trainer.global_step - record.skipped, suggestion)
        record.run = record.timed_from = None
        record.begun_at = self.values.progress.clock()
        record.late.clear()
        schedule.begin_anew()
        self.plan_shown = False
        self._enter()
        schedule.changes.clear()
        refuse_high_floor(schedule, *schedule.floor(), self.values.driven)
        self.values.name()
        if self._reactions is not None:
            self._reactions.start_clock()

    def _joined(self) -> None:
        """Groups came or went."""
        self.plan_shown = False
        self.company.look_at_groups()


class Company:
    """The fits of all the schedules of a Trainer, complete before the first of them starts."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.fits: list[Fit] = []
        self._named: set[str] = set()  # groups that nobody drives

    @property
    def schedules(self) -> list[Schedule]:
        return [fit.schedule for fit in self.fits]

    def _taken(self) -> list[tuple[Owner, Taken]]:
        """The groups that each schedule drives now."""
        return [(f.schedule, {g.index: [m.index for m in g.members] for g in f.values.driven}) for f in self.fits]

    def look_at_groups(self) -> None:
        """Refuse one that two schedules drive, and name each that none does, once."""
        refuse_shared(self._taken(), self._trainer.optimizers)
        self.name_unclaimed()

    def name_unclaimed(self) -> None:
        free = [name for name in unclaimed(self._trainer.optimizers, self._taken()) if name not in self._named]
        self._named.update(free)
        if free:
            rank_zero_info(f"No schedule drives the LR of {', '.join(free)}: it stays as it is.")

    def open_dashboard(self) -> None:
        """When the last has started."""
        if all(fit.started for fit in self.fits):
            open_dashboard(self._trainer, [schedule for schedule in self.schedules if schedule.log_lr])

    def show_new_plans(self) -> None:
        """At a batch, for only there all schedules know how their run goes on; anew where it goes otherwise."""
        if not all(fit.plan_shown for fit in self.fits):
            show_plans(self._trainer, [(fit.schedule, fit.values) for fit in self.fits if fit.schedule.log_lr])
            for fit in self.fits:
                fit.plan_shown = True


def begin(schedules: Sequence[Schedule], trainer: Trainer) -> None:
    """Let all the schedules of a Trainer begin their fits, if none has yet."""
    if any(schedule.fit is not None for schedule in schedules):
        return
    refuse_shared_memory(reactive_in(schedules))
    claims = claim(schedules, trainer.optimizers)
    refuse_old_finder(schedules[0], trainer)
    take_off(list(zip(schedules, claims, strict=True)), trainer)
    company = Company(trainer)
    company.fits = [
        Fit(schedule, trainer, claimed, company) for schedule, claimed in zip(schedules, claims, strict=True)
    ]
    for fit in company.fits:
        fit.schedule.fit = fit
    company.name_unclaimed()
