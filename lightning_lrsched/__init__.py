"""Learning-rate schedules as Lightning callbacks: ``Trainer(callbacks=[CosineAnnealing(interval="step")])``."""

from .plateau import ReduceOnPlateau
from .schedule import LRSchedule
from .schedules.cosine import CosineAnnealing, CosineRestarts
from .schedules.cyclical import CyclicalLR
from .schedules.exponential import ExponentialDecay
from .schedules.step import StepDecay

__version__ = "0.1.0"

__all__ = [
    "CosineAnnealing",
    "CosineRestarts",
    "CyclicalLR",
    "ExponentialDecay",
    "LRSchedule",
    "ReduceOnPlateau",
    "StepDecay",
    "__version__",
]
