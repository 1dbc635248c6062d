"""SMOTE: new rows of the smaller class between neighbours, up to parity.

Chawla, Bowyer, Hall and Kegelmeyer, JAIR 16 (2002) 321-357, by imbalanced-learn. It knows
neither units nor missing values, so the rows it sees are prepared, by the training fold's
own figures: a missing value becomes the column's median, each column is divided by its
standard deviation, and a 0/1 column a feature says where a value was missing.

A new row lies between two patients. Where both have no value it has none, and where one
has none it follows the nearer of the two; a value in it may so be drawn towards the median.
Without that, no new positive would ever lack a value and a model would learn
that missing means survival. Original rows keep their missing values.

Ranking does not gain by SMOTE and predicted risks come out several times too high. Never
together with differential privacy: how far one patient reaches has no bound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.resampling import random_over
from client.resampling.base import Resampled, check_fold

NEIGHBOURS = 5


def resample(features: NDArray[np.float32], labels: NDArray[np.int8], rng: np.random.Generator) -> Resampled:
    """Interpolate rows of the smaller class up to parity; see :class:`client.resampling.base.Resampler`.

    Neighbours shrink to what the smaller class allows; a single row has none and is
    copied instead. Both leave a note.
    """
    from imblearn.over_sampling import SMOTE

    smaller = check_fold(features, labels)
    if smaller == 1:
        copied = random_over.resample(features, labels, rng)
        return Resampled(copied.features, copied.labels, "SMOTE needs two rows of a class, random_over used instead")
    neighbours = min(NEIGHBOURS, smaller - 1)
    missing = np.isnan(features)
    filled = _fill(features, missing)
    spread = filled.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    sampler = SMOTE(k_neighbors=neighbours, random_state=int(rng.integers(2**31)))
    prepared, balanced = sampler.fit_resample(np.hstack([filled / scale, missing]), labels)
    values, lacking = np.hsplit(prepared[len(labels) :], 2)
    new = np.where(lacking > 0.5, np.nan, values * scale).astype(np.float32)
    note = "" if neighbours == NEIGHBOURS else f"SMOTE used {neighbours} instead of {NEIGHBOURS} neighbours"
    return Resampled(np.concatenate([features, new]), balanced.astype(np.int8), note)


def _fill(features: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Replace missing values by their column's median, by 0 where a column has no value at all."""
    table = features.astype(np.float64)
    for column, gaps in zip(table.T, missing.T, strict=True):
        column[gaps] = 0.0 if gaps.all() else np.median(column[~gaps])
    return table
