"""MIMIC-IV: the example folder by hand; what the publisher knows of is repaired, the rest refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from client.datasets import mimic_iv
from client.datasets.base import ALL, Select
from client.datasets.reading.events import Events
from client.datasets.reading.mimic_measurements import Whereabouts, table
from common.clinical.records import Records
from common.exceptions import DataError
from tests.reading import cache_in

EXAMPLE = Path(__file__).parents[2] / "contract" / "examples" / "mimic_iv.py"


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mimic_iv_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = _example()


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("mimic")
    example.write(folder)
    return mimic_iv.read(folder, ALL, mimic_iv.PARTS, cache_in(folder / "cache"))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Records]:
    """Read the example with some tables replaced: name without folder to rows."""

    def read_(parts: tuple[str, ...] = (), select: Select = ALL, **changes: list[dict[str, Any]]) -> Records:
        for name, rows in example.tables().items():
            example.save(tmp_path / "data" / f"{name}.csv.gz", changes.get(name.partition("/")[2], rows))
        return mimic_iv.read(tmp_path / "data", select, parts, cache_in(tmp_path / "cache"))

    return read_


def hours(moment: str) -> float:
    return float(np.datetime64(moment, "s").astype(np.int64)) / 3600


def changed(name: str, row: int, **cells: object) -> list[dict[str, Any]]:
    rows = [dict(each) for each in example.tables()[name]]
    rows[row] |= cells
    return rows


def measured(records: Records, admission: int, variable: str) -> list[tuple[float, float]]:
    m = records.measurements
    assert m is not None
    chosen = (m.admission == admission) & (m.variable == m.names.index(variable))
    return [(round(t, 6), round(float(v), 4)) for t, v in zip(m.time[chosen], m.value[chosen], strict=True)]


def test_people_admissions_and_stays(records: Records) -> None:
    assert records.patients.identifier.tolist() == [example.person(n) for n in range(1, 8)]
    assert records.patients.male.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert records.admissions.patient.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert records.admissions.start[:2].tolist() == [hours("2150-01-01"), hours("2150-05-01")]
    assert records.admissions.end[:3].tolist() == [hours(f"2150-{day}") for day in ("01-09", "05-04", "01-09T12:00")]
    assert records.admissions.age.tolist() == [62, 62, 90, 62, 62, 62, 62, 62]
    assert records.admissions.died.tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert records.admissions.death[2] == hours("2150-01-09T12:00")
    assert records.stays.admission.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert records.stays.start[:2].tolist() == [hours("2150-01-01T12:00"), hours("2150-01-04")]
    assert np.isnan(records.stays.end[2])
    assert records.stays.unit[:2].tolist() == [example.UNITS[0], example.UNITS[1]]
    assert records.stays.transferred is not None
    assert records.stays.transferred[:3].tolist() == [False, True, False]


def test_measurements_are_placed_converted_and_summed(records: Records) -> None:
    at = hours("2150-01-01T13:00")
    assert measured(records, 0, "heart_rate") == [(at + 0.5, 88)]
    assert measured(records, 0, "temperature") == [(hours("2149-12-31T22:00"), 38), (at, 37)]
    assert measured(records, 0, "fraction_inspired_oxygen") == [(at, 0.4)]
    assert measured(records, 0, "gcs_eye") == [(at, 4), (at + 1, 3)]
    assert measured(records, 0, "gcs_total") == [(at, 15)]
    assert measured(records, 0, "oxygen_saturation") == [(hours("2149-12-31T22:00"), 91)]
    assert measured(records, 2, "fraction_inspired_oxygen") == [(hours("2150-01-02T06:00"), 0.6)]
    assert records.left_out == {"values outside hospital admissions": 1}
    outside = ("chartevents.csv.gz", "valuenum, item 220045: heart_rate", "1/min", 0, 1)
    assert [(i.file, i.field, i.unit, i.below, i.above) for i in records.implausible] == [outside]


def procedure(item: int, moment: str) -> dict[str, Any]:
    row = example.tables()["icu/chartevents"][0]
    key = {"subject_id": row["subject_id"], "hadm_id": row["hadm_id"]}
    return key | {"starttime": moment, "itemid": item, "value": "", "valueuom": "None"}


def test_a_sputum_culture_is_obtained_when_the_procedure_begins(tmp_path: Path) -> None:
    for name, rows in example.tables().items():
        example.save(tmp_path / "data" / f"{name}.csv.gz", rows)
    moments = ("2150-01-01 15:00:00", "2150-01-02 15:00:00")
    rows = [*(procedure(225451, moment) for moment in moments), procedure(225459, moments[0])]
    example.save(tmp_path / "data" / "icu" / "procedureevents.csv.gz", rows)
    found = mimic_iv.read(tmp_path / "data", ALL, ("measurements",), cache_in(tmp_path / "cache"))
    assert measured(found, 0, "sputum_culture") == [(hours(moment.replace(" ", "T")), 1) for moment in moments]
    rows[1]["starttime"] = "2150-02-30 00:00:00"
    example.save(tmp_path / "data" / "icu" / "procedureevents.csv.gz", rows)
    with pytest.raises(DataError, match=r"procedureevents\.csv\.gz, row 2, field 'starttime'"):
        mimic_iv.read(tmp_path / "data", ALL, ("measurements",), cache_in(tmp_path / "cache"))


def test_a_value_without_admission_belongs_to_the_one_around_it(records: Records) -> None:
    assert measured(records, 0, "hemoglobin") == [(hours("2150-01-02T06:00"), 9.5), (hours("2150-01-03T06:00"), 9.25)]
    assert measured(records, 1, "hemoglobin") == []


def test_codes_are_spelled_one_way_and_have_words(records: Records) -> None:
    diagnoses = records.diagnoses
    assert diagnoses is not None
    assert diagnoses.title is not None
    first = list(zip(diagnoses.admission, diagnoses.code, diagnoses.version, diagnoses.title, strict=True))[:3]
    assert first == [
        (0, "07070", 9, "Viral hepatitis C, unspecified"),
        (1, "J441", 10, "COPD with (acute) exacerbation"),
        (2, "4280", 9, ""),
    ]


def test_notes_count_as_written_when_stored_and_summaries_not_before_the_discharge(records: Records) -> None:
    notes = records.notes
    assert notes is not None
    assert notes.admission.tolist() == [0, 0, 3]
    assert notes.kind.tolist() == ["radiology", "discharge", "radiology"]
    assert notes.time.tolist() == [hours("2150-01-02T11:30"), hours("2150-01-09"), hours("2150-01-02T10:00")]
    assert notes.text[0] == 'SYN-film, "clear"\nlungs'


def test_a_unit_is_a_site_of_its_own(read: Callable[..., Records], tmp_path: Path) -> None:
    part = read(("measurements",), Select("unit", (example.UNITS[1],)))
    assert set(part.stays.unit.tolist()) == {example.UNITS[1]}
    assert part.patients.identifier.tolist() == [example.person(n) for n in (1, 4, 7)]
    assert len(part.admissions) == 3
    sites = mimic_iv.sites(tmp_path / "data", "unit")
    assert list(sites) == ["micu", "neuro-stepdown", "sicu"]
    assert sites["sicu"].values == (example.UNITS[1],)


def test_units_that_would_share_a_name_are_refused(read: Callable[..., Records], tmp_path: Path) -> None:
    read(icustays=changed("icu/icustays", 0, first_careunit="Other Unit (MICU)"))
    with pytest.raises(DataError, match="same name"):
        mimic_iv.sites(tmp_path / "data", "unit")


@pytest.mark.parametrize(
    ("cells", "end", "death"),
    [
        ({"dischtime": "2150-05-01 00:00:00"}, "2150-05-01T00:00", None),
        ({"dischtime": "2150-04-30 18:00:00"}, "2150-05-01T00:00", None),
        (
            {"dischtime": "2150-05-03 00:00:00", "deathtime": "2150-05-03 22:00:00", "hospital_expire_flag": "1"},
            *["2150-05-03T22:00"] * 2,
        ),
        (
            {"dischtime": "2150-04-30 23:00:00", "deathtime": "2150-04-30 23:00:00", "hospital_expire_flag": "1"},
            *["2150-05-01T00:00"] * 2,
        ),
        ({"hospital_expire_flag": "1"}, "2150-05-04T00:00", None),
        ({"dischtime": ""}, None, None),
    ],
)
def test_known_errors_of_the_clock_are_repaired(
    read: Callable[..., Records], cells: dict[str, str], end: str | None, death: str | None
) -> None:
    admissions = read(admissions=changed("hosp/admissions", 0, **cells)).admissions
    expected = [hours(moment) if moment else np.nan for moment in (end, death)]
    np.testing.assert_equal([admissions.end[1], admissions.death[1]], expected)
    assert admissions.died[1] == int(cells.get("hospital_expire_flag", "0"))


@pytest.mark.parametrize(
    ("name", "row", "cells", "field"),
    [
        ("hosp/admissions", 0, {"dischtime": "2150-04-29 23:00:00"}, "dischtime"),
        ("hosp/admissions", 2, {"deathtime": "2149-12-01 23:00:00"}, "deathtime"),
        ("hosp/admissions", 0, {"deathtime": "2150-05-02 23:00:00"}, "deathtime"),
        ("hosp/admissions", 0, {"admittime": ""}, "admittime"),
        ("hosp/admissions", 0, {"admittime": "2150-02-30 00:00:00"}, "admittime"),
        ("hosp/admissions", 0, {"hadm_id": ""}, "hadm_id"),
        ("hosp/admissions", 1, {"hadm_id": example.hospital(2)}, "hadm_id"),
        ("hosp/admissions", 3, {"subject_id": "999"}, "subject_id"),
        ("hosp/admissions", 3, {"hospital_expire_flag": "yes"}, "hospital_expire_flag"),
        ("hosp/patients", 2, {"gender": "X"}, "gender"),
        ("hosp/patients", 2, {"anchor_age": "old"}, "anchor_age"),
        ("icu/icustays", 1, {"outtime": "2150-01-01 11:00:00"}, "outtime"),
        ("icu/icustays", 1, {"hadm_id": "1234"}, "hadm_id"),
        ("icu/icustays", 1, {"subject_id": example.person(2)}, "subject_id"),
        ("icu/icustays", 1, {"first_careunit": ""}, "first_careunit"),
        ("hosp/diagnoses_icd", 0, {"icd_code": "70"}, "icd_code"),
        ("hosp/diagnoses_icd", 1, {"icd_version": "9"}, "icd_code"),
        ("hosp/diagnoses_icd", 1, {"icd_version": "11"}, "icd_version"),
        ("hosp/labevents", 3, {"valueuom": "mmHg"}, "valueuom"),
        ("icu/chartevents", 1, {"valueuom": "°C"}, "valueuom"),
        ("ed/vitalsign", 0, {"o2sat": "low"}, "o2sat"),
        ("note/discharge", 0, {"storetime": "soon"}, "storetime"),
    ],
)
def test_what_cannot_be_is_refused_by_row_and_field(
    read: Callable[..., Records], name: str, row: int, cells: dict[str, str], field: str
) -> None:
    with pytest.raises(DataError) as refusal:
        read(tuple(mimic_iv.PARTS), **{name.partition("/")[2]: changed(name, row, **cells)})
    assert refusal.value.file is not None
    assert refusal.value.file.startswith(name.partition("/")[2])
    assert (refusal.value.row, refusal.value.field) == (row + 1, field)
    assert not [text for text in cells.values() if text and text in str(refusal.value) and text not in ("9", "X")]


def test_an_event_in_another_persons_admission_is_refused(read: Callable[..., Records]) -> None:
    with pytest.raises(DataError, match="another"):
        read(("measurements",), chartevents=changed("icu/chartevents", 0, subject_id=example.person(2)))


def test_optional_folders_may_be_absent(read: Callable[..., Records], tmp_path: Path) -> None:
    read()
    for name in ("ed", "note"):
        for file in (tmp_path / "data" / name).iterdir():
            file.unlink()
        (tmp_path / "data" / name).rmdir()
    without = mimic_iv.read(tmp_path / "data", ALL, mimic_iv.PARTS, cache_in(tmp_path / "cache"))
    assert without.notes is None
    assert measured(without, 0, "oxygen_saturation") == []


def test_placing_agrees_with_a_loop() -> None:
    rng = np.random.default_rng(3)
    person = rng.integers(1, 6, 12)
    start = np.arange(12) * 50.0
    where = Whereabouts(rng.permutation(12) + 100, person, start, start + rng.integers(0, 200, 12))
    events = Events(
        rng.integers(0, 8, 400), np.full(400, -1), rng.integers(-50, 900, 400), np.zeros(400, np.int16), np.zeros(400)
    )
    expected = []
    for who, when in zip(events.person, events.seconds, strict=True):
        begun = [a for a in range(12) if person[a] == who and where.start[a] <= when]
        latest = max(begun, key=lambda a: where.start[a], default=-1)
        expected.append(latest if begun and when <= where.end[latest] else -1)
    assert where.rows(events, "e").tolist() == expected
    assert len(set(expected)) > 5


def test_items_are_of_known_variables_and_no_item_is_there_twice() -> None:
    for name in ("chartevents", "labevents"):
        items = table(name).items
        assert len({item.id for item in items}) == len(items)
        assert all(item.low < item.high for item in items)
        assert {51478, 51094, 51491, 50831}.isdisjoint(item.id for item in items)


def specimen(who: int, admitted: int | None, time: str, kind: str = "SPUTUM") -> dict[str, Any]:
    hospital = "" if admitted is None else example.hospital(admitted)
    return {"subject_id": example.person(who), "hadm_id": hospital, "charttime": time, "spec_type_desc": kind}


def test_sputum_cultures_count_when_they_were_taken(tmp_path: Path, read: Callable[..., Records]) -> None:
    without = read(("measurements",))
    assert measured(without, 0, "sputum_culture") == []
    specimens = [
        specimen(1, 1, "2150-01-02 06:00:00"),
        specimen(1, 1, "2150-01-02 06:00:00"),  # another organism
        specimen(1, 1, ""),  # some day
        specimen(1, 1, "2150-01-02 07:00:00", "URINE"),
        specimen(1, None, "2150-01-03 06:00:00"),
        specimen(1, None, "2150-03-03 06:00:00"),  # at home
        specimen(2, 3, "2150-01-02 08:00:00"),
    ]
    charted = [
        {"subject_id": example.person(1), "hadm_id": example.hospital(1), "starttime": time, "itemid": item}
        for time, item in (("2150-01-04 10:00:00", 225451), ("2150-01-04 11:00:00", 225401))
    ]
    example.save(tmp_path / "data" / "hosp" / "microbiologyevents.csv.gz", specimens)
    example.save(tmp_path / "data" / "icu" / "procedureevents.csv.gz", charted)
    found = read(("measurements",))
    expected = ("2150-01-02T06:00", "2150-01-03T06:00", "2150-01-04T10:00")
    assert measured(found, 0, "sputum_culture") == [(hours(moment), 1) for moment in expected]
    assert measured(found, 2, "sputum_culture") == [(hours("2150-01-02T08:00"), 1)]
    assert found.digest != without.digest
    example.save(tmp_path / "data" / "hosp" / "microbiologyevents.csv.gz", [specimen(2, 1, "2150-01-02 08:00:00")])
    with pytest.raises(DataError, match="one person in an admission of another"):
        read(("measurements",))
