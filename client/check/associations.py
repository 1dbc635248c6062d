"""How much each feature alone tells of an answer; too much is suspected to be a leak.

Three measures of one number beside a yes-or-no answer, over the rows where both are known: the
point-biserial correlation (Pearson's, as the answer is 0 or 1), Spearman's rank correlation, and the area under
the ROC curve. That a value is missing may tell as much, as of what is recorded of the dead only; so the same
area is taken of being missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.clinical.features import Features
from common.clinical.records import NONE

SUSPICIOUS = 0.95
"""Nothing that is known in time tells an outcome of patients so well."""
LEAST = 10
"""Rows of either answer. With fewer one of many features looks like a leak by chance."""


@dataclass(frozen=True)
class Association:
    """What one feature tells of one label.

    Attributes
    ----------
    feature, label : str
    known : int
        Rows with feature and answer.
    correlation, rank_correlation : float
        -1 to 1; NaN where the feature is constant or one of the answers is rare.
    auroc : float
        0.5 tells nothing; NaN likewise.
    auroc_of_missing : float
        Of being missing, over all rows with an answer.
    """

    feature: str
    label: str
    known: int
    correlation: float
    rank_correlation: float
    auroc: float
    auroc_of_missing: float

    @property
    def strength(self) -> float:
        """The strongest of the measures, 0 to 1, an area counted from the better side; 0 where none is known."""
        areas = [max(area, 1 - area) for area in (self.auroc, self.auroc_of_missing) if not math.isnan(area)]
        return max(
            (*areas, *(abs(r) for r in (self.correlation, self.rank_correlation) if not math.isnan(r))), default=0
        )

    @property
    def suspicious(self) -> bool:
        """Whether it could be the answer itself."""
        return self.strength > SUSPICIOUS


def associations(features: Features, labels: NDArray[np.int8], label_names: tuple[str, ...]) -> tuple[Association, ...]:
    """Measure every feature beside every label.

    Parameters
    ----------
    features : Features
        n rows.
    labels : (n, k) int8
        1, 0, or -1 unknown.
    label_names : tuple of k str

    Returns
    -------
    tuple of Association
        Label by label, feature by feature.
    """
    found = []
    for column, label in enumerate(label_names):
        rows = labels[:, column] != NONE
        answers = labels[rows, column].astype(np.float64)
        for name, values in zip(features.names, features.values[rows].T, strict=True):
            found.append(_association(name, label, values.astype(np.float64), answers))
    return tuple(found)


def _association(feature: str, label: str, values: NDArray[np.float64], answers: NDArray[np.float64]) -> Association:
    told = ~np.isnan(values)
    ranks = _ranks(values[told])
    absence = (~told).astype(np.float64)
    return Association(
        feature=feature,
        label=label,
        known=int(told.sum()),
        correlation=_correlation(values[told], answers[told]),
        rank_correlation=_correlation(ranks, answers[told]),
        auroc=_area(ranks, answers[told]),
        auroc_of_missing=_area(_ranks(absence), answers) if absence.any() else math.nan,
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[position]
    return ranks


def _enough(answers: NDArray[np.float64]) -> bool:
    yes = int(answers.sum())
    return min(yes, len(answers) - yes) >= LEAST


def _correlation(values: NDArray[np.float64], answers: NDArray[np.float64]) -> float:
    if not _enough(answers) or values.min() == values.max():
        return math.nan
    apart, asked = values - values.mean(), answers - answers.mean()
    scale = np.abs(apart).max()  # squares of tiny or huge numbers would vanish or overflow
    apart = apart / scale
    return float(np.clip(apart @ asked / math.sqrt((apart @ apart) * (asked @ asked)), -1, 1))


def _area(ranks: NDArray[np.float64], answers: NDArray[np.float64]) -> float:
    """Area under the ROC curve from ranks (Hanley and McNeil, Radiology 1982)."""
    if not _enough(answers) or ranks.min() == ranks.max():
        return math.nan
    yes = answers.sum()
    return float((ranks @ answers - yes * (yes + 1) / 2) / (yes * (len(answers) - yes)))
