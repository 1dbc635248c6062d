"""Coordinate-wise trimmed mean: the smallest and largest changes do not count (Yin et al., ICML 2018, Definition 2).

Shares do not count: a vote each.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from strategies.fedavg import rule
from strategies.weights import update
from strategies.weights.mean import combined, moved
from strategies.weights.update import Trained, Weights

__all__ = ["Options", "aggregate", "rule"]


class Options(update.Options):
    """``trimmed`` is beta, the part cut off at each end; at least one site at each end, where three or more answer."""

    trimmed: Annotated[float, Field(gt=0, lt=0.5)] = 0.2


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:
    """Add the trimmed mean change of each coordinate."""

    def trimmed(changes: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG001
        sites = len(changes)
        # Rounded up: with five sites and a fifth, or three and a fifth, one liar at each end must go.
        cut = min(int(np.ceil(options.trimmed * sites)), (sites - 1) // 2)
        kept: NDArray[np.float64] = np.sort(changes, axis=0)[cut : sites - cut].mean(axis=0)
        return kept

    return moved(trained.current, combined(trained.updates, trimmed)), trained.state
