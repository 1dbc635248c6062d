"""Location resources, and when encounters tell of being in one that is intensive care."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from client.datasets.reading.fhir.codes import codings
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.references import NOWHERE, Index
from common.clinical.records import Stays

STATUSES = {
    **dict.fromkeys(("active", "completed"), True),
    **dict.fromkeys(("planned", "reserved"), False),
}
"""Of an encounter's location: whether the patient was there."""


class Span(NamedTuple):
    """Time in intensive care.

    Attributes
    ----------
    owner : int
        Row of the encounter, or of the admission.
    start, end : float, hours
        end is NaN where unknown.
    unit : str
    """

    owner: int
    start: float
    end: float
    unit: str


class Locations:
    """Collects Location resources: which are intensive care by their type, or are part of one that is."""

    def __init__(self) -> None:
        self.index = Index()
        self._unit: list[str] = []
        self._whole = array("q")

    def add(self, resource_names: Sequence[str], resource: Element) -> None:
        """Read one Location."""
        if self.index.learn(resource_names, resource, len(self._unit)):
            self._unit.append(intensive_care(resource))
            self._whole.append(self.index.number(resource.reference("partOf")))

    def units(self) -> list[str]:
        """Name the unit of each Location, "" where it is no intensive care."""
        return [self._of(row) for row in range(len(self._unit))]

    def _of(self, row: int) -> str:
        passed = set[int]()
        while not self._unit[row] and row not in passed:
            passed.add(row)
            if (above := self.index.row(self._whole[row])) != NOWHERE:
                row = above
        return self._unit[row]


class Places:
    """Collects the locations that encounters name.

    One without a period counts for the whole encounter if it is its only one and the encounter is part of another:
    an admission may name only where the patient was last.
    """

    def __init__(self, locations: Locations) -> None:
        self._locations = locations
        self._owner, self._number = array("q"), array("q")
        self._start, self._end = array("d"), array("d")

    def add(self, row: int, encounter: Element) -> None:
        """Read the locations of one Encounter.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it, or the patient left before coming.
        """
        told = list(encounter.children("location"))
        for place in told:
            if place.text("status") and not place.code("status", STATUSES):
                continue
            whole = len(told) == 1 and place.child("period") is None and encounter.reference("partOf")
            start, end = period(encounter if whole else place)
            self._owner.append(row)
            self._number.append(self._locations.index.number(place.reference("location")))
            self._start.append(start)
            self._end.append(end)

    def spans(self, left_out: dict[str, int]) -> list[Span]:
        """Return the times in intensive care, by the row of the encounter."""
        location, units = self._locations.index.rows(self._number), [*self._locations.units(), ""]
        care, timed = np.array([bool(unit) for unit in units], bool)[location], ~np.isnan(np.array(self._start))
        left_out["places of encounters that lead to no Location"] = int((location == NOWHERE).sum())
        left_out["places of intensive care without the time of day they began"] = int((care & ~timed).sum())
        return [
            Span(self._owner[i], self._start[i], self._end[i], units[location[i]]) for i in np.flatnonzero(care & timed)
        ]


def stays(coded: Sequence[Span], placed: Sequence[Span]) -> Stays:
    """Make stays, by admission and start, of encounters that are coded as such and of places that others name.

    A place at the time of a coded stay is that stay. Places without a gap between them are one stay, in the unit
    of the first.
    """
    known = defaultdict(list)
    for span in coded:
        known[span.owner].append(span)
    others = [place for place in placed if not any(_overlap(place, span) for span in known[place.owner])]
    found = [(span, False) for span in coded] + list(_joined(others))
    found.sort(key=lambda pair: pair[0][:2])
    columns: list[tuple[float | str, ...]] = list(zip(*(span for span, _ in found), strict=True)) or [()] * 4
    admission, start, end, unit = columns
    return Stays(
        admission=np.array(admission, np.int64),
        start=np.array(start, np.float64),
        end=np.array(end, np.float64),
        unit=np.array(unit, np.str_),
        transferred=np.array([moved for _, moved in found], np.bool_) if placed else None,
    )


def _joined(places: Sequence[Span]) -> Iterator[tuple[Span, bool]]:
    """Join what has no gap; tell whether the patient changed between units."""
    open_: Span | None = None
    moved = False
    for place in sorted(places, key=lambda span: span[:2]):
        if open_ and place.owner == open_.owner and place.start <= _end(open_):
            end = open_.end if _end(open_) >= _end(place) else place.end
            open_, moved = open_._replace(end=end), moved or place.unit != open_.unit
            continue
        if open_:
            yield open_, moved
        open_, moved = place, False
    if open_:
        yield open_, moved


def _overlap(one: Span, other: Span) -> bool:
    return one.start == other.start or (one.start < _end(other) and other.start < _end(one))


def _end(span: Span) -> float:
    return math.inf if math.isnan(span.end) else span.end


def period(element: Element) -> tuple[float, float]:
    """Return when something began and ended, hours; NaN where the time of day is not told.

    Raises
    ------
    DataError
        When it ends before it begins.
    """
    found = element.child("period")
    moments = [found.moment(name) if found else None for name in ("start", "end")]
    start, end = (moment.earliest if moment and moment.exact else math.nan for moment in moments)
    if end < start:
        raise element.wrong("ends before it begins", "period.end")
    return start, end


def intensive_care(resource: Element) -> str:
    """Name the unit when an Encounter or Location is coded as intensive care, "" otherwise."""
    service = resource.child("serviceType")
    for concept in (*resource.children("type"), *([service] if service else [])):
        for coding in concept.children("coding"):
            if name := codings("intensive_care").get((coding.text("system"), coding.text("code"))):
                return concept.text("text").strip() or str(name)
    return str(codings("intensive_care").get(resource.coding("class"), ""))
