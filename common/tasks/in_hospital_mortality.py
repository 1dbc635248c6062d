"""Does the patient leave the hospital alive? Asked after the first day in intensive care."""

from __future__ import annotations

import numpy as np

from common.clinical.examples import Examples, Flow
from common.clinical.records import NONE, Known, Records
from common.tasks.base import Label, Task

HOURS = 24.0


def examples(records: Records) -> Examples:
    """One example a stay with a known outcome and a record of its first day."""
    stays, admissions = records.stays, records.admissions
    known: Known = records.require("known", "in-hospital mortality after the first day")
    died = admissions.died[stays.admission]
    flow = Flow.of(admissions.patient[stays.admission]).keep("no outcome", died != NONE)
    flow = flow.keep("no APACHE rows", known.recorded)
    rows = flow.rows
    return Examples(
        patient=flow.patient[rows],
        admission=stays.admission[rows],
        stay=rows,
        image=np.full(len(rows), NONE),
        start=stays.start[rows],
        time=np.fmin(stays.start[rows] + HOURS, stays.end[rows]),  # a stay without an end counts as longer
        labels=died[rows, None],
        excluded=flow.excluded,
    )


TASK = Task(
    name="in_hospital_mortality",
    title="In-hospital mortality",
    unit="ICU stay",
    prediction_time="24 hours after admission to the unit, or when the patient leaves it if that is sooner",
    labels=(Label("death", "died in hospital"),),
    in_hospital_death="death",
    kind="binary",
    metrics=("auroc", "auprc"),
    parts=(),
    examples=examples,
)
