"""MedicationRequest resources: medicines ordered, by the code of the medicine itself or of the Medication they name."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.codes import fhir
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.encounters import Hospital
from client.datasets.reading.fhir.events import Events
from client.datasets.reading.fhir.files import Found
from client.datasets.reading.fhir.references import NOWHERE, Index
from common.clinical.records import NONE, Medications

STATUSES = {
    **dict.fromkeys(("active", "on-hold", "completed", "stopped"), True),
    **dict.fromkeys(("cancelled", "entered-in-error", "draft", "unknown"), False),
}
"""Of a MedicationRequest: whether it took effect; a cancelled one was withdrawn before anything was given."""
INTENTS = {
    **dict.fromkeys(("order", "original-order", "reflex-order", "filler-order", "instance-order"), True),
    **dict.fromkeys(("proposal", "plan", "option"), False),
}
"""Of a MedicationRequest: whether it is an order."""
CONCEPT = "medicationCodeableConcept"
UNCODED = 0
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,39}", re.ASCII)


class MedicationRequests:
    """Collects orders and the Medication resources that they name; an order counts from when it was written."""

    def __init__(self, patients: Index, encounters: Index) -> None:
        self._events = Events("MedicationRequest", patients, encounters)
        self._index = Index()
        self._codes = {("", ""): UNCODED}
        self._medications, self._code, self._named = array("q"), array("q"), array("q")
        self._not_ordered = 0

    def add_medication(self, resource_names: Sequence[str], resource: Element) -> None:
        """Read one Medication."""
        if self._index.learn(resource_names, resource, len(self._medications)):
            self._medications.append(self._number(resource, "code"))

    def add(self, resource: Element) -> None:
        """Read one MedicationRequest.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it.
        """
        effective, order = resource.code("status", STATUSES), resource.code("intent", INTENTS)
        if not (effective and order) or resource.flag("doNotPerform"):
            self._not_ordered += 1
            return
        reference = resource.reference("medicationReference")
        inside = reference.startswith("#")
        self._events.add(resource, resource.reference("encounter"), resource.moment("authoredOn"))
        self._named.append(NOWHERE if inside else self._index.number(reference))
        self._code.append(self._contained(resource, reference) if inside else self._number(resource, CONCEPT))

    def _contained(self, resource: Element, reference: str) -> int:
        for medication in resource.children("contained"):
            if medication.text("resourceType") == "Medication" and medication.text("id") == reference[1:]:
                return self._number(medication, "code")
        raise resource.wrong("leads to no contained Medication", "medicationReference.reference")

    def _number(self, element: Element, name: str) -> int:
        """Return the number of a medicine's code; of several it is that of the system listed first."""
        systems: dict[str, str] = fhir()["medication_systems"]
        told = [pair for pair in element.codings(name) if pair[0] in systems]
        if not told:
            return UNCODED
        system, code = min(told, key=lambda pair: list(systems).index(pair[0]))
        if not _CODE.fullmatch(code):
            raise element.wrong("not a code of its system", f"{name}.coding.code")
        return self._codes.setdefault((systems[system], code), len(self._codes))

    def finish(
        self, person_of: NDArray[np.int64], hospital: Hospital, files: Sequence[Found], left_out: dict[str, int]
    ) -> Medications:
        """Return the orders of all admissions, by admission and time.

        Raises
        ------
        DataError
            A reference leads nowhere.
        """
        named, medication = np.array(self._named, np.int64) != NOWHERE, self._index.rows(self._named)
        field = "MedicationRequest.medicationReference.reference"
        self._events.refuse(named & (medication == NOWHERE), files, "leads to no Medication", field)
        code = np.where(named, np.append(np.array(self._medications, np.int64), UNCODED)[medication], self._code)
        admission = self._events.admissions(self._events.persons(person_of, files), hospital, files)
        coded, placed = code != UNCODED, admission != NONE
        left_out["medicines that were not ordered"] = self._not_ordered
        left_out["medicines without a code of a known system"] = int((~coded).sum())
        left_out["medicines ordered outside hospital admissions"] = int((coded & ~placed).sum())
        order = np.lexsort((self._events.time, admission))
        rows = order[(coded & placed)[order]]
        systems, codes = (np.array(column, np.str_)[code[rows]] for column in zip(*self._codes, strict=True))
        return Medications(admission[rows], self._events.time[rows], codes, systems)
