"""Will the patient be back in intensive care within 30 days? Asked when the stay there ends.

The readmission task of MedMod (Elsharief et al., PMLR 287, 2025), which counts stays in intensive care, not
admissions to hospital. A death after discharge and a stay in another hospital are not seen and count as no.
"""

from __future__ import annotations

import numpy as np

from common.clinical.examples import Examples
from common.clinical.intensive_care import adult_stays, of_stays
from common.clinical.records import Records
from common.clinical.timing import position
from common.tasks.base import Label, Task

HORIZON = 30 * 24.0
"""Hours."""


def examples(records: Records) -> Examples:
    """One example a stay of an adult who left the hospital alive."""
    records.require_one_clock("readmission")
    stays, admissions = records.stays, records.admissions
    patient = admissions.patient[stays.admission]
    order = np.lexsort((stays.start, patient))
    owner, start = patient[order], stays.start[order]
    begun = position(owner, start, patient, stays.end, "left")
    within = position(owner, start, patient, stays.end + HORIZON, "right")
    flow = adult_stays(records).keep("died in hospital, or no outcome", admissions.died[stays.admission] == 0)
    labels = (within > begun).astype(np.int8)[flow.rows]
    return of_stays(records, flow, flow.rows, stays.end[flow.rows], labels[:, None])


TASK = Task(
    name="readmission",
    title="Readmission to intensive care within 30 days",
    unit="ICU stay",
    prediction_time="when the patient leaves the unit",
    labels=(Label("readmission", "another ICU stay begins within 30 days"),),
    kind="binary",
    metrics=("auroc", "auprc"),
    parts=(),
    examples=examples,
)
