"""Which of 25 conditions does the patient have? Asked when the stay in intensive care ends.

The conditions task of MedMod (Elsharief et al., PMLR 287, 2025), after the phenotyping task of the MIMIC-III
benchmarks (Harutyunyan et al., Scientific Data 2019): categories of the Clinical Classifications Software
that the admission's diagnosis codes belong to.
"""

from __future__ import annotations

import numpy as np

from common.clinical.code_sets import carried, ccs, ccs_names
from common.clinical.examples import Examples
from common.clinical.intensive_care import adult_stays, of_stays
from common.clinical.records import Diagnoses, Records
from common.tasks.base import Label, Task

CONDITIONS = {
    "acute_renal_failure": 157,
    "acute_cerebrovascular_disease": 109,
    "acute_myocardial_infarction": 100,
    "dysrhythmias": 106,
    "chronic_kidney_disease": 158,
    "copd_bronchiectasis": 127,
    "surgical_medical_complications": 238,
    "conduction_disorders": 105,
    "heart_failure": 108,
    "coronary_atherosclerosis": 101,
    "diabetes_with_complications": 50,
    "diabetes_without_complications": 49,
    "lipid_disorders": 53,
    "essential_hypertension": 98,
    "fluid_electrolyte_disorders": 55,
    "gastrointestinal_haemorrhage": 153,
    "hypertension_with_complications": 99,
    "other_liver_disease": 151,
    "other_lower_respiratory_disease": 133,
    "other_upper_respiratory_disease": 134,
    "pleurisy_pneumothorax_collapse": 130,
    "pneumonia": 122,
    "respiratory_failure": 131,
    "septicaemia": 2,
    "shock": 249,
}
"""Category by label."""


def examples(records: Records) -> Examples:
    """One example a stay of an adult whose admission has diagnosis codes."""
    diagnoses: Diagnoses = records.require("diagnoses", "the conditions task")
    stays, admissions = records.stays, len(records.admissions)
    found = carried(diagnoses, admissions, ccs(tuple(CONDITIONS.values())), len(CONDITIONS))
    coded = np.isin(stays.admission, diagnoses.admission)
    flow = adult_stays(records).keep("no diagnosis codes", coded)
    labels = found[stays.admission[flow.rows]].astype(np.int8)
    return of_stays(records, flow, flow.rows, stays.end[flow.rows], labels)


TASK = Task(
    name="conditions",
    title="25 clinical conditions",
    unit="ICU stay",
    prediction_time="when the patient leaves the unit",
    labels=tuple(Label(name, ccs_names()[number]) for name, number in CONDITIONS.items()),
    kind="multilabel",
    metrics=("auroc", "auprc"),
    parts=("diagnoses",),
    examples=examples,
)
