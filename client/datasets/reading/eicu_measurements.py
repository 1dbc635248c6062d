"""Measurements of eICU: what its tables of vital signs, charts and laboratory values tell of the stays read.

Which tables, columns and items stands in `common/codes/eicu.json`; those of the tables that are there are read.
Offsets count from the admission to the unit. The height on admission, for which the source gives no time, counts
as known when the APACHE variables are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.event_table import EventTable
from client.datasets.reading.events import extract, implausible, load
from client.datasets.reading.moments import HOUR
from client.datasets.reading.placing import UNITS, VARIABLES, Placed, in_order, items, plausible_range, totals
from common.clinical.code_sets import contents
from common.clinical.plausible import Implausible
from common.clinical.records import Measurements


class Whereabouts(NamedTuple):
    """The stays read: number, admission's row, start of the stay in seconds on the admission's clock; (s,) int64."""

    stay: NDArray[np.int64]
    admission: NDArray[np.int64]
    start: NDArray[np.int64]


class Found(NamedTuple):
    """What the tables told, and the digest of each."""

    measurements: Measurements
    implausible: tuple[Implausible, ...]
    digests: dict[str, str]


def measurements(tables: Tables, kept: Cache, whereabouts: Whereabouts, height: Placed) -> Found:
    """Read the event tables that are there.

    Parameters
    ----------
    tables : Tables
    kept : Cache
    whereabouts : Whereabouts
    height : Placed
        What is measured besides.

    Raises
    ------
    DataError
        When a table is not as documented, or most values of an item are implausible.
    """
    parts: list[Placed] = []
    outside: tuple[Implausible, ...] = ()
    digests: dict[str, str] = {}
    order = np.argsort(whereabouts.stay)
    stays = whereabouts.stay[order]
    for name, table in wanted().items():
        if not tables.has(name):
            continue
        path = tables.path(name)
        digests[name] = kept.digest(path)
        variable = np.array([VARIABLES.index(item.variable) for item in table.items], np.int16)
        for events in load(extract(path, table, kept)):
            at = np.minimum(np.searchsorted(stays, events.person), len(stays) - 1)
            belongs = (stays[at] == events.person) & ~np.isnan(events.value)
            row = order[at]
            seconds = whereabouts.start[row] + events.seconds
            placed = Placed(whereabouts.admission[row].astype(np.int32), seconds, variable[events.item], events.value)
            parts.append(placed.take(belongs))
        outside += implausible(path, table, kept, UNITS)
    parts += [height, totals(parts)]
    return Found(in_order(parts), outside, digests)


def height(values: NDArray[np.float32], whereabouts: Whereabouts, hours: float) -> Placed:
    """Place the stays' heights in cm (s,), NaN missing, so many hours after the start of each."""
    low, high = plausible_range("height")
    kept = (values >= low) & (values <= high)
    return Placed(
        whereabouts.admission.astype(np.int32),
        whereabouts.start + int(hours * HOUR),
        np.full(len(values), VARIABLES.index("height"), np.int16),
        values,
    ).take(kept)


def wanted() -> dict[str, EventTable]:
    """Return what is wanted of each event table, by its name."""
    known = contents("eicu")
    return {name: _table(entry, known["whole"]) for name, entry in known["events"].items()}


def _table(entry: dict[str, Any], whole: list[str]) -> EventTable:
    """Give the labels that the items go by numbers, in their order."""
    labels: list[str] = []
    numbered = []
    for each in entry["items"]:
        labels += each["labels"]
        numbered.append({**each, "ids": range(len(labels) - len(each["labels"]) + 1, len(labels) + 1)})
    return EventTable(
        items(numbered, whole),
        labels=tuple(entry.get("prefix", "") + label for label in labels),
        person="patientunitstayid",
        admission="",
        time=entry["time"],
        item=entry.get("item", ""),
        value=entry.get("value", ""),
        unit=entry.get("unit", ""),
        clock="minutes",
        words=entry.get("words", False),
    )
