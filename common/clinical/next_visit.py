"""Predictions of an admission's diagnoses, made on arrival, from the admissions before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.clinical.code_sets import Groups, carried
from common.clinical.examples import Examples, Flow
from common.clinical.records import NONE, Diagnoses, Records
from common.clinical.timing import past_admissions

ADULT = 18


def on_arrival(records: Records, groups: Groups, width: int, only: int | None = None) -> Examples:
    """One example an adult's admission that has codes of a group and follows one with codes.

    Parameters
    ----------
    records : Records
    groups : callable
        As in :func:`common.clinical.code_sets.carried`.
    width : int
        How many groups there are: k labels.
    only : int, optional
        The version of ICD; an admission with a code that is not of it is left out.
    """
    diagnoses: Diagnoses = records.require("diagnoses", "predicting the next visit")
    admissions, rows = records.admissions, np.arange(len(records.admissions))
    coded = np.isin(rows, diagnoses.admission)
    first, last = past_admissions(records, admissions.patient, rows, admissions.start)
    before = np.concatenate([[0], np.cumsum(coded)])
    flow = (
        Flow.of(admissions.patient)
        .keep(f"age unknown or below {ADULT}", admissions.age >= ADULT)
        .keep("no diagnosis codes", coded)
        .keep("no earlier admission with diagnosis codes", before[last] > before[first])
    )
    if only is not None:
        other = np.isin(rows, diagnoses.admission[diagnoses.version != only])
        flow = flow.keep(f"a code that is not of ICD-{only}-CM", ~other)
    # With a thousand groups, only of those who are left: a label is a byte, and most admissions are not left.
    labels = carried(_of_admissions(diagnoses, flow.rows, len(rows)), len(flow.rows), groups, width)
    grouped = np.zeros(len(rows), np.bool_)
    grouped[flow.rows] = labels.any(axis=1)
    labels = labels if grouped[flow.rows].all() else labels[grouped[flow.rows]]
    flow = flow.keep("no code in any category", grouped)
    rows = flow.rows
    return Examples(
        patient=admissions.patient[rows],
        admission=rows,
        stay=np.full(len(rows), NONE),
        image=np.full(len(rows), NONE),
        start=admissions.start[rows],
        time=admissions.start[rows],
        labels=labels.view(np.int8),
        excluded=flow.excluded,
    )


def _of_admissions(diagnoses: Diagnoses, rows: NDArray[np.int64], count: int) -> Diagnoses:
    """Return the codes of some admissions, which are counted from 0 then."""
    place = np.full(count, NONE)
    place[rows] = np.arange(len(rows))
    owner = place[diagnoses.admission]
    kept = owner != NONE
    return Diagnoses(owner[kept], diagnoses.code[kept], diagnoses.version[kept])
