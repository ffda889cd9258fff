"""The schedules with a memory: what happens in training changes their curve.

One judgement comes with each finished validation, whatever its cadence, and none with an old value; on several ranks
the mean is judged, so that they never disagree. All work under a warmup, in sequences and products, per group, in
manual optimization, and go on after a resume as if nothing had been. What was decided, when and why is in
``schedule.journal``, in the checkpoint, in the terminal and in TensorBoard's Text tab.

| trouble | way out |
| --- | --- |
| the metric is noisy | ``ReduceOnPlateau(smoothing=0.9)``, TensorBoard's average, or ``smoothing=10``, the mean of 10 |
| it went on with worse weights | ``restore_best=True`` puts the best check's weights back at each reduction |
| it diverged to NaN | ``on_nan="reduce"``, best together with ``restore_best=True`` |
| it goes on at ``min_lr`` for nothing | ``stop_when_exhausted=True`` |
| ``max_time`` ends it in mid-decay | ``CooldownOnPlateau(decay="2 epochs")`` begins in time, and ends the fit itself |
| one bad batch ruins it | gradient clipping first; ``BackOffOnSpike()``, a factor in a ``ProductSchedule``, drops it |
"""
