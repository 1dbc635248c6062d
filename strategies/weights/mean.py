"""The weighted mean of what the sites changed, parameter by parameter over those that trained it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.weights.update import Update, Weights

Combine = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""(sites, ...) changes and (sites,) shares to one change of (...)."""


def combined(updates: Mapping[str, Update], combine: Combine) -> dict[str, NDArray[np.float32]]:
    """Combine each parameter's changes over the sites that trained it, in the order of their names.

    Sums run in double precision in one order, so that the result does not depend on who answered first.
    """
    names = sorted({name for update in updates.values() for name in update.change})
    return {name: combine(*_stacked(updates, name)).astype(np.float32) for name in names}


def mean(updates: Mapping[str, Update]) -> dict[str, NDArray[np.float32]]:
    """Take the mean weighted by the sites' shares."""
    return combined(updates, weighted)


def weighted(changes: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight the first axis."""
    result: NDArray[np.float64] = np.tensordot(shares / shares.sum(), changes, axes=1)
    return result


def moved(weights: Weights, change: Weights) -> dict[str, NDArray[np.float32]]:
    """Add a change; parameters that nobody trained stay as they are."""
    return {name: value + change[name] if name in change else value for name, value in weights.items()}


def _stacked(updates: Mapping[str, Update], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    having: Sequence[Update] = [update for _, update in sorted(updates.items()) if name in update.change]
    return (
        np.stack([update.change[name] for update in having]).astype(np.float64),
        np.array([update.share for update in having], dtype=np.float64),
    )
