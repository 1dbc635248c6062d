"""The MIMIC-IV demo: counts published with it, and taken a second way. Runs where FEDWARD_DATA names the data."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from client.datasets import mimic_iv
from client.datasets.base import ALL
from client.datasets.reading.cache import Cache
from common.clinical.records import Records
from common.exceptions import DataError
from tests.reading import cache_in

FOLDER = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "mimic_iv_demo"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="FEDWARD_DATA does not name a folder with mimic_iv_demo"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return cache_in(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def records(cache: Cache) -> Records:
    return mimic_iv.read(FOLDER, ALL, ("diagnoses", "measurements"), cache)


def rows(name: str) -> list[dict[str, str]]:
    with gzip.open(FOLDER / f"{name}.csv.gz", "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def test_counts_are_those_published(records: Records) -> None:
    assert (len(records.patients), len(records.admissions), len(records.stays)) == (100, 275, 140)
    assert (records.admissions.died == 1).sum() == 15
    assert records.diagnoses is not None
    assert len(records.diagnoses) == 4506
    respiratory = [
        code[:3] in {"490", "491", "492", "493", "494", "495", "496"} if version == 9 else "J40" <= code[:3] <= "J47"
        for code, version in zip(records.diagnoses.code.tolist(), records.diagnoses.version.tolist(), strict=True)
    ]
    admissions = np.unique(records.diagnoses.admission[respiratory])
    assert (len(admissions), len(np.unique(records.admissions.patient[admissions]))) == (58, 27)


def test_values_agree_with_a_plain_count(records: Records) -> None:
    m = records.measurements
    assert m is not None
    charted = rows("icu/chartevents")
    known = {row["hadm_id"] for row in rows("hosp/admissions")}

    def values(*items: str) -> list[float]:
        return [float(row["valuenum"]) for row in charted if row["itemid"] in items and row["hadm_id"] in known]

    def of(name: str) -> np.ndarray:
        return np.sort(m.value[m.variable == m.names.index(name)])

    np.testing.assert_allclose(of("heart_rate"), np.sort(values("220045")), rtol=1e-6)
    celsius = values("223762") + [(value - 32) / 1.8 for value in values("223761")]
    np.testing.assert_allclose(of("temperature"), np.sort([v for v in celsius if 26 <= v <= 45]), rtol=1e-6)
    moments: dict[tuple[str, str], dict[str, float]] = {}
    for row in charted:
        if row["itemid"] in ("220739", "223900", "223901") and row["hadm_id"] in known:
            moments.setdefault((row["hadm_id"], row["charttime"]), {})[row["itemid"]] = float(row["valuenum"])
    cultures = [row for row in rows("icu/procedureevents") if row["itemid"] == "225451"]
    sputum = [row for row in rows("hosp/microbiologyevents") if row["spec_type_desc"] == "SPUTUM" and row["charttime"]]
    specimens = {(row["hadm_id"], row["charttime"]) for row in sputum if row["hadm_id"] in known}
    assert len(cultures) > 0 < len(specimens)
    outside = sum(row["hadm_id"] == "" for row in sputum)  # some of them were taken during an admission
    assert 0 <= len(of("sputum_culture")) - len(cultures) - len(specimens) <= outside
    assert set(of("sputum_culture")) == {1.0}
    totals = [sum(parts.values()) for parts in moments.values() if len(parts) == 3]
    assert of("gcs_total").tolist() == sorted(totals)


def test_the_units_of_the_first_stay_divide_it() -> None:
    sites = mimic_iv.sites(FOLDER, "unit")
    assert len(sites) == 9
    assert {"micu", "sicu", "cvicu", "ccu", "tsicu", "micu-sicu", "neuro-sicu"} <= set(sites)


def test_lost_leading_zeros_are_refused(tmp_path: Path, cache: Cache) -> None:
    for name in ("hosp", "icu"):
        (tmp_path / name).mkdir()
        for file in (FOLDER / name).iterdir():
            (tmp_path / name / file.name).symlink_to(file)
    codes = tmp_path / "hosp" / "diagnoses_icd.csv.gz"
    assert len(mimic_iv.read(tmp_path, ALL, ("diagnoses",), cache).diagnoses or ()) == 4506
    codes.unlink()
    shutil.copy(FOLDER / "hosp" / "diagnoses_icd_DAMAGED_leading_zeros_lost.csv.gz", codes)
    with pytest.raises(DataError, match="leading zeros") as refusal:
        mimic_iv.read(tmp_path, ALL, ("diagnoses",), cache)
    assert refusal.value.field == "icd_code"
