"""Does the patient leave the hospital alive? Asked after 48 hours in intensive care.

The in-hospital mortality task of the MIMIC-III benchmarks (Harutyunyan et al., Scientific Data 2019)
and MedMod (Elsharief et al., PMLR 287, 2025): adults whose admission has one stay, without a move between
units where the source tells, of 48 hours or more.
A stay whose end the source does not tell counts as longer.
"""

from __future__ import annotations

from common.clinical import intensive_care
from common.clinical.examples import Examples
from common.clinical.records import NONE, Records
from common.tasks.base import Label, Task

HOURS = 48.0


def examples(records: Records) -> Examples:
    """One example a stay of an adult who is in the unit and alive at the prediction time."""
    stays, admissions = records.stays, records.admissions
    died, time = admissions.died[stays.admission], stays.start + HOURS
    flow = (
        intensive_care.single_stays(records)
        .keep("no outcome", died != NONE)
        .keep(f"left the unit within {HOURS:g} hours", ~(stays.end < time))
        .keep(f"died within {HOURS:g} hours", ~(admissions.death[stays.admission] <= time))
    )
    if records.known is not None:
        flow = flow.keep("nothing recorded", records.known.recorded)
    return intensive_care.of_stays(records, flow, flow.rows, time[flow.rows], died[flow.rows, None])


TASK = Task(
    name="in_hospital_mortality_48h",
    title="In-hospital mortality after 48 hours",
    unit="ICU stay",
    prediction_time="48 hours after admission to the unit",
    labels=(Label("death", "died in hospital"),),
    in_hospital_death="death",
    kind="binary",
    metrics=("auroc", "auprc"),
    parts=(),
    examples=examples,
)
