"""Columns of dates and times as seconds."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.rows import Rows
from common.exceptions import DataError

HOUR = 3600
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?", re.ASCII)


def seconds(rows: Rows, field: str) -> NDArray[np.float64]:
    """Translate a column of moments, written as 2150-01-31 or 2150-01-31 23:59:00.

    Returns
    -------
    (n,) float64
        Seconds since 1970 on the table's own clock; an empty cell is NaN.

    Raises
    ------
    DataError
        On a moment that does not exist or is written otherwise, naming the row.
    """
    known = {cell: _seconds(cell) for cell in set(rows.columns[field])}
    cells = rows.columns[field]
    for number, cell in zip(rows.numbers, cells, strict=True):
        if known[cell] is None:
            raise DataError(
                "no such moment", file=rows.file, row=int(number), field=field, fix="write it as 2150-01-31 23:59:00"
            )
    return np.array([known[cell] for cell in cells], np.float64)


def _seconds(cell: str) -> float | None:
    if not cell:
        return float("nan")
    try:
        return float(np.datetime64(cell, "s").astype(np.int64)) if _MOMENT.fullmatch(cell) else None
    except ValueError:
        return None
