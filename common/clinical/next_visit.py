"""Predictions of an admission's diagnoses, made on arrival, from the admissions before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.clinical.examples import Examples, Flow
from common.clinical.records import NONE, Diagnoses, Records
from common.clinical.timing import past_admissions

ADULT = 18


def on_arrival(records: Records, labels: NDArray[np.bool_], otherwise: str, holds: NDArray[np.bool_]) -> Examples:
    """One example an adult's admission that follows one with known codes.

    Parameters
    ----------
    records : Records
    labels : (admissions, k) bool
        Groups of diagnoses of each admission.
    otherwise : str
    holds : (admissions,) bool
        The task's own rule; as in :meth:`Flow.keep`.
    """
    diagnoses: Diagnoses = records.require("diagnoses", "predicting the next visit")
    admissions, rows = records.admissions, np.arange(len(records.admissions))
    coded = np.isin(rows, diagnoses.admission)
    first, last = past_admissions(records, admissions.patient, rows, admissions.start)
    before = np.concatenate([[0], np.cumsum(coded)])
    flow = (
        Flow.of(len(rows))
        .keep(f"age unknown or below {ADULT}", admissions.age >= ADULT)
        .keep("no diagnosis codes", coded)
        .keep(otherwise, holds)
        .keep("no earlier admission with diagnosis codes", before[last] > before[first])
    )
    rows = flow.rows
    return Examples(
        patient=admissions.patient[rows],
        admission=rows,
        stay=np.full(len(rows), NONE),
        image=np.full(len(rows), NONE),
        start=admissions.start[rows],
        time=admissions.start[rows],
        labels=labels[rows].astype(np.int8),
        excluded=flow.excluded,
    )
