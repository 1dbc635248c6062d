"""Margins of a model, grown segment by segment or computed at once, to the same bit.

XGBoost adds the leaves of its trees to the starting margin one after the other in single
precision, so starting from the margins of the earlier segments gives exactly the sum that
the whole model gives. A site may therefore keep margins between rounds, or not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xgboost
from numpy.typing import NDArray

from common.boosting.model import ModelHeader, Segment, join_trees
from common.exceptions import ModelError

_TREES_AT_ONCE = 1000  # XGBoost's reader needs some 15 times the size of the text it reads


def score(
    segments: Sequence[Segment],
    header: ModelHeader,
    features: NDArray[np.float32],
    start: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Margins (log odds) after adding the segments' trees.

    Parameters
    ----------
    segments : sequence of Segment
        Validated trees to add, in order; none leaves the start as it is.
    header : ModelHeader
        Header of their model.
    features : (n, f) float32
        NaN is missing.
    start : (n,) float32, optional
        Margins before these segments. Left out, the header's base score.

    Returns
    -------
    (n,) float32

    Raises
    ------
    ModelError
        When shapes or types do not fit the header.
    """
    if features.ndim != 2 or features.shape[1] != len(header.feature_names) or features.dtype != np.float32:
        raise ModelError(f"features must be float32 with {len(header.feature_names)} columns")
    if start is not None and (start.shape != features.shape[:1] or start.dtype != np.float32):
        raise ModelError("starting margins must be float32, one a row of features")
    trees = [tree for segment in segments for tree in segment.trees]
    margins = _add(trees[:_TREES_AT_ONCE], header, features, start)
    for first in range(_TREES_AT_ONCE, len(trees), _TREES_AT_ONCE):
        margins = _add(trees[first : first + _TREES_AT_ONCE], header, features, margins)
    return margins


def _add(
    trees: Sequence[bytes], header: ModelHeader, features: NDArray[np.float32], start: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    booster = xgboost.Booster()
    booster.load_model(bytearray(join_trees(header, trees)))
    booster.set_param({"nthread": 1})  # several sites share the cores
    margins = booster.inplace_predict(features, predict_type="margin", missing=np.nan, base_margin=start)
    return np.asarray(margins, dtype=np.float32)


def probability(margins: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logistic function of margins, without overflow: probabilities in [0, 1], same shape."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -margins.astype(np.float64))))
