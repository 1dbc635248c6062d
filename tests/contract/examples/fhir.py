"""FHIR: four people as transaction bundles, three as a bulk export; two admissions, stays, films and notes each."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEOPLE = 7
IDENTIFIERS = ("wren-", "Wren_", "1.2.826.0.77.", "5e9d0a77")
BUNDLES, BULK = (1, 2, 3, 4), (5, 6, 7)
TERMS = "http://terminology.hl7.org/CodeSystem/"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def write(folder: Path) -> None:
    """A bundle refers by urn, a bulk export by type and id; the last admission of the first person goes on."""
    (folder / "films").mkdir()
    for number in BUNDLES:
        _bundle(folder, number)
    for kind in sorted({resource["resourceType"] for resource in _person(5)}):
        of_kind = [resource for number in BULK for resource in _person(number) if resource["resourceType"] == kind]
        text = "".join(json.dumps(resource) + "\n" for resource in of_kind)
        (folder / f"{kind}.ndjson").write_text(text, encoding="utf-8")
    for number in BUNDLES + BULK:
        _film(folder, number)


def alter(folder: Path) -> None:
    """An admission at 3 o'clock begins at 4."""
    file = folder / "Encounter.ndjson"
    text = file.read_text(encoding="utf-8")
    assert "T03:00:00Z" in text
    file.write_text(text.replace("T03:00:00Z", "T04:00:00Z", 1), encoding="utf-8")


def grow(folder: Path) -> None:
    """One more bundle."""
    _bundle(folder, 8)
    _film(folder, 8)


def _bundle(folder: Path, number: int) -> None:
    urns = {f"{r['resourceType']}/{r['id']}": f"urn:uuid:5e9d0a77-{r['id']}" for r in _person(number)}
    entries = []
    for resource in _person(number):
        text = json.dumps(resource)
        for reference, urn in urns.items():
            text = text.replace(f'"{reference}"', f'"{urn}"')
        full_url = urns[f"{resource['resourceType']}/{resource['id']}"]
        entries.append({"fullUrl": full_url, "resource": json.loads(text), "request": {"method": "POST"}})
    content = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (folder / f"Wren_{number}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _film(folder: Path, number: int) -> None:
    (folder / "films" / f"1.2.826.0.77.{number}.dcm").write_bytes(b"film" * number)


def _person(number: int) -> Iterator[dict[str, Any]]:
    name = f"wren-{number}"
    subject = {"reference": f"Patient/{name}"}
    death = {"deceasedDateTime": "2020-03-04T12:00:00Z"} if number % 3 == 0 else {}
    yield {
        "resourceType": "Patient",
        "id": name,
        "gender": ("female", "male")[number % 2],
        "birthDate": "1950",
        **death,
    }
    yield {"resourceType": "Practitioner", "id": f"{name}-doctor"}
    for k, start in ((1, "2020-01-01T03:00:00Z"), (2, "2020-03-02T03:00:00Z")):
        goes_on = (number, k) == (1, 2)
        end = {} if goes_on else {"end": start.replace("-01T", "-05T").replace("-02T", "-05T")}
        whole = {
            "resourceType": "Encounter",
            "id": f"{name}-{k}",
            "status": "in-progress" if goes_on else "finished",
            "class": {"system": f"{TERMS}v3-ActCode", "code": "IMP"},
            "subject": subject,
            "period": {"start": start, **end},
        }
        yield whole
        unit = {"coding": [{"system": f"{TERMS}v3-RoleCode", "code": "ICU"}]}
        part_of = {"reference": f"Encounter/{name}-{k}"}
        yield {**whole, "id": f"{name}-{k}-icu", "type": [unit], "partOf": part_of}
        yield from _of_admission(f"{name}-{k}", start, {"subject": subject, "encounter": part_of})
    instance = {"uid": f"1.2.826.0.77.{number}"}
    series = {"modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CR"}}
    taken = {} if number == 2 else {"started": "2020-01-02T00:00:00Z"}
    series |= {"description": "PA", "instance": [instance]}
    yield _resource("ImagingStudy", f"{name}-study", subject=subject, status="available", series=[series], **taken)


def _of_admission(name: str, start: str, of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    icd = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J44.1"}
    yield _resource("Condition", f"{name}-c", **of, code={"coding": [icd]})
    code = {"coding": [{"system": LOINC, "code": "8867-4"}]}
    rate = {"value": 80 + len(name), "system": UCUM, "code": "/min"}
    yield _resource(
        "Observation", f"{name}-o", **of, status="final", code=code, effectiveDateTime=start, valueQuantity=rate
    )
    salbutamol = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "435"}]}
    ordered = {} if name.endswith("2") else {"authoredOn": start}
    yield _resource(
        *("MedicationRequest", f"{name}-m"),
        **of,
        **ordered,
        **{"status": "active", "intent": "order", "medicationCodeableConcept": salbutamol},
    )
    note = {"contentType": "text/plain", "data": base64.b64encode(b"Breathes well.").decode()}
    report = {"coding": [{"system": LOINC, "code": "36643-5"}]}
    yield _resource(
        "DiagnosticReport", f"{name}-r", **of, status="final", code=report, issued=start, presentedForm=[note]
    )


def _resource(kind: str, name: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": name, **elements}
