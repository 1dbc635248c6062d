"""FedMedian: coordinate-wise median; an outlying site cannot move it far (Yin et al., ICML 2018, Algorithm 1).

Shares do not count: a vote each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.fedavg import Options, rule
from strategies.weights.mean import combined, moved
from strategies.weights.update import Trained, Weights

__all__ = ["Options", "aggregate", "rule"]


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:  # noqa: ARG001
    """Add the median change of each coordinate."""
    return moved(trained.current, combined(trained.updates, _median)), trained.state


def _median(changes: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG001
    result: NDArray[np.float64] = np.median(changes, axis=0)
    return result
