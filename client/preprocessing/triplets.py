"""A series as it was measured: irregular, with the time since the variable's last measurement.

:class:`Triplets` keep every measurement (time, variable, value), as set functions and transformers take
them (Horn et al., ICML 2020). :class:`Steps` put those of one moment into one vector with a mask, as
recurrent networks for missing values do (GRU-D: Che et al., Scientific Reports 2018). Before a
variable's first measurement, the time since the last one counts from the start of the row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.cohorts.modalities import Series


@dataclass(frozen=True, eq=False, repr=False)
class Triplets:
    """Measurements of n rows, one row after the other, each in order of time.

    Attributes
    ----------
    offsets : (n + 1,) int64
        Row i has the measurements ``offsets[i]:offsets[i + 1]``.
    time, since : (m,) float32, hours
        Since the row's start; since the last measurement of the same variable.
    variable : (m,) int16
        Position in ``names``.
    value : (m,) float32
    names : tuple of v str
    """

    offsets: NDArray[np.int64]
    time: NDArray[np.float32]
    since: NDArray[np.float32]
    variable: NDArray[np.int16]
    value: NDArray[np.float32]
    names: tuple[str, ...]

    @property
    def row(self) -> NDArray[np.int64]:
        """Row of each measurement; (m,) int64."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def __repr__(self) -> str:
        """Tell the size, never the content."""
        return f"<Triplets: {len(self.value)} of {len(self.offsets) - 1} rows>"


@dataclass(frozen=True, eq=False, repr=False)
class Steps:
    """Moments of n rows, padded with zeros to L.

    Attributes
    ----------
    value : (n, L, v) float32
        0 where not measured.
    measured : (n, L, v) bool
    since : (n, L, v) float32, hours
        Since the variable was last measured before this moment.
    time : (n, L) float32, hours
        Since the row's start.
    length : (n,) int64
    """

    value: NDArray[np.float32]
    measured: NDArray[np.bool_]
    since: NDArray[np.float32]
    time: NDArray[np.float32]
    length: NDArray[np.int64]

    def __repr__(self) -> str:
        """Tell the size, never the content."""
        return f"<Steps: {' x '.join(map(str, self.value.shape))}>"


def triplets(series: Series) -> Triplets:
    """Take each row's measurements from its start to its prediction time."""
    row, item = series.items()
    time = (series.time[item] - series.start[row]).astype(np.float32)
    variable = series.variable[item]
    order = np.argsort(row * len(series.names) + variable, kind="stable")  # time stays in order within a group
    group = (row * len(series.names) + variable)[order]
    before = np.where(np.diff(group, prepend=-1) == 0, np.roll(time[order], 1), np.float32(0))
    since = np.empty_like(time)
    since[order] = time[order] - before
    offsets = np.concatenate([[0], np.cumsum(series.last - series.first)])
    return Triplets(offsets, time, since, variable, series.value[item], series.names)


def steps(found: Triplets, most: int) -> Steps:
    """Put the measurements of one moment together.

    Parameters
    ----------
    found : Triplets
    most : int
        L; of a row with more moments the latest.
    """
    rows, v = len(found.offsets) - 1, len(found.names)
    row = found.row
    new = (np.diff(found.time, prepend=-1) != 0) | (np.diff(row, prepend=-1) != 0)
    moment = np.cumsum(new) - 1
    moments = np.bincount(row[new], minlength=rows)
    left_out = np.maximum(moments - most, 0)
    # One more moment in front holds when each variable was last measured in those left out, or the start: 0.
    place = np.maximum(moment - (np.cumsum(moments) - moments + left_out)[row] + 1, 0)
    last = np.full((rows, most + 1, v), -np.inf, np.float32)
    last[:, 0] = 0
    last[row, place, found.variable] = found.time
    time = np.zeros((rows, most + 1), np.float32)
    time[row, place] = found.time
    value = np.zeros((rows, most + 1, v), np.float32)
    value[row, place, found.variable] = found.value
    measured = np.isfinite(last[:, 1:])
    length = moments - left_out
    real = np.arange(most) < length[:, None]
    since = time[:, 1:, None] - np.maximum.accumulate(last, axis=1)[:, :-1]
    return Steps(value[:, 1:], measured, np.where(real[:, :, None], since, np.float32(0)), time[:, 1:], length)
