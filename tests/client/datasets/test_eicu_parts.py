"""Measurements and diagnoses of eICU: which tables tell what, on which clock, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from client.datasets import eicu
from client.datasets.base import ALL, Select
from client.datasets.reading.eicu_measurements import wanted
from common.clinical.records import Records
from common.exceptions import DataError
from tests.client.datasets.eicu_tables import write
from tests.contract.examples import eicu as example
from tests.reading import cache_in

BOTH = frozenset({"measurements", "diagnoses"})
STAY = "9000003"
"""The only stay of the second person, who came to hospital an hour before."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "eicu"
    folder.mkdir()
    example.write(folder)
    return folder


def read(folder: Path, select: Select = ALL) -> Records:
    return eicu.read(folder, select, BOTH, cache_in(folder.parent / "cache"))


def table(folder: Path, name: str, rows: list[dict[str, str]]) -> None:
    write(folder, {name: rows})


def told(records: Records, name: str, person: str = "person-2") -> list[tuple[float, float]]:
    """Hours and values of a variable in the one admission of a person."""
    part = records.measurements
    assert part is not None
    patient = records.patients.identifier.tolist().index(person)
    (admission,) = np.flatnonzero(records.admissions.patient == patient)
    rows = (part.admission == admission) & (part.variable == part.names.index(name))
    return [(round(float(t), 6), round(float(v), 4)) for t, v in zip(part.time[rows], part.value[rows], strict=True)]


def chart(label: str, value: str, offset: str = "0", stay: str = STAY) -> dict[str, str]:
    return {
        "patientunitstayid": stay,
        "nursingchartoffset": offset,
        "nursingchartcelltypevalname": label,
        "nursingchartvalue": value,
    }


def test_offsets_count_from_the_unit_and_times_from_the_hospital(folder: Path) -> None:
    records = read(folder)
    assert told(records, "systolic_pressure") == [(0.5, 120), (2, 120), (26, 120)]
    assert told(records, "mean_pressure") == [(0.5, 87), (26, 87)], "an empty cell is no value"
    assert told(records, "fraction_inspired_oxygen") == [(0.5, 0.4), (2, 0.4), (26, 0.4)]
    assert told(records, "height") == [(25, 175)], "known a day after the unit was entered"


def test_a_chart_of_labels_is_converted_and_its_remarks_are_counted_not_read(folder: Path) -> None:
    rows = [
        chart("Temperature (F)", "98.6"),
        chart("Temperature (C)", "37.5", "60"),
        *(chart(label, value, "30") for label, value in (("Eyes", "4"), ("Motor", "6"), ("Verbal", "5"))),
        chart("Eyes", "Unable to score due to medication", "45"),
        chart("Heart Rate", "80", "15"),
        chart("Sedation Scale", "anything"),
        chart("Heart Rate", "70", stay="1234567"),
    ]
    table(folder, "nurseCharting", rows)
    records = read(folder)
    assert told(records, "temperature") == [(1, 37), (2, 37.5)]
    assert told(records, "gcs_eye") == [(1.5, 4)]
    assert told(records, "gcs_total") == [(1.5, 15)]
    assert told(records, "heart_rate") == [(1.25, 80)], "a stay that is not in the patient table is nobody's"
    (remark,) = [each for each in records.implausible if each.file == "nurseCharting.csv"]
    assert (remark.values, remark.uneven, remark.rows) == (2, 1, (6,))
    assert remark.field.endswith("item Eyes: gcs_eye")


def test_most_values_as_words_are_refused(folder: Path) -> None:
    table(folder, "nursecharting", [chart("Heart Rate", "36,5", str(i)) for i in range(7)])
    with pytest.raises(DataError, match=r"nursecharting\.csv.*most values are implausible.*heart_rate \(item Heart"):
        read(folder)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("observationoffset", "soon", r"row 4, field 'observationoffset'.*whole number of minutes"),
        ("observationoffset", "", r"row 4, field 'observationoffset'"),
        ("observationoffset", "1.5", r"row 4, field 'observationoffset'"),
        ("patientunitstayid", "secret", r"row 4, field 'patientunitstayid'"),
        ("noninvasivediastolic", "secret", r"row 4, field 'noninvasivediastolic'.*a decimal number"),
    ],
)
def test_a_fault_is_named_by_row_and_column(folder: Path, column: str, cell: str, message: str) -> None:
    file = folder / "vitalaperiodic.csv"
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    rows[3][column] = cell
    table(folder, "vitalaperiodic", rows)
    with pytest.raises(DataError, match=message) as caught:
        read(folder)
    assert "secret" not in str(caught.value)


