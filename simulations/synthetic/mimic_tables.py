"""Tables of MIMIC-IV about SYNTHETIC people: who they are, when they were in hospital, their diagnosis codes."""

from __future__ import annotations

import numpy as np

from simulations.synthetic.diagnosis_codes import CODES, OTHERWISE
from simulations.synthetic.mimic_columns import CAREUNITS, CHART, HEADERS, LABS
from simulations.synthetic.writing import Columns, moments

GROUPS = ((9, "2011 - 2013"), (10, "2017 - 2019"))
"""ICD version and the years in which it was in use; people belong to one or the other."""


def identified(rows: Columns, number: int) -> Columns:
    """Give people, admissions and stays their numbers; they tell the hospital, so that no two share any."""
    person = 10**9 + number * 10**6 + rows["who"] + 1
    hadm = 2 * 10**9 + number * 10**6 + rows["admission"] + 1
    return rows | {"person": person, "hadm": hadm, "stay": hadm + 10**9, "version": rows["who"] % 2}


def patients(rows: Columns) -> Columns:
    """One row a person."""
    first = np.flatnonzero(rows["visit"] == 1)
    last = np.append(first[1:], len(rows["who"])) - 1
    one = {name: rows[name][first] for name in ("person", "male", "age", "anchor", "version")}
    died = np.where(rows["died"][last], moments(rows["end"][last]).astype("<U10"), "")
    return {
        "subject_id": one["person"],
        "gender": np.where(one["male"], "M", "F"),
        "anchor_age": np.where(one["age"] > 89, 91, one["age"]).astype(np.int64),
        "anchor_year": one["anchor"],
        "anchor_year_group": np.array([years for _, years in GROUPS])[one["version"]],
        "dod": died,
    }


def admissions(rows: Columns) -> Columns:
    """One row an admission."""
    size = len(rows["hadm"])
    end = moments(rows["end"])
    unknown = ("admit_provider_id", "insurance", "marital_status", "edregtime", "edouttime")
    return {
        "subject_id": rows["person"],
        "hadm_id": rows["hadm"],
        "admittime": moments(rows["start"]),
        "dischtime": end,
        "deathtime": np.where(rows["died"], end, ""),
        "admission_type": np.where(rows["elective"], "ELECTIVE", "EW EMER."),
        "admission_location": np.where(rows["elective"], "PHYSICIAN REFERRAL", "EMERGENCY ROOM"),
        "discharge_location": np.where(rows["died"], "DIED", "HOME"),
        "language": np.full(size, "ENGLISH"),
        "race": np.full(size, "UNKNOWN"),
        "hospital_expire_flag": rows["died"].astype(np.int64),
        **dict.fromkeys(unknown, np.full(size, "")),
    }


def stays(rows: Columns) -> Columns:
    """One row a stay in intensive care."""
    some = {name: values[rows["unit start"] >= 0] for name, values in rows.items()}
    unit = np.array([CAREUNITS[name] for name in some["unit"].tolist()])
    return {
        "subject_id": some["person"],
        "hadm_id": some["hadm"],
        "stay_id": some["stay"],
        "first_careunit": unit,
        "last_careunit": unit,
        "intime": moments(some["unit start"]),
        "outtime": moments(some["unit end"]),
        "los": ((some["unit end"] - some["unit start"]) / 86_400).round(6),
    }


def diagnoses(rng: np.random.Generator, rows: Columns) -> Columns:
    """Give each admission the codes of its conditions in the version of its years, at least one."""
    cells: list[tuple[int, int, int, str, int]] = []
    chosen = rng.random((len(CODES), len(rows["hadm"])))
    for row, (person, hadm, late) in enumerate(
        zip(rows["person"].tolist(), rows["hadm"].tolist(), rows["version"].tolist(), strict=True)
    ):
        codes = []
        for which, name in enumerate(CODES):
            if rows[f"coded {name}"][row]:
                kinds = CODES[name][late]
                codes.append(kinds[int(chosen[which, row] * len(kinds))][0])
        version = GROUPS[late][0]
        cells += [(person, hadm, i + 1, code, version) for i, code in enumerate(codes or [OTHERWISE[late][0]])]
    columns = (np.array(column) for column in zip(*cells, strict=True))
    return dict(zip(HEADERS["hosp/diagnoses_icd"], columns, strict=True))


def dictionary() -> Columns:
    """One row a diagnosis code."""
    entries = [
        (code, GROUPS[late][0], title)
        for versions in (*CODES.values(), tuple((one,) for one in OTHERWISE))
        for late, codes in enumerate(versions)
        for code, title in codes
    ]
    code, version, title = map(np.array, zip(*entries, strict=True))
    return {"icd_code": code, "icd_version": version, "long_title": title}


def lab_items() -> Columns:
    """One row an item of the laboratory."""
    return {
        "itemid": np.array(list(LABS)),
        "label": np.array([lab.label for lab in LABS.values()]),
        "fluid": np.full(len(LABS), "Blood"),
        "category": np.array([lab.category for lab in LABS.values()]),
    }


def chart_items() -> Columns:
    """One row an item of the bedside chart."""
    label = np.array([item.label for item in CHART.values()])
    return {
        "itemid": np.array(list(CHART)),
        "label": label,
        "abbreviation": label,
        "linksto": np.full(len(CHART), "chartevents"),
        "category": np.full(len(CHART), "Routine Vital Signs"),
        "unitname": np.array([item.unit for item in CHART.values()]),
        "param_type": np.full(len(CHART), "Numeric"),
        **dict.fromkeys(("lownormalvalue", "highnormalvalue"), np.full(len(CHART), "")),
    }
