"""A series as numbers for trees: nine statistics a variable.

Of each variable from the start of the stay to the prediction time: first, last, lowest, highest,
mean, standard deviation, how many, slope (least squares, a unit an hour), and the mean of the last
twelve hours. A variable that was never measured has a count of 0 and no other value.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from client.cohorts.modalities import Series
from common.clinical.features import Features
from common.clinical.variables import STATISTICS

LATE_HOURS = 12.0
_AT_ONCE = 2_000_000
"""Measurements looked at together; bounds memory where many rows share long series."""


def summarise(series: Series) -> Features:
    """Summarise each row's series.

    Parameters
    ----------
    series : Series
        v variables, n rows.

    Returns
    -------
    Features
        (n, 9 v) float32, named ``variable_statistic``, variable by variable.
    """
    names = tuple(f"{name}_{statistic}" for name in series.names for statistic in STATISTICS)
    units = tuple(_unit(unit, statistic) for unit in series.units for statistic in STATISTICS)
    values = np.full((len(series.first), len(series.names), len(STATISTICS)), np.nan, np.float32)
    values[:, :, STATISTICS.index("count")] = 0
    for begin, end in _batches(series.last - series.first):
        _fill(values[begin:end], series.select(np.arange(begin, end)))
    return Features(values.reshape(len(values), len(names)), names, units)


def _unit(unit: str, statistic: str) -> str:
    if statistic == "count":
        return ""
    return f"{unit}/h" if statistic == "slope" else unit


def _batches(lengths: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut the rows so that each part has about as many measurements as may be looked at together."""
    part = np.cumsum(lengths) // _AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(lengths)]
    return list(pairwise(cuts))


def _fill(values: NDArray[np.float32], series: Series) -> None:
    """Write the statistics of these rows where there are measurements."""
    lengths = series.last - series.first
    if not lengths.sum():
        return
    row = np.repeat(np.arange(len(lengths)), lengths)
    item = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(series.first, lengths)
    group = row * len(series.names) + series.variable[item]
    order = np.argsort(group, kind="stable")  # time stays in order within a group
    row, item, group = row[order], item[order], group[order]
    begin = np.flatnonzero(np.diff(group, prepend=-1))
    count = np.diff(begin, append=len(group))
    value = series.value[item].astype(np.float64)
    hours = series.time[item] - series.start[row]
    late = series.time[item] > series.end[row] - LATE_HOURS

    def total(of: NDArray[np.float64]) -> NDArray[np.float64]:
        summed: NDArray[np.float64] = np.add.reduceat(of, begin)
        return summed

    mean, mean_hours = total(value) / count, total(hours) / count
    deviation, hours_off = value - np.repeat(mean, count), hours - np.repeat(mean_hours, count)
    spread, lates = total(hours_off**2), total(late.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(spread > 0, total(deviation * hours_off) / spread, np.nan)
        late_mean = np.where(lates > 0, total(np.where(late, value, 0)) / lates, np.nan)
    found = (
        value[begin],
        value[begin + count - 1],
        np.minimum.reduceat(value, begin),
        np.maximum.reduceat(value, begin),
        mean,
        np.sqrt(total(deviation**2) / count),
        count,
        slope,
        late_mean,
    )
    values.reshape(-1, len(STATISTICS))[group[begin]] = np.stack(found, axis=1)
