"""A JSON object of a FHIR resource that knows where it stands, read with the types FHIR R4 gives it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from client.datasets.reading.fhir.moments import Moment, moment
from common.exceptions import DataError

DEEPEST = 100
"""Levels of objects and lists; resources of FHIR R4 come nowhere near."""


@dataclass(frozen=True)
class Place:
    """A file by its place among the folder's, and how messages call it: its own name may be a patient's."""

    number: int
    label: str


@dataclass(frozen=True, slots=True, repr=False)
class Element:
    """One JSON object.

    Attributes
    ----------
    content : mapping
    path : str
        FHIR path, such as "Encounter.hospitalization".
    place : Place
    row : int
        1-based entry of the bundle, or line of the NDJSON file.
    """

    content: Mapping[str, Any]
    path: str
    place: Place
    row: int

    def wrong(self, problem: str, name: str = "", fix: str = "") -> DataError:
        """Return the error that says where; never a value."""
        field = f"{self.path}.{name}" if name else self.path
        return DataError(problem, file=self.place.label, row=self.row, field=field, fix=fix)

    @property
    def modified(self) -> bool:
        """Whether an element or rule that is not known changes the meaning of any part.

        Raises
        ------
        DataError
            When the parts lie deeper than :data:`DEEPEST` levels within each other.
        """
        try:
            return "implicitRules" in self.content or _modified(self.content, DEEPEST)
        except RecursionError:
            raise self.wrong("nested too deeply") from None

    def child(self, name: str) -> Element | None:
        """Return an element that occurs at most once, None where it is absent."""
        value = self.content.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong("not an object", name)
        return Element(value, f"{self.path}.{name}", self.place, self.row)

    def children(self, name: str) -> Iterator[Element]:
        """Yield the elements of a list, none where it is absent."""
        values = self.content.get(name, [])
        if not isinstance(values, list):
            raise self.wrong("not a list", name)
        for i, value in enumerate(values):
            if not isinstance(value, dict):
                raise self.wrong("not an object", f"{name}[{i}]")
            yield Element(value, f"{self.path}.{name}[{i}]", self.place, self.row)

    def text(self, name: str, *, required: bool = False) -> str:
        """Return a string, "" where it is absent."""
        value = self.content.get(name, "")
        if not isinstance(value, str):
            raise self.wrong("not a text", name)
        if required and not value:
            raise self.wrong("a required element is missing", name)
        return value

    def code(self, name: str, allowed: Mapping[str, bool]) -> bool:
        """Return what a required code means; the complete vocabulary is FHIR's own."""
        if (value := self.text(name, required=True)) not in allowed:
            raise self.wrong("an unknown code", name, fix=f"allowed: {', '.join(allowed)}")
        return allowed[value]

    def flag(self, name: str) -> bool | None:
        """Return a boolean, None where it is absent."""
        value = self.content.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong("not true or false", name)
        return value

    def number(self, name: str) -> float:
        """Return a finite number, NaN where it is absent."""
        value = self.content.get(name)
        if value is None:
            return math.nan
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            raise self.wrong("not a finite number", name)
        return float(value)

    def moment(self, name: str) -> Moment | None:
        """Return a date, dateTime or instant, None where it is absent."""
        if not (text := self.text(name)):
            return None
        if (found := moment(text)) is None:
            raise self.wrong("not a FHIR date", name, fix="a time of day needs its zone, as in 2024-02-03T04:05:06Z")
        return found

    def coding(self, name: str) -> tuple[str, str]:
        """Return system and code of a Coding, ("", "") where it is absent."""
        found = self.child(name)
        return ("", "") if found is None else (found.text("system"), found.text("code"))

    def codings(self, name: str) -> list[tuple[str, str]]:
        """Return systems and codes of a CodeableConcept, none where it is absent."""
        concept = self.child(name)
        return [] if concept is None else [(c.text("system"), c.text("code")) for c in concept.children("coding")]

    def reference(self, name: str) -> str:
        """Return what a Reference points to, "" where it is absent."""
        found = self.child(name)
        return "" if found is None else found.text("reference")


def _modified(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if not levels:
        raise RecursionError
    inner = value.values() if isinstance(value, dict) else value
    return "modifierExtension" in value or any(_modified(part, levels - 1) for part in inner)
