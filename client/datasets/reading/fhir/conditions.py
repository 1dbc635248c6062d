"""Condition resources: diagnosis codes."""

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
from client.datasets.reading.fhir.references import Index
from common.clinical import icd
from common.clinical.records import NONE, Diagnoses

_FORMS = {**icd.FORMS, 0: re.compile(r"[0-9]{6,18}", re.ASCII)}
_MARKS = str.maketrans("", "", ".+*!")
"""The dot, and the marks of ICD-10's double coding."""


class Conditions:
    """Collects Condition resources; of one that is coded twice the ICD code counts."""

    def __init__(self, patients: Index, encounters: Index) -> None:
        self._events = Events("Condition", patients, encounters)
        self._codes: dict[str, int] = {}
        self._code, self._version = array("q"), array("b")
        self._unconfirmed = self._uncoded = 0

    def add(self, resource: Element) -> None:
        """Read one Condition.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it.
        """
        verification = {code for _, code in resource.codings("verificationStatus")}
        if verification - {"confirmed"}:
            self._unconfirmed += 1
            return
        versions = fhir()["diagnosis_systems"]
        known = [(versions[system], code) for system, code in resource.codings("code") if system in versions]
        if not known:
            self._uncoded += 1
            return
        version, code = max(known, key=lambda pair: pair[0])
        code = code.translate(_MARKS).strip().upper()
        if not _FORMS[version].fullmatch(code):
            raise resource.wrong("not a code of its system", "code.coding.code")
        self._events.add(resource, resource.reference("encounter"), resource.moment("recordedDate"))
        self._code.append(self._codes.setdefault(code, len(self._codes)))
        self._version.append(version)

    def finish(
        self, person_of: NDArray[np.int64], hospital: Hospital, files: Sequence[Found], left_out: dict[str, int]
    ) -> Diagnoses:
        """Return the diagnoses of all admissions, in order of admission, else as read.

        Raises
        ------
        DataError
            A reference leads nowhere, or the codes have lost their leading zeros.
        """
        person = self._events.persons(person_of, files)
        admission = self._events.admissions(person, hospital, files)
        left_out["conditions that are not confirmed"] = self._unconfirmed
        left_out["conditions without an ICD or SNOMED CT code"] = self._uncoded
        left_out["conditions outside hospital admissions"] = int((admission == NONE).sum())
        order = np.argsort(admission, kind="stable")
        rows = order[admission[order] != NONE]
        code = np.array([*self._codes, ""], np.str_)[np.array(self._code, np.int64)]
        version = np.array(self._version, np.int8)
        coded = np.flatnonzero(version)
        # Each is a code; whether all of them have lost their leading zeros shows only together.
        icd.normalised(code[coded], version[coded], coded + 1, file="Condition", field="Condition.code.coding.code")
        return Diagnoses(admission[rows], code[rows], version[rows])
