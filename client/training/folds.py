"""A site's cohort, divided for one repetition: resampled training rows, untouched held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import Cohort
from client.preprocessing import splits
from client.resampling import base as resampling
from common import seeding
from common.plan import Plan


@dataclass(frozen=True, eq=False)
class Fold:
    """One repetition's rows at one site.

    Attributes
    ----------
    features, labels : (m, f) float32 and (m,) int8
        Training rows: the ``original`` ones first, then what resampling added.
    original : int
        How many training rows are real stays.
    held_out : Cohort
        Stays of held-out patients, never resampled.
    note : str
        What resampling did otherwise than asked; stays at the site.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int8]
    original: int
    held_out: Cohort
    note: str


def divide(cohort: Cohort, plan: Plan, site: str, seed: int, fold: int) -> Fold:
    """Split by patient, then resample the training side.

    Raises
    ------
    ResamplingError
        The training fold holds one class only.
    """
    split = splits.split(cohort.patients, seed=seed, folds=plan.split.folds, held_out=fold)
    splits.assert_disjoint(cohort.patients, split)
    features, labels = cohort.features[split.train], cohort.labels[split.train]
    resampling.check_fold(features, labels)
    rng = seeding.generator(seed, site, fold, "resampling")
    resampled = resampling.find(plan.resampling).resample(features, labels, rng)
    return Fold(resampled.features, resampled.labels, len(labels), cohort.select(split.held_out), resampled.note)
