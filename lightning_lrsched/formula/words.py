"""The words of torch, transformers, timm, Keras, optax and others for the arguments of this package."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from numbers import Real

#: what to pass here, with the words for it elsewhere; {0} is the value that came, {1} the same in percent
_ARGUMENTS = {
    "t_0={0}": "cycle_length first_decay_steps t_initial first_cycle_steps",
    "timescale={0}": "decay_steps",
    "t_max={0}": "total_iters total_steps num_training_steps max_iters max_steps max_epochs num_epochs epochs t_initial"
    " decay_steps transition_steps annealing_steps",
    "warmup='{0} steps'": "warmup_steps num_warmup_steps warmup_iters lr_warmup_steps",
    "warmup='{0} epochs'": "warmup_epochs num_warmup_epochs warmup_t lr_warmup_epochs",
    "warmup='{1}%'": "warmup_ratio warmup_fraction warmup_frac warmup_pct",
    "warmup_start_factor={0}": "start_factor warmup_factor warmup_init_ratio",
    "min_lr={0}": "eta_min lr_min end_lr lr_end final_lr end_value",
    "min_lr={0} * base LR": "min_lr_ratio eta_min_ratio",
    "min_lr_ratio={0} / base LR": "min_lr eta_min lr_min",
    "max_lr_ratio={0} / base LR": "max_lr eta_max lr_max",
    "eta_min={0}": "min_lr lr_min end_lr lr_end final_lr end_value end_learning_rate",
    "eta_min_ratio={0}": "min_lr_ratio min_lr_rate end_factor alpha alpha_f",
    "decay={0}": "gamma cycle_decay num_decay_steps",
    "gamma={0}": "factor decay_rate decay_factor drop_rate",
    "factor={0}": "gamma decay_rate decay_factor drop_rate",
    "step_size={0}": "step_size_up decay_t decay_epochs decay_steps",
    "milestones={0}": "boundaries decay_t decay_epochs",
    "positions={0}": "boundaries milestones",
    "t_mult={0}": "cycle_mult cycle_mul t_mul",
    "cycles={0}": "cycle_limit",
    "pct_start={0}": "warmup_ratio",
    "shape={0!r}": "anneal_strategy decay_type",
    "exponent={0}": "power lr_power",
    "power={0}": "exponent lr_power",
    "eta_max={0}": "max_lr lr_max",
    "momentum=(low, high)": "cycle_momentum base_momentum max_momentum",
    "threshold={0}": "min_delta epsilon",
    "monitor={0!r}": "metric metric_name metrics",
    "function={0!r}": "lr_lambda lr_fn schedule_fn",
    "parts={0}": "schedulers schedules",
    "interval='epoch' or 'step'": "by_epoch t_in_epochs step_on_epoch update_interval",
    "hyperparameter={0!r}": "param_name param",
    "log_lr={0}": "verbose",
}
#: what no argument is for
_NOT_HERE = {
    "The position is the Trainer's, also after a resume.": "last_epoch last_step start_epoch start_step initial_step",
    "The base LR is the optimizer's, from configure_optimizers.": "lr base_lr max_lr init_lr lr_init lr_max"
    " learning_rate initial_lr initial_learning_rate peak_lr peak_value init_value warmup_target",
}


def meant(word: str, value: object, known: Collection[str]) -> str:
    """What it is called here, or why there is no such thing, where ``word`` is one of other systems; else ""."""
    if word.lower() in known:
        return f"Did you mean {word.lower()}={value!r}?"
    percent = f"{100 * value:g}" if isinstance(value, Real) else value
    for call, words in _ARGUMENTS.items():
        if word in words.split() and call.partition("=")[0] in known:
            return f"Did you mean {call.format(value, percent)}?"
    return next((sentence for sentence, words in _NOT_HERE.items() if word in words.split()), "")


def way_out(word: str, value: object, known: Collection[str]) -> str:
    """What somebody who passed ``word=value`` to a class that knows these arguments may have meant.

    >>> way_out("T_max", 90, ["t_max", "warmup"]), way_out("warmup_steps", 500, ["t_max", "warmup"])
    ('Did you mean t_max=90?', "Did you mean warmup='500 steps'?")
    >>> way_out("last_epoch", -1, ["t_max"]), way_out("steepness", 3, ["t_max", "warmup"])
    ("The position is the Trainer's, also after a resume.", 'It takes t_max, warmup.')
    """
    near = get_close_matches(word.lower(), known, n=1)
    guess = f"Did you mean {near[0]}={value!r}?" if near else f"It takes {', '.join(known)}."
    return meant(word, value, known) or guess
