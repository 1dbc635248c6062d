"""Measurements of MIMIC-IV: the items of its event tables, placed in admissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.cache import Entry
from client.datasets.reading.event_table import EventTable
from client.datasets.reading.events import Events, load
from client.datasets.reading.placing import VARIABLES, Placed, in_order, items, key, totals
from common.clinical.code_sets import contents
from common.clinical.records import NONE, Measurements
from common.exceptions import DataError


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
        begin = key(known, self.start.astype(np.int64))
        order = np.argsort(begin, kind="stable")
        rank = np.minimum(np.searchsorted(people, person), len(people) - 1)
        at = np.searchsorted(begin[order], key(rank, seconds), "right") - 1
        row = order[np.maximum(at, 0)]
        inside = (at >= 0) & (self.person[row] == person) & ~(seconds > self.end[row])
        return np.where(inside, row, NONE)


def table(name: str) -> EventTable:
    """Return what is wanted of an event table: "chartevents", "labevents" or "procedureevents"."""
    known = contents("mimic_iv")
    return EventTable(items(known[name], known["whole"]), **known["columns"].get(name, {}))


def measurements(
    extracts: Sequence[tuple[EventTable, Entry]], also: Sequence[Placed], whereabouts: Whereabouts
) -> tuple[Measurements, Counter[str]]:
    """Return what was measured in admissions, and how many values are left out for what reason.

    Parameters
    ----------
    extracts : sequence of (table, entry)
        Event tables with their extracts.
    also : sequence of Placed
        What other tables tell.
    whereabouts : Whereabouts
    """
    parts, left_out = list(also), Counter[str]()
    for wanted, entry in extracts:
        variable = np.array([VARIABLES.index(item.variable) for item in wanted.items], np.int16)
        for events in load(entry):
            rows = whereabouts.rows(events, entry.path.name)
            belongs, plausible = rows != NONE, ~np.isnan(events.value)
            strange = ~belongs & (events.admission == NONE) & np.isin(events.person, whereabouts.person)
            left_out["values outside hospital admissions"] += int(strange.sum())
            placed = Placed(rows.astype(np.int32), events.seconds, variable[events.item], events.value)
            parts.append(placed.take(belongs & plausible))
    parts.append(totals(parts))
    return in_order(parts), left_out
