"""Vital signs of MIMIC-IV's emergency department, of visits that led to an admission."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from client.datasets.reading.csv import Tables
from client.datasets.reading.moments import seconds
from client.datasets.reading.placing import UNITS, VARIABLES, Placed, plausible_range
from common.clinical.code_sets import contents
from common.clinical.plausible import Implausible, judge


def vital_signs(folder: Path, row_of: dict[str, int]) -> tuple[list[Placed], tuple[Implausible, ...], str]:
    """Read the tables edstays and vitalsign.

    Parameters
    ----------
    folder : Path
    row_of : mapping of str to int
        Row of each admission in the records.

    Returns
    -------
    placed : list of Placed
        One a variable.
    implausible : tuple of Implausible
    digest : str
        Of the tables.

    Raises
    ------
    DataError
        When a table is not as documented, or most values of a column are implausible.
    """
    entries = contents("mimic_iv")["vitalsign"]
    with Tables(folder) as tables:
        visits = tables.read("edstays", ["stay_id", "hadm_id"], where=("hadm_id", set(row_of)))
        visits.require_unique("stay_id")
        admission = dict(zip(visits.columns["stay_id"], visits.columns["hadm_id"], strict=True))
        columns = ["stay_id", "charttime", *(entry["column"] for entry in entries)]
        rows = tables.read("vitalsign", columns, where=("stay_id", set(admission)))
        digest = tables.digest
    rows.require_filled("charttime")
    place = np.array([row_of[admission[stay]] for stay in rows.columns["stay_id"]], np.int32)
    moment = seconds(rows, "charttime")
    placed, implausible = [], []
    for entry in entries:
        value = (rows.measure(entry["column"]) + entry.get("offset", 0)) * entry.get("factor", 1)
        column = {"file": rows.file, "field": entry["column"], "unit": UNITS[entry["variable"]]}
        outside, found = judge(value, rows.numbers, plausible_range(entry["variable"]), **column)
        kept = ~np.isnan(value) & ~outside
        implausible.append(found)
        variable = np.full(int(kept.sum()), VARIABLES.index(entry["variable"]), np.int16)
        placed.append(Placed(place[kept], moment[kept].astype(np.int64), variable, value[kept].astype(np.float32)))
    return placed, tuple(each for each in implausible if each.count), digest
