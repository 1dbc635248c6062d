"""Observation resources: measurements by LOINC code in one unit each, and the age told of an admission."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.codes import LOINC, UCUM, Variable, fhir, variables
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.encounters import Hospital
from client.datasets.reading.fhir.events import Events
from client.datasets.reading.fhir.files import Found
from client.datasets.reading.fhir.moments import Moment
from client.datasets.reading.fhir.references import Index
from common.clinical.records import NONE, Measurements
from common.exceptions import DataError

STATUSES = {
    **dict.fromkeys(("preliminary", "final", "amended", "corrected"), True),
    **dict.fromkeys(("registered", "cancelled", "entered-in-error", "unknown"), False),
}
"""Of an Observation: whether it tells a value."""


class Observations:
    """Collects Observation resources with the LOINC codes of `common/codes/loinc.json`, components included.

    Parameters
    ----------
    patients, encounters : Index
    measured : bool
        Whether measurements are wanted; ages always are.
    """

    def __init__(self, patients: Index, encounters: Index, *, measured: bool) -> None:
        self._variables = variables()
        self._by_code = {code: i for i, found in enumerate(self._variables) for code in found.codes if measured}
        self._encounters = encounters
        self._events = Events("Observation", patients, encounters)
        self._variable, self._value = array("h"), array("d")
        self._implausible = np.zeros(len(self._variables), np.int64)
        self._not_told = self._not_exact = 0
        self.ages: dict[int, float] = {}

    def add(self, resource: Element) -> None:
        """Read one Observation.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it, or a unit is unknown.
        """
        told = resource.code("status", STATUSES)
        for part in (resource, *resource.children("component")):
            codes = [code for system, code in part.codings("code") if system == LOINC]
            if told and part is resource and fhir()["age"] in codes:
                self._add_age(resource)
            for variable in {self._by_code[code] for code in codes if code in self._by_code}:
                if told:
                    self._add_value(resource, part, variable)
                else:
                    self._not_told += 1

    def _add_age(self, resource: Element) -> None:
        quantity = resource.child("valueQuantity")
        age = quantity.number("value") if quantity and quantity.text("code") == "a" else math.nan
        if not 0 <= age <= 130:
            raise resource.wrong("not an age in years", "valueQuantity")
        self.ages[self._encounters.number(resource.reference("encounter"))] = age

    def _add_value(self, resource: Element, part: Element, variable: int) -> None:
        value = _value(part, self._variables[variable])
        if value is None:
            self._not_exact += 1
        elif not self._variables[variable].low <= value <= self._variables[variable].high:
            self._implausible[variable] += 1
        else:
            self._events.add(resource, resource.reference("encounter"), _when(resource))
            self._variable.append(variable)
            self._value.append(value)

    def finish(
        self, person_of: NDArray[np.int64], hospital: Hospital, files: Sequence[Found], left_out: dict[str, int]
    ) -> Measurements:
        """Return the measurements of all admissions, by admission and time.

        Raises
        ------
        DataError
            A reference leads nowhere, or most values of a variable are implausible, which is what a wrong
            unit looks like.
        """
        variable, value, time = np.array(self._variable, np.int16), np.array(self._value), self._events.time
        self._require_plausible(np.bincount(variable, minlength=len(self._variables)))
        person = self._events.persons(person_of, files)
        admission = self._events.admissions(person, hospital, files)
        placed, timed = admission != NONE, ~np.isnan(time)
        left_out["observations without a result"] = self._not_told
        left_out["observations without an exact number"] = self._not_exact
        left_out["observations with an implausible value"] = int(self._implausible.sum())
        left_out["observations without a time"] = int((~timed).sum())
        left_out["observations outside hospital admissions"] = int((timed & ~placed).sum())
        order = np.lexsort((time, admission))
        rows = order[(placed & timed)[order]]
        return Measurements(
            admission=admission[rows].astype(np.int32),
            time=time[rows],
            variable=variable[rows],
            value=value[rows].astype(np.float32),
            names=tuple(found.name for found in self._variables),
            units=tuple(found.unit for found in self._variables),
        )

    def _require_plausible(self, kept: NDArray[np.int64]) -> None:
        for found, inside, outside in zip(self._variables, kept, self._implausible, strict=True):
            if outside > max(5, inside):
                limits = f"expected {found.low:g} to {found.high:g} {found.unit}".rstrip()
                raise DataError("most values are implausible", file="Observation", field=found.name, fix=limits)


def _value(part: Element, variable: Variable) -> float | None:
    """Return a value in the variable's unit, None where there is no exact number."""
    quantity = part.child("valueQuantity")
    if quantity is None:
        number, unit, field = part.number("valueInteger"), "1", "valueInteger"
    else:
        number, unit, field = quantity.number("value"), quantity.text("code") or quantity.text("unit"), "valueQuantity"
        if quantity.text("code") and quantity.text("system") != UCUM:
            raise part.wrong("the unit's code is not of UCUM", "valueQuantity.system", fix=f"expected {UCUM}")
    if math.isnan(number) or (quantity is not None and quantity.text("comparator")):
        return None
    if unit not in variable.units:
        known = ", ".join(filter(None, variable.units))
        raise part.wrong(f"an unknown unit of {variable.name}", field, fix=f"expected one of {known}")
    factor, offset = variable.units[unit]
    return number * factor + offset


def _when(resource: Element) -> Moment | None:
    """Tell when the value was true of the patient; of a period its end, of an untold time when it was issued."""
    period = resource.child("effectivePeriod")
    return (
        resource.moment("effectiveDateTime")
        or resource.moment("effectiveInstant")
        or (period.moment("end") if period else None)
        or resource.moment("issued")
    )
