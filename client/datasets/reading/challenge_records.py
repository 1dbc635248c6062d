"""Record files of the PhysioNet challenge 2012 as arrays; what they hold stands in `common/codes/physionet2012.json`.

A measurement outside its plausible range counts as missing, and so does -1, the challenge's own mark.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from client.datasets.reading.archives import members
from client.datasets.reading.timed_lines import Lines, parse
from common.clinical.plausible import EXAMPLES, Implausible, judge
from common.exceptions import DataError
from common.serialization import digest, digest_json

RECORD = re.compile(r"[0-9]{1,9}\.txt")
Arrays = Mapping[str, NDArray[Any]]
_FORM = 2
"""Counts up when the arrays or the way to them change, so that nobody's cache holds old ones."""
_MISSING = -1.0


@dataclass(frozen=True)
class Variable:
    """A parameter of the records, the name and unit it gets, and its plausible range."""

    parameter: str
    name: str
    unit: str
    range: tuple[float, float]

    def plausible(self, values: NDArray[np.float64], file: str) -> NDArray[np.bool_]:
        """Tell which values are within the range; a missing one is not.

        Raises
        ------
        DataError
            When most lie outside, which is what a wrong unit looks like.
        """
        told = np.where(_told(values), values, np.nan)
        place = {"file": file, "field": self.parameter, "unit": self.unit}
        outside, _ = judge(told, np.arange(len(told)), self.range, **place)
        return ~np.isnan(told) & ~outside


