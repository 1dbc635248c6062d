"""What happened to somebody at some time: which admission it belongs to."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.encounters import Hospital
from client.datasets.reading.fhir.files import Found
from client.datasets.reading.fhir.moments import Moment
from client.datasets.reading.fhir.references import NOWHERE, Index, Positions
from common.clinical.records import NONE, Admissions


class Events:
    """Collects to whom, in which encounter, when and where in the files; 36 bytes each."""

    def __init__(self, kind: str, patients: Index, encounters: Index) -> None:
        self._kind, self._patients, self._encounters = kind, patients, encounters
        self._positions = Positions()
        self._subject, self._encounter, self._time = array("q"), array("q"), array("d")

    def add(self, resource: Element, encounter: str, moment: Moment | None) -> None:
        """Keep one; a date without a time of day counts from the last hour it may mean: nothing is early."""
        self._positions.add(resource)
        self._subject.append(self._patients.number(resource.reference("subject")))
        self._encounter.append(self._encounters.number(encounter))
        self._time.append(moment.latest if moment else math.nan)

    @property
    def time(self) -> NDArray[np.float64]:
        """When each one was, hours; NaN is unknown."""
        return np.array(self._time, np.float64)

    def refuse(self, wrong: NDArray[np.bool_], files: Sequence[Found], problem: str, field: str) -> None:
        """Raise the error of the first one that is wrong, if any."""
        self._positions.refuse(wrong, files, problem, field)

    def persons(self, person_of: NDArray[np.int64], files: Sequence[Found]) -> NDArray[np.int64]:
        """Return the person of each one.

        Raises
        ------
        DataError
            When a reference leads to no Patient that was read.
        """
        patient = self._patients.rows(self._subject)
        field = f"{self._kind}.subject.reference"
        self.refuse(patient == NOWHERE, files, "leads to no Patient", field)
        return person_of[patient]

    def admissions(self, person: NDArray[np.int64], hospital: Hospital, files: Sequence[Found]) -> NDArray[np.int64]:
        """Return the admission of each: its encounter's, else the one the person was in at the time, else -1.

        Raises
        ------
        DataError
            When a reference leads to no Encounter that was read, or to another person's.
        """
        told = np.array(self._encounter, np.int64) != NOWHERE
        encounter = self._encounters.rows(self._encounter)
        field = f"{self._kind}.encounter.reference"
        self.refuse(told & (encounter == NOWHERE), files, "leads to no Encounter", field)
        own = np.where(told, np.append(hospital.admission_of, NONE)[encounter], NONE)
        admissions = hospital.admissions
        other = (own != NONE) & (np.append(admissions.patient, NONE)[own] != person)
        self.refuse(other, files, "leads to another person's Encounter", field)
        return np.where(own != NONE, own, _containing(admissions, person, self.time))


def _containing(admissions: Admissions, person: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the person's last admission that began by then, if it has not ended; -1 for none."""
    if not len(admissions):
        return np.full(len(person), NONE)
    # Admissions are in order of person and start: one sort places all times among them, after equal starts.
    n, m = len(admissions), len(time)
    keys = (np.repeat((0, 1), (n, m)), np.r_[admissions.start, time], np.r_[admissions.patient, person])
    order = np.lexsort(keys)
    last = np.maximum.accumulate(np.where(order < n, order, NONE))
    found = np.empty(m, np.int64)
    found[order[order >= n] - n] = last[order >= n]
    end = np.where(np.isnan(admissions.end), np.inf, admissions.end)
    within = (found != NONE) & (admissions.patient[found] == person) & (time <= end[found])
    return np.where(within, found, NONE)
