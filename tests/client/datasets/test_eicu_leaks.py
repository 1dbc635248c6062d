"""No column of eICU that tells the outcome reaches a feature."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from client.datasets import eicu
from simulations.synthetic.eicu_columns import HEADERS
from simulations.synthetic.eicu_layout import generate
from tests.client.datasets.eicu_tables import features_digest, load, records


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    generate(3, 120, 5, folder)
    return folder


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
