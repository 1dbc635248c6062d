"""Medicines ordered: codes, the Medication they name, times, and what is no order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.clinical.records import Records
from common.exceptions import DataError

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC, NDC = "http://www.whocc.no/atc", "http://hl7.org/fhir/sid/ndc"
WRITTEN = "1970-01-03T00:00:00Z"


def concept(*codings: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codings]}


def order(ward: Any, name: str, **elements: Any) -> dict[str, Any]:
    """Order salbutamol, unless told otherwise."""
    given = {"status": "active", "intent": "order", "authoredOn": WRITTEN, "subject": ward.to("Patient", "p")}
    if "medicationReference" not in elements:
        given["medicationCodeableConcept"] = concept((RXNORM, "435"))
    resource: dict[str, Any] = ward.add("MedicationRequest", name, **given | elements)
    return resource


def read(ward: Any) -> Records:
    records: Records = ward.read({"medications"})
    return records


def told(ward: Any) -> list[tuple[str, str, float]]:
    part = read(ward).medications
    assert part is not None
    return list(zip(part.system.tolist(), part.code.tolist(), part.time.tolist(), strict=True))


def test_orders_by_hand(admitted: Any) -> None:
    order(admitted, "late", authoredOn="1970-01-03T06:00:00+01:00")
    order(admitted, "early", authoredOn="1970-01-02T06:00:00Z", medicationCodeableConcept=concept((ATC, "R03AC02")))
    order(admitted, "day", authoredOn="1970-01-03", encounter=admitted.to("Encounter", "a"))
    assert told(admitted) == [("ATC", "R03AC02", 30.0), ("RxNorm", "435", 53.0), ("RxNorm", "435", 84.0)]
    assert read(admitted).left_out == {}


def test_of_several_codes_the_one_of_the_first_system_counts(admitted: Any) -> None:
    several = concept(("http://ward.example", "7"), (NDC, "0173-0682-20"), (ATC, "R03AC02"), (RXNORM, "435"))
    order(admitted, "a", medicationCodeableConcept=several)
    order(admitted, "b", medicationCodeableConcept=concept((NDC, "0173-0682-20")))
    assert told(admitted) == [("RxNorm", "435", 48.0), ("NDC", "0173-0682-20", 48.0)]


def test_a_medicine_may_be_named_by_reference_before_or_after_or_inside(admitted: Any) -> None:
    order(admitted, "before", medicationReference=admitted.to("Medication", "m"))
    admitted.add("Medication", "m", code=concept((ATC, "R03AC02")))
    inside = {"resourceType": "Medication", "id": "m", "code": concept((RXNORM, "435"))}
    order(admitted, "inside", medicationReference={"reference": "#m"}, contained=[inside])
    assert told(admitted) == [("ATC", "R03AC02", 48.0), ("RxNorm", "435", 48.0)]


@pytest.mark.parametrize("elements", [{"encounter": {"reference": "Encounter/a"}}, {}])
def test_an_order_without_a_time_has_none(admitted: Any, elements: dict[str, Any]) -> None:
    order(admitted, "o", authoredOn="", **elements)
    part = read(admitted).medications
    assert part is not None
    assert np.isnan(part.time).all()
    assert len(part) == len(elements)


@pytest.mark.parametrize(
    "elements",
    [
        *({"status": status} for status in ("cancelled", "entered-in-error", "draft", "unknown")),
        *({"intent": intent} for intent in ("proposal", "plan", "option")),
        {"doNotPerform": True},
    ],
)
def test_what_was_not_ordered_is_counted(admitted: Any, elements: dict[str, Any]) -> None:
    order(admitted, "o", **elements)
    order(admitted, "p", status="stopped", intent="filler-order", doNotPerform=False)
    assert told(admitted) == [("RxNorm", "435", 48.0)]
    assert read(admitted).left_out == {"medicines that were not ordered": 1}


def test_what_has_no_code_or_admission_is_counted(admitted: Any) -> None:
    admitted.encounter("visit", kind="AMB")
    order(admitted, "text", medicationCodeableConcept={"text": "salbutamol"})
    order(admitted, "empty", medicationReference=admitted.to("Medication", "m"))
    admitted.add("Medication", "m")
    order(admitted, "home", authoredOn="1970-02-03T00:00:00Z", encounter=admitted.to("Encounter", "visit"))
    assert told(admitted) == []
    assert read(admitted).left_out == {
        "medicines without a code of a known system": 2,
        "medicines ordered outside hospital admissions": 1,
        "encounters that are no hospital admission nor part of one": 1,
    }


@pytest.mark.parametrize(
    ("elements", "field"),
    [
        ({"medicationReference": {"reference": "Medication/gone"}}, "medicationReference.reference"),
        ({"medicationReference": {"reference": "#gone"}, "contained": [{"id": "g"}]}, "medicationReference.reference"),
        ({"medicationCodeableConcept": concept((RXNORM, "435 ; drop"))}, "medicationCodeableConcept.coding.code"),
        ({"medicationCodeableConcept": concept((RXNORM, ""))}, "medicationCodeableConcept.coding.code"),
        ({"subject": {"reference": "Patient/gone"}}, "subject.reference"),
        ({"encounter": {"reference": "Encounter/gone"}}, "encounter.reference"),
        ({"status": "ordered"}, "status"),
        ({"intent": ""}, "intent"),
        ({"doNotPerform": "no"}, "doNotPerform"),
        ({"authoredOn": "3.4.1970"}, "authoredOn"),
    ],
)
def test_a_wrong_order_is_refused_where_it_stands(admitted: Any, elements: dict[str, Any], field: str) -> None:
    order(admitted, "o", **elements)
    with pytest.raises(DataError) as refusal:
        read(admitted)
    assert (refusal.value.row, refusal.value.field) == (3, f"MedicationRequest.{field}")


def test_orders_of_no_interest_are_not_read(admitted: Any) -> None:
    order(admitted, "o", status="ordered")
    records = admitted.read(())
    assert records.medications is None
    assert records.left_out == {"resources of types that are not read": 1}