def test_a_missing_column_of_an_item_is_named(folder: Path) -> None:
    table(folder, "vitalaperiodic", [{"patientunitstayid": STAY, "observationoffset": "1", "noninvasivemean": "80"}])
    with pytest.raises(DataError, match="missing: noninvasivediastolic, noninvasivesystolic"):
        read(folder)


def test_laboratory_values_are_refused_in_another_unit(folder: Path) -> None:
    def lab(name: str, value: str, unit: str) -> dict[str, str]:
        row = {"patientunitstayid": STAY, "labresultoffset": "5", "labname": name, "labresult": value}
        return row | {"labmeasurenamesystem": unit}

    table(folder, "lab", [lab("glucose", "90", "mg/dL"), lab("BUN", "x", "")])
    assert told(read(folder), "glucose") == [(1.083333, 90)]
    table(folder, "lab", [lab("glucose", "90", "mg/dL"), lab("glucose", "5", "mmol/L")])
    with pytest.raises(DataError, match=r"lab\.csv, row 2, field 'labmeasurenamesystem'.*unit"):
        read(folder)


def test_a_source_without_these_tables_has_neither_part(folder: Path) -> None:
    for name in ("vitalaperiodic", "respiratorycharting", "diagnosis"):
        (folder / f"{name}.csv").unlink()
    found = read(folder)
    assert (found.measurements, found.diagnoses) == (None, None)
    with pytest.raises(DataError, match="the source holds no measurements, which the plan needs"):
        found.require("measurements", "the plan")


def test_a_selection_holds_its_own_stays_only(folder: Path) -> None:
    part = read(folder, Select("hospital", ("402",)))
    assert part.measurements is not None
    assert part.diagnoses is not None
    assert part.patients.identifier.tolist() == ["person-3", "person-4"]
    whole = read(folder)
    assert told(part, "systolic_pressure", "person-3") == told(whole, "systolic_pressure", "person-3") != []
    assert sorted(set(part.diagnoses.admission.tolist())) == [0, 1]


def test_codes_of_both_versions_stand_in_one_cell(folder: Path) -> None:
    table(
        folder,
        "diagnosis",
        [
            {"patientunitstayid": STAY, "icd9code": cell}
            for cell in ("", "038.9, A41.9", "E980.2, 965.00, T40.60", "V08, Z21", "31.1", "486, 486, J18.9", "E87.2")
        ],
    )
    found = read(folder).diagnoses
    assert found is not None
    assert sorted(zip(found.version.tolist(), found.code.tolist(), strict=True)) == [
        (9, "0389"),
        (9, "486"),
        (9, "96500"),
        (9, "E9802"),
        (9, "V08"),
        (10, "A419"),
        (10, "E872"),
        (10, "J189"),
        (10, "T4060"),
        (10, "Z21"),
    ]


@pytest.mark.parametrize("cell", ["38.9", "secret", "038.9 A41.9"])
def test_what_is_no_code_is_refused_by_row(folder: Path, cell: str) -> None:
    table(folder, "diagnosis", [{"patientunitstayid": STAY, "icd9code": code} for code in ("038.9", cell)])
    with pytest.raises(DataError, match=r"diagnosis\.csv, row 2, field 'icd9code': neither") as caught:
        read(folder)
    assert "secret" not in str(caught.value)


def test_leading_zeros_lost_in_the_whole_table_are_seen(folder: Path) -> None:
    rows = [{"patientunitstayid": STAY, "icd9code": f"{i}.9"} for i in range(200, 750)]
    table(folder, "diagnosis", rows)
    with pytest.raises(DataError, match="no ICD-9-CM code begins with 0"):
        read(folder)


def test_every_item_is_a_known_variable_and_no_table_names_one_twice() -> None:
    for name, events in wanted().items():
        assert len(events.labels) == len(set(events.labels)) == len(events.items), name
        assert [item.id for item in events.items] == list(range(1, len(events.items) + 1))
        assert not any("Highest" in label or "Lowest" in label for label in events.labels)
