"""New trees on top of a model, from a site's training rows."""

from __future__ import annotations

import numpy as np
import xgboost
from numpy.typing import NDArray

from common.boosting.trees import split_new_trees
from common.plan_tables import Trees


def grow(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    margins: NDArray[np.float32],
    trees: Trees,
    *,
    wanted: int,
    learning_rate: float,
    seed: int,
) -> tuple[bytes, ...]:
    """Grow trees where a model left off (second-order boosting: Chen & Guestrin, KDD 2016).

    Parameters
    ----------
    features : (n, f) float32, NaN missing
    labels : (n,) int8, 0 or 1
    margins : (n,) float32
        Log odds the model gives each row; the new trees correct them.
    trees : Trees
        How a tree grows.
    wanted : int
        How many trees, one after another.
    learning_rate : float
        In (0, 1]; already scaled by the strategy.
    seed : int
        For row and column sampling.

    Returns
    -------
    tuple of bytes
        Wire form, as :func:`common.boosting.trees.split_new_trees` gives it.
    """
    data = xgboost.DMatrix(features, labels, base_margin=margins, missing=np.nan, nthread=1)
    parameters = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "base_score": 0.5,
        "eta": learning_rate,
        "max_depth": trees.max_depth,
        "min_child_weight": trees.min_child_weight,
        "lambda": trees.l2,
        "subsample": trees.row_fraction,
        "colsample_bytree": trees.column_fraction,
        "max_bin": trees.bins,
        "seed": seed % 2**31,
        "nthread": 1,
    }
    return split_new_trees(xgboost.train(parameters, data, num_boost_round=wanted))
