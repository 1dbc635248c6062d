"""FHIR R4: a folder of bundles or of a bulk export.

HL7 FHIR R4 (4.0.1) and Bulk Data Access. `*.json` holds a Bundle (transaction, batch, collection, searchset),
`*.ndjson` one resource a line; either may be gzip. Read are Patient, Encounter, Location, Condition, Observation,
MedicationRequest, Medication, ImagingStudy, DocumentReference and DiagnosticReport; resources of other types are
passed over, as FHIR demands of a reader. So are those that a modifier extension changes; of the types that others
refer to they are refused. Code lists stand in `common/codes/fhir.json`, measurements in `common/codes/loinc.json`.

A hospital admission is an Encounter that is part of no other and is of an inpatient class or has intensive
care as a part; a stay is an Encounter coded as intensive care by type, serviceType or class, or the time that
another one tells of in a Location of such a type, or in one that is part of it. What happens in no such encounter
belongs to the admission the patient was in at the time, and to none otherwise: visits to a doctor, and codes given
there, are no admissions.

The clock counts hours since 1970-01-01T00:00Z. A date without a time of day is no moment: an admission or stay
that begins with one is left out, and a value dated so counts from the last hour that the date may mean, anywhere
on earth. Deaths become the outcome of admissions only: ``deceased[x]``, discharge dispositions and
certificates of death are never a feature or a note.

Films are files named by their SOP instance UID, as `1.2.840.99.dcm`, anywhere below the folder. One without a file
is left out, and so are all that share a UID, which belongs to one film in the world: whose it is, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from types import MappingProxyType
from typing import Any

from client.datasets.base import Select, is_synthetic
from client.datasets.reading.cache import Cache
from client.datasets.reading.fhir import files as fhir_files
from client.datasets.reading.fhir import people as fhir_people
from client.datasets.reading.fhir.conditions import Conditions
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.encounters import Encounters
from client.datasets.reading.fhir.imaging import Imaging
from client.datasets.reading.fhir.medications import MedicationRequests
from client.datasets.reading.fhir.notes import Texts, together
from client.datasets.reading.fhir.observations import Observations
from client.datasets.reading.fhir.people import People
from client.datasets.reading.fhir.places import Locations
from client.datasets.reading.fhir.references import Index, Seen, names
from common.clinical.records import Records
from common.exceptions import DataError
from common.serialization import digest_json

DIVISIONS: tuple[str, ...] = ()
PARTS = frozenset({"diagnoses", "medications", "measurements", "images", "notes"})

SHARED = ("Patient", "Encounter", "Location", "Medication")
"""Types that others refer to: the same one may come along in several bundles, and none can be passed over."""


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:  # noqa: ARG001
    """Read one site's records; parameters as in :class:`client.datasets.base.Dataset`.

    One file after the other is read, once; what is kept of it is numbers, codes and wanted texts.

    Raises
    ------
    DataError
        A file, entry, line or element is not as FHIR R4 has it, a reference to a patient, encounter or medication
        leads nowhere, a resource occurs twice, a unit is unknown, or there is no patient.
    """
    files = fhir_files.find(folder)
    collected = _Collected(parts)
    for found in files:
        for full_url, resource in fhir_files.resources(found):
            collected.add(full_url, resource)
    digest = digest_json([fhir_files.fingerprint(found) for found in files])
    return collected.records(folder, files, digest)


def sites(folder: Path, by: str) -> dict[str, Select]:  # noqa: ARG001
    """Tell how the folder divides: by patient alone."""
    return {}


class _Collected:
    """All that is kept of the resources read so far."""

    def __init__(self, parts: Collection[str]) -> None:
        patients, encounters, locations = Index(), Index(), Locations()
        self._seen = Seen()
        self._people = People(patients)
        self._encounters = Encounters(encounters, patients, locations)
        self._observations = Observations(patients, encounters, measured="measurements" in parts)
        self._conditions = Conditions(patients, encounters)
        self._medications = MedicationRequests(patients, encounters)
        self._imaging = Imaging(patients, encounters)
        self._texts = [Texts(kind, patients, encounters) for kind in ("DocumentReference", "DiagnosticReport")]
        self._parts = parts
        self._others = self._modified = 0
        self._readers: dict[str, Callable[[list[str], Element], None]] = {
            "Patient": self._people.add,
            "Encounter": self._encounters.add,
            "Location": locations.add,
            "Observation": lambda _, resource: self._observations.add(resource),
        }
        if "diagnoses" in parts:
            self._readers["Condition"] = lambda _, resource: self._conditions.add(resource)
        if "medications" in parts:
            self._readers["Medication"] = self._medications.add_medication
            self._readers["MedicationRequest"] = lambda _, resource: self._medications.add(resource)
        if "images" in parts:
            self._readers["ImagingStudy"] = self._imaging.add
        if "notes" in parts:
            self._readers["DocumentReference"] = lambda _, resource: self._texts[0].add(resource)
            self._readers["DiagnosticReport"] = lambda _, resource: self._texts[1].add(resource)

    def add(self, full_url: str, resource: Element) -> None:
        """Read one resource."""
        reader = self._readers.get(resource.path)
        if reader is None:
            self._others += 1
        elif not resource.modified:
            resource_names = names(full_url, resource)
            if resource.path not in SHARED:
                self._seen.add(resource_names, resource)
            reader(resource_names, resource)
        elif resource.path in SHARED:
            raise resource.wrong("changes the meaning in a way that is not understood", "modifierExtension")
        else:
            self._modified += 1

    def records(self, folder: Path, files: list[fhir_files.Found], digest: str) -> Records:
        """Resolve all references and put everything in order."""
        self._seen.require_unique(files)
        left_out = {
            "resources of types that are not read": self._others,
            "resources with a modifier extension": self._modified,
        }
        told, person_of = self._people.finish()
        if not told:
            raise DataError(f"no Patient in {folder}", file="data folder")
        people = fhir_people.table(told)
        hospital = self._encounters.finish(told, person_of, self._observations.ages, files, left_out)
        found: dict[str, Any] = {}
        rest = (person_of, hospital, files, left_out)
        if "diagnoses" in self._parts:
            found["diagnoses"] = self._conditions.finish(*rest)
        if "medications" in self._parts:
            found["medications"] = self._medications.finish(*rest)
        if "measurements" in self._parts:
            found["measurements"] = self._observations.finish(*rest)
        if "notes" in self._parts:
            found["notes"] = together([texts.finish(*rest) for texts in self._texts])
        if "images" in self._parts:
            found["images"], films = self._imaging.finish(folder, people.identifier, person_of, files, left_out)
            digest = digest_json([digest, films])
        return Records(
            patients=people,
            admissions=hospital.admissions,
            stays=hospital.stays,
            digest=digest,
            synthetic=is_synthetic(folder),
            left_out=MappingProxyType({reason: count for reason, count in left_out.items() if count}),
            **found,
        )
