"""FedAdam: Adam on the mean change (Reddi et al., ICLR 2021), without bias correction, as in the paper."""

from __future__ import annotations

import numpy as np

from strategies.fedavg import rule
from strategies.weights.adaptive import AdaptiveOptions as Options
from strategies.weights.adaptive import Array, step
from strategies.weights.update import Trained, Weights

__all__ = ["Options", "aggregate", "rule"]


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:
    """Step with an exponential mean of squared changes."""
    return step(trained, options, _second)


def _second(before: Array, squared: Array, beta2: float) -> Array:
    return np.float32(beta2) * before + np.float32(1 - beta2) * squared
