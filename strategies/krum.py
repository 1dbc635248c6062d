"""Krum: the one update nearest to its neighbours (Blanchard et al., NeurIPS 2017, section 4).

Its guarantee needs n >= 2 f + 3 sites for f dishonest ones: a round with fewer is refused. Distances are over
the parameters that every site has trained.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.exceptions import QuorumError
from strategies.fedavg import rule
from strategies.weights import update
from strategies.weights.mean import moved
from strategies.weights.update import Trained, Weights

__all__ = ["Options", "aggregate", "rule"]


class Options(update.Options):
    """``dishonest`` is f."""

    dishonest: Annotated[int, Field(ge=1, le=1000)] = 1


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:
    """Add the change of the site with the smallest sum of squared distances to its n - f - 2 nearest.

    Raises
    ------
    QuorumError
        Fewer than 2 f + 3 sites answered, or they have no parameter in common.
    """
    sites = sorted(trained.updates)
    needed = 2 * options.dishonest + 3
    if len(sites) < needed:
        raise QuorumError(f"krum with {options.dishonest} dishonest sites needs {needed} answers; got {len(sites)}")
    common = sorted(set.intersection(*(set(one.change) for one in trained.updates.values())))
    if not common:
        raise QuorumError("krum: the sites have trained no parameter in common")
    flat = np.stack([np.concatenate([trained.updates[site].change[name].ravel() for name in common]) for site in sites])
    squared: NDArray[np.float64] = ((flat[:, None].astype(np.float64) - flat[None]) ** 2).sum(axis=2)
    nearest = np.sort(squared, axis=1)[:, 1 : len(sites) - options.dishonest - 1]  # column 0 is the site itself
    chosen = sites[int(np.argmin(nearest.sum(axis=1)))]
    return moved(trained.current, trained.updates[chosen].change), trained.state
