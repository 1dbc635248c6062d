"""Will the patient die within 24 hours? Asked every hour in intensive care.

The decompensation task of the MIMIC-III benchmarks (Harutyunyan et al., Scientific Data 2019) and MedMod
(Elsharief et al., PMLR 287, 2025). Deaths count that the source dates, in the unit or on the ward after it.
"""

from __future__ import annotations

import numpy as np

from common.clinical.examples import Examples
from common.clinical.intensive_care import adult_stays, hours, of_stays
from common.clinical.records import NONE, Records
from common.tasks.base import Label, Task

HORIZON = 24.0
"""Hours."""


def examples(records: Records) -> Examples:
    """One example an hour of an adult's stay, if it is known whether and when the patient died."""
    stays, admissions = records.stays, records.admissions
    died, death = admissions.died[stays.admission], admissions.death[stays.admission]
    flow = adult_stays(records).keep("no outcome", died != NONE)
    flow = flow.keep("died at an unknown time", (died == 0) | ~np.isnan(death))
    flow, stay, time = hours(records, flow)
    labels = (death[stay] - time < HORIZON).astype(np.int8)
    return of_stays(records, flow, stay, time, labels[:, None])


TASK = Task(
    name="decompensation",
    title="Decompensation: death within 24 hours",
    unit="hour of an ICU stay",
    prediction_time="every hour from the fifth in the unit until the patient leaves it or dies",
    labels=(Label("death_within_24h", "died less than 24 hours later"),),
    kind="binary",
    metrics=("auprc", "auroc"),
    parts=(),
    examples=examples,
    candidate="ICU stay",
)
