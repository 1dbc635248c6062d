"""Ensembles: the mean log odds of several models, which each site computes from what these say of its rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.messages import LOCAL, MEAN_OF_LOCAL, POOLED, means_of_local
from common.plan import Plan

CERTAIN = 1e-6
"""No model counts as surer than this: one that said 0 or 1 would silence all others."""


def mean_log_odds(probabilities: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Pool what models say of the same rows.

    The logarithmic opinion pool with equal weights (Genest and Zidek, Combining probability distributions, Statistical
    Science 1986; 1:114-135).

    Parameters
    ----------
    probabilities : sequence of (...) float64
        Of each model, in [0, 1]; all of one shape.

    Returns
    -------
    (...) float64
        Probability; NaN where one of them is.
    """
    sure = np.clip(np.stack(probabilities), CERTAIN, 1 - CERTAIN)
    log_odds = np.mean(np.log(sure) - np.log1p(-sure), axis=0)
    return np.asarray(1 / (1 + np.exp(-log_odds)), np.float64)


def ensembles_of(plan: Plan, candidates: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Name the ensembles that some candidates make up, with their members.

    Those of a plan have the variants that their members have: beside "all" of "gru" and "trees" there are "all
    local/<site>" of "gru local/<site>" and "local/<site>", so "all mean of local", and in a simulation "all pooled". A
    site's own trees, and the pooled ones, are one model: of an ensemble with several stages of trees there are no
    variants.
    """
    alone = (LOCAL + name.rpartition(LOCAL)[2] for name in candidates if LOCAL in name)
    variants = dict.fromkeys(("", *alone, MEAN_OF_LOCAL, POOLED))
    networks = {stage.name for stage in plan.encoders}
    found: dict[str, tuple[str, ...]] = {}
    for stage in plan.ensembles:
        for variant in variants:
            named = [f"{name} {variant}" if variant and name in networks else variant or name for name in stage.models]
            if set(named) <= set(candidates) and len(set(named)) == len(named):
                found[f"{stage.name} {variant}".rstrip()] = tuple(named)
    return found


def derived(plan: Plan, candidates: Sequence[str]) -> tuple[str, ...]:
    """Name what a site adds to the candidates it is asked about: means of local models, then ensembles."""
    means = means_of_local(candidates)
    return (*means, *ensembles_of(plan, (*candidates, *means)))
