"""FHIR R4 resources, written as JSON values."""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from client.datasets.reading.fhir.codes import LOINC, UCUM, Variable, codings, fhir
from common.exceptions import DataError

Resource = dict[str, Any]
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
DISPOSITIONS = {
    0: {"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": "oth"},
    1: {"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": "exp"},
    -1: {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"},
}
DIAGNOSIS_SYSTEMS = {
    0: "http://snomed.info/sct",
    9: "http://hl7.org/fhir/sid/icd-9-cm",
    10: "http://hl7.org/fhir/sid/icd-10-cm",
}
CONFIRMED = {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}
DIGITAL_RADIOGRAPHY = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"}
DIGITAL_FILM = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.1.1"}
"""SOP class of digital X-ray images: FHIR asks for one, records do not tell it."""
OLDEST = 90.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Subject:
    """A patient under a new name.

    Attributes
    ----------
    identifier : uuid.UUID
        The patient's new name.
    namespace : uuid.UUID
        Of the names of all that is the patient's; secret, as those names are made of old ones.
    shift : float, hours
        Added to every time.
    """

    identifier: uuid.UUID
    namespace: uuid.UUID = field(repr=False)
    shift: float = field(repr=False)

    def name(self, *parts: str | int) -> str:
        """Return the name of something of the patient's: UUID5 (RFC 4122) of what it is."""
        return str(uuid.uuid5(self.namespace, "/".join(map(str, parts))))

    def instant(self, hours: float) -> str:
        """Write a time, to the millisecond.

        Raises
        ------
        DataError
            When it is beyond the calendar.
        """
        try:
            moment = _EPOCH + timedelta(milliseconds=round((hours + self.shift) * 3_600_000))
        except OverflowError:
            raise DataError("a time beyond the calendar", file="records") from None
        return moment.isoformat(timespec="milliseconds")

    def period(self, start: float, end: float) -> dict[str, str]:
        """Write a Period; an unknown end is left out."""
        return {"start": self.instant(start)} | ({} if math.isnan(end) else {"end": self.instant(end)})

    def resource(self, kind: str, identifier: str, **elements: Any) -> Resource:
        """Write a resource about the patient."""
        return {"resourceType": kind, "id": identifier, "subject": reference(str(self.identifier)), **elements}


def bundle(resources: Iterable[Resource]) -> Resource:
    """Write a transaction that stores resources under their names, however often it is repeated."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{resource['id']}",
            "resource": resource,
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def reference(identifier: str) -> dict[str, str]:
    """Write a Reference within the bundle."""
    return {"reference": f"urn:uuid:{identifier}"}


def patient(subject: Subject, male: float, died: bool, death: float) -> Resource:
    """Write a Patient; ``death`` is NaN where unknown."""
    resource: Resource = {"resourceType": "Patient", "id": str(subject.identifier)}
    resource["gender"] = {1.0: "male", 0.0: "female"}.get(male, "unknown")
    if died:
        told = {"deceasedBoolean": True} if math.isnan(death) else {"deceasedDateTime": subject.instant(death)}
        resource |= told
    return resource


def admission(subject: Subject, name: str, start: float, end: float, died: int) -> Resource:
    """Write the Encounter of an admission."""
    return _encounter(subject, name, start, end, "IMP") | {
        "hospitalization": {"dischargeDisposition": {"coding": [DISPOSITIONS[died]]}}
    }


def stay(subject: Subject, name: str, whole: str, start: float, end: float, unit: str) -> Resource:
    """Write the Encounter of a stay in intensive care."""
    concept: Resource = {"coding": [{"system": ROLE, "code": "ICU"}]} | ({"text": unit} if unit.strip() else {})
    return _encounter(subject, name, start, end, "ACUTE") | {"type": [concept], "partOf": reference(whole)}


def _encounter(subject: Subject, name: str, start: float, end: float, kind: str) -> Resource:
    return subject.resource(
        "Encounter",
        name,
        status="in-progress" if math.isnan(end) else "finished",
        period=subject.period(start, end),
        **{"class": {"system": ACT, "code": kind}},
    )


def age(subject: Subject, name: str, encounter: str, time: float, years: float) -> Resource:
    """Write the age at an admission; 90 stands for all above 89."""
    years = min(years, OLDEST)
    quantity: Resource = {"value": years, "unit": "a", "system": UCUM, "code": "a"}
    return _observation(subject, name, encounter, time, fhir()["age"]) | {
        "valueQuantity": quantity | ({"comparator": ">="} if years >= OLDEST else {})
    }


def measurement(subject: Subject, name: str, encounter: str, time: float, variable: Variable, value: float) -> Resource:
    """Write a measurement, in the first unit of `common/codes/loinc.json`."""
    unit = next(iter(variable.units))
    return _observation(subject, name, encounter, time, variable.codes[0]) | {
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}
    }


def _observation(subject: Subject, name: str, encounter: str, time: float, code: str) -> Resource:
    return subject.resource(
        "Observation",
        name,
        status="final",
        code={"coding": [{"system": LOINC, "code": code}]},
        encounter=reference(encounter),
        effectiveDateTime=subject.instant(time),
    )


def condition(subject: Subject, name: str, encounter: str, code: str, version: int) -> Resource:
    """Write a diagnosis; ICD codes get their dot back."""
    place = 4 if version == 9 and code.startswith("E") else 3
    dotted = f"{code[:place]}.{code[place:]}" if version and len(code) > place else code
    return subject.resource(
        "Condition",
        name,
        verificationStatus={"coding": [CONFIRMED]},
        code={"coding": [{"system": DIAGNOSIS_SYSTEMS[version], "code": dotted}]},
        encounter=reference(encounter),
    )


def medication_request(
    subject: Subject, name: str, encounter: str, time: float, coding: dict[str, str], *, over: bool
) -> Resource:
    """Write the order of a medicine; ``time`` is NaN where unknown, ``over`` tells whether the admission has ended."""
    return subject.resource(
        "MedicationRequest",
        name,
        status="completed" if over else "active",
        intent="order",
        medicationCodeableConcept={"coding": [coding]},
        encounter=reference(encounter),
        **({} if math.isnan(time) else {"authoredOn": subject.instant(time)}),
    )


def document(subject: Subject, name: str, encounter: str, time: float, kind: str, text: str) -> Resource:
    """Write a note."""
    attachment = {"contentType": "text/plain; charset=utf-8", "data": base64.b64encode(text.encode()).decode()}
    coded = [{"system": LOINC, "code": code}] if (code := _document_types().get(kind)) else []
    concept: Resource = ({"coding": coded} if coded else {}) | ({"text": kind} if kind.strip() else {})
    return subject.resource(
        "DocumentReference",
        name,
        status="current",
        content=[{"attachment": attachment}],
        context={"encounter": [reference(encounter)]},
        **({"type": concept} if concept else {}),
        **({} if math.isnan(time) else {"date": subject.instant(time)}),
    )


def imaging_study(subject: Subject, name: str, films: Iterable[tuple[str, float, str]]) -> Resource:
    """Write an examination; each film is a name, a time (NaN unknown) and a view ("" unknown)."""
    series = []
    for film, time, view in films:
        uid = f"2.25.{uuid.UUID(film).int}"  # DICOM PS3.5 B.2
        told = ({"description": view} if view else {}) | (
            {} if math.isnan(time) else {"started": subject.instant(time)}
        )
        instance = {"uid": uid, "sopClass": DIGITAL_FILM}
        series.append({"uid": f"{uid}.1", "modality": DIGITAL_RADIOGRAPHY, "instance": [instance], **told})
    return subject.resource("ImagingStudy", name, status="available", series=series)


@cache
def medication_systems() -> dict[str, str]:
    """Return the first URI of each code system of medicines that is read, by its name."""
    systems: dict[str, str] = {}
    for uri, name in fhir()["medication_systems"].items():
        systems.setdefault(name, uri)
    return systems


@cache
def _document_types() -> dict[str, str]:
    """Return the first LOINC code of each kind of note that is read."""
    types: dict[str, str] = {}
    for (system, code), kind in codings("notes").items():
        if system == LOINC:
            types.setdefault(kind, code)
    return types
