"""Measurements of event tables, placed in admissions: what MIMIC-IV and eICU have in common.

A full MIMIC-IV keeps tens of millions of measurements. Each takes 18 bytes, and 44 for the moment in which they
are sorted, which goes column by column for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.event_table import Item
from client.datasets.reading.moments import HOUR
from common.clinical.code_sets import contents, units
from common.clinical.records import Measurements

UNITS = units()
VARIABLES = tuple(UNITS)
GCS = ("gcs_eye", "gcs_motor", "gcs_verbal")
_MOMENTS = 1 << 36
"""More than the seconds from any date of a record to any other."""


class Placed(NamedTuple):
    """Some measurements: row of the admission, seconds, variable, value."""

    admission: NDArray[np.int32]
    seconds: NDArray[np.int64]
    variable: NDArray[np.int16]
    value: NDArray[np.float32]

    def take(self, rows: NDArray[np.bool_]) -> Placed:
        """Return some of them."""
        return Placed(self.admission[rows], self.seconds[rows], self.variable[rows], self.value[rows])


def plausible_range(variable: str) -> tuple[float, float]:
    """Return the lowest and the highest plausible value."""
    low, high = next(entry["range"] for entry in contents("variables")["variables"] if entry["name"] == variable)
    return float(low), float(high)


def items(entries: Iterable[Mapping[str, Any]], whole: Sequence[str]) -> tuple[Item, ...]:
    """Return what is wanted of an event table.

    Parameters
    ----------
    entries : iterable of mapping
        Of a list in `common/codes`: ``ids``, ``variable``, ``units``, and what changes the values.
    whole : sequence of str
        Variables of which only whole numbers are plausible.
    """
    found = []
    for entry in entries:
        variable = entry["variable"]
        told = {key: entry[key] for key in ("offset", "factor", "percent") if key in entry}
        low, high = plausible_range(variable)
        known = tuple(entry.get("units", ()))
        found += [Item(i, variable, low, high, known, whole=variable in whole, **told) for i in entry["ids"]]
    return tuple(found)


def in_order(parts: list[Placed]) -> Measurements:
    """Sort measurements by admission and time; the parts are emptied on the way."""
    admission, seconds, variable, value = (list(column) for column in zip(*parts, strict=True))
    parts.clear()
    place = np.concatenate([key(*each) for each in zip(admission, seconds, strict=True)])
    admission.clear()
    seconds.clear()
    order = None if (place[1:] >= place[:-1]).all() else np.argsort(place, kind="stable")
    place, variables, values = _taken([place], order), _taken(variable, order), _taken(value, order)
    del order
    rows = np.empty(len(place), np.int32)
    np.floor_divide(place, 2 * _MOMENTS, out=rows, casting="unsafe")
    place %= 2 * _MOMENTS
    place -= _MOMENTS
    return Measurements(rows, place / HOUR, variables, values, VARIABLES, tuple(UNITS.values()))


def totals(parts: Sequence[Placed]) -> Placed:
    """Sum the Glasgow coma scale where its three responses were charted at one time."""
    responses = np.array([VARIABLES.index(name) for name in GCS], np.int16)
    chosen = [part.take(np.isin(part.variable, responses)) for part in parts]
    admission, seconds, variable, value = (np.concatenate(columns) for columns in zip(*chosen, strict=True))
    _, first, moment = np.unique(key(admission, seconds), return_index=True, return_inverse=True)
    charted = np.full((len(first), len(responses)), np.nan, np.float32)
    charted[moment, np.searchsorted(responses, variable)] = value
    total = charted.sum(axis=1)
    kept = ~np.isnan(total)
    at = first[kept]
    return Placed(admission[at], seconds[at], np.full(len(at), VARIABLES.index("gcs_total"), np.int16), total[kept])


def key(group: NDArray[Any], seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order by group, then time, in one number."""
    return group.astype(np.int64) * (2 * _MOMENTS) + (seconds + _MOMENTS)


def _taken(column: list[NDArray[Any]], order: NDArray[np.int64] | None) -> NDArray[Any]:
    """Join the parts of a column, which are let go, and put it in order."""
    whole = np.concatenate(column) if len(column) > 1 else column[0]
    column.clear()
    return whole if order is None else whole[order]
