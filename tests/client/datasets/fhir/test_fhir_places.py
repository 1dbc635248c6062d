"""Stays told by the locations of an encounter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.exceptions import DataError

ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
HSLOC = "https://www.cdc.gov/nhsn/cdaportal/terminology/codesystem/hsloc.html"
GERMAN = "http://fhir.de/CodeSystem/dkgev/Fachabteilungsschluessel"


def location(ward: Any, name: str, system: str = "", code: str = "", **elements: Any) -> None:
    coded = {"type": [{"coding": [{"system": system, "code": code}]}]} if code else {}
    ward.add("Location", name, **coded | elements)


def at(name: str, start: str | None = None, end: str | None = None, **elements: Any) -> dict[str, Any]:
    """Place of an encounter; times are day and time of January 1970."""
    moments = {"start": start, "end": end}
    period = {key: f"1970-01-{moment}:00:00Z" for key, moment in moments.items() if moment}
    return {"location": {"reference": f"Location/{name}"}, **({"period": period} if period else {}), **elements}


@pytest.fixture
def icu(ward: Any) -> Any:
    """A patient, an intensive care unit, another one with a bed, and a ward."""
    ward.patient()
    location(ward, "icu", HSLOC, "1027-2")
    location(ward, "bed", partOf=ward.to("Location", "room"))
    location(ward, "room", partOf=ward.to("Location", "ccu"))
    location(ward, "ccu", ROLE, "CCU")
    location(ward, "ward", HSLOC, "1060-3")
    return ward


def stays(ward: Any) -> list[tuple[float, float, str]]:
    found = ward.read().stays
    return list(zip(found.start.tolist(), found.end.tolist(), found.unit.tolist(), strict=True))


def test_an_admission_that_passes_through_intensive_care_by_hand(icu: Any) -> None:
    icu.encounter(location=[at("ward", "02T00", "02T06"), at("icu", "02T06", "03T00"), at("ward", "03T00", "05T00")])
    records = icu.read()
    assert len(records.admissions) == 1
    assert stays(icu) == [(30.0, 48.0, "MICU")]
    assert records.stays.transferred is not None
    assert records.stays.transferred.tolist() == [False]
    assert records.left_out == {}


@pytest.mark.parametrize(
    ("system", "code", "unit"), [(ROLE, "PEDICU", "PICU"), (HSLOC, "1044-7", "Medical PICU"), (GERMAN, "3601", "MICU")]
)
def test_codes_of_a_location_type(ward: Any, system: str, code: str, unit: str) -> None:
    ward.patient()
    location(ward, "here", system, code)
    ward.encounter(location=[at("here", "02T00", "03T00")])
    assert stays(ward) == [(24.0, 48.0, unit)]


@pytest.mark.parametrize(
    ("system", "code"), [(HSLOC, "1060-3"), (ROLE, "ER"), ("http://ward.example", "ICU"), ("", "")]
)
def test_any_other_location_is_no_intensive_care(ward: Any, system: str, code: str) -> None:
    ward.patient()
    location(ward, "here", system, code, description="Intensive Care")
    ward.encounter(location=[at("here", "02T00", "03T00")])
    assert stays(ward) == []


def test_a_bed_is_where_its_unit_is_and_a_circle_is_nowhere(icu: Any) -> None:
    location(icu, "x", partOf=icu.to("Location", "y"))
    location(icu, "y", partOf=icu.to("Location", "x"))
    icu.encounter(location=[at("bed", "02T06", "03T00"), at("x", "03T00", "04T00")])
    assert stays(icu) == [(30.0, 48.0, "CCU")]


def test_places_without_a_gap_are_one_stay(icu: Any) -> None:
    beds = [at("bed", "03T00", "03T12"), at("icu", "02T06", "03T00"), at("ccu", "03T18", "04T00")]
    icu.encounter(location=beds)
    assert stays(icu) == [(30.0, 60.0, "MICU"), (66.0, 72.0, "CCU")]
    assert icu.read().stays.transferred.tolist() == [True, False]


def test_an_open_place_takes_what_follows_and_other_admissions_are_their_own(icu: Any) -> None:
    later = {"period": {"start": "1970-01-06T00:00:00Z"}, "status": "in-progress"}
    icu.encounter(location=[at("icu", "02T06"), at("icu", "03T00", "03T01")])
    icu.encounter("b", location=[at("icu", "06T00", "07T00")], **later)
    found = icu.read().stays
    assert found.admission.tolist() == [0, 1]
    assert found.start.tolist() == [30.0, 120.0]
    assert np.isnan(found.end[0])
    assert found.end[1] == 144.0


def test_a_place_at_the_time_of_a_coded_stay_is_that_stay(icu: Any) -> None:
    times = {"start": "1970-01-02T06:00:00Z", "end": "1970-01-03T00:00:00Z"}
    icu.encounter(location=[at("icu", "02T06", "03T01"), at("icu", "04T00", "04T06")])
    icu.stay(period=times, location=[at("icu", "02T07", "02T08")])
    assert stays(icu) == [(30.0, 48.0, "ICU"), (72.0, 78.0, "MICU")]


def test_a_place_without_a_period_is_for_the_whole_part_but_not_for_the_whole_admission(icu: Any) -> None:
    icu.encounter(location=[at("icu")])
    assert stays(icu) == []
    assert icu.read().left_out == {"places of intensive care without the time of day they began": 1}
    icu.encounter("part", part_of="a", location=[at("bed")])
    assert stays(icu) == [(24.0, 96.0, "CCU")]
    icu.resources[-1]["location"].append(at("ward"))
    assert stays(icu) == []


@pytest.mark.parametrize(("status", "found"), [("planned", 0), ("reserved", 0), ("active", 1), ("completed", 1)])
def test_where_the_patient_never_was_is_no_stay(icu: Any, status: str, found: int) -> None:
    icu.encounter(location=[at("icu", "02T06", "03T00", status=status)])
    assert len(stays(icu)) == found


def test_an_emergency_visit_that_went_to_intensive_care_is_an_admission(icu: Any) -> None:
    icu.encounter(kind="EMER", location=[at("icu", "02T06", "03T00")])
    icu.encounter("b", kind="EMER", location=[at("ward", "02T06", "03T00")])
    icu.encounter("c", kind="EMER", status="cancelled", location=[at("icu", "02T06", "03T00")])
    records = icu.read()
    assert (len(records.admissions), len(records.stays)) == (1, 1)


def test_a_place_that_is_not_there_is_counted(icu: Any) -> None:
    icu.encounter(location=[at("elsewhere", "02T06", "03T00"), at("icu", "03T00", "04T00")])
    assert stays(icu) == [(48.0, 72.0, "MICU")]
    assert icu.read().left_out == {"places of encounters that lead to no Location": 1}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (at("icu", "03T00", "02T00"), "Encounter.location[0].period.end"),
        (at("icu", "03T00", status="there"), "Encounter.location[0].status"),
        ({"location": "icu"}, "Encounter.location[0].location"),
    ],
)
def test_a_wrong_place_is_refused_where_it_stands(icu: Any, change: dict[str, Any], field: str) -> None:
    icu.encounter(location=[change])
    with pytest.raises(DataError) as refusal:
        icu.read()
    assert (refusal.value.row, refusal.value.field) == (7, field)
