"""Krum: the one update nearest to its neighbours (Blanchard et al., NeurIPS 2017, section 4).

Its guarantee needs n >= 2 f + 3 sites for f dishonest ones: fewer are refused. Parameters that the same sites have
trained are judged together, and chosen from one of these: what a site is not judged by is not taken from it either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.exceptions import QuorumError
from strategies.fedavg import rule
from strategies.weights import update
from strategies.weights.mean import moved
from strategies.weights.update import Trained, Weights

__all__ = ["Options", "aggregate", "fewest", "rule"]


class Options(update.Options):
    """``dishonest`` is f."""

    dishonest: Annotated[int, Field(ge=1, le=1000)] = 1


def fewest(options: Options) -> int:
    """Return how many sites have to answer."""
    return 2 * options.dishonest + 3


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:
    """Add the change of the site with the smallest sum of squared distances to its n - f - 2 nearest.

    Raises
    ------
    QuorumError
        Fewer than 2 f + 3 sites answered, or have trained a module.
    """
    trained_by: dict[tuple[str, ...], list[str]] = {}
    for name in trained.current:
        if sites := tuple(site for site in sorted(trained.updates) if name in trained.updates[site].change):
            trained_by.setdefault(sites, []).append(name)
    change: dict[str, NDArray[np.float32]] = {}
    for sites, names in trained_by.items():
        if len(sites) < (needed := fewest(options)):
            told = f"krum with {options.dishonest} dishonest sites needs {needed} answers"
            raise QuorumError(f"{told}; of {min(names)} it got {len(sites)}")
        changes = [{name: trained.updates[site].change[name] for name in sorted(names)} for site in sites]
        change |= changes[_nearest(changes, options.dishonest)]
    return moved(trained.current, change), trained.state


def _nearest(changes: Sequence[Weights], dishonest: int) -> int:
    """Return the position of the change that Krum chooses."""
    flat = [np.concatenate([value.ravel() for value in change.values()]) for change in changes]
    # A pair at a time: all differences at once are as many copies of the network as there are pairs.
    squared = np.array([[np.sum(np.subtract(a, b, dtype=np.float64) ** 2) for b in flat] for a in flat])
    nearest = np.sort(squared, axis=1)[:, 1 : len(changes) - dishonest - 1]  # column 0 is the site itself
    return int(np.argmin(nearest.sum(axis=1)))
