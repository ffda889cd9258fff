"""One fit from its beginning to its end: whose groups, where the run stands, what is written, who else writes.

## What one training step does

1. Before the batch, the callback reads ``t`` from the Trainer and looks up the values of ``t``. They were worked out
   with those of up to 255 more intervals; but where a schedule reacts, or a formula is the user's, in their own time.
2. It writes ``group["lr"]`` of each group, in place where that is a tensor. If the values are those of the last ``t``,
   it writes nothing.
3. When a point is due, it hands the LRs to the loggers.

There is no scheduler object, and nothing is patched. The LR is worked out from the position every time, never from the
LR before: an LR that other code edits is put back, at every change and at every epoch. The schedules move to the front
of ``trainer.callbacks``, so that the others see the LR in force. One private name of Lightning is read, the step that
the loggers use; `lightning_lrsched.preview_fit` needs two more, to leave a fit before its first batch and to know a
strategy that spawns, and `lightning_lrsched.BackOffOnSpike` one of torch's, to know whether a gradient still has its
fp16 scale.

## Where the run stands

A step is one optimizer update: the LR of ``t`` is in force before the first micro-batch of an accumulation window, and
stays for all of it. An update that an fp16 GradScaler skips does not count. Past its end a schedule holds its last
value.

Durations become intervals when the fit starts, rounded to the nearest one. Samples are counted over all ranks and
accumulated batches, and stay the same share of the run when it goes on with data of another size. Refused are only
steps in a per-epoch schedule that make no whole number of epochs.

``interval="second"`` is exact to a whole second and an update: the last update trains at the LR of the second it began
in, and the floor is there when the fit ends.

``interval=function`` counts what a function of the Trainer tells. Tokens, kept in a buffer so that a checkpoint holds
them:

>>> import torch
>>> from lightning.pytorch import Trainer
>>> from lightning.pytorch.demos.boring_classes import BoringModel
>>> from lightning_lrsched import CosineAnnealing
>>> class Model(BoringModel):
...     def __init__(self):
...         super().__init__()
...         self.register_buffer("tokens", torch.tensor(0))
...
...     def training_step(self, batch, batch_idx):
...         self.tokens += batch.numel()  # 32; on several ranks, those of all
...         return super().training_step(batch, batch_idx)
...
...     def configure_optimizers(self):
...         return torch.optim.SGD(self.parameters(), lr=0.1)
>>> def tokens(trainer):
...     return int(trainer.lightning_module.tokens)
>>> schedule = CosineAnnealing(256, interval=tokens)
>>> quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
>>> trainer = Trainer(max_steps=8, limit_val_batches=0, callbacks=[schedule], **quiet)
>>> trainer.fit(Model())
>>> trainer.optimizers[0].param_groups[0]["lr"]
0.0

Under manual optimization a step of a schedule is a step of its own optimizer, however often the others step, and the
new LR is there right after ``optimizer.step()``. The Trainer cannot know how many such steps an epoch has, so a
per-step schedule takes its durations in steps.

## Whose values

A schedule drives all groups of all optimizers, each from its own base LR, which is the LR that ``configure_optimizers``
gave the group, times the group's ``lr_scale`` where it has one (timm's layer-wise decay). Groups that no schedule
drives keep their LR, and an info names them. Two schedules for the same group are refused before the first batch. A
pattern in ``param_groups`` that fits no group yet is warned about. A group that joins later (BackboneFinetuning) keeps
the LR it came with for its first interval, and follows the curve in proportion from there.

## Resume

The position is the Trainer's. A checkpoint keeps only what the Trainer does not know (the memory and the journal of
schedules that react, the updates of each optimizer under manual optimization, skipped updates, groups that joined late)
and the arguments, for one purpose:

- **Changed arguments.** What you run wins. The new curve applies from the resumed position on, and one warning lists
  old -> new, as ``t_max: 4 -> 8; LR 0.146447 -> 0.5`` after a longer ``max_epochs``. The base LR, too, is the one that
  ``configure_optimizers`` gives now, and a changed one is in the list. A memory whose meaning has changed (``monitor``,
  ``mode``, ``watch``, ``interval``, ``smoothing``) begins anew, and the warning says so.
- **Another number of steps an epoch** (ranks, accumulation, batch size, data): durations in epochs, percent and None go
  on at their share and end where the run ends; those in steps, and a run that ``max_steps`` ends, stay in steps.
  ``steps an epoch: 8 -> 4`` stands in the same warning. The same holds for a second ``fit`` of one Trainer and for data
  that is reloaded with another length.
- **Another schedule.** It takes over at the Trainer's position, and an info says so. Without any schedule nobody
  speaks: schedulers of torch that the module attaches then start anew from their own first step.
- **Starting anew** at t = 0: load the weights only, by ``Model.load_from_checkpoint(...)``, and call ``fit`` without
  ``ckpt_path``.
- **A decay that has begun.** ``checkpoint_before_decay=True`` saves the checkpoint from which a longer run goes on as
  if it had been planned so from the start. A decay that begins inside an epoch is saved there; Lightning then goes on
  inside that epoch with the batches of the loader's beginning, unless the loader can resume. One that
  `lightning_lrsched.CooldownOnPlateau` has begun for a stall is taken back where the ``patience`` of now is more than
  that stall had.

A schedule that is pickled with a model, as darts does, loads with ``weights_only=True`` where its class is allowed:
``torch.serialization.safe_globals([CosineAnnealing])``.

## What is logged, and where

The LR goes to all loggers of the Trainer under the names of LearningRateMonitor: ``lr-SGD``; with several groups
``lr-SGD/pg1`` or the group's name; ``lr-SGD-1`` for a second SGD; ``weight_decay-AdamW`` for another hyperparameter. A
point comes at the first batch of each epoch and every ``log_every_n_steps``, at the step of the Trainer's other
metrics, and shows the LR that this very update uses. More than ten groups: one curve for each distinct LR.
``log_lr=False`` switches it off. The same keys stand in ``trainer.callback_metrics``, so ``EarlyStopping("lr-SGD",
stopping_threshold=0.01, check_on_train_epoch_end=True)`` and ``ModelCheckpoint(filename="{epoch}-{lr-SGD:.4f}")`` work.

With a TensorBoardLogger a fit opens a dashboard: the page "Custom Scalars" shows each scheduled hyperparameter beside
the losses (whatever logged key has ``loss`` in it), and "Text" the constructor call and what schedules that react have
decided. W&B, MLflow, Comet and CSV get every point, and all but CSV the texts: W&B as tables, MLflow as files, Comet in
its Text tab.

The planned curve stands under the actual one, in every chart of TensorBoard: it is a run of its own, ``planned`` in the
fit's folder, with the same tags, some 200 points and every corner. What reacts departs from it. A resume, a changed
argument and new groups write what is planned from there on (``planned-from-step-153``), and leave the old plan as it
was. Where the Trainer does not know the length of the run there is none.

## Beside other callbacks

- **LearningRateMonitor**: the schedule leaves the logging of the LR to it.
- **LearningRateFinder, Tuner**: search without the schedule. Afterwards the base LR is the suggestion, and t = 0.
- **StochasticWeightAveraging**: when its scheduler comes in, the schedule says so once and stops writing, after a
  resume too.
- **finetuning-scheduler**: it says which parameters train from when on, and with which LR a phase's group comes; the
  schedule owns every group's LR from there, as with BackboneFinetuning. A phase's ``new_optimizer`` is followed, from
  the base LR that each group had. Leave ``new_lr_scheduler`` out: it looks for a torch scheduler to replace, and fails
  with an IndexError where there is none.
- **A torch scheduler from ``configure_optimizers``**: refused, for two cannot own one LR. ``replace_scheduler=True``
  takes it off for this fit.
"""
