"""Measurements of MIMIC-IV: the items of its event tables, placed in admissions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import common
from client.datasets.reading.events import Events, EventTable, Item, load
from client.datasets.reading.moments import HOUR
from common.clinical.records import NONE, Measurements
from common.exceptions import DataError


@cache
def codes(name: str) -> dict[str, Any]:
    """Return a list of `common/codes`."""
    text = (Path(common.__file__).parent / "codes" / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


UNITS: dict[str, str] = {entry["name"]: entry["unit"] for entry in codes("variables")["variables"]}
VARIABLES = tuple(UNITS)
GCS = ("gcs_eye", "gcs_motor", "gcs_verbal")
_MOMENTS = 1 << 36
"""More than the seconds from any date of a record to any other."""


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """Who was in hospital when, in the order of the records' admissions.

    Attributes
    ----------
    admission, person : (a,) int64
        As the files have them.
    start, end : (a,) float64, seconds
        An end of NaN is yet to come.
    """

    admission: NDArray[np.int64]
    person: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]

    def rows(self, events: Events, file: str) -> NDArray[np.int64]:
        """Return the admission's row of each event, -1 where it belongs to none.

        An event without an admission belongs to that in which the person was at that time: so it is
        with a third of the laboratory's.

        Raises
        ------
        DataError
            When an event names an admission of another person.
        """
        order = np.argsort(self.admission)
        at = np.minimum(np.searchsorted(self.admission, events.admission, sorter=order), len(order) - 1)
        rows = np.where(self.admission[order[at]] == events.admission, order[at], NONE)
        if (self.person[rows[rows != NONE]] != events.person[rows != NONE]).any():
            raise DataError("an event of one person in an admission of another", file=file, field="hadm_id")
        unsaid = np.flatnonzero(events.admission == NONE)
        rows[unsaid] = self._containing(events.person[unsaid], events.seconds[unsaid])
        return rows

    def _containing(self, person: NDArray[np.int64], seconds: NDArray[np.int64]) -> NDArray[np.int64]:
        people, known = np.unique(self.person, return_inverse=True)
        begin = _key(known, self.start.astype(np.int64))
        order = np.argsort(begin, kind="stable")
        rank = np.minimum(np.searchsorted(people, person), len(people) - 1)
        at = np.searchsorted(begin[order], _key(rank, seconds), "right") - 1
        row = order[np.maximum(at, 0)]
        inside = (at >= 0) & (self.person[row] == person) & ~(seconds > self.end[row])
        return np.where(inside, row, NONE)


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
    low, high = next(entry["range"] for entry in codes("variables")["variables"] if entry["name"] == variable)
    return float(low), float(high)


def table(name: str) -> EventTable:
    """Return what is wanted of an event table, "chartevents" or "labevents"."""
    known = codes("mimic_iv")
    items = []
    for entry in known[name]:
        variable = entry["variable"]
        told = {key: entry[key] for key in ("offset", "factor", "percent") if key in entry}
        low, high = plausible_range(variable)
        whole = variable in known["whole"]
        items += [Item(i, variable, low, high, tuple(entry["units"]), whole=whole, **told) for i in entry["ids"]]
    return EventTable(tuple(items))


def measurements(
    extracts: Sequence[tuple[EventTable, Path]], also: Sequence[Placed], whereabouts: Whereabouts
) -> tuple[Measurements, Counter[str]]:
    """Return what was measured in admissions, and how many values are left out for what reason.

    Parameters
    ----------
    extracts : sequence of (table, file)
        Event tables with their extracts.
    also : sequence of Placed
        What other tables tell.
    whereabouts : Whereabouts
    """
    parts, left_out = list(also), Counter[str]()
    for wanted, file in extracts:
        variable = np.array([VARIABLES.index(item.variable) for item in wanted.items], np.int16)
        for events in load(file):
            rows = whereabouts.rows(events, file.name)
            belongs, plausible = rows != NONE, ~np.isnan(events.value)
            strange = ~belongs & (events.admission == NONE) & np.isin(events.person, whereabouts.person)
            left_out["values outside hospital admissions"] += int(strange.sum())
            placed = Placed(rows.astype(np.int32), events.seconds, variable[events.item], events.value)
            parts.append(placed.take(belongs & plausible))
    parts.append(_totals(parts))
    return _sorted(parts), left_out


def _sorted(parts: list[Placed]) -> Measurements:
    admission, seconds, variable, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    parts.clear()  # half of the memory that all this takes
    key = _key(admission, seconds)
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        admission, seconds, variable, value = (column[order] for column in (admission, seconds, variable, value))
    return Measurements(admission, seconds / HOUR, variable, value, VARIABLES, tuple(UNITS.values()))


def _totals(parts: Sequence[Placed]) -> Placed:
    """Sum the Glasgow coma scale where its three responses were charted at one time."""
    responses = np.array([VARIABLES.index(name) for name in GCS], np.int16)
    chosen = [part.take(np.isin(part.variable, responses)) for part in parts]
    admission, seconds, variable, value = (np.concatenate(columns) for columns in zip(*chosen, strict=True))
    _, first, moment = np.unique(_key(admission, seconds), return_index=True, return_inverse=True)
    charted = np.full((len(first), len(responses)), np.nan, np.float32)
    charted[moment, np.searchsorted(responses, variable)] = value
    total = charted.sum(axis=1)
    kept = ~np.isnan(total)
    at = first[kept]
    return Placed(admission[at], seconds[at], np.full(len(at), VARIABLES.index("gcs_total"), np.int16), total[kept])


def _key(group: NDArray[Any], seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order by group, then time, in one number."""
    return group.astype(np.int64) * (2 * _MOMENTS) + (seconds + _MOMENTS)
