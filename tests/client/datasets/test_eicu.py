"""The eICU adapter on small folders written by hand and on synthetic ones."""

from __future__ import annotations

import csv
import gzip
import hashlib
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
from client.preprocessing.table import Table, build
from common.clinical.records import Records
from common.exceptions import ConfigurationError, DataError
from common.tasks.base import find
from simulations.synthetic.eicu_columns import HEADERS
from simulations.synthetic.eicu_layout import generate
from tests.reading import cache_in

TASK = find("in_hospital_mortality")
Row = dict[str, str]
Folder = dict[str, list[Row]]


def stay(number: int, hospital: str = "1", **changes: str) -> Row:
    row = {
        "patientunitstayid": str(number),
        "patienthealthsystemstayid": f"admission-{number}",
        "uniquepid": f"person-{number}",
        "hospitalid": hospital,
        "hospitaldischargestatus": "Alive",
        "age": "60",
        "gender": "Male",
        "admissionweight": "80",
        "admissionheight": "175",
        "hospitaladmitoffset": "-1",
        "unitdischargeoffset": "2999",
        "hospitaldischargeoffset": "5999",
        "unitvisitnumber": "1",
        "unittype": "MICU",
        "unitadmitsource": "Floor",
        "unitstaytype": "admit",
    }
    return row | changes


def acute(number: int, **changes: str) -> Row:
    names = HEADERS["apacheapsvar"][2:]
    return {"patientunitstayid": str(number), **dict.fromkeys(names, "-1"), **changes}


def chronic(number: int, **changes: str) -> Row:
    names = ["aids", "hepaticfailure", "lymphoma", "metastaticcancer", "leukemia", "immunosuppression", "cirrhosis"]
    return {
        "patientunitstayid": str(number),
        **dict.fromkeys([*names, "diabetes", "activetx"], "0"),
        **{"electivesurgery": ""},
        **changes,
    }


def tables() -> Folder:
    """Four stays of two hospitals: 1 alive, 2 dead, 3 without outcome, 4 without APACHE rows."""
    return {
        "hospital": [
            {"hospitalid": "1", "region": "Midwest"},
            {"hospitalid": "2", "region": "South"},
            {"hospitalid": "3", "region": ""},
        ],
        "patient": [
            stay(1, age="> 89", gender="Female", unitadmitsource=""),
            stay(2, "2", hospitaldischargestatus="Expired", admissionweight=""),
            stay(3, hospitaldischargestatus=""),
            stay(4),
        ],
        "apacheapsvar": [
            acute(2, heartrate="120", eyes="4", vent="1"),
            acute(3),
            acute(1, temperature="36.5", ph="-1"),
        ],
        "apachepredvar": [chronic(1, aids="1"), chronic(2, electivesurgery="1"), chronic(3)],
        "apachepatientresult": [
            {"patientunitstayid": "2", "apacheversion": "IV", "predictedhospitalmortality": "0.9"},
            {"patientunitstayid": "2", "apacheversion": "IVa", "predictedhospitalmortality": "2.5E-1"},
            {"patientunitstayid": "1", "apacheversion": "IVa", "predictedhospitalmortality": "-1"},
        ],
    }


def write(folder: Path, content: Folder) -> Path:
    for name, rows in content.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def load(folder: Path, content: Folder | None = None, select: Select = ALL) -> Table:
    """Read a folder, written first when it has content, as the table that trees are trained on."""
    if content is not None:
        write(folder, content)
    return build(loading.load("eicu", folder, TASK, select, ("table",), cache_in(folder / "cache")), [0])


def records(folder: Path, select: Select = ALL) -> Records:
    return eicu.read(folder, select, (), cache_in(folder / "cache"))


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


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    generate(3, 120, 5, folder)
    return folder


def features_digest(table: Table) -> str:
    return hashlib.sha256(table.features.tobytes()).hexdigest()


def plant(folder: Path, target: Path, table: str, column: str) -> None:
    """Copy a folder with one column replaced by the outcome."""
    for path in folder.glob("*.csv.gz"):
        (target / path.name).write_bytes(path.read_bytes())
    with gzip.open(folder / "patient.csv.gz", "rt", encoding="utf-8") as file:
        dead = {row["patientunitstayid"] for row in csv.DictReader(file) if row["hospitaldischargestatus"] == "Expired"}
    with gzip.open(folder / f"{table}.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with gzip.open(target / f"{table}.csv.gz", "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADERS[table])
        writer.writeheader()
        writer.writerows(row | {column: "1" if row["patientunitstayid"] in dead else "0"} for row in rows)


LEAKS = [
    *[("patient", name) for name in HEADERS["patient"] if "discharge" in name and name != "hospitaldischargestatus"],
    *[("apachepredvar", name) for name in ("diedinhospital", "dischargelocation", "var03hspxlos")],
    *[
        ("apachepatientresult", name)
        for name in HEADERS["apachepatientresult"]
        if name.startswith(("actual", "unabridged"))
    ],
    *[
        ("apachepatientresult", name)
        for name in ("predictedhospitalmortality", "predictedicumortality", "predictediculos")
    ],
]


@pytest.mark.parametrize(("table", "column"), LEAKS)
def test_a_perfect_leak_in_a_forbidden_column_changes_no_feature(
    synthetic: Path, tmp_path: Path, table: str, column: str
) -> None:
    plant(synthetic, tmp_path, table, column)
    assert records(tmp_path).digest != records(synthetic).digest
    clean, planted = load(synthetic), load(tmp_path)
    assert features_digest(planted) == features_digest(clean)
    assert planted.feature_names == clean.feature_names


def test_the_leak_test_would_see_a_leak(synthetic: Path, tmp_path: Path) -> None:
    plant(synthetic, tmp_path, "apachepredvar", "aids")
    clean, planted = load(synthetic), load(tmp_path)
    assert features_digest(planted) != features_digest(clean)
    assert (planted.features[:, planted.feature_names.index("aids")] == planted.labels).all()


def test_every_column_read_as_a_feature_is_on_the_list_and_none_names_an_outcome() -> None:
    columns = {(variable.table, variable.column) for variable in eicu._variables()}
    assert len(columns) == len(eicu._variables())
    assert not columns & set(LEAKS)
    assert all(column in HEADERS[table] for table, column in columns)
    assert set(HEADERS["apacheapsvar"][2:]) == {column for table, column in columns if table == "apacheapsvar"}


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
