"""The code lists FHIR resources are understood by, from `common/codes`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import common

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True)
class Variable:
    """A measurement; see `about` in `common/codes/variables.json` and `common/codes/loinc.json`.

    Attributes
    ----------
    name, unit : str
    low, high : float
        Plausible range.
    codes : tuple of str
        LOINC codes; the first is the one written.
    units : mapping of str to (float, float)
        UCUM code, or printed unit where there is no code, to factor and offset; the first is the one written.
    """

    name: str
    unit: str
    low: float
    high: float
    codes: tuple[str, ...]
    units: Mapping[str, tuple[float, float]]


@cache
def fhir() -> dict[str, Any]:
    """Return `common/codes/fhir.json`."""
    return _read("fhir")


@cache
def variables() -> tuple[Variable, ...]:
    """Return all variables in the order of `common/codes/variables.json`; one that LOINC lacks has no codes."""
    loinc = _read("loinc")["variables"]
    found = []
    for entry in _read("variables")["variables"]:
        known = loinc.get(entry["name"], {"codes": [], "units": {}})
        units = {unit: (float(factor), float(offset)) for unit, (factor, offset) in known["units"].items()}
        low, high = entry["range"]
        found.append(Variable(entry["name"], entry["unit"], low, high, tuple(known["codes"]), units))
    return tuple(found)


@cache
def codings(name: str) -> dict[tuple[str, str], Any]:
    """Return a list of `common/codes/fhir.json` as (system, code) to meaning."""
    return {(system, code): meaning for system, known in fhir()[name].items() for code, meaning in known.items()}


def _read(name: str) -> dict[str, Any]:
    text = (Path(common.__file__).parent / "codes" / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
