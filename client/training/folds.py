"""A site's table, divided for one repetition: resampled training rows, untouched held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.preprocessing import splits
from client.preprocessing.table import Table
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
    people : (original,) int64
        Whose training row it is, as far as rows are real stays: numbers.
    held_out : Table
        Stays of held-out patients, never resampled.
    note : str
        What resampling did otherwise than asked; stays at the site.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int8]
    people: NDArray[np.int64]
    held_out: Table
    note: str

    @property
    def original(self) -> int:
        """How many training rows are real stays."""
        return len(self.people)


def divide(table: Table, plan: Plan, site: str, seed: int, fold: int) -> Fold:
    """Split by patient, then resample the training side.

    Raises
    ------
    ResamplingError
        The training fold holds one class only.
    """
    split = splits.split(table.patients, seed=seed, folds=plan.split.folds, held_out=fold)
    splits.assert_disjoint(table.patients, split)
    features, labels = table.features[split.train], table.labels[split.train]
    resampling.check_fold(features, labels)
    rng = seeding.generator(seed, site, fold, "resampling")
    resampled = resampling.find(plan.resampling).resample(features, labels, rng)
    people = np.unique(table.patients[split.train], return_inverse=True)[1]
    return Fold(resampled.features, resampled.labels, people, table.select(split.held_out), resampled.note)
