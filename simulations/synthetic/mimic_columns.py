"""The official columns of MIMIC-IV's and MIMIC-CXR-JPG's tables that are written, and the items charted in them."""

from __future__ import annotations

from typing import NamedTuple

from common.clinical.findings import CHEXPERT

CXR = "mimic-cxr-2.0.0"
HEADERS = {
    name: tuple(columns.split())
    for name, columns in {
        "hosp/patients": "subject_id gender anchor_age anchor_year anchor_year_group dod",
        "hosp/admissions": """
            subject_id hadm_id admittime dischtime deathtime admission_type admit_provider_id admission_location
            discharge_location insurance language marital_status race edregtime edouttime hospital_expire_flag""",
        "hosp/diagnoses_icd": "subject_id hadm_id seq_num icd_code icd_version",
        "hosp/d_icd_diagnoses": "icd_code icd_version long_title",
        "hosp/labevents": """
            labevent_id subject_id hadm_id specimen_id itemid order_provider_id charttime storetime value valuenum
            valueuom ref_range_lower ref_range_upper flag priority comments""",
        "hosp/d_labitems": "itemid label fluid category",
        "icu/icustays": "subject_id hadm_id stay_id first_careunit last_careunit intime outtime los",
        "icu/chartevents": """
            subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valuenum valueuom warning""",
        "icu/d_items": """
            itemid label abbreviation linksto category unitname param_type lownormalvalue highnormalvalue""",
        "ed/edstays": """
            subject_id hadm_id stay_id intime outtime gender race arrival_transport disposition""",
        "ed/vitalsign": "subject_id stay_id charttime temperature heartrate resprate o2sat sbp dbp rhythm pain",
        "note/discharge": "note_id subject_id hadm_id note_type note_seq charttime storetime text",
        "note/radiology": "note_id subject_id hadm_id note_type note_seq charttime storetime text",
        f"{CXR}-metadata": """
            dicom_id subject_id study_id PerformedProcedureStepDescription ViewPosition Rows Columns StudyDate
            StudyTime ProcedureCodeSequence_CodeMeaning ViewCodeSequence_CodeMeaning
            PatientOrientationCodeSequence_CodeMeaning""",
        f"{CXR}-split": "dicom_id study_id subject_id split",
    }.items()
} | {f"{CXR}-{labeller}": ("subject_id", "study_id", *CHEXPERT) for labeller in ("chexpert", "negbio")}


class Lab(NamedTuple):
    """An item of the laboratory and the measurement of the model that it tells."""

    measure: str
    label: str
    category: str
    unit: str


LABS = {
    51222: Lab("hemoglobin", "Hemoglobin", "Hematology", "g/dL"),
    51221: Lab("hematocrit", "Hematocrit", "Hematology", "%"),
    51279: Lab("red_blood_cells", "Red Blood Cells", "Hematology", "m/uL"),
    51301: Lab("wbc", "White Blood Cells", "Hematology", "K/uL"),
    50983: Lab("sodium", "Sodium", "Chemistry", "mEq/L"),
    50912: Lab("creatinine", "Creatinine", "Chemistry", "mg/dL"),
    51006: Lab("bun", "Urea Nitrogen", "Chemistry", "mg/dL"),
    50931: Lab("glucose", "Glucose", "Chemistry", "mg/dL"),
    50862: Lab("albumin", "Albumin", "Chemistry", "g/dL"),
    50885: Lab("bilirubin", "Bilirubin, Total", "Chemistry", "mg/dL"),
    50820: Lab("ph", "pH", "Blood Gas", "units"),
}


class Charted(NamedTuple):
    """An item of the bedside chart.

    Attributes
    ----------
    measure : str
        Of the model.
    label, unit : str
    hours : int
        Between two values; 0 is once.
    spread : float
        Standard deviation from one value to the next.
    trend : float
        A day's change in those who die, 0.4 of it the other way in those who do not.
    """

    measure: str
    label: str
    unit: str
    hours: int
    spread: float = 0.0
    trend: float = 0.0


FAHRENHEIT, CELSIUS = 223761, 223762
CHART = {
    220045: Charted("heartrate", "Heart Rate", "bpm", 2, 6, 5),
    220179: Charted("systolic", "Non Invasive Blood Pressure systolic", "mmHg", 2, 9, -6),
    220180: Charted("diastolic", "Non Invasive Blood Pressure diastolic", "mmHg", 2, 6, -4),
    220181: Charted("meanbp", "Non Invasive Blood Pressure mean", "mmHg", 2, 6, -5),
    220210: Charted("respiratoryrate", "Respiratory Rate", "insp/min", 2, 3, 1.5),
    220277: Charted("oxygen_saturation", "O2 saturation pulseoxymetry", "%", 2, 1, -0.7),
    FAHRENHEIT: Charted("fahrenheit", "Temperature Fahrenheit", "°F", 4, 0.5),
    CELSIUS: Charted("temperature", "Temperature Celsius", "°C", 4, 0.3),
    223835: Charted("fio2", "Inspired O2 Fraction", "", 8, 3, 3),
    220739: Charted("eyes", "GCS - Eye Opening", "", 4, 0.2, -0.2),
    223900: Charted("verbal", "GCS - Verbal Response", "", 4, 0.2, -0.2),
    223901: Charted("motor", "GCS - Motor Response", "", 4, 0.2, -0.2),
    226730: Charted("height", "Height (cm)", "cm", 0),
    226512: Charted("weight", "Admission Weight (Kg)", "kg", 0),
}
CAREUNITS = {
    "Med-Surg ICU": "Medical/Surgical Intensive Care Unit (MICU/SICU)",
    "MICU": "Medical Intensive Care Unit (MICU)",
    "SICU": "Surgical Intensive Care Unit (SICU)",
    "Cardiac ICU": "Cardiac Vascular Intensive Care Unit (CVICU)",
    "Neuro ICU": "Neuro Surgical Intensive Care Unit (Neuro SICU)",
}
