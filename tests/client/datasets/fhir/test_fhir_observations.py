"""Measurements: codes, units, times, and whose they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.datasets.reading.fhir.codes import variables
from client.datasets.reading.fhir.events import _containing
from common.clinical.records import NONE, Admissions, Measurements
from common.exceptions import DataError

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def found(records: Any) -> list[tuple[str, float, float]]:
    part: Measurements = records.measurements
    return [
        (part.names[v], round(x, 4), t)
        for v, x, t in zip(part.variable.tolist(), part.value.tolist(), part.time.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("code", "value", "unit", "name", "expected"),
    [
        ("8867-4", 80, "/min", "heart_rate", 80),
        ("8310-5", 98.6, "[degF]", "temperature", 37),
        ("8310-5", 310.15, "K", "temperature", 37),
        ("2345-7", 5, "mmol/L", "glucose", 90.078),
        ("8302-2", 70, "[in_i]", "height", 177.8),
        ("29463-7", 150, "[lb_av]", "weight", 68.0389),
        ("3150-6", 40, "%", "fraction_inspired_oxygen", 0.4),
        ("718-7", 120, "g/L", "hemoglobin", 12),
        ("718-7", 8, "mmol/L", "hemoglobin", 12.8912),
        ("6690-2", 7500, "/uL", "white_blood_cells", 7.5),
        ("8480-6", 16, "kPa", "systolic_pressure", 120.0099),
    ],
)
def test_units_by_hand(admitted: Any, code: str, value: float, unit: str, name: str, expected: float) -> None:
    admitted.observation("o", code, value, unit)
    assert found(admitted.read()) == [(name, expected, 48.0)]


def test_every_variable_that_loinc_has_is_found_by_each_code_in_the_unit_that_is_written(admitted: Any) -> None:
    coded = [(variable, code) for variable in variables() for code in variable.codes]
    for i, (variable, code) in enumerate(coded):
        unit, conversion = next(iter(variable.units.items()))
        assert conversion == (1.0, 0.0)
        admitted.observation(f"o-{i}", code, (variable.low + variable.high) / 2, unit)
    assert sorted(name for name, _, _ in found(admitted.read())) == sorted(variable.name for variable, _ in coded)
    assert len({code for _, code in coded}) == len(coded)
    assert {variable.name for variable in variables() if not variable.codes} == {"capillary_refill", "sputum_culture"}


def test_a_unit_without_a_code_is_known_as_printed(admitted: Any) -> None:
    admitted.observation("o", "8480-6", valueQuantity={"value": 120, "unit": "mmHg"})
    assert found(admitted.read()) == [("systolic_pressure", 120.0, 48.0)]


@pytest.mark.parametrize(
    "quantity",
    [
        {"value": 37, "system": UCUM, "code": "mg/dL"},
        {"value": 37, "system": UCUM, "code": "cel"},
        {"value": 37},
        {"value": 37, "system": "http://ward.example/units", "code": "Cel"},
        {"value": "37", "system": UCUM, "code": "Cel"},
        {"value": True, "system": UCUM, "code": "Cel"},
        {"value": 10**400, "system": UCUM, "code": "Cel"},
    ],
)
def test_an_unknown_unit_or_a_value_that_is_no_number_is_refused(admitted: Any, quantity: dict[str, Any]) -> None:
    admitted.observation("o", "8310-5", valueQuantity=quantity)
    with pytest.raises(DataError) as refusal:
        admitted.read()
    assert refusal.value.row == 3
    assert str(refusal.value.field).startswith("Observation.valueQuantity")
    assert "37" not in str(refusal.value)


def test_components_are_measurements_of_the_whole(admitted: Any) -> None:
    parts = [
        {
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"},
        }
        for code, value in (("8480-6", 120), ("8462-4", 70), ("unknown", 3))
    ]
    admitted.observation("o", "85354-9", component=parts)
    admitted.observation("g", "9269-2", component=[], valueInteger=14)
    assert sorted(found(admitted.read())) == [
        ("diastolic_pressure", 70.0, 48.0),
        ("gcs_total", 14.0, 48.0),
        ("systolic_pressure", 120.0, 48.0),
    ]


@pytest.mark.parametrize(
    ("elements", "time"),
    [
        ({"effectiveDateTime": "1970-01-03T06:00:00+01:00"}, 53.0),
        ({"effectiveDateTime": "1970-01-02"}, 60.0),
        ({"effectiveDateTime": "", "effectiveInstant": "1970-01-03T06:00:00Z"}, 54.0),
        ({"effectiveDateTime": "", "effectivePeriod": {"start": "1970-01-02", "end": "1970-01-03T06:00:00Z"}}, 54.0),
        ({"effectiveDateTime": "", "issued": "1970-01-03T06:00:00Z"}, 54.0),
    ],
)
def test_a_value_counts_from_when_it_was_surely_there(admitted: Any, elements: dict[str, Any], time: float) -> None:
    admitted.observation("o", "8867-4", 80, **elements)
    assert found(admitted.read()) == [("heart_rate", 80.0, time)]


def test_what_tells_no_value_is_counted(admitted: Any) -> None:
    admitted.observation("a", "8867-4", 80, status="entered-in-error")
    admitted.observation("b", "8867-4", dataAbsentReason={"text": "asleep"})
    admitted.observation("c", "8867-4", valueQuantity={"value": 5, "comparator": "<", "system": UCUM, "code": "/min"})
    admitted.observation("d", "8867-4", 4000)
    admitted.observation("e", "8867-4", 80, effectiveDateTime="")
    admitted.observation("f", "8867-4", 80, effectiveDateTime="1970-02-02T00:00:00Z")
    admitted.observation("g", "69453-9", valueCodeableConcept={"text": "cause of death"})
    records = admitted.read()
    assert found(records) == []
    assert records.left_out == {
        "observations without a result": 1,
        "observations without an exact number": 2,
        "observations with an implausible value": 1,
        "observations without a time": 1,
        "observations outside hospital admissions": 1,
    }


def test_a_wrong_unit_shows_in_most_values(admitted: Any) -> None:
    for i in range(6):
        admitted.observation(f"o-{i}", "8310-5", 98.6, "Cel")
    with pytest.raises(DataError, match="most values are implausible") as refusal:
        admitted.read()
    assert refusal.value.field == "temperature"
    for i in range(6):
        admitted.observation(f"p-{i}", "8310-5", 36.6, "Cel")
    assert len(found(admitted.read())) == 6


def test_an_encounter_decides_and_otherwise_the_time(admitted: Any) -> None:
    admitted.encounter("b", period={"start": "1970-01-05T00:00:00Z"}, status="in-progress")
    admitted.encounter("visit", kind="AMB")
    late = {"effectiveDateTime": "1970-01-05T00:00:00Z"}
    admitted.observation("o", "8867-4", 1, encounter=admitted.to("Encounter", "a"), **late)
    admitted.observation("q", "8867-4", 2, **late)
    admitted.observation("r", "8867-4", 3, encounter=admitted.to("Encounter", "visit"))
    records = admitted.read()
    assert records.measurements.admission.tolist() == [0, 0, 1]
    assert records.measurements.value.tolist() == [3.0, 1.0, 2.0]
    assert records.measurements.time.tolist() == [48.0, 96.0, 96.0]


def test_an_admission_holds_what_happens_from_its_first_to_its_last_moment(admitted: Any) -> None:
    for i, time in enumerate(("01T23:59:59", "02T00:00:00", "05T00:00:00", "05T00:00:01")):
        admitted.observation(f"o-{i}", "8867-4", i, effectiveDateTime=f"1970-01-{time}Z")
    assert admitted.read().measurements.value.tolist() == [1.0, 2.0]


@given(st.data())
def test_the_admission_of_a_time_is_what_one_finds_by_looking_at_each(data: st.DataObject) -> None:
    hours = st.integers(0, 6).map(float)
    drawn = data.draw(st.lists(st.tuples(st.integers(0, 2), hours, st.none() | hours), max_size=6))
    rows = sorted(((p, s, None if n is None else s + n) for p, s, n in drawn), key=lambda row: row[:2])
    events = data.draw(st.lists(st.tuples(st.integers(0, 3), st.just(float("nan")) | hours), max_size=8))
    n = len(rows)
    person, time = (np.array([e[i] for e in events], kind) for i, kind in ((0, np.int64), (1, np.float64)))
    admissions = Admissions(
        patient=np.array([row[0] for row in rows], np.int64),
        start=np.array([row[1] for row in rows], np.float64),
        end=np.array([np.nan if row[2] is None else row[2] for row in rows], np.float64),
        age=np.full(n, np.nan, np.float32),
        died=np.zeros(n, np.int8),
        death=np.full(n, np.nan),
    )
    expected = []
    for who, when in events:
        begun = [i for i, (p, s, _) in enumerate(rows) if p == who and (s <= when or when != when)]
        last = begun[-1] if begun else NONE
        end = rows[last][2] if begun else None
        expected.append(last if begun and when == when and (end is None or when <= end) else NONE)
    assert _containing(admissions, person, time).tolist() == expected
