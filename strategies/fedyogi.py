"""FedYogi: as FedAdam, with a second moment that moves by additive steps (Reddi et al., ICLR 2021)."""

from __future__ import annotations

import numpy as np

from strategies.fedavg import rule
from strategies.weights.adaptive import AdaptiveOptions as Options
from strategies.weights.adaptive import Array, step
from strategies.weights.update import Trained, Weights

__all__ = ["Options", "aggregate", "rule"]


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:
    """Step with Yogi's second moment."""
    return step(trained, options, _second)


def _second(before: Array, squared: Array, beta2: float) -> Array:
    result: Array = before - np.float32(1 - beta2) * squared * np.sign(before - squared)
    return result
