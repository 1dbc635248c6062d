"""Whom an export is about, under the key of these tests."""

from __future__ import annotations

from client.datasets.reading.fhir.codes import variables
from client.exporting.pseudonyms import Pseudonyms
from client.exporting.resources import Subject

KEY = bytes(range(32))
CODED = [i for i, variable in enumerate(variables()) if variable.codes]


def subject_of(person: str) -> Subject:
    pseudonyms = Pseudonyms(KEY)
    return Subject(pseudonyms.patient(person), pseudonyms.namespace(person), pseudonyms.shift(person))
