"""Learning-rate schedules as Lightning callbacks: ``Trainer(callbacks=[CosineAnnealing(interval="step")])``.

`LRSchedule` explains the arguments that all of them take; `lightning_lrsched.fit` what happens in a fit, from one
training step to a resume and the loggers; `lightning_lrsched.reactive` what helps against which trouble.
"""

from .fit import lightning as _lightning  # noqa: F401 (first, for it looks at what is imported by now)
from .look.bounds import cyclical_bounds, plot_bounds
from .look.fits import plot_schedules, preview_fit
from .reactive.cooldown import CooldownOnPlateau
from .reactive.greedy import GreedyLR
from .reactive.plateau import ReduceOnPlateau
from .reactive.spike import BackOffOnSpike
from .schedule import LRSchedule
from .schedules.batch_size import BatchSizeScaling
from .schedules.composition import ProductSchedule, SequentialSchedule
from .schedules.constant import Constant
from .schedules.cosine import CosineAnnealing, CosineRestarts
from .schedules.custom import CustomSchedule
from .schedules.cyclical import CyclicalLR
from .schedules.exponential import ExponentialDecay
from .schedules.hyperbolic import HyperbolicLR, TanhDecay
from .schedules.keyframes import Keyframes
from .schedules.one_cycle import OneCycle
from .schedules.polynomial import PolynomialDecay
from .schedules.power import InverseSqrt, PowerDecay
from .schedules.rex import REX
from .schedules.step import MultiStepDecay, StepDecay
from .schedules.warmup_stable_decay import WarmupStableDecay

__version__ = "0.1.0"

__all__ = [
    "REX",
    "BackOffOnSpike",
    "BatchSizeScaling",
    "Constant",
    "CooldownOnPlateau",
    "CosineAnnealing",
    "CosineRestarts",
    "CustomSchedule",
    "CyclicalLR",
    "ExponentialDecay",
    "GreedyLR",
    "HyperbolicLR",
    "InverseSqrt",
    "Keyframes",
    "LRSchedule",
    "MultiStepDecay",
    "OneCycle",
    "PolynomialDecay",
    "PowerDecay",
    "ProductSchedule",
    "ReduceOnPlateau",
    "SequentialSchedule",
    "StepDecay",
    "TanhDecay",
    "WarmupStableDecay",
    "__version__",
    "cyclical_bounds",
    "plot_bounds",
    "plot_schedules",
    "preview_fit",
]
