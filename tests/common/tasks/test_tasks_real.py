"""Tasks on the MIMIC-IV demo: counts that are published or can be made with a few lines of csv."""

from __future__ import annotations

import csv
import gzip
import os
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from client.cohorts.assembling import assemble
from client.datasets import mimic_iv
from client.datasets.base import ALL
from common.clinical.code_sets import CodeSet, carried, covering
from common.clinical.icd import normalised
from common.clinical.records import Records
from common.exceptions import DataError
from common.tasks.base import find
from tests.reading import cache_in

FOLDER = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "mimic_iv_demo"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="FEDWARD_DATA does not name a folder with mimic_iv_demo"),
]
DAMAGED = "diagnoses_icd_DAMAGED_leading_zeros_lost"


def rows(table: str) -> list[dict[str, str]]:
    with gzip.open(FOLDER / f"{table}.csv.gz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    return mimic_iv.read(FOLDER, ALL, ("diagnoses", "measurements"), cache_in(tmp_path_factory.mktemp("cache")))


def test_chronic_respiratory_disease_is_as_common_as_the_set_states(records: Records) -> None:
    """ICD-9 490-496, ICD-10 J40-J47: 27 patients, 58 admissions."""
    assert records.diagnoses is not None
    lower = CodeSet(
        "chronic",
        "lower",
        {9: tuple(f"{n}" for n in range(490, 497)), 10: ("J40", "J41", "J42", "J43", "J44", "J45", "J46", "J47")},
    )
    found = carried(records.diagnoses, len(records.admissions), covering([lower]), 1)[:, 0]
    assert found.sum() == 58
    assert len(np.unique(records.admissions.patient[found])) == 27


def test_crd8_labels_are_those_of_a_few_lines_of_csv(records: Records) -> None:
    copd, sleep = defaultdict(bool), defaultdict(bool)
    for row in rows("hosp/diagnoses_icd"):
        code, nine = row["icd_code"].strip(), row["icd_version"] == "9"
        copd[row["hadm_id"]] |= code[:3] in (("491", "492", "496") if nine else ("J41", "J42", "J43", "J44"))
        sleep[row["hadm_id"]] |= (
            code in ("32720", "32721", "32723", "32727", "32729", "78051", "78053", "78057")
            if nine
            else code.startswith("G473")
        )
    cohort = assemble(records, find("crd8"), ("table", "codes"))
    assert len(cohort) == 275
    assert cohort.labels[:, 0].sum() == sum(copd.values()) > 0
    assert cohort.labels[:, 7].sum() == sum(sleep.values()) > 0


def test_the_table_of_the_study_is_plausible(records: Records) -> None:
    features = assemble(records, find("crd8"), ("table",)).features
    columns = dict(zip(features.names, features.values.T, strict=True))
    for name, low, high in (("heart_rate", 70, 110), ("temperature", 36, 38), ("hemoglobin", 8, 14), ("age", 50, 75)):
        assert low < np.nanmean(columns[name]) < high
    assert np.isnan(columns["hemoglobin"]).mean() < 0.2
    taken = defaultdict(list)
    for table, column, text, time in (
        ("hosp/microbiologyevents", "spec_type_desc", "SPUTUM", "charttime"),
        ("icu/procedureevents", "itemid", "225451", "starttime"),
    ):
        for row in rows(table):
            if row[column] == text and row[time]:
                taken[row["hadm_id"]].append(datetime.fromisoformat(row[time]))
    day, early = timedelta(hours=24), 0
    for row in rows("hosp/admissions"):
        start, end = (datetime.fromisoformat(row[name]) for name in ("admittime", "dischtime"))
        early += any(start - day <= moment <= min(start + day, end) for moment in taken[row["hadm_id"]])
    assert columns["sputum_culture"].sum() == early > 0
    # Nothing is known of the first admission of each of the 100 people.
    assert np.isnan(columns["diabetes_history"]).sum() == 100


def test_conditions_are_about_as_common_as_in_intensive_care(records: Records) -> None:
    cohort = assemble(records, find("conditions"), ("codes",))
    common = dict(zip(cohort.label_names, cohort.labels.mean(axis=0).tolist(), strict=True))
    for name in ("essential_hypertension", "lipid_disorders", "dysrhythmias", "fluid_electrolyte_disorders"):
        assert 0.2 < common[name] < 0.6
    assert all(0 < share < 0.6 for share in common.values())


def test_every_later_admission_has_a_next_visit_to_predict(records: Records) -> None:
    cohort = assemble(records, find("next_visit"), ("codes",))
    assert len(cohort) == 275 - 100
    assert cohort.visits is not None
    assert cohort.visits.present.all()


def test_hourly_tasks_share_their_hours(records: Records) -> None:
    decompensation, stay = (assemble(records, find(name), ()) for name in ("decompensation", "length_of_stay"))
    assert np.array_equal(decompensation.hours, stay.hours)
    assert decompensation.hours.min() == 5
    died = {person for person, label in zip(decompensation.patients, decompensation.labels[:, 0], strict=True) if label}
    assert 0 < len(died) <= 15


def test_the_table_that_a_spreadsheet_damaged_is_refused(records: Records) -> None:
    table = rows(f"hosp/{DAMAGED}")
    codes, versions = (
        np.array([row["icd_code"] for row in table], object),
        np.array([int(row["icd_version"]) for row in table]),
    )
    numbers = np.arange(1, len(table) + 1)
    with pytest.raises(DataError, match=r"field 'icd_code': not an ICD-9-CM code; .*leading zeros"):
        normalised(codes, versions, numbers, file=DAMAGED, field="icd_code")
    longer = np.array([len(code) > 2 for code in codes])  # without the three that give themselves away
    with pytest.raises(DataError, match="no ICD-9-CM code begins with 0"):
        normalised(codes[longer], versions[longer], numbers[longer], file=DAMAGED, field="icd_code")
