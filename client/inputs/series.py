"""A series in steps: hours, of each variable the last value in it, or the moments as they were measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.cohorts.modalities import Series
from client.inputs.scales import public
from client.preprocessing.triplets import Triplets, steps, triplets
from common.encoders.base import Shape, Steps

_ROUNDING = 1e-4
"""Hours by which a moment may lie past a full hour and still belong to the hour before."""


class SeriesInput:
    """Irregular measurements of n rows.

    Parameters
    ----------
    series : Series
        Every variable has a public scale (DataError).
    kind : {"hours", "moments"}
    most : int
        Steps a row has at most; of one with more, the latest.
    """

    def __init__(self, series: Series, kind: Steps, most: int) -> None:
        found = triplets(series)
        scaled = public(series.names).apply(found.value, found.variable)
        self._found = replace(found, value=scaled)
        if kind == "hours":
            # A measurement at 0 h counts to the first hour, which ends at 1 h.
            self._found = replace(
                self._found, time=np.maximum(np.ceil(found.time - np.float32(_ROUNDING)), 1).astype(np.float32)
            )
        self._most = most

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._found.offsets) - 1

    @property
    def shape(self) -> Shape:
        """Variables, and the most steps."""
        return Shape(len(self._found.names), (self._most,))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Rows with any measurement; (n,) bool."""
        present: NDArray[np.bool_] = np.diff(self._found.offsets) > 0
        return present

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Value, measured, since (b, L, v), time (b, L), length (b,); L is of the longest row, at least 1."""
        laid = steps(_taken(self._found, rows), self._most)
        longest = max(1, int(laid.length.max(initial=0)))
        return (
            torch.from_numpy(laid.value[:, :longest]),
            torch.from_numpy(laid.measured[:, :longest].astype(np.float32)),
            torch.from_numpy(laid.since[:, :longest]),
            torch.from_numpy(laid.time[:, :longest]),
            torch.from_numpy(laid.length),
        )


def _taken(found: Triplets, rows: NDArray[np.int64]) -> Triplets:
    """Return the measurements of some rows, in the order of these."""
    first, lengths = found.offsets[rows], np.diff(found.offsets)[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    item = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths)
    return Triplets(
        offsets.astype(np.int64),
        found.time[item],
        found.since[item],
        found.variable[item],
        found.value[item],
        found.names,
    )
