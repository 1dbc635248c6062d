"""The official columns of five eICU tables, in order, and what synthetic rows hold where the model says nothing."""

from __future__ import annotations

HEADERS = {
    name: tuple(columns.split())
    for name, columns in {
        "hospital": "hospitalid numbedscategory teachingstatus region",
        "patient": """
            patientunitstayid patienthealthsystemstayid gender age ethnicity hospitalid wardid apacheadmissiondx
            admissionheight hospitaladmittime24 hospitaladmitoffset hospitaladmitsource hospitaldischargeyear
            hospitaldischargetime24 hospitaldischargeoffset hospitaldischargelocation hospitaldischargestatus unittype
            unitadmittime24 unitadmitsource unitvisitnumber unitstaytype admissionweight dischargeweight
            unitdischargetime24 unitdischargeoffset unitdischargelocation unitdischargestatus uniquepid""",
        "apacheapsvar": """
            apacheapsvarid patientunitstayid intubated vent dialysis eyes motor verbal meds urine wbc temperature
            respiratoryrate sodium heartrate meanbp ph hematocrit creatinine albumin pao2 pco2 bun glucose bilirubin
            fio2""",
        "apachepredvar": """
            apachepredvarid patientunitstayid sicuday saps3day1 saps3today saps3yesterday gender teachtype region
            bedcount admitsource graftcount meds verbal motor eyes age admitdiagnosis thrombolytics diedinhospital aids
            hepaticfailure lymphoma metastaticcancer leukemia immunosuppression cirrhosis electivesurgery activetx
            readmit ima midur ventday1 oobventday1 oobintubday1 diabetes managementsystem var03hspxlos pao2 fio2 ejectfx
            creatinine dischargelocation visitnumber amilocation day1meds day1verbal day1motor day1eyes day1pao2
            day1fio2""",
        "apachepatientresult": """
            apachepatientresultsid patientunitstayid physicianspeciality physicianinterventioncategory
            acutephysiologyscore apachescore apacheversion predictedicumortality actualicumortality predictediculos
            actualiculos predictedhospitalmortality actualhospitalmortality predictedhospitallos actualhospitallos
            preopmi preopcardiaccath ptcawithin24h unabridgedunitlos unabridgedhosplos actualventdays predventdays
            unabridgedactualventdays""",
    }.items()
}
CONSTANT: dict[str, dict[str, int | str]] = {
    "apachepredvar": {
        **{"sicuday": 1, "saps3day1": 0, "saps3today": 0, "saps3yesterday": 0, "teachtype": 0, "region": 3},
        **{"bedcount": 20, "admitsource": 8, "graftcount": 3, "thrombolytics": 0, "activetx": 1, "ima": 0, "midur": 0},
        **{"managementsystem": 1, "var03hspxlos": 0, "ejectfx": -1, "amilocation": -1, "admitdiagnosis": "SYNTHETIC"},
    },
    "apachepatientresult": {
        **{"physicianspeciality": "hospitalist", "physicianinterventioncategory": "Unknown"},
        **{"preopmi": 0, "preopcardiaccath": 0, "ptcawithin24h": 0},
    },
}
DIAGNOSES = {
    "Med-Surg ICU": "Sepsis, pulmonary",
    "MICU": "Pneumonia, bacterial",
    "SICU": "GI obstruction, surgery for",
    "Cardiac ICU": "CHF, congestive heart failure",
    "Neuro ICU": "CVA, cerebrovascular accident/stroke",
}
