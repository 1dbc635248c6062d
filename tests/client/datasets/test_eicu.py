"""The eICU adapter on small folders written by hand: what is read, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.cohorts import loading
from client.datasets import eicu
from client.datasets.base import ALL, Select
from client.preprocessing.table import Table
from common.exceptions import ConfigurationError, DataError
from tests.client.datasets.eicu_tables import (
    TASK,
    Folder,
    acute,
    chronic,
    features_digest,
    load,
    records,
    stay,
    tables,
    write,
)
from tests.reading import cache_in


def value(table: Table, patient: str, name: str) -> float:
    row = table.patients.tolist().index(patient)
    return float(table.features[row, table.feature_names.index(name)])


def test_a_folder_by_hand_is_read_as_documented(tmp_path: Path) -> None:
    table = load(tmp_path, tables())
    assert table.patients.tolist() == ["person-1", "person-2"]
    assert table.labels.tolist() == [0, 1]
    assert {rule: lost.candidates for rule, lost in table.excluded.items()} == {"no outcome": 1, "no APACHE rows": 1}
    expected = {
        "person-1": {"age": 90, "temperature": 36.5, "heartrate": np.nan, "aids": 1, "gender=Female": 1, "ph": np.nan},
        "person-2": {"age": 60, "temperature": np.nan, "heartrate": 120, "aids": 0, "gender=Female": 0, "eyes": 4},
    }
    for patient, features in expected.items():
        for name, number in features.items():
            assert value(table, patient, name) == pytest.approx(number, nan_ok=True), (patient, name)
    assert value(table, "person-2", "hospitaladmitoffset") == -1  # a minute before; -1 is missing in APACHE tables only
    assert np.isnan(value(table, "person-2", "admissionweight"))
    assert np.isnan(value(table, "person-1", "electivesurgery"))
    assert value(table, "person-2", "electivesurgery") == 1
    assert value(table, "person-1", "unittype=MICU") == 1
    assert value(table, "person-1", "unittype=SICU") == 0
    assert np.isnan(value(table, "person-1", "unitadmitsource=Floor"))
    assert dict(zip(table.feature_names, table.units, strict=True))["temperature"] == "°C"


def test_the_reference_is_apache_iva_and_optional(tmp_path: Path) -> None:
    score = load(tmp_path, tables()).references["APACHE IVa"]
    assert np.array_equal(score, [np.nan, 0.25], equal_nan=True)
    (tmp_path / "apachepatientresult.csv").unlink()
    assert dict(load(tmp_path).references) == {}


def test_sites_are_regions_or_hospitals_and_a_hospital_without_region_is_in_no_region(tmp_path: Path) -> None:
    folder = write(tmp_path, tables())
    assert eicu.sites(folder, "region") == {
        "midwest": Select("region", ("Midwest",)),
        "south": Select("region", ("South",)),
    }
    assert list(eicu.sites(folder, "hospital")) == ["hospital-1", "hospital-2", "hospital-3"]
    assert load(folder, select=Select("region", ("South",))).patients.tolist() == ["person-2"]
    assert load(folder, select=Select("hospital", ("1",))).patients.tolist() == ["person-1"]
    assert len(load(folder, select=Select("hospital", ("1", "2"))).patients) == 2
    with pytest.raises(ConfigurationError, match="divides by patient, region, hospital, not by 'ward'"):
        loading.sites("eicu", folder, "ward")


def test_an_unknown_region_is_refused(tmp_path: Path) -> None:
    content = tables()
    content["hospital"][1]["region"] = "Atlantis"
    with pytest.raises(
        DataError, match=r"^hospital\.csv, row 2, field 'region'.*'Midwest', 'Northeast', 'South', 'West'"
    ):
        eicu.sites(write(tmp_path, content), "region")


def change(table: str, row: int, **cells: str) -> Callable[[Folder], None]:
    def apply(content: Folder) -> None:
        content[table][row] |= cells

    return apply


def drop_column(table: str, column: str) -> Callable[[Folder], None]:
    def apply(content: Folder) -> None:
        for row in content[table]:
            del row[column]

    return apply


def repeat(table: str, row: int) -> Callable[[Folder], None]:
    return lambda content: content[table].append(content[table][row])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content.pop("apacheapsvar"), r"^apacheapsvar: no apacheapsvar\.csv or apacheapsvar\.csv\.gz"),
        (drop_column("apachepredvar", "aids"), r"^apachepredvar\.csv: required columns are missing: aids"),
        (repeat("patient", 0), r"^patient\.csv, row 5, field 'patientunitstayid': the same key as in row 1"),
        (repeat("apacheapsvar", 0), r"^apacheapsvar\.csv, row 4, field 'patientunitstayid': the same key as in row 1"),
        (repeat("apachepatientresult", 1), r"^apachepatientresult\.csv, row 4, .*the same key as in row 2"),
        (
            change("patient", 2, hospitaldischargestatus="Dead"),
            r"row 3, field 'hospitaldischargestatus'.*'Alive', 'Expired'",
        ),
        (change("patient", 1, uniquepid=""), r"row 2, field 'uniquepid': an empty cell"),
        (change("patient", 2, hospitaladmitoffset=""), r"row 3, field 'hospitaladmitoffset': an empty cell"),
        (change("patient", 2, patienthealthsystemstayid=""), r"row 3, field 'patienthealthsystemstayid': an empty"),
        (change("patient", 2, unitdischargeoffset="late"), r"row 3, field 'unitdischargeoffset'"),
        (change("patient", 1, age="ninety"), r"row 2, field 'age': an unknown value"),
        (change("patient", 1, gender="M"), r"row 2, field 'gender'.*'Female', 'Male', 'Other'"),
        (change("patient", 1, unittype="Ward"), r"row 2, field 'unittype'.*'MICU'"),
        (change("apacheapsvar", 0, eyes="5"), r"^apacheapsvar\.csv, row 1, field 'eyes'"),
        (change("apacheapsvar", 0, sodium="high"), r"^apacheapsvar\.csv, row 1, field 'sodium'"),
        (change("apachepredvar", 1, leukemia="t"), r"^apachepredvar\.csv, row 2, field 'leukemia'"),
        (change("apachepatientresult", 1, predictedhospitalmortality="25"), r"row 2, .*: a probability above 1"),
    ],
)
def test_bad_input_is_refused_by_table_row_and_field(
    tmp_path: Path, damage: Callable[[Folder], object], message: str
) -> None:
    content = tables()
    damage(content)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, content)
    assert "person-" not in str(caught.value)


def test_what_the_selection_does_not_mean_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, tables())
    with pytest.raises(DataError, match=r"^patient: no stay has APACHE rows"):
        load(folder, select=Select("hospital", ("77",)))
    with pytest.raises(DataError, match=r"^hospital\.csv, field 'region': no hospital in region Atlantis"):
        load(folder, select=Select("region", ("Atlantis",)))


def test_a_site_without_any_outcome_is_refused_with_what_each_rule_lost(tmp_path: Path) -> None:
    content = tables()
    for row in content["patient"]:
        row["hospitaldischargestatus"] = ""
    with pytest.raises(DataError, match=r"^records: no ICU stay is left \(no outcome: 4, no APACHE rows: 0\)"):
        load(tmp_path, content)


@pytest.mark.parametrize("part", ["images", "notes"])
def test_what_the_source_does_not_hold_is_refused(tmp_path: Path, part: Any) -> None:
    with pytest.raises(ConfigurationError, match="data source 'eicu' holds no"):
        loading.load("eicu", write(tmp_path, tables()), TASK, ALL, ("table", part), cache_in(tmp_path / "cache"))


def test_each_admission_and_stay_has_its_times_on_a_clock_of_the_admission(tmp_path: Path) -> None:
    content = tables()
    again = {"patienthealthsystemstayid": "admission-1", "uniquepid": "person-1"}
    content["patient"] = [
        stay(4, hospitaladmitoffset="-3001", hospitaldischargeoffset="2999", unitdischargeoffset="", **again),
        *content["patient"][:3],
    ]
    found = records(write(tmp_path, content))
    assert found.patients.identifier.tolist() == ["person-1", "person-2", "person-3"]
    assert found.stays.admission.tolist() == [0, 0, 1, 2]
    assert found.stays.start.tolist() == pytest.approx([3001 / 60, 1 / 60, 1 / 60, 1 / 60])
    assert found.stays.end.tolist() == pytest.approx([np.nan, 50, 50, 50], nan_ok=True)
    assert found.admissions.end.tolist() == pytest.approx([100, 100, 100])
    assert found.admissions.died.tolist() == [0, 1, -1]
    assert found.admissions.death.tolist() == pytest.approx([np.nan, 100, np.nan], nan_ok=True)
    assert found.admissions.age.tolist() == [90, 60, 60]
    assert found.patients.male.tolist() == [0, 1, 1]
    assert not found.one_clock


def test_a_stay_that_ends_at_an_unknown_time_keeps_its_features(tmp_path: Path) -> None:
    content, unknown = tables(), tables()
    unknown["patient"][0]["unitdischargeoffset"] = ""
    (tmp_path / "unknown").mkdir()
    assert features_digest(load(tmp_path / "unknown", unknown)) == features_digest(load(tmp_path, content))


def test_a_site_with_one_outcome_only_can_be_loaded(tmp_path: Path) -> None:
    content = tables()
    content["patient"][1]["hospitaldischargestatus"] = "Alive"
    assert load(tmp_path, content).labels.tolist() == [0, 0]


def test_an_implausible_measurement_is_missing_but_an_implausible_column_is_refused(tmp_path: Path) -> None:
    content = tables()
    content["patient"] = [stay(i, admissionheight="175") for i in range(1, 13)]
    content["apacheapsvar"] = [acute(i, temperature="37") for i in range(1, 13)]
    content["apachepredvar"] = [chronic(i) for i in range(1, 13)]
    content["patient"][0]["admissionheight"] = "1.75"
    table = load(tmp_path, content)
    assert np.isnan(table.features[:, table.feature_names.index("admissionheight")]).tolist() == [True] + [False] * 11
    for row in content["apacheapsvar"]:
        row["temperature"] = "98.6"
    with pytest.raises(DataError, match=r"field 'temperature': most values are implausible; expected 14\.2 to 47 °C"):
        load(tmp_path, content)


def test_order_of_rows_in_the_apache_tables_does_not_matter(tmp_path: Path) -> None:
    content = tables()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = load(tmp_path / "a", content)
    content["apacheapsvar"].reverse()
    content["apachepredvar"].reverse()
    second = load(tmp_path / "b", content)
    assert features_digest(first) == features_digest(second)


def test_importing_the_registry_stays_light() -> None:
    code = (
        "import sys, client.datasets.base as b; b.names(); print(any(m in sys.modules for m in ('duckdb', 'pandas')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
