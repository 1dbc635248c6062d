"""Admissions, stays and how they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.exceptions import DataError

EXPIRED = {"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": "exp"}
HOME = EXPIRED | {"code": "home"}
LOCAL = {"system": "http://ward.example/disposition", "code": "7"}
NUBC = {"system": "http://www.nubc.org/patient-discharge", "code": "20"}


def discharged(coding: dict[str, str]) -> dict[str, Any]:
    return {"dischargeDisposition": {"coding": [coding]}}


def test_an_admission_with_a_stay_by_hand(ward: Any) -> None:
    ward.patient(gender="female", birthDate="1950-01-02")
    ward.encounter(period={"start": "1970-01-02T01:00:00+01:00", "end": "1970-01-05T12:00:00Z"})
    ward.stay(period={"start": "1970-01-02T06:00:00Z", "end": "1970-01-03T00:00:00Z"})
    records = ward.read()
    assert records.patients.identifier.tolist() == ["p"]
    assert records.patients.male.tolist() == [0.0]
    admissions, stays = records.admissions, records.stays
    assert (admissions.start.tolist(), admissions.end.tolist()) == ([24.0], [108.0])
    assert (admissions.age.tolist(), admissions.died.tolist()) == ([20.0], [0])
    assert (stays.admission.tolist(), stays.start.tolist(), stays.end.tolist()) == ([0], [30.0], [48.0])
    assert stays.unit.tolist() == ["ICU"]


@pytest.mark.parametrize(
    ("kind", "admissions"), [("IMP", 1), ("ACUTE", 1), ("OBSENC", 1), ("AMB", 0), ("EMER", 0), ("VR", 0)]
)
def test_the_class_decides_what_an_admission_is(ward: Any, kind: str, admissions: int) -> None:
    ward.patient()
    ward.encounter(kind=kind)
    assert len(ward.read().admissions) == admissions


def test_an_emergency_visit_that_led_to_intensive_care_is_an_admission(ward: Any) -> None:
    ward.patient()
    ward.encounter(kind="EMER")
    ward.encounter("floor", kind="IMP", part_of="a")
    ward.stay(part_of="floor")
    records = ward.read()
    assert len(records.admissions) == 1
    assert records.stays.admission.tolist() == [0]


@pytest.mark.parametrize(
    "elements",
    [
        {"type": [{"coding": [{"system": "http://snomed.info/sct", "code": "418433008"}]}]},
        {"serviceType": {"coding": [{"system": "http://snomed.info/sct", "code": "408478003"}]}, "type": []},
        {"type": [], "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "CCU"}},
    ],
)
def test_intensive_care_is_told_by_type_service_or_class(admitted: Any, elements: dict[str, Any]) -> None:
    admitted.stay(**elements)
    assert len(admitted.read().stays) == 1


def test_a_ward_is_no_stay_and_a_unit_keeps_its_name(admitted: Any) -> None:
    admitted.encounter("floor", part_of="a")
    admitted.stay(type=[{"coding": [{"system": "http://snomed.info/sct", "code": "441994008"}], "text": "MICU North"}])
    assert admitted.read().stays.unit.tolist() == ["MICU North"]


@pytest.mark.parametrize("status", ["planned", "cancelled", "entered-in-error"])
def test_what_did_not_take_place_is_left_out(admitted: Any, status: str) -> None:
    admitted.encounter("b", status=status)
    admitted.stay(status=status)
    records = admitted.read()
    assert (len(records.admissions), len(records.stays)) == (1, 0)
    assert records.left_out["encounters that are no hospital admission nor part of one"] == 1


def test_a_date_is_no_time_of_admission(admitted: Any) -> None:
    admitted.encounter("b", period={"start": "1970-03-01", "end": "1970-03-09T00:00:00Z"})
    admitted.stay(period={"start": "1970-01-02", "end": "1970-01-04"})
    records = admitted.read()
    assert (len(records.admissions), len(records.stays)) == (1, 0)
    assert records.left_out["admissions without the time of day they began"] == 1
    assert records.left_out["stays without the time of day they began"] == 1


def test_an_admission_that_goes_on_has_no_end_and_no_outcome(ward: Any) -> None:
    ward.patient()
    ward.encounter(status="in-progress", period={"start": "1970-01-02T00:00:00Z"})
    admissions = ward.read().admissions
    assert np.isnan(admissions.end).all()
    assert admissions.died.tolist() == [-1]


@pytest.mark.parametrize(
    ("death", "coding", "died", "when"),
    [
        ({}, None, 0, None),
        ({}, HOME, 0, None),
        ({}, EXPIRED, 1, None),
        ({}, NUBC, 1, None),
        ({}, LOCAL, -1, None),
        ({"deceasedBoolean": False}, LOCAL, 0, None),
        ({"deceasedDateTime": "1970-01-05T00:00:00Z"}, None, 1, 96.0),
        ({"deceasedDateTime": "1970-01-04T12:00:00Z"}, EXPIRED, 1, 84.0),
        ({"deceasedDateTime": "1970-01-04T12:00:00Z"}, LOCAL, 1, 84.0),
        ({"deceasedDateTime": "1970-01-04T12:00:00Z"}, HOME, -1, None),
        ({"deceasedDateTime": "1970-01-05T00:00:01Z"}, None, 0, None),
        ({"deceasedDateTime": "1970-01-05T00:00:01Z"}, LOCAL, 0, None),
        ({"deceasedDateTime": "1971-01-05T00:00:01Z"}, EXPIRED, 1, None),
        ({"deceasedDateTime": "1969-01-05T00:00:01Z"}, None, -1, None),
        ({"deceasedDateTime": "1970-01-03"}, None, 1, None),
        ({"deceasedDateTime": "1970-01-05"}, None, -1, None),
        ({"deceasedDateTime": "1970-01"}, HOME, 0, None),
        ({"deceasedDateTime": "1970-02"}, None, 0, None),
        ({"deceasedBoolean": True}, None, -1, None),
        ({"deceasedBoolean": True}, HOME, 0, None),
        ({"deceasedBoolean": True}, EXPIRED, 1, None),
    ],
)
def test_death_in_hospital(
    ward: Any, death: dict[str, Any], coding: dict[str, str] | None, died: int, when: float | None
) -> None:
    ward.patient(**death)
    ward.encounter(**({"hospitalization": discharged(coding)} if coding else {}))
    admissions = ward.read().admissions
    assert admissions.died.tolist() == [died]
    assert admissions.death.tolist() == [when] if when is not None else np.isnan(admissions.death).all()


def test_who_comes_back_had_not_died(ward: Any) -> None:
    ward.patient(deceasedBoolean=True)
    ward.encounter("b", period={"start": "1970-02-02T00:00:00Z", "end": "1970-02-05T00:00:00Z"})
    ward.encounter()
    assert ward.read().admissions.died.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("birth", "age"),
    [
        *(("1950-01-02", 20), ("1950-01-03", 19), ("1950-06", 19), ("1950", 19)),
        *(("1870-01-01", 90), ("0001-01-01", 90), ("1970-01-03", 0), ("1970-01-04", 0)),
    ],
)
def test_age_in_completed_years(ward: Any, birth: str, age: float) -> None:
    ward.patient(birthDate=birth)
    ward.encounter()
    assert ward.read().admissions.age.tolist() == [age]


def test_an_age_told_counts_where_there_is_no_birth_date(admitted: Any) -> None:
    year = {"value": 90, "comparator": ">=", "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}
    admitted.observation("age", "30525-0", encounter={"reference": "Encounter/a"}, valueQuantity=year)
    assert admitted.read(parts=()).admissions.age.tolist() == [90.0]


def test_linked_patients_are_one_person(ward: Any) -> None:
    ward.patient("new", gender="male", birthDate="1950-01-01")
    ward.patient("old", link=[{"other": ward.to("Patient", "new"), "type": "replaced-by"}], deceasedBoolean=True)
    ward.patient("elsewhere", link=[{"other": ward.to("Patient", "unknown"), "type": "seealso"}])
    ward.encounter("a", "new")
    ward.encounter("b", "old", period={"start": "1970-02-02T00:00:00Z", "end": "1970-02-05T00:00:00Z"})
    records = ward.read()
    assert records.patients.identifier.tolist() == ["elsewhere", "new"]
    assert records.admissions.patient.tolist() == [1, 1]
    assert records.admissions.died.tolist() == [0, -1]
    assert records.admissions.age.tolist() == [20.0, 20.0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"period": {"start": "1970-01-02T00:00:00Z", "end": "1970-01-01T00:00:00Z"}}, "Encounter.period.end"),
        ({"period": {"start": "1970-01-02T00:00:00"}}, "Encounter.period.start"),
        ({"period": []}, "Encounter.period"),
        ({"status": "over"}, "Encounter.status"),
        ({"status": None}, "Encounter.status"),
        ({"class": "IMP"}, "Encounter.class"),
        ({"type": [3]}, "Encounter.type[0]"),
        ({"type": {}}, "Encounter.type"),
        ({"subject": {}}, "Encounter.subject.reference"),
        ({"subject": {"reference": "Patient/q"}}, "Encounter.subject.reference"),
        ({"partOf": {"reference": "Encounter/zz"}}, "Encounter.partOf.reference"),
        ({"partOf": {"reference": "Encounter/a"}}, "Encounter.partOf"),
    ],
)
def test_a_wrong_encounter_is_refused_where_it_stands(ward: Any, change: dict[str, Any], field: str) -> None:
    ward.patient()
    ward.encounter(**change)
    with pytest.raises(DataError) as refusal:
        ward.read()
    assert (refusal.value.row, refusal.value.field) == (2, field)


def test_circles_and_other_people_are_refused(ward: Any) -> None:
    ward.patient()
    ward.patient("q")
    first = ward.encounter("a", part_of="b")
    ward.encounter("b", part_of="a")
    with pytest.raises(DataError, match="part of itself"):
        ward.read()
    del first["partOf"]
    first["subject"] = ward.to("Patient", "q")
    with pytest.raises(DataError, match="another person"):
        ward.read()


def test_an_admission_before_birth_is_refused(ward: Any) -> None:
    ward.patient(birthDate="1970-01-05")
    ward.encounter()
    with pytest.raises(DataError, match="before the patient's birth"):
        ward.read()
