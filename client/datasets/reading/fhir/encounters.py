"""Encounter resources: hospital admissions, the stays in intensive care that are part of them, and how they end.

An encounter is a stay when it is coded as intensive care itself; otherwise the places of intensive care that it
names make stays, see :mod:`client.datasets.reading.fhir.places`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.codes import codings
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.files import Found
from client.datasets.reading.fhir.outcomes import completed_years, ending, outcome
from client.datasets.reading.fhir.people import Person
from client.datasets.reading.fhir.places import Locations, Places, Span, intensive_care, period, stays
from client.datasets.reading.fhir.references import NOWHERE, Index, Positions
from common.clinical.records import NONE, Admissions, Stays

STATUSES = {
    **dict.fromkeys(("arrived", "triaged", "in-progress", "onleave", "finished"), True),
    **dict.fromkeys(("planned", "cancelled", "entered-in-error", "unknown"), False),
}
"""Of an Encounter: whether it took place."""
OLDEST = 90


@dataclass(frozen=True, eq=False, repr=False)
class Hospital:
    """What the encounters come to.

    Attributes
    ----------
    admissions : Admissions
    stays : Stays
    admission_of : (e,) int64
        Admission that each Encounter is, or is part of; -1 for none.
    """

    admissions: Admissions
    stays: Stays
    admission_of: NDArray[np.int64]


class Encounters:
    """Collects Encounter resources."""

    def __init__(self, index: Index, patients: Index, locations: Locations) -> None:
        self._index, self._patients, self._places = index, patients, Places(locations)
        self._positions = Positions()
        self._subject, self._whole, self._ending = array("q"), array("q"), array("b")
        self._start, self._end = array("d"), array("d")
        self._happened, self._inpatient = array("b"), array("b")
        self._unit: list[str] = []

    def add(self, resource_names: Sequence[str], resource: Element) -> None:
        """Read one Encounter.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it, or the encounter ends before it begins.
        """
        row = len(self._unit)
        if not self._index.learn(resource_names, resource, row):
            return
        self._positions.add(resource)
        self._happened.append(resource.code("status", STATUSES))
        self._inpatient.append(resource.coding("class") in codings("admission_classes"))
        self._subject.append(self._patients.number(resource.reference("subject")))
        self._whole.append(self._index.number(resource.reference("partOf")))
        self._unit.append(intensive_care(resource))
        self._ending.append(ending(resource))
        start, end = period(resource)
        self._start.append(start)
        self._end.append(end)
        if self._happened[row] and not self._unit[row]:
            self._places.add(row, resource)

    def finish(
        self,
        people: Sequence[Person],
        person_of: NDArray[np.int64],
        ages: Mapping[int, float],
        files: Sequence[Found],
        left_out: dict[str, int],
    ) -> Hospital:
        """Make admissions and stays.

        Parameters
        ----------
        people : sequence of Person
        person_of : (p,) int64
            Person of each Patient resource.
        ages : mapping of int to float
            Age told of an encounter, by the number of the reference to it.
        files : sequence of Found
        left_out : dict of str to int
            Gets what is left out, by reason.

        Raises
        ------
        DataError
            A reference leads nowhere or to another person, an encounter is part of itself, or somebody
            was admitted before birth.
        """
        person = self._persons(person_of, files)
        top = self._tops(person, files)
        start = np.array(self._start)
        care = np.array([bool(unit) for unit in self._unit], bool) & np.array(self._happened, bool)
        spans = self._places.spans(left_out)
        admitted = np.array(self._inpatient, bool)
        admitted[top[care]] = True
        admitted[top[[span.owner for span in spans]]] = True
        admitted &= (top == np.arange(len(top))) & np.array(self._happened, bool)
        left_out["encounters that are no hospital admission nor part of one"] = int((~admitted[top]).sum())
        left_out["admissions without the time of day they began"] = int((admitted & np.isnan(start)).sum())
        admitted &= ~np.isnan(start)
        rows = np.flatnonzero(admitted)
        rows = rows[np.lexsort((start[rows], person[rows]))]
        place = np.full(len(top), NONE, np.int64)
        place[rows] = np.arange(len(rows))
        admission_of = place[top]
        own = [Span(int(admission_of[i]), self._start[i], self._end[i], self._unit[i]) for i in np.flatnonzero(care)]
        coded = [span for span in own if span.owner != NONE and not math.isnan(span.start)]
        left_out["stays without the time of day they began"] = sum(span.owner != NONE for span in own) - len(coded)
        placed = [span._replace(owner=int(admission_of[span.owner])) for span in spans]
        found = stays(coded, [span for span in placed if span.owner != NONE])
        told = {self._index.row(number): age for number, age in ages.items()}
        return Hospital(self._admissions(rows, person, people, told, files), found, admission_of)

    def _persons(self, person_of: NDArray[np.int64], files: Sequence[Found]) -> NDArray[np.int64]:
        patient = self._patients.rows(self._subject)
        self._positions.refuse(patient == NOWHERE, files, "leads to no Patient", "Encounter.subject.reference")
        return person_of[patient]

    def _tops(self, person: NDArray[np.int64], files: Sequence[Found]) -> NDArray[np.int64]:
        """Follow partOf to the encounter that is part of no other."""
        is_part, refuse = np.array(self._whole, np.int64) != NOWHERE, self._positions.refuse
        whole = self._index.rows(self._whole)
        refuse((whole == NOWHERE) & is_part, files, "leads to no Encounter", "Encounter.partOf.reference")
        whole = np.where(is_part, whole, np.arange(len(whole)))
        refuse(person[whole] != person, files, "is part of another person's encounter", "Encounter.partOf")
        # Each pass doubles how far every row has climbed; a circle never comes to rest.
        for _ in range(len(whole).bit_length() + 1):
            whole = whole[whole]
        refuse(is_part[whole], files, "is part of itself", "Encounter.partOf")
        return whole

    def _admissions(
        self,
        rows: NDArray[np.int64],
        person: NDArray[np.int64],
        people: Sequence[Person],
        told: Mapping[int, float],
        files: Sequence[Found],
    ) -> Admissions:
        n = len(rows)
        age, died, death = np.full(n, np.nan, np.float32), np.zeros(n, np.int8), np.full(n, np.nan)
        last = {int(person[i]): self._start[i] for i in rows}
        for k, i in enumerate(rows):
            who = people[person[i]]
            years = completed_years(who.birth, self._start[i]) if who.birth else told.get(int(i), math.nan)
            if years < 0:
                raise self._positions.wrong(
                    int(i), files, "begins before the patient's birth", "Encounter.period.start"
                )
            age[k] = math.nan if math.isnan(years) else min(years, OLDEST)
            again = last[int(person[i])] if last[int(person[i])] > self._start[i] else -math.inf
            died[k], death[k] = outcome(self._start[i], self._end[i], self._ending[i], who, again)
        start, end = np.array(self._start)[rows], np.array(self._end)[rows]
        return Admissions(person[rows], start, end, age, died, death)
