"""Small FHIR folders, written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from client.datasets import fhir
from client.datasets.base import ALL
from common.clinical.records import Records
from tests.reading import cache_in

Resource = dict[str, Any]
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"


@dataclass
class Ward:
    """Resources of one patient "p" with one admission "a" of January 2nd to 5th, 1970, unless told otherwise."""

    folder: Path
    resources: list[Resource] = field(default_factory=list)

    def patient(self, name: str = "p", **elements: Any) -> Resource:
        return self.add("Patient", name, **elements)

    def encounter(self, name: str = "a", subject: str = "p", kind: str = "IMP", **elements: Any) -> Resource:
        period = {"start": "1970-01-02T00:00:00Z", "end": "1970-01-05T00:00:00Z"}
        whole = {"reference": f"Encounter/{elements.pop('part_of')}"} if "part_of" in elements else None
        given = {"status": "finished", "class": {"system": ACT, "code": kind}, "period": period} | elements
        if whole:
            given["partOf"] = whole
        return self.add("Encounter", name, subject=self.to("Patient", subject), **given)

    def stay(self, name: str = "s", part_of: str = "a", **elements: Any) -> Resource:
        unit = {"coding": [{"system": ROLE, "code": "ICU"}]}
        return self.encounter(name, kind="ACUTE", part_of=part_of, **{"type": [unit]} | elements)

    def observation(
        self, name: str, code: str, value: float | None = None, unit: str = "/min", **elements: Any
    ) -> Resource:
        given: Resource = {
            "status": "final",
            "subject": self.to("Patient", "p"),
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "effectiveDateTime": "1970-01-03T00:00:00Z",
        }
        if value is not None:
            given["valueQuantity"] = {"value": value, "system": UCUM, "code": unit}
        return self.add("Observation", name, **given | elements)

    def add(self, kind: str, name: str, **elements: Any) -> Resource:
        self.resources.append({"resourceType": kind, "id": name, **elements})
        return self.resources[-1]

    @staticmethod
    def to(kind: str, name: str) -> Resource:
        return {"reference": f"{kind}/{name}"}

    def bundle(self, name: str = "bundle.json", kind: str = "collection") -> Path:
        """Write all resources as one bundle."""
        path = self.folder / name
        entries = [{"resource": resource} for resource in self.resources]
        path.write_text(json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}), encoding="utf-8")
        return path

    def read(self, parts: Iterable[str] = ("diagnoses", "measurements", "notes")) -> Records:
        """Write and read all resources."""
        self.bundle()
        return fhir.read(self.folder, ALL, frozenset(parts), cache_in(self.folder / "cache"))


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    """Return a ward without patients."""
    return Ward(tmp_path)


@pytest.fixture
def admitted(ward: Ward) -> Ward:
    """Return a ward with a patient and an admission."""
    ward.patient()
    ward.encounter()
    return ward
