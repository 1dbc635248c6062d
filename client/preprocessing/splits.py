"""Training and held-out rows, divided by person and never by stay.

A person's fold is a keyed hash of the identifier: it needs no list of patients, so it
is the same at every site, in every modality, in every run with that seed, and however many
patients are added later. Two sites that treated the same person hold the person out together.

The folds are stratified in expectation: every fold gets its share of any label, up to the scatter of
independent draws (a standard deviation of sqrt(positives * (1 - 1/folds) / folds) positive people).
Exact strata would need the labels of everybody: a new patient would move others between folds, and who
is ill at one site and well at another would be on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common import seeding
from common.exceptions import DataError, PlanError


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows train and which judge; two (n,) boolean masks.

    Either side can be empty at a small site; who uses the rows checks for that.
    """

    train: NDArray[np.bool_]
    held_out: NDArray[np.bool_]


def fold_of(patients: NDArray[np.str_], *, seed: int, folds: int) -> NDArray[np.int64]:
    """Assign each row the fold of its patient.

    Parameters
    ----------
    patients : (n,) array of str
        Person identifiers; they are hashed as they are, so one person must be written one
        way everywhere.
    seed : int
        Key of the SHA-256 hash, shared by all sites of a plan.
    folds : int
        How many folds, 2 or more.

    Returns
    -------
    (n,) int64
        Folds, 0..folds-1, nearly equal in size.

    Raises
    ------
    PlanError
        When there are fewer than two folds.
    DataError
        When an identifier is blank: unknown persons cannot be kept apart.
    """
    if folds < 2:
        raise PlanError(f"a split needs 2 or more folds, not {folds}")
    blank = np.flatnonzero(np.strings.strip(patients) == "")
    if len(blank):
        raise DataError("blank patient identifier", file="cohort", row=int(blank[0]) + 1, field="patients")
    persons, person_of_row = np.unique(patients, return_inverse=True)
    fold = [seeding.seed(seed, "fold", str(person)) % folds for person in persons]
    return np.array(fold, dtype=np.int64)[person_of_row]


def split(patients: NDArray[np.str_], *, seed: int, folds: int, held_out: int) -> Split:
    """Hold out one fold of persons; parameters and errors as in :func:`fold_of`."""
    if not 0 <= held_out < folds:
        raise PlanError(f"the held-out fold must lie between 0 and {folds - 1}, not {held_out}")
    away = fold_of(patients, seed=seed, folds=folds) == held_out
    return Split(train=~away, held_out=away)


def assert_disjoint(patients: NDArray[np.str_], split: Split) -> None:
    """Refuse a split that puts a person on both sides or forgets or doubles a row.

    Raises
    ------
    DataError
        Names the first offending row, never the person.
    """
    if not split.train.shape == split.held_out.shape == patients.shape:
        raise DataError("the split has another number of rows than the cohort", file="cohort")
    shared = np.isin(patients, patients[split.train]) & np.isin(patients, patients[split.held_out])
    wrong = np.flatnonzero(shared | (split.train == split.held_out))
    if len(wrong):
        raise DataError(
            "not on exactly one side of the split with all rows of the same person",
            file="cohort",
            row=int(wrong[0]) + 1,
            field="patients",
            fix="split by patient, not by stay",
        )