def _told(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    told: NDArray[np.bool_] = np.isfinite(values) & (values != _MISSING)
    return told


_TEXT = (Path(common.__file__).parent / "codes" / "physionet2012.json").read_text(encoding="utf-8")
_CODES: Mapping[str, Any] = json.loads(_TEXT)
UNITS: tuple[str, ...] = tuple(_CODES["units"].values())
VARIABLES = tuple(Variable(**entry) for entry in _CODES["variables"])
_DESCRIPTORS = tuple(Variable(**entry) for entry in _CODES["descriptors"])
_WEIGHT = VARIABLES[0]
KNOWN = (*_DESCRIPTORS, _WEIGHT)
"""What is known of each stay at its beginning."""
_ONCE = ("RecordID", "ICUType", *(variable.parameter for variable in _DESCRIPTORS))
_PARAMETERS = (*_ONCE, *(variable.parameter for variable in VARIABLES))
_NUMBERS = {_PARAMETERS.index(variable.parameter): variable for variable in (*_DESCRIPTORS, *VARIABLES)}


def pack(arrays: Arrays) -> bytes:
    """Return arrays as bytes; :func:`unpack` reads them."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def unpack(content: bytes) -> Arrays:
    """Read what :func:`pack` made; nothing is unpickled."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def parsing_digest() -> str:
    """SHA-256 of what the arrays depend on besides the files."""
    return digest_json([_FORM, digest(_TEXT.encode())])


def read_records(path: Path) -> Arrays:
    """Read a set's archive or folder.

    Returns
    -------
    mapping
        Of n records ``identifier`` (str), ``unit`` (int8, position in ``UNITS``), ``known`` (n, 4)
        float32 with NaN for missing, ``recorded`` (bool): anything but the weight at admission was
        measured. Of m measurements, by record and time, ``record`` (int32), ``minute`` (int16), ``variable``
        (int8, position in ``VARIABLES``), ``value`` (float32). Of values outside their range ``outside_record``
        (int32), ``outside_parameter`` (int8), ``outside_above`` (bool); see :func:`implausible`.

    Raises
    ------
    DataError
        When the archive or a record is not as documented; the row is the record's place.
    """
    names, lines = parse(members(path, RECORD), _PARAMETERS, path.name)
    if not names:
        raise DataError("no record files", file=path.name)
    once = {name: _once(lines, name, len(names), path.name) for name in _ONCE}
    if len(other := np.flatnonzero(once["RecordID"] != np.array(names, np.float64))):
        raise DataError("the record of another file", file=path.name, row=int(other[0]) + 1, field="RecordID")
    rows, outside = _plausible(lines, path.name)
    found = _measurements(lines, rows)
    at_admission = _weight_at_admission(found, len(names))
    later = (found["minute"] > 0) | (found["variable"] > 0)
    return {
        "identifier": np.array(names),
        "unit": _unit(once["ICUType"], path.name),
        "known": np.column_stack([*(_known(variable, once, path.name) for variable in _DESCRIPTORS), at_admission]),
        "recorded": np.bincount(found["record"][later], minlength=len(names)) > 0,
        **found,
        **outside,
    }


def implausible(arrays: Arrays, chosen: NDArray[np.bool_], file: str) -> tuple[Implausible, ...]:
    """Tell what some records (n, bool) hold outside of plausible ranges; rows are places of records."""
    kept = chosen[arrays["outside_record"]]
    record, parameter, above = (arrays[f"outside_{name}"][kept] for name in ("record", "parameter", "above"))
    plausible = np.bincount(arrays["variable"][chosen[arrays["record"]]], minlength=len(VARIABLES)).tolist()
    told = [*np.isfinite(arrays["known"][chosen, : len(_DESCRIPTORS)]).sum(axis=0).tolist(), *plausible]
    found = []
    for (position, variable), values in zip(_NUMBERS.items(), told, strict=True):
        own = parameter == position
        if count := int(own.sum()):
            high = int(above[own].sum())
            rows = tuple(dict.fromkeys((record[own] + 1).tolist()))[:EXAMPLES]
            place = (file, variable.parameter, *variable.range, variable.unit)
            found.append(Implausible(*place, values + count, count - high, high, rows))
    return tuple(found)


def _once(lines: Lines, parameter: str, records: int, file: str) -> NDArray[np.float64]:
    """Values of a parameter that every record tells exactly once."""
    rows = lines.parameter == _PARAMETERS.index(parameter)
    count = np.bincount(lines.record[rows], minlength=records)
    if len(wrong := np.flatnonzero(count != 1)):
        problem = f"{count[wrong[0]]} lines instead of one"
        raise DataError(problem, file=file, row=int(wrong[0]) + 1, field=parameter)
    values: NDArray[np.float64] = lines.value[rows]
    return values


def _unit(values: NDArray[np.float64], file: str) -> NDArray[np.int8]:
    types = np.array(list(_CODES["units"]), np.float64)
    unit: NDArray[np.int8] = np.argmax(values[:, None] == types, axis=1).astype(np.int8)
    if len(wrong := np.flatnonzero(types[unit] != values)):
        allowed = f"allowed: {', '.join(_CODES['units'])}"
        raise DataError("an unknown type of unit", file=file, row=int(wrong[0]) + 1, field="ICUType", fix=allowed)
    return unit


def _known(variable: Variable, once: Mapping[str, NDArray[np.float64]], file: str) -> NDArray[np.float32]:
    values = once[variable.parameter]
    return np.where(variable.plausible(values, file), values, np.nan).astype(np.float32)


def _plausible(lines: Lines, file: str) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Find the lines that are measurements, and all values that are outside their range."""
    keep, above, numbers = np.zeros((3, len(lines)), np.bool_)
    for position, variable in _NUMBERS.items():
        rows = np.flatnonzero(lines.parameter == position)
        keep[rows], numbers[rows] = variable.plausible(lines.value[rows], file), True
        above[rows] = lines.value[rows] > variable.range[1]
    outside = np.flatnonzero(numbers & _told(lines.value) & ~keep)
    columns: Arrays = {"record": lines.record, "parameter": lines.parameter, "above": above}
    measured = np.flatnonzero(keep & (lines.parameter >= len(_ONCE)))
    return measured, {f"outside_{name}": values[outside] for name, values in columns.items()}


def _measurements(lines: Lines, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Take lines by record and time; equal times keep their order."""
    rows = rows[np.lexsort((lines.minute[rows], lines.record[rows]))]
    return {
        "record": lines.record[rows],
        "minute": lines.minute[rows],
        "variable": lines.parameter[rows] - np.int8(len(_ONCE)),
        "value": lines.value[rows].astype(np.float32),
    }


def _weight_at_admission(found: Mapping[str, NDArray[Any]], records: int) -> NDArray[np.float32]:
    rows = np.flatnonzero((found["variable"] == 0) & (found["minute"] == 0))[::-1]
    weight = np.full(records, np.nan, np.float32)
    weight[found["record"][rows]] = found["value"][rows]  # backwards: the first one stays
    return weight
