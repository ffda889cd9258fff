"""Record the curves of other systems in ``curves.json``, in an environment of its own:

pip install torch==2.13.0 optax keras timm transformers pytorch-ignite mmengine pytorch-scheduler
python tests/published/record_curves.py
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

SYSTEMS = {  # module and distribution
    "optax": ("optax", "optax"),
    "keras": ("keras", "keras"),
    "timm": ("timm.scheduler", "timm"),
    "transformers": ("transformers.optimization", "transformers"),
    "mmengine": ("mmengine.optim.scheduler", "mmengine"),
    "ignite": ("ignite.handlers", "pytorch-ignite"),
    "pytorch_scheduler": ("pytorch_scheduler", "pytorch-scheduler"),
}
FILE = Path(__file__).with_name("curves.json")
CALLS = {  # values from step 0 on; ``optimizer`` has LR 1
    "optax.exponential_decay(1.0, 3, 0.5, end_value=0.2)": 12,
    "optax.exponential_decay(1.0, 3, 0.5, staircase=True, end_value=0.2)": 12,
    "optax.exponential_decay(0.01, 4, 10.0, end_value=1.0)": 12,
    "optax.warmup_exponential_decay_schedule(0.5, 1.0, 3, 4, 0.5, end_value=0.3)": 16,
    "optax.warmup_cosine_decay_schedule(2.0, 1.0, 4, 10, 0.1)": 12,
    "optax.sgdr_schedule([dict(init_value=0.0, peak_value=peak, decay_steps=steps, warmup_steps=2, end_value=0.1)"
    " for peak, steps in ((1.0, 6), (0.5, 8))])": 16,
    "optax.sgdr_schedule([dict(init_value=0.1, peak_value=1.0, decay_steps=5, warmup_steps=2, end_value=0.1)] * 2)": 12,
    "optax.linear_onecycle_schedule(20, 1.0, 0.3, 0.8, 4.0, 10.0)": 22,
    "keras.optimizers.schedules.PolynomialDecay(1.0, 4, 0.2, power=2.0, cycle=True)": 14,
    "keras.optimizers.schedules.InverseTimeDecay(1.0, 4, 0.3)": 12,
    "timm.CosineLRScheduler(optimizer, 4, lr_min=0.1, cycle_mul=2, cycle_decay=0.5, cycle_limit=2)": 14,
    "timm.CosineLRScheduler(optimizer, 8, warmup_t=4, warmup_lr_init=3.0, warmup_prefix=True)": 14,
    "timm.PolyLRScheduler(optimizer, 8, power=2.0, lr_min=0.1, k_decay=1.5)": 10,
    "timm.TanhLRScheduler(optimizer, 8, lr_min=0.1)": 10,
    "transformers.get_cosine_with_hard_restarts_schedule_with_warmup(optimizer, 2, 12, 4)": 12,
    "transformers.get_wsd_schedule(optimizer, 4, 4, 11, warmup_type='cosine', min_lr_ratio=0.1)": 13,
    "transformers.get_wsd_schedule(optimizer, 4, 4, 11, warmup_type='1-sqrt', decay_type='1-sqrt')": 13,
    "mmengine.CosineRestartLR(optimizer, [3, 4, 5], [1.0, 0.5, 0.25], eta_min=0.1)": 12,
    "ignite.LinearCyclicalScheduler(optimizer, 'lr', 1.0, 0.1, cycle_size=4, cycle_mult=2.0)": 14,
    "ignite.LinearCyclicalScheduler(optimizer, 'lr', 0.1, 1.0, cycle_size=4, cycle_mult=1.5)": 14,
    "pytorch_scheduler.HyperbolicLRScheduler(optimizer, 8, 12, min_lr=0.1)": 10,
}


def values(call: str, count: int, modules: dict[str, Any]) -> list[float]:
    torch = import_module("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, system = eval(call, modules | {"optimizer": optimizer}), call.partition(".")[0]
    found = []
    for step in range(count):
        if system in ("optax", "keras"):
            found.append(float(schedule(step)))
            continue
        if system == "timm":
            schedule.step(step)
        if system == "ignite":
            schedule(None)
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if system not in ("timm", "ignite"):
            schedule.step()
    return found


if __name__ == "__main__":
    os.environ.update(KERAS_BACKEND="torch", KERAS_FLOATX="float64", JAX_ENABLE_X64="1")
    modules = {name: import_module(module) for name, (module, _) in SYSTEMS.items()}
    curves = {call: [round(lr, 12) for lr in values(call, count, modules)] for call, count in CALLS.items()}
    found = {name: version(name) for _, name in SYSTEMS.values()}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in {"versions": found, **curves}.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
